"""Explaining layers, images and snapshots, without containerd."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.layers import inspection
from cvmfs_snapshotter.adapters.logs.logger import open_log
from cvmfs_snapshotter.adapters.sqlite import open_store
from cvmfs_snapshotter.adapters.sqlite.migrate import prepare_database
from cvmfs_snapshotter.domain import labels as label_rules
from cvmfs_snapshotter.domain.errors import AlreadyExistsError
from cvmfs_snapshotter.domain.layer import Digest, Reason
from cvmfs_snapshotter.domain.ports.snapshotter import Snapshotter
from cvmfs_snapshotter.domain.wishes import Wish
from cvmfs_snapshotter.entrypoints.cli import explain as command
from cvmfs_snapshotter.entrypoints.cli import main
from cvmfs_snapshotter.entrypoints.compose import compose
from cvmfs_snapshotter.entrypoints.config import load_config
from cvmfs_snapshotter.entrypoints.explain.found import (
    Explained,
    ExplainedLayer,
    ExplainedSnapshot,
    Here,
    Remembered,
    Verdict,
)
from cvmfs_snapshotter.entrypoints.explain.images import spellings
from cvmfs_snapshotter.entrypoints.explain.output import as_json
from cvmfs_snapshotter.entrypoints.root import database_path
from tests.harness.images import Image
from tests.harness.repository import Repository
from tests.harness.samples import image_a, image_b

REGISTRY = "registry.example.org"
ABSENT = "ab" * 32


@pytest.fixture
def image() -> Image:
    """Give an image of five layers; image B deletes files."""
    return image_a()


@pytest.fixture
def repository(tmp_path: Path, image: Image) -> Repository:
    """Make a source that has the whole image, and a state directory."""
    repository = Repository.make(tmp_path / "layers")
    repository.publish_image(image, REGISTRY)
    repository.publish_image(image_b(), REGISTRY)
    configure(tmp_path)
    (tmp_path / "root").mkdir(mode=0o700)
    prepare_database(Path(database_path(str(tmp_path / "root"))))
    return repository


def configure(base: Path, more: str = "") -> None:
    """Write a configuration with one source."""
    (base / "config.toml").write_text(
        f'[[source]]\nname = "s"\nkind = "directory"\npath = "{base}/layers"\n{more}'
    )


@pytest.fixture
def explain(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Give the command, which gives its status and what it prints."""

    def run(*arguments: str) -> tuple[int, str]:
        capfd.readouterr()
        places = ["--root", f"{tmp_path}/root", "--config", f"{tmp_path}/config.toml"]
        nowhere = ["--address", f"{tmp_path}/none.sock", "--containerd-root", str(tmp_path)]
        status = main(["explain", *places, *nowhere, *arguments])
        shown = capfd.readouterr()
        return status, shown.out + shown.err

    return run


@contextmanager
def snapshotter(base: Path) -> Iterator[Snapshotter]:
    """Give what a daemon on the state directory has."""
    store = open_store(Path(database_path(f"{base}/root")))
    parts = compose(f"{base}/root", load_config(f"{base}/config.toml"), store, open_log(40).logger)
    parts.context.directories.prepare()  # type: ignore[attr-defined]
    parts.wishing.start()
    try:
        yield parts.snapshotter
    finally:
        assert parts.wishing.stop(30.0)
        parts.probes.close()
        store.close()


def test_an_image_that_is_published(
    repository: Repository, explain: Callable[..., tuple[int, str]]
) -> None:
    """Its layers are known from the publisher's copy of its manifest.

    Each is named with its size, its place, its entries and its whiteouts.
    """
    status, shown = explain(f"{REGISTRY}/b:latest")

    assert 0 == status
    for layer in image_b().layers:
        assert f"{layer.digest}, " in shown
        assert f"{repository.directory_of(layer)}/layerfs" in shown
    assert "whiteouts: 2, translated" in shown
    assert f"known from source 's', .metadata/{REGISTRY}/b:latest/manifest.json" in shown
    assert "everything comes from a source" in shown
    assert "containerd's content was not looked at" in shown


def test_a_layer_that_is_gone(
    image: Image, repository: Repository, explain: Callable[..., tuple[int, str]]
) -> None:
    """It would be downloaded, and the sum says how many and how much."""
    repository.withdraw(image.layers[1])
    status, shown = explain(f"{REGISTRY}/{image.name}", "--json")
    found = json.loads(shown)

    assert command.INCOMPLETE == status
    assert not found["complete"]
    assert ["s", None] == [layer["source"] for layer in found["layers"][:2]]
    assert "absent" == found["layers"][1]["verdicts"][0]["reason"]
    assert len(image.layers[1].blob) == found["layers"][1]["size"]
    assert "1 of 5 layers would be downloaded" in explain(f"{REGISTRY}/{image.name}")[1]


def test_a_policy(
    tmp_path: Path,
    repository: Repository,
    explain: Callable[..., tuple[int, str]],
) -> None:
    """A layer that the source has and that is refused there is said to be."""
    configure(tmp_path, 'whiteouts = "refuse"\n')
    status, shown = explain(f"{REGISTRY}/b:latest", "--json")
    reasons = [layer["verdicts"][0]["reason"] for layer in json.loads(shown)["layers"]]

    assert command.INCOMPLETE == status
    assert {"hit", "whiteouts"} == set(reasons)


def test_whiteouts_that_are_ignored(
    tmp_path: Path,
    repository: Repository,
    explain: Callable[..., tuple[int, str]],
) -> None:
    """What that comes to is said."""
    configure(tmp_path, 'whiteouts = "ignore"\nimplied_dirs = "refuse"\n')
    shown = explain(f"{REGISTRY}/b:latest")[1]

    assert "whiteouts: 2, ignored, so that deleted files come back" in shown


@pytest.mark.parametrize("spelled", ["sha256:{}", "{}"])
def test_a_layer(
    spelled: str, image: Image, repository: Repository, explain: Callable[..., tuple[int, str]]
) -> None:
    """By its digest, with or without the algorithm."""
    status, shown = explain(spelled.format(image.layers[0].hexadecimal))
    assert 0 == status
    assert "from source 's'" in shown

    status, shown = explain(spelled.format(ABSENT))
    assert command.INCOMPLETE == status
    assert "s: absent; " in shown
    assert "not published" in shown


def test_what_is_remembered(
    tmp_path: Path, repository: Repository, explain: Callable[..., tuple[int, str]]
) -> None:
    """Misses of the past are told beside what is so now, added up over images."""
    wish = Wish("", Digest(ABSENT), Reason.SLOW, 2, 0, 10**9)
    other = Wish("r.io/a:1", Digest(ABSENT), Reason.SLOW, 3, 0, 0)
    store = open_store(Path(database_path(f"{tmp_path}/root")))
    store.write(lambda t: t.add_wishes([wish, other], 10))
    store.close()

    assert "remembered misses: slow, 5, the last at 1970-01-01T00:00:01Z" in explain(ABSENT)[1]


def test_a_source_that_is_not_there(
    tmp_path: Path, image: Image, repository: Repository, explain: Callable[..., tuple[int, str]]
) -> None:
    """Its fault is named for what it is."""
    shutil.rmtree(tmp_path / "layers")
    status, shown = explain(image.layers[0].digest)

    assert command.INCOMPLETE == status
    assert "s: not-mounted; " in shown
    assert 1 == explain(f"{REGISTRY}/{image.name}")[0]
    assert "source 's': not-mounted" in explain(f"{REGISTRY}/{image.name}")[1]


def test_snapshots(
    tmp_path: Path, image: Image, repository: Repository, explain: Callable[..., tuple[int, str]]
) -> None:
    """From a container's down to the bottom: what each is, and why."""
    repository.withdraw(image.layers[1])
    wanted = dict(zip(image.chain_ids, image.layers, strict=True))
    with snapshotter(tmp_path) as daemon:
        labels = {
            chain: {label_rules.TARGET: chain, label_rules.LAYER_DIGEST: layer.digest}
            for chain, layer in wanted.items()
        }
        first, second, third = image.chain_ids[:3]
        with pytest.raises(AlreadyExistsError):
            daemon.prepare("extract", "", labels[first])
        remote = next(s for page in daemon.list(()) for s in page).name
        daemon.prepare("extract", remote, labels[second])
        daemon.commit(second, "extract", labels[second], "")
        no_digest = {label_rules.TARGET: third}
        daemon.prepare("extract", second, no_digest)
        daemon.commit(third, "extract", no_digest, "")
        daemon.prepare("extract", third, {})
        daemon.commit(image.chain_ids[3], "extract", {}, "")
        daemon.prepare("container", image.chain_ids[3], {})

    status, shown = explain("container", "--json")
    found = json.loads(shown)["snapshots"]
    assert command.INCOMPLETE == status
    assert [None, "no-target-label", "no-digest-label", "absent", "hit"] == [
        s["reason"] for s in found
    ]
    assert [None, None, None, None, "s"] == [s["source"] for s in found]
    assert "s" == found[-1]["layer"]["source"]
    assert (remote, "committed") == (found[-1]["name"], found[-1]["kind"])
    assert "hit" == found[-1]["layer"]["verdicts"][0]["reason"]
    assert 0 == explain(remote)[0]
    text = explain("container")[1]
    assert "active 'container', local: made for a container" in text
    assert f"committed {second!r}, local: downloaded; " in text


def test_what_is_null_for_a_machine() -> None:
    """Moments are RFC 3339, and what is unknown is null; texts that say something stay."""
    digest = Digest("a" * 64)
    layer = ExplainedLayer(
        digest=str(digest),
        chain_id=digest,
        verdicts=(Verdict("s", used=False, reason="absent", detail=""),),
        remembered=(Remembered("absent", 2, 1_700_000_000_123_456_789),),
        here=(Here("name", ""),),
    )
    snapshot = ExplainedSnapshot("key", "active", "", "made for a container", "", None)
    shown = json.loads(as_json(Explained("layer", "n", "o", "", (layer,), (snapshot,), ("r",))))

    assert {
        "subject": "layer",
        "name": "n",
        "origin": "o",
        "platform": None,
        "layers": [
            {
                "digest": str(digest),
                "size": None,
                "media_type": None,
                "chain_id": str(digest),
                "verdicts": [
                    {
                        "source": "s",
                        "used": False,
                        "reason": "absent",
                        "detail": None,
                        "path": None,
                        "entries": None,
                        "whiteouts": None,
                        "circuit": None,
                    }
                ],
                "never": None,
                "remembered": [
                    {"reason": "absent", "count": 2, "last_seen_at": "2023-11-14T22:13:20Z"}
                ],
                "here": [{"name": "name", "source": None}],
                "source": None,
            }
        ],
        "snapshots": [
            {
                "name": "key",
                "kind": "active",
                "source": None,
                "decision": "made for a container",
                "reason": None,
                "layer": None,
            }
        ],
        "remarks": ["r"],
        "complete": False,
    } == shown


def test_an_image_whose_snapshots_are_here(
    tmp_path: Path, image: Image, repository: Repository, explain: Callable[..., tuple[int, str]]
) -> None:
    """Without containerd's copy of the configuration the chain IDs are not known, nor are they."""
    shown = json.loads(explain(f"{REGISTRY}/{image.name}", "--json")[1])

    assert [None] * 5 == [layer["chain_id"] for layer in shown["layers"]]
    assert [[]] * 5 == [layer["here"] for layer in shown["layers"]]


@pytest.mark.parametrize("what", ["nothing", "no/such:1", "sha256:ab", "a b", "", "../../etc:1"])
def test_what_there_is_not(
    what: str, repository: Repository, explain: Callable[..., tuple[int, str]]
) -> None:
    """The message says where it was looked for, and what to do."""
    status, shown = explain(what)

    assert 1 == status
    assert f"{what!r} is no snapshot or container here" in shown


def test_without_records(
    tmp_path: Path, image: Image, repository: Repository, explain: Callable[..., tuple[int, str]]
) -> None:
    """The sources can be asked all the same."""
    shutil.rmtree(tmp_path / "root")
    status, shown = explain(image.layers[0].digest)

    assert 0 == status
    assert "our records were not looked at: there is no state directory" in shown


def test_a_circuit_that_is_open(
    image: Image,
    repository: Repository,
    explain: Callable[..., tuple[int, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the daemon does not ask would be downloaded, whatever the source says to us."""
    monkeypatch.setattr(command, "_circuits", lambda _: {"s": "circuit: slow: no answer"})
    status, shown = explain(image.layers[0].digest)

    assert command.INCOMPLETE == status
    assert "but the daemon does not ask it: circuit: slow" in shown


def test_a_bad_configuration(
    tmp_path: Path, repository: Repository, explain: Callable[..., tuple[int, str]]
) -> None:
    """It is a matter of usage."""
    configure(tmp_path, "zzz = 1\n")
    assert 2 == explain(ABSENT)[0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("busybox", ["docker.io/library/busybox:latest"]),
        ("busybox:1", ["docker.io/library/busybox:1"]),
        ("me/tool", ["docker.io/me/tool:latest"]),
        ("ghcr.io/a:1", ["ghcr.io/a:1", "docker.io/ghcr.io/a:1"]),
        ("x y", []),
    ],
)
def test_short_names(name: str, expected: list[str]) -> None:
    """They are taken as Docker takes them, the literal one first."""
    assert expected == list(spellings(name))


def test_an_answer_that_is_none() -> None:
    """A probe that says something else than it should is not believed."""

    class Liar:
        def ask(self, _request: object, _seconds: float) -> dict[str, object]:
            return {"attributes": [], "client": "x", "owners": ["a", 1], "proven": 1}

    source = load_config("").sources[0]
    found = inspection.survey(Liar(), source, 1.0)  # type: ignore[arg-type]
    assert inspection.Survey(False, "", "", {}, None, (1,)) == found
