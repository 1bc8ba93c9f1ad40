"""Whether the WAL is as long as its index says.

SQLite takes a WAL that was cut short for one that ends there, and silently goes on without the
changes that are missing. The index beside it outlives a process that was killed and tells how long
the WAL was (SQLite's ``walformat.html``, "WAL-Index Format").
"""

import struct
from pathlib import Path

from .untouched import beside

_HEADER_BYTES = 48
_HEADER = struct.Struct("=III BB H II")
_VERSION = 3007000
_BACKFILLED = struct.Struct("=I")
_WAL_HEADER_BYTES = 32
_FRAME_HEADER_BYTES = 24
_LARGEST_PAGE = 65536

# The same eight bytes in both files, new for each time that the WAL is begun again.
_SALT = slice(32, 40)
_WAL_SALT = slice(16, 24)


def missing_frames(path: Path) -> int:
    """Count pages that were changed, are not in the database, and should be in its WAL.

    Args:
        path: of the database; nobody has it open.

    Returns:
        How many; 0 also where there is no index, or it says nothing.

    Raises:
        OSError: a file cannot be read.
    """
    try:
        with beside(path, "-shm").open("rb") as file:
            data = file.read(2 * _HEADER_BYTES + _BACKFILLED.size)
    except FileNotFoundError:
        return 0
    if len(data) < 2 * _HEADER_BYTES + _BACKFILLED.size:
        return 0
    header, copy = data[:_HEADER_BYTES], data[_HEADER_BYTES : 2 * _HEADER_BYTES]
    # They differ where a process died while it changed them.
    if header != copy:
        return 0
    version, _, _, ready, _, page, frames, _ = _HEADER.unpack_from(header)
    backfilled = _BACKFILLED.unpack_from(data, 2 * _HEADER_BYTES)[0]
    if version != _VERSION or not ready or backfilled >= frames:
        return 0
    # 65536 does not fit and is stored as 1.
    page = _LARGEST_PAGE if page == 1 else page
    wal = beside(path, "-wal")
    size = wal.stat().st_size if wal.exists() else 0
    if size >= _WAL_HEADER_BYTES and _salt_of(wal) != header[_SALT]:
        # Of an earlier WAL: a power cut took what was written to the index since.
        return 0
    there = max(0, size - _WAL_HEADER_BYTES) // (page + _FRAME_HEADER_BYTES)
    return int(max(0, frames - max(there, backfilled)))


def _salt_of(wal: Path) -> bytes:
    with wal.open("rb") as file:
        return file.read(_WAL_HEADER_BYTES)[_WAL_SALT]
