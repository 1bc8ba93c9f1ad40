"""The tables, as the newest revision in ``migrations`` makes them."""

import sqlalchemy as sa

METADATA = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
    }
)

SNAPSHOTS = sa.Table(
    "snapshots",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    # 0 for none: SQLite's unique indexes take NULLs for different from one another.
    sa.Column("parent_id", sa.Integer, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    # 0 for a remote snapshot, 1 for a local one: the order of a listing, from an index.
    sa.Column("local", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Integer, nullable=False),
    sa.Column("updated_at", sa.Integer, nullable=False),
    sa.Column("labels", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("source", sa.Text),
    sa.Column("digest", sa.Text),
    sa.Column("size", sa.Integer),
    sa.Column("inodes", sa.Integer),
    sa.Column("companion", sa.Integer),
    sa.Column("staged", sa.Integer, nullable=False),
    sa.CheckConstraint("kind IN ('view', 'active', 'committed')", name="kind"),
    sa.CheckConstraint("local = (digest IS NULL)", name="local"),
    sa.CheckConstraint("(source IS NULL) = (digest IS NULL)", name="layer"),
    sa.CheckConstraint("(size IS NULL) = (inodes IS NULL)", name="usage"),
    sa.CheckConstraint(
        "digest IS NULL OR kind = 'committed' OR (staged AND kind = 'active')", name="remote"
    ),
    sa.CheckConstraint("digest IS NOT NULL OR NOT staged", name="staged"),
    sa.CheckConstraint("companion IS NULL OR digest IS NOT NULL", name="companion"),
)
# Every index of SQLite ends with the row's id, so that these three give a listing in its order.
sa.Index("ix_snapshots_local", SNAPSHOTS.c.local)
sa.Index("ix_snapshots_parent", SNAPSHOTS.c.parent_id, SNAPSHOTS.c.local)
sa.Index("ix_snapshots_target", SNAPSHOTS.c.target, SNAPSHOTS.c.parent_id, SNAPSHOTS.c.local)
sa.Index(
    "uq_snapshots_remote",
    SNAPSHOTS.c.parent_id,
    SNAPSHOTS.c.target,
    unique=True,
    sqlite_where=sa.text("local = 0 AND staged = 0"),
)
sa.Index(
    "ix_snapshots_source",
    SNAPSHOTS.c.source,
    sqlite_where=SNAPSHOTS.c.source.is_not(None),
)
sa.Index(
    "ix_snapshots_unmeasured",
    SNAPSHOTS.c.id,
    sqlite_where=sa.and_(SNAPSHOTS.c.size.is_(None), SNAPSHOTS.c.kind == "committed"),
)

sa.Index(
    "ix_snapshots_companion",
    SNAPSHOTS.c.companion,
    sqlite_where=SNAPSHOTS.c.companion.is_not(None),
)

COMPANIONS = sa.Table(
    "companions",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    # NULL once it is being deleted: then no snapshot gets it any more.
    sa.Column("fingerprint", sa.Text, unique=True),
    sa.Column("above", sa.Integer, nullable=False),
    sa.Column("below", sa.Integer, nullable=False),
    sa.CheckConstraint("above OR below", name="something"),
)

TOMBSTONES = sa.Table(
    "tombstones",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
)

STRANGERS = sa.Table(
    "strangers",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
)

# One row: a table that is rebuilt by a migration loses what AUTOINCREMENT remembers.
IDENTIFIERS = sa.Table(
    "identifiers",
    METADATA,
    sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("next", sa.Integer, nullable=False),
    sa.CheckConstraint("one = 1", name="one"),
)

LAYERS = sa.Table(
    "layers",
    METADATA,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("names", sa.Text, nullable=False),
)

SOURCES = sa.Table(
    "sources",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("path", sa.Text, nullable=False),
)

WISHES = sa.Table(
    "wishes",
    METADATA,
    # The digest first: what is there now is forgotten by it.
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("image", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text, primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("first_seen_at", sa.Integer, nullable=False),
    sa.Column("last_seen_at", sa.Integer, nullable=False),
)
