"""Run the migrations on the connection that the caller of Alembic gives."""

from alembic import context

from computed.db.cell import models

connection = context.config.attributes['connection']
context.configure(connection=connection, render_as_batch=True,
                  target_metadata=models.Base.metadata)
with context.begin_transaction():
    context.run_migrations()
