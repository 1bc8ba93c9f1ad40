"""The state directory."""

import os

from .errors import StartError
from .folders import make_private, remove_made, require_plain
from .locks import Lock, take_lock

DATABASE = "metadata.sqlite"
"""The records, in the state directory."""

_GO_DATABASE = "snapshotter/metadata.db"


def database_path(root: str) -> str:
    """Give the path of the records."""
    return f"{root}/{DATABASE}"


def reserve_path(root: str) -> str:
    """Give the directory of the space that is set aside for removing snapshots."""
    return f"{root}/reserve"


def plain_root(root: str) -> str:
    """Check the path of the state directory, which stands in mount options.

    Args:
        root: from the command line.

    Returns:
        The path, without slashes that mean nothing.

    Raises:
        StartError: it is not absolute, or has ``:``, ``,``, a backslash or a control character.
    """
    return require_plain(root, "the state directory", forbidden=":,\\")


def claim_root(root: str, *, fresh: bool) -> Lock:
    """Make the state directory ours: mode 0700, and locked.

    Args:
        root: its path, checked by ``plain_root``.
        fresh: accept that it holds the state of the Go program and none of ours.

    Returns:
        The lock.

    Raises:
        StartError: it belongs to somebody else or everybody can write to it, another daemon works
            in it, or it holds the state of the Go program. Nothing is left of what was made then.
    """
    made = make_private(root, "the state directory")
    try:
        os.chmod(root, 0o700)  # noqa: PTH101 - paths are texts here
    except OSError as error:
        remove_made(made)
        raise StartError(
            f"cannot change the mode of the state directory {root}: {error.strerror}"
        ) from None
    lock = take_lock(f"{root}/lock", f"the state directory {root}", made)
    try:
        if not fresh:
            _require_ours(root)
    except StartError:
        lock.abandon()
        raise
    return lock


def _require_ours(root: str) -> None:
    # containerd still has records of the snapshots in there: if we started empty without a word,
    # every container and image of it would fail one by one.
    if os.path.lexists(database_path(root)) or not os.path.lexists(f"{root}/{_GO_DATABASE}"):
        return
    raise StartError(
        f"{root} holds the state of the Go snapshotter ({_GO_DATABASE}) and none of this one, "
        "while containerd still has records of the snapshots in it.\n"
        "There are two ways on: import that state, which a later release will do; or start with "
        "--fresh, with empty records beside it. Nothing of it is touched then, but remove the "
        "containers and images that use this snapshotter from containerd first."
    )
