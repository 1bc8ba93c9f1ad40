"""What every store must do, whatever it keeps its records in."""

import threading
from collections.abc import Sequence

import attrs
import pytest

from cvmfs_snapshotter.domain import labels as label_rules
from cvmfs_snapshotter.domain.companions import Companion, Directory, Names
from cvmfs_snapshotter.domain.errors import AlreadyExistsError
from cvmfs_snapshotter.domain.filters import Pins
from cvmfs_snapshotter.domain.layer import Digest, Layer, Reason
from cvmfs_snapshotter.domain.ports.store import Census, Position, Store, Transaction
from cvmfs_snapshotter.domain.snapshot import NOTHING_LOCAL, Kind, Snapshot, Usage
from cvmfs_snapshotter.domain.wishes import Wish

TARGET = Digest("a" * 64)
OTHER = Digest("b" * 64)
LAYER = Layer("unpacked", Digest("c" * 64))
ODD = "k8s.io/1/extract-1 \0\n'\";-- é漢 sha256:x"


def local(
    name: str, parent: Snapshot | None = None, kind: Kind = Kind.COMMITTED, target: str = ""
) -> Snapshot:
    """Make a local snapshot without identifier."""
    return Snapshot(
        identifier=0,
        name=name,
        parent_identifier=parent.identifier if parent else 0,
        parent=parent.name if parent else "",
        kind=kind,
        created_at=2**62,
        updated_at=1,
        labels={label_rules.TARGET: target} if target else {},
    )


def remote(
    name: str, parent: Snapshot | None = None, target: Digest = TARGET, source: str = "unpacked"
) -> Snapshot:
    """Make a remote snapshot without identifier."""
    made = local(name, parent, target=str(target))
    return attrs.evolve(made, layer=attrs.evolve(LAYER, source=source), usage=NOTHING_LOCAL)


def add(store: Store, snapshot: Snapshot) -> Snapshot:
    """Give a snapshot an identifier and record it."""
    numbered = attrs.evolve(snapshot, identifier=store.new_identifier())
    store.write(lambda t: t.insert(numbered))
    return numbered


def everything(store: Store) -> Sequence[Snapshot]:
    """List all snapshots."""
    return store.read(lambda r: r.page(Pins(), None, 1000))


class StoreContract:
    """The rules of the port; a subclass gives the ``store``."""

    def test_a_snapshot_comes_back_as_it_was(self, store: Store) -> None:
        """Every field survives, with odd characters in names and labels, to the nanosecond."""
        base = add(store, local("base"))
        made = add(
            store,
            attrs.evolve(
                local(ODD, base, Kind.ACTIVE), labels={"é": ODD, "a.b/c": "\0"}, updated_at=7
            ),
        )

        assert made == store.read(lambda r: r.get(ODD))
        assert base == store.read(lambda r: r.get("base"))

    def test_a_remote_snapshot_comes_back_with_its_layer(self, store: Store) -> None:
        """Layer and usage survive."""
        made = add(store, remote("r"))

        assert made == store.read(lambda r: r.get("r"))

    def test_an_unknown_name_gives_nothing(self, store: Store) -> None:
        """Neither a prefix nor another case is the name."""
        add(store, local("name\0x"))

        for name in ("name", "NAME\0x", "", "name\0"):
            assert store.read(lambda r, n=name: r.get(n)) is None  # type: ignore[misc]

    def test_a_name_is_given_once(self, store: Store) -> None:
        """A taken name is refused, whatever the kinds, and nothing changes."""
        first = add(store, local("x", kind=Kind.ACTIVE))

        with pytest.raises(AlreadyExistsError, match="x"):
            add(store, local("x", kind=Kind.VIEW))
        assert [first] == list(everything(store))

    def test_a_replaced_snapshot_cannot_take_a_name(self, store: Store) -> None:
        """Renaming to a taken name is refused; to a free one it moves the snapshot."""
        first, second = add(store, local("x")), add(store, local("y", kind=Kind.ACTIVE))

        with pytest.raises(AlreadyExistsError, match="x"):
            store.write(lambda t: t.replace(attrs.evolve(second, name="x")))
        renamed = attrs.evolve(second, name="z", kind=Kind.COMMITTED)
        store.write(lambda t: t.replace(renamed))
        assert [first, renamed] == list(everything(store))
        assert store.read(lambda r: r.get("y")) is None

    def test_a_remote_snapshot_is_there_once(self, store: Store) -> None:
        """A second one of the same parent and target is a defect, and nothing changes."""
        first = add(store, remote("first"))
        local_one = add(store, local("local", target=str(TARGET)))

        with pytest.raises(ValueError, match="snapshot"):
            add(store, remote("second"))
        other = add(store, remote("other", target=OTHER))
        twin = attrs.evolve(other, labels=first.labels)
        with pytest.raises(ValueError, match="snapshot"):
            store.write(lambda t: t.replace(twin))
        assert [first, other, local_one] == list(everything(store))

    def test_a_taken_name_counts_more_than_a_taken_target(self, store: Store) -> None:
        """Whoever repeats an insertion hears that the name is taken."""
        add(store, remote("first"))

        with pytest.raises(AlreadyExistsError, match="first"):
            add(store, remote("first"))

    def test_an_identifier_is_used_once(self, store: Store) -> None:
        """Inserting under one that is in use is a defect, and nothing changes."""
        first = add(store, local("x"))

        with pytest.raises(ValueError, match=str(first.identifier)):
            store.write(lambda t: t.insert(attrs.evolve(first, name="y")))
        assert [first] == list(everything(store))

    def test_what_is_not_there_cannot_change(self, store: Store) -> None:
        """Replacing or burying an unknown identifier is a defect, and leaves no tombstone."""
        with pytest.raises(KeyError, match="5"):
            store.write(lambda t: t.replace(attrs.evolve(local("x"), identifier=5)))
        with pytest.raises(KeyError, match="5"):
            store.write(lambda t: t.bury(5))
        assert [] == list(everything(store))
        assert [] == list(store.read(lambda r: r.tombstones(0, 10)))

    def test_labels_belong_to_the_store(self, store: Store) -> None:
        """What a caller does to its own labels afterwards is not recorded."""
        labels = {"a": "1"}
        add(store, attrs.evolve(local("x"), labels=labels))
        labels["b"] = "2"

        found = store.read(lambda r: r.get("x"))
        assert found is not None
        assert {"a": "1"} == found.labels

    def test_an_operation_that_raises_changes_nothing(self, store: Store) -> None:
        """What it did before is undone, and its own error comes out."""

        def fail(transaction: Transaction) -> None:
            transaction.insert(attrs.evolve(local("lost"), identifier=77))
            transaction.keep_source_path("s", "/p")
            transaction.add_tombstones([5])
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            store.write(fail)
        assert [] == list(everything(store))
        assert {} == store.read(lambda r: r.source_paths())
        assert [] == list(store.read(lambda r: r.tombstones(0, 10)))

    def test_results_come_back(self, store: Store) -> None:
        """Reading and writing give what their operations return."""
        assert 5 == store.write(lambda _: 5)
        assert None is store.write(lambda _: None)
        assert "x" == store.read(lambda _: "x")

    def test_a_transaction_sees_its_own_changes(self, store: Store) -> None:
        """What was inserted can be read, found and buried in the same transaction."""
        made = attrs.evolve(remote("r"), identifier=store.new_identifier())

        def work(transaction: Transaction) -> tuple[Snapshot | None, Snapshot | None]:
            transaction.insert(made)
            before = transaction.get_with_remote("", 0, str(TARGET))[1]
            transaction.bury(made.identifier)
            return before, transaction.get("r")

        assert (made, None) == store.write(work)

    def test_chains_run_from_the_top_to_the_bottom(self, store: Store) -> None:
        """A chain begins with the snapshot itself; 0 has none."""
        bottom = add(store, local("1"))
        middle = add(store, remote("2", bottom))
        top = add(store, local("3", middle))
        add(store, local("beside", middle))

        assert (top, middle, bottom) == store.read(lambda r: r.chain(top.identifier))
        assert (bottom,) == store.read(lambda r: r.chain(bottom.identifier))
        assert () == store.read(lambda r: r.chain(0))
        assert () == store.read(lambda r: r.chain(999))

    def test_long_chains_are_given_whole(self, store: Store) -> None:
        """An image may have more layers than any mount could take."""
        made: list[Snapshot] = []
        for number in range(1, 301):
            below = made[-1] if made else None
            made.append(attrs.evolve(local(f"n{number}", below), identifier=number))

        def insert(transaction: Transaction) -> None:
            for each in made:
                transaction.insert(each)

        store.write(insert)
        assert tuple(reversed(made)) == store.read(lambda r: r.chain(300))

    def test_children_are_known(self, store: Store) -> None:
        """Any kind of child counts, and none that is gone."""
        base = add(store, local("base"))
        child = add(store, local("child", base, Kind.VIEW))

        assert store.read(lambda r: r.has_children(base.identifier))
        assert not store.read(lambda r: r.has_children(child.identifier))
        store.write(lambda t: t.bury(child.identifier))
        assert not store.read(lambda r: r.has_children(base.identifier))

    def test_remote_snapshots_are_found_by_parent_and_target(self, store: Store) -> None:
        """A local snapshot with the same target is not one; another parent is another snapshot."""
        base = add(store, local("base"))
        add(store, local("local", target=str(TARGET)))
        alone, on_base = add(store, remote("alone")), add(store, remote("on base", base))

        assert alone == store.read(lambda r: r.get_with_remote("", 0, str(TARGET))[1])
        assert on_base == store.read(
            lambda r: r.get_with_remote("", base.identifier, str(TARGET))[1]
        )
        assert store.read(lambda r: r.get_with_remote("", 0, str(OTHER))[1]) is None
        assert (
            store.read(lambda r: r.get_with_remote("", on_base.identifier, str(TARGET))[1]) is None
        )

    def test_a_name_and_a_remote_snapshot_are_found_in_one_look(self, store: Store) -> None:
        """Each is given whether or not the other one is there; staged ones are never given."""
        named, other = add(store, local("named", target=str(TARGET))), add(store, remote("other"))
        staged = attrs.evolve(remote("staged", target=OTHER), kind=Kind.ACTIVE, staged=True)
        staged = add(store, staged)

        def look(name: str, target: object) -> tuple[Snapshot | None, Snapshot | None]:
            return store.read(lambda r: r.get_with_remote(name, 0, str(target)))

        assert (named, other) == look("named", TARGET)
        assert (named, None) == look("named", OTHER)
        assert (None, other) == look("nothing", TARGET)
        assert (other, other) == look("other", TARGET)
        assert (staged, None) == look("staged", OTHER)
        assert (None, None) == look("nothing", OTHER)

    def test_local_snapshots_may_share_parent_and_target(self, store: Store) -> None:
        """Every namespace of containerd unpacks the same layer for itself."""
        both = [add(store, local(name, target=str(TARGET))) for name in ("a", "b")]

        found = store.read(lambda r: r.page(Pins(parent="", target=str(TARGET)), None, 10))
        assert both == list(found)

    def test_a_page_lists_remote_snapshots_first(self, store: Store) -> None:
        """Then by identifier; containerd takes the first that fits its filter."""
        first = add(store, local("a", target=str(TARGET)))
        second = add(store, remote("b", target=OTHER))
        third = add(store, local("c"))
        fourth = add(store, remote("d"))

        assert [second, fourth, first, third] == list(everything(store))
        pinned = store.read(lambda r: r.page(Pins(target=str(TARGET)), None, 10))
        assert [fourth, first] == list(pinned)

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    def test_pages_follow_one_another(self, store: Store, limit: int) -> None:
        """Page after page gives everything once, however large they are."""
        made = [
            add(store, remote(f"r{i}", target=Digest(f"{i}" * 64)) if i % 2 else local(f"l{i}"))
            for i in range(7)
        ]
        listed: list[Snapshot] = []
        after: Position | None = None
        while page := store.read(lambda r, a=after: r.page(Pins(), a, limit)):  # type: ignore[misc]
            assert len(page) <= limit
            listed += page
            after = Position.of(page[-1])

        assert sorted(made, key=Position.of) == listed

    def test_a_listing_goes_on_beside_changes(self, store: Store) -> None:
        """Removing what was listed, or adding behind it, neither repeats nor loses the rest."""
        made = [add(store, local(f"l{i}")) for i in range(4)]
        page = store.read(lambda r: r.page(Pins(), None, 2))
        store.write(lambda t: t.bury(made[1].identifier))
        last = add(store, local("new"))

        rest = store.read(lambda r: r.page(Pins(), Position.of(page[-1]), 10))
        assert [*made[2:], last] == list(rest)

    @pytest.mark.parametrize(
        ("pins", "expected"),
        [
            (Pins(name="b"), ["b"]),
            (Pins(name="none"), []),
            (Pins(parent=""), ["a", "d"]),
            (Pins(parent="a"), ["c", "b"]),
            (Pins(parent="none"), []),
            (Pins(parent="a", target=str(TARGET)), ["c", "b"]),
            (Pins(parent="", target=str(TARGET)), []),
            (Pins(target=""), ["a", "d"]),
            (Pins(name="b", parent="a", target=str(TARGET)), ["b"]),
            (Pins(name="b", parent=""), []),
        ],
    )
    def test_a_page_has_what_is_pinned(
        self, store: Store, pins: Pins, expected: list[str]
    ) -> None:
        """Name, parent and target narrow a listing, each alone and together."""
        base = add(store, local("a"))
        add(store, local("b", base, target=str(TARGET)))
        add(store, remote("c", base))
        add(store, local("d"))

        assert expected == [s.name for s in store.read(lambda r: r.page(pins, None, 10))]

    def test_a_new_target_is_found(self, store: Store) -> None:
        """An Update may change the label of a local snapshot, and the look-up follows."""
        made = add(store, local("x", target=str(TARGET)))
        store.write(lambda t: t.replace(attrs.evolve(made, labels={label_rules.TARGET: "new"})))

        assert ["x"] == [s.name for s in store.read(lambda r: r.page(Pins(target="new"), None, 9))]
        assert [] == list(store.read(lambda r: r.page(Pins(target=str(TARGET)), None, 9)))

    def test_a_buried_snapshot_leaves_a_tombstone(self, store: Store) -> None:
        """It is gone, its name is free, and its identifier waits to be forgotten."""
        first, second = add(store, local("x")), add(store, local("y"))
        store.write(lambda t: t.bury(first.identifier))
        again = add(store, local("x"))

        assert [second, again] == list(everything(store))
        assert again.identifier != first.identifier
        assert [first.identifier] == list(store.read(lambda r: r.tombstones(0, 10)))
        assert [] == list(store.read(lambda r: r.tombstones(first.identifier, 10)))
        store.write(lambda t: t.forget_tombstones([first.identifier, 999]))
        assert [] == list(store.read(lambda r: r.tombstones(0, 10)))

    def test_census(self, store: Store) -> None:
        """Snapshots are counted by kind and source, and removed ones apart."""
        assert Census({}, 0) == store.read(lambda r: r.census())
        base = add(store, remote("a"))
        add(store, remote("b", base))
        add(store, remote("c", target=Digest("f" * 64), source="nfs"))
        add(store, local("d"))
        add(store, local("e", base, Kind.ACTIVE))
        add(store, local("f", base, Kind.VIEW))
        gone = add(store, local("g", base, Kind.VIEW))
        store.write(lambda t: t.bury(gone.identifier))

        expected = {
            (Kind.COMMITTED, "unpacked"): 2,
            (Kind.COMMITTED, "nfs"): 1,
            (Kind.COMMITTED, ""): 1,
            (Kind.ACTIVE, ""): 1,
            (Kind.VIEW, ""): 1,
        }
        assert Census(expected, 1) == store.read(lambda r: r.census())

    def test_tombstones_come_in_order_and_in_pieces(self, store: Store) -> None:
        """They are given from the lowest up, none above the limit."""
        store.write(lambda t: t.add_tombstones([9, 3, 5, 3]))

        assert [3, 5] == list(store.read(lambda r: r.tombstones(0, 2)))
        assert [9] == list(store.read(lambda r: r.tombstones(5, 2)))

    def test_what_has_no_record_is_told(self, store: Store) -> None:
        """Snapshots and tombstones are records."""
        kept, gone = add(store, local("x")), add(store, local("y"))
        store.write(lambda t: t.bury(gone.identifier))

        asked = [kept.identifier, 500, gone.identifier, 501]
        assert [500, 501] == list(store.read(lambda r: r.unrecorded(asked)))
        assert [] == list(store.read(lambda r: r.unrecorded([])))

    def test_strangers_are_records_for_ever(self, store: Store) -> None:
        """They are no tombstones, and no snapshot's."""
        store.write(lambda t: t.add_strangers([700, 800, 700]))

        asked = [600, 700, 800]
        assert [600] == list(store.read(lambda r: r.unrecorded(asked)))
        assert [600] == list(store.read(lambda r: r.unrecorded_companions(asked)))
        assert [700, 800] == list(store.read(lambda r: r.strangers()))
        assert [] == list(store.read(lambda r: r.tombstones(0, 10)))

    def test_the_highest_identifier_of_any_record_is_known(self, store: Store) -> None:
        """Whatever kind of record has it."""

        def highest() -> int:
            return store.read(lambda r: r.highest_identifier())

        assert 0 == highest()
        snapshot = add(store, local("x"))
        assert snapshot.identifier == highest()
        buried = add(store, local("y"))
        store.write(lambda t: t.bury(buried.identifier))
        assert buried.identifier == highest()
        store.write(lambda t: t.add_companion(Companion(500, above=True, below=False), "print"))
        assert 500 == highest()
        store.write(lambda t: t.claim_unused_companions(1))
        assert 500 == highest()
        store.write(lambda t: t.add_strangers([600]))
        assert 600 == highest()

    def test_usage_is_recorded_for_committed_snapshots(self, store: Store) -> None:
        """Only committed ones without usage wait; measuring one that is gone is no error."""
        committed = add(store, local("c"))
        active = add(store, local("a", kind=Kind.ACTIVE))
        add(store, remote("r"))

        assert [committed.identifier] == list(store.read(lambda r: r.unmeasured(10)))
        assert [] == list(store.read(lambda r: r.unmeasured(0)))
        store.write(lambda t: t.measure(committed.identifier, Usage(2**40, 3)))
        store.write(lambda t: t.measure(999, Usage(1, 1)))
        store.write(lambda t: t.measure(active.identifier, Usage(1, 1)))
        assert active == store.read(lambda r: r.get("a"))
        found = store.read(lambda r: r.get("c"))
        assert found is not None
        assert Usage(2**40, 3) == found.usage
        assert [] == list(store.read(lambda r: r.unmeasured(10)))

    def test_names_in_layers_are_kept(self, store: Store) -> None:
        """Each layer of each source has its own; a new result replaces the old one."""
        # A name on disk need not be text: Python shows such a byte as half of a surrogate pair.
        names = Names(
            entries=2**33,
            markers=(b"a/.wh.\xff\n", "é/.cvmfscatalog".encode()),
            directories=(Directory(b"", 0o1777, 1, 2, 2**62), Directory(b"a", 0o755, 0, 0, 0)),
            implied=(b"a",),
            owners=((0, 0), (1000, 50)),
            unusable=b".wh..",
            stamp="0:0:5 é",
        )

        assert store.read(lambda r: r.names_in(LAYER)) is None
        store.write(lambda t: t.keep_names(LAYER, Names(1)))
        store.write(lambda t: t.keep_names(LAYER, names))
        found = store.read(lambda r: r.names_in(LAYER))
        assert names == found
        assert found is not None
        assert names.stamp == found.stamp
        elsewhere = attrs.evolve(LAYER, source="other")
        assert store.read(lambda r: r.names_in(elsewhere)) is None

    def test_a_companion_is_shared_until_it_is_claimed(self, store: Store) -> None:
        """A used one cannot be claimed, and a claimed one is found by nobody."""
        companion = Companion(store.new_identifier(), above=True, below=False)
        store.write(lambda t: t.add_companion(companion, "print"))
        user = add(store, attrs.evolve(remote("r"), companion=companion))

        assert user == store.read(lambda r: r.get("r"))
        assert (user,) == store.read(lambda r: r.chain(user.identifier))
        assert companion == store.read(lambda r: r.find_companion("print"))
        assert store.read(lambda r: r.find_companion("other")) is None
        assert [] == list(store.write(lambda t: t.claim_unused_companions(10)))
        store.write(lambda t: t.bury(user.identifier))
        claimed = store.write(lambda t: t.claim_unused_companions(10))
        assert [companion.number] == list(claimed)
        assert store.read(lambda r: r.find_companion("print")) is None
        asked = [companion.number, 10**9]
        assert [10**9] == list(store.read(lambda r: r.unrecorded_companions(asked)))
        again = Companion(store.new_identifier(), above=False, below=True)
        store.write(lambda t: t.add_companion(again, "print"))
        assert again == store.read(lambda r: r.find_companion("print"))
        store.write(lambda t: t.forget_companions([companion.number]))
        assert asked == list(store.read(lambda r: r.unrecorded_companions(asked)))

    def test_paths_of_sources_are_kept(self, store: Store) -> None:
        """A new path replaces the old one."""
        store.write(lambda t: t.keep_source_path("a", "/1"))
        store.write(lambda t: t.keep_source_path("b", "/2"))
        store.write(lambda t: t.keep_source_path("a", "/3"))

        assert {"a": "/3", "b": "/2"} == store.read(lambda r: r.source_paths())

    def test_layers_of_a_source_are_known(self, store: Store) -> None:
        """Those of other sources are not among them."""
        mine = add(store, remote("m"))
        add(store, remote("o", target=OTHER, source="other"))
        add(store, local("l"))

        assert [(mine.identifier, LAYER)] == list(
            store.read(lambda r: r.remote_layers("unpacked"))
        )

    def test_identifiers_are_never_given_twice(self, store: Store) -> None:
        """However many threads ask; and they are above a mark that was set."""
        given: list[int] = []

        def take() -> None:
            given.extend(store.new_identifier() for _ in range(100))

        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 800 == len(set(given))
        assert min(given) >= 1
        store.raise_identifiers(10_000)
        assert store.new_identifier() > 10_000
        store.raise_identifiers(5)
        assert store.new_identifier() > 10_000

    def test_the_next_identifier_is_above_all_that_were_given(self, store: Store) -> None:
        """To know it takes none, so that it can be known on a full disk."""
        for _ in range(3):
            given = store.new_identifier()
            following = store.read(lambda r: r.next_identifier())
            assert given < following
        store.raise_identifiers(10_000)
        assert 10_000 < store.read(lambda r: r.next_identifier())

    def test_what_frees_space_is_written_like_anything_else(self, store: Store) -> None:
        """It differs only on a full disk."""
        store.write(lambda t: t.add_tombstones([3]), frees=True)

        assert [3] == list(store.read(lambda r: r.tombstones(0, 10)))

    def test_one_of_many_wins(self, store: Store) -> None:
        """Writing operations run one after the other: looking first and inserting then is safe."""
        won: list[int] = []

        def provide(identifier: int) -> None:
            def once(transaction: Transaction) -> bool:
                if transaction.get_with_remote("", 0, str(TARGET))[1] is not None:
                    return False
                transaction.insert(attrs.evolve(remote("r"), identifier=identifier))
                return True

            if store.write(once):
                won.append(identifier)

        threads = [threading.Thread(target=provide, args=(n,)) for n in range(1, 21)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert won == [s.identifier for s in everything(store)]
        assert 1 == len(won)

    def test_failures_of_some_do_not_touch_others(self, store: Store) -> None:
        """Of many that write at once, those that raise change nothing and the others all do."""
        failed: list[int] = []

        def write(identifier: int) -> None:
            def operation(transaction: Transaction) -> None:
                made = attrs.evolve(local(f"n{identifier}"), identifier=identifier)
                transaction.insert(made)
                if identifier % 3 == 0:
                    raise LookupError(identifier)

            try:
                store.write(operation)
            except LookupError as error:
                failed.append(error.args[0])

        threads = [threading.Thread(target=write, args=(n,)) for n in range(1, 31)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {n for n in range(1, 31) if n % 3 == 0} == set(failed)
        assert {n for n in range(1, 31) if n % 3} == {s.identifier for s in everything(store)}

    def test_a_reader_sees_one_moment(self, store: Store) -> None:
        """What is written while an operation reads is not seen by it, and does not wait for it."""
        add(store, local("before"))

        def look(records: object) -> tuple[int, int]:
            first = len(records.page(Pins(), None, 10))  # type: ignore[attr-defined]
            thread = threading.Thread(target=add, args=(store, local("meanwhile")))
            thread.start()
            thread.join(10)
            assert not thread.is_alive()
            return first, len(records.page(Pins(), None, 10))  # type: ignore[attr-defined]

        assert (1, 1) == store.read(look)
        assert 2 == len(everything(store))

    def test_a_wish_grows(self, store: Store) -> None:
        """The same layer, image and reason are one; whatever differs in one of them is another."""
        first = Wish("r.io/a:1", TARGET, Reason.ABSENT, 2, 10, 20)
        others = (
            attrs.evolve(first, image=ODD),
            attrs.evolve(first, digest=OTHER, last_seen_at=21),
            attrs.evolve(first, reason=Reason.SLOW),
        )
        store.write(lambda t: t.add_wishes([first, *others], 10))
        again = attrs.evolve(first, count=3, first_seen_at=5, last_seen_at=30)
        store.write(lambda t: t.add_wishes([again, attrs.evolve(again, last_seen_at=1)], 10))

        grown = Wish("r.io/a:1", TARGET, Reason.ABSENT, 8, 5, 30)
        expected = sorted([grown, *others], key=lambda wish: (-wish.last_seen_at, wish.key))
        assert expected == list(store.read(lambda r: r.wishes()))
        assert [30, 21, 20, 20] == [wish.last_seen_at for wish in expected]

    def test_wishes_are_bounded(self, store: Store) -> None:
        """Those that were seen last stay, also of what is added at once."""
        old = [Wish("", Digest(f"{n:064x}"), Reason.ABSENT, 1, n, n) for n in range(5)]
        store.write(lambda t: t.add_wishes(old, 4))
        assert [4, 3, 2, 1] == [w.last_seen_at for w in store.read(lambda r: r.wishes())]

        new = attrs.evolve(old[0], last_seen_at=9)
        store.write(lambda t: t.add_wishes([new], 2))
        assert [new, old[4]] == list(store.read(lambda r: r.wishes()))

    def test_wishes_come_true(self, store: Store) -> None:
        """All about a layer is forgotten, and nothing about others."""
        wish = Wish("r.io/a:1", TARGET, Reason.ABSENT, 1, 1, 1)
        other = attrs.evolve(wish, digest=OTHER)
        slow = attrs.evolve(wish, reason=Reason.SLOW)
        store.write(lambda t: t.add_wishes([wish, slow, other], 10))
        store.write(lambda t: t.forget_wishes([TARGET, LAYER.digest]))

        assert [other] == list(store.read(lambda r: r.wishes()))
