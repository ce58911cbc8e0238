"""Alembic's entry: run the migrations on the connection it is given."""

from alembic import context

from computed.db.cell import models

connection = context.config.attributes['connection']
context.configure(connection=connection, render_as_batch=True,
                  target_metadata=models.Base.metadata)
with context.begin_transaction():
    context.run_migrations()
