"""The complete lines for one release of containerd, with remarks."""

import textwrap

from ..errors import MeaninglessError
from .finding import settings
from .lines import tables
from .releases import RELEASES, Pull, Release
from .remarks import remarks
from .wanted import Wanted

_WIDTH = 96


class NoSuchPullError(MeaninglessError):
    """The release has no such way to pull; the message says which have."""


def render(wanted: Wanted) -> str:
    """Write the lines.

    Args:
        wanted: what for; without a way to pull, it is the local one.

    Returns:
        TOML that is complete in itself, with remarks as comments.

    Raises:
        NoSuchPullError: the CRI of that release cannot pull in the way wanted.
    """
    release = wanted.release
    pull = wanted.pull or Pull.LOCAL
    refuse_pull(release, pull)
    parts = [
        "\n".join(_comment(remark) for remark in remarks(release, pull)),
        f"version = {release.file_version}",
    ]
    for header, values in tables(wanted, pull):
        lines = [header, *(f"  {line}" for line in settings(values))]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def refuse_pull(release: Release, pull: Pull | None) -> None:
    """Refuse a way to pull that a release does not have.

    Args:
        release: of containerd.
        pull: how images are to be pulled; None for whatever there is.

    Raises:
        NoSuchPullError: it does not.
    """
    if pull is Pull.TRANSFER and not release.transfer:
        have = [one.name for one in RELEASES.values() if one.transfer]
        raise NoSuchPullError(
            f"containerd {release.name} cannot tell a snapshotter through the transfer service "
            "which layer it wants: its CRI pulls itself, and what is pulled through the service "
            f"is downloaded. Take --pull local; {have[0]} to {have[-1]} have both."
        )


def _comment(remark: str) -> str:
    return textwrap.fill(
        remark,
        _WIDTH,
        initial_indent="# ",
        subsequent_indent="#   ",
        break_long_words=False,
        break_on_hyphens=False,
    )
