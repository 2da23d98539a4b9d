"""what readers choose on the pages"""

import sqlalchemy as sa
from alembic import op

from digest.store.schema import Instant

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Added in place: a table that others refer to must not be made anew.
    op.add_column("subscriber", sa.Column("plain_text", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("subscriber", sa.Column("large_print", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("subscriber", sa.Column("max_teasers", sa.Integer(), nullable=True))
    op.add_column("subscriber", sa.Column("paused_until", sa.Date(), nullable=True))
    op.add_column("subscriber", sa.Column("paused_at", Instant(), nullable=True))
    op.add_column("subscriber", sa.Column("catch_up", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("follows", sa.Column("fewer", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("consent", sa.Column("text_hash", sa.String(), server_default="", nullable=False))
    op.add_column("consent", sa.Column("detail", sa.LargeBinary(), nullable=True))

    op.create_table(
        "consent_text",
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("first_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_consent_text")),
    )
    op.create_table(
        "signup",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sid", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signup")),
        sa.UniqueConstraint("sid", name=op.f("uq_signup_sid")),
    )
    with op.batch_alter_table("signup", schema=None) as batch_op:
        batch_op.create_index("ix_signup_state", ["state"], unique=False)

    op.create_table(
        "mail",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("did", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("address_index", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("state_at", Instant(), nullable=False),
        sa.Column("made_at", Instant(), nullable=False),
        sa.Column("next_at", Instant(), nullable=False),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail")),
        sa.UniqueConstraint("did", name=op.f("uq_mail_did")),
    )
    with op.batch_alter_table("mail", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_mail_address_index"), ["address_index"], unique=False)
        batch_op.create_index("ix_mail_state_next_at", ["state", "next_at"], unique=False)
