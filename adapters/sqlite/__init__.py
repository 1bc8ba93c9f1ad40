"""The records of snapshots in an SQLite database."""

from .store import SqliteStore, open_store
from .trouble import DatabaseError, SchemaError

__all__ = ["DatabaseError", "SchemaError", "SqliteStore", "open_store"]
