"""What can be taken over from a snapshotter in Go."""

from collections.abc import Callable, Mapping

import attrs
import pytest

from cvmfs_snapshotter.adapters.memory import MemoryClock, MemoryDirectories, MemoryStore
from cvmfs_snapshotter.domain import labels as label_rules
from cvmfs_snapshotter.domain.companions import Directory, Names
from cvmfs_snapshotter.domain.importing import REMOTE, Files, ImportPlan, Obstacle, Recorded
from cvmfs_snapshotter.domain.layer import Digest, Layer, Reason, chain_id
from cvmfs_snapshotter.domain.snapshot import NOTHING_LOCAL, Kind, Usage
from cvmfs_snapshotter.domain.usecases.import_snapshots import plan_import, record_import
from tests.contract.bench import Bench, in_memory

DIFF_1, DIFF_2 = Digest("1" * 64), Digest("2" * 64)
CHAIN_2 = chain_id(DIFF_1, DIFF_2)
LAYER_1, LAYER_2 = Layer("unpacked", Digest("a" * 64)), Layer("unpacked", Digest("b" * 64))
PLAIN = Names(entries=1)
WITH_WHITEOUT = Names(
    entries=2, markers=(b".wh.gone",), directories=(Directory(b"", 0o755, 0, 0, 0),)
)


def record(
    identifier: int,
    name: str,
    parent: str = "",
    *,
    kind: Kind = Kind.COMMITTED,
    layer: Layer | None = None,
    target: Digest | None = None,
) -> Recorded:
    """Make a record; with a layer, that of a remote snapshot."""
    labels = {"own": name}
    if layer is not None:
        labels |= {REMOTE: "remote snapshot", label_rules.LAYER_DIGEST: str(layer.digest)}
    if target is not None:
        labels[label_rules.TARGET] = str(target)
    return Recorded(identifier, name, parent, kind, 10, 20, labels, Usage(100, identifier))


REMOTE_1 = record(1, str(DIFF_1), layer=LAYER_1, target=DIFF_1)
REMOTE_2 = record(2, str(CHAIN_2), str(DIFF_1), layer=LAYER_2, target=CHAIN_2)
LOCAL_3 = record(3, "local", str(CHAIN_2))
ACTIVE_4 = record(4, "container", "local", kind=Kind.ACTIVE)
VIEW_5 = record(5, "view", "local", kind=Kind.VIEW)
ALL = (ACTIVE_4, VIEW_5, LOCAL_3, REMOTE_2, REMOTE_1)


def publish(bench: Bench, layer: Layer, names: Names = PLAIN) -> None:
    """Put a layer on its source."""
    bench.sources.publish(layer.source, layer.digest, names=names)


def plan(bench: Bench, *records: Recorded, files: Mapping[int, Files] | None = None) -> ImportPlan:
    """Plan; the files of local snapshots are there, and layers mounted."""
    usual = {r.identifier: Files.MOUNTED if REMOTE in r.labels else Files.THERE for r in records}
    return plan_import(bench.context, records, usual | dict(files or {}), 5.0)


def obstacles(planned: ImportPlan) -> dict[str, tuple[Obstacle, bool]]:
    """Give what is in the way, by name."""
    return {one.record.name: (one.obstacle, one.final) for one in planned.left_out}


def test_all_of_it() -> None:
    """Whatever the order: names, parents, kinds, times, labels and usage stay as they were."""
    with in_memory() as bench:
        for layer in (LAYER_1, LAYER_2):
            publish(bench, layer)
        planned = plan(bench, *ALL)
        record_import(bench.context, planned)
        found = {r.name: bench.record(r.name) for r in ALL}

    assert () == planned.left_out
    assert {3, 4, 5} == set(planned.directories)
    for before in ALL:
        after = found[before.name]
        assert before.identifier == after.identifier
        assert (before.parent, before.kind) == (after.parent, after.kind)
        assert (10, 20) == (after.created_at, after.updated_at)
        extra = {label_rules.MARKER: str(after.layer.digest)} if after.layer else {}
        assert {**before.labels, **extra} == after.labels
    assert [LAYER_1, LAYER_2] == [found[r.name].layer for r in (REMOTE_1, REMOTE_2)]
    assert (NOTHING_LOCAL, Usage(100, 3)) == (
        found[REMOTE_1.name].usage,
        found[LOCAL_3.name].usage,
    )
    assert found[ACTIVE_4.name].usage is None
    directories = bench.context.directories
    assert isinstance(directories, MemoryDirectories)
    assert {} == directories.links


def test_companions_are_shared_and_numbers_are_free() -> None:
    """Layers with whiteouts get companions, and what comes later other numbers."""
    with in_memory() as bench:
        publish(bench, LAYER_1, WITH_WHITEOUT)
        other = record(9, "twin", layer=LAYER_1, target=DIFF_2)
        record_import(bench.context, plan(bench, REMOTE_1, other))
        one, two = bench.record(REMOTE_1.name).companion, bench.record("twin").companion
        later = bench.store.new_identifier()

    assert one is not None
    assert one == two
    assert 9 < one.number < later
    assert [one.number] == list(bench.context.companions.present())


def test_a_layer_that_is_nowhere() -> None:
    """It keeps all above it from being taken over, for good."""
    with in_memory() as bench:
        publish(bench, LAYER_1)
        planned = plan(bench, *ALL)

    assert [REMOTE_1.name] == [one.snapshot.name for one in planned.imported]
    above = dict.fromkeys(("local", "container", "view"), (Obstacle.ABOVE, True))
    assert {REMOTE_2.name: (Obstacle.NO_LAYER, True)} | above == obstacles(planned)


def test_a_source_that_is_down() -> None:
    """That passes, so that nothing is left out for it."""
    with in_memory() as bench:
        publish(bench, LAYER_1)
        bench.sources.faults["unpacked"] = Reason.DISCONNECTED
        planned = plan(bench, REMOTE_1, record(3, "above", REMOTE_1.name))

    assert {
        REMOTE_1.name: (Obstacle.SOURCE, False),
        "above": (Obstacle.ABOVE, False),
    } == obstacles(planned)


@pytest.mark.parametrize("refusing", [True, False])
def test_a_source_that_is_down_beside_one_that_has_it_not(*, refusing: bool) -> None:
    """It may have the layer, whether the first one refuses its own or has none."""
    with in_memory() as bench:
        bench.sources.hosts["other"] = "/cvmfs/other"
        if refusing:
            bench.sources.publish("unpacked", LAYER_1.digest, diff_id=DIFF_2)
        bench.sources.faults["other"] = Reason.DISCONNECTED
        down = plan(bench, REMOTE_1)
        bench.sources.faults.clear()
        up = plan(bench, REMOTE_1)

    assert {REMOTE_1.name: (Obstacle.SOURCE, False)} == obstacles(down)
    assert "on source 'other' (disconnected)" in down.left_out[0].detail
    assert {REMOTE_1.name: (Obstacle.NO_LAYER, True)} == obstacles(up)


def test_a_source_that_is_down_is_not_asked_again() -> None:
    """One that hangs would otherwise hang the command once for each layer."""
    with in_memory() as bench:
        bench.sources.faults["unpacked"] = Reason.DISCONNECTED
        other = record(2, "other", layer=LAYER_2, target=DIFF_2)
        planned = plan(bench, REMOTE_1, other)

    assert {"other", REMOTE_1.name} == set(obstacles(planned))
    assert [LAYER_1] == bench.sources.asked
    assert "not asked, after source 'unpacked' failed" == planned.left_out[1].detail


def test_a_layer_that_takes_long_to_read() -> None:
    """It is asked for again, since the reading goes on meanwhile."""
    with in_memory() as bench:
        publish(bench, LAYER_1)
        bench.sources.unscannable.add(LAYER_1)
        patient = attrs.evolve(bench.context, clock=_Then(3, bench.sources.unscannable.clear))
        planned = plan_import(patient, [REMOTE_1], {1: Files.MOUNTED}, 5.0)

    assert [REMOTE_1.name] == [one.snapshot.name for one in planned.imported]


def test_a_layer_that_takes_too_long() -> None:
    """At some time the command says so; that passes."""
    with in_memory() as bench:
        publish(bench, LAYER_1)
        bench.sources.unscannable.add(LAYER_1)
        planned = plan(bench, REMOTE_1)

    assert {REMOTE_1.name: (Obstacle.SOURCE, False)} == obstacles(planned)


class _Then(MemoryClock):
    """A clock that has something happen when it is looked at for some time."""

    def __init__(self, tries: int, happens: Callable[[], None]) -> None:
        super().__init__()
        self._happens = happens
        self._tries = tries

    def monotonic(self) -> float:
        self._tries -= 1
        if self._tries == 0:
            self._happens()
        return super().monotonic()


def test_a_source_that_goes_down_meanwhile() -> None:
    """What was to stand on a layer that was there is not taken over; that passes."""
    with in_memory() as bench:
        for layer in (LAYER_1, LAYER_2):
            publish(bench, layer)

        def fail() -> None:
            bench.sources.faults["unpacked"] = Reason.DISCONNECTED

        failing = attrs.evolve(bench.context, clock=_Then(2, fail))
        records = [REMOTE_1, REMOTE_2, record(3, "other", layer=LAYER_2, target=DIFF_2)]
        planned = plan_import(failing, records, dict.fromkeys((1, 2, 3), Files.MOUNTED), 5.0)

    assert [REMOTE_1.name] == [one.snapshot.name for one in planned.imported]
    second, other = planned.left_out
    assert (Obstacle.SOURCE, False) == (second.obstacle, second.final)
    assert f"layer {LAYER_1.digest} at" in second.detail
    assert other.detail.startswith("not asked, after ")


def test_a_remote_one_without_a_target() -> None:
    """Its name says which chain it is, behind whatever prefix."""
    bare = record(1, f"k8s.io/4/{DIFF_1}", layer=LAYER_1)
    with in_memory() as bench:
        publish(bench, LAYER_1)
        record_import(bench.context, plan(bench, bare))

        assert str(DIFF_1) == bench.record(bare.name).target


@pytest.mark.parametrize("labels", [{}, {label_rules.LAYER_DIGEST: "sha256:short"}])
def test_a_remote_one_without_a_digest(labels: dict[str, str]) -> None:
    """Nobody can say which layer it is."""
    nameless = attrs.evolve(REMOTE_1, labels={REMOTE: "remote snapshot", **labels})
    with in_memory() as bench:
        planned = plan(bench, nameless)

    assert {REMOTE_1.name: (Obstacle.NO_LAYER, True)} == obstacles(planned)


def test_the_label_alone_makes_no_remote_one() -> None:
    """The author of an image can set it: files that are there are somebody's."""
    claimed = attrs.evolve(REMOTE_1, labels={REMOTE: "x"})
    with in_memory() as bench:
        planned = plan(bench, claimed, files={1: Files.THERE})

    assert (1,) == planned.directories
    assert not planned.imported[0].snapshot.remote


@pytest.mark.parametrize("files", [Files.EMPTY, Files.GONE])
def test_mounts_of_layers_do_not_outlive_a_reboot(files: Files) -> None:
    """Then the place of the files is empty, and the snapshot still a remote one."""
    with in_memory() as bench:
        publish(bench, LAYER_1)
        planned = plan(bench, REMOTE_1, files={1: files})

    assert [LAYER_1] == [one.snapshot.layer for one in planned.imported]


@pytest.mark.parametrize("kind", [Kind.COMMITTED, Kind.ACTIVE, Kind.VIEW])
def test_files_that_are_gone(kind: Kind) -> None:
    """As after SIGTERM. A view of something has none that it could lose."""
    with in_memory() as bench:
        bottom = record(1, "bottom", kind=kind)
        base, view = record(2, "base"), record(3, "view", "base", kind=Kind.VIEW)
        gone = {1: Files.GONE, 3: Files.GONE}
        planned = plan(bench, bottom, base, view, files=gone)

    assert {"bottom": (Obstacle.FILES_GONE, True)} == obstacles(planned)
    assert (2,) == planned.directories
    assert ["base", "view"] == [one.snapshot.name for one in planned.imported]


def test_one_that_was_being_made() -> None:
    """A layer is mounted on it and nothing is committed: containerd will ask again."""
    with in_memory() as bench:
        planned = plan(bench, record(1, "extract", kind=Kind.ACTIVE), files={1: Files.MOUNTED})

    assert {"extract": (Obstacle.HALF_MADE, True)} == obstacles(planned)


@pytest.mark.parametrize(
    ("records", "bad"),
    [
        ([record(1, "a", "nothing")], {"a"}),
        ([record(1, "a", "b"), record(2, "b", "a")], {"a", "b"}),
        ([record(1, "a", "a")], {"a"}),
        ([record(1, "a", kind=Kind.ACTIVE), record(2, "b", "a")], {"b"}),
        ([record(1, "a"), record(1, "b")], {"a", "b"}),
        ([record(0, "a")], {"a"}),
        ([attrs.evolve(record(1, "a"), labels={"k": "v" * 5000})], {"a"}),
        (
            [
                record(1, "a", layer=LAYER_1, target=DIFF_1),
                record(2, "b", layer=LAYER_1, target=DIFF_1),
            ],
            {"b"},
        ),
    ],
    ids=["parent", "circle", "itself", "active", "twice", "zero", "labels", "same-target"],
)
def test_records_that_contradict(records: list[Recorded], bad: set[str]) -> None:
    """Nothing is guessed; what is sound beside them is taken."""
    with in_memory() as bench:
        publish(bench, LAYER_1)
        planned = plan(bench, *records)

    assert bad == set(obstacles(planned))
    assert {r.name for r in records} - bad == {one.snapshot.name for one in planned.imported}


def test_nothing_is_recorded_by_a_plan() -> None:
    """What layers are like may be kept, snapshots and directories not."""
    with in_memory() as bench:
        assert isinstance(bench.store, MemoryStore)
        for layer in (LAYER_1, LAYER_2):
            publish(bench, layer, WITH_WHITEOUT)
        plan(bench, *ALL)

        assert ([], [], []) == bench.everything()
