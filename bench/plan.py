"""How long and how often is measured."""

import attrs


@attrs.frozen
class Plan:
    """What a run of the benchmark does.

    Attributes:
        rounds: How often each load is measured, in turns with the others.
        seconds: How long each time.
        callers: How many call at the same time, one load for each number.
        media: Where servers keep their state.
        sizes: Snapshots that are there, for the growth.
        image_mib: Size of the image that is pulled.
        only: Names of operations and sections; empty for all.
    """

    rounds: int = 5
    seconds: float = 2.0
    callers: tuple[int, ...] = (1, 8, 32)
    media: tuple[str, ...] = ("disk", "tmpfs")
    sizes: tuple[int, ...] = (100, 1_000, 10_000, 100_000)
    image_mib: int = 500
    only: frozenset[str] = frozenset()

    def wants(self, *names: str) -> bool:
        """Tell whether one of these was asked for."""
        return not self.only or not self.only.isdisjoint(names)


QUICK = Plan(rounds=2, seconds=0.7, callers=(1, 8), media=("disk",), image_mib=100)
"""A few minutes instead of an hour."""
