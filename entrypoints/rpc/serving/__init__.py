"""A server on grpcio's core whose calls are not handed from thread to thread.

``grpc.server`` takes every call in with one thread, wakes a second one for it, and lets that wait
for the first one twice more. On two cores that costs several times what the call itself does. Here
the thread that takes a call in runs it, and another one takes over only where that has to wait.
"""

from .server import CoreServer
from .turn import step_aside

__all__ = ["CoreServer", "step_aside"]
