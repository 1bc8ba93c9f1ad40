"""What circuits must do in front of every implementation of the port ``LayerSources``."""

from typing import Protocol

import pytest

from cvmfs_snapshotter.adapters.circuits import Breakers
from cvmfs_snapshotter.adapters.memory import MemoryClock, MemoryEvents
from cvmfs_snapshotter.domain.circuit import FIRST_PAUSE, Cause, Operation, State
from cvmfs_snapshotter.domain.companions import Names
from cvmfs_snapshotter.domain.events import CircuitClosed, CircuitOpened
from cvmfs_snapshotter.domain.layer import Hit, Layer, Miss, Reason, Trouble
from tests.contract.layers_contract import ONE, TWO, A, B, World, soon


class CircuitWorld(World, Protocol):
    """A world with circuits, whose clock is moved by hand."""

    @property
    def breakers(self) -> Breakers:
        """The circuits."""
        ...

    @property
    def clock(self) -> MemoryClock:
        """Gives them the time."""
        ...

    @property
    def events(self) -> MemoryEvents:
        """Hears of them."""
        ...

    def try_when_due(self, source: str) -> None:
        """Wait until a trial of the source is due, and carry it out."""
        ...


def open_circuit(world: CircuitWorld, source: str) -> None:
    """Unmount a source, and let two requests find out."""
    world.unmount(source)
    for _ in range(2):
        miss = world.sources.look(Layer(source, B), soon(world.sources))
        assert isinstance(miss, Miss)
        assert Reason.NOT_MOUNTED is miss.reason


def _never(_: Names) -> None:
    """Take the result of a scan that must not have one."""
    raise AssertionError("nothing can have been scanned")


class CircuitContract:
    """Subclass it beside ``LayersContract``, and override the fixture."""

    @pytest.fixture
    def world(self) -> CircuitWorld:
        """Give two empty, healthy sources behind closed circuits."""
        raise NotImplementedError

    def test_open(self, world: CircuitWorld) -> None:
        """After two failures the source is not asked, even if it is well again, and says why."""
        layer = world.publish(ONE, A)
        open_circuit(world, ONE)
        world.mount(ONE)
        miss = world.sources.look(layer, soon(world.sources))

        assert isinstance(miss, Miss)
        assert (Reason.CIRCUIT, ONE) == (miss.reason, miss.source)
        assert "not-mounted" in miss.detail
        assert "next try in 1 s" in miss.detail

    def test_everything_is_refused(self, world: CircuitWorld) -> None:
        """Each way to ask an open source is refused, and layers in trouble are named."""
        layer = world.publish(ONE, A)
        open_circuit(world, ONE)
        world.mount(ONE)
        until = soon(world.sources)
        other = world.publish(TWO, A)
        trouble = world.sources.check([other, layer], until)
        outcomes = [
            world.sources.scan(layer, _never),
            world.sources.directories_below([b"etc"], ["/none", other, layer]),
            world.sources.look(Layer(ONE, B), until),
        ]

        assert isinstance(trouble, Trouble)
        assert (layer, world.path(ONE, A), Reason.CIRCUIT) == (
            trouble.layer,
            trouble.path,
            trouble.reason,
        )
        assert "not-mounted" in trouble.detail
        for outcome in outcomes:
            assert isinstance(outcome, Miss)
            assert (Reason.CIRCUIT, ONE) == (outcome.reason, outcome.source)

    def test_look_above_is_refused(self, world: CircuitWorld) -> None:
        """An open source below is trouble, and one that is open for the layer alone a miss."""
        closed, opened = world.publish(TWO, A), world.publish(ONE, A)
        open_circuit(world, ONE)
        world.mount(ONE)
        until = soon(world.sources)
        trouble = [
            world.sources.look_above(Layer(ONE, B), [opened], until),
            world.sources.look_above(Layer(TWO, B), [closed, opened], until),
        ]
        miss = world.sources.look_above(opened, [closed], until)

        for each in trouble:
            assert isinstance(each, Trouble)
            assert (opened, Reason.CIRCUIT) == (each.layer, each.reason)
        assert isinstance(miss, Miss)
        assert (Reason.CIRCUIT, ONE) == (miss.reason, miss.source)

    def test_look_above_opens(self, world: CircuitWorld) -> None:
        """What it finds below counts like what a check finds."""
        below, layer = world.publish(ONE, A), world.publish(ONE, B)
        world.unmount(ONE)
        for _ in range(2):
            world.sources.look_above(layer, [below], soon(world.sources))

        assert State.OPEN is world.breakers.standing(ONE).circuit.state

    def test_others_go_on(self, world: CircuitWorld) -> None:
        """An open circuit says nothing about another source."""
        layer = world.publish(TWO, A)
        open_circuit(world, ONE)

        assert Hit(layer, None) == world.sources.look(layer, soon(world.sources))
        assert world.sources.check([layer], soon(world.sources)) is None
        assert State.CLOSED is world.breakers.standing(TWO).circuit.state

    def test_check_opens(self, world: CircuitWorld) -> None:
        """What a check finds counts against the source of the layer in trouble alone."""
        good, bad = world.publish(TWO, B), world.publish(ONE, A)
        world.unmount(ONE)
        for _ in range(2):
            world.sources.check([good, bad, good], soon(world.sources))

        assert State.OPEN is world.breakers.standing(ONE).circuit.state
        assert 0 == world.breakers.standing(TWO).circuit.failures

    def test_scan_counts(self, world: CircuitWorld) -> None:
        """A scan that fails counts like a look-up."""
        layer = world.publish(ONE, A)
        world.unmount(ONE)
        for _ in range(2):
            world.sources.scan(layer, _never)

        assert State.OPEN is world.breakers.standing(ONE).circuit.state

    @pytest.mark.parametrize("way", ["look", "check", "scan"])
    def test_success_in_between(self, world: CircuitWorld, way: str) -> None:
        """Whatever reads a layer makes good for a failure before it."""
        layer = world.publish(ONE, A)
        world.unmount(ONE)
        world.sources.look(layer, soon(world.sources))
        world.mount(ONE)
        assert 1 == world.breakers.standing(ONE).circuit.failures
        match way:
            case "look":
                world.sources.look(layer, soon(world.sources))
            case "check":
                world.sources.check([layer], soon(world.sources))
            case _:
                world.sources.scan(layer, lambda _: None)

        assert 0 == world.breakers.standing(ONE).circuit.failures

    def test_absent_layers_never_open(self, world: CircuitWorld) -> None:
        """Any number of missing layers is no trouble."""
        for _ in range(5):
            world.sources.look(Layer(ONE, B), soon(world.sources))
            world.sources.check([Layer(ONE, B)], soon(world.sources))

        assert 0 == world.breakers.standing(ONE).circuit.failures
        assert [] == world.events.recorded

    def test_recovery(self, world: CircuitWorld) -> None:
        """Once the source is back a trial closes it, and the next request is a hit."""
        layer = world.publish(ONE, A)
        open_circuit(world, ONE)
        world.try_when_due(ONE)
        assert State.OPEN is world.breakers.standing(ONE).circuit.state
        world.mount(ONE)
        world.try_when_due(ONE)

        assert State.CLOSED is world.breakers.standing(ONE).circuit.state
        assert Hit(layer, None) == world.sources.look(Layer(ONE, A), soon(world.sources))

    def test_events(self, world: CircuitWorld) -> None:
        """One event tells of the opening, one of the closing, whatever happens in between."""
        open_circuit(world, ONE)
        for _ in range(20):
            world.sources.look(Layer(ONE, A), soon(world.sources))
        world.try_when_due(ONE)
        world.mount(ONE)
        world.try_when_due(ONE)
        opened, closed = world.events.recorded

        assert isinstance(opened, CircuitOpened)
        assert isinstance(closed, CircuitClosed)
        assert (ONE, 2, FIRST_PAUSE) == (opened.source, opened.failures, opened.next_try)
        assert (Operation.IDENTITY, Reason.NOT_MOUNTED) == (
            opened.cause.operation,
            opened.cause.reason,
        )
        assert (ONE, 3 * FIRST_PAUSE, 2, 0) == (
            closed.source,
            closed.seconds,
            closed.tries,
            closed.suspects,
        )
        assert Reason.NOT_MOUNTED is closed.cause.reason

    def test_last_error(self, world: CircuitWorld) -> None:
        """What was wrong last is remembered when it is long over."""
        assert world.breakers.standing(ONE).last_error is None
        open_circuit(world, ONE)
        at = world.clock.now()
        world.mount(ONE)
        world.try_when_due(ONE)
        world.clock.advance(3600.0)
        standing = world.breakers.standing(ONE)

        assert isinstance(standing.last_error, Cause)
        assert (Reason.NOT_MOUNTED, at) == (standing.last_error.reason, standing.last_error_at)
        assert (3600.0, None) == (standing.age, standing.next_try)
