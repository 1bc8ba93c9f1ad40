"""Looking a database over, for an operator."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from .tables import METADATA
from .trouble import DatabaseError
from .untouched import untouched
from .wal_index import missing_frames

_MOST = 20


@contextmanager
def looking(path: Path, *, in_use: bool) -> Iterator[sqlite3.Connection]:
    """Open a database to look at it, without changing it.

    Args:
        path: of the file.
        in_use: a daemon has it open, and goes on meanwhile.

    Raises:
        DatabaseError: it cannot be read.
    """
    try:
        if in_use:
            uri = f"{path.absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as database:
                # What it looks at stays one moment.
                database.execute("BEGIN")
                yield database
        else:
            with untouched(path) as database:
                yield database
    except (sqlite3.Error, OSError) as error:
        raise DatabaseError(f"{path} cannot be read: {error}") from error


def problems(path: Path, *, in_use: bool) -> list[str]:
    """Look for everything that must not be in a database of this release's schema.

    Args:
        path: of the file.
        in_use: a daemon has it open.

    Returns:
        What was found, in words; the first ones, if there is a lot.

    Raises:
        DatabaseError: it cannot be read at all.
    """
    found = []
    with looking(path, in_use=in_use) as database:
        missing = 0 if in_use else missing_frames(path)
        if missing:
            found.append(f"{missing} changed pages are missing from its WAL")
        damage = [row[0] for row in database.execute(f"PRAGMA integrity_check({_MOST})")]
        found += [text for text in damage if text != "ok"]
        lost = database.execute("PRAGMA foreign_key_check").fetchall()
        found += [f"a row of {row[0]} refers to nothing" for row in lost[:_MOST]]
        if not found:
            found += [*_tables(database)] or [*_identifiers(database)]
    return found


def _tables(database: sqlite3.Connection) -> Iterator[str]:
    for table in METADATA.sorted_tables:
        there = {row[1] for row in database.execute(f"PRAGMA table_info({table.name})")}
        wanted = {column.name for column in table.columns}
        if there != wanted:
            yield f"table {table.name} has other columns: {', '.join(sorted(there ^ wanted))}"


def _identifiers(database: sqlite3.Connection) -> Iterator[str]:
    counter = database.execute("SELECT next FROM identifiers").fetchone()
    highest = database.execute(
        "SELECT max(id) FROM (SELECT id FROM snapshots UNION ALL SELECT id FROM tombstones "
        "UNION ALL SELECT number FROM companions)"
    ).fetchone()[0]
    if counter is None:
        yield "the counter of identifiers is missing"
    elif highest is not None and highest >= counter[0]:
        yield f"the next identifier would be {counter[0]}, but {highest} is in use"
    removed = database.execute(
        "SELECT count(*) FROM snapshots JOIN tombstones USING (id)"
    ).fetchone()[0]
    if removed:
        yield f"{removed} snapshots are recorded as removed, too"
    orphans = database.execute(
        "SELECT count(*) FROM snapshots WHERE parent_id != 0 AND parent_id NOT IN "
        "(SELECT id FROM snapshots)"
    ).fetchone()[0]
    if orphans:
        yield f"{orphans} snapshots have a parent that is not recorded"
    bare = database.execute(
        "SELECT count(*) FROM snapshots WHERE companion IS NOT NULL AND companion NOT IN "
        "(SELECT number FROM companions)"
    ).fetchone()[0]
    if bare:
        yield f"{bare} snapshots have a companion that is not recorded"
