"""What providers tell later, and what people decided about it."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, LargeBinary, String, Table, Text, UniqueConstraint

from digest.store.schema.base import Instant, RowId, metadata

event_inbox = Table(
    "event_inbox",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("provider", String, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("raw_sha256", String, nullable=False, unique=True),
    Column("body", LargeBinary, nullable=False),
    Column("applied_at", Instant),
)

provider_event = Table(
    "provider_event",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("did", String(32), nullable=False),
    Column("aid", String(32), nullable=False),
    Column("kind", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("detail_hash", String, nullable=False),
    Column("detail", Text, nullable=False, default=""),  # the provider's words without addresses
    Column("joined", Boolean, nullable=False, default=False),  # False: no delivery of that did, or not looked at yet
    Column("recorded_at", Instant, nullable=False),
    UniqueConstraint("did", "aid", "kind", "at", "detail_hash"),
    Index("ix_provider_event_aid", "aid"),
    Index("ix_provider_event_joined", "joined"),
)

contradiction = Table(
    "contradiction",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("issue_id", ForeignKey("issue.id")),
    Column("did", String(32), nullable=False),
    Column("what", String, nullable=False),
    Column("at", Instant, nullable=False),
    UniqueConstraint("did", "what"),
)

# A failure of an address, kept to count soft ones; never with the address itself.
bounce = Table(
    "bounce",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("address_index", LargeBinary, nullable=False, index=True),
    Column("did", String(32), nullable=False),
    Column("kind", String, nullable=False),  # hard | soft | blocked
    Column("code", String, nullable=False, default=""),
    Column("at", Instant, nullable=False),
    UniqueConstraint("did", "kind", "at"),
)

# What people decided: append only.
decision = Table(
    "decision",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("who", String, nullable=False),
    Column("what", String, nullable=False),
    Column("subject", String, nullable=False),  # an issue's name or a delivery's did
    Column("detail", Text, nullable=False, default=""),
)
