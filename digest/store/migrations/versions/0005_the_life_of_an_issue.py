"""the life of an issue"""

import sqlalchemy as sa
from alembic import op

from digest.store.schema import Instant

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "issue_move",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("issue_id", sa.Integer(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("old", sa.String(), nullable=False),
        sa.Column("new", sa.String(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["issue_id"], ["issue.id"], name=op.f("fk_issue_move_issue_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_issue_move")),
    )
    with op.batch_alter_table("issue_move", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_issue_move_issue_id"), ["issue_id"], unique=False)

    op.create_table(
        "editor_notice",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("editor", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("told_at", Instant(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", Instant(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_editor_notice")),
        sa.UniqueConstraint("subject", "kind", "editor", name=op.f("uq_editor_notice_subject_kind_editor")),
    )
    op.create_table(
        "carried",
        sa.Column("issue_id", sa.Integer(), nullable=False),
        sa.Column("summary_id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["issue_id"], ["issue.id"], name=op.f("fk_carried_issue_id")),
        sa.ForeignKeyConstraint(["seq"], ["revision.seq"], name=op.f("fk_carried_seq")),
        sa.ForeignKeyConstraint(["summary_id"], ["summary.id"], name=op.f("fk_carried_summary_id")),
        sa.PrimaryKeyConstraint("issue_id", "summary_id", name=op.f("pk_carried")),
    )
    op.add_column("subscriber", sa.Column("zone", sa.String(), nullable=True))
    op.add_column("subscriber", sa.Column("cadence_at", Instant(), nullable=True))
    some = sa.text("cadence_at IS NOT NULL")
    op.create_index("ix_subscriber_cadence_at", "subscriber", ["cadence_at"], unique=False, sqlite_where=some, postgresql_where=some)
