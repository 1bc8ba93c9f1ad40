"""Port: the companions of published layers, on the local disk."""

from collections.abc import Collection
from typing import Protocol

from ..companions import Companion, Plan


class Companions(Protocol):
    """Makes and deletes companions, by number.

    Failures of the medium are raised as ``ResourceExhaustedError``.
    """

    def build(self, number: int, plan: Plan) -> None:
        """Make a companion as planned, with the links that name its directories.

        It appears complete or not at all; a failure or a crash leaves nothing that is in use.

        Args:
            number: its number, given to no other companion before.
            plan: what to make, not empty.
        """
        ...

    def mend(self, companion: Companion) -> bool:
        """Make missing links of a recorded companion again.

        Returns:
            False if a directory of it is gone, so that it cannot be used.
        """
        ...

    def whole(self, companion: Companion) -> bool:
        """Tell whether a recorded companion is there with all its directories and links."""
        ...

    def remove(self, number: int) -> None:
        """Delete a companion and its links; nothing there is success."""
        ...

    def present(self) -> Collection[int]:
        """Give the number of every companion that is there, whole or in part."""
        ...
