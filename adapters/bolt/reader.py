"""Buckets of a bbolt database, read from a copy of its file."""

from collections.abc import Iterator
from pathlib import Path

from .pages import BoltError, Element, bucket_header, elements, is_branch, nearest, read_meta

__all__ = ["BoltError", "Bucket", "open_bolt"]

TRIES = 20
"""How often a file that changes meanwhile is read again."""

_CIRCLE = "its pages lead to one another more than once"

_METAS = 2 * 1024 * 1024


class Bucket:
    """One bucket: keys with values or further buckets."""

    def __init__(self, data: bytes, page_size: int, offset: int) -> None:
        """Give the bucket whose root page begins at an offset of the data.

        Args:
            data: the file; or, of an inline bucket, its page alone.
            page_size: bytes.
            offset: of its root page.
        """
        self._data = data
        self._page_size = page_size
        self._offset = offset

    def __iter__(self) -> Iterator[bytes]:
        """Give every key, of values and of buckets.

        Raises:
            BoltError: the file is damaged.
        """
        return (element.key for element in self._elements())

    def value(self, key: bytes) -> bytes | None:
        """Give the value of a key; None if there is none.

        Raises:
            BoltError: the file is damaged.
        """
        element = self._find(key)
        return None if element is None or element.bucket else element.value

    def bucket(self, *path: bytes) -> "Bucket | None":
        """Give the bucket that a path of keys leads to; None if there is none.

        Raises:
            BoltError: the file is damaged.
        """
        found = self
        for key in path:
            element = found._find(key)
            if element is None or not element.bucket:
                return None
            found = found._inside(element)
        return found

    def buckets(self) -> Iterator[tuple[bytes, "Bucket"]]:
        """Give every bucket in it with its key.

        Raises:
            BoltError: the file is damaged.
        """
        for element in self._elements():
            if element.bucket:
                yield element.key, self._inside(element)

    def values(self) -> Iterator[tuple[bytes, bytes]]:
        """Give every value in it with its key.

        Raises:
            BoltError: the file is damaged.
        """
        for element in self._elements():
            if not element.bucket:
                yield element.key, element.value

    def _find(self, key: bytes) -> Element | None:
        offset, seen = self._offset, set[int]()
        while offset not in seen:
            seen.add(offset)
            element = nearest(self._data, offset, key)
            if element is None or not is_branch(self._data, offset):
                return element if element is not None and element.key == key else None
            offset = element.page * self._page_size
        raise BoltError(_CIRCLE)

    def _inside(self, element: Element) -> "Bucket":
        root, inline = bucket_header(element.value)
        if root:
            return Bucket(self._data, self._page_size, root * self._page_size)
        return Bucket(inline, self._page_size, 0)

    def _elements(self) -> Iterator[Element]:
        waiting, seen = [self._offset], {self._offset}
        while waiting:
            offset = waiting.pop()
            if not is_branch(self._data, offset):
                yield from elements(self._data, offset)
                continue
            below = [e.page * self._page_size for e in elements(self._data, offset)]
            if not seen.isdisjoint(below):
                raise BoltError(_CIRCLE)
            seen.update(below)
            waiting += reversed(below)


def open_bolt(path: Path) -> Bucket:
    """Read a database, also while its owner writes to it.

    The file is copied into memory. A transaction writes its pages to places that are free before
    its meta page, so that a copy is sound if no transaction ended while it was made.

    Args:
        path: of the file.

    Returns:
        Its topmost bucket.

    Raises:
        BoltError: it is no sound database, or its owner never let it be for long enough.
        OSError: it cannot be read.
    """
    for _ in range(TRIES):
        with path.open("rb") as file:
            before = read_meta(file.read(_METAS))
            file.seek(0)
            data = file.read()
            file.seek(0)
            if read_meta(file.read(_METAS)) == before == read_meta(data):
                return Bucket(data, before.page_size, before.root * before.page_size)
    raise BoltError(f"{path} changes all the time")
