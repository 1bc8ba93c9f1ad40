"""What an operation reads and changes inside one transaction."""

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence

from cvmfs_snapshotter.domain.companions import Companion, Names
from cvmfs_snapshotter.domain.errors import AlreadyExistsError
from cvmfs_snapshotter.domain.filters import Pins
from cvmfs_snapshotter.domain.layer import Digest, Layer
from cvmfs_snapshotter.domain.ports.store import Census, Position
from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot, Usage
from cvmfs_snapshotter.domain.wishes import Wish

from . import statements
from .changes import Changes
from .rows import names_of, row_of, snapshot_of, text_of
from .wish_rows import row_of_wish, wishes_of


class SqliteRecords:
    """Implements ``Records`` on a connection in a transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def _run(self, statement: str, **parameters: object) -> sqlite3.Cursor:
        return self._connection.execute(statement, parameters)

    def _one(self, statement: str, **parameters: object) -> Snapshot | None:
        row = self._run(statement, **parameters).fetchone()
        return None if row is None else snapshot_of(row)

    def _numbers(self, statement: str, **parameters: object) -> list[int]:
        return [row[0] for row in self._run(statement, **parameters)]

    def get(self, name: str) -> Snapshot | None:
        """See ``Records.get``."""
        return self._one(statements.GET, name=name)

    def get_with_remote(
        self, name: str, parent_identifier: int, target: str
    ) -> tuple[Snapshot | None, Snapshot | None]:
        """See ``Records.get_with_remote``."""
        named = remote = None
        # Two rows at most: of a name there is one, and of a remote snapshot too.
        for row in self._run(
            statements.GET_WITH_REMOTE, name=name, parent_id=parent_identifier, target=target
        ):
            snapshot = snapshot_of(row)
            if snapshot.name == name:
                named = snapshot
            sought = snapshot.remote and not snapshot.staged
            if sought and (snapshot.parent_identifier, snapshot.target) == (
                parent_identifier,
                target,
            ):
                remote = snapshot
        return named, remote

    def chain(self, identifier: int) -> tuple[Snapshot, ...]:
        """See ``Records.chain``."""
        if not identifier:
            return ()
        return tuple(snapshot_of(row) for row in self._run(statements.CHAIN, id=identifier))

    def has_children(self, identifier: int) -> bool:
        """See ``Records.has_children``."""
        return self._run(statements.HAS_CHILDREN, id=identifier).fetchone() is not None

    def page(self, pins: Pins, after: Position | None, limit: int) -> Sequence[Snapshot]:
        """See ``Records.page``."""
        if pins.parent is not None and pins.target is not None and pins.name is None:
            return self._beside(pins.parent, pins.target, after, limit)
        wanted: dict[str, object] = {}
        if pins.parent is not None:
            parents = self._numbers(statements.IDENTIFIER_OF, name=pins.parent)
            if pins.parent and not parents:
                return ()
            wanted["parent_id"] = parents[0] if pins.parent else 0
        if pins.target is not None:
            wanted["target"] = pins.target
        if pins.name is not None:
            wanted["name"] = pins.name
        found: list[Snapshot] = []
        if after is None or not after.local:
            found += self._part(wanted, after.identifier if after else 0, limit, local=False)
        if len(found) < limit:
            start = after.identifier if after is not None and after.local else 0
            found += self._part(wanted, start, limit - len(found), local=True)
        return found

    def _beside(
        self, parent: str, target: str, after: Position | None, limit: int
    ) -> list[Snapshot]:
        # containerd asks for these after every layer that is provided, and they are few.
        rows = self._run(
            statements.PAGE_OF_TARGET,
            parent=parent,
            target=target,
            local=int(after.local) if after else 0,
            after=after.identifier if after else 0,
            limit=limit,
        )
        return [snapshot_of(row) for row in rows]

    def _part(
        self, wanted: Mapping[str, object], after: int, limit: int, *, local: bool
    ) -> list[Snapshot]:
        key = (local, "parent_id" in wanted, "target" in wanted, "name" in wanted)
        rows = self._run(statements.PAGES[key], after=after, limit=limit, **wanted)
        return [snapshot_of(row) for row in rows]

    def census(self) -> Census:
        """See ``Records.census``."""
        rows = self._run(statements.CENSUS).fetchall()
        (tombstones,) = self._run(statements.TOMBSTONES_COUNTED).fetchone()
        return Census({(Kind(kind), source): count for kind, source, count in rows}, tombstones)

    def unmeasured(self, limit: int) -> Sequence[int]:
        """See ``Records.unmeasured``."""
        return self._numbers(statements.UNMEASURED, limit=limit)

    def tombstones(self, after: int, limit: int) -> Sequence[int]:
        """See ``Records.tombstones``."""
        return self._numbers(statements.TOMBSTONES_AFTER, after=after, limit=limit)

    def strangers(self) -> Sequence[int]:
        """See ``Records.strangers``."""
        return self._numbers(statements.STRANGERS_KNOWN)

    def next_identifier(self) -> int:
        """See ``Records.next_identifier``."""
        following: int = self._run(statements.NEXT_IDENTIFIER).fetchone()[0]
        return following

    def unrecorded(self, identifiers: Sequence[int]) -> Sequence[int]:
        """See ``Records.unrecorded``."""
        return self._numbers(statements.UNRECORDED, identifiers=json.dumps(list(identifiers)))

    def highest_identifier(self) -> int:
        """See ``Records.highest_identifier``."""
        highest: int = self._run(statements.HIGHEST_IDENTIFIER).fetchone()[0]
        return highest

    def names_in(self, layer: Layer) -> Names | None:
        """See ``Records.names_in``."""
        found = self._run(statements.NAMES_IN, source=layer.source, digest=layer.digest.hex)
        row = found.fetchone()
        return None if row is None else names_of(row[0])

    def find_companion(self, fingerprint: str) -> Companion | None:
        """See ``Records.find_companion``."""
        row = self._run(statements.FIND_COMPANION, fingerprint=fingerprint).fetchone()
        return None if row is None else Companion(row[0], bool(row[1]), bool(row[2]))

    def unrecorded_companions(self, numbers: Sequence[int]) -> Sequence[int]:
        """See ``Records.unrecorded_companions``."""
        return self._numbers(statements.UNRECORDED_COMPANIONS, numbers=json.dumps(list(numbers)))

    def source_paths(self) -> Mapping[str, str]:
        """See ``Records.source_paths``."""
        return dict(self._run(statements.SOURCE_PATHS).fetchall())

    def remote_layers(self, source: str) -> Sequence[tuple[int, Layer]]:
        """See ``Records.remote_layers``."""
        rows = self._run(statements.REMOTE_LAYERS, source=source)
        return [(identifier, Layer(source, Digest(digits))) for identifier, digits in rows]

    def wishes(self) -> Sequence[Wish]:
        """See ``Records.wishes``."""
        return wishes_of(self._run(statements.WISHES_SEEN))


class SqliteTransaction(SqliteRecords):
    """Implements ``Transaction`` on a connection in a transaction."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        changes: Changes,
        remembered: Callable[[str], Snapshot | None] = lambda _: None,
    ) -> None:
        """Begin in a transaction that nobody else writes beside.

        Args:
            connection: is in the transaction.
            changes: takes note of what is changed; may have some of this transaction already.
            remembered: gives the snapshot of a name as it was before the transaction, or None
                where it is not known.
        """
        super().__init__(connection)
        self._changes = changes
        self._remembered = remembered

    def get(self, name: str) -> Snapshot | None:
        """See ``Records.get``."""
        known = self._remembered(name)
        # What this transaction has not touched is as it was, for nobody else can have.
        if known is not None and known.identifier not in self._changes.identifiers:
            return known
        return super().get(name)

    def insert(self, snapshot: Snapshot) -> None:
        """See ``Transaction.insert``."""
        self._write_named(statements.INSERT, snapshot, row_of(snapshot))

    def replace(self, snapshot: Snapshot) -> None:
        """See ``Transaction.replace``."""
        row = row_of(snapshot)
        row["identifier"] = row.pop("id")
        if not self._write_named(statements.REPLACE, snapshot, row):
            raise KeyError(snapshot.identifier)

    def _write_named(self, statement: str, snapshot: Snapshot, row: dict[str, object]) -> int:
        self._changes.change(snapshot.identifier)
        try:
            count = self._connection.execute(statement, row).rowcount
        except sqlite3.IntegrityError as error:
            holder = self._numbers(statements.IDENTIFIER_OF, name=snapshot.name)
            if holder not in ([], [snapshot.identifier]):
                raise AlreadyExistsError(f"snapshot {snapshot.name!r} exists already") from error
            raise ValueError(f"snapshot {snapshot.identifier} cannot be recorded") from error
        if count:
            self._changes.changed_to(snapshot)
        return count

    def bury(self, identifier: int) -> None:
        """See ``Transaction.bury``."""
        self._changes.change(identifier)
        if not self._run(statements.DELETE, id=identifier).rowcount:
            raise KeyError(identifier)
        self._run(statements.ADD_TOMBSTONE, id=identifier)

    def measure(self, identifier: int, usage: Usage) -> None:
        """See ``Transaction.measure``."""
        self._changes.change(identifier)
        self._run(statements.MEASURE, identifier=identifier, size=usage.size, inodes=usage.inodes)

    def add_tombstones(self, identifiers: Sequence[int]) -> None:
        """See ``Transaction.add_tombstones``."""
        rows = [{"id": identifier} for identifier in identifiers]
        self._connection.executemany(statements.ADD_TOMBSTONE, rows)

    def add_strangers(self, identifiers: Sequence[int]) -> None:
        """See ``Transaction.add_strangers``."""
        rows = [{"id": identifier} for identifier in identifiers]
        self._connection.executemany(statements.ADD_STRANGER, rows)
        # In one step: a migration refuses a counter that lies below a record.
        self.raise_identifiers(max(identifiers, default=0) + 1)

    def forget_tombstones(self, identifiers: Sequence[int]) -> None:
        """See ``Transaction.forget_tombstones``."""
        rows = [{"id": identifier} for identifier in identifiers]
        self._connection.executemany(statements.FORGET_TOMBSTONE, rows)

    def keep_names(self, layer: Layer, names: Names) -> None:
        """See ``Transaction.keep_names``."""
        self._changes.layers.add(layer)
        self._run(
            statements.KEEP_NAMES,
            source=layer.source,
            digest=layer.digest.hex,
            names=text_of(names),
        )

    def add_companion(self, companion: Companion, fingerprint: str) -> None:
        """See ``Transaction.add_companion``."""
        self._run(
            statements.ADD_COMPANION,
            number=companion.number,
            fingerprint=fingerprint,
            above=int(companion.above),
            below=int(companion.below),
        )

    def claim_unused_companions(self, limit: int) -> Sequence[int]:
        """See ``Transaction.claim_unused_companions``."""
        self._run(statements.CLAIM_COMPANIONS)
        return self._numbers(statements.CLAIMED_COMPANIONS, limit=limit)

    def forget_companions(self, numbers: Sequence[int]) -> None:
        """See ``Transaction.forget_companions``."""
        rows = [{"number": number} for number in numbers]
        self._connection.executemany(statements.FORGET_COMPANION, rows)

    def keep_source_path(self, source: str, path: str) -> None:
        """See ``Transaction.keep_source_path``."""
        self._run(statements.KEEP_PATH, name=source, path=path)

    def add_wishes(self, wishes: Sequence[Wish], most: int) -> None:
        """See ``Transaction.add_wishes``."""
        self._connection.executemany(statements.ADD_WISH, [row_of_wish(wish) for wish in wishes])
        (count,) = self._run(statements.WISHES_COUNTED).fetchone()
        if count > most:
            self._run(statements.DROP_WISHES, most=most)

    def forget_wishes(self, digests: Sequence[Digest]) -> None:
        """See ``Transaction.forget_wishes``."""
        rows = [{"digest": digest.hex} for digest in digests]
        self._connection.executemany(statements.FORGET_WISH, rows)

    def take_identifiers(self, count: int) -> int:
        """Take that many identifiers; gives the first of them."""
        first = self.next_identifier()
        self.raise_identifiers(first + count)
        return first

    def raise_identifiers(self, to: int) -> None:
        """Make every identifier that is taken from now on at least ``to``."""
        self._run(statements.RAISE_IDENTIFIERS, to=to)
