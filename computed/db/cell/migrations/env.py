"""Run the migrations on the connection that the caller of Alembic gives."""

from alembic import context

from computed.db.cell.storage import tables

attributes = context.config.attributes
context.configure(connection=attributes['connection'], render_as_batch=True,
                  target_metadata=tables.Volume.metadata,
                  on_version_apply=attributes['progress'].recorded)
with context.begin_transaction():
    context.run_migrations()
