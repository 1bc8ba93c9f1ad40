"""When the links that name lower directories are made, and that none is trusted."""

from functools import partial
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.memory import MemoryDirectories
from cvmfs_snapshotter.domain.errors import ResourceExhaustedError
from cvmfs_snapshotter.domain.layer import Layer
from cvmfs_snapshotter.domain.snapshot import Snapshot
from cvmfs_snapshotter.domain.usecases import upkeep

from .bench import Bench
from .snapshotter_contract import BLOB_1, DIFF_1, committed, lower_path, provided

ODD_PLACE = "/cvmfs/un,packed"
"""A mount point that cannot stand in the options of a mount."""


def link_of(bench: Bench, identifier: int) -> str:
    """Tell where the link of a snapshot leads to."""
    directories = bench.context.directories
    if isinstance(directories, MemoryDirectories):
        return directories.links[identifier]
    return str(Path(bench.context.layout.link(identifier)).readlink())


def remote_at(bench: Bench, place: str) -> Snapshot:
    """Provide a layer whose source is mounted at a place."""
    bench.sources.hosts["unpacked"] = place
    return bench.record(provided(bench, DIFF_1, BLOB_1).name)


class LinksContract:
    """The rules; a subclass gives the ``bench``."""

    def test_links_are_made_where_mounts_name_them(self, bench: Bench) -> None:
        """And made again, whatever a power cut or an older path of the source left there."""
        directories, layout = bench.context.directories, bench.context.layout
        remote = remote_at(bench, ODD_PLACE)
        local = bench.record(committed(bench, "base", remote.name))
        assert {local.identifier, remote.identifier} == {*directories.present()}
        bench.snapshotter.view("v", local.name, {})
        lowers = (layout.link(local.identifier), layout.hider, layout.link(remote.identifier))
        for again in (
            partial(bench.snapshotter.mounts, "v"),
            partial(bench.snapshotter.prepare, "k", local.name, {}),
            partial(bench.snapshotter.view, "w", local.name, {}),
        ):
            directories.link_layer(local.identifier, "/elsewhere")
            directories.remove(remote.identifier)

            assert f"lowerdir={':'.join(lowers)}" == again()[0].options[-1]
            assert lower_path(bench, remote) == link_of(bench, remote.identifier)
            assert f"../snapshots/{local.identifier}/fs" == link_of(bench, local.identifier)

    def test_no_link_is_made_for_nothing(self, bench: Bench) -> None:
        """A pull and a container on what it brought leave none."""
        remote = remote_at(bench, "/cvmfs/unpacked")
        local = bench.record(committed(bench, "base", remote.name))
        bench.snapshotter.prepare("k", local.name, {})
        bench.snapshotter.mounts("k")

        links = Path(bench.context.layout.root) / "l"
        directories = bench.context.directories
        assert remote.identifier not in directories.present()
        if isinstance(directories, MemoryDirectories):
            assert {} == directories.links
        else:
            assert ["s"] == [path.name for path in links.iterdir()]

    def test_a_link_that_leads_elsewhere_is_not_used(self, bench: Bench) -> None:
        """An earlier version made it, and the source has moved since."""
        remote = remote_at(bench, "/cvmfs/unpacked")
        bench.context.directories.link_layer(remote.identifier, "/elsewhere")
        bench.sources.hosts["unpacked"] = "/moved"
        mounts = bench.snapshotter.prepare("k", remote.name, {})

        assert mounts == bench.snapshotter.mounts("k")
        assert lower_path(bench, remote).startswith("/moved/")
        assert mounts[0].options[-1].endswith(f":{lower_path(bench, remote)}")

    def test_links_follow_a_source_that_moved(self, bench: Bench) -> None:
        """At the next start those that are there do, and no other is made."""
        upkeep.follow_sources(bench.context, {"unpacked": "/cvmfs/unpacked"})
        remote = remote_at(bench, "/cvmfs/unpacked")
        bench.sources.hosts["unpacked"] = "/moved"
        upkeep.follow_sources(bench.context, {"unpacked": "/moved"})
        assert remote.identifier not in bench.context.directories.present()

        bench.context.directories.link_layer(remote.identifier, lower_path(bench, remote))
        bench.sources.hosts["unpacked"] = "/again"
        upkeep.follow_sources(bench.context, {"unpacked": "/again"})
        assert lower_path(bench, remote) == link_of(bench, remote.identifier)
        assert bench.sources.path(Layer("unpacked", BLOB_1)) == lower_path(bench, remote)

    @pytest.mark.parametrize("operation", ["mounts", "prepare", "view"])
    def test_a_link_that_cannot_be_made(self, bench: Bench, operation: str) -> None:
        """Mounts that would name it are not answered."""
        remote = remote_at(bench, ODD_PLACE)
        bench.snapshotter.view("v", remote.name, {})
        directories = bench.context.directories
        directories.remove(remote.identifier)
        if isinstance(directories, MemoryDirectories):
            directories.failure = "full"
        else:
            Path(bench.context.layout.link(remote.identifier)).mkdir()

        arguments: tuple[object, ...] = ("v",) if operation == "mounts" else ("k", remote.name, {})
        with pytest.raises(ResourceExhaustedError):
            getattr(bench.snapshotter, operation)(*arguments)

    def test_a_chain_that_is_too_long_to_be_named_directly(self, bench: Bench) -> None:
        """Below the bound nothing has a link, and from there on everything has one."""
        layout, directories = bench.context.layout, bench.context.directories
        names = [committed(bench, "0")]
        while True:
            mounts = bench.snapshotter.prepare("k", names[-1], {})
            identifiers = [bench.record(name).identifier for name in reversed(names)]
            if layout.link(identifiers[0]) in mounts[0].options[-1]:
                break
            direct = ":".join(map(layout.files, identifiers))
            assert f"lowerdir={direct}" == mounts[0].options[-1]
            assert not any(directories.is_astray(each, "/elsewhere") for each in identifiers)
            names.append(f"{len(names)}")
            bench.snapshotter.commit(names[-1], "k", {}, "")

        assert f"lowerdir={':'.join(map(layout.link, identifiers))}" == mounts[0].options[-1]
        assert mounts == bench.snapshotter.mounts("k")
        for each in identifiers:
            assert f"../snapshots/{each}/fs" == link_of(bench, each)
