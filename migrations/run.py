"""Running revisions on a database."""

import sqlite3
from importlib import resources
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

SCRIPTS = resources.files(__package__)


_USERS = (("snapshots", "id"), ("tombstones", "id"), ("strangers", "id"), ("companions", "number"))
"""Tables and their columns that hold identifiers."""


def configuration(scripts: str = str(SCRIPTS)) -> Config:
    """Make Alembic's configuration; no file is needed.

    Args:
        scripts: directory of ``env.py`` and ``versions``.
    """
    config = Config()
    config.set_main_option("script_location", scripts.replace("%", "%%"))
    return config


def engine_for(path: Path) -> sa.Engine:
    """Make an engine on which schema changes are transactional.

    Foreign keys stay off: a table that is rebuilt is dropped in between, which would delete what
    refers to it.

    Args:
        path: of the database, made if it is not there.
    """
    # By a creator: a path may hold characters that mean something in a URL.
    engine = sa.create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(path), poolclass=sa.pool.NullPool
    )

    @sa.event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _: object) -> None:
        # The driver would commit before each change of the schema.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA journal_mode=WAL")

    @sa.event.listens_for(engine, "begin")
    def begun(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def migrate(path: Path, direction: str, revision: str, config: Config | None = None) -> None:
    """Migrate a database in one transaction.

    Args:
        path: of the database, made if it is not there.
        direction: ``upgrade`` or ``downgrade``.
        revision: where to.
        config: Alembic's configuration, for other revisions than the program's.

    Raises:
        RuntimeError: rows were left that refer to nothing, or identifiers would be given twice;
            nothing was changed.
        Exception: whatever a revision raises; nothing was changed.
    """
    config = config or configuration()
    path.touch(mode=0o600)
    engine = engine_for(path)
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            given_before = _next_identifier(connection)
            run = {"upgrade": command.upgrade, "downgrade": command.downgrade}[direction]
            run(config, revision)
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            if broken:
                raise RuntimeError(f"{len(broken)} rows would refer to nothing")
            _require_new_identifiers(connection, given_before)
    finally:
        engine.dispose()


def _next_identifier(connection: sa.Connection) -> int:
    if not sa.inspect(connection).has_table("identifiers"):
        return 0
    return int(connection.exec_driver_sql("SELECT next FROM identifiers").scalar_one())


def _require_new_identifiers(connection: sa.Connection, given_before: int) -> None:
    """Refuse a revision that lost count: a snapshot would get the directory of another one."""
    tables = sa.inspect(connection)
    used = [
        connection.exec_driver_sql(f"SELECT max({column}) FROM {table}").scalar() or 0  # noqa: S608
        for table, column in _USERS
        if tables.has_table(table)
    ]
    if not used:
        return
    following = _next_identifier(connection)
    if following < given_before or following <= max(used):
        raise RuntimeError(
            f"the next identifier would be {following}, but identifiers up to "
            f"{max(given_before - 1, *used)} have been given"
        )
