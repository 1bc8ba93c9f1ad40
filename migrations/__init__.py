"""Revisions of the database, run by Alembic in a process of their own."""
