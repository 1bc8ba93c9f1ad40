"""What makes spans: how many, with which limits, and of whom they tell."""

import socket

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Tracer

_LIMITS = SpanLimits(max_span_attributes=32, max_events=64, max_links=8)


def make_tracer(ratio: float, version: str, processor: SpanProcessor) -> Tracer:
    """Make what makes spans. Nothing of it is global.

    Args:
        ratio: share of the traces that begin here and are recorded; those that began elsewhere
            are recorded if they were there.
        version: of this program.
        processor: gets every span that is recorded, once it has ended.
    """
    resource = Resource.create(
        {
            "service.name": "cvmfs-snapshotter",
            "service.version": version,
            "host.name": socket.gethostname(),
        }
    )
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(ratio)),
        resource=resource,
        span_limits=_LIMITS,
        shutdown_on_exit=False,
    )
    provider.add_span_processor(processor)
    return provider.get_tracer("cvmfs-snapshotter", version)
