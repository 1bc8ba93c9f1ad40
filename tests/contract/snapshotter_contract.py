"""What a snapshotter answers, whatever it stands on and however it is called."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import attrs
import pytest

from cvmfs_snapshotter.adapters.directories import DiskDirectories
from cvmfs_snapshotter.adapters.memory import MemoryDirectories
from cvmfs_snapshotter.domain import labels as label_rules
from cvmfs_snapshotter.domain.companions import Directory, Names, plan
from cvmfs_snapshotter.domain.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
    SnapshotterError,
    UnavailableError,
)
from cvmfs_snapshotter.domain.events import (
    CleanedUp,
    DirectoryMade,
    LayerDecided,
    OrphansFound,
    OwnersLost,
    SnapshotCommitted,
)
from cvmfs_snapshotter.domain.layer import Digest, Hit, Miss, Reason, Trouble, chain_id
from cvmfs_snapshotter.domain.mounts import Mount
from cvmfs_snapshotter.domain.policy import ImpliedDirectories, Ownership, Policy, Whiteouts
from cvmfs_snapshotter.domain.ports.snapshotter import Snapshotter
from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot, Usage
from cvmfs_snapshotter.domain.usecases import upkeep

from .bench import Bench

DIFF_1, DIFF_2, DIFF_3 = (Digest(c * 64) for c in "123")
BLOB_1, BLOB_2, BLOB_3 = (Digest(c * 64) for c in "abc")
CHAIN_2 = chain_id(DIFF_1, DIFF_2)
CHAIN_3 = chain_id(CHAIN_2, DIFF_3)

ROOT_DIRECTORY = Directory(b"", 0o755, 0, 0, 5)
WITH_WHITEOUT = Names(
    entries=2,
    markers=(b"etc/.wh.passwd",),
    directories=(ROOT_DIRECTORY, Directory(b"etc", 0o755, 0, 0, 5)),
    owners=((0, 0),),
)
IMPLIED = Names(
    entries=1,
    directories=(ROOT_DIRECTORY, Directory(b"tmp", 0o755, 7, 7, 5)),
    implied=(b"tmp",),
    owners=((0, 0), (7, 7)),
)
LOST = Names(entries=1, owners=((999, 999),))
ODD = 'k8s.io/7/extract-1 "x", \\ é sha256:0\0'


def pull_labels(target: Digest | str, blob: Digest | str = BLOB_1, **more: str) -> dict[str, str]:
    """Give the labels of a Prepare during a pull."""
    return {label_rules.TARGET: str(target), label_rules.LAYER_DIGEST: str(blob), **more}


def containerd_filter(target: Digest, parent: str) -> str:
    """Spell the filter of the List that containerd sends after each remote layer."""
    quoted = parent.replace("\\", "\\\\").replace('"', '\\"').replace("\0", "\\x00")
    return f'labels."containerd.io/snapshot.ref"=={target},parent=="{quoted}"'


def listed(snapshotter: Snapshotter, *filters: str) -> list[Snapshot]:
    """Give a whole listing."""
    return [snapshot for batch in snapshotter.list(filters) for snapshot in batch]


def committed(bench: Bench, name: str, parent: str = "", **labels: str) -> str:
    """Make a committed local snapshot."""
    bench.snapshotter.prepare(f"key of {name}", parent, {})
    bench.snapshotter.commit(name, f"key of {name}", labels, "")
    return name


def provided_again(bench: Bench, target: Digest, blob: Digest) -> Snapshot:
    """Ask for a layer that is published, and give what containerd finds then."""
    with pytest.raises(AlreadyExistsError, match="provided"):
        bench.snapshotter.prepare("extract", "", pull_labels(target, blob))
    return listed(bench.snapshotter, containerd_filter(target, ""))[0]


def provided(
    bench: Bench, target: Digest, blob: Digest, parent: str = "", key: str = "extract"
) -> Snapshot:
    """Publish a layer, ask for it as containerd does, and give what containerd finds then."""
    bench.sources.publish("unpacked", blob)
    with pytest.raises(AlreadyExistsError, match="provided"):
        bench.snapshotter.prepare(f"{key} {target}", parent, pull_labels(target, blob))
    return listed(bench.snapshotter, containerd_filter(target, parent))[0]


@contextmanager
def unchanged(bench: Bench) -> Iterator[None]:
    """Check that the block changes nothing."""
    before = bench.everything()
    yield
    assert before == bench.everything()


def refused(bench: Bench, error: type[SnapshotterError], call: Callable[[], object]) -> str:
    """Check that a call is refused and changes nothing; give the message."""
    with unchanged(bench), pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    assert str(caught.value)
    return str(caught.value)


def start(bench: Bench) -> None:
    """Do what the daemon does before it serves."""
    upkeep.adopt_orphans(bench.context)
    upkeep.discard_unrecorded_companions(bench.context)


def lower_path(bench: Bench, snapshot: Snapshot) -> str:
    """Tell how a snapshot is named as lower directory where no link is needed."""
    if snapshot.layer is None:
        return bench.context.layout.files(snapshot.identifier)
    path = bench.sources.path(snapshot.layer)
    assert path is not None
    return path


def last_decision(bench: Bench) -> LayerDecided:
    """Give the newest decision on a layer."""
    return [e for e in bench.events.recorded if isinstance(e, LayerDecided)][-1]


class SnapshotterContract:
    """The rules of the port; a subclass gives the ``bench``."""

    # Prepare and View

    @pytest.mark.parametrize("key", ["k", ODD, "x" * 32768])
    def test_prepare_makes_an_active_snapshot(self, bench: Bench, key: str) -> None:
        """It stands on nothing, is bound writable, and keeps its labels without empty ones."""
        mounts = bench.snapshotter.prepare(key, "", {"a": "1", "b": "", "é\0": "x y"})
        found = bench.snapshotter.stat(key)

        identifier = bench.record(key).identifier
        path = bench.context.layout.files(identifier)
        assert (Mount("bind", path, ("rw", "rbind")),) == mounts
        assert (Kind.ACTIVE, key, "", {"a": "1", "é\0": "x y"}) == (
            found.kind,
            found.name,
            found.parent,
            found.labels,
        )
        assert (bench.clock.now(),) * 2 == (found.created_at, found.updated_at)

    def test_view_makes_a_read_only_snapshot(self, bench: Bench) -> None:
        """A view of one local snapshot is a read-only bind of that one's files."""
        base = committed(bench, "base")
        mounts = bench.snapshotter.view("v", base, {})

        path = bench.context.layout.files(bench.record(base).identifier)
        assert (Mount("bind", path, ("ro", "rbind")),) == mounts
        assert Kind.VIEW is bench.snapshotter.stat("v").kind
        assert "base" == bench.snapshotter.stat("v").parent

    def test_a_view_of_nothing_can_be_mounted(self, bench: Bench) -> None:
        """Its own empty directory is bound read-only."""
        mounts = bench.snapshotter.view("v", "", {})
        identifier = bench.record("v").identifier

        assert (Mount("bind", bench.context.layout.files(identifier), ("ro", "rbind")),) == mounts
        assert identifier in bench.context.directories.present()

    @pytest.mark.parametrize("operation", ["prepare", "view"])
    def test_refusals_of_prepare_and_view(self, bench: Bench, operation: str) -> None:
        """Empty key, missing or uncommitted parent, taken key: each has its own error."""
        make = getattr(bench.snapshotter, operation)
        committed(bench, "base")
        bench.snapshotter.prepare("active", "", {})
        bench.snapshotter.view("view", "base", {})

        refused(bench, InvalidArgumentError, lambda: make("", "", {}))
        refused(bench, InvalidArgumentError, lambda: make("x" * 32769, "", {}))
        refused(bench, NotFoundError, lambda: make("k", "none", {}))
        refused(bench, InvalidArgumentError, lambda: make("k", "active", {}))
        refused(bench, InvalidArgumentError, lambda: make("k", "view", {}))
        for taken in ("active", "view", "base"):
            refused(bench, AlreadyExistsError, partial(make, taken, "base", {}))
        long = {"k": "x" * 4096}
        assert "4096" in refused(bench, InvalidArgumentError, lambda: make("k", "", long))
        # The parent is looked at before the key, as in containerd's own storage.
        refused(bench, NotFoundError, lambda: make("active", "none", {}))
        refused(bench, InvalidArgumentError, lambda: make("active", "view", {}))

    def test_mappings_that_cannot_be_meant_are_refused(self, bench: Bench) -> None:
        """A wrong owner would be worse than no snapshot."""
        labels = {label_rules.UID_MAPPING: "0:x:1", label_rules.GID_MAPPING: "0:1:1"}

        refused(bench, InvalidArgumentError, lambda: bench.snapshotter.prepare("k", "", labels))

    @pytest.mark.parametrize("wrong", ["0:x:1", "", "1:0:1", "0:4294967295:2", "0:0:1,"])
    def test_an_annotation_does_not_keep_an_image_from_being_pulled(
        self, bench: Bench, wrong: str
    ) -> None:
        """Mappings in a pull come from the image; those that cannot be meant are passed over."""
        labels = {
            label_rules.TARGET: "sha256:" + "a" * 64,
            label_rules.UID_MAPPING: wrong,
            label_rules.GID_MAPPING: "0:5:1",
        }
        mounts = bench.snapshotter.prepare("k", "", labels)

        assert ("rw", "rbind") == mounts[0].options
        assert labels.items() >= bench.record("k").labels.items()

    def test_a_chain_is_stacked_from_the_top(self, bench: Bench) -> None:
        """Lower directories are named directly, the topmost first."""
        committed(bench, "1")
        committed(bench, "2", "1")
        mounts = bench.snapshotter.prepare("k", "2", {})

        lowers = [bench.context.layout.files(bench.record(name).identifier) for name in "21"]
        assert "overlay" == mounts[0].type
        assert f"lowerdir={':'.join(lowers)}" == mounts[0].options[-1]

    # Mounts

    def test_mounts_answers_as_prepare_did(self, bench: Bench) -> None:
        """Asking again gives the same."""
        base = committed(bench, "base")
        for key, made in (
            ("a", bench.snapshotter.prepare("a", base, {})),
            ("v", bench.snapshotter.view("v", base, {})),
            ("e", bench.snapshotter.prepare("e", "", {})),
        ):
            assert made == bench.snapshotter.mounts(key)

    def test_refusals_of_mounts(self, bench: Bench) -> None:
        """A committed snapshot has none, and an unknown key is not found."""
        committed(bench, "base")

        refused(bench, FailedPreconditionError, lambda: bench.snapshotter.mounts("base"))
        refused(bench, NotFoundError, lambda: bench.snapshotter.mounts("none"))
        refused(bench, InvalidArgumentError, lambda: bench.snapshotter.mounts(""))

    # Commit

    def test_commit_renames_and_starts_anew(self, bench: Bench) -> None:
        """The key is gone, labels are replaced, times are those of the commit."""
        bench.snapshotter.prepare("k", "", {"old": "1"})
        bench.clock.nanoseconds += 5
        bench.snapshotter.commit("n", "k", {"new": "2", "empty": ""}, "")
        found = bench.snapshotter.stat("n")

        assert (Kind.COMMITTED, {"new": "2"}) == (found.kind, found.labels)
        assert (bench.clock.now(),) * 2 == (found.created_at, found.updated_at)
        refused(bench, NotFoundError, lambda: bench.snapshotter.stat("k"))
        bench.snapshotter.prepare("k", "n", {})

    def test_refusals_of_commit(self, bench: Bench) -> None:
        """Each has the error of containerd's own storage."""
        commit = bench.snapshotter.commit
        committed(bench, "base")
        bench.snapshotter.prepare("active", "base", {})
        bench.snapshotter.prepare("free", "", {})
        bench.snapshotter.view("view", "base", {})

        refused(bench, InvalidArgumentError, lambda: commit("", "active", {}, ""))
        refused(bench, InvalidArgumentError, lambda: commit("n", "", {}, ""))
        refused(bench, AlreadyExistsError, lambda: commit("base", "active", {}, ""))
        refused(bench, AlreadyExistsError, lambda: commit("active", "active", {}, ""))
        refused(bench, AlreadyExistsError, lambda: commit("base", "none", {}, ""))
        refused(bench, NotFoundError, lambda: commit("n", "none", {}, ""))
        refused(bench, FailedPreconditionError, lambda: commit("n", "view", {}, ""))
        refused(bench, FailedPreconditionError, lambda: commit("n", "base", {}, ""))
        refused(bench, InvalidArgumentError, lambda: commit("n", "active", {}, "other"))
        refused(bench, NotFoundError, lambda: commit("n", "free", {}, "none"))
        refused(bench, FailedPreconditionError, lambda: commit("n", "free", {}, "view"))
        refused(bench, InvalidArgumentError, lambda: commit("n", "free", {"k": "x" * 4096}, ""))

    def test_commit_may_name_the_parent(self, bench: Bench) -> None:
        """One without parent gets it, one with that parent keeps it, and it counts as a child."""
        committed(bench, "base")
        bench.snapshotter.prepare("k", "", {})
        bench.snapshotter.commit("rebased", "k", {}, "base")
        bench.snapshotter.prepare("l", "base", {})
        bench.snapshotter.commit("same", "l", {}, "base")

        assert ["base"] * 2 == [bench.snapshotter.stat(n).parent for n in ("rebased", "same")]
        bench.snapshotter.remove("same")
        refused(bench, FailedPreconditionError, lambda: bench.snapshotter.remove("base"))

    # Remove and Cleanup

    def test_remove_leaves_the_directory_to_cleanup(self, bench: Bench) -> None:
        """The record goes at once, the directory with the next Cleanup, the identifier never."""
        bench.snapshotter.prepare("k", "", {})
        identifier = bench.record("k").identifier
        bench.snapshotter.remove("k")

        assert [] == listed(bench.snapshotter)
        assert identifier in bench.context.directories.present()
        bench.snapshotter.cleanup()
        assert ([], [], []) == bench.everything()
        bench.snapshotter.prepare("k", "", {})
        assert bench.record("k").identifier > identifier
        bench.snapshotter.cleanup()
        assert bench.record("k").identifier in bench.context.directories.present()

    def test_a_cleanup_tells_what_it_did(self, bench: Bench) -> None:
        """One event says how many directories are gone."""
        for key in ("a", "b"):
            bench.snapshotter.prepare(key, "", {})
            bench.snapshotter.remove(key)
        bench.snapshotter.cleanup()
        bench.snapshotter.cleanup()

        done = [e for e in bench.events.recorded if isinstance(e, CleanedUp)]
        assert [(2, 0), (0, 0)] == [(e.directories, e.companions) for e in done]
        assert all(e.seconds >= 0 for e in done)

    def test_a_hit_above_a_local_layer(self, bench: Bench) -> None:
        """A decision says whether something below the layer had to be downloaded."""
        provided(bench, DIFF_1, BLOB_1)
        assert not last_decision(bench).above_local
        committed(bench, "local")
        provided(bench, CHAIN_2, BLOB_2, "local")
        assert last_decision(bench).above_local

    def test_refusals_of_remove(self, bench: Bench) -> None:
        """What others stand on stays, and what is not there is not found."""
        committed(bench, "base")
        bench.snapshotter.view("v", "base", {})

        refused(bench, FailedPreconditionError, lambda: bench.snapshotter.remove("base"))
        refused(bench, NotFoundError, lambda: bench.snapshotter.remove("none"))
        refused(bench, InvalidArgumentError, lambda: bench.snapshotter.remove(""))
        bench.snapshotter.remove("v")
        bench.snapshotter.remove("base")
        refused(bench, NotFoundError, lambda: bench.snapshotter.remove("base"))

    def test_many_removed_snapshots_go_in_one_pass(self, bench: Bench) -> None:
        """Cleanup works through all of them, batch by batch."""
        for number in range(250):
            bench.snapshotter.prepare(f"k{number}", "", {})
        for number in range(250):
            bench.snapshotter.remove(f"k{number}")
        bench.snapshotter.cleanup()

        assert ([], [], []) == bench.everything()

    # Stat, Usage

    def test_unknown_keys_are_not_found(self, bench: Bench) -> None:
        """Every operation on a key says so in the same way."""
        s = bench.snapshotter
        for call in (s.stat, s.usage, s.mounts, s.remove):
            assert "'none'" in refused(bench, NotFoundError, partial(call, "none"))
            refused(bench, InvalidArgumentError, partial(call, ""))

    def test_usage_is_counted_until_it_is_recorded(self, bench: Bench) -> None:
        """An active or just committed snapshot is counted; a recorded figure stays as it is."""
        bench.snapshotter.prepare("k", "", {})
        before = bench.snapshotter.usage("k")
        bench.snapshotter.commit("n", "k", {}, "")

        assert before == bench.snapshotter.usage("n")
        assert [bench.record("n").identifier] == [
            e.identifier for e in bench.events.recorded if isinstance(e, SnapshotCommitted)
        ]
        assert 1 == upkeep.measure_some(bench.context)
        assert 0 == upkeep.measure_some(bench.context)
        bench.store.write(lambda t: t.measure(bench.record("n").identifier, Usage(12345, 6)))
        assert Usage(12345, 6) == bench.snapshotter.usage("n")

    def test_one_that_cannot_be_measured_does_not_stop_the_others(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The trouble is told once the others are measured."""
        first, second = (bench.record(committed(bench, n)).identifier for n in ("a", "b"))
        plain = bench.context.directories.usage

        def usage(identifier: int) -> Usage:
            if identifier == first:
                raise ResourceExhaustedError("it cannot be read")
            return plain(identifier)

        monkeypatch.setattr(type(bench.context.directories), "usage", lambda _, i: usage(i))
        with pytest.raises(ResourceExhaustedError, match="cannot be read"):
            upkeep.measure_some(bench.context)
        assert [first] == list(bench.store.read(lambda r: r.unmeasured(10)))
        assert second not in bench.store.read(lambda r: r.unmeasured(10))

    def test_directories_without_a_record_are_found_at_start(self, bench: Bench) -> None:
        """Leftovers go with the next Cleanup; those never given stay, start after start."""
        left = bench.store.new_identifier()
        bench.context.directories.create_empty(left)
        bench.context.directories.create_empty(10**6)
        for _ in range(3):
            upkeep.adopt_orphans(bench.context)
            bench.snapshotter.cleanup()
            assert [10**6] == sorted(bench.context.directories.present())
        bench.snapshotter.prepare("k", "", {})
        assert bench.record("k").identifier > 10**6

    def test_views_and_remote_layers_take_nothing(self, bench: Bench) -> None:
        """What lies on a source is not local, and a view has nothing of its own."""
        remote = provided(bench, DIFF_1, BLOB_1)
        bench.snapshotter.view("v", remote.name, {})

        assert Usage(0, 0) == bench.snapshotter.usage(remote.name)
        assert Usage(0, 0) == bench.snapshotter.usage("v")

    # Update

    def test_update_replaces_sets_and_deletes(self, bench: Bench) -> None:
        """No path or ``labels`` replaces, ``labels.<key>`` sets, and no value deletes."""
        update = bench.snapshotter.update
        bench.snapshotter.prepare("k", "", {"a": "1", "b": "2"})
        bench.clock.nanoseconds += 5

        after = update("k", {"a": "9"}, ["labels.a", "labels.b", "labels.containerd.io/gc.root"])
        assert {"a": "9"} == after.labels
        assert bench.clock.now() == after.updated_at
        assert bench.clock.now() - 5 == after.created_at
        assert {"c": "3"} == update("k", {"c": "3", "d": ""}, ["labels"]).labels
        assert {"e": "5"} == update("k", {"e": "5"}, []).labels
        assert {} == update("k", {}, []).labels
        assert after.name == bench.snapshotter.stat("k").name

    def test_refusals_of_update(self, bench: Bench) -> None:
        """A field that cannot be changed, a label too long, an unknown or empty name."""
        update = bench.snapshotter.update
        bench.snapshotter.prepare("k", "", {"a": "1"})

        for path in ("name", "kind", "parent", "labels.", "lables"):
            refused(bench, InvalidArgumentError, partial(update, "k", {}, [path]))
        refused(bench, InvalidArgumentError, lambda: update("k", {}, ["labels.a", "created_at"]))
        refused(bench, InvalidArgumentError, lambda: update("k", {"k": "x" * 4096}, []))
        refused(bench, InvalidArgumentError, lambda: update("", {}, []))
        refused(bench, NotFoundError, lambda: update("none", {}, []))

    # List

    @pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
    def test_list_comes_in_batches(self, bench: Bench, count: int) -> None:
        """At most a hundred at a time, none of them empty, all of them once."""
        for number in range(count):
            bench.snapshotter.prepare(f"k{number}", "", {"even": str(number % 2 == 0)})
        batches = [list(batch) for batch in bench.snapshotter.list(())]

        assert [f"k{n}" for n in range(count)] == [s.name for b in batches for s in b]
        assert all(1 <= len(batch) <= 100 for batch in batches)
        found = [list(batch) for batch in bench.snapshotter.list(["labels.even==none"])]
        assert [] == [batch for batch in found if batch]
        even = listed(bench.snapshotter, "labels.even==True")
        assert [f"k{n}" for n in range(0, count, 2)] == [s.name for s in even]

    @pytest.mark.parametrize(
        ("filters", "expected"),
        [
            ([], ["base", "top", "a"]),
            ([""], ["base", "top", "a"]),
            (["kind==committed"], ["base", "top"]),
            (["kind==committed,labels.x"], ["top"]),
            (["kind==active", "name==base"], ["base", "a"]),
            (['parent==""'], ["base", "a"]),
            (["parent==base"], ["top"]),
            (["parent!=base"], ["base", "a"]),
            (["parent==none"], []),
            (["name==none"], []),
            (['name=="top"'], ["top"]),
            (["name==top,kind==active"], []),
            (['labels."x"==y'], ["top"]),
            (["labels.x!=y"], ["base", "a"]),
            (["name~=^(base|a)$"], ["base", "a"]),
            (["name~=["], []),
        ],
    )
    def test_list_filters(self, bench: Bench, filters: list[str], expected: list[str]) -> None:
        """The language is containerd's; see the tests of the domain for all of it."""
        committed(bench, "base")
        committed(bench, "top", "base", x="y")
        bench.snapshotter.prepare("a", "", {})

        assert expected == [s.name for s in listed(bench.snapshotter, *filters)]

    @pytest.mark.parametrize("text", [" ", "name==", "name=x", "name==a,", "labels..x", '"'])
    def test_malformed_filters_are_refused(self, bench: Bench, text: str) -> None:
        """With the place where they are, also as one of several."""
        message = refused(bench, InvalidArgumentError, lambda: listed(bench.snapshotter, text))
        assert "malformed" in message
        refused(bench, InvalidArgumentError, lambda: listed(bench.snapshotter, "kind", text))

    # Remote layers

    def test_a_published_layer_is_provided(self, bench: Bench) -> None:
        """The committed snapshot carries all labels and is found as containerd looks for it."""
        bench.sources.publish("unpacked", BLOB_1, DIFF_1)
        labels = pull_labels(DIFF_1, containerd="x", **{"containerd.io/snapshot/a": "b"})
        with pytest.raises(AlreadyExistsError, match="provided"):
            bench.snapshotter.prepare("extract", "", labels)
        found = listed(bench.snapshotter, containerd_filter(DIFF_1, ""))

        assert [Kind.COMMITTED] == [s.kind for s in found]
        assert {**labels, label_rules.MARKER: str(BLOB_1)} == found[0].labels
        assert found[0] == bench.snapshotter.stat(found[0].name)
        refused(bench, NotFoundError, lambda: bench.snapshotter.stat("extract"))
        assert isinstance(last_decision(bench).outcome, Hit)
        assert [] == sorted(bench.context.directories.present())

    def test_a_pull_of_three_layers(self, bench: Bench) -> None:
        """A local layer may lie between remote ones; the container stands on all of them."""
        bottom = provided(bench, DIFF_1, BLOB_1)
        labels = pull_labels(CHAIN_2, BLOB_2)
        mounts = bench.snapshotter.prepare("extract 2", bottom.name, labels)
        bench.snapshotter.commit(f"k8s.io/9/{CHAIN_2}", "extract 2", labels, "")
        top = provided(bench, CHAIN_3, BLOB_3, f"k8s.io/9/{CHAIN_2}")
        container = bench.snapshotter.prepare("container", top.name, {})

        layout = bench.context.layout
        names = (top.name, f"k8s.io/9/{CHAIN_2}", bottom.name)
        third, second, first = (lower_path(bench, bench.record(n)) for n in names)
        assert f"lowerdir={layout.hider}:{first}" == mounts[0].options[-1]
        assert f"lowerdir={layout.hider}:{third}:{second}:{first}" == container[0].options[-1]

    def test_a_remote_layer_is_never_bound_or_alone(self, bench: Bench) -> None:
        """A view of it is an overlay with a local lower directory."""
        remote = provided(bench, DIFF_1, BLOB_1)
        mounts = bench.snapshotter.view("v", remote.name, {})

        layout = bench.context.layout
        path = lower_path(bench, bench.record(remote.name))
        assert [Mount("overlay", "overlay", (f"lowerdir={layout.hider}:{path}",))] == list(mounts)

    def test_one_target_under_two_parents_is_two_snapshots(self, bench: Bench) -> None:
        """containerd compares parents by name, and a second namespace has others."""
        one = provided(bench, DIFF_1, BLOB_1)
        two = committed(bench, f"other/1/{DIFF_1}")
        on_one = provided(bench, CHAIN_2, BLOB_2, one.name)
        on_two = provided(bench, CHAIN_2, BLOB_2, two)

        assert on_one.name != on_two.name
        assert [one.name, two] == [on_one.parent, on_two.parent]

    def test_a_remote_snapshot_comes_before_local_ones(self, bench: Bench) -> None:
        """containerd takes the first that fits, and that must be the one it was promised."""
        labels = pull_labels(DIFF_1)
        bench.snapshotter.prepare("k", "", labels)
        bench.snapshotter.commit(f"k8s.io/1/{DIFF_1}", "k", labels, "")
        remote = provided(bench, DIFF_1, BLOB_1)

        found = listed(bench.snapshotter, containerd_filter(DIFF_1, ""))
        assert [remote.name, f"k8s.io/1/{DIFF_1}"] == [s.name for s in found]

    def test_asking_again_gives_the_same_snapshot(self, bench: Bench) -> None:
        """A second namespace or a second pull gets what is there already, and no second one."""
        first = provided(bench, DIFF_1, BLOB_1)
        before = bench.everything()
        again = provided(bench, DIFF_1, BLOB_1, key="another")

        assert first == again
        assert before == bench.everything()

    def test_a_removed_layer_is_provided_again(self, bench: Bench) -> None:
        """A re-pull after removal stays remote, before and after Cleanup."""
        for number in range(3):
            remote = provided(bench, DIFF_1, BLOB_1, key=f"pull {number}")
            bench.snapshotter.remove(remote.name)
            if number:
                bench.snapshotter.cleanup()
        assert ([], [], []) == bench.everything()

    @pytest.mark.parametrize("callers", [20])
    def test_many_at_once_end_in_one_snapshot(self, bench: Bench, callers: int) -> None:
        """Every one of them hears that the layer is there."""
        bench.sources.publish("unpacked", BLOB_1)
        heard: list[type[BaseException]] = []

        def ask(number: int) -> None:
            try:
                bench.snapshotter.prepare(f"extract {number}", "", pull_labels(DIFF_1))
            except SnapshotterError as error:
                heard.append(type(error))

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [AlreadyExistsError] * callers == heard
        snapshots, tombstones, directories = bench.everything()
        assert 1 == len(snapshots)
        assert [] == tombstones
        assert [] == directories

    def test_a_taken_key_is_refused_before_any_layer_is_provided(self, bench: Bench) -> None:
        """Otherwise the caller could not tell the two apart."""
        bench.snapshotter.prepare("k", "", {})
        bench.sources.publish("unpacked", BLOB_1)

        message = refused(
            bench,
            AlreadyExistsError,
            lambda: bench.snapshotter.prepare("k", "", pull_labels(DIFF_1)),
        )
        assert "provided" not in message

    @pytest.mark.parametrize(
        ("labels", "reason"),
        [
            (pull_labels(DIFF_1, BLOB_2), Reason.ABSENT),
            ({label_rules.TARGET: str(DIFF_1)}, Reason.NO_DIGEST),
            (pull_labels("sha256:x"), Reason.BAD_TARGET),
            (pull_labels(f"SHA256:{DIFF_1.hex}"), Reason.BAD_TARGET),
            (pull_labels(DIFF_1, "sha512:" + "a" * 128), Reason.BAD_DIGEST),
            (pull_labels(DIFF_1, BLOB_1.hex), Reason.BAD_DIGEST),
            (pull_labels(DIFF_1, "sha256:" + "A" * 64), Reason.BAD_DIGEST),
            (pull_labels(DIFF_1, "sha256:" + "a" * 63), Reason.BAD_DIGEST),
            (pull_labels(DIFF_1, "sha256:../../" + "a" * 58), Reason.BAD_DIGEST),
            (pull_labels(DIFF_1, "sha256:" + "a" * 63 + "\0"), Reason.BAD_DIGEST),
            (pull_labels(DIFF_1, ":"), Reason.BAD_DIGEST),
            (pull_labels(CHAIN_2), Reason.WRONG_CHAIN),
            (pull_labels(DIFF_1, **{label_rules.DIFF_ID: str(DIFF_2)}), Reason.WRONG_CHAIN),
            (
                pull_labels(DIFF_1, **{label_rules.PARENT_CHAIN_ID: str(DIFF_2)}),
                Reason.WRONG_CHAIN,
            ),
        ],
    )
    def test_whatever_speaks_against_a_layer_is_a_miss(
        self, bench: Bench, labels: dict[str, str], reason: Reason
    ) -> None:
        """The pull goes on with an ordinary snapshot that keeps the labels."""
        bench.sources.publish("unpacked", BLOB_1, DIFF_1)
        bench.snapshotter.prepare("k", "", labels)
        outcome = last_decision(bench).outcome

        found = bench.snapshotter.stat("k")
        assert labels == {k: v for k, v in found.labels.items() if k != label_rules.OVER_NOTHING}
        assert isinstance(outcome, Miss)
        assert reason is outcome.reason
        assert outcome.detail

    @pytest.mark.parametrize("prefix", ["", "k8s.io/42/"])
    def test_a_layer_that_nobody_asked_for_is_told_too(self, bench: Bench, prefix: str) -> None:
        """A client that unpacks without asking is named as the reason, by the key it uses."""
        bench.sources.publish("unpacked", BLOB_2)
        base = committed(bench, "base")
        key = f"{prefix}extract-123-abc {CHAIN_2}"

        bench.snapshotter.prepare(key, base, {})

        decided = last_decision(bench)
        assert isinstance(decided.outcome, Miss)
        assert (Reason.NO_TARGET, "") == (decided.outcome.reason, decided.outcome.source)
        assert (key, base, str(CHAIN_2), "") == (
            *(decided.key, decided.parent),
            *(decided.target, decided.digest),
        )

    @pytest.mark.parametrize(
        "key",
        ["container", "k8s.io/7/container", "extract-1 sha256:x", f"extract-1 {DIFF_1} x"],
    )
    def test_other_snapshots_are_no_decision(self, bench: Bench, key: str) -> None:
        """Snapshots of containers say nothing about layers."""
        bench.snapshotter.prepare(key, "", {})

        assert not [each for each in bench.events.recorded if isinstance(each, LayerDecided)]

    def test_whiteouts_become_companions(self, bench: Bench) -> None:
        """What hides markers lies above the layer, what deletes lies below it; made once."""
        bench.sources.publish("unpacked", BLOB_1, names=WITH_WHITEOUT)
        base = committed(bench, "base")
        names = []
        for parent in ("", base):
            with pytest.raises(AlreadyExistsError, match="provided"):
                bench.snapshotter.prepare("k", parent, pull_labels(DIFF_1))
            names.append(listed(bench.snapshotter, containerd_filter(DIFF_1, parent))[0].name)
        companion = bench.record(names[0]).companion
        mounts = bench.snapshotter.view("v", names[1], {})

        assert companion is not None
        assert companion == bench.record(names[1]).companion
        assert [companion.number] == sorted(bench.context.companions.present())
        assert 1 == len(bench.sources.scans)
        layout, number = bench.context.layout, companion.number
        upper, lower = (lower_path(bench, bench.record(n)) for n in (names[1], base))
        stack = (layout.hider, layout.above(number), upper, layout.below(number), lower)
        assert (f"lowerdir={':'.join(stack)}",) == mounts[0].options

    def test_a_layer_that_was_published_anew_is_scanned_anew(self, bench: Bench) -> None:
        """It may have other owners and times than before."""
        layer = bench.sources.publish("unpacked", BLOB_1)
        for stamp in ("first", "first", "second"):
            bench.sources.stamps[layer] = stamp
            remote = provided_again(bench, DIFF_1, BLOB_1)
            bench.snapshotter.remove(remote.name)

        assert 2 == len(bench.sources.scans)

    @pytest.mark.parametrize("kind", [Kind.ACTIVE, Kind.VIEW])
    def test_a_lost_own_directory_is_made_again(self, bench: Bench, kind: Kind) -> None:
        """A power cut may lose it after its snapshot was recorded; Mounts says the same again."""
        make = bench.snapshotter.prepare if kind is Kind.ACTIVE else bench.snapshotter.view
        before = make("k", "", {})
        identifier = bench.record("k").identifier
        bench.context.directories.remove(identifier)

        assert before == bench.snapshotter.mounts("k") == bench.snapshotter.mounts("k")
        assert not bench.context.directories.without_files((identifier,))
        assert [DirectoryMade(identifier)] == [
            e for e in bench.events.recorded if isinstance(e, DirectoryMade)
        ]

    def test_a_lost_own_directory_over_a_remote_layer_is_made_again(self, bench: Bench) -> None:
        """A container's own directory comes back; the layer has nothing on the local disk."""
        remote = bench.record(provided(bench, DIFF_1, BLOB_1).name)
        before = bench.snapshotter.prepare("k", remote.name, {})
        own = bench.record("k").identifier
        bench.context.directories.remove(own)

        assert before == bench.snapshotter.mounts("k")
        assert {own} == set(bench.context.directories.present())

    def test_a_directory_that_is_there_is_not_told(self, bench: Bench) -> None:
        """Only what was missing is an event."""
        bench.snapshotter.prepare("k", "", {})
        bench.snapshotter.mounts("k")

        assert [] == [e for e in bench.events.recorded if isinstance(e, DirectoryMade)]

    def test_a_snapshot_that_goes_while_it_is_mended(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Removed and cleaned up meanwhile, it leaves no directory that nobody would delete."""
        bench.snapshotter.prepare("k", "", {})
        bench.context.directories.remove(bench.record("k").identifier)
        mend = type(bench.context.directories).mend_active

        def late(
            directories: MemoryDirectories | DiskDirectories,
            identifier: int,
            owner: tuple[int, int] | int,
        ) -> bool:
            bench.context.store.write(lambda t: t.bury(identifier))
            bench.context.store.write(lambda t: t.forget_tombstones([identifier]))
            return mend(directories, identifier, owner)

        monkeypatch.setattr(type(bench.context.directories), "mend_active", late)
        with pytest.raises(NotFoundError, match="removed meanwhile"):
            bench.snapshotter.mounts("k")
        assert [] == list(bench.context.directories.present())

    def test_lost_files_of_a_local_snapshot_are_told(self, bench: Bench) -> None:
        """What containerd unpacked cannot be made again: nothing is put on an empty tree."""
        committed(bench, "base")
        committed(bench, "top", "base")
        bench.sources.publish("unpacked", BLOB_1)
        bench.snapshotter.prepare("before", "top", {})
        identifier = bench.record("base").identifier
        bench.context.directories.remove(identifier)

        for call in (
            partial(bench.snapshotter.mounts, "before"),
            partial(bench.snapshotter.prepare, "k", "top", {}),
            partial(bench.snapshotter.prepare, "k", "top", pull_labels(DIFF_1)),
            partial(bench.snapshotter.view, "k", "base", {}),
        ):
            told = refused(bench, FailedPreconditionError, call)
            assert "files of snapshot 'base' are gone" in told
            assert bench.context.layout.files(identifier) in told

    def test_a_lost_companion_is_told(self, bench: Bench) -> None:
        """Without it a container would see what its image deletes."""
        bench.sources.publish("unpacked", BLOB_1, names=WITH_WHITEOUT)
        remote = bench.record(provided_again(bench, DIFF_1, BLOB_1).name)
        bench.snapshotter.prepare("before", remote.name, {})
        assert remote.companion is not None
        bench.context.companions.remove(remote.companion.number)

        for call in (
            partial(bench.snapshotter.mounts, "before"),
            partial(bench.snapshotter.prepare, "k", remote.name, {}),
            partial(bench.snapshotter.view, "k", remote.name, {}),
        ):
            told = refused(bench, FailedPreconditionError, call)
            assert f"companion {remote.companion.number} of snapshot" in told

    def test_companions_that_newer_records_made_are_left_alone(self, bench: Bench) -> None:
        """Containers may stand on them, though an older database was put back."""
        bench.context.companions.build(10**6, plan(WITH_WHITEOUT))
        for _ in range(3):
            start(bench)
            assert [10**6] == list(bench.context.companions.present())
        assert 10**6 < bench.store.new_identifier()

    def test_a_database_that_is_older_is_told_by_files(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A crash leaves no directory with files in it; then companions are kept too."""
        holding, companion = bench.store.new_identifier(), bench.store.new_identifier()
        bench.context.directories.create_empty(holding)
        bench.context.companions.build(companion, plan(WITH_WHITEOUT))
        monkeypatch.setattr(type(bench.context.directories), "is_empty", lambda _, i: i != holding)
        for _ in range(3):
            start(bench)
            bench.snapshotter.cleanup()
            assert [holding] == list(bench.context.directories.present())
            assert [companion] == list(bench.context.companions.present())
        assert [OrphansFound((), (holding, companion))] == [
            e for e in bench.events.recorded if isinstance(e, OrphansFound)
        ]

    def test_a_companion_that_a_crash_left_is_discarded(self, bench: Bench) -> None:
        """It holds nothing that could not be made again."""
        bench.context.companions.build(bench.store.new_identifier(), plan(WITH_WHITEOUT))
        start(bench)

        assert [] == list(bench.context.companions.present())

    def test_identifiers_lie_above_every_record(self, bench: Bench) -> None:
        """Also of strangers whose directories are gone: a crash can come before the counter."""
        bench.store.write(lambda t: t.add_strangers([10**6]))
        start(bench)

        assert 10**6 < bench.store.new_identifier()

    def test_companions_go_with_their_last_user(self, bench: Bench) -> None:
        """Cleanup deletes one that no snapshot has; a later pull makes a new one."""
        numbers: list[int] = []
        for _ in range(2):
            bench.sources.publish("unpacked", BLOB_1, names=WITH_WHITEOUT)
            with pytest.raises(AlreadyExistsError, match="provided"):
                bench.snapshotter.prepare("k", "", pull_labels(DIFF_1))
            remote = listed(bench.snapshotter, containerd_filter(DIFF_1, ""))[0]
            numbers += bench.context.companions.present()
            bench.snapshotter.cleanup()
            assert numbers[-1:] == list(bench.context.companions.present())
            bench.snapshotter.remove(remote.name)
            bench.snapshotter.cleanup()
            assert ([], [], []) == bench.everything()
        assert numbers[0] < numbers[1]

    def test_many_at_once_share_one_companion(self, bench: Bench) -> None:
        """Beside Cleanup too: whatever is recorded has its companion, and nothing is left over."""
        for digest in "0123456789":
            bench.sources.publish("unpacked", Digest(digest * 64), names=WITH_WHITEOUT)
        failures: list[BaseException] = []

        def pull(digest: str) -> None:
            labels = pull_labels(Digest(digest * 64), Digest(digest * 64))
            for _ in range(5):
                try:
                    bench.snapshotter.prepare("k" + digest, "", labels)
                except AlreadyExistsError:
                    found = listed(bench.snapshotter, containerd_filter(Digest(digest * 64), ""))
                    bench.snapshotter.view("v" + digest, found[0].name, {})
                    number = bench.record(found[0].name).companion
                    stack = bench.snapshotter.mounts("v" + digest)[0].options[-1]
                    assert number is not None
                    assert bench.context.layout.above(number.number) in stack
                    assert number.number in bench.context.companions.present()
                    bench.snapshotter.remove("v" + digest)
                    bench.snapshotter.remove(found[0].name)
                bench.snapshotter.cleanup()

        def guarded(digest: str) -> None:
            try:
                pull(digest)
            except BaseException as error:  # noqa: BLE001 - reported below
                failures.append(error)

        threads = [threading.Thread(target=guarded, args=(d,)) for d in "0123456789"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [] == failures
        bench.snapshotter.cleanup()
        assert ([], [], []) == bench.everything()

    def test_companions_left_by_a_crash_are_deleted_at_start(self, bench: Bench) -> None:
        """One that was made and not recorded is found and goes; one in use stays."""
        bench.sources.publish("unpacked", BLOB_1, names=WITH_WHITEOUT)
        with pytest.raises(AlreadyExistsError, match="provided"):
            bench.snapshotter.prepare("k", "", pull_labels(DIFF_1))
        used = list(bench.context.companions.present())
        left = bench.store.new_identifier()
        bench.context.companions.build(left, plan(WITH_WHITEOUT))
        upkeep.discard_unrecorded_companions(bench.context)

        assert used == list(bench.context.companions.present())

    @pytest.mark.parametrize(
        ("policy", "names", "reason"),
        [
            (Policy(whiteouts=Whiteouts.REFUSE), WITH_WHITEOUT, Reason.WHITEOUTS),
            (Policy(), Names(1, unusable=b"a/.wh..\xff"), Reason.UNUSABLE_NAME),
            (Policy(ownership=Ownership.REQUIRE_ROOT), LOST, Reason.OWNERSHIP),
            (
                Policy(implied_directories=ImpliedDirectories.REFUSE),
                IMPLIED,
                Reason.IMPLIED_DIRECTORIES,
            ),
        ],
    )
    def test_a_layer_that_policy_refuses_is_a_miss(
        self, bench: Bench, policy: Policy, names: Names, reason: Reason
    ) -> None:
        """The layer is read once and the result kept."""
        bench.sources.policies["unpacked"] = policy
        bench.sources.publish("unpacked", BLOB_1, names=names)
        for key in ("one", "two"):
            bench.snapshotter.prepare(key, "", pull_labels(DIFF_1))
            outcome = last_decision(bench).outcome
            assert isinstance(outcome, Miss)
            assert reason is outcome.reason
            assert outcome.detail
        assert 1 == len(bench.sources.scans)

    def test_whiteouts_may_be_ignored(self, bench: Bench) -> None:
        """Then nothing is deleted and markers stay visible, except for those of catalogs."""
        bench.sources.policies["unpacked"] = Policy(whiteouts=Whiteouts.IGNORE)
        names = attrs.evolve(WITH_WHITEOUT, unusable=b".wh..")
        bench.sources.publish("unpacked", BLOB_1, names=names)
        with pytest.raises(AlreadyExistsError, match="provided"):
            bench.snapshotter.prepare("k", "", pull_labels(DIFF_1))
        remote = listed(bench.snapshotter, containerd_filter(DIFF_1, ""))[0]

        assert bench.record(remote.name).companion is None

    @pytest.mark.parametrize(
        ("shown", "companion"),
        [
            ({}, True),
            ({b"tmp": Directory(b"tmp", 0o1777, 0, 0, 5)}, True),
            ({b"tmp": Directory(b"tmp", 0o755, 7, 7, 5)}, False),
        ],
    )
    def test_implied_directories_are_corrected(
        self, bench: Bench, shown: dict[bytes, Directory], *, companion: bool
    ) -> None:
        """They get mode and owner from below, or those of unpacking, where they differ."""
        bottom = provided(bench, DIFF_1, BLOB_1)
        bench.sources.shown[next(iter(bench.sources.published))] = shown
        bench.sources.publish("unpacked", BLOB_2, names=IMPLIED)
        with pytest.raises(AlreadyExistsError, match="provided"):
            bench.snapshotter.prepare("k", bottom.name, pull_labels(CHAIN_2, BLOB_2))
        remote = listed(bench.snapshotter, containerd_filter(CHAIN_2, bottom.name))[0]
        made = bench.record(remote.name).companion

        assert companion == (made is not None)
        assert made is None or (made.above, made.below) == (True, False)

    def test_implied_directories_that_cannot_be_judged_are_a_miss(self, bench: Bench) -> None:
        """A wrong mode is never shown silently."""
        names = attrs.evolve(IMPLIED, implied=(b"tmp",))
        base = committed(bench, "base")
        bench.sources.publish("unpacked", BLOB_1, names=names)
        bench.sources.below_fault = Reason.SLOW
        bench.snapshotter.prepare("k", base, pull_labels(CHAIN_2))
        outcome = last_decision(bench).outcome

        assert isinstance(outcome, Miss)
        assert Reason.SLOW is outcome.reason

    def test_lost_owners_are_told(self, bench: Bench) -> None:
        """The layer is used, and the operator hears of it."""
        bench.sources.publish("unpacked", BLOB_1, names=LOST)
        layer = provided_again(bench, DIFF_1, BLOB_1)

        assert [(BLOB_1, (999, 999))] == [
            (e.layer.digest, e.owner) for e in bench.events.recorded if isinstance(e, OwnersLost)
        ]
        assert layer.labels[label_rules.MARKER] == str(BLOB_1)

    def test_a_slow_scan_serves_the_next_pull(self, bench: Bench) -> None:
        """The layer is a miss now; the scan ends in the background, and its result is used."""
        layer = bench.sources.publish("unpacked", BLOB_1)
        bench.sources.unscannable.add(layer)
        bench.snapshotter.prepare("one", "", pull_labels(DIFF_1))
        outcome = last_decision(bench).outcome
        assert isinstance(outcome, Miss)
        assert Reason.SLOW is outcome.reason

        bench.sources.finish_scan(layer)
        provided(bench, DIFF_1, BLOB_1)
        assert 1 == len(bench.sources.scans)

    def test_an_unhealthy_source_is_a_miss_at_the_bottom(self, bench: Bench) -> None:
        """Falling back is better than failing where nothing remote is below."""
        bench.sources.faults["unpacked"] = Reason.DISCONNECTED
        bench.snapshotter.prepare("k", "", pull_labels(DIFF_1))
        outcome = last_decision(bench).outcome

        assert isinstance(outcome, Miss)
        assert Reason.DISCONNECTED is outcome.reason

    def test_nothing_is_built_on_an_unreachable_layer(self, bench: Bench) -> None:
        """Extraction, container, view and mounts hear UNAVAILABLE with layer, path and cause."""
        s = bench.snapshotter
        remote = provided(bench, DIFF_1, BLOB_1)
        s.prepare("container", remote.name, {})
        local = committed(bench, f"k8s.io/1/{CHAIN_2}", remote.name)
        path = bench.sources.path(next(iter(bench.sources.published)))
        bench.sources.faults["unpacked"] = Reason.STALE

        for call in (
            lambda: s.prepare("k", remote.name, pull_labels(CHAIN_2, BLOB_2)),
            # What would be a miss without a look at any source.
            lambda: s.prepare("k", remote.name, pull_labels("no digest", BLOB_2)),
            lambda: s.prepare("k", remote.name, {}),
            lambda: s.prepare("k", local, {}),
            lambda: s.view("k", local, {}),
            lambda: s.mounts("container"),
        ):
            message = refused(bench, UnavailableError, call)
            assert str(BLOB_1) in message
            assert str(path) in message
            assert Reason.STALE.value in message

    def test_other_operations_do_not_look_at_sources(self, bench: Bench) -> None:
        """Only Prepare, View and Mounts do; the rest works on records alone."""
        s = bench.snapshotter
        remote = provided(bench, DIFF_1, BLOB_1)
        s.prepare("k", remote.name, {})
        bench.sources.faults["unpacked"] = Reason.SLOW
        asked = len(bench.sources.asked)

        s.stat(remote.name)
        s.usage("k")
        s.update(remote.name, {"a": "1"}, ["labels.a"])
        s.commit("n", "k", {}, "")
        listed(s)
        s.remove("n")
        s.remove(remote.name)
        s.cleanup()
        assert asked == len(bench.sources.asked)
        assert ([], [], []) == bench.everything()

    def test_a_vanished_layer_is_not_promised_again(self, bench: Bench) -> None:
        """A record of a remote snapshot is no proof that its layer is there now."""
        remote = provided(bench, DIFF_1, BLOB_1)
        bench.sources.published.clear()
        bench.snapshotter.prepare("k", "", pull_labels(DIFF_1))
        bench.snapshotter.commit(f"k8s.io/1/{DIFF_1}", "k", pull_labels(DIFF_1), "")

        assert Kind.COMMITTED is bench.snapshotter.stat(remote.name).kind
        assert [remote.name, f"k8s.io/1/{DIFF_1}"] == [
            s.name for s in listed(bench.snapshotter, containerd_filter(DIFF_1, ""))
        ]

    def test_the_target_of_a_remote_snapshot_stays(self, bench: Bench) -> None:
        """Update can neither remove nor change it, nor the marker; other labels it can."""
        remote = provided(bench, DIFF_1, BLOB_1)
        update = bench.snapshotter.update

        kept = {label_rules.TARGET: str(DIFF_1), label_rules.MARKER: str(BLOB_1)}
        assert {**kept, "a": "1"} == update(remote.name, {"a": "1"}, []).labels
        assert kept == update(remote.name, {}, ["labels.a"]).labels
        for values in ({}, {label_rules.TARGET: str(DIFF_2)}):
            refused(
                bench,
                InvalidArgumentError,
                partial(update, remote.name, values, [f"labels.{label_rules.TARGET}"]),
            )
        assert [remote.name] == [
            s.name for s in listed(bench.snapshotter, containerd_filter(DIFF_1, ""))
        ]

    def test_the_marker_cannot_be_forged(self, bench: Bench) -> None:
        """A local snapshot never looks remote, whatever an image's annotations say."""
        bench.snapshotter.prepare("k", "", {label_rules.MARKER: str(BLOB_1), "a": "1"})

        assert {"a": "1"} == bench.snapshotter.stat("k").labels

    def test_a_chain_that_cannot_be_mounted_is_a_miss_and_then_an_error(
        self, bench: Bench
    ) -> None:
        """A layer too many is not promised; one more local snapshot is refused with figures."""
        layout = attrs.evolve(bench.context.layout, options=("x" * 4030,))
        object.__setattr__(bench.context, "layout", layout)
        bench.sources.publish("unpacked", BLOB_1)
        bench.snapshotter.prepare("k", "", pull_labels(DIFF_1))
        outcome = last_decision(bench).outcome

        assert isinstance(outcome, Miss)
        assert Reason.TOO_LONG is outcome.reason
        bench.snapshotter.commit("n", "k", {}, "")
        message = refused(
            bench, FailedPreconditionError, lambda: bench.snapshotter.prepare("c", "n", {})
        )
        assert "bytes" in message

    def test_a_taken_name_makes_the_layer_a_miss(self, bench: Bench) -> None:
        """It is unpacked, and nothing that was made for it stays."""
        bench.snapshotter.prepare(f"{DIFF_1}@0", "", {})
        bench.sources.publish("unpacked", BLOB_1, names=WITH_WHITEOUT)
        bench.snapshotter.prepare("k", "", pull_labels(DIFF_1))

        outcome = last_decision(bench).outcome
        assert isinstance(outcome, Miss)
        assert Reason.NAME_TAKEN is outcome.reason
        assert [] == list(bench.context.companions.present())
        assert [] == list(bench.store.write(lambda t: t.claim_unused_companions(10)))
        identifiers = {bench.record("k").identifier, bench.record(f"{DIFF_1}@0").identifier}
        assert identifiers == set(bench.context.directories.present())

    def test_a_key_that_is_taken_meanwhile_is_refused(self, bench: Bench) -> None:
        """Somebody else takes it while the layer is looked up: no snapshot is provided."""
        bench.sources.publish("unpacked", BLOB_1)
        look = bench.sources.look_above

        def late(*arguments: Any) -> Hit | Miss | Trouble:
            other = Snapshot(9_999, "k", 0, "", Kind.ACTIVE, 1, 1, {})
            bench.store.write(lambda t: t.insert(other))
            return look(*arguments)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bench.sources, "look_above", late)
            with pytest.raises(AlreadyExistsError, match="'k' exists already"):
                bench.snapshotter.prepare("k", "", pull_labels(DIFF_1))

        assert [] == listed(bench.snapshotter, containerd_filter(DIFF_1, ""))
