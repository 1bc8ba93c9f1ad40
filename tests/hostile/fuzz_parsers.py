"""Feeds whatever libFuzzer makes up to the parsers of filters, labels and descriptions of layers.

A program of its own: libFuzzer ends the process that it runs in. Its arguments are libFuzzer's.
"""

import sys

import atheris

with atheris.instrument_imports(include=["cvmfs_snapshotter.domain"]):
    from cvmfs_snapshotter.adapters.layers.worker import metadata
    from cvmfs_snapshotter.adapters.layers.worker.misses import MissError
    from cvmfs_snapshotter.adapters.patterns import Re2Patterns
    from cvmfs_snapshotter.domain import labels
    from cvmfs_snapshotter.domain.errors import InvalidArgumentError
    from cvmfs_snapshotter.domain.filters import parse
    from cvmfs_snapshotter.domain.layer import Digest
    from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot

SNAPSHOT = Snapshot(
    identifier=7,
    name="k8s.io/3/sha256:abc",
    parent_identifier=2,
    parent="k8s.io/2/x",
    kind=Kind.COMMITTED,
    created_at=1,
    updated_at=1,
    labels={labels.TARGET: "sha256:" + "a" * 64, "a.b": "c d"},
)
HEX = "ab" + "0" * 62
KEYS = (
    labels.TARGET,
    labels.LAYER_DIGEST,
    labels.UID_MAPPING,
    labels.GID_MAPPING,
    labels.MARKER,
)


def try_filters(data: atheris.FuzzedDataProvider) -> None:
    """Read and match filters."""
    texts = [data.ConsumeUnicodeNoSurrogates(200) for _ in range(data.ConsumeIntInRange(0, 3))]
    texts.append(data.ConsumeUnicodeNoSurrogates(2000))
    chosen = parse(texts, Re2Patterns())
    assert chosen.pins.name in {None, SNAPSHOT.name} or not chosen.matches(SNAPSHOT)


def try_labels(data: atheris.FuzzedDataProvider) -> None:
    """Check labels and carry an Update of them out."""
    given = {}
    for _ in range(data.ConsumeIntInRange(0, 4)):
        key = data.PickValueInList([*KEYS, data.ConsumeUnicodeNoSurrogates(50)])
        given[key] = data.ConsumeUnicodeNoSurrogates(200)
    checked = labels.checked(given)
    assert all(checked.values())
    paths = [data.ConsumeUnicodeNoSurrogates(50) for _ in range(data.ConsumeIntInRange(0, 3))]
    keep = {labels.TARGET: SNAPSHOT.target}
    after = labels.change_of(paths, given).apply(SNAPSHOT.labels, keep=keep)
    assert keep.items() <= after.items()
    mapped = labels.mapped_root(checked)
    assert mapped is None or all(0 <= number < 2**32 - 1 for number in mapped)


def try_digest(data: atheris.FuzzedDataProvider) -> None:
    """Read a digest."""
    digest = Digest.parse(data.ConsumeUnicode(100))
    assert digest is None or len(digest.hex) == len(HEX)


def try_description(data: atheris.FuzzedDataProvider) -> None:
    """Read what a publisher says about a layer."""
    text = data.ConsumeBytes(2000)
    found = metadata.parse(text, HEX, "layers.json")
    assert len(found.diff_id) == len(HEX)
    assert found.size is None or found.size >= 0


PARSERS = (try_filters, try_labels, try_digest, try_description)


def try_one(content: bytes) -> None:
    """Feed one input to one of the parsers; only their own refusals may come back."""
    data = atheris.FuzzedDataProvider(content)
    parser = PARSERS[data.ConsumeIntInRange(0, len(PARSERS) - 1)]
    try:
        parser(data)
    except (InvalidArgumentError, MissError):
        return


def main() -> None:
    """Run until libFuzzer has had enough."""
    atheris.Setup(sys.argv, try_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
