"""The records of snapshots in an SQLite database."""

from .reserve import Reserve
from .store import SqliteStore, open_store
from .trouble import DatabaseError, SchemaError

__all__ = ["DatabaseError", "Reserve", "SchemaError", "SqliteStore", "open_store"]
