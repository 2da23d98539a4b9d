"""whom to tell: outgoing webhooks, what each wants to be told, and what is on its way to them"""

import sqlalchemy as sa
from alembic import op

from digest.store.schema import Instant, RowId

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_OPEN = sa.text("state IN ('waiting', 'inflight')")


def upgrade() -> None:
    op.create_table(
        "hook",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("hid", sa.String(8), nullable=False),
        sa.Column("url", sa.LargeBinary(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("old_secret", sa.LargeBinary(), nullable=True),
        sa.Column("old_until", Instant(), nullable=True),
        sa.Column("with_addresses", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("made_at", Instant(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("failing_since", Instant(), nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rest_until", Instant(), nullable=True),
        sa.Column("disabled_at", Instant(), nullable=True),
        sa.Column("disabled_why", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hook")),
        sa.UniqueConstraint("hid", name=op.f("uq_hook_hid")),
    )
    op.create_table(
        "hook_topic",
        sa.Column("hook_id", sa.Integer(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["hook_id"], ["hook.id"], name=op.f("fk_hook_topic_hook_id")),
        sa.PrimaryKeyConstraint("hook_id", "topic", name=op.f("pk_hook_topic")),
    )
    op.create_table(
        "hook_event",
        sa.Column("id", RowId, nullable=False),
        sa.Column("event", sa.String(32), nullable=False),
        sa.Column("hook_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("state_at", Instant(), nullable=False),
        sa.Column("next_at", Instant(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["hook_id"], ["hook.id"], name=op.f("fk_hook_event_hook_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hook_event")),
        sa.UniqueConstraint("event", "hook_id", name=op.f("uq_hook_event_event_hook_id")),
    )
    op.create_index("ix_hook_event_open", "hook_event", ["hook_id", "next_at"], sqlite_where=_OPEN, postgresql_where=_OPEN)
    op.create_index("ix_hook_event_state_state_at", "hook_event", ["state", "state_at"])
