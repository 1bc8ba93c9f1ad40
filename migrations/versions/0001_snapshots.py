"""Snapshots, companions, tombstones, identifiers, names in layers, sources, wishes.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the first tables."""
    op.create_table(
        "snapshots",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("parent_id", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
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
        sa.CheckConstraint("kind IN ('view', 'active', 'committed')", op.f("ck_snapshots_kind")),
        sa.CheckConstraint("local = (digest IS NULL)", op.f("ck_snapshots_local")),
        sa.CheckConstraint("(source IS NULL) = (digest IS NULL)", op.f("ck_snapshots_layer")),
        sa.CheckConstraint("(size IS NULL) = (inodes IS NULL)", op.f("ck_snapshots_usage")),
        sa.CheckConstraint(
            "digest IS NULL OR kind = 'committed' OR (staged AND kind = 'active')",
            op.f("ck_snapshots_remote"),
        ),
        sa.CheckConstraint("digest IS NOT NULL OR NOT staged", op.f("ck_snapshots_staged")),
        sa.CheckConstraint(
            "companion IS NULL OR digest IS NOT NULL", op.f("ck_snapshots_companion")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshots")),
        sa.UniqueConstraint("name", name=op.f("uq_snapshots_name")),
    )
    op.create_index("ix_snapshots_local", "snapshots", ["local"])
    op.create_index("ix_snapshots_parent", "snapshots", ["parent_id", "local"])
    op.create_index("ix_snapshots_target", "snapshots", ["target", "parent_id", "local"])
    op.create_index(
        "uq_snapshots_remote",
        "snapshots",
        ["parent_id", "target"],
        unique=True,
        sqlite_where=sa.text("local = 0 AND staged = 0"),
    )
    op.create_index(
        "ix_snapshots_source", "snapshots", ["source"], sqlite_where=sa.text("source IS NOT NULL")
    )
    op.create_index(
        "ix_snapshots_unmeasured",
        "snapshots",
        ["id"],
        sqlite_where=sa.text("size IS NULL AND kind = 'committed'"),
    )
    op.create_index(
        "ix_snapshots_companion",
        "snapshots",
        ["companion"],
        sqlite_where=sa.text("companion IS NOT NULL"),
    )
    op.create_table(
        "companions",
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("fingerprint", sa.Text),
        sa.Column("above", sa.Integer, nullable=False),
        sa.Column("below", sa.Integer, nullable=False),
        sa.CheckConstraint("above OR below", op.f("ck_companions_something")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_companions")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_companions_fingerprint")),
    )
    op.create_table(
        "tombstones",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tombstones")),
    )
    op.create_table(
        "strangers",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_strangers")),
    )
    op.create_table(
        "identifiers",
        sa.Column("one", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("next", sa.Integer, nullable=False),
        sa.CheckConstraint("one = 1", op.f("ck_identifiers_one")),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_identifiers")),
    )
    op.execute("INSERT INTO identifiers (one, next) VALUES (1, 1)")
    op.create_table(
        "layers",
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("names", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("source", "digest", name=op.f("pk_layers")),
    )
    op.create_table(
        "sources",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sources")),
    )
    op.create_table(
        "wishes",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("image", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("first_seen_at", sa.Integer, nullable=False),
        sa.Column("last_seen_at", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("digest", "image", "reason", name=op.f("pk_wishes")),
    )


def downgrade() -> None:
    """Drop everything."""
    for table in (
        "wishes",
        "sources",
        "layers",
        "identifiers",
        "strangers",
        "tombstones",
        "companions",
        "snapshots",
    ):
        op.drop_table(table)
