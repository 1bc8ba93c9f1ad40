"""Which of several sources a snapshotter takes a layer from."""

import contextlib

import pytest

from cvmfs_snapshotter.domain.errors import AlreadyExistsError
from cvmfs_snapshotter.domain.layer import Hit, Layer, Miss, Reason
from cvmfs_snapshotter.domain.policy import Policy, Whiteouts

from .bench import Bench
from .snapshotter_contract import (
    BLOB_1,
    DIFF_1,
    DIFF_2,
    WITH_WHITEOUT,
    last_decision,
    pull_labels,
)

FIRST, SECOND = "unpacked", "second"


def asked(bench: Bench) -> Hit | Miss:
    """Ask for the layer, and give what was decided."""
    with contextlib.suppress(AlreadyExistsError):
        bench.snapshotter.prepare("k", "", pull_labels(DIFF_1))
    return last_decision(bench).outcome


class SourcesContract:
    """The rules; a subclass gives the ``bench``."""

    @pytest.fixture(autouse=True)
    def two_sources(self, bench: Bench) -> None:
        """Configure a second source."""
        bench.sources.hosts[SECOND] = "/cvmfs/second"

    def test_the_first_that_has_it(self, bench: Bench) -> None:
        """The others are not even asked."""
        for name in (SECOND, FIRST):
            bench.sources.publish(name, BLOB_1)

        assert Hit(Layer(FIRST, BLOB_1), None) == asked(bench)
        assert {Layer(FIRST, BLOB_1)} == {*bench.sources.asked}

    def test_the_second_has_what_the_first_lacks(self, bench: Bench) -> None:
        """Absence on one is no trouble."""
        layer = bench.sources.publish(SECOND, BLOB_1)

        assert Hit(layer, None) == asked(bench)

    def test_trouble_with_the_first(self, bench: Bench) -> None:
        """It does not keep a layer of another one from being used."""
        layer = bench.sources.publish(SECOND, BLOB_1)
        bench.sources.faults[FIRST] = Reason.NOT_MOUNTED

        assert Hit(layer, None) == asked(bench)

    @pytest.mark.parametrize("refused", ["chain", "policy"])
    def test_what_speaks_against_the_first_alone(self, bench: Bench, refused: str) -> None:
        """A layer that was recorded wrongly, or is refused by policy, is taken from the second."""
        if refused == "chain":
            bench.sources.publish(FIRST, BLOB_1, DIFF_2)
        else:
            bench.sources.publish(FIRST, BLOB_1, names=WITH_WHITEOUT)
            bench.sources.policies[FIRST] = Policy(whiteouts=Whiteouts.REFUSE)
        layer = bench.sources.publish(SECOND, BLOB_1, DIFF_1)

        assert Hit(layer, DIFF_1) == asked(bench)

    @pytest.mark.parametrize("source", [FIRST, SECOND])
    def test_trouble_says_most(self, bench: Bench, source: str) -> None:
        """Trouble with one says more than absence on the other, in either order."""
        bench.sources.faults[source] = Reason.NOT_MOUNTED
        outcome = asked(bench)

        assert isinstance(outcome, Miss)
        assert (Reason.NOT_MOUNTED, source) == (outcome.reason, outcome.source)

    def test_no_source(self, bench: Bench) -> None:
        """Without any source every layer is a miss for that reason."""
        bench.sources.hosts.clear()
        outcome = asked(bench)

        assert isinstance(outcome, Miss)
        assert Reason.NO_SOURCE is outcome.reason
