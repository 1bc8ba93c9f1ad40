"""Port: the sources on which layers are published."""

from collections.abc import Callable, Sequence
from typing import Protocol

from ..layer import Digest, Hit, Layer, Miss, Names, Trouble


class LayerSources(Protocol):
    """The configured sources, in their order.

    A source may hang for ever. Every method returns by its deadline, whatever the source does, and
    raises nothing: trouble is a ``Miss`` or a ``Trouble``.
    """

    @property
    def patience(self) -> float:
        """Seconds that one request may spend on look-ups altogether."""
        ...

    def find(self, digest: Digest, until: float) -> Hit | Miss:
        """Look a layer up on each source until one has it.

        A hit means that the layer's directory was opened and listed during this call, and that the
        file system is the one it should be.

        Args:
            digest: of the compressed layer.
            until: deadline on the monotonic clock, seconds.

        Returns:
            The first hit; else the miss of the source that says most: trouble before absence.
        """
        ...

    def look(self, layer: Layer, until: float) -> Hit | Miss:
        """Look a layer up on the one source that is named in it; otherwise like ``find``."""
        ...

    def check(self, layers: Sequence[Layer], until: float) -> Trouble | None:
        """Tell whether layers that a snapshot stands on are within reach.

        Args:
            layers: each is opened and listed.
            until: deadline on the monotonic clock, seconds.

        Returns:
            None if all are, else what is wrong with the first that is not.
        """
        ...

    def scan(self, layer: Layer, keep: Callable[[Names], None]) -> Names | Miss:
        """Read all names in a layer, no contents.

        The call gives up when the scan makes no progress, or at its own limit; the scan then goes
        on in the background. Two calls for one layer share one scan.

        Args:
            layer: the layer.
            keep: called with the result, once, from whichever thread has it.

        Returns:
            The result, or the reason why it was not waited for.
        """
        ...

    def path(self, layer: Layer) -> str | None:
        """Give a layer's path as containerd mounts it; None if its source is not configured."""
        ...
