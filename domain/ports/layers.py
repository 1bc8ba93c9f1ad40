"""Port: the sources on which layers are published."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from ..companions import Directory, Names
from ..layer import Hit, Layer, Miss, Trouble
from ..policy import Policy


class LayerSources(Protocol):
    """The configured sources, in their order.

    A source may hang for ever. Every method returns by its deadline, whatever the source does, and
    raises nothing: trouble is a ``Miss`` or a ``Trouble``.
    """

    @property
    def patience(self) -> float:
        """Seconds that one request may spend on look-ups altogether."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """Names of the sources, in the order in which they are to be asked."""
        ...

    def look(self, layer: Layer, until: float) -> Hit | Miss:
        """Look a layer up on its source.

        A hit means that the layer's directory was opened and listed during this call, and that the
        file system is the one it should be.

        Args:
            layer: digest and source.
            until: deadline on the monotonic clock, seconds.
        """
        ...

    def look_above(
        self, layer: Layer, below: Sequence[Layer], until: float
    ) -> Hit | Miss | Trouble:
        """Check the layers that a layer would stand on, then look it up; see both.

        Args:
            layer: digest and source.
            below: each is opened and listed first.
            until: deadline for all of it on the monotonic clock, seconds.

        Returns:
            What is wrong with the first one below that is out of reach; what the look-up gives if
            none is.
        """
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

    def directories_below(
        self, paths: Sequence[bytes], lowers: Sequence[Layer | str]
    ) -> Mapping[bytes, Directory] | Miss:
        """Find what directories of certain paths look like in a chain.

        The topmost lower that has a directory decides, unless a lower above it deletes it or has
        something else in its place. A directory that seems implied in its layer does not decide.

        This is waited for like a scan: the call gives up without progress or at its own limit, the
        work goes on in the background, and who asks the same again gets its result.

        Args:
            paths: of directories, relative to the root.
            lowers: the chain from the topmost to the bottom: a layer, or the path of a local
                snapshot's files, in which deletions are those of overlayfs.

        Returns:
            By path, the directory; a path that no lower shows a directory for is not in it.
        """
        ...

    def policy(self, source: str) -> Policy:
        """Give the policies of a source."""
        ...

    def path(self, layer: Layer) -> str | None:
        """Give a layer's path as containerd mounts it; None if its source is not configured."""
        ...
