"""The chains of snapshots as trees: each snapshot stands on its parent."""

from collections.abc import Iterable, Iterator, Sequence

import attrs

from cvmfs_snapshotter.domain.snapshot import Snapshot


@attrs.frozen
class Placed:
    """A snapshot in its tree.

    Attributes:
        snapshot: the snapshot.
        depth: how many snapshots it stands on.
        branches: for each fork on the way to it, the bottom one first, whether the branch that
            leads to it is the last one.
        first: whether it begins a branch, or a tree.
    """

    snapshot: Snapshot
    depth: int
    branches: tuple[bool, ...]
    first: bool


@attrs.frozen
class Strokes:
    """What trees are drawn with."""

    begin: str
    go_on: str
    fork: str
    last: str
    beside: str
    nothing: str


LINES = Strokes("● ", "│ ", "├─", "└─", "│ ", "  ")
ASCII = Strokes("* ", "| ", "|-", "`-", "| ", "  ")


def with_chains(snapshots: Sequence[Snapshot], names: Iterable[str]) -> list[Snapshot]:
    """Choose snapshots and all that they stand on.

    Args:
        snapshots: all there are.
        names: of those that are wanted.

    Returns:
        The chosen ones, in the order in which they came.
    """
    parents = {snapshot.name: snapshot.parent for snapshot in snapshots}
    kept: set[str] = set()
    for name in names:
        while name in parents and name not in kept:
            kept.add(name)
            name = parents[name]  # noqa: PLW2901 - the way down
    return [snapshot for snapshot in snapshots if snapshot.name in kept]


def grown(snapshots: Sequence[Snapshot]) -> Iterator[Placed]:
    """Give snapshots in the order in which trees show them: each before those that stand on it.

    Where several stand on one, all that stands on the first comes before the second.

    Args:
        snapshots: with everything that they stand on.
    """
    above: dict[int, list[Snapshot]] = {}
    for snapshot in sorted(snapshots, key=lambda s: s.identifier):
        above.setdefault(snapshot.parent_identifier, []).append(snapshot)
    # A stack of its own: chains may be longer than Python lets functions nest.
    waiting = [Placed(root, 0, (), first=True) for root in reversed(above.get(0, []))]
    while waiting:
        placed = waiting.pop()
        yield placed
        others = above.get(placed.snapshot.identifier, [])
        waiting += [_on(placed, other, others) for other in reversed(others)]


def _on(below: Placed, snapshot: Snapshot, others: Sequence[Snapshot]) -> Placed:
    if len(others) == 1:
        return Placed(snapshot, below.depth + 1, below.branches, first=False)
    last = snapshot is others[-1]
    return Placed(snapshot, below.depth + 1, (*below.branches, last), first=True)


def drawn(placed: Placed, strokes: Strokes) -> str:
    """Draw what stands before the name of a snapshot.

    A chain without forks goes straight down, so that an image of many layers stays narrow.

    Args:
        placed: the snapshot in its tree.
        strokes: what to draw with.
    """
    before = placed.branches[:-1] if placed.first else placed.branches
    text = "".join(strokes.nothing if last else strokes.beside for last in before)
    if not placed.first:
        return text + strokes.go_on
    if placed.branches:
        text += strokes.last if placed.branches[-1] else strokes.fork
    return text + strokes.begin
