"""What is served: metrics, and two answers about health."""

import json
from collections.abc import Callable, Mapping

import attrs
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"


@attrs.frozen
class Page:
    """An answer.

    Attributes:
        status: of HTTP.
        body: its content.
        kind: media type of that.
    """

    status: int
    body: bytes
    kind: str = _TEXT


@attrs.frozen
class Readiness:
    """Whether calls are served.

    Attributes:
        serving: whether calls are taken: the daemon has started, and is not being stopped.
        records: whether the records can be read.
        sources: by name, whether a source is asked. It does not count: without any the daemon
            serves all the same, and layers are downloaded.
    """

    serving: bool
    records: bool
    sources: Mapping[str, bool]

    @property
    def ready(self) -> bool:
        """Whether containerd can be sent here."""
        return self.serving and self.records


class Pages:
    """Makes each page. All but ``alive`` may wait for the records, none for a source."""

    def __init__(self, registry: CollectorRegistry, readiness: Callable[[], Readiness]) -> None:
        """Start with what pages are made of.

        Args:
            registry: has the metrics.
            readiness: tells whether calls are served.
        """
        self._registry = registry
        self._readiness = readiness

    def metrics(self, accept: str) -> Page:
        """Give the metrics, in OpenMetrics' format for those who accept it."""
        encode, kind = choose_encoder(accept)
        return Page(200, encode(self._registry), kind)

    @staticmethod
    def alive(*, verbose: bool) -> Page:
        """Tell that the process runs; that is all that liveness depends on."""
        return _health(ok=True, word="ok", details={}, verbose=verbose)

    def ready(self, *, verbose: bool) -> Page:
        """Tell whether calls are served."""
        found = self._readiness()
        details: dict[str, object] = {
            "serving": found.serving,
            "records": found.records,
            "sources": dict(found.sources),
        }
        word = "ok" if found.ready else "not ready"
        return _health(ok=found.ready, word=word, details=details, verbose=verbose)


def _health(*, ok: bool, word: str, details: Mapping[str, object], verbose: bool) -> Page:
    status = 200 if ok else 503
    if not verbose:
        return Page(status, f"{word}\n".encode())
    return Page(status, json.dumps({"status": word, **details}).encode() + b"\n", _JSON)
