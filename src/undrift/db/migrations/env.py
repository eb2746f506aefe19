"""Alembic's entry point: it migrates over the connection that it is given."""

from __future__ import annotations

from alembic import context

from undrift.db import tables

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=tables.metadata,
    render_as_batch=True,
    transactional_ddl=False,
)
context.run_migrations()
