"""Alembic's environment: it always works on the connection that `af.core.migrations` hands over."""

from alembic import context

from af.core import migrations
from af.core.db import metadata

migrations.load_tables()
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter most things in place
    compare_type=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
