"""What a snapshotter answers to a containerd that leaves the parent of each layer to Commit."""

import attrs
import pytest

from cvmfs_snapshotter.domain import labels as label_rules
from cvmfs_snapshotter.domain.errors import (
    AlreadyExistsError,
    InvalidArgumentError,
    UnavailableError,
)
from cvmfs_snapshotter.domain.events import LayerDecided
from cvmfs_snapshotter.domain.layer import Digest, Hit, Miss, Reason
from cvmfs_snapshotter.domain.mounts import Mount
from cvmfs_snapshotter.domain.snapshot import Kind, Usage
from cvmfs_snapshotter.domain.usecases.snapshotter import LayerSnapshotter

from .bench import Bench
from .snapshotter_contract import (
    BLOB_1,
    BLOB_2,
    CHAIN_2,
    DIFF_1,
    DIFF_2,
    IMPLIED,
    WITH_WHITEOUT,
    last_decision,
    listed,
    lower_path,
    provided,
    pull_labels,
    refused,
)

NAMED = f"k8s.io/5/{CHAIN_2}"


def labels_of_2_3(target: Digest = CHAIN_2, parent: str = str(DIFF_1)) -> dict[str, str]:
    """Give the labels of a Prepare from containerd 2.3 on for a layer that stands on another."""
    more = {label_rules.PARENT_CHAIN_ID: parent, label_rules.DIFF_ID: str(DIFF_2)}
    return pull_labels(target, BLOB_2, **more)


def staging(bench: Bench) -> LayerSnapshotter:
    """Give a snapshotter on the same ports that stages layers."""
    return LayerSnapshotter(attrs.evolve(bench.context, staged=True))


def bottom_key(bench: Bench) -> str:
    """Make an active snapshot for a bottom layer and give its key."""
    bench.snapshotter.prepare("bottom key", "", pull_labels(DIFF_1))
    return "bottom key"


class RebaseContract:
    """The rules; a subclass gives the ``bench``."""

    def test_a_layer_without_its_parent_is_a_miss(self, bench: Bench) -> None:
        """Its chain ID would be wrong: an error is noted, and it is unpacked onto an overlay."""
        bench.sources.publish("unpacked", BLOB_2, DIFF_2)
        mounts = bench.snapshotter.prepare("k", "", labels_of_2_3())
        outcome = last_decision(bench).outcome

        assert isinstance(outcome, Miss)
        assert Reason.WRONG_CHAIN is outcome.reason
        layout, number = bench.context.layout, bench.record("k").identifier
        options = (
            *layout.options,
            f"workdir={layout.work(number)}",
            f"upperdir={layout.files(number)}",
            f"lowerdir={layout.hider}",
        )
        assert (Mount("overlay", "overlay", options),) == mounts
        assert mounts == bench.snapshotter.mounts("k")

    def test_a_published_diff_id_tells_it_too(self, bench: Bench) -> None:
        """containerd 2.2 sends no labels for it, but the publisher recorded the diff ID."""
        bench.sources.publish("unpacked", BLOB_2, DIFF_2)
        mounts = bench.snapshotter.prepare("k", "", pull_labels(CHAIN_2, BLOB_2))

        assert "overlay" == mounts[0].type

    def test_where_nothing_tells_it_is_served(self, bench: Bench) -> None:
        """Without labels and without a recorded diff ID the chain ID is believed."""
        found = provided(bench, CHAIN_2, BLOB_2)

        assert ("", str(BLOB_2)) == (found.parent, found.labels[label_rules.MARKER])

    def test_a_layer_that_is_nowhere_is_unpacked_onto_an_overlay(self, bench: Bench) -> None:
        """So that containerd turns its whiteouts into overlayfs's own."""
        assert "overlay" == bench.snapshotter.prepare("k", "", labels_of_2_3())[0].type
        bench.snapshotter.commit("bottom", bottom_key(bench), {}, "")
        bench.snapshotter.commit(NAMED, "k", pull_labels(CHAIN_2), "bottom")

        found = bench.snapshotter.stat(NAMED)
        assert "bottom" == found.parent
        assert label_rules.OVER_NOTHING not in found.labels

    def test_the_bottom_layer_stays_a_bind(self, bench: Bench) -> None:
        """It has no parent, whenever that is said."""
        labels = pull_labels(DIFF_1, **{label_rules.DIFF_ID: str(DIFF_1)})

        assert "bind" == bench.snapshotter.prepare("k", "", labels)[0].type

    def test_our_labels_cannot_be_claimed_or_lost(self, bench: Bench) -> None:
        """A caller can neither ask for the overlay by label nor take it away."""
        claimed = {label_rules.OVER_NOTHING: "true"}
        assert "bind" == bench.snapshotter.prepare("claims", "", claimed)[0].type
        assert {} == bench.snapshotter.stat("claims").labels
        bench.snapshotter.prepare("k", "", labels_of_2_3())
        bench.snapshotter.update("k", {"a": "1"}, ())
        bench.snapshotter.update("k", {}, [f"labels.{label_rules.OVER_NOTHING}"])

        assert {"a": "1", **claimed} == bench.snapshotter.stat("k").labels
        assert "overlay" == bench.snapshotter.mounts("k")[0].type

    def test_no_active_snapshot_says_ro(self, bench: Bench) -> None:
        """To containerd 2.4 a last mount that is read-only says that nothing is to be unpacked."""
        remote = provided(bench, DIFF_1, BLOB_1)
        every = [
            bench.snapshotter.prepare("empty", "", {}),
            bench.snapshotter.prepare("remote", remote.name, {}),
            bench.snapshotter.prepare("later", "", labels_of_2_3()),
        ]
        assert all("ro" not in mounts[-1].options for mounts in every)

    # Staged layers

    def test_a_hit_is_staged(self, bench: Bench) -> None:
        """It is active and mounted read-only; Commit makes it a remote snapshot on its parent."""
        bench.sources.publish("unpacked", BLOB_2, DIFF_2, names=WITH_WHITEOUT)
        bottom = provided(bench, DIFF_1, BLOB_1)
        snapshotter = staging(bench)
        mounts = snapshotter.prepare("k", "", labels_of_2_3())
        record = bench.record("k")

        assert isinstance(last_decision(bench).outcome, Hit)
        assert (Kind.ACTIVE, True, True) == (record.kind, record.remote, record.staged)
        assert ("overlay", "ro") == (mounts[-1].type, mounts[-1].options[0])
        assert all("upperdir" not in option for option in mounts[-1].options)
        assert mounts == snapshotter.mounts("k")
        assert Usage(0, 0) == snapshotter.usage("k")

        snapshotter.commit(NAMED, "k", {label_rules.TARGET: str(CHAIN_2), "a": "1"}, bottom.name)
        found = bench.record(NAMED)
        assert (Kind.COMMITTED, bottom.name) == (found.kind, found.parent)
        assert (record.layer, record.companion) == (found.layer, found.companion)
        assert ("1", str(CHAIN_2), str(BLOB_2)) == (
            found.labels["a"],
            found.target,
            found.labels[label_rules.MARKER],
        )
        assert Usage(0, 0) == snapshotter.usage(NAMED)
        lowers = snapshotter.view("v", NAMED, {})[0].options[-1]
        assert lowers.endswith(f":{lower_path(bench, bench.record(bottom.name))}")

    def test_two_namespaces_stage_the_same_layer(self, bench: Bench) -> None:
        """On one parent that they share; each has its own snapshot, and they share a companion."""
        bench.sources.publish("unpacked", BLOB_2, DIFF_2, names=WITH_WHITEOUT)
        bottom = provided(bench, DIFF_1, BLOB_1)
        snapshotter = staging(bench)
        for namespace in ("a", "b"):
            snapshotter.prepare(f"{namespace}/1/extract", "", labels_of_2_3())
        for namespace in ("a", "b"):
            name = f"{namespace}/2/{CHAIN_2}"
            snapshotter.commit(name, f"{namespace}/1/extract", {}, bottom.name)

        both = [bench.record(f"{namespace}/2/{CHAIN_2}") for namespace in ("a", "b")]
        assert 1 == len({snapshot.companion for snapshot in both})
        assert 3 == len(listed(snapshotter, "kind==committed"))

    def test_a_parent_that_is_named_makes_it_an_ordinary_hit(self, bench: Bench) -> None:
        """Staging is for what could not be answered otherwise; the bottom layer can."""
        bench.sources.publish("unpacked", BLOB_1, DIFF_1)
        bench.sources.publish("unpacked", BLOB_2, DIFF_2)
        snapshotter = staging(bench)
        for parent, labels in (
            ("", pull_labels(DIFF_1, **{label_rules.DIFF_ID: str(DIFF_1)})),
            (f"{DIFF_1}@0", labels_of_2_3()),
        ):
            with pytest.raises(AlreadyExistsError, match="provided"):
                snapshotter.prepare("extract", parent, labels)
        assert not any(bench.record(s.name).staged for s in listed(snapshotter))

    @pytest.mark.parametrize("parent", ["", "other", "wrong"])
    def test_a_staged_layer_needs_its_own_parent(self, bench: Bench, parent: str) -> None:
        """Anything else would break the chain."""
        bench.sources.publish("unpacked", BLOB_2, DIFF_2)
        names = {"": "", "other": f"a/1/{DIFF_2}", "wrong": f"a/2/{CHAIN_2}"}
        for name in (f"a/1/{DIFF_2}", f"a/2/{CHAIN_2}"):
            bench.snapshotter.prepare("local", "", {})
            bench.snapshotter.commit(name, "local", {}, "")
        snapshotter = staging(bench)
        snapshotter.prepare("k", "", labels_of_2_3())

        message = refused(
            bench,
            InvalidArgumentError,
            lambda: snapshotter.commit("n", "k", {}, names[parent]),
        )
        assert str(DIFF_1) in message

    @pytest.mark.parametrize(
        ("labels", "reason"),
        [
            (labels_of_2_3(parent=str(DIFF_2)), Reason.WRONG_CHAIN),
            (labels_of_2_3(parent="sha256:none"), Reason.WRONG_CHAIN),
            (labels_of_2_3(target=DIFF_2), Reason.WRONG_CHAIN),
        ],
    )
    def test_what_contradicts_itself_is_not_staged(
        self, bench: Bench, labels: dict[str, str], reason: Reason
    ) -> None:
        """The parent that the labels name must give the chain ID."""
        bench.sources.publish("unpacked", BLOB_2, DIFF_2)
        mounts = staging(bench).prepare("k", "", labels)
        outcome = last_decision(bench).outcome

        assert isinstance(outcome, Miss)
        assert reason is outcome.reason
        assert "ro" not in mounts[-1].options

    def test_directories_that_may_need_correction_are_not_staged(self, bench: Bench) -> None:
        """What lies below is not known before Commit, which must not look at a source."""
        bench.sources.publish("unpacked", BLOB_2, DIFF_2, names=IMPLIED)
        staging(bench).prepare("k", "", labels_of_2_3())
        outcome = last_decision(bench).outcome

        assert isinstance(outcome, Miss)
        assert Reason.IMPLIED_DIRECTORIES is outcome.reason
        assert "not known before Commit" in outcome.detail

    def test_a_staged_layer_is_removed_like_any_other(self, bench: Bench) -> None:
        """Its link and its companion go with Cleanup; the layer is never touched."""
        bench.sources.publish("unpacked", BLOB_2, DIFF_2, names=WITH_WHITEOUT)
        snapshotter = staging(bench)
        snapshotter.prepare("k", "", labels_of_2_3())
        snapshotter.remove("k")
        snapshotter.cleanup()

        assert ([], [], []) == bench.everything()

    def test_a_source_that_fails_refuses_the_mounts_of_a_staged_layer(self, bench: Bench) -> None:
        """They would hang whoever mounts them; Commit does not look and goes on."""
        bench.sources.publish("unpacked", BLOB_2, DIFF_2)
        bottom = provided(bench, DIFF_1, BLOB_1)
        snapshotter = staging(bench)
        snapshotter.prepare("k", "", labels_of_2_3())
        bench.sources.faults["unpacked"] = Reason.INPUT_OUTPUT

        refused(bench, UnavailableError, lambda: snapshotter.mounts("k"))
        snapshotter.commit(NAMED, "k", {}, bottom.name)
        assert Kind.COMMITTED is bench.record(NAMED).kind

    def test_every_staged_layer_is_one_decision(self, bench: Bench) -> None:
        """So that counts of hits stay right."""
        bench.sources.publish("unpacked", BLOB_2, DIFF_2)
        staging(bench).prepare("k", "", labels_of_2_3())

        assert 1 == len([e for e in bench.events.recorded if isinstance(e, LayerDecided)])
