"""What a source needs of whoever runs its probes."""

from collections.abc import Callable, Mapping
from typing import Protocol

WORKER_MODULE = "cvmfs_snapshotter.adapters.layers.worker"
"""The program that answers the requests of ``Sources``; run it with ``python -I -m``."""

Message = Mapping[str, object]
"""A JSON object."""


class Prober(Protocol):
    """Puts requests to processes that run ``WORKER_MODULE``. Nothing is raised.

    A request that gets no answer is answered with ``reason`` (``slow``, ``busy`` or ``failed``),
    ``detail`` (words) and ``last`` (the last sign of progress, or an empty object).
    """

    def ask(self, request: Message, seconds: float) -> Message:
        """Put a request and wait for its answer.

        Args:
            request: see ``worker.__main__``.
            seconds: how long to wait.

        Returns:
            The answer.
        """
        ...

    def follow(
        self,
        key: str,
        request: Message,
        finished: Callable[[Message], None],
        patience: float,
        limit: float,
    ) -> Message:
        """Put a long request, or join the one that is under way, and wait while it progresses.

        Args:
            key: requests of one key are one request.
            request: see ``worker.__main__``.
            finished: called once with the answer, before the callers get it, whether or not
                anybody still waits.
            patience: seconds without progress after which this call gives up.
            limit: seconds after which it gives up even so.

        Returns:
            The answer.
        """
        ...
