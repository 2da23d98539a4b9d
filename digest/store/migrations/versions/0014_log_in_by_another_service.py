"""log-in by another service, and when what readers had chosen before a change of the lists was let go"""

import sqlalchemy as sa
from alembic import op

from digest.store.schema import Instant

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "identity",
        sa.Column("person_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("address_index", sa.LargeBinary(), nullable=True),
        sa.Column("issuer", sa.String(), nullable=True),
        sa.Column("subject_hash", sa.String(length=64), nullable=True),
        sa.Column("at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_identity_person_id")),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_identity")),
        sa.UniqueConstraint("address_index", name=op.f("uq_identity_address_index")),
        sa.UniqueConstraint("subject_hash", name=op.f("uq_identity_subject_hash")),
    )
    op.add_column("interest_move", sa.Column("let_go_at", Instant(), nullable=True))
