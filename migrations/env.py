"""Alembic's entry: runs revisions on the connection that ``run`` hands over."""

from alembic import context

from cvmfs_snapshotter.adapters.sqlite.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,  # SQLite changes most of a table only by making it anew
)
with context.begin_transaction():
    context.run_migrations()
