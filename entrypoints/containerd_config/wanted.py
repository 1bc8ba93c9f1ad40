"""What containerd's configuration is made or judged for."""

import attrs

from .releases import Pull, Release


@attrs.frozen
class Wanted:
    """A containerd, and the daemon that it is to find.

    Attributes:
        release: of that containerd.
        address: socket of the daemon, an absolute path.
        root: state directory of the daemon, an absolute path.
        platform: of the machine, as containerd writes it.
        pull: how the CRI is to pull images; None if that is left to a file that is judged.
    """

    release: Release
    address: str
    root: str
    platform: str
    pull: Pull | None = None
