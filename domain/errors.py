"""The failures that containerd tells apart, one class each.

The message of each error reaches the caller: it says what was wrong and, where there is something
to do, what. It never carries the text of a Python exception.
"""


class SnapshotterError(Exception):
    """Base of every failure that is an answer, not a defect of ours."""


class InvalidArgumentError(SnapshotterError):
    """The request itself cannot be meant: empty key, bad filter, parent that is not committed."""


class NotFoundError(SnapshotterError):
    """No snapshot of that key or name."""


class AlreadyExistsError(SnapshotterError):
    """The key or name is taken; for a remote layer, the target has been provided."""


class FailedPreconditionError(SnapshotterError):
    """The snapshot is in the wrong state for this operation."""


class UnavailableError(SnapshotterError):
    """A remote layer below, or the records, are out of reach at the moment; worth another try."""


class ResourceExhaustedError(SnapshotterError):
    """Disk, descriptors or another resource of the node has run out; nothing was changed."""
