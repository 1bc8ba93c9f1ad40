"""Port: asking a source whose circuit is open whether it is well again."""

from typing import Protocol

from ..layer import Hit, Layer, Miss


class Trials(Protocol):
    """Asks sources directly, whatever their circuits say.

    Every method returns by its deadline, whatever the source does, and raises nothing.
    """

    def identify(self, source: str, until: float) -> Miss | None:
        """Ask a source who it is.

        A CVMFS client answers this from its memory, so that it shows that the client lives, and
        nothing about its servers.

        Args:
            source: its name.
            until: deadline on the monotonic clock, seconds.

        Returns:
            None if it is what it should be, else what is wrong.
        """
        ...

    def look(self, layer: Layer, until: float) -> Hit | Miss:
        """Look a layer up; see ``LayerSources.look``."""
        ...
