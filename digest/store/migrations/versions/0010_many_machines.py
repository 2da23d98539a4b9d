"""many machines: numbers of 64 bits where a table grows with readers and issues, and the parts of a plan"""

import sqlalchemy as sa
from alembic import op

from digest.store.schema import Instant, RowId

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

GROWING = (
    *("attempt", "bounce", "consent", "contradiction", "decision", "delivery", "edition", "event_inbox", "mail", "provider_event"),
    *("signup", "subscriber"),
)
# Whatever refers to one of them, in which migration it may have come: the columns of its foreign keys.
_REFERRING = sa.text(
    "SELECT c.conrelid::regclass::text, a.attname FROM pg_constraint c"
    " JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)"
    " WHERE c.contype = 'f' AND c.confrelid = CAST(:table AS regclass) AND a.atttypid = 'integer'::regtype"
)


def upgrade() -> None:
    op.create_table(
        "plan_part",
        sa.Column("issue_id", sa.Integer(), nullable=False),
        sa.Column("after", RowId, autoincrement=False, nullable=False),
        sa.Column("up_to", RowId, nullable=True),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("done", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(["issue_id"], ["issue.id"], name=op.f("fk_plan_part_issue_id")),
        sa.PrimaryKeyConstraint("issue_id", "after", name=op.f("pk_plan_part")),
    )
    _widen()


def _widen() -> None:
    """SQLite's rows are numbered by 64 bits already. PostgreSQL writes these tables anew, and nobody else works meanwhile."""
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    columns: dict[str, set[str]] = {table: {"id"} for table in GROWING}
    columns["delivery"].add("attempt_id")  # without a foreign key
    for table in GROWING:
        op.execute(f"ALTER SEQUENCE {table}_id_seq AS bigint")
        for referring, column in connection.execute(_REFERRING, {"table": table}):
            columns.setdefault(referring, set()).add(column)
    for table, wider in sorted(columns.items()):
        changes = ", ".join(f"ALTER COLUMN {column} TYPE bigint" for column in sorted(wider))
        op.execute(f"ALTER TABLE {table} {changes}")
