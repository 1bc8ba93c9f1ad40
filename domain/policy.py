"""What an operator wants done about the ways in which a published layer differs from its image."""

from enum import Enum

import attrs


class Whiteouts(Enum):
    """Layers that delete names of the layers below."""

    TRANSLATE = "translate"
    REFUSE = "refuse"
    IGNORE = "ignore"


class ImpliedDirectories(Enum):
    """Directories that had no entry in the layer's tar, whose mode and owner were made up."""

    CORRECT = "correct"
    REFUSE = "refuse"
    IGNORE = "ignore"


class Ownership(Enum):
    """Layers whose owners were lost: flattened when published, or claimed by the client."""

    ACCEPT = "accept"
    WARN = "warn"
    REQUIRE_ROOT = "require-root"


@attrs.frozen
class Policy:
    """The policies of one source.

    Attributes:
        whiteouts: translate them into companions; refuse such a layer, which is then downloaded;
        or
            ignore them, so that deleted files come back and markers are visible, as with the Go
            program.
        implied_directories: correct them from the layers below by a companion; refuse a layer
        where
            one differs; or ignore the difference.
        ownership: accept lost owners, warn once for each source, or refuse such layers.
    """

    whiteouts: Whiteouts = Whiteouts.TRANSLATE
    implied_directories: ImpliedDirectories = ImpliedDirectories.CORRECT
    ownership: Ownership = Ownership.WARN
