"""The state directory."""

import os
import stat
from pathlib import Path

from cvmfs_snapshotter.adapters.sqlite.advice import command
from cvmfs_snapshotter.adapters.sqlite.backup import backups_in
from cvmfs_snapshotter.adapters.sqlite.replacing import is_interrupted

from .errors import StartError
from .folders import make_private, remove_made, require_plain
from .locks import Lock, take_lock
from .trust import distrust

DATABASE = "metadata.sqlite"
"""The records, in the state directory."""

IMPORTED = "import.json"
"""What was taken over from the Go snapshotter, until that is confirmed."""

CONFIRMING = "import.ending.json"
"""The same as ``IMPORTED``, once what is left of the Go snapshotter is being deleted."""

IMPORTING = "import.open.json"
"""The same as ``IMPORTED``, while it is being taken over or given back."""

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


def claim_root(root: str, *, fresh: bool, importing: bool = False) -> Lock:
    """Make the state directory ours: mode 0700, and locked.

    Args:
        root: its path, checked by ``plain_root``.
        fresh: accept that it holds the state of the Go program, or snapshots, and no records.
        importing: accept that the state of the Go program has been taken over in part.

    Returns:
        The lock.

    Raises:
        StartError: it belongs to somebody else or everybody can write to it, another daemon works
            in it, or it holds the state of the Go program, or snapshots without their
            records, or an import that was interrupted. Nothing is left of what was made then.
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
        if not importing:
            _require_no_open_import(root)
        if not fresh:
            _require_ours(root)
    except StartError:
        lock.abandon()
        raise
    return lock


def require_own_files(root: str) -> None:
    """Make sure that nobody else has written the records.

    Raises:
        StartError: a file of theirs belongs to somebody else, everybody can write to it, or it is
            no file.
    """
    for suffix in ("", "-wal", "-shm"):
        path = database_path(root) + suffix
        try:
            found = os.stat(path)  # noqa: PTH116 - paths are texts here
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StartError(f"{path} cannot be looked at: {error.strerror}") from None
        reason = distrust(found) if stat.S_ISREG(found.st_mode) else "it is not a file"
        if reason:
            raise StartError(
                f"{path} cannot be relied on: {reason}. It was left as it is: find out who wrote "
                f"to it, then `chown root: {path}` and `chmod 600 {path}`"
            )


def _require_no_open_import(root: str) -> None:
    # Some directories are here and others are not, whatever records there are.
    if os.path.lexists(f"{root}/{IMPORTING}"):
        raise StartError(
            f"{root} holds an import that was interrupted. Nothing is lost: end it with "
            "`cvmfs-snapshotter import --apply`, or go back with `cvmfs-snapshotter import --undo`"
        )


def _require_ours(root: str) -> None:
    # containerd still has records of the snapshots in there: if we started empty without a word,
    # every container and image of it would fail one by one.
    if os.path.lexists(database_path(root)):
        return
    if os.path.lexists(f"{root}/{_GO_DATABASE}"):
        raise StartError(
            f"{root} holds the state of the Go snapshotter ({_GO_DATABASE}) and none of this one, "
            "while containerd still has records of the snapshots in it.\n"
            "There are two ways on: import that state, with `cvmfs-snapshotter import`, which "
            "containers outlive; or start with --fresh, with empty records beside it. Nothing of "
            "it is touched then, but remove the containers and images that use this snapshotter "
            "from containerd first."
        )
    lost = _numbered(f"{root}/snapshots") | _numbered(f"{root}/l")
    path = Path(database_path(root))
    if lost and not is_interrupted(path):
        backups = backups_in(path.parent / "backups", path.name)
        restore = (
            f" or restore a backup: `{command(path, 'restore', str(backups[-1]))}`;"
            if backups
            else ""
        )
        raise StartError(
            f"{root} holds {len(lost)} snapshots, but their records ({DATABASE}) are gone, while "
            "containerd still has its own. Nothing was touched.\n"
            f"Bring {DATABASE} back;{restore} or start with --fresh, with empty "
            "records. What is there is left alone then, but remove the containers and images that "
            "use this snapshotter from containerd first."
        )


def _numbered(directory: str) -> set[str]:
    try:
        return {name for name in os.listdir(directory) if name.isdecimal()}  # noqa: PTH208 - texts
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise StartError(f"{directory} cannot be read: {error.strerror}") from None
