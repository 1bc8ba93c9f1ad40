"""Servers that hold many snapshots already."""

import hashlib
import subprocess
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import attrs

from cvmfs_snapshotter.adapters.sqlite import SqliteStore, open_store
from cvmfs_snapshotter.domain import labels as label_rules
from cvmfs_snapshotter.domain.layer import Digest, Layer
from cvmfs_snapshotter.domain.ports.store import Transaction
from cvmfs_snapshotter.domain.snapshot import Snapshot, provide
from cvmfs_snapshotter.entrypoints.root import database_path

from . import client
from .servers import Server, running, wait_until_at_rest
from .stand import DISK, TMPFS, Stand

DEPTH = 20
_BATCH = 2_000
_NOW = 1_700_000_000_000_000_000


def with_remote_layers(stand: Stand, count: int) -> Server:
    """Make our daemon on disk with so many remote snapshots, in chains as images have them.

    They are written through the store itself, on tmpfs, and copied: what it takes to make them is
    not what is measured.

    Args:
        stand: Has the layers.
        count: How many snapshots.

    Returns:
        The daemon, not running; the same one for the same number.
    """
    name = f"with-{count}"
    directory = stand.directory(DISK, name)
    if directory.exists():
        return Server.ours(directory, stand.source)
    filled = stand.directory(TMPFS, f"{name}-filled")
    with running(Server.ours(filled, stand.source)):
        pass
    root = filled / "root"
    store = open_store(Path(database_path(str(root))))
    try:
        _fill(store, stand, count)
    finally:
        store.close()
    directory.mkdir()
    subprocess.run(["cp", "-a", root, directory / "root"], check=True)
    subprocess.run(["rm", "-rf", filled], check=True)
    subprocess.run(["sync", "--file-system", directory], check=True)
    return Server.ours(directory, stand.source)


def with_local_layers(server: Server, count: int) -> None:
    """Make a running server unpack so many layers, with the same labels on every server.

    Args:
        server: Running.
        count: How many.
    """
    client.fill(server.socket, "prepare-commit", count, callers=8, prefix="there")
    wait_until_at_rest(server)


def _fill(store: SqliteStore, stand: Stand, count: int) -> None:
    snapshots = _chains(store, stand)
    for start in range(0, count, _BATCH):
        batch = list(islice(snapshots, min(_BATCH, count - start)))

        def insert(transaction: Transaction, batch: Sequence[Snapshot] = batch) -> None:
            for snapshot in batch:
                transaction.insert(snapshot)

        store.write(insert)


def _chains(store: SqliteStore, stand: Stand) -> Iterator[Snapshot]:
    parent: Snapshot | None = None
    number = 0
    while True:
        digest = stand.layers[number % len(stand.layers)].digest.removeprefix("sha256:")
        # No chain ID that the client asks for: what it makes is new on every server.
        target = Digest(hashlib.sha256(f"chain {number}".encode()).hexdigest())
        given = {label_rules.TARGET: str(target), label_rules.LAYER_DIGEST: f"sha256:{digest}"}
        snapshot = provide(
            Layer("bench", Digest(digest)),
            target,
            None if number % DEPTH == 0 else parent,
            given,
            now=_NOW,
        )
        parent = attrs.evolve(snapshot, identifier=store.new_identifier())
        yield parent
        number += 1
