"""Requests of HTTP as far as a scraper sends them (RFC 9112)."""

from collections.abc import Mapping
from http import HTTPStatus

import attrs

from .pages import Page

_WORDS = 3


@attrs.frozen
class Request:
    """A request without a body.

    Attributes:
        method: as it came.
        path: of its target.
        query: of its target, without the question mark.
        headers: the last of each name, which is in lower case.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]

    @property
    def verbose(self) -> bool:
        """Whether details are asked for."""
        return "verbose" in {part.partition("=")[0] for part in self.query.split("&")}


def parse(head: bytes) -> Request | None:
    """Read the head of a request.

    Args:
        head: everything before its body; it is not trusted to be one.

    Returns:
        The request; None if it is none.
    """
    first, *rest = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != _WORDS or not words[2].startswith("HTTP/1."):
        return None
    path, _, query = words[1].partition("?")
    pairs = (line.partition(":") for line in rest)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Request(words[0], path, query, headers)


def rendered(page: Page, *, body: bool) -> bytes:
    """Give an answer as it is sent; the connection ends after it.

    Args:
        page: the answer.
        body: whether its body is sent; not for HEAD.
    """
    status = HTTPStatus(page.status)
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        f"Content-Type: {page.kind}\r\n"
        f"Content-Length: {len(page.body)}\r\n"
        "Cache-Control: no-store\r\n"
        "Connection: close\r\n"
        "\r\n"
    )
    return head.encode("latin-1") + (page.body if body else b"")
