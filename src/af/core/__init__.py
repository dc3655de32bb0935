"""What every domain needs and nothing that belongs to one: settings, errors, context, ids, clock, database,
workflows, events, the guarded HTTP client, logs, metrics and sealing."""
