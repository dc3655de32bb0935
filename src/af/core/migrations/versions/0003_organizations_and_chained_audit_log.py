"""Chain the audit log and make it append-only; give every project an organisation.

Written by hand. Of the program it uses nothing that may change: what it computes must stay as it was.
"""

import hashlib
import json
from datetime import UTC
from typing import Any

import sqlalchemy as sa
from alembic import op

import af.core.db
from af.core import ids

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BATCH_ROWS = 1000

audit_entries = sa.table(
    "audit_entries",
    *(sa.column(name) for name in ("id", "chain", "sequence", "project_id", "action", "target", "user_id")),
    *(sa.column(name) for name in ("token_id", "session_id", "address", "user_agent", "request_id")),
    sa.column("before", sa.JSON(none_as_null=True)),
    sa.column("after", sa.JSON(none_as_null=True)),
    sa.column("created_at", af.core.db.Timestamp()),
    *(sa.column(name) for name in ("previous_hash", "hash")),
)

SQLITE_TRIGGERS = (
    """CREATE TRIGGER audit_entries_no_update BEFORE UPDATE ON audit_entries
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    """CREATE TRIGGER audit_entries_no_delete BEFORE DELETE ON audit_entries
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    # REPLACE deletes without the trigger above: https://sqlite.org/lang_conflict.html
    """CREATE TRIGGER audit_entries_no_replace BEFORE INSERT ON audit_entries
    WHEN EXISTS (
        SELECT 1 FROM audit_entries
        WHERE id = NEW.id OR (chain = NEW.chain AND sequence = NEW.sequence)
    )
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
)
POSTGRES_TRIGGERS = (
    """CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$""",
    """CREATE TRIGGER audit_entries_no_change BEFORE UPDATE OR DELETE ON audit_entries
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_change()""",
    """CREATE TRIGGER audit_entries_no_truncate BEFORE TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()""",
)


users = sa.table("users", sa.column("id"), sa.column("username"), sa.column("created_at", af.core.db.Timestamp()))
projects = sa.table("projects", sa.column("id"), sa.column("organization_id"), sa.column("created_by"))
organizations = sa.table(
    "organizations",
    *(sa.column(name) for name in ("id", "name", "slug", "personal_of")),
    *(sa.column(name, af.core.db.Timestamp()) for name in ("created_at", "updated_at")),
)
organization_members = sa.table(
    "organization_members",
    *(sa.column(name) for name in ("organization_id", "user_id", "role", "access_all_projects")),
    sa.column("created_at", af.core.db.Timestamp()),
)


def upgrade() -> None:
    connection = op.get_bind()
    give_projects_an_organization(connection)
    chain_old_entries(connection)
    for statement in SQLITE_TRIGGERS if connection.dialect.name == "sqlite" else POSTGRES_TRIGGERS:
        connection.execute(sa.text(statement))


def give_projects_an_organization(connection: sa.Connection) -> None:
    """The personal one of whoever made the project. User names are slugs already, and unique."""
    creators = sa.select(projects.c.created_by).where(projects.c.organization_id.is_(None))
    for user in connection.execute(sa.select(users).where(users.c.id.in_(creators))).all():
        key = ids.new("org", user.created_at)
        connection.execute(
            sa.insert(organizations).values(
                id=key,
                name=user.username,
                slug=user.username,
                personal_of=user.id,
                created_at=user.created_at,
                updated_at=user.created_at,
            )
        )
        connection.execute(
            sa.insert(organization_members).values(
                organization_id=key,
                user_id=user.id,
                role="OWNER",
                access_all_projects=True,
                created_at=user.created_at,
            )
        )
        connection.execute(sa.update(projects).where(projects.c.created_by == user.id).values(organization_id=key))


def chain_old_entries(connection: sa.Connection) -> None:
    """Number and hash what the first release recorded, in the order that it was."""
    last: dict[str, tuple[int, str]] = {}
    after = 0
    query = sa.select(audit_entries).order_by(audit_entries.c.id).limit(BATCH_ROWS)
    while rows := connection.execute(query.where(audit_entries.c.id > after)).mappings().all():
        for row in rows:
            chain = f"project:{row['project_id']}"
            sequence, previous_hash = last.get(chain, (0, ""))
            entry = {**row, "chain": chain, "sequence": sequence + 1, "previous_hash": previous_hash}
            last[chain] = (sequence + 1, hash_of(entry))
            connection.execute(
                sa.update(audit_entries)
                .where(audit_entries.c.id == row["id"])
                .values(
                    chain=chain, sequence=sequence + 1, previous_hash=previous_hash, hash=last[chain][1], user_agent=""
                )
            )
        after = rows[-1]["id"]


def hash_of(entry: dict[str, Any]) -> str:
    """Format ``af-audit-1``, as in `af.core.audit.entry_hash` at the time of this revision."""
    moment = entry["created_at"].astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    names = ("project_id", "action", "target", "user_id", "token_id", "session_id", "address", "user_agent")
    parts = ["af-audit-1", entry["chain"], entry["sequence"], moment, *(entry[name] for name in names)]
    parts += [entry["request_id"], entry["before"], entry["after"], entry["previous_hash"]]
    text = json.dumps(parts, ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
