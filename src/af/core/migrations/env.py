"""Alembic's environment: it works on the connection, and in the transaction, that `af.core.migrations` hands over."""

from alembic import context

from af.core import migrations
from af.core.db import metadata

migrations.load_tables()
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter most things in place
    compare_type=True,
)
context.run_migrations()
