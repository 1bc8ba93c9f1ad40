import pytest

from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot
from cvmfs_snapshotter.entrypoints.rpc import convert
from cvmfs_snapshotter.proto.containerd.services.snapshots.v1 import snapshots_pb2


def _snapshot(number: int, *, labels: dict[str, str] | None = None) -> Snapshot:
    return Snapshot(number, f"n{number}", 0, "p", Kind.COMMITTED, 1, 2, labels or {})


@pytest.mark.parametrize(
    "nanoseconds", [0, 1, 999_999_999, 1_000_000_000, 1_795_601_234_123_456_789, 2**63 - 1, -1]
)
def test_times_are_exact(nanoseconds: int) -> None:
    """A moment keeps its nanoseconds, which a float of seconds would lose."""
    record = convert.info(Snapshot(1, "n", 0, "", Kind.ACTIVE, nanoseconds, nanoseconds, {}))
    stamp = record.created_at

    assert record.HasField("created_at")
    assert record.created_at == record.updated_at
    assert nanoseconds == stamp.seconds * 1_000_000_000 + stamp.nanos
    assert 0 <= stamp.nanos < 1_000_000_000


@pytest.mark.parametrize(("kind", "number"), [("VIEW", 1), ("ACTIVE", 2), ("COMMITTED", 3)])
def test_kinds_have_their_numbers(kind: str, number: int) -> None:
    """Each kind has its number on the wire."""
    snapshot = Snapshot(1, "n", 0, "", Kind[kind], 1, 2, {})

    assert number == convert.info(snapshot).kind


def test_a_batch_is_one_message() -> None:
    """A batch stays together, as containerd's own service sends it."""
    batch = [_snapshot(n) for n in range(100)]

    assert [100] == [len(page.info) for page in convert.pages(batch)]


def test_a_large_batch_is_divided() -> None:
    """No message comes near 16 MiB, where containerd would refuse it, and none gets lost."""
    labels = {f"k{n}": "x" * 4000 for n in range(50)}
    batch = [_snapshot(n, labels=labels) for n in range(100)]
    pages = list(convert.pages(batch))

    assert [f"n{n}" for n in range(100)] == [info.name for page in pages for info in page.info]
    assert all(page.ByteSize() < 5 << 20 for page in pages)


def test_no_batch_no_message() -> None:
    """An empty listing is a stream without messages."""
    assert [] == list(convert.pages([]))


def test_a_record_is_complete() -> None:
    """A record has all of its fields on the wire."""
    expected = snapshots_pb2.Info(
        name="n7", parent="p", kind=snapshots_pb2.COMMITTED, labels={"a": "b"}
    )
    expected.created_at.FromNanoseconds(1)
    expected.updated_at.FromNanoseconds(2)

    assert expected == convert.info(_snapshot(7, labels={"a": "b"}))
