"""Runs the migrations on the connection that notifier.schema hands in."""

import sqlmodel
from alembic import context

import notifier.models  # noqa: F401 - every table must be known to the metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=sqlmodel.SQLModel.metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
