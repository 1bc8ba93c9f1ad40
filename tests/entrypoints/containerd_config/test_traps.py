"""Every way known to end without remote layers, in a file as nodes have it, is found and named."""

import re
import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvmfs_snapshotter.entrypoints.containerd_config.check import check
from cvmfs_snapshotter.entrypoints.containerd_config.documents import Document
from cvmfs_snapshotter.entrypoints.containerd_config.finding import Finding
from cvmfs_snapshotter.entrypoints.containerd_config.releases import Pull
from tests.entrypoints.containerd_config.configurations import (
    ADDRESS,
    NODE_OF_1,
    NODE_OF_2,
    ROOT,
    WAYS,
    judge,
    names,
    node,
    places,
    wanted,
)

LOCAL, TRANSFER = Pull.LOCAL, Pull.TRANSFER
ONE = ("1.6", "1.7")
TWO = ("2.0", "2.1", "2.2", "2.3", "2.4")
WITH_TRANSFER = TWO[1:]
WITH_CAPABILITIES = ("1.7", *TWO)

CRI = 'plugins."io.containerd.grpc.v1.cri"'
IMAGES = 'plugins."io.containerd.cri.v1.images"'
RUNTIME = 'plugins."io.containerd.cri.v1.runtime"'
UNPACK = 'plugins."io.containerd.transfer.v1.local".unpack_config'
OURS = f'[[{UNPACK}]]\n  platform = "linux/amd64"\n  snapshotter = "cvmfs-snapshotter"\n'
THEIRS = f'[[{UNPACK}]]\n  platform = "linux/amd64"\n  snapshotter = "overlayfs"\n'
DIFFER = '  differ = "walking"\n'


@attrs.frozen
class Trap:
    """A change of a file that passes, and what is found then.

    Attributes:
        releases: of containerd.
        old: text in the file.
        new: what is there instead.
        found: names of the findings.
        pull: the way to pull that the file is for.
        named: the way to pull is named when the file is checked.
        line: what one of the findings advises.
    """

    releases: tuple[str, ...]
    old: str
    new: str
    found: list[str]
    line: str = ""
    pull: Pull = LOCAL
    named: bool = False


PROXY = "[proxy_plugins.cvmfs-snapshotter]\n"
EXPORTS = "[proxy_plugins.cvmfs-snapshotter.exports]\n"
DISABLED = 'disabled_plugins = ["io.containerd.internal.v1.opt"]'

TRAPS = {
    "another name for the proxy": Trap(
        ONE + TWO,
        "[proxy_plugins.cvmfs-snapshotter",
        "[proxy_plugins.cvmfs",
        ["proxy-name"],
        "in [proxy_plugins.cvmfs-snapshotter] remove [proxy_plugins.cvmfs] and set "
        f'type = "snapshot", address = "{ADDRESS}"',
    ),
    "exports alone": Trap(
        ONE + TWO,
        f'{PROXY}  type = "snapshot"\n  address = "{ADDRESS}"\n',
        "",
        ["proxy-type", "proxy-address"],
    ),
    "the wrong type": Trap(
        ONE + TWO,
        'type = "snapshot"',
        'type = "content"',
        ["proxy-type"],
        'in [proxy_plugins.cvmfs-snapshotter] set type = "snapshot"',
    ),
    "another socket": Trap(
        ONE + TWO,
        ADDRESS,
        "/run/containerd-stargz-grpc/containerd-stargz-grpc.sock",
        ["proxy-address"],
        f'set address = "{ADDRESS}"',
    ),
    "a socket as gRPC writes it": Trap(ONE + TWO, ADDRESS, f"unix://{ADDRESS}", ["proxy-address"]),
    "no root": Trap(
        ONE + TWO,
        f'root = "{ROOT}"\n',
        "",
        ["proxy-root"],
        f'in [proxy_plugins.cvmfs-snapshotter.exports] set root = "{ROOT}"',
    ),
    "another root": Trap(ONE + TWO, f'root = "{ROOT}"', 'root = "/var/lib/x"', ["proxy-root"]),
    "remap-ids": Trap(
        WITH_CAPABILITIES,
        PROXY,
        f'{PROXY}  capabilities = ["remap-ids"]\n',
        ["capability-remap-ids"],
        'in [proxy_plugins.cvmfs-snapshotter] remove "remap-ids" from capabilities',
    ),
    "only-remap-ids": Trap(
        WITH_CAPABILITIES,
        PROXY,
        f'{PROXY}  capabilities = ["only-remap-ids"]\n',
        ["capability-only-remap-ids"],
    ),
    "rebase": Trap(
        ("2.2", "2.3", "2.4"),
        PROXY,
        f'{PROXY}  capabilities = ["rebase"]\n',
        ["capability-rebase"],
        'remove "rebase" from capabilities',
    ),
    "the CRI's own snapshotter": Trap(
        ONE,
        '  snapshotter = "cvmfs-snapshotter"\n',
        "",
        ["cri-snapshotter"],
        f'in [{CRI}.containerd] set snapshotter = "cvmfs-snapshotter"',
    ),
    "another snapshotter": Trap(
        TWO,
        'snapshotter = "cvmfs-snapshotter"\n',
        'snapshotter = "overlayfs"\n',
        ["cri-snapshotter"],
        f'in [{IMAGES}] set snapshotter = "cvmfs-snapshotter"',
    ),
    "no annotations, 1.x": Trap(
        ONE,
        "disable_snapshot_annotations = false",
        "disable_snapshot_annotations = true",
        ["cri-annotations"],
        f"in [{CRI}.containerd] set disable_snapshot_annotations = false",
    ),
    "the default annotations, 2.x": Trap(
        TWO,
        "  disable_snapshot_annotations = false\n",
        "",
        ["cri-annotations"],
        f"in [{IMAGES}] set disable_snapshot_annotations = false",
    ),
    "the section of 2.x in 1.x": Trap(
        ONE,
        f"[{CRI}.containerd]",
        f"[{IMAGES}]",
        ["cri-place"],
        f'in [{CRI}.containerd] set snapshotter = "cvmfs-snapshotter", '
        "disable_snapshot_annotations = false",
    ),
    "the section of 1.x in version 3": Trap(
        TWO,
        f"[{IMAGES}]",
        f"[{CRI}.containerd]",
        ["cri-place"],
        f'in [{IMAGES}] set snapshotter = "cvmfs-snapshotter", '
        "disable_snapshot_annotations = false",
    ),
    "long names in version 1": Trap(
        ONE, "version = 2", "version = 1", ["cri-place"], "in [plugins.cri.containerd] set "
    ),
    "short names in version 2": Trap(
        ONE,
        f"[{CRI}.containerd]",
        "[plugins.cri.containerd]",
        ["plugin-name", "cri-place"],
        f"in [{CRI}.containerd] set ",
    ),
    "a version that is too new for 1.x": Trap(
        ONE, "version = 2", "version = 3", ["file-version-too-new"], "set version = 2"
    ),
    "a version that is too new for 2.x": Trap(
        ("2.0", "2.1", "2.2"),
        "version = 3",
        "version = 4",
        ["file-version-too-new"],
        "set version = 3",
    ),
    "a version that none knows": Trap(
        ("2.3", "2.4"), "version = 3", "version = 5", ["file-version-too-new"], "set version = 4"
    ),
    "a removed version": Trap(
        TWO, "version = 3\n", "", ["file-version-removed"], "set version = 3"
    ),
    "the CRI is off": Trap(
        ONE + TWO,
        DISABLED,
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
        ["cri-disabled"],
        'remove "io.containerd.grpc.v1.cri" from disabled_plugins',
    ),
    "its images are off": Trap(
        TWO, DISABLED, 'disabled_plugins = ["io.containerd.cri.v1.images"]', ["cri-disabled"]
    ),
    "its runtimes are off": Trap(
        TWO, DISABLED, 'disabled_plugins = ["io.containerd.cri.v1.runtime"]', ["cri-disabled"]
    ),
    "the short name of a plugin that is off": Trap(
        ONE + TWO,
        DISABLED,
        'disabled_plugins = ["cri"]',
        ["disabled-plugin-name"],
        'remove "cri" from disabled_plugins',
    ),
    "the proxy is off": Trap(
        ONE + TWO,
        DISABLED,
        'disabled_plugins = ["io.containerd.snapshotter.v1.cvmfs-snapshotter"]',
        ["proxy-disabled"],
    ),
    "the transfer service is off": Trap(
        WITH_TRANSFER,
        DISABLED,
        'disabled_plugins = ["io.containerd.transfer.v1.local"]',
        ["transfer-disabled"],
    ),
    "a runtime with another snapshotter, 1.7": Trap(
        ("1.7",),
        f"[{CRI}.containerd.runtimes.runc]",
        f'[{CRI}.containerd.runtimes.kata]\n  snapshotter = "devmapper"\n'
        f"[{CRI}.containerd.runtimes.runc]",
        ["runtime-snapshotter"],
        f'in [{CRI}.containerd.runtimes.kata] remove snapshotter = "devmapper"',
    ),
    "a runtime with another snapshotter, 2.x": Trap(
        TWO,
        f"[{RUNTIME}.containerd.runtimes.runc]",
        f'[{RUNTIME}.containerd.runtimes.kata]\n  snapshotter = "devmapper"\n'
        f"[{RUNTIME}.containerd.runtimes.runc]",
        ["runtime-snapshotter"],
        f'in [{RUNTIME}.containerd.runtimes.kata] remove snapshotter = "devmapper"',
    ),
    "a platform of a runtime with another snapshotter": Trap(
        TWO,
        f"[{IMAGES}.pinned_images]",
        f'[{IMAGES}.runtime_platforms.kata]\n  snapshotter = "overlayfs"\n'
        f"[{IMAGES}.pinned_images]",
        ["runtime-snapshotter"],
    ),
    "one runtime alone with ours": Trap(
        ("1.7",),
        f'[{CRI}.containerd]\n  snapshotter = "cvmfs-snapshotter"',
        f'[{CRI}.containerd.runtimes.cvmfs]\n  snapshotter = "cvmfs-snapshotter"\n'
        f"[{CRI}.containerd]",
        ["runtime-snapshotter"],
    ),
    "a switch to the local pull without annotations": Trap(
        WITH_TRANSFER,
        f"[{IMAGES}]",
        f"[{IMAGES}]\n  max_concurrent_downloads = 10",
        ["cri-annotations"],
        "set disable_snapshot_annotations = false",
        TRANSFER,
    ),
    "no word about the wanted layer": Trap(
        WITH_TRANSFER,
        '  enable_remote_snapshot_annotations = "true"\n',
        "",
        ["transfer-annotations"],
        "in [proxy_plugins.cvmfs-snapshotter.exports] set "
        'enable_remote_snapshot_annotations = "true"',
        TRANSFER,
    ),
    "the word as a boolean": Trap(
        WITH_TRANSFER,
        'annotations = "true"',
        "annotations = true",
        ["transfer-annotations"],
        pull=TRANSFER,
    ),
    "the word as another string": Trap(
        WITH_TRANSFER,
        'annotations = "true"',
        'annotations = "yes"',
        ["transfer-annotations"],
        pull=TRANSFER,
    ),
    "nothing unpacked into our snapshots": Trap(
        WITH_TRANSFER,
        OURS + DIFFER,
        "",
        ["unpack-missing"],
        f'in [[{UNPACK}]] set platform = "linux/amd64", snapshotter = "cvmfs-snapshotter", '
        'differ = "walking"',
        TRANSFER,
    ),
    "overlayfs lost": Trap(
        WITH_TRANSFER,
        THEIRS + DIFFER,
        "",
        ["unpack-overlayfs"],
        f'in [[{UNPACK}]] set platform = "linux/amd64", snapshotter = "overlayfs", '
        'differ = "walking"',
        TRANSFER,
    ),
    "a snapshotter that is not there": Trap(
        WITH_TRANSFER,
        THEIRS,
        f'[[{UNPACK}]]\n  platform = "linux/amd64"\n  snapshotter = "stargz"\n{THEIRS}',
        ["unpack-unknown"],
        f'in [[{UNPACK}]] remove snapshotter = "stargz"',
        TRANSFER,
    ),
    "a snapshotter that is off": Trap(
        WITH_TRANSFER,
        DISABLED,
        'disabled_plugins = ["io.containerd.snapshotter.v1.overlayfs"]',
        ["unpack-unknown"],
        pull=TRANSFER,
    ),
    "a snapshotter that is not there beside a local pull": Trap(
        WITH_TRANSFER,
        f"[{IMAGES}.pinned_images]",
        f'[[{UNPACK}]]\n  platform = "linux/amd64"\n  snapshotter = "stargz"\n'
        f"[{IMAGES}.pinned_images]",
        ["unpack-unknown"],
    ),
    "the platform of another machine": Trap(
        WITH_TRANSFER,
        OURS,
        OURS.replace("amd64", "arm64"),
        ["unpack-platform"],
        f'in [[{UNPACK}]] set platform = "linux/amd64"',
        TRANSFER,
    ),
    "no platform": Trap(
        WITH_TRANSFER,
        OURS,
        OURS.replace('"linux/amd64"', '""'),
        ["unpack-no-platform"],
        pull=TRANSFER,
    ),
    "no differ in 2.1": Trap(
        ("2.1",),
        OURS + DIFFER,
        OURS,
        ["unpack-differ"],
        f'in [[{UNPACK}]] set differ = "walking"',
        TRANSFER,
    ),
    "a differ that cannot unpack": Trap(
        WITH_TRANSFER,
        OURS + DIFFER,
        OURS + '  differ = "erofs"\n',
        ["unpack-differ"],
        pull=TRANSFER,
    ),
} | {
    f"transfer wanted, but {line}": Trap(
        WITH_TRANSFER,
        f"[{IMAGES}]",
        f"[{IMAGES}]\n  {line}",
        ["transfer-off"],
        f"in [{IMAGES}] remove {line}",
        TRANSFER,
        named=True,
    )
    for line in (
        "use_local_image_pull = true",
        "disable_snapshot_annotations = false",
        "discard_unpacked_layers = true",
        "image_pull_with_sync_fs = true",
        "max_concurrent_downloads = 10",
    )
}

CASES = [(name, release) for name, trap in TRAPS.items() for release in trap.releases]


@pytest.mark.parametrize(("name", "release"), CASES)
def test_a_trap_is_found(name: str, release: str) -> None:
    """The change, and it alone, is found, with the line to add or to remove."""
    trap = TRAPS[name]
    text = node(release, trap.pull)
    assert trap.old in text

    report = judge(text.replace(trap.old, trap.new), release, trap.pull if trap.named else None)

    assert trap.found == names(report)
    assert trap.line in "\n".join(finding.advice for finding in report.findings)


def test_another_program_s_proxy() -> None:
    """A proxy plugin of something else is not taken for ours."""
    text = node("2.1").replace("[proxy_plugins.cvmfs-snapshotter", "[proxy_plugins.stargz")
    report = judge(text.replace(ADDRESS, "/run/stargz.sock"), "2.1")

    assert ["proxy-missing"] == names(report)
    assert f'set type = "snapshot", address = "{ADDRESS}"' in report.findings[0].advice


@pytest.mark.parametrize("old", [OURS, THEIRS])
def test_entries_for_other_machines_do_no_harm(old: str) -> None:
    """Beside those for this machine there may be others, for images of other platforms."""
    more = (old + DIFFER).replace("amd64", "arm64")

    assert [] == names(judge(node("2.1", TRANSFER) + more, "2.1"))


def mended(content: dict[str, Any], finding: Finding) -> dict[str, Any]:
    """A file with the lines that a finding says to add."""
    lines = tomllib.loads("\n".join((finding.table, *finding.add)))
    return add(deepcopy(content), lines)


def add(content: dict[str, Any], lines: dict[str, Any]) -> dict[str, Any]:
    """Tables within tables; one more table for an array of them."""
    for key, value in lines.items():
        if isinstance(value, dict):
            content[key] = add(content.get(key, {}), value)
        elif isinstance(value, list):
            content[key] = content.get(key, []) + value
        else:
            content[key] = value
    return content


ADDED = [
    (name, release)
    for name, release in CASES
    if TRAPS[name].line and name not in {"no differ in 2.1", "the platform of another machine"}
]


@pytest.mark.parametrize(("name", "release"), ADDED)
def test_the_advice_helps(name: str, release: str) -> None:
    """The lines to add are TOML; with them in the file, what they are said to cure is gone."""
    trap = TRAPS[name]
    content = tomllib.loads(node(release, trap.pull).replace(trap.old, trap.new))
    for_it = wanted(release, trap.pull if trap.named else None)
    for finding in check([Document("/c", content)], for_it).findings:
        if finding.add:
            cured = check([Document("/c", mended(content, finding))], for_it)

            assert finding.name not in names(cured)


@pytest.mark.parametrize("release", ["2.3", "2.4"])
def test_an_optional_snapshotter_may_be_absent(release: str) -> None:
    """From 2.3 on an entry can be optional, as that of erofs is in the built-in list."""
    more = f'[[{UNPACK}]]\nplatform = "linux/amd64"\nsnapshotter = "x"\noptional = true\n'

    assert [] == names(judge(node(release, TRANSFER) + more, release))
    assert ["unpack-unknown"] == names(judge(node("2.2", TRANSFER) + more, "2.2"))


@pytest.mark.parametrize(
    "line",
    [
        'capabilities = ["rebase"]',
        "capabilities = []",
    ],
)
def test_capabilities_that_do_no_harm(line: str) -> None:
    """A release that cannot unpack in parallel is not told off for it."""
    text = node("1.7").replace(PROXY, f"{PROXY}  {line}\n")

    assert [] == names(judge(text, "1.7"))


def test_runtimes_are_judged_only_where_one_of_both_is_ours() -> None:
    """Two snapshotters of others beside one another are none of our business."""
    text = node("2.1").replace(
        'snapshotter = "cvmfs-snapshotter"\n', 'snapshotter = "overlayfs"\n'
    )
    kata = f'[{RUNTIME}.containerd.runtimes.kata]\nsnapshotter = "devmapper"\n'

    assert ["cri-snapshotter"] == names(judge(text + kata, "2.1"))


def test_rebase_belongs_to_staged_layers() -> None:
    """2.4 can take staged layers; whoever tries that is told what the finding is about."""
    text = node("2.4").replace(PROXY, f'{PROXY}  capabilities = ["rebase"]\n')

    assert "staged = true" in judge(text, "2.4").findings[0].problem
    assert "staged" not in judge(text, "2.3").findings[0].problem


def test_1_6_reads_no_capabilities() -> None:
    """What a release does not read does no harm in it."""
    text = node("1.6").replace(PROXY, f'{PROXY}  capabilities = ["remap-ids"]\n')

    assert [] == names(judge(text, "1.6"))


@pytest.mark.parametrize("registry", ["mirrors", "configs", "auths"])
def test_a_registry_in_the_section_of_the_cri_turns_the_transfer_service_off(
    registry: str,
) -> None:
    """The old way to name mirrors and passwords makes the CRI pull by itself."""
    more = f'[{IMAGES}.registry.{registry}."docker.io"]\nendpoint = ["https://m.example.org"]\n'
    report = judge(node("2.1", TRANSFER) + more, "2.1", TRANSFER)

    assert ["transfer-off"] == names(report)
    assert f"registry.{registry}" in report.findings[0].problem
    assert Pull.LOCAL == report.pull


def test_why_the_cri_pulls_itself_is_told() -> None:
    """Who prepared the transfer service learns which line keeps the CRI from it."""
    text = node("2.1", TRANSFER).replace(
        f"[{IMAGES}]", f"[{IMAGES}]\n  max_concurrent_downloads = 10"
    )

    assert "because of max_concurrent_downloads = 10" in judge(text, "2.1").findings[0].problem


def test_both_ways_at_once() -> None:
    """A CRI that pulls itself, and a transfer service for ctr, are no contradiction."""
    text = node("2.1", TRANSFER).replace(
        f"[{IMAGES}]", f"[{IMAGES}]\n  disable_snapshot_annotations = false"
    )

    assert [] == names(judge(text, "2.1"))
    assert [] == names(judge(text, "2.1", LOCAL))
    assert ["transfer-off"] == names(judge(text, "2.1", TRANSFER))


@pytest.mark.parametrize("release", WITH_TRANSFER)
def test_a_file_for_the_local_pull_is_not_one_for_the_transfer_service(release: str) -> None:
    """Whoever names the transfer service learns all that it lacks."""
    expected = ["transfer-annotations", "transfer-off", "transfer-off", "unpack-missing"]

    assert expected == names(judge(node(release), release, TRANSFER))


@pytest.mark.parametrize("release", ONE + TWO)
def test_discarded_layers_are_noted(release: str) -> None:
    """They keep nothing from being remote, but have a price that is told."""
    table = f"[{CRI}.containerd]" if release in ONE else f"[{IMAGES}]"
    text = node(release).replace(table, f"{table}\n  discard_unpacked_layers = true")
    report = judge(text, release)

    assert [] == names(report)
    assert ["discard_unpacked_layers = true"] == [note.partition(":")[0] for note in report.notes]


@pytest.mark.parametrize("release", ONE + TWO)
def test_a_node_that_knows_nothing_of_us(release: str) -> None:
    """The least that is missing is named: three lines, and no word about the transfer service."""
    version, rest = ("2", NODE_OF_1) if release in ONE else ("3", NODE_OF_2)

    report = judge(f"version = {version}\n{rest}", release)

    assert ["proxy-missing", "cri-snapshotter", "cri-annotations"] == names(report)


@pytest.mark.parametrize("release", ONE + TWO)
def test_an_empty_file(release: str) -> None:
    """It is judged, not refused: containerd takes it too."""
    expected = [] if release in ONE else ["file-version-removed"]

    assert [*expected, "proxy-missing", "cri-snapshotter", "cri-annotations"] == names(
        judge("", release)
    )


# As Docker's packages install it.
DOCKER = 'disabled_plugins = ["cri"]\n'


@pytest.mark.parametrize("release", ONE)
def test_docker_s_file(release: str) -> None:
    """Its packages switch the CRI off, in a file of version 1."""
    assert "cri-disabled" in names(judge(DOCKER, release))


OLD = f"""
[proxy_plugins.cvmfs-snapshotter]
  type = "snapshot"
  address = "{ADDRESS}"
  [proxy_plugins.cvmfs-snapshotter.exports]
    root = "{ROOT}"
[plugins.cri.containerd]
  snapshotter = "cvmfs-snapshotter"
  disable_snapshot_annotations = false
"""


@pytest.mark.parametrize("release", ONE)
def test_version_1(release: str) -> None:
    """1.x takes a file of version 1, which has short names for plugins."""
    assert [] == names(judge(OLD, release))
    assert ["cri-annotations"] == names(judge(OLD.replace("false", "true"), release))
    for line in ('disabled_plugins = ["cri"]', 'disabled_plugins = ["io.containerd.grpc.v1.cri"]'):
        assert ["cri-disabled"] == names(judge(line + OLD, release))


@pytest.mark.parametrize("release", TWO)
def test_version_2_in_2(release: str) -> None:
    """A file of 1.x is taken over by 2.x if its section of the CRI names runtimes."""
    assert [] == names(judge(node("1.7"), release))


@pytest.mark.parametrize("release", TWO)
def test_version_2_in_2_without_runtimes(release: str) -> None:
    """Without runtimes 2.x loses the snapshotter, silently; the cure is the section of 2.x."""
    text = node("1.7")
    begin, end = text.index(f"[{CRI}.containerd.runtimes.runc]"), text.index(f"[{CRI}.registry]")
    report = judge(text[:begin] + text[end:], release)

    assert ["cri-place"] == names(report)
    assert "has no runtimes" in report.findings[0].problem
    assert f"in [{IMAGES}] set snapshotter" in report.findings[0].advice


def test_the_same_path_in_other_words() -> None:
    """Slashes that mean nothing, and the old place of /run, are no other socket."""
    text = node("1.7").replace(ADDRESS, f"/var/run/{ADDRESS.removeprefix('/run/')}")

    assert [] == names(judge(text.replace(ROOT, f"{ROOT}//"), "1.7"))


def test_every_finding_is_documented() -> None:
    """The table in the documentation has the names of all findings, and no other."""
    text = (Path(__file__).parents[3] / "docs" / "containerd.md").read_text()
    table = text.partition("| finding |")[2].partition("\n\n")[0]
    named = {name for row in table.splitlines() for name in row.split("|")[1:2]}
    documented = set(re.findall(r"`([a-z-]+)`", " ".join(named)))

    # These have tests of their own.
    found = {"proxy-missing", "import-newer-than-root", "import-pattern"}
    for trap in TRAPS.values():
        found.update(trap.found)
    assert found == documented


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "snapshot", "a\nb", "*"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
CONTENTS = [(way, tomllib.loads(node(*way))) for way in WAYS]


@given(st.data())
def test_any_shape_is_judged(data: st.DataObject) -> None:
    """Whatever stands where a table, a string or a number should, there is a report, no crash."""
    (release, pull), content = data.draw(st.sampled_from(CONTENTS))
    place = data.draw(st.sampled_from(places(content)))
    changed = place.replaced(content, data.draw(JUNK))
    more = data.draw(st.sampled_from([changed, content]))
    documents = [Document("/a", changed), Document("/b", more)]
    for named in (pull, None):
        report = check(documents, wanted(release, named))

        assert all("\n" not in finding.advice for finding in report.findings)
