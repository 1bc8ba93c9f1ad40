"""Port: the local directories of snapshots and the links that name some of them."""

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from ..snapshot import Usage


class Directories(Protocol):
    """The directories under the root, by identifier of their snapshot.

    Failures of the medium are raised as ``ResourceExhaustedError``.
    """

    def create_active(self, identifier: int, owner: tuple[int, int] | int) -> None:
        """Make an empty writable directory and its work directory.

        A failure leaves nothing behind.

        Args:
            identifier: of the new snapshot; nothing of that number is there yet.
            owner: user and group ID of the root of the files; or the identifier of the local
                snapshot whose owner it takes. The mode is 0755, as containerd's is.

        Raises:
            FailedPreconditionError: the files of that other snapshot are gone.
        """
        ...

    def create_empty(self, identifier: int) -> None:
        """Make an empty directory for a view of nothing; a failure leaves nothing behind."""
        ...

    def link_layer(self, identifier: int, path: str) -> None:
        """Make the link of a remote snapshot lead to ``path``, whatever was there before."""
        ...

    def link_files(self, identifier: int) -> None:
        """Make the link of a local snapshot lead to its files, whatever was there before."""
        ...

    def is_astray(self, identifier: int, path: str | None = None) -> bool:
        """Tell whether a link of a snapshot is there and leads elsewhere than it should.

        Args:
            identifier: of the snapshot.
            path: of its layer, for a remote one; None for its own files.
        """
        ...

    def without_files(self, identifiers: Iterable[int]) -> Sequence[int]:
        """Give those of some local snapshots whose directory for files is gone, in their order."""
        ...

    def mend_active(self, identifier: int, owner: tuple[int, int] | int) -> bool:
        """Make again what is missing of a recorded active snapshot; what is there stays.

        Any number of callers may do this at once, and a crash leaves what can be mended again.

        Args:
            identifier: of the snapshot.
            owner: as in ``create_active``.

        Returns:
            Whether one of its directories was missing.

        Raises:
            FailedPreconditionError: the files of the snapshot that ``owner`` names are gone.
        """
        ...

    def mend_empty(self, identifier: int) -> bool:
        """Make the directory for a recorded view of nothing again; tell whether it was missing."""
        ...

    def remove(self, identifier: int) -> None:
        """Delete everything that belongs to an identifier; nothing there is success."""
        ...

    def settle(self) -> None:
        """Return once nothing that was removed could come back after a power cut."""
        ...

    def is_empty(self, identifier: int) -> bool:
        """Tell whether nothing is among the files of a snapshot, or they are not there at all."""
        ...

    def usage(self, identifier: int) -> Usage:
        """Count what the files of a snapshot take on disk, as ``du`` does.

        Files may come and go meanwhile. The count never leaves the snapshot's own directory.

        Returns:
            Bytes in allocated blocks, and inodes; nothing if the directory is not there.
        """
        ...

    def present(self) -> Collection[int]:
        """Give every identifier that has a directory or a link."""
        ...
