"""Which questions are answered from an index, whatever the number of snapshots."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cvmfs_snapshotter.adapters.sqlite import statements
from cvmfs_snapshotter.adapters.sqlite.connections import connect


@pytest.fixture
def connection(database: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection as the daemon uses it."""
    with closing(connect(database)) as connection:
        yield connection


class _Anything(dict[str, object]):
    """Has a value for every parameter."""

    def __missing__(self, key: str) -> object:
        return "[1]" if key == "identifiers" else 1


def plan(connection: sqlite3.Connection, statement: str) -> list[str]:
    """Give SQLite's own description of what it would do."""
    rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}", _Anything())
    return [row[3] for row in rows]


LOOKUPS = [
    ("GET", statements.GET, "autoindex"),
    ("GET_WITH_REMOTE", statements.GET_WITH_REMOTE, "(target=? AND parent_id=? AND local=?)"),
    ("PAGE_OF_TARGET", statements.PAGE_OF_TARGET, "(target=? AND parent_id=? AND local>?)"),
    ("CHAIN", statements.CHAIN, "INTEGER PRIMARY KEY"),
    ("HAS_CHILDREN", statements.HAS_CHILDREN, "ix_snapshots_parent"),
    ("IDENTIFIER_OF", statements.IDENTIFIER_OF, "autoindex"),
    ("UNMEASURED", statements.UNMEASURED, "ix_snapshots_unmeasured"),
    ("TOMBSTONES_AFTER", statements.TOMBSTONES_AFTER, "INTEGER PRIMARY KEY"),
    ("UNRECORDED", statements.UNRECORDED, "INTEGER PRIMARY KEY"),
    ("NAMES_IN", statements.NAMES_IN, "autoindex"),
    ("REMOTE_LAYERS", statements.REMOTE_LAYERS, "ix_snapshots_source"),
    ("REPLACE", statements.REPLACE, "INTEGER PRIMARY KEY"),
    ("DELETE", statements.DELETE, "INTEGER PRIMARY KEY"),
    ("MEASURE", statements.MEASURE, "INTEGER PRIMARY KEY"),
]
HARMLESS = {
    "SCAN chain",  # the snapshots of one chain
    "SCAN anon_1 VIRTUAL TABLE INDEX 1:",  # the identifiers that were asked for
    "SCAN snapshots USING INDEX ix_snapshots_unmeasured",  # has no others in it
}
PAGES = list(statements.PAGES.items())


@pytest.mark.parametrize(
    ("statement", "index"),
    [look_up[1:] for look_up in LOOKUPS],
    ids=[name for name, *_ in LOOKUPS],
)
def test_a_look_up_uses_its_index(
    connection: sqlite3.Connection, statement: str, index: str
) -> None:
    """No look-up reads a whole table."""
    steps = plan(connection, statement)

    assert any(index in step for step in steps), steps
    assert HARMLESS >= {step for step in steps if step.startswith("SCAN")}


@pytest.mark.parametrize(("key", "statement"), PAGES, ids=[str(key) for key, _ in PAGES])
def test_a_page_is_a_search(
    connection: sqlite3.Connection, key: tuple[bool, ...], statement: str
) -> None:
    """A page is read in order from an index; only one by the target alone sorts what it found."""
    _, parent, target, name = key
    steps = plan(connection, statement)

    assert [] == [step for step in steps if step.startswith("SCAN")]
    if parent or name or not target:
        assert [] == [step for step in steps if "TEMP B-TREE" in step]
    if target and not name:
        index = "ix_snapshots_target (target=?" + (" AND parent_id=?" if parent else "")
        assert any(index in step for step in steps), steps
    if parent and not target and not name:
        assert any("ix_snapshots_parent (parent_id=? AND local=? AND rowid>?)" in s for s in steps)
    if not parent and not target and not name:
        assert any("ix_snapshots_local (local=? AND rowid>?)" in s for s in steps), steps


def test_what_follows_a_hit_is_read_in_order(connection: sqlite3.Connection) -> None:
    """The listing by parent and target, one for each remote layer, sorts nothing."""
    steps = plan(connection, statements.PAGE_OF_TARGET)

    assert [] == [step for step in steps if "TEMP B-TREE" in step]
