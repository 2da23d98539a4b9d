"""Run by Alembic on the connection that ``database.migrate`` hands over; the transaction is the caller's."""

from alembic import context

from digest.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True, transaction_per_migration=False
)
context.run_migrations()
