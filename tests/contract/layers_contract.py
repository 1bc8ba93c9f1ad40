"""What every implementation of the port ``LayerSources`` must do."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import attrs
import pytest

from cvmfs_snapshotter.domain.companions import Directory, Names
from cvmfs_snapshotter.domain.layer import Digest, Hit, Layer, Miss, Reason, Trouble
from cvmfs_snapshotter.domain.policy import Policy
from cvmfs_snapshotter.domain.ports.layers import LayerSources
from cvmfs_snapshotter.domain.ports.trials import Trials

ONE, TWO = "one", "two"
"""The two sources of each world, in this order."""

A, B, C = (Digest(letter * 64) for letter in "abc")
DIFF_ID = Digest("d" * 64)

ROOT = Directory(b"", 0o755, 0, 0, 1_600_000_000_000_000_000)
WITH_WHITEOUT = Names(
    entries=3,
    markers=(b"etc/.wh.passwd",),
    directories=(ROOT, attrs.evolve(ROOT, path=b"etc", mode=0o750)),
    owners=((0, 0),),
)
"""What the names say in a layer of ``etc``, ``etc/.wh.passwd`` and ``etc/group``."""


class World(Protocol):
    """Two sources, and the means to change what is on them."""

    @property
    def sources(self) -> LayerSources:
        """The implementation that sees them."""
        ...

    @property
    def trials(self) -> Trials:
        """What asks the same sources for trials."""
        ...

    def publish(self, source: str, digest: Digest, diff_id: Digest | None = None) -> Layer:
        """Publish a layer whose names say ``WITH_WHITEOUT``."""
        ...

    def unmount(self, source: str) -> None:
        """Let nothing be mounted where a source should be."""
        ...

    def mount(self, source: str) -> None:
        """Mount a source again."""
        ...

    def path(self, source: str, digest: Digest) -> str:
        """Tell where containerd should find a layer."""
        ...

    def without_sources(self) -> LayerSources:
        """Give an implementation without any source."""
        ...


def soon(sources: LayerSources) -> float:
    """Give a deadline that is not meant to pass."""
    return time.monotonic() + sources.patience


class LayersContract:
    """Subclass it, and override the fixture."""

    @pytest.fixture
    def world(self) -> World:
        """Give two empty, healthy sources."""
        raise NotImplementedError

    def look(self, world: World, digest: Digest) -> Hit | Miss:
        """Look a layer up on the first source."""
        return world.sources.look(Layer(ONE, digest), soon(world.sources))

    def test_hit(self, world: World) -> None:
        """A published layer is a hit, with the diff ID that its publisher recorded."""
        layer = world.publish(ONE, A, DIFF_ID)

        assert Hit(layer, DIFF_ID) == self.look(world, A)

    def test_hit_without_diff_id(self, world: World) -> None:
        """The absence of a recorded diff ID is normal."""
        layer = world.publish(ONE, A)

        assert Hit(layer, None) == self.look(world, A)

    def test_absent(self, world: World) -> None:
        """A layer that no source has is absent, which is no trouble."""
        world.publish(ONE, A)
        miss = self.look(world, B)

        assert isinstance(miss, Miss)
        assert (Reason.ABSENT, ONE) == (miss.reason, miss.source)
        assert miss.detail

    def test_names(self, world: World) -> None:
        """The sources are named in the order of their configuration."""
        assert [ONE, TWO] == list(world.sources.names)
        assert [] == list(world.without_sources().names)

    def test_look(self, world: World) -> None:
        """A look at one source ignores the others."""
        layer = world.publish(TWO, A, DIFF_ID)
        until = soon(world.sources)
        elsewhere = world.sources.look(Layer(ONE, A), until)

        assert Hit(layer, DIFF_ID) == world.sources.look(layer, until)
        assert isinstance(elsewhere, Miss)
        assert Reason.ABSENT is elsewhere.reason

    def test_look_at_unknown_source(self, world: World) -> None:
        """A source that is not configured any more is a miss, not an error."""
        miss = world.sources.look(Layer("gone", A), soon(world.sources))

        assert isinstance(miss, Miss)
        assert (Reason.NO_SOURCE, "gone") == (miss.reason, miss.source)

    def test_check(self, world: World) -> None:
        """Layers that can all be opened are no trouble, however often they are named."""
        layers = [world.publish(ONE, A), world.publish(TWO, B), world.publish(ONE, C)]

        assert world.sources.check(layers * 2, soon(world.sources)) is None
        assert world.sources.check([], soon(world.sources)) is None

    def test_check_first_trouble(self, world: World) -> None:
        """The first layer out of reach is named, with its path and the reason."""
        layers = [world.publish(ONE, A), Layer(ONE, B), Layer(TWO, C)]
        trouble = world.sources.check(layers, soon(world.sources))

        assert trouble is not None
        assert layers[1] == trouble.layer
        assert world.path(ONE, B) == trouble.path
        assert Reason.ABSENT is trouble.reason
        assert trouble.detail

    def test_check_broken_source(self, world: World) -> None:
        """A source that is not mounted is trouble for the layers on it."""
        layers = [world.publish(ONE, A), world.publish(TWO, B)]
        world.unmount(TWO)
        trouble = world.sources.check(layers, soon(world.sources))

        assert trouble is not None
        assert (layers[1], Reason.NOT_MOUNTED) == (trouble.layer, trouble.reason)

    def test_check_unknown_source(self, world: World) -> None:
        """A layer of a source that is not configured any more is trouble."""
        trouble = world.sources.check([Layer("gone", A)], soon(world.sources))

        assert trouble is not None
        assert Reason.NO_SOURCE is trouble.reason

    def test_look_above(self, world: World) -> None:
        """A layer above others is found, or missed, as by a look-up."""
        below = [world.publish(ONE, A), world.publish(TWO, B)]
        layer = world.publish(ONE, C, DIFF_ID)
        for lower in ([], below[:1], below, below[:1] * 2):
            until = soon(world.sources)
            missed = world.sources.look_above(Layer(TWO, C), lower, until)

            assert Hit(layer, DIFF_ID) == world.sources.look_above(layer, lower, until)
            assert isinstance(missed, Miss)
            assert (Reason.ABSENT, TWO) == (missed.reason, missed.source)

    def test_look_above_trouble(self, world: World) -> None:
        """The first layer below that is out of reach is named, whatever the layer itself is."""
        below = [world.publish(ONE, A), Layer(ONE, B), Layer(TWO, A)]
        for layer in (world.publish(ONE, C), Layer(ONE, B), Layer(TWO, C)):
            trouble = world.sources.look_above(layer, below, soon(world.sources))

            assert isinstance(trouble, Trouble)
            assert (below[1], world.path(ONE, B), Reason.ABSENT) == (
                trouble.layer,
                trouble.path,
                trouble.reason,
            )

    def test_look_above_broken_source(self, world: World) -> None:
        """A source that is not mounted is trouble for what lies below, no miss."""
        below, layer = world.publish(ONE, A), world.publish(ONE, B)
        world.unmount(ONE)
        trouble = world.sources.look_above(layer, [below], soon(world.sources))

        assert isinstance(trouble, Trouble)
        assert (below, Reason.NOT_MOUNTED) == (trouble.layer, trouble.reason)

    def test_scan(self, world: World) -> None:
        """A scan tells what the names say, and hands that over once."""
        kept: list[Names] = []
        layer = world.publish(ONE, A)

        assert world.sources.scan(layer, kept.append) == WITH_WHITEOUT
        assert [WITH_WHITEOUT] == kept

    def test_scan_not_kept(self, world: World) -> None:
        """Trouble with keeping the result does not spoil it."""
        layer = world.publish(ONE, A)

        def refuse(_: Names) -> None:
            raise OSError("disk full")

        assert world.sources.scan(layer, refuse) == WITH_WHITEOUT
        assert world.sources.scan(layer, refuse) == WITH_WHITEOUT

    def test_directories_below(self, world: World) -> None:
        """The directory that a chain shows is described; what it does not show is left out."""
        layer = world.publish(ONE, A)
        below = world.sources.directories_below([b"etc", b"none"], [layer])

        assert {b"etc": attrs.evolve(ROOT, path=b"etc", mode=0o750)} == below

    def test_directories_below_an_unreachable_layer(self, world: World) -> None:
        """Not to know is a miss, never an empty answer."""
        layer = world.publish(ONE, A)
        world.unmount(ONE)

        for asked in (layer, Layer("unconfigured", A)):
            found = world.sources.directories_below([b"etc"], [asked])
            assert isinstance(found, Miss)

    def test_policies(self, world: World) -> None:
        """A source has the usual policies unless others are configured."""
        assert Policy() == world.sources.policy(ONE)

    def test_scan_of_nothing(self, world: World) -> None:
        """A scan that fails is a miss with its reason, and nothing is kept."""
        kept: list[Names] = []
        for layer, reason in (
            (Layer(ONE, A), Reason.ABSENT),
            (Layer("gone", A), Reason.NO_SOURCE),
        ):
            miss = world.sources.scan(layer, kept.append)

            assert isinstance(miss, Miss)
            assert (reason, layer.source) == (miss.reason, miss.source)
        assert [] == kept

    def test_scans_at_once(self, world: World) -> None:
        """Any number of threads may scan at once, and all get the result."""
        layer = world.publish(ONE, A)
        with ThreadPoolExecutor(4) as threads:
            results = list(
                threads.map(lambda _: world.sources.scan(layer, lambda _: None), range(4))
            )

        assert [WITH_WHITEOUT] * 4 == results

    def test_path(self, world: World) -> None:
        """A layer's path is the one at which containerd mounts it, whether or not it is there."""
        assert world.path(TWO, A) == world.sources.path(Layer(TWO, A))
        assert world.sources.path(Layer("gone", A)) is None

    def test_identify(self, world: World) -> None:
        """A source says who it is, or what is wrong with its root."""
        world.unmount(TWO)
        until = soon(world.sources)
        unmounted = world.trials.identify(TWO, until)
        unknown = world.trials.identify("gone", until)

        assert world.trials.identify(ONE, until) is None
        assert unmounted is not None
        assert unknown is not None
        assert (Reason.NOT_MOUNTED, TWO) == (unmounted.reason, unmounted.source)
        assert Reason.NO_SOURCE is unknown.reason

    def test_trial_look_up(self, world: World) -> None:
        """A look-up for a trial says what any other says."""
        layer = world.publish(ONE, A)
        absent = world.trials.look(Layer(ONE, B), soon(world.sources))

        assert Hit(layer, None) == world.trials.look(layer, soon(world.sources))
        assert isinstance(absent, Miss)
        assert Reason.ABSENT is absent.reason

    def test_patience(self, world: World) -> None:
        """There is a bound to what one request spends on look-ups."""
        assert world.sources.patience > 0
