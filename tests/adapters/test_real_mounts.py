"""Every shape of mounts that the domain can give, mounted for real."""

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

from cvmfs_snapshotter.adapters.directories import DiskDirectories
from cvmfs_snapshotter.adapters.kernel import overlay_options
from cvmfs_snapshotter.domain.layer import Digest, Layer
from cvmfs_snapshotter.domain.mounts import Layout, Mount, plan_mounts
from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot

NOBODY = 65534
TOP = 90


def snapshot(identifier: int, kind: Kind = Kind.COMMITTED, digest: str = "") -> Snapshot:
    """Make a snapshot, remote if it gets a digest."""
    return Snapshot(
        identifier=identifier,
        name=f"n{identifier}",
        parent_identifier=0,
        parent="",
        kind=kind,
        created_at=0,
        updated_at=0,
        labels={},
        layer=Layer("s", Digest(digest * 64)) if digest else None,
    )


@attrs.frozen
class Node:
    """A root directory, and a source that is mounted as a CVMFS client mounts a repository."""

    base: Path
    mounted: Path
    layout: Layout
    directories: DiskDirectories

    def local(self, identifier: int) -> Snapshot:
        """Make a local committed snapshot with a file of its own and one in a common place."""
        self.directories.create_active(identifier, (0, 0))
        self._fill(Path(self.layout.files(identifier)), identifier)
        return snapshot(identifier)

    def remote(self, identifier: int, digest: str) -> Snapshot:
        """Make a remote snapshot with the like, a setuid program and a catalog marker."""
        files = self.base / "source" / digest
        if not files.exists():
            files.mkdir()
            self._fill(files, identifier)
            (files / ".cvmfscatalog").touch()
            (files / ".cvmfsautocatalog").touch()
            shutil.copy(shutil.which("id") or "", files / "id")
            (files / "id").chmod(0o4755)
        return snapshot(identifier, digest=digest)

    def path_of(self, layer: Layer) -> str | None:
        """Tell where a layer is."""
        return str(self.mounted / layer.digest.hex[:1])

    @staticmethod
    def _fill(files: Path, identifier: int) -> None:
        (files / "common").write_text(str(identifier))
        (files / f"own{identifier}").touch()

    @contextmanager
    def mount(self, top: Snapshot, chain: Sequence[Snapshot]) -> Iterator[Path]:
        """Mount a snapshot as containerd would, for the time of the block."""
        target = self.base / "target"
        target.mkdir(exist_ok=True)
        if top.kind is Kind.ACTIVE:
            self.directories.create_active(top.identifier, (0, 0))
        elif not chain:
            self.directories.create_empty(top.identifier)
        plan = plan_mounts(top, chain, self.layout, self.path_of)
        for link in plan.links:
            path = link.path or f"../snapshots/{link.identifier}/fs"
            self.directories.link_layer(link.identifier, path)
        run_mount(plan.mounts[0], target)
        try:
            yield target
        finally:
            subprocess.run(["umount", target], check=True)


def run_mount(mount: Mount, target: Path) -> None:
    """Have mount(8) do what containerd does with mount(2)."""
    if mount.type == "bind":
        subprocess.run(["mount", "--rbind", mount.source, target], check=True)
        if "ro" in mount.options:
            subprocess.run(["mount", "-o", "remount,bind,ro", target], check=True)
        return
    options = ",".join(mount.options)
    subprocess.run(["mount", "-t", mount.type, mount.source, "-o", options, target], check=True)


@pytest.fixture(params=["mounted", "mounted,a:b"], ids=["direct", "links"])
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    """Give a node; its base may be entered by everybody, unlike pytest's own directories.

    Where the source is mounted cannot stand in the options of a mount, one time of two.
    """
    base = Path(tempfile.mkdtemp(prefix="mounts-"))
    base.chmod(0o755)
    directories = DiskDirectories(str(base / "root"))
    directories.prepare()
    mounted = base / request.param
    for path in (base / "source", mounted):
        path.mkdir()
    try:
        subprocess.run(["mount", "--bind", base / "source", mounted], check=True)
        try:
            flags = "remount,bind,ro,nosuid,nodev"
            subprocess.run(["mount", "-o", flags, mounted], check=True)
            layout = Layout(str(base / "root"), overlay_options())
            yield Node(base, mounted, layout, directories)
        finally:
            subprocess.run(["umount", mounted], check=True)
    finally:
        shutil.rmtree(base)


ACTIVE, VIEW = snapshot(TOP, Kind.ACTIVE), snapshot(TOP, Kind.VIEW)

CHAINS = {
    "nothing": "",
    "one local": "L",
    "two local": "LL",
    "three local": "LLL",
    "one remote": "a",
    "two remote": "ba",
    "local on remote": "La",
    "remote on local": "aL",
    "mixed": "LbLaL",
    "repeated at the bottom": "ba" + "a",
    "repeated on top": "aba",
    "repeated beside local": "aLa",
}
"""From the topmost down: ``L`` for a local snapshot, a digit for a remote one of that digest."""


def chain_of(node: Node, shape: str) -> list[Snapshot]:
    """Make the snapshots of a chain."""
    return [
        node.local(number) if letter == "L" else node.remote(number, letter)
        for number, letter in zip(range(len(shape), 0, -1), shape, strict=True)
    ]


@pytest.mark.parametrize("shape", CHAINS.values(), ids=CHAINS)
@pytest.mark.parametrize("top", [ACTIVE, VIEW], ids=["active", "view"])
def test_mount(node: Node, top: Snapshot, shape: str) -> None:
    """The kernel mounts every shape, and shows the files of all layers, the topmost first."""
    chain = chain_of(node, shape)
    contents = {path.name for letter in set(shape) - {"L"} for path in
                (node.base / "source" / letter).iterdir()}  # fmt: skip
    contents |= {f"own{each.identifier}" for each in chain if not each.remote}
    contents -= {".cvmfscatalog", ".cvmfsautocatalog"}
    if "L" in shape:
        contents.add("common")
    with node.mount(top, chain) as target:
        found = {path.name for path in target.iterdir()}
        assert contents == found
        if chain:
            assert files_of(node, chain[0], "common") == (target / "common").read_text()
        root = target.stat()
        assert (0o755, 0, 0) == (stat.S_IMODE(root.st_mode), root.st_uid, root.st_gid)
        assert writable(target) == (top.kind is Kind.ACTIVE)


def files_of(node: Node, each: Snapshot, name: str) -> str:
    """Read a file of a snapshot where it lies."""
    files = node.path_of(each.layer) if each.layer else node.layout.files(each.identifier)
    return (Path(files or "") / name).read_text()


def writable(target: Path) -> bool:
    """Tell whether files can be made there."""
    try:
        (target / "new").write_text("x")
    except OSError:
        return False
    return True


@pytest.mark.parametrize("shape", ["a", "ba", "La", "aL"])
@pytest.mark.parametrize("top", [ACTIVE, VIEW], ids=["active", "view"])
def test_setuid(node: Node, top: Snapshot, shape: str) -> None:
    """A setuid program of a source that is mounted nosuid works, for any user of the container."""
    with node.mount(top, chain_of(node, shape)) as target:
        assert "0" == effective_user(target / "id")
    assert str(NOBODY) == effective_user(node.mounted / "a/id")


def effective_user(program: Path) -> str:
    """Tell as which user a program runs that nobody starts."""
    run = subprocess.run(
        [str(program), "-u"], check=True, capture_output=True, text=True, user=NOBODY, group=NOBODY
    )
    return run.stdout.strip()


def test_markers_stay_hidden(node: Node) -> None:
    """A hidden marker cannot be opened by its name, and a container may make a file of it."""
    with node.mount(ACTIVE, chain_of(node, "ba")) as target:
        assert not (target / ".cvmfscatalog").exists()
        (target / ".cvmfscatalog").write_text("mine")

        assert "mine" == (target / ".cvmfscatalog").read_text()


def test_unmounted_snapshot_is_removed(node: Node) -> None:
    """After its use, also for changes of files below, the directory can be deleted."""
    with node.mount(ACTIVE, chain_of(node, "La")) as target:
        (target / "common").write_text("changed")
        (target / "id").unlink()
        work = Path(node.layout.work(TOP))
        assert os.listdir(work)  # noqa: PTH208 - not empty is enough
    node.directories.remove(TOP)

    assert not work.parent.exists()


def test_lost_layer(node: Node) -> None:
    """A layer that is gone fails the mount itself, so that nothing stands on sand."""
    chain = chain_of(node, "ba")
    shutil.rmtree(node.base / "source/a")
    with pytest.raises(subprocess.CalledProcessError), node.mount(ACTIVE, chain):
        pass


@pytest.mark.parametrize("node", ["mounted"], indirect=True)
@pytest.mark.parametrize("shape", ["L", "La", "aL"])
def test_both_sides_of_the_bound(node: Node, shape: str) -> None:
    """The longest chain that is named directly and the next, which needs links, show all."""

    def links(chain: Sequence[Snapshot]) -> int:
        return len(plan_mounts(ACTIVE, chain, node.layout, node.path_of).links)

    longer = chain_of(node, shape)
    while not links(longer):
        chain, longer = longer, [node.local(1000 + len(longer)), *longer]
    assert len(longer) == links(longer)
    for each in (chain, longer):
        own = {f"own{one.identifier}" for one in each}
        with node.mount(ACTIVE, each) as target:
            assert own <= {path.name for path in target.iterdir()}
            assert files_of(node, each[0], "common") == (target / "common").read_text()
        node.directories.remove(TOP)
