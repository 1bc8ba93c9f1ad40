"""The lines that are printed."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvmfs_snapshotter.entrypoints.containerd_config.check import check
from cvmfs_snapshotter.entrypoints.containerd_config.documents import Document
from cvmfs_snapshotter.entrypoints.containerd_config.releases import RELEASES, Pull
from cvmfs_snapshotter.entrypoints.containerd_config.snippet import NoSuchPullError, render
from cvmfs_snapshotter.entrypoints.containerd_config.wanted import Wanted
from tests.entrypoints.containerd_config.configurations import (
    ADDRESS,
    ROOT,
    WAYS,
    Leaf,
    judge,
    leaves,
    names,
    node,
    wanted,
)

PROXY = {"type": "snapshot", "address": ADDRESS, "exports": {"root": ROOT}}


def proxy(**exports: str) -> dict[str, Any]:
    """The table of proxy plugins."""
    return {"cvmfs-snapshotter": PROXY | {"exports": {"root": ROOT} | exports}}


@pytest.mark.parametrize("release", ["1.6", "1.7"])
def test_lines_for_1(release: str) -> None:
    """1.x has all settings of the CRI in one section, and no other way to pull."""
    expected = {
        "version": 2,
        "proxy_plugins": proxy(),
        "plugins": {
            "io.containerd.grpc.v1.cri": {
                "containerd": {
                    "snapshotter": "cvmfs-snapshotter",
                    "disable_snapshot_annotations": False,
                }
            }
        },
    }

    assert expected == tomllib.loads(render(wanted(release)))
    assert expected == tomllib.loads(render(wanted(release, None)))


@pytest.mark.parametrize("release", ["2.0", "2.1", "2.2", "2.3", "2.4"])
def test_lines_for_2_with_a_local_pull(release: str) -> None:
    """2.x has a section for images; from 2.1 on the local pull is asked for by name."""
    asked = {} if release == "2.0" else {"use_local_image_pull": True}
    expected = {
        "version": 3,
        "proxy_plugins": proxy(),
        "plugins": {
            "io.containerd.cri.v1.images": {
                "snapshotter": "cvmfs-snapshotter",
                "disable_snapshot_annotations": False,
                **asked,
            }
        },
    }

    assert expected == tomllib.loads(render(wanted(release)))


@pytest.mark.parametrize("release", ["2.1", "2.2", "2.3", "2.4"])
def test_lines_for_the_transfer_service(release: str) -> None:
    """The service is told to say which layer it wants, and keeps overlayfs beside our plugin."""
    entry = {"platform": "linux/amd64", "differ": "walking"}
    expected = {
        "version": 3,
        "proxy_plugins": proxy(enable_remote_snapshot_annotations="true"),
        "plugins": {
            "io.containerd.cri.v1.images": {"snapshotter": "cvmfs-snapshotter"},
            "io.containerd.transfer.v1.local": {
                "unpack_config": [
                    {"snapshotter": "cvmfs-snapshotter"} | entry,
                    {"snapshotter": "overlayfs"} | entry,
                ]
            },
        },
    }

    assert expected == tomllib.loads(render(wanted(release, Pull.TRANSFER)))


@pytest.mark.parametrize("release", ["1.6", "1.7", "2.0"])
def test_releases_without_the_transfer_service(release: str) -> None:
    """Where the service cannot say which layer it wants, its lines are refused with a reason."""
    with pytest.raises(
        NoSuchPullError, match=rf"containerd {release} .*--pull local; 2\.1 to 2\.4"
    ):
        render(wanted(release, Pull.TRANSFER))


@pytest.mark.parametrize(("release", "pull"), WAYS)
def test_no_line_is_too_long_and_none_advertises_a_capability(release: str, pull: Pull) -> None:
    """The text fits a terminal, and says which releases no test has started."""
    text = render(wanted(release, pull))

    assert max(map(len, text.splitlines())) <= 99
    assert "capabilities =" not in text
    tried = RELEASES[release].tried
    assert (f"Tested with containerd {tried}." if tried else "not tested") in text


@pytest.mark.parametrize(("release", "pull"), WAYS)
def test_nothing_is_wrong_with_the_lines(release: str, pull: Pull) -> None:
    """They pass the check, alone and beside the rest of a node's file, named or not."""
    for text in (render(wanted(release, pull)), node(release, pull)):
        for named in (pull, None):
            report = judge(text, release, named)

            assert [] == names(report)
            assert () == report.notes
            assert pull == report.pull


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1),
    st.sampled_from(WAYS),
)
def test_any_path_is_quoted(name: str, way: tuple[str, Pull]) -> None:
    """Whatever a path holds, it comes back when the lines are read."""
    for_it = Wanted(RELEASES[way[0]], f"/{name}", f"/{name}/r", "linux/amd64", way[1])

    ours = tomllib.loads(render(for_it))["proxy_plugins"]["cvmfs-snapshotter"]
    assert f"/{name}" == ours["address"]
    assert f"/{name}/r" == ours["exports"]["root"]


# What containerd does alike without: the release says the same by a warning, or by its default.
OPTIONAL = {
    ("plugins", "io.containerd.cri.v1.images", "use_local_image_pull"),
    ("plugins", "io.containerd.transfer.v1.local", "unpack_config", 1, "differ"),
}
OPTIONAL_FROM_22 = OPTIONAL | {
    ("plugins", "io.containerd.transfer.v1.local", "unpack_config", 0, "differ")
}
NEEDED = [
    (release, pull, leaf)
    for release, pull in WAYS
    for leaf in leaves(tomllib.loads(render(wanted(release, pull))))
    if leaf.path not in (OPTIONAL if release == "2.1" else OPTIONAL_FROM_22)
]


@pytest.mark.parametrize(
    ("release", "pull", "leaf"),
    NEEDED,
    ids=[f"{release}-{pull.value}-{leaf.path}" for release, pull, leaf in NEEDED],
)
def test_every_line_is_needed(release: str, pull: Pull, leaf: Leaf) -> None:
    """Without any one of the lines, or with another value in it, something is found."""
    content = tomllib.loads(render(wanted(release, pull)))
    others: tuple[object, ...] = ("other", 5, [], {})
    for changed in (leaf.without(content), *(leaf.replaced(content, one) for one in others)):
        assert check([Document("/c", changed)], wanted(release, pull)).findings


@pytest.mark.parametrize(("release", "pull"), WAYS)
def test_every_table_is_needed(release: str, pull: Pull) -> None:
    """Nor can any table be left out."""
    content = tomllib.loads(render(wanted(release, pull)))
    for key in ("proxy_plugins", "plugins"):
        for name in content[key]:
            changed = Leaf((key, name)).without(content)

            assert check([Document("/c", changed)], wanted(release, pull)).findings
