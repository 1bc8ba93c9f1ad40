"""The standard health service ``grpc.health.v1.Health`` (gRPC, "GRPC Health Checking Protocol").

=======================================  ===========================
service                                  it serves if
=======================================  ===========================
(empty): the whole                       the daemon answers
``containerd.services.snapshots.v1...``  the records can be read
``source/<name>``                        the circuit of it is closed
=======================================  ===========================

The first two never depend on a source: a probe of liveness must not kill a daemon because a file
system hangs.
"""

from collections.abc import Iterable
from typing import Protocol

import grpc
from grpc_health.v1 import health_pb2

from cvmfs_snapshotter.domain.errors import NotFoundError
from cvmfs_snapshotter.proto.containerd.services.snapshots.v1 import snapshots_pb2

SERVICE: str = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
SNAPSHOTS: str = snapshots_pb2.DESCRIPTOR.services_by_name["Snapshots"].full_name
SOURCE_PREFIX = "source/"


class Vitals(Protocol):
    """What health is made of; nothing of it waits for a source."""

    @property
    def sources(self) -> Iterable[str]:
        """Names of the configured sources."""
        ...

    def up(self, source: str) -> bool:
        """Tell whether a source is up; raises ``NotFoundError`` for one that is not configured."""
        ...

    def records_readable(self) -> bool:
        """Tell whether the records can be read."""
        ...


class HealthServicer:
    """Answers Check and List.

    Watch is not served: it would hold a thread for each client for as long as that likes. Clients
    have to take UNIMPLEMENTED for it (that protocol says so), and kubelet only checks.
    """

    def __init__(self, vitals: Vitals) -> None:
        """Start with what health is made of."""
        self._vitals = vitals

    def check(
        self, request: health_pb2.HealthCheckRequest, _: grpc.ServicerContext
    ) -> health_pb2.HealthCheckResponse:
        """Tell the health of one service.

        Raises:
            NotFoundError: there is no such service.
        """
        return self._health(request.service)

    def list(
        self, _: health_pb2.HealthListRequest, _context: grpc.ServicerContext
    ) -> health_pb2.HealthListResponse:
        """Tell the health of all services."""
        sources = (SOURCE_PREFIX + name for name in self._vitals.sources)
        names = ("", SNAPSHOTS, *sources)
        return health_pb2.HealthListResponse(statuses={n: self._health(n) for n in names})

    def _health(self, service: str) -> health_pb2.HealthCheckResponse:
        if not service:
            serving = True
        elif service == SNAPSHOTS:
            serving = self._vitals.records_readable()
        elif service.startswith(SOURCE_PREFIX):
            serving = self._vitals.up(service.removeprefix(SOURCE_PREFIX))
        else:
            raise NotFoundError(f"there is no service {service[:80]!r}")
        status = health_pb2.HealthCheckResponse
        return status(status=status.SERVING if serving else status.NOT_SERVING)

    def add_to(self, server: grpc.Server) -> None:
        """Serve it."""
        handlers = {
            "Check": grpc.unary_unary_rpc_method_handler(
                self.check,
                health_pb2.HealthCheckRequest.FromString,
                health_pb2.HealthCheckResponse.SerializeToString,
            ),
            "List": grpc.unary_unary_rpc_method_handler(
                self.list,
                health_pb2.HealthListRequest.FromString,
                health_pb2.HealthListResponse.SerializeToString,
            ),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
