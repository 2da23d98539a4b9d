"""Keys for programs, and what was answered to calls that may be repeated."""

from __future__ import annotations

from sqlalchemy import Column, Date, ForeignKey, Integer, String, Table, Text

from digest.store.schema.base import Instant, metadata

api_key = Table(
    "api_key",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kid", String(8), nullable=False, unique=True),  # stands at the beginning of the key
    Column("name", String, nullable=False, unique=True),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("scopes", Text, nullable=False),  # separated by blanks
    Column("made_by", String, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("used_date", Date),
    Column("revoked_at", Instant),
)

# Kept for a day, which is why a new secret does not seal it anew: see digest/repeats.py.
api_answer = Table(
    "api_answer",
    metadata,
    Column("key_id", ForeignKey("api_key.id"), primary_key=True),
    Column("mark", String(64), primary_key=True),  # a keyed hash of the caller's Idempotency-Key
    Column("asked", String(64), nullable=False),  # a keyed hash of what was asked for
    Column("begun_at", Instant, nullable=False, index=True),
    Column("status", Integer),  # none while the first call is at work
    Column("location", Text),
    Column("body", Text),  # sealed, in base64
)
