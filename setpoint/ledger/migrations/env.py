"""Run by Alembic. The connection, and the transaction it is in, come from setpoint.ledger.migrate."""

from alembic import context

from setpoint.ledger.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
