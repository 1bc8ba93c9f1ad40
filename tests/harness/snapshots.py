"""Snapshots through containerd's metadata layer, in any of its namespaces.

The CRI works in one namespace only, and `ctr` of containerd 1.x sends no labels. So the requests
that containerd's unpacker makes during a pull are made here, at containerd's own socket: they pass
its metadata layer as those of a pull do.
"""

import subprocess
from pathlib import Path
from typing import Self

import attrs
import grpc

from cvmfs_snapshotter.proto.containerd.services.snapshots.v1 import (
    snapshots_pb2,
    snapshots_pb2_grpc,
)
from cvmfs_snapshotter.proto.containerd.types.mount_pb2 import Mount
from tests.harness.images import Image
from tests.harness.layers import Layer
from tests.harness.mounts import mounted

TIMEOUT = 60.0

# The object is in use though nothing that containerd knows of refers to it.
KEEP = {"containerd.io/gc.root": "2020-01-01T00:00:00Z"}


@attrs.frozen
class Snapshots:
    """One snapshotter of containerd in one namespace.

    All calls raise `grpc.RpcError` when containerd refuses. What is made stays until it is
    removed; with a lease, until the lease is.
    """

    snapshotter: str
    _stub: snapshots_pb2_grpc.SnapshotsStub
    _metadata: tuple[tuple[str, str], ...]
    _channel: grpc.Channel
    _keep: dict[str, str]

    @classmethod
    def connect(cls, socket: Path, namespace: str, snapshotter: str, lease: str = "") -> Self:
        """Make a client of the containerd at `socket`.

        Args:
            lease: Identifier of a lease that keeps what is made.
        """
        channel = grpc.insecure_channel(f"unix://{socket}")
        stub = snapshots_pb2_grpc.SnapshotsStub(channel)
        metadata = [("containerd-namespace", namespace)]
        if lease:
            metadata.append(("containerd-lease", lease))
        return cls(snapshotter, stub, tuple(metadata), channel, {} if lease else KEEP)

    def close(self) -> None:
        """Give up the connection."""
        self._channel.close()

    def prepare(self, key: str, parent: str, labels: dict[str, str] | None = None) -> list[Mount]:
        """Make a writable snapshot; tell its mounts."""
        request = snapshots_pb2.PrepareSnapshotRequest(
            snapshotter=self.snapshotter,
            key=key,
            parent=parent,
            labels=self._keep | (labels or {}),
        )
        answer = self._stub.Prepare(request, timeout=TIMEOUT, metadata=self._metadata)
        return list(answer.mounts)

    def view(self, key: str, parent: str, labels: dict[str, str] | None = None) -> list[Mount]:
        """Make a read-only snapshot; tell its mounts."""
        request = snapshots_pb2.ViewSnapshotRequest(
            snapshotter=self.snapshotter,
            key=key,
            parent=parent,
            labels=self._keep | (labels or {}),
        )
        answer = self._stub.View(request, timeout=TIMEOUT, metadata=self._metadata)
        return list(answer.mounts)

    def commit(self, name: str, key: str, labels: dict[str, str] | None = None) -> None:
        """Turn a writable snapshot into a committed one."""
        request = snapshots_pb2.CommitSnapshotRequest(
            snapshotter=self.snapshotter, name=name, key=key, labels=self._keep | (labels or {})
        )
        self._stub.Commit(request, timeout=TIMEOUT, metadata=self._metadata)

    def stat(self, key: str) -> snapshots_pb2.Info:
        """Tell what containerd knows of a snapshot."""
        request = snapshots_pb2.StatSnapshotRequest(snapshotter=self.snapshotter, key=key)
        return self._stub.Stat(request, timeout=TIMEOUT, metadata=self._metadata).info

    def usage(self, key: str) -> tuple[int, int]:
        """Tell how many bytes and inodes a snapshot takes by itself."""
        request = snapshots_pb2.UsageRequest(snapshotter=self.snapshotter, key=key)
        answer = self._stub.Usage(request, timeout=TIMEOUT, metadata=self._metadata)
        return answer.size, answer.inodes

    def keys(self) -> list[str]:
        """Tell the keys of all snapshots of this namespace."""
        request = snapshots_pb2.ListSnapshotsRequest(snapshotter=self.snapshotter)
        answers = self._stub.List(request, timeout=TIMEOUT, metadata=self._metadata)
        return [info.name for answer in answers for info in answer.info]

    def remove(self, key: str) -> None:
        """Remove a snapshot."""
        request = snapshots_pb2.RemoveSnapshotRequest(snapshotter=self.snapshotter, key=key)
        self._stub.Remove(request, timeout=TIMEOUT, metadata=self._metadata)

    def unpack(
        self, image: Image, reference: str, scratch: Path, *, local: int = 0, unique: str = "0"
    ) -> list[str]:
        """Do for an image what the unpacker of containerd does in a pull.

        Nothing keeps two that unpack the same layer from one another: that is left to the client
        in containerd too (the duplication suppressor of the CRI and of the transfer service).

        Args:
            reference: Of the image.
            scratch: An existing empty directory to mount snapshots at.
            local: So many of the lowest layers are prepared without labels, and so become local
                ones, as with `ctr`.
            unique: Tells those apart that unpack at the same time.

        Returns:
            "remote" or "unpacked" for each layer, the lowest first.
        """
        outcomes = []
        parent = ""
        for index, (layer, target) in enumerate(zip(image.layers, image.chain_ids, strict=True)):
            labels = {} if index < local else _labels(image, reference, index)
            key = f"extract-{index}-{unique} {target}"
            try:
                mounts = self.prepare(key, parent, labels)
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                    raise
                self.stat(target)
                outcomes.append("remote")
            else:
                _extract(layer, mounts, scratch)
                self._commit_unless_there(target, key, labels)
                outcomes.append("unpacked")
            parent = target
        return outcomes

    def _commit_unless_there(self, target: str, key: str, labels: dict[str, str]) -> None:
        try:
            self.commit(target, key, labels)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                raise
            self.remove(key)


def _labels(image: Image, reference: str, index: int) -> dict[str, str]:
    """Make the labels of a layer as clients of a remote snapshotter send them."""
    return {
        "containerd.io/snapshot.ref": image.chain_ids[index],
        "containerd.io/snapshot/cri.image-ref": reference,
        "containerd.io/snapshot/cri.manifest-digest": image.manifest_digest,
        "containerd.io/snapshot/cri.layer-digest": image.layers[index].digest,
        "containerd.io/snapshot/cri.image-layers": ",".join(
            layer.digest for layer in image.layers[index:]
        ),
    }


def _extract(layer: Layer, mounts: list[Mount], scratch: Path) -> None:
    """Unpack a layer that has no whiteouts into a snapshot."""
    if any("/.wh." in f"/{entry.path}" for entry in layer.entries):
        raise ValueError(f"{layer.digest} has whiteouts")
    with mounted(mounts, scratch):
        tar = ("tar", "--extract", "--preserve-permissions", "--numeric-owner", "--file=-")
        subprocess.run(tar, input=layer.archive, cwd=scratch, check=True)
