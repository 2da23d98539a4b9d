"""changes of the interest lists, and pages of readers"""

import sqlalchemy as sa
from alembic import op

from digest.store.schema import Instant

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "interest_move",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("old_text", sa.Text(), nullable=False),
        sa.Column("new_text", sa.Text(), nullable=False),
        sa.Column("steps", sa.Text(), nullable=False),
        sa.Column("shown", sa.Text(), nullable=False),
        sa.Column("takes_back", sa.Integer(), nullable=True),
        sa.Column("readers", sa.Integer(), nullable=True),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_interest_move")),
    )
    op.create_index("ix_interest_move_state", "interest_move", ["state"], unique=False)
    op.create_table(
        "interest_choice",
        sa.Column("move_id", sa.Integer(), nullable=False),
        sa.Column("subscriber_id", sa.Integer(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["move_id"], ["interest_move.id"], name=op.f("fk_interest_choice_move_id")),
        sa.ForeignKeyConstraint(["subscriber_id"], ["subscriber.id"], name=op.f("fk_interest_choice_subscriber_id")),
        sa.PrimaryKeyConstraint("move_id", "subscriber_id", name=op.f("pk_interest_choice")),
    )
    op.create_index(op.f("ix_interest_choice_subscriber_id"), "interest_choice", ["subscriber_id"], unique=False)
    op.create_table(
        "segment",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("filter", sa.Text(), nullable=False),
        sa.Column("made_at", Instant(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_segment")),
    )
    op.add_column("follows", sa.Column("move_id", sa.Integer(), nullable=True))
    # Pages of readers go by the subscriber's row, whatever is asked for: so each index ends with it.
    op.drop_index("ix_follows_interest", table_name="follows")
    op.create_index("ix_follows_interest_subscriber_id", "follows", ["interest", "subscriber_id"], unique=False)
    op.create_index("ix_subscriber_status_id", "subscriber", ["status", "id"], unique=False)
    op.create_index("ix_subscriber_cadence_id", "subscriber", ["cadence", "id"], unique=False)
    op.create_index("ix_subscriber_consent_source_id", "subscriber", ["consent_source", "id"], unique=False)
    op.create_index("ix_subscriber_consent_at_id", "subscriber", ["consent_at", "id"], unique=False)
