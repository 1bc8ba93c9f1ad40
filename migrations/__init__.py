"""The Alembic environment that creates and upgrades the metadata database."""
