"""The contract of ``LayerSources``, in memory and with probe processes on real directories."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.circuits import Breakers, GuardedSources, Trier
from cvmfs_snapshotter.adapters.clock import SystemClock
from cvmfs_snapshotter.adapters.layers.prober import WORKER_MODULE
from cvmfs_snapshotter.adapters.layers.settings import SourceSettings
from cvmfs_snapshotter.adapters.layers.sources import Sources
from cvmfs_snapshotter.adapters.memory import MemoryClock, MemoryEvents, MemorySources
from cvmfs_snapshotter.adapters.metrics.naming import new_registry
from cvmfs_snapshotter.adapters.metrics.sources import TimedSources
from cvmfs_snapshotter.adapters.probes import ProbePool, worker_command
from cvmfs_snapshotter.adapters.tracing.sources import TracedSources
from cvmfs_snapshotter.domain.layer import Digest, Layer, Reason
from tests.contract.circuit_contract import CircuitContract
from tests.contract.layers_contract import ONE, TWO, WITH_WHITEOUT, LayersContract
from tests.tracing.recording import Recording


class MemoryWorld:
    """A world that is only remembered."""

    def __init__(self) -> None:
        self.sources = MemorySources([ONE, TWO])

    def publish(self, source: str, digest: Digest, diff_id: Digest | None = None) -> Layer:
        """See ``World.publish``."""
        layer = self.sources.publish(source, digest, diff_id, WITH_WHITEOUT)
        self.sources.shown[layer] = {d.path: d for d in WITH_WHITEOUT.directories if d.path}
        return layer

    def unmount(self, source: str) -> None:
        """See ``World.unmount``."""
        self.sources.faults[source] = Reason.NOT_MOUNTED

    def mount(self, source: str) -> None:
        """See ``World.mount``."""
        del self.sources.faults[source]

    @property
    def trials(self) -> MemorySources:
        """See ``World.trials``."""
        return self.sources

    def path(self, source: str, digest: Digest) -> str:
        """See ``World.path``."""
        return f"/cvmfs/{source}/.layers/{digest.hex[:2]}/{digest.hex}/layerfs"

    def without_sources(self) -> MemorySources:
        """See ``World.without_sources``."""
        return MemorySources([])


class DiskWorld:
    """A world of directories, laid out as DUCC lays them out."""

    def __init__(self, base: Path, pool: ProbePool) -> None:
        self._base = base
        self._pool = pool
        for name in (ONE, TWO):
            (base / name).mkdir()
        self.sources = self._make(ONE, TWO)

    def _make(self, *names: str) -> Sources:
        settings = [
            SourceSettings(name, "directory", "", str(self._base / name), f"/host/{name}")
            for name in names
        ]
        return Sources(settings, self._pool, SystemClock())

    def publish(self, source: str, digest: Digest, diff_id: Digest | None = None) -> Layer:
        """See ``World.publish``."""
        directory = self._base / source / ".layers" / digest.hex[:2] / digest.hex
        (directory / "layerfs/etc").mkdir(parents=True)
        for name in (".wh.passwd", "group"):
            (directory / "layerfs/etc" / name).touch()
        for described in reversed(WITH_WHITEOUT.directories):
            path = directory / "layerfs" / described.path.decode()
            path.chmod(described.mode)
            os.utime(path, ns=(described.mtime, described.mtime))
        if diff_id is not None:
            entry = {
                "id": diff_id.hex,
                "compressed-diff-digest": str(digest),
                "diff-digest": str(diff_id),
            }
            (directory / ".metadata").mkdir()
            (directory / ".metadata/layers.json").write_text(json.dumps([entry]))
        return Layer(source, digest)

    def unmount(self, source: str) -> None:
        """See ``World.unmount``."""
        (self._base / source).rename(self._base / f"{source}.away")

    def mount(self, source: str) -> None:
        """See ``World.mount``."""
        (self._base / f"{source}.away").rename(self._base / source)

    @property
    def trials(self) -> Sources:
        """See ``World.trials``."""
        return self.sources

    def path(self, source: str, digest: Digest) -> str:
        """See ``World.path``."""
        return f"/host/{source}/.layers/{digest.hex[:2]}/{digest.hex}/layerfs"

    def without_sources(self) -> Sources:
        """See ``World.without_sources``."""
        return self._make()


class GuardedWorld:
    """Another world, with circuits in front of its sources, which are timed and traced as well.

    Attributes:
        recording: has the spans, if there is a call.
    """

    def __init__(self, inner: MemoryWorld | DiskWorld) -> None:
        self.recording = Recording()
        self.inner = inner
        self.clock = MemoryClock()
        self.events = MemoryEvents()
        self.breakers = Breakers([ONE, TWO], self.clock, self.events, lambda: 0.0)
        limits = {ONE: 5.0, TWO: 5.0}
        timed = TimedSources(inner.sources, new_registry())
        traced = TracedSources(timed, self.recording.inner)
        self.sources = GuardedSources(traced, self.breakers, limits, SystemClock())
        trials = {ONE: inner.trials, TWO: inner.trials}
        self._trier = Trier(self.breakers, trials, limits, SystemClock())

    def publish(self, source: str, digest: Digest, diff_id: Digest | None = None) -> Layer:
        """See ``World.publish``."""
        return self.inner.publish(source, digest, diff_id)

    def unmount(self, source: str) -> None:
        """See ``World.unmount``."""
        self.inner.unmount(source)

    def mount(self, source: str) -> None:
        """See ``World.mount``."""
        self.inner.mount(source)

    def path(self, source: str, digest: Digest) -> str:
        """See ``World.path``."""
        return self.inner.path(source, digest)

    @property
    def trials(self) -> MemorySources | Sources:
        """See ``World.trials``."""
        return self.inner.trials

    def without_sources(self) -> GuardedSources:
        """See ``World.without_sources``."""
        return GuardedSources(self.inner.without_sources(), self.breakers, {}, SystemClock())

    def try_when_due(self, source: str) -> None:
        """See ``CircuitWorld.try_when_due``."""
        self.clock.advance(self.breakers.standing(source).next_try or 0.0)
        assert self._trier.run(source)


@pytest.fixture(scope="module")
def pool() -> Iterator[ProbePool]:
    """Give probe processes that run the real worker."""
    pool = ProbePool(worker_command(WORKER_MODULE))
    yield pool
    pool.close()


class TestMemorySources(LayersContract):
    @pytest.fixture
    def world(self) -> MemoryWorld:
        """Give two empty, healthy sources."""
        return MemoryWorld()


class TestSources(LayersContract):
    @pytest.fixture
    def world(self, pool: ProbePool, tmp_path: Path) -> DiskWorld:
        """Give two empty, healthy sources."""
        return DiskWorld(tmp_path, pool)


class TestGuardedMemorySources(LayersContract, CircuitContract):
    @pytest.fixture
    def world(self) -> Iterator[GuardedWorld]:
        """Give two empty, healthy sources, in a call that is recorded."""
        made = GuardedWorld(MemoryWorld())
        with made.recording.call():
            yield made


class TestGuardedSources(LayersContract, CircuitContract):
    @pytest.fixture
    def world(self, pool: ProbePool, tmp_path: Path) -> Iterator[GuardedWorld]:
        """Give two empty, healthy sources, in a call that is recorded."""
        made = GuardedWorld(DiskWorld(tmp_path, pool))
        with made.recording.call():
            yield made
