"""What the sources say about layers now, never through this process itself."""

from collections.abc import Mapping, Sequence

import attrs

from cvmfs_snapshotter.adapters.layers.sources import Sources
from cvmfs_snapshotter.domain.companions import Names
from cvmfs_snapshotter.domain.layer import Digest, Hit, Layer, Miss, Reason
from cvmfs_snapshotter.domain.policy import ImpliedDirectories, Policy, Whiteouts
from cvmfs_snapshotter.domain.ports.clock import Clock
from cvmfs_snapshotter.domain.usecases.translate import refusal

from .found import Verdict

_HOPELESS = frozenset({Reason.SLOW, Reason.BUSY})
"""What makes it useless to ask the same source about the next layer."""


@attrs.define
class Asking:
    """Asks sources about layers. A source that hangs is asked once.

    Attributes:
        sources: the configured ones.
        clock: gives the time for deadlines.
        known: what the names in layers were found to say before.
        circuits: by name of source, why the running daemon does not ask it.
    """

    sources: Sources
    clock: Clock
    known: Mapping[Layer, Names]
    circuits: Mapping[str, str]
    _hopeless: dict[str, Miss] = attrs.field(factory=dict, init=False)

    def about(self, digest: Digest, diff_id: Digest | None) -> tuple[Verdict, ...]:
        """Give what each source says about a layer, in their order.

        Args:
            digest: of the compressed layer.
            diff_id: of the uncompressed one, as the image says; None if unknown.
        """
        return tuple(self._verdict(Layer(name, digest), diff_id) for name in self.sources.names)

    def _verdict(self, layer: Layer, diff_id: Digest | None) -> Verdict:
        circuit = self.circuits.get(layer.source, "")
        found = self._look(layer)
        if isinstance(found, Miss):
            return _missed(found, circuit)
        path = self.sources.path(layer) or ""
        if None not in {found.diff_id, diff_id} and found.diff_id != diff_id:
            detail = f"its diff ID is {found.diff_id} where it is published, not {diff_id}"
            miss = Miss(Reason.WRONG_CHAIN, detail, layer.source)
            return attrs.evolve(_missed(miss, circuit), path=path)
        names = self._names(found)
        if isinstance(names, Miss):
            return attrs.evolve(_missed(names, circuit), path=path)
        policy = self.sources.policy(layer.source)
        refused = refusal(layer, names, policy)
        if refused is not None:
            verdict = _missed(refused, circuit)
        else:
            done = "; ".join(_done(names, policy))
            verdict = Verdict(layer.source, True, Reason.HIT.value, done, circuit=circuit)  # noqa: FBT003 - it is used
        return attrs.evolve(
            verdict, path=path, entries=names.entries, whiteouts=len(names.whiteouts)
        )

    def _look(self, layer: Layer) -> Hit | Miss:
        before = self._hopeless.get(layer.source)
        if before is not None:
            return before
        found = self.sources.look(layer, self.clock.monotonic() + self.sources.patience)
        if isinstance(found, Miss) and found.reason in _HOPELESS:
            self._hopeless[layer.source] = found
        return found

    def _names(self, hit: Hit) -> Names | Miss:
        known = self.known.get(hit.layer)
        if known is not None and known.stamp == hit.stamp:
            return known
        found = self.sources.scan(hit.layer, lambda _: None)
        if isinstance(found, Miss) and found.reason in _HOPELESS:
            self._hopeless[hit.layer.source] = found
        return found


def _missed(miss: Miss, circuit: str) -> Verdict:
    return Verdict(miss.source, False, miss.reason.value, miss.detail, circuit=circuit)  # noqa: FBT003 - it is not used


def _done(names: Names, policy: Policy) -> Sequence[str]:
    done = []
    if names.whiteouts:
        ignored = policy.whiteouts is Whiteouts.IGNORE
        what = "ignored, so that deleted files come back" if ignored else "translated"
        done.append(f"whiteouts: {len(names.whiteouts)}, {what}")
    if names.implied and policy.implied_directories is not ImpliedDirectories.IGNORE:
        refuses = policy.implied_directories is ImpliedDirectories.REFUSE
        what = "refused where they differ below" if refuses else "corrected by the layers below"
        done.append(f"directories without an entry: {len(names.implied)}, {what}")
    if names.owners_lost:
        uid, gid = names.owners[0]
        done.append(f"everything in it belongs to {uid}:{gid}, its owners were lost")
    return done
