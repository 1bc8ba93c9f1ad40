"""What a comparison finds, what it mends, and what it leaves to the operator."""

import attrs
import pytest

from cvmfs_snapshotter.domain.containerd import (
    ContainerdRecords,
    KnownContainer,
    KnownSnapshot,
)
from cvmfs_snapshotter.domain.errors import AlreadyExistsError
from cvmfs_snapshotter.domain.findings import Finding, Problem
from cvmfs_snapshotter.domain.layer import Layer, Reason
from cvmfs_snapshotter.domain.usecases.reconcile import Reconciliation

from .bench import Bench
from .snapshotter_contract import (
    BLOB_1,
    BLOB_2,
    CHAIN_2,
    DIFF_1,
    DIFF_2,
    IMPLIED,
    WITH_WHITEOUT,
    committed,
    provided,
    pull_labels,
)


def on(bench: Bench, known: ContainerdRecords | None = None) -> Reconciliation:
    """Give a comparison."""
    return Reconciliation(bench.context, known, "cvmfs-snapshotter", 5.0)


def found(bench: Bench, known: ContainerdRecords | None = None) -> list[Finding]:
    """Compare, and make sure that nothing is changed by it."""
    before = bench.everything()
    findings = on(bench, known).inspect()
    assert before == bench.everything()
    return findings


def problems(bench: Bench, known: ContainerdRecords | None = None) -> list[Problem]:
    """Compare, and give what is wrong."""
    return [finding.problem for finding in found(bench, known)]


def mended(bench: Bench) -> list[Problem]:
    """Mend, and give what is still wrong."""
    on(bench).mend()
    return problems(bench)


def of_containerd(bench: Bench, *more: KnownSnapshot) -> ContainerdRecords:
    """Give what containerd would have recorded of all that is there, and some more."""
    every = bench.everything()[0]
    known = [KnownSnapshot("n", f"key {s.name}", s.name, parent_key(s.parent)) for s in every]
    return ContainerdRecords((*known, *more), (), {})


def parent_key(name: str) -> str:
    """Give the key of a parent."""
    return f"key {name}" if name else ""


class ReconcileContract:
    """The rules; a subclass gives the ``bench``."""

    def test_everything_fits(self, bench: Bench) -> None:
        """Snapshots of every kind; containerd knows them all, or could not be read."""
        bench.sources.publish("unpacked", BLOB_2, names=WITH_WHITEOUT)
        bottom = provided(bench, DIFF_1, BLOB_1)
        bench.snapshotter.prepare("active", bottom.name, {})
        base = committed(bench, "base", bottom.name)
        bench.snapshotter.view("view", base, {})
        bench.snapshotter.view("empty view", "", {})

        assert [] == found(bench)
        assert [] == found(bench, of_containerd(bench))
        assert [] == mended(bench)

    def test_a_directory_without_a_record(self, bench: Bench) -> None:
        """One that holds nothing was left by a crash, and goes."""
        bench.context.directories.create_active(bench.store.new_identifier(), (0, 0))

        (finding,) = found(bench)
        assert (Problem.ORPHAN, True, ()) == (finding.problem, finding.safe, finding.commands)
        assert [] == mended(bench)
        assert [] == sorted(bench.context.directories.present())

    def test_a_directory_that_was_never_ours(self, bench: Bench) -> None:
        """It may hold somebody's data: it is named for as long as it is there."""
        bench.context.directories.create_active(10_000, (0, 0))
        bench.store.write(lambda t: t.add_strangers([10_000]))

        (finding,) = found(bench)
        assert (Problem.STRANGER, False) == (finding.problem, finding.safe)
        assert "snapshots/10000 && rm -f" in finding.commands[-1]
        assert [Problem.STRANGER] == mended(bench)
        bench.context.directories.remove(10_000)
        assert [] == found(bench)

    def test_a_companion_without_a_record(self, bench: Bench) -> None:
        """It can be made again whenever it is needed, and goes."""
        layer = bench.sources.publish("unpacked", BLOB_1, names=WITH_WHITEOUT)
        companion = companion_of(bench, layer)
        bench.snapshotter.remove(f"{DIFF_1}@0")
        bench.store.write(lambda t: t.claim_unused_companions(10))
        bench.store.write(lambda t: t.forget_companions([companion]))
        bench.snapshotter.cleanup()

        assert [Problem.UNUSED_COMPANION] == problems(bench)
        assert [] == mended(bench)
        assert [] == sorted(bench.context.companions.present())

    def test_what_was_removed_waits_for_cleanup(self, bench: Bench) -> None:
        """It passes by itself, and mending does it at once."""
        committed(bench, "base")
        bench.snapshotter.remove("base")

        (finding,) = found(bench)
        assert (Problem.REMOVED, True) == (finding.problem, finding.passes)
        assert [] == mended(bench)

    def test_links_that_lead_elsewhere_are_mended(self, bench: Bench) -> None:
        """Of layers and of local files; that one is missing is nothing to tell."""
        bottom = bench.record(provided(bench, DIFF_1, BLOB_1).name)
        local = bench.record(committed(bench, "base"))
        for snapshot in (bottom, local):
            bench.context.directories.link_layer(snapshot.identifier, "/elsewhere")

        assert [Problem.LINK] * 2 == problems(bench)
        assert [] == mended(bench)
        path = bench.context.sources.path(Layer("unpacked", BLOB_1))
        present = bench.context.directories.present()
        assert {bottom.identifier, local.identifier} <= {*present}
        assert not bench.context.directories.is_astray(bottom.identifier, path)
        assert not bench.context.directories.is_astray(local.identifier)

    @pytest.mark.parametrize("over", ["nothing", "remote", "local"])
    def test_own_directories_are_made_again(self, bench: Bench, over: str) -> None:
        """Those of active snapshots, and of views of nothing."""
        parents = {"nothing": "", "local": committed(bench, "base")}
        parents["remote"] = provided(bench, DIFF_1, BLOB_1).name
        bench.snapshotter.prepare("active", parents[over], {})
        bench.snapshotter.view("view", "", {})
        for name in ("active", "view"):
            bench.context.directories.remove(bench.record(name).identifier)

        assert {Problem.DIRECTORY} == set(problems(bench))
        assert [] == mended(bench)
        assert bench.snapshotter.mounts("active")

    def test_lost_files_are_the_operators(self, bench: Bench) -> None:
        """What containerd unpacked cannot be made again; it is named with the way out."""
        base = committed(bench, "base")
        bench.snapshotter.prepare("active", base, {})
        known = of_containerd(bench)
        bench.context.directories.remove(bench.record(base).identifier)

        lost = [f for f in found(bench, known) if f.problem is Problem.FILES]
        assert [(False, f"snapshot {base!r}")] == [(f.safe, f.subject) for f in lost]
        assert "key active" in lost[0].commands[0]
        assert "key base" in lost[0].commands[1]
        assert [Problem.FILES] == mended(bench)

    def test_companions_are_made_again(self, bench: Bench) -> None:
        """From their layers, under the same number, so that containers find them."""
        layer = bench.sources.publish("unpacked", BLOB_1, names=WITH_WHITEOUT)
        number = companion_of(bench, layer)
        bench.context.companions.remove(number)

        (finding,) = found(bench)
        assert (Problem.COMPANION, True) == (finding.problem, finding.safe)
        assert [] == mended(bench)
        assert [number] == sorted(bench.context.companions.present())

    def test_companions_wait_for_their_source(self, bench: Bench) -> None:
        """Without the layer they cannot be made; nothing else is put in their place."""
        layer = bench.sources.publish("unpacked", BLOB_1, names=WITH_WHITEOUT)
        number = companion_of(bench, layer)
        bench.context.companions.remove(number)
        bench.sources.faults["unpacked"] = Reason.INPUT_OUTPUT

        assert [Problem.COMPANION, Problem.UNREACHABLE] == mended(bench)
        assert [] == sorted(bench.context.companions.present())

    def test_companions_of_another_plan_are_not_made(self, bench: Bench) -> None:
        """A layer that was published anew needs another one than containers stand on."""
        layer = bench.sources.publish("unpacked", BLOB_1, names=WITH_WHITEOUT)
        number = companion_of(bench, layer)
        bench.context.companions.remove(number)
        bench.sources.publish("unpacked", BLOB_1, names=IMPLIED)
        bench.sources.stamps[layer] = "again"

        assert [Problem.COMPANION] == mended(bench)

    def test_layers_are_looked_for(self, bench: Bench) -> None:
        """One that is gone, one out of reach, and one whose source is not configured any more."""
        bottom = provided(bench, DIFF_1, BLOB_1)
        layer = Layer("unpacked", BLOB_1)
        known = of_containerd(bench)
        published = bench.sources.published.pop(layer)
        (finding,) = found(bench, known)
        assert (Problem.UNREACHABLE, ()) == (finding.problem, finding.commands)
        assert "look whether it is mounted" in finding.detail
        provided(bench, DIFF_2, BLOB_2)
        known = of_containerd(bench)
        (finding,) = found(bench, known)
        assert (Problem.LAYER, False) == (finding.problem, finding.safe)
        assert bottom.name in finding.commands[-1]
        bench.sources.published[layer] = published
        bench.sources.faults["unpacked"] = Reason.STALE
        assert [Problem.UNREACHABLE] * 2 == problems(bench)
        bench.sources.faults.clear()
        host = bench.sources.hosts.pop("unpacked")
        assert {(Problem.SOURCE, ())} == {(f.problem, f.commands) for f in found(bench, known)}
        bench.sources.hosts["unpacked"] = host
        assert [] == found(bench)

    def test_what_containerd_alone_knows(self, bench: Bench) -> None:
        """Pulls of it would fail for ever: the commands make containerd forget it."""
        lost = KnownSnapshot("n", "lost", "n/9/lost", "")
        known = attrs.evolve(of_containerd(bench, lost), images={("n", "lost"): ("image:1",)})

        (finding,) = found(bench, known)
        assert (Problem.UNKNOWN_TO_US, False) == (finding.problem, finding.safe)
        assert (
            "ctr -n n images rm image:1",
            "ctr -n n snapshots --snapshotter cvmfs-snapshotter rm lost",
        ) == finding.commands

    def test_what_we_alone_know(self, bench: Bench) -> None:
        """It passes: containerd's garbage collection removes what it does not know."""
        committed(bench, "base")

        (finding,) = found(bench, ContainerdRecords((), (), {}))
        assert (Problem.UNKNOWN_TO_CONTAINERD, True) == (finding.problem, finding.passes)

    def test_another_parent(self, bench: Bench) -> None:
        """The two would mount different files under one name."""
        base = committed(bench, "base")
        committed(bench, "other")
        committed(bench, "top", base)
        known = of_containerd(bench)
        wrong = [
            attrs.evolve(s, parent="key other") if s.name == "top" else s for s in known.snapshots
        ]

        (finding,) = found(bench, attrs.evolve(known, snapshots=tuple(wrong)))
        assert Problem.OTHER_PARENT is finding.problem
        assert finding.commands

    def test_a_container_without_its_snapshot(self, bench: Bench) -> None:
        """It can only be removed."""
        known = ContainerdRecords((), (KnownContainer("n", "c", "gone"),), {})

        (finding,) = found(bench, known)
        assert Problem.CONTAINER is finding.problem
        assert "'gone'" in finding.detail

    def test_two_layers_deep(self, bench: Bench) -> None:
        """Companions that depend on the layers below are planned with them."""
        bench.sources.publish("unpacked", BLOB_2, names=IMPLIED)
        bottom = provided(bench, DIFF_1, BLOB_1)
        with pytest.raises(AlreadyExistsError, match="provided"):
            bench.snapshotter.prepare("k", bottom.name, pull_labels(CHAIN_2, BLOB_2))
        number = bench.record(f"{CHAIN_2}@{bench.record(bottom.name).identifier}").companion
        assert number is not None
        bench.context.companions.remove(number.number)

        assert [] == mended(bench)


def companion_of(bench: Bench, layer: Layer) -> int:
    """Have a layer provided and give the number of its companion."""
    with pytest.raises(AlreadyExistsError, match="provided"):
        bench.snapshotter.prepare("k", "", pull_labels(DIFF_1, layer.digest))
    companion = bench.record(f"{DIFF_1}@0").companion
    assert companion is not None
    return companion.number
