"""Companions on the local disk, ``companions/<n>/above`` and ``companions/<n>/below``.

Links name them as lower directories: ``l/<n>a`` and ``l/<n>b``.

A companion is made in a temporary directory and renamed into place, so that one under its number
is whole, also after a power cut. Names in a plan come from a published layer: they are opened
component by component relative to the companion's own directory, and no link is ever followed.
"""

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from cvmfs_snapshotter.domain.companions import Companion, Directory, Plan
from cvmfs_snapshotter.domain.errors import ResourceExhaustedError

_TEMPORARY = ".new-"
_LINK = re.compile(r"([1-9][0-9]*)[ab]")
_WHITEOUT = os.makedev(0, 0)
_UPWARDS = (b".", b"..")


class DiskCompanions:
    """Implements ``Companions`` under a root directory.

    Args:
        root: the root directory, in which ``companions`` and ``l`` exist.
        opaque_attribute: the extended attribute by which this kernel knows opaque directories:
            ``trusted.overlay.opaque``, or ``user.overlay.opaque`` with the option ``userxattr``.
    """

    def __init__(self, root: Path, opaque_attribute: str = "trusted.overlay.opaque") -> None:
        self._companions = root / "companions"
        self._links = root / "l"
        self._opaque = opaque_attribute

    def build(self, number: int, plan: Plan) -> None:
        """See ``Companions.build``."""
        temporary = self._companions / f"{_TEMPORARY}{number}"
        try:
            self._require_own()
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(mode=0o700)
            if plan.above:
                self._make(temporary / "above", plan.above, plan.hidden, ())
                self._link(number, "above")
            if plan.below:
                self._make(temporary / "below", plan.below, plan.deleted, plan.opaque)
                self._link(number, "below")
            _sync(temporary)
            temporary.rename(self._companions / str(number))
            _sync(self._companions)
            _sync(self._links)
        except OSError as error:
            self._discard(number)
            raise ResourceExhaustedError(
                f"companion {number} could not be made under {self._companions}: {error.strerror}"
            ) from error

    def _make(
        self,
        base: Path,
        directories: Sequence[Directory],
        devices: Sequence[bytes],
        opaque: Sequence[bytes],
    ) -> None:
        base.mkdir()
        for directory in directories:
            if directory.path:
                with _inside(base, directory.path) as (parent, name):
                    os.mkdir(name, dir_fd=parent)
        for device in devices:
            with _inside(base, device) as (parent, name):
                os.mknod(name, stat.S_IFCHR, _WHITEOUT, dir_fd=parent)
        for path in opaque:
            with _opened(base, path) as descriptor:
                os.setxattr(descriptor, self._opaque, b"y")
        # Children first: making an entry changes the time of its directory.
        for directory in reversed(directories):
            with _opened(base, directory.path) as descriptor:
                # The owner last: the kernel takes the setgid bit from a mode that is set for a
                # group which is not ours, unless we had CAP_FSETID.
                os.fchmod(descriptor, directory.mode)
                os.utime(descriptor, ns=(directory.mtime, directory.mtime))
                os.fchown(descriptor, directory.uid, directory.gid)
                os.fsync(descriptor)
        _sync(base)

    def _require_own(self) -> None:
        # A link in the place of one of them would have us work, and delete, somewhere else.
        for directory in (self._companions, self._links):
            if not stat.S_ISDIR(directory.lstat().st_mode):
                raise NotADirectoryError(errno.ENOTDIR, f"{directory} is not a directory")

    def _link(self, number: int, side: str) -> None:
        link = self._links / f"{number}{side[0]}"
        link.unlink(missing_ok=True)
        link.symlink_to(_target(number, side))

    def mend(self, companion: Companion) -> bool:
        """See ``Companions.mend``."""
        try:
            self._require_own()
        except OSError as error:
            raise ResourceExhaustedError(
                f"companion {companion.number} cannot be looked at: {error.strerror}"
            ) from error
        if not self._has_directories(companion):
            return False
        for side in _sides(companion):
            self._mend_link(companion.number, side)
        return True

    def whole(self, companion: Companion) -> bool:
        """See ``Companions.whole``."""
        return self._has_directories(companion) and all(
            self._leads_there(companion.number, side) for side in _sides(companion)
        )

    def _has_directories(self, companion: Companion) -> bool:
        own = self._companions / str(companion.number)
        return all((own / side).is_dir() for side in _sides(companion))

    def _leads_there(self, number: int, side: str) -> bool:
        with contextlib.suppress(OSError):
            return str((self._links / f"{number}{side[0]}").readlink()) == _target(number, side)
        return False

    def _mend_link(self, number: int, side: str) -> None:
        if self._leads_there(number, side):
            return
        link = self._links / f"{number}{side[0]}"
        temporary = self._links / f"{_TEMPORARY}{secrets.token_hex(8)}"
        try:
            temporary.symlink_to(_target(number, side))
            temporary.rename(link)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise ResourceExhaustedError(f"{link} cannot be made: {error.strerror}") from error

    def _discard(self, number: int) -> None:
        with contextlib.suppress(OSError):
            self.remove(number)

    def remove(self, number: int) -> None:
        """See ``Companions.remove``."""
        try:
            self._require_own()
            for path in (
                self._companions / str(number),
                self._companions / f"{_TEMPORARY}{number}",
            ):
                with contextlib.suppress(FileNotFoundError):
                    shutil.rmtree(path)
            for side in "ab":
                (self._links / f"{number}{side}").unlink(missing_ok=True)
        except OSError as error:
            raise ResourceExhaustedError(
                f"companion {number} could not be deleted: {error.strerror}"
            ) from error

    def present(self) -> Collection[int]:
        """See ``Companions.present``."""
        try:
            # Names alone: there are as many links as snapshots, and every start reads them.
            inside = os.listdir(self._companions)  # noqa: PTH208 - see above
            names_of_links = os.listdir(self._links)  # noqa: PTH208 - see above
        except OSError as error:
            raise ResourceExhaustedError(
                f"companions in {self._companions} cannot be read: {error.strerror}"
            ) from error
        names = (name.removeprefix(_TEMPORARY) for name in inside)
        numbers = {int(name) for name in names if name.isdecimal()}
        return numbers | {int(name[:-1]) for name in filter(_LINK.fullmatch, names_of_links)}


def _sides(companion: Companion) -> list[str]:
    return [side for side in ("above", "below") if getattr(companion, side)]


def _target(number: int, side: str) -> str:
    return f"../companions/{number}/{side}"


def _sync(directory: Path) -> None:
    # The snapshot is recorded durably right afterwards, and half a companion shows a wrong tree.
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _opened(base: Path, path: bytes) -> Iterator[int]:
    descriptor = os.open(base, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for component in filter(None, path.split(b"/")):
            if component in _UPWARDS:
                raise OSError(errno.EXDEV, "a path leads out of the companion")
            inner = os.open(
                component, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor
            )
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _inside(base: Path, path: bytes) -> Iterator[tuple[int, bytes]]:
    directory, _, name = path.rpartition(b"/")
    if name in _UPWARDS:
        raise OSError(errno.EXDEV, "a path leads out of the companion")
    with _opened(base, directory) as descriptor:
        yield descriptor, name
