"""Outgoing webhooks: whom to tell, of what, and what is still to be told."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text, UniqueConstraint, false, text

from digest.store.schema.base import Instant, RowId, metadata

hook = Table(
    "hook",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("hid", String(8), nullable=False, unique=True),  # what people and receivers call it
    Column("url", LargeBinary, nullable=False),  # sealed: its query may hold a key
    Column("secret", LargeBinary, nullable=False),  # sealed
    Column("old_secret", LargeBinary),  # sealed: signs, too, until old_until
    Column("old_until", Instant),
    Column("with_addresses", Boolean, nullable=False, server_default=false()),
    Column("made_at", Instant, nullable=False),
    Column("made_by", String, nullable=False),
    Column("failing_since", Instant),  # the first failure after the last success
    Column("failures", Integer, nullable=False, server_default="0"),  # of the receiver as such, in a row
    Column("rest_until", Instant),
    Column("disabled_at", Instant),
    Column("disabled_why", Text, nullable=False, server_default=""),
)

# What a hook wants to be told: a kind of event, ``issue.*``, ``reader.*`` or ``*``.
hook_topic = Table(
    "hook_topic",
    metadata,
    Column("hook_id", ForeignKey("hook.id"), primary_key=True),
    Column("topic", String, primary_key=True),
)

# An event on its way to one hook; written in the transaction that does what it tells. Never an address, never an interest.
hook_event = Table(
    "hook_event",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("event", String(32), nullable=False),  # one for all hooks that are told of it
    Column("hook_id", ForeignKey("hook.id"), nullable=False),
    Column("kind", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("data", Text, nullable=False),  # JSON
    Column("state", String, nullable=False),  # waiting | inflight | delivered | failed
    Column("state_at", Instant, nullable=False),
    Column("next_at", Instant, nullable=False),  # waiting: from when on; inflight: until when whoever has it may take
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("status", Integer),  # what the receiver answered last
    Column("reason", Text, nullable=False, server_default=""),
    UniqueConstraint("event", "hook_id"),
    Index(
        "ix_hook_event_open",
        "hook_id",
        "next_at",
        sqlite_where=text("state IN ('waiting', 'inflight')"),
        postgresql_where=text("state IN ('waiting', 'inflight')"),
    ),
    Index("ix_hook_event_state_state_at", "state", "state_at"),
)
