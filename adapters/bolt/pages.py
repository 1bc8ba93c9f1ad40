"""The pages of a bbolt file.

The format is that of go.etcd.io/bbolt, version 2 (its ``page.go``, ``meta.go``, ``bucket.go``):
pages of one size, little endian on every machine that containerd runs on. Page 0 and 1 hold two
versions of the meta page, of which the valid one with the higher transaction counts. Everything
that it leads to is written before it and never changed, only freed later.
"""

import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator

import attrs

MAGIC = 0xED0CDAED
VERSION = 2

BRANCH = 0x01
LEAF = 0x02
META = 0x04

_HEADER = struct.Struct("<QHHI")  # number, flags, elements, further pages
_META = struct.Struct("<IIIIQQQQQQ")
_BRANCH_ELEMENT = struct.Struct("<IIQ")  # position, length of the key, page
_LEAF_ELEMENT = struct.Struct("<IIII")  # flags, position, lengths of key and value
_BUCKET = struct.Struct("<QQ")  # page of the root, sequence

_FNV_START = 0xCBF29CE484222325
_FNV_PRIME = 0x100000001B3
_64_BITS = 0xFFFFFFFFFFFFFFFF

_SMALLEST_PAGE = 1024
_LARGEST_PAGE = 1024 * 1024


class BoltError(Exception):
    """A file that is not a sound bbolt database; the message says what is wrong with it."""


@attrs.frozen
class Meta:
    """What a meta page says.

    Attributes:
        page_size: bytes.
        root: page of the topmost bucket.
        transaction: number of the transaction that wrote it.
    """

    page_size: int
    root: int
    transaction: int


@attrs.frozen
class Element:
    """One element of a page.

    Attributes:
        key: its key; of a branch, the first one below.
        value: of a leaf.
        page: of a branch, where to go on.
        bucket: whether the value is a bucket.
    """

    key: bytes
    value: bytes = b""
    page: int = 0
    bucket: bool = False


def read_meta(data: bytes) -> Meta:
    """Find the meta page that counts.

    Args:
        data: the beginning of the file; the two meta pages at least.

    Raises:
        BoltError: neither of the two is valid.
    """
    found = [meta for meta in (_meta_at(data, 0), _second_meta(data)) if meta is not None]
    if not found:
        raise BoltError("neither of its two meta pages is valid")
    return max(found, key=lambda meta: meta.transaction)


def _second_meta(data: bytes) -> Meta | None:
    # Where the second one is depends on the page size, which only the first one tells; if that is
    # broken, any power of two may be right.
    size = _SMALLEST_PAGE
    while size <= _LARGEST_PAGE:
        meta = _meta_at(data, size)
        if meta is not None and meta.page_size == size:
            return meta
        size *= 2
    return None


def _meta_at(data: bytes, offset: int) -> Meta | None:
    start = offset + _HEADER.size
    if len(data) < start + _META.size:
        return None
    magic, version, size, _flags, root, _sequence, _free, _pages, transaction, checksum = (
        _META.unpack_from(data, start)
    )
    if (magic, version) != (MAGIC, VERSION):
        return None
    if checksum != _fnv(data[start : start + _META.size - 8]):
        return None
    return Meta(size, root, transaction)


def _fnv(data: bytes) -> int:
    value = _FNV_START
    for byte in data:
        value = ((value ^ byte) * _FNV_PRIME) & _64_BITS
    return value


def elements(data: bytes, offset: int) -> Iterator[Element]:
    """Give the elements of a branch or leaf page, in the order of their keys.

    Args:
        data: the file, or the value that holds an inline bucket.
        offset: where the page begins.

    Raises:
        BoltError: the page is neither, or leads outside.
    """
    count, element = _page(data, offset)
    return map(element, range(count))


def nearest(data: bytes, offset: int, key: bytes) -> Element | None:
    """Give the element of a branch or leaf page at which a key is, or below which it would be.

    Elements are in the order of their keys, byte by byte (bbolt, ``Cursor.searchPage``).

    Args:
        data: the file, or the value that holds an inline bucket.
        offset: where the page begins.
        key: the key.

    Returns:
        The last element whose key is not above it; else the first one; None if there is none.

    Raises:
        BoltError: the page is neither, or leads outside.
    """
    count, element = _page(data, offset)
    if not count:
        return None
    above = bisect_right(range(count), key, key=lambda number: element(number).key)
    return element(max(above - 1, 0))


def _page(data: bytes, offset: int) -> tuple[int, Callable[[int], Element]]:
    """Give the number of elements of a page, and what reads one of them."""
    try:
        _number, flags, count, _overflow = _HEADER.unpack_from(data, offset)
    except struct.error:
        raise BoltError(f"the page at byte {offset} lies outside of the file") from None
    if flags & BRANCH:
        read = _branch_element
    elif flags & LEAF:
        read = _leaf_element
    else:
        raise BoltError(f"the page at byte {offset} is neither a branch nor a leaf")
    start = offset + _HEADER.size

    def element(number: int) -> Element:
        try:
            return read(data, start + number * _LEAF_ELEMENT.size)
        except (struct.error, IndexError):
            raise BoltError(f"the page at byte {offset} leads outside of the file") from None

    return count, element


def _branch_element(data: bytes, at: int) -> Element:
    position, length, page = _BRANCH_ELEMENT.unpack_from(data, at)
    return Element(_slice(data, at + position, length), page=page)


def _leaf_element(data: bytes, at: int) -> Element:
    flags, position, key_length, value_length = _LEAF_ELEMENT.unpack_from(data, at)
    start = at + position
    key = _slice(data, start, key_length)
    value = _slice(data, start + key_length, value_length)
    return Element(key, value, bucket=bool(flags & 1))


def _slice(data: bytes, start: int, length: int) -> bytes:
    if start + length > len(data):
        raise IndexError
    return data[start : start + length]


def is_branch(data: bytes, offset: int) -> bool:
    """Tell whether the page that begins there leads to further pages.

    Raises:
        BoltError: there is no page.
    """
    try:
        return bool(_HEADER.unpack_from(data, offset)[1] & BRANCH)
    except struct.error:
        raise BoltError(f"the page at byte {offset} lies outside of the file") from None


def bucket_header(value: bytes) -> tuple[int, bytes]:
    """Read the value of a bucket.

    Args:
        value: as a leaf has it.

    Returns:
        The page of its root; or 0 and the page itself, of a bucket that is small enough.

    Raises:
        BoltError: it is too short.
    """
    if len(value) < _BUCKET.size:
        raise BoltError("a bucket has no header")
    root, _sequence = _BUCKET.unpack_from(value)
    return root, value[_BUCKET.size :]
