import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import SpanKind, get_current_span

from cvmfs_snapshotter.adapters.tracing.calls import CallSpans

from .recording import Recording

PATH = "/containerd.services.snapshots.v1.Snapshots/Prepare"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def _metadata(flags: str = "01") -> dict[str, str]:
    """Give what containerd sends with a call that belongs to a trace."""
    return {"traceparent": f"00-{TRACE}-{PARENT}-{flags}", "containerd-namespace": "k8s.io"}


def test_a_call_of_a_trace() -> None:
    """A call continues the trace of who calls, and is named as gRPC's conventions name it."""
    recording = Recording(ratio=0.0)
    span = CallSpans(recording.tracer).begin(PATH, _metadata(), {"about": "key", "none": ""})
    span.end("ALREADY_EXISTS", 6, "it is there")

    (ended,) = recording.ended
    assert ended.parent is not None
    assert ended.context is not None
    assert (TRACE, PARENT) == (f"{ended.context.trace_id:032x}", f"{ended.parent.span_id:016x}")
    assert ("containerd.services.snapshots.v1.Snapshots/Prepare", SpanKind.SERVER) == (
        ended.name,
        ended.kind,
    )
    expected = {
        "rpc.system": "grpc",
        "rpc.service": "containerd.services.snapshots.v1.Snapshots",
        "rpc.method": "Prepare",
        "containerd.namespace": "k8s.io",
        "about": "key",
        "rpc.grpc.status_code": 6,
    }
    assert (expected, None) == recording.one(ended.name)


def test_a_trace_that_is_not_recorded() -> None:
    """Whether a trace is recorded is decided by who began it."""
    recording = Recording(ratio=1.0)
    CallSpans(recording.tracer).begin(PATH, _metadata("00"), {}).end("OK", 0, "")

    assert [] == recording.ended


@pytest.mark.parametrize(("ratio", "expected"), [(1.0, 20), (0.0, 0)])
def test_calls_without_a_trace(ratio: float, expected: int) -> None:
    """Of calls that belong to no trace so many begin one of their own as is configured."""
    recording = Recording(ratio)
    for _ in range(20):
        CallSpans(recording.tracer).begin(PATH, {}, {}).end("OK", 0, "")

    assert expected == len(recording.ended)
    assert expected == len({span.context.trace_id for span in recording.ended if span.context})


@pytest.mark.parametrize(
    ("code", "number", "message", "failed"),
    [
        ("OK", 0, "", None),
        ("NOT_FOUND", 5, "no snapshot", None),
        ("RESOURCE_EXHAUSTED", 8, "full", None),
        ("UNAVAILABLE", 14, "no \udcff", "no ?"),
        ("INTERNAL", 13, "", "INTERNAL"),
    ],
)
def test_failures(code: str, number: int, message: str, failed: str | None) -> None:
    """Only what is a failure of the server is one in its span."""
    recording = Recording()
    CallSpans(recording.tracer).begin(PATH, {}, {}).end(code, number, message)

    attributes, problem = recording.one(PATH[1:])
    assert failed == problem
    assert number == attributes["rpc.grpc.status_code"]
    assert (code if failed else None) == attributes.get("error.type")


def test_what_a_thread_did_before() -> None:
    """A call belongs to its caller alone, and nothing of it stays with the thread."""
    recording = Recording()
    with recording.call():
        outer = get_current_span()
        span = CallSpans(recording.tracer).begin(PATH, {}, {})
        with span.current():
            assert outer is not get_current_span()
        assert outer is get_current_span()
        span.end("OK", 0, "")

    assert recording.ended[0].parent is None


@given(st.text(), st.text())
def test_any_metadata(traceparent: str, tracestate: str) -> None:
    """Whatever stands there as a trace, the call is served, and is in a trace of its own."""
    recording = Recording()
    metadata = {"traceparent": traceparent, "tracestate": tracestate}
    CallSpans(recording.tracer).begin(PATH, metadata, {}).end("OK", 0, "")

    assert 1 == len(recording.ended)


@given(st.text(alphabet="abc0159-_=,@ \t", max_size=80))
def test_any_state(tracestate: str) -> None:
    """A state that is malformed does not cost the trace."""
    recording = Recording()
    metadata = _metadata() | {"tracestate": tracestate}
    CallSpans(recording.tracer).begin(PATH, metadata, {}).end("OK", 0, "")

    (ended,) = recording.ended
    assert ended.context is not None
    assert TRACE == f"{ended.context.trace_id:032x}"
