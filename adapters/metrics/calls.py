"""Calls of clients, counted and timed."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram

from .naming import PREFIX, SLOW


class CallMeter:
    """Counts calls by method and code. Only methods that are served come here."""

    def __init__(self, registry: CollectorRegistry, paths: Iterable[str]) -> None:
        """Start with none.

        Args:
            registry: gets the metrics.
            paths: of the methods that containerd calls, as ``note`` takes them.
        """
        self._calls = Counter(
            "rpcs",
            "Calls that have ended. ALREADY_EXISTS is how a Prepare answers for a hit.",
            ("service", "method", "code"),
            namespace=PREFIX,
            registry=registry,
        )
        self._seconds = Histogram(
            "rpc_duration_seconds",
            "Time from the first line of ours to the answer; the wait for a free thread is not in "
            "it.",
            ("service", "method"),
            namespace=PREFIX,
            registry=registry,
            buckets=SLOW,
        )

        for path in paths:
            service, method = _parts(path)
            # So that the first defect is an increase.
            for code in ("OK", "INTERNAL"):
                self._calls.labels(service, method, code)
            self._seconds.labels(service, method)

    def note(self, path: str, code: str, seconds: float) -> None:
        """Count a call.

        Args:
            path: ``/service/method``, as gRPC has it.
            code: name of its status.
            seconds: how long it took.
        """
        service, method = _parts(path)
        self._calls.labels(service, method, code).inc()
        self._seconds.labels(service, method).observe(seconds)


def _parts(path: str) -> tuple[str, str]:
    service, _, method = path[1:].partition("/")
    return service, method
