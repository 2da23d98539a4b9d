"""what editions give, in place of a row for each reader and summary"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "edition_item",
        sa.Column("edition_id", sa.Integer(), nullable=False),
        sa.Column("summary_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["edition_id"], ["edition.id"], name=op.f("fk_edition_item_edition_id")),
        sa.ForeignKeyConstraint(["summary_id"], ["summary.id"], name=op.f("fk_edition_item_summary_id")),
        sa.PrimaryKeyConstraint("edition_id", "summary_id", name=op.f("pk_edition_item")),
    )
    op.create_index("ix_edition_item_summary_id", "edition_item", ["summary_id"], unique=False)
    op.create_table(
        "edition_notice",
        sa.Column("edition_id", sa.Integer(), nullable=False),
        sa.Column("summary_id", sa.Integer(), nullable=False),
        sa.Column("notice_hash", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["edition_id"], ["edition.id"], name=op.f("fk_edition_notice_edition_id")),
        sa.ForeignKeyConstraint(["summary_id"], ["summary.id"], name=op.f("fk_edition_notice_summary_id")),
        sa.PrimaryKeyConstraint("edition_id", "summary_id", "notice_hash", name=op.f("pk_edition_notice")),
    )
    op.create_index("ix_edition_notice_summary_id", "edition_notice", ["summary_id"], unique=False)
    for old, new, columns in (
        ("delivery_item", "edition_item", "summary_id"),
        ("delivery_notice", "edition_notice", "summary_id, notice_hash"),
    ):
        # All readers of an edition were given the same.
        op.execute(
            f"INSERT INTO {new} (edition_id, {columns}) SELECT DISTINCT delivery.edition_id, {columns} FROM {old} "
            f"JOIN delivery ON delivery.id = {old}.delivery_id WHERE delivery.edition_id IS NOT NULL"
        )
        op.drop_table(old)
    op.drop_index("ix_delivery_issue_id_state_id", "delivery")
    op.create_index(
        "ix_delivery_issue_id_state_next_at_edition_id", "delivery", ["issue_id", "state", "next_at", "edition_id"], unique=False
    )
