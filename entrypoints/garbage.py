"""How often Python looks for garbage while the daemon serves."""

import gc

ALLOCATIONS = 10_000
"""Objects more than before after which the youngest are looked at; Python's own choice is 700,
which the calls of a single pull come to many times."""


def settle_garbage_collector() -> None:
    """Leave all that is there now alone, and look at the rest more seldom.

    What a daemon has imported and composed stays until its end, and there is much more of it than
    of anything else. What calls leave behind is mostly freed at once, without the collector.
    """
    gc.freeze()
    gc.set_threshold(ALLOCATIONS, *gc.get_threshold()[1:])
