"""A state directory with snapshots of every sort, and a terminal to look at it."""

import hashlib
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeAlias

import attrs
import pytest

from cvmfs_snapshotter.adapters import kernel
from cvmfs_snapshotter.adapters.directories import DiskDirectories
from cvmfs_snapshotter.adapters.sqlite import open_store
from cvmfs_snapshotter.adapters.sqlite.migrate import prepare_database
from cvmfs_snapshotter.domain import labels as label_rules
from cvmfs_snapshotter.domain.companions import Companion
from cvmfs_snapshotter.domain.layer import Digest, Layer, chain_id
from cvmfs_snapshotter.domain.ports.store import Transaction
from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot, Usage, provided_name
from cvmfs_snapshotter.entrypoints.cli import main
from cvmfs_snapshotter.entrypoints.root import database_path

SECOND = 10**9
MORNING = 1_800_000_000 * SECOND
CONTAINER = "k8s.io/7/5f1d0c7a9e2b"

Run: TypeAlias = Callable[..., tuple[int, str, str]]


def digest(text: str) -> Digest:
    """Give the digest of a text."""
    return Digest(hashlib.sha256(text.encode()).hexdigest())


BOTTOM = digest("diff 1")
TOP = chain_id(BOTTOM, digest("diff 2"))
OWN = chain_id(TOP, digest("diff 3"))


def remote(identifier: int, target: Digest, parent: Snapshot | None, text: str) -> Snapshot:
    """Give a snapshot whose layer is on a source."""
    below = parent.identifier if parent else 0
    layer = Layer("unpacked", digest(text))
    return Snapshot(
        identifier=identifier,
        name=provided_name(str(target), below),
        parent_identifier=below,
        parent=parent.name if parent else "",
        kind=Kind.COMMITTED,
        created_at=MORNING,
        updated_at=MORNING,
        labels={label_rules.TARGET: str(target), label_rules.MARKER: str(layer.digest)},
        layer=layer,
        usage=Usage(0, 0),
    )


def local(identifier: int, name: str, parent: Snapshot, kind: Kind) -> Snapshot:
    """Give a snapshot on the local disk."""
    return Snapshot(
        identifier=identifier,
        name=name,
        parent_identifier=parent.identifier,
        parent=parent.name,
        kind=kind,
        created_at=MORNING + 60 * SECOND,
        updated_at=MORNING + 60 * SECOND,
        labels={},
    )


FIRST = remote(1, BOTTOM, None, "layer 1")
SECOND_LAYER = attrs.evolve(
    remote(2, TOP, FIRST, "layer 2"), companion=Companion(3, above=True, below=True)
)
THIRD = attrs.evolve(
    local(4, f"k8s.io/5/{OWN}", SECOND_LAYER, Kind.COMMITTED),
    labels={label_rules.TARGET: str(OWN)},
    usage=Usage(5 << 20, 12),
)
ACTIVE = local(5, CONTAINER, THIRD, Kind.ACTIVE)
VIEW = local(6, "k8s.io/9/look", SECOND_LAYER, Kind.VIEW)
EVERYTHING = (FIRST, SECOND_LAYER, THIRD, ACTIVE, VIEW)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a state directory with two remote layers, a local one, a container and a view."""
    root = tmp_path / "root"
    root.mkdir(mode=0o700)
    record(root, *EVERYTHING)
    directories = DiskDirectories(str(root))
    directories.prepare()
    for snapshot in (THIRD, ACTIVE):
        directories.create_active(snapshot.identifier, (0, 0))
    (root / "snapshots" / "5" / "fs" / "log").write_bytes(b"x" * 5000)
    return root


def record(root: Path, *snapshots: Snapshot) -> None:
    """Add records."""

    def insert(transaction: Transaction) -> None:
        for snapshot in snapshots:
            transaction.insert(snapshot)
            if snapshot.companion is not None:
                transaction.add_companion(snapshot.companion, snapshot.name)

    path = Path(database_path(str(root)))
    if not path.exists():
        path.write_bytes(_empty_database())
        path.chmod(0o600)
    store = open_store(path)
    store.write(lambda t: t.keep_source_path("unpacked", "/cvmfs/unpacked.cern.ch"))
    store.write(insert)
    store.close()


@cache
def _empty_database() -> bytes:
    # Making one takes longer than all else that a test here does.
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "new.sqlite"
        prepare_database(path)
        return path.read_bytes()


@pytest.fixture
def run(root: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Give a terminal: what runs a command on the state directory."""
    monkeypatch.setattr(kernel, "overlay_options", lambda: ("index=off",))

    def run_command(command: str, *arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        status = main([command, "--root", str(root), *arguments])
        printed = capfd.readouterr()
        return status, printed.out, printed.err

    return run_command
