"""What the daemon has recorded about layers and snapshots, read in one go."""

from collections.abc import Mapping, Sequence

import attrs

from cvmfs_snapshotter.domain.companions import Names
from cvmfs_snapshotter.domain.filters import Pins
from cvmfs_snapshotter.domain.layer import Digest, Layer
from cvmfs_snapshotter.domain.ports.store import Records
from cvmfs_snapshotter.domain.snapshot import Snapshot
from cvmfs_snapshotter.domain.wishes import Wish

from .found import Here, Remembered

_MOST_HERE = 10


@attrs.frozen
class Recorded:
    """Records about some layers.

    Attributes:
        names: what the names in a layer were found to say.
        wishes: misses, by digest.
        here: snapshots, by the chain ID that was asked for.
    """

    names: Mapping[Layer, Names] = attrs.field(factory=dict)
    wishes: Mapping[Digest, Sequence[Wish]] = attrs.field(factory=dict)
    here: Mapping[Digest, Sequence[Snapshot]] = attrs.field(factory=dict)

    def remembered(self, digest: Digest) -> tuple[Remembered, ...]:
        """Give the misses of a layer, for whatever image, the latest first."""
        counts: dict[str, Remembered] = {}
        for wish in self.wishes.get(digest, ()):
            before = counts.get(wish.reason.value, Remembered(wish.reason.value, 0, 0))
            counts[wish.reason.value] = Remembered(
                before.reason,
                before.count + wish.count,
                max(before.last_seen_at, wish.last_seen_at),
            )
        return tuple(sorted(counts.values(), key=lambda r: (-r.last_seen_at, r.reason)))

    def snapshots(self, chain: Digest | None) -> tuple[Here, ...]:
        """Give the snapshots that were made for a chain ID."""
        found = self.here.get(chain, ()) if chain is not None else ()
        return tuple(Here(s.name, s.layer.source if s.layer else "") for s in found)


def recorded(
    records: Records,
    sources: Sequence[str],
    digests: Sequence[Digest],
    chains: Sequence[Digest] = (),
) -> Recorded:
    """Read what is recorded about layers.

    Args:
        records: the records.
        sources: names of the sources.
        digests: of the compressed layers.
        chains: chain IDs of the trees with them on top.
    """
    wanted = set(digests)
    names: dict[Layer, Names] = {}
    for layer in (Layer(source, digest) for source in sources for digest in digests):
        found = records.names_in(layer)
        if found is not None:
            names[layer] = found
    wishes: dict[Digest, list[Wish]] = {}
    for wish in records.wishes():
        if wish.digest in wanted:
            wishes.setdefault(wish.digest, []).append(wish)
    here = {
        chain: records.page(Pins(target=str(chain)), None, _MOST_HERE) for chain in set(chains)
    }
    return Recorded(names, wishes, here)
