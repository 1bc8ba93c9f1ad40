"""What SQLite writes and syncs, recorded on its way to the file system.

SQLite reaches its files through a table of functions, its VFS (https://sqlite.org/vfs.html). Their
``xOpen`` is replaced for a while, and the files that it opens get a table of methods in which
those that write are replaced. So every write and every sync is seen, in their order, also those
that happen inside of a COMMIT.
"""

import _sqlite3
import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

_OK = 0
_POINTER = ctypes.c_void_p

_WRITE = ctypes.CFUNCTYPE(
    ctypes.c_int, _POINTER, _POINTER, ctypes.c_int, ctypes.c_int64, use_errno=True
)
_TRUNCATE = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, ctypes.c_int64, use_errno=True)
_SYNC = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, ctypes.c_int, use_errno=True)
# Paths as pointers: SQLite keeps that of an opened file, and a copy would be gone soon.
_OPEN = ctypes.CFUNCTYPE(
    ctypes.c_int,
    _POINTER,
    _POINTER,
    _POINTER,
    ctypes.c_int,
    ctypes.POINTER(ctypes.c_int),
    use_errno=True,
)
_DELETE = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, _POINTER, ctypes.c_int, use_errno=True)


class _Methods(ctypes.Structure):
    """``sqlite3_io_methods`` up to its third version; what is not replaced is only copied."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("close", _POINTER),
        ("read", _POINTER),
        ("write", _POINTER),
        ("truncate", _POINTER),
        ("sync", _POINTER),
        ("others", _POINTER * 13),
    )


class _File(ctypes.Structure):
    """``sqlite3_file``."""

    _fields_ = (("methods", ctypes.POINTER(_Methods)),)


class _Vfs(ctypes.Structure):
    """The beginning of ``sqlite3_vfs``."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("file_size", ctypes.c_int),
        ("path_size", ctypes.c_int),
        ("next", _POINTER),
        ("name", ctypes.c_char_p),
        ("own", _POINTER),
        ("open", _POINTER),
        ("delete", _POINTER),
    )


@attrs.frozen
class Write:
    """Bytes that were written to a file, not synced yet."""

    name: str
    offset: int
    content: bytes


@attrs.frozen
class Truncate:
    """A file was cut or grown to a size."""

    name: str
    size: int


@attrs.frozen
class Sync:
    """What was written to a file before is on disk."""

    name: str


@attrs.frozen
class Delete:
    """A file was deleted; ``synced`` tells whether that is on disk."""

    name: str
    synced: bool


@attrs.frozen
class Index:
    """What is in the index of the WAL.

    It is mapped memory: never synced, but the kernel may write it whenever it likes.
    """

    name: str
    content: bytes


@attrs.frozen
class Answer:
    """The caller heard of something; what it heard is kept."""

    about: Any


Event = Write | Truncate | Sync | Delete | Index | Answer


@attrs.define
class Recording:
    """What happened to files in a directory, in its order."""

    directory: Path
    events: list[Event] = attrs.field(factory=list)
    going_on: bool = True
    _lock: threading.Lock = attrs.field(factory=threading.Lock)

    def add(self, event: Event) -> None:
        """Add what happens now."""
        with self._lock:
            if not self.going_on:
                return
            if isinstance(event, Sync | Answer):
                self.events += [
                    Index(path.name, path.read_bytes()) for path in self.directory.glob("*-shm")
                ]
            self.events.append(event)

    def stop(self) -> None:
        """Record no more: a power cut does not close files."""
        self.going_on = False


@contextmanager
def recorded(directory: Path) -> Iterator[Recording]:
    """Record what SQLite does to files in a directory, for those that are opened in the block.

    They must be closed before the block ends.
    """
    library = ctypes.CDLL(_sqlite3.__file__)
    library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
    vfs = library.sqlite3_vfs_find(None).contents
    recording = Recording(directory)
    interposer = _Interposer(vfs, recording)
    vfs.open = ctypes.cast(interposer.open, _POINTER)
    vfs.delete = ctypes.cast(interposer.delete, _POINTER)
    try:
        yield recording
    finally:
        vfs.open = ctypes.cast(interposer.plain_open, _POINTER)
        vfs.delete = ctypes.cast(interposer.plain_delete, _POINTER)


class _Interposer:
    """Functions that SQLite calls instead of its own; it keeps them alive."""

    def __init__(self, vfs: _Vfs, recording: Recording) -> None:
        self.plain_open = _OPEN(vfs.open)
        self.plain_delete = _DELETE(vfs.delete)
        self.open = _OPEN(self._open)
        self.delete = _DELETE(self._delete)
        self._recording = recording
        self._alive: list[object] = []

    def _name(self, path: int | None) -> str:
        found = Path(ctypes.string_at(path).decode() if path else "")
        return found.name if found.parent == self._recording.directory else ""

    def _open(
        self,
        vfs: int,
        path: int | None,
        file: int,
        flags: int,
        given: Any,
    ) -> int:
        result = self.plain_open(vfs, path, file, flags, given)
        name = self._name(path)
        if result == _OK and name:
            opened = _File.from_address(file)
            opened.methods = ctypes.pointer(self._methods(name, opened.methods.contents))
        return int(result)

    def _delete(self, vfs: int, path: int, sync_directory: int) -> int:
        result = self.plain_delete(vfs, path, sync_directory)
        name = self._name(path)
        if result == _OK and name:
            self._recording.add(Delete(name, synced=bool(sync_directory)))
        return int(result)

    def _methods(self, name: str, plain: _Methods) -> _Methods:
        methods = _Methods.from_buffer_copy(plain)
        write, truncate, sync = (
            _WRITE(plain.write),
            _TRUNCATE(plain.truncate),
            _SYNC(plain.sync),
        )

        def note(result: int, event: Callable[[], Event]) -> int:
            if result == _OK:
                self._recording.add(event())
            return result

        own = (
            _WRITE(
                lambda file, content, size, offset: note(
                    write(file, content, size, offset),
                    lambda: Write(name, offset, ctypes.string_at(content, size)),
                )
            ),
            _TRUNCATE(lambda file, size: note(truncate(file, size), lambda: Truncate(name, size))),
            _SYNC(lambda file, flags: note(sync(file, flags), lambda: Sync(name))),
        )
        methods.write, methods.truncate, methods.sync = (
            ctypes.cast(function, _POINTER) for function in own
        )
        self._alive.append((own, methods))
        return methods
