"""Generated stores: the real containerd writes them, and tells what is in them."""

import itertools
from collections.abc import Iterator, Mapping

import attrs
import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvmfs_snapshotter.adapters.bolt import read_storage
from cvmfs_snapshotter.adapters.directories.old import OldDirectories
from cvmfs_snapshotter.domain import labels as label_rules
from cvmfs_snapshotter.domain.filters import Pins
from cvmfs_snapshotter.domain.importing import REMOTE
from cvmfs_snapshotter.domain.layer import Digest
from cvmfs_snapshotter.domain.snapshot import Kind
from cvmfs_snapshotter.domain.usecases.import_snapshots import plan_import, record_import
from cvmfs_snapshotter.proto.containerd.services.snapshots.v1 import snapshots_pb2
from tests.contract.bench import Bench, in_memory
from tests.harness import parts
from tests.harness.containerd import Containerd
from tests.harness.snapshots import Snapshots
from tests.harness.workspace import Workspace

KINDS = {
    snapshots_pb2.VIEW: Kind.VIEW,
    snapshots_pb2.ACTIVE: Kind.ACTIVE,
    snapshots_pb2.COMMITTED: Kind.COMMITTED,
}
REFUSALS = {
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
}
OURS = (label_rules.MARKER, label_rules.TARGET)

_numbers = itertools.count(1)
_names = st.integers(0, 5)
_operations = st.tuples(
    st.sampled_from(["prepare", "prepare", "view", "commit", "commit", "provide", "remove"]),
    _names,
    _names,
    st.dictionaries(
        st.sampled_from(["a", "b", "ä"]).map("containerd.io/snapshot/{}".format),
        st.text(st.characters(codec="utf-8"), max_size=5),
        max_size=2,
    ),
)


@pytest.fixture(scope="module")
def containerd(base: Workspace) -> Iterator[Containerd]:
    """Give a containerd without our daemon."""
    made = Containerd.make(
        parts.find(), base.base / "g", base.cgroup, registry="127.0.0.1:1", sandbox="none"
    )
    made.start()
    # The database is not there before the first call.
    client = Snapshots.connect(made.socket, "first", "overlayfs")
    client.prepare("first", "")
    client.close()
    yield made
    made.stop()


@attrs.frozen
class Writer:
    """Writes a store by containerd's API; what containerd refuses does not happen."""

    client: Snapshots
    bench: Bench

    def do(self, operation: str, one: int, other: int, labels: dict[str, str]) -> None:
        """Do one operation, on names that meet often."""
        try:
            self._do(operation, f"n{one}", f"n{other}" if other else "", labels)
        except grpc.RpcError as error:
            if error.code() not in REFUSALS:
                raise

    def _do(self, operation: str, name: str, other: str, labels: dict[str, str]) -> None:
        match operation:
            case "prepare":
                self.client.prepare(name, other, labels)
            case "view":
                self.client.view(name, other, labels)
            case "commit":
                self.client.commit(other or "n0", name, labels)
            case "provide":
                digest = Digest(f"{next(_numbers):064x}")
                self.bench.sources.publish("unpacked", digest)
                labels = labels | {
                    REMOTE: "remote snapshot",
                    label_rules.TARGET: str(digest),
                    label_rules.LAYER_DIGEST: str(digest),
                }
                self.client.prepare("extract", other, labels)
                try:
                    self.client.commit(name, "extract", labels)
                except grpc.RpcError:
                    self.client.remove("extract")
                    raise
            case _:
                self.client.remove(name)


@given(operations=st.lists(_operations, max_size=25))
def test_what_containerd_has_is_what_is_imported(
    containerd: Containerd, operations: list[tuple[str, int, int, dict[str, str]]]
) -> None:
    """Names, parents, kinds, labels and usage, of whatever chains and trees there are."""
    namespace = f"g{next(_numbers)}"
    client = Snapshots.connect(containerd.socket, namespace, "overlayfs")
    directory = containerd.directory / "root/io.containerd.snapshotter.v1.overlayfs"
    with in_memory() as bench:
        writer = Writer(client, bench)
        for operation in operations:
            writer.do(*operation)
        found = [
            record
            for record in read_storage(directory / "metadata.db")
            if record.name.startswith(f"{namespace}/")
        ]
        files = OldDirectories(str(directory), "/none").files([r.identifier for r in found], ())
        plan = plan_import(bench.context, found, files, 5.0)
        record_import(bench.context, plan)
        recorded = bench.store.read(lambda r: r.page(Pins(), None, 1000))

    # What was removed stays in the store until containerd's garbage collection: a name that was
    # given again is there twice, the later one under the greater number.
    ours = {_short(s.name): s for s in sorted(recorded, key=lambda s: int(s.name.split("/")[1]))}
    keys = set(client.keys())
    assert set() == keys - set(ours)
    for key in keys:
        snapshot = ours[key]
        info = client.stat(key)
        assert (info.parent, KINDS[info.kind]) == (_short(snapshot.parent), snapshot.kind)
        assert _without(info.labels) == _without(snapshot.labels)
        assert (REMOTE in info.labels) == snapshot.remote
        if snapshot.kind is Kind.COMMITTED and not snapshot.remote:
            assert snapshot.usage is not None
            assert client.usage(key) == (snapshot.usage.size, snapshot.usage.inodes)
    client.close()


def _short(name: str) -> str:
    return name.split("/", 2)[2] if name else ""


def _without(labels: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in labels.items() if k not in OURS and k != "containerd.io/gc.root"}
