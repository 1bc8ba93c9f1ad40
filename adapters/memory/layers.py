"""Sources with layers, remembered."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs

from cvmfs_snapshotter.domain.companions import Directory, Names
from cvmfs_snapshotter.domain.layer import Digest, Hit, Layer, Miss, Reason, Trouble
from cvmfs_snapshotter.domain.policy import Policy

PLAIN = Names(entries=1)
"""What the names in an ordinary layer say."""


@attrs.frozen
class Published:
    """A layer on a source.

    Attributes:
        diff_id: what its publisher recorded.
        names: what its names say.
    """

    diff_id: Digest | None = None
    names: Names = PLAIN


class MemorySources:
    """Implements ``LayerSources`` and ``Trials``.

    Attributes:
        published: the layers.
        faults: by source, what is wrong with all of it.
        from_memory: sources whose roots answer whatever is wrong, as a living CVMFS client's do.
        cached: layers that are found whatever is wrong.
        unscannable: layers whose scan is not waited for; ``finish_scan`` ends it.
        hosts: by source, where containerd mounts it.
        policies: by source, its policies; the usual ones where it is not in it.
        shown: by lower, the directories that it shows and decides on.
        stamps: by layer, its stamp; empty where it is not in it.
        below_fault: while it is not None, chains cannot be looked at for it.
        asked: every layer that was looked up or opened, in order.
        scans: every layer that was read, in order.
    """

    def __init__(self, names: Iterable[str] = ("unpacked",), patience: float = 5.0) -> None:
        """Start with sources that are healthy and empty.

        Args:
            names: of the sources, in the order in which they are asked.
            patience: see ``LayerSources.patience``.
        """
        self.published: dict[Layer, Published] = {}
        self.faults: dict[str, Reason] = {}
        self.from_memory: set[str] = set()
        self.cached: set[Layer] = set()
        self.unscannable: set[Layer] = set()
        self.hosts = {name: f"/cvmfs/{name}" for name in names}
        self.policies: dict[str, Policy] = {}
        self.shown: dict[Layer | str, dict[bytes, Directory]] = {}
        self.stamps: dict[Layer, str] = {}
        self.below_fault: Reason | None = None
        self.asked: list[Layer] = []
        self.scans: list[Layer] = []
        self._patience = patience
        self._waiting: dict[Layer, Callable[[Names], None]] = {}
        self._lock = threading.Lock()

    def publish(
        self, source: str, digest: Digest, diff_id: Digest | None = None, names: Names = PLAIN
    ) -> Layer:
        """Put a layer on a source."""
        layer = Layer(source, digest)
        self.published[layer] = Published(diff_id, names)
        return layer

    @property
    def patience(self) -> float:
        """See ``LayerSources.patience``."""
        return self._patience

    @property
    def names(self) -> Sequence[str]:
        """See ``LayerSources.names``."""
        return tuple(self.hosts)

    def look(self, layer: Layer, until: float) -> Hit | Miss:  # noqa: ARG002 - it never waits
        """See ``LayerSources.look``."""
        if layer.source not in self.hosts:
            return Miss(Reason.NO_SOURCE, "the source is not configured", layer.source)
        self.asked.append(layer)
        if layer.source in self.faults and layer not in self.cached:
            fault = self.faults[layer.source]
            return Miss(fault, f"the source has a fault: {fault.value}", layer.source)
        if layer not in self.published:
            return Miss(Reason.ABSENT, "it is not published", layer.source)
        return Hit(layer, self.published[layer].diff_id, self.stamps.get(layer, ""))

    def identify(self, source: str, until: float) -> Miss | None:  # noqa: ARG002 - it never waits
        """See ``Trials.identify``."""
        if source not in self.hosts:
            return Miss(Reason.NO_SOURCE, "the source is not configured", source)
        if source in self.from_memory or source not in self.faults:
            return None
        fault = self.faults[source]
        return Miss(fault, f"the source has a fault: {fault.value}", source)

    def look_above(
        self, layer: Layer, below: Sequence[Layer], until: float
    ) -> Hit | Miss | Trouble:
        """See ``LayerSources.look_above``."""
        return self.check(below, until) or self.look(layer, until)

    def check(self, layers: Sequence[Layer], until: float) -> Trouble | None:
        """See ``LayerSources.check``."""
        for layer in dict.fromkeys(layers):
            outcome = self.look(layer, until)
            if isinstance(outcome, Miss):
                return Trouble(layer, self.path(layer) or "", outcome.reason, outcome.detail)
        return None

    def scan(self, layer: Layer, keep: Callable[[Names], None]) -> Names | Miss:
        """See ``LayerSources.scan``."""
        outcome = self.look(layer, 0.0)
        if isinstance(outcome, Miss):
            return outcome
        with self._lock:
            if layer not in self._waiting:
                self.scans.append(layer)
            if layer in self.unscannable:
                self._waiting.setdefault(layer, keep)
                return Miss(Reason.SLOW, "it goes on in the background", layer.source)
        names = self._names(layer)
        _hand_over(keep, names)
        return names

    def finish_scan(self, layer: Layer) -> None:
        """Let the scan of a layer in ``unscannable`` end, in the background of its caller."""
        with self._lock:
            self.unscannable.discard(layer)
            keep = self._waiting.pop(layer)
        _hand_over(keep, self._names(layer))

    def _names(self, layer: Layer) -> Names:
        return attrs.evolve(self.published[layer].names, stamp=self.stamps.get(layer, ""))

    def directories_below(
        self, paths: Sequence[bytes], lowers: Sequence[Layer | str]
    ) -> Mapping[bytes, Directory] | Miss:
        """See ``LayerSources.directories_below``."""
        if self.below_fault is not None:
            return Miss(self.below_fault, "the layers below cannot be looked at")
        found: dict[bytes, Directory] = {}
        for lower in lowers:
            if isinstance(lower, Layer):
                outcome = self.look(lower, 0.0)
                if isinstance(outcome, Miss):
                    return outcome
            for path, directory in self.shown.get(lower, {}).items():
                if path in paths:
                    found.setdefault(path, directory)
        return found

    def policy(self, source: str) -> Policy:
        """See ``LayerSources.policy``."""
        return self.policies.get(source, Policy())

    def path(self, layer: Layer) -> str | None:
        """See ``LayerSources.path``."""
        if layer.source not in self.hosts:
            return None
        digits = layer.digest.hex
        return f"{self.hosts[layer.source]}/.layers/{digits[:2]}/{digits}/layerfs"


def _hand_over(keep: Callable[[Names], None], names: Names) -> None:
    # The result is good all the same.
    with contextlib.suppress(Exception):
        keep(names)
