"""What is used of grpcio's core, which has no public name; nothing else imports it.

``grpc.server`` itself stands on these few classes. They take operations in batches and give events
on a queue, as the C library does that they wrap (``grpc.h``: ``grpc_call_start_batch``,
``grpc_server_request_call``, ``grpc_completion_queue_next``).
"""

from typing import Any, Protocol

from grpc._cython import cygrpc  # type: ignore[attr-defined]

NO_FLAGS = 0


class Event(Protocol):
    """What comes out of the queue.

    Attributes:
        tag: what was given with the operations that are done.
        success: whether they succeeded.
        batch_operations: those of a batch, with their results.
    """

    tag: Any
    success: bool
    batch_operations: Any


class NewCall(Event, Protocol):
    """The event of a call that has come in.

    Attributes:
        call: takes operations.
        call_details: holds the path of the method.
        invocation_metadata: the metadata of the client.
    """

    call: Any
    call_details: Any
    invocation_metadata: Any


Server: Any = cygrpc.Server
CompletionQueue: Any = cygrpc.CompletionQueue
ReceiveMessage: Any = cygrpc.ReceiveMessageOperation
ReceiveClose: Any = cygrpc.ReceiveCloseOnServerOperation
SendMetadata: Any = cygrpc.SendInitialMetadataOperation
SendMessage: Any = cygrpc.SendMessageOperation
SendStatus: Any = cygrpc.SendStatusFromServerOperation
