"""Layers unpacked by containerd itself, onto whatever mounts."""

import contextlib
import subprocess
from collections.abc import Sequence

import attrs
import grpc

from cvmfs_snapshotter.domain.mounts import Mount
from cvmfs_snapshotter.proto.containerd.types import mount_pb2
from tests.harness.containerd import Containerd
from tests.harness.ctr import CtrError
from tests.harness.layers import Layer
from tests.proto.diff.v1 import diff_pb2, diff_pb2_grpc
from tests.proto.types.descriptor_pb2 import Descriptor

NAMESPACE = "differential"
_MEDIA_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
_SECONDS = 60.0
_TRIES = 20
_KEEP = "containerd.io/gc.root=2020-01-01T00:00:00Z"


@attrs.define(repr=False)
class Unpacker:
    """containerd's diff service.

    Attributes:
        containerd: a running one.
    """

    containerd: Containerd
    _channel: grpc.Channel
    _stub: diff_pb2_grpc.DiffStub
    _stored: set[str]

    @classmethod
    def connect(cls, containerd: Containerd) -> "Unpacker":
        """Connect to a containerd."""
        channel = grpc.insecure_channel(f"unix://{containerd.socket}")
        return cls(containerd, channel, diff_pb2_grpc.DiffStub(channel), set())

    def close(self) -> None:
        """Give up the connection."""
        self._channel.close()

    def apply(self, layer: Layer, mounts: Sequence[Mount]) -> None:
        """Unpack a layer onto mounts, as the unpacker of a pull does.

        Raises:
            grpc.RpcError: containerd cannot unpack it.
        """
        self._store(layer)
        request = diff_pb2.ApplyRequest(
            diff=Descriptor(media_type=_MEDIA_TYPE, digest=layer.digest, size=len(layer.blob)),
            mounts=[
                mount_pb2.Mount(type=m.type, source=m.source, options=m.options) for m in mounts
            ],
        )
        answer = self._stub.Apply(
            request, timeout=_SECONDS, metadata=(("containerd-namespace", NAMESPACE),)
        )
        assert layer.diff_id == answer.applied.digest

    def _store(self, layer: Layer) -> None:
        if layer.digest in self._stored:
            return
        # Nothing that containerd knows of refers to the blob: it may be collected before it is
        # labelled.
        for _ in range(_TRIES):
            self._ingest(layer)
            with contextlib.suppress(CtrError):
                self.containerd.ctr(NAMESPACE).run("content", "label", layer.digest, _KEEP)
                self._stored.add(layer.digest)
                return
        raise AssertionError(f"{layer.digest} does not stay in containerd's content store")

    def _ingest(self, layer: Layer) -> None:
        ctr = self.containerd.ctr(NAMESPACE)
        command: list[str] = [str(ctr.program), "--address", str(ctr.socket), "-n", NAMESPACE]
        subprocess.run(
            [*command, "content", "ingest", "--expected-digest", layer.digest, layer.digest],
            input=layer.blob,
            check=True,
            timeout=60,
        )
