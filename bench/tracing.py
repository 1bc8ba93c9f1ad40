"""What tracing adds to a call: the time of each span that is made for it, and of sending it.

python -m bench.tracing
"""

import timeit
from collections.abc import Callable

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from cvmfs_snapshotter.adapters.memory import MemoryStore
from cvmfs_snapshotter.adapters.tracing.calls import CallSpans
from cvmfs_snapshotter.adapters.tracing.events import SpanEvents
from cvmfs_snapshotter.adapters.tracing.inner import InnerSpans
from cvmfs_snapshotter.adapters.tracing.provider import make_tracer
from cvmfs_snapshotter.adapters.tracing.store import TracedStore
from cvmfs_snapshotter.domain.events import LayerDecided
from cvmfs_snapshotter.domain.layer import Digest, Hit, Layer

TIMES = 5_000
ROUNDS = 5
PATH = "/containerd.services.snapshots.v1.Snapshots/Prepare"


class _Last(SpanProcessor):
    """Forgets all spans but the last."""

    span = ReadableSpan("none")

    def on_end(self, span: ReadableSpan) -> None:
        """See ``SpanProcessor.on_end``."""
        self.span = span


def _microseconds(work: Callable[[], object]) -> float:
    """Give the time of one run, the best of some rounds: others use this machine too."""
    return min(timeit.repeat(work, number=TIMES, repeat=ROUNDS)) / TIMES * 1e6


def _measure(ratio: float) -> None:
    last = _Last()
    tracer = make_tracer(ratio, "1.0", last)
    calls, spans = CallSpans(tracer), InnerSpans(tracer)
    events, plain = SpanEvents(spans), MemoryStore()
    traced = TracedStore(plain, spans)
    hit = Hit(Layer("one", Digest("a" * 64)), None, size=1)
    decided = LayerDecided("key", "", "target", "digest", hit, 0.001)

    def call() -> None:
        span = calls.begin(PATH, {"containerd-namespace": "k8s.io"}, {"key": "key"})
        with span.current():
            pass
        span.end("OK", 0, "")

    bare = _microseconds(lambda: plain.read(lambda _: None))
    print(f"ratio {ratio:g}")
    print(f"  a call      {_microseconds(call):6.1f} us")
    with calls.begin(PATH, {}, {}).current():
        print(f"  a decision  {_microseconds(lambda: events.record(decided)):6.1f} us")
        read = _microseconds(lambda: traced.read(lambda _: None))
        print(f"  a read      {read - bare:6.1f} us")
    if ratio:
        encode = _microseconds(lambda: encode_spans([last.span]).SerializeToString())
        print(f"  to encode a span, in the background {encode:6.1f} us")


def main() -> None:
    """Measure, and print two tables: all calls recorded, and none."""
    for ratio in (1.0, 0.0):
        _measure(ratio)


if __name__ == "__main__":
    main()
