"""Rows of missed layers, and what they stand for."""

import sqlite3
from collections.abc import Iterable

from cvmfs_snapshotter.domain.layer import Digest, Reason
from cvmfs_snapshotter.domain.wishes import Wish

_REASONS = {reason.value: reason for reason in Reason}


def row_of_wish(wish: Wish) -> dict[str, object]:
    """Give the row of a missed layer."""
    return {
        "digest": wish.digest.hex,
        "image": wish.image,
        "reason": wish.reason.value,
        "count": wish.count,
        "first_seen_at": wish.first_seen_at,
        "last_seen_at": wish.last_seen_at,
    }


def wishes_of(rows: Iterable[sqlite3.Row | tuple[str, str, str, int, int, int]]) -> list[Wish]:
    """Give the missed layers of rows.

    Args:
        rows: in any order. Those whose reason only another release knows are left out.

    Returns:
        The layers, in the order of their rows.
    """
    return [
        Wish(image, Digest(digits), _REASONS[reason], count, first, last)
        for digits, image, reason, count, first, last in rows
        if reason in _REASONS
    ]
