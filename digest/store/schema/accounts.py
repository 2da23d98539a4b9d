"""The people who make the newsletter: accounts, sessions, and the audit log of what they did."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text, false

from digest.store.schema.base import Instant, metadata

person = Table(
    "person",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("pid", String(32), nullable=False, unique=True),
    Column("name", String, nullable=False, unique=True),  # what they log in with
    Column("role", String, nullable=False),
    Column("password", String, nullable=False),  # an argon2id hash
    Column("must_change", Boolean, nullable=False, server_default=false()),  # somebody else knows the password
    Column("totp", LargeBinary),  # sealed; none where there is no second factor
    Column("totp_step", Integer),  # the last one used: a code counts once
    Column("created_at", Instant, nullable=False),
    Column("signed_in_at", Instant),
    Column("disabled_at", Instant),
)

recovery_code = Table(
    "recovery_code",
    metadata,
    Column("person_id", ForeignKey("person.id"), primary_key=True),
    Column("code_hash", String(64), primary_key=True),  # keyed
    Column("used_at", Instant),
)

session = Table(
    "session",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sid", String(32), nullable=False, unique=True),  # what it is called in the list of sessions
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("person_id", ForeignKey("person.id"), nullable=False, index=True),
    Column("stage", String, nullable=False),  # code: the password was right, the code is still to come | full
    Column("made_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("fresh_at", Instant, nullable=False),  # when they last proved who they are
    Column("network", String, nullable=False),
    Column("browser", String, nullable=False),
    Column("wrong_codes", Integer, nullable=False, server_default="0"),
)

# Append only: triggers refuse whatever else (migration 0009).
audit = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),  # 1, 2, 3, … without a gap
    Column("at", Instant, nullable=False),
    Column("who", String, nullable=False),
    Column("action", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("detail", Text, nullable=False),  # JSON
    Column("hash", String(64), nullable=False),  # keyed, over the one before and this record
    Index("ix_audit_who_seq", "who", "seq"),
    Index("ix_audit_action_seq", "action", "seq"),
    Index("ix_audit_subject_seq", "subject", "seq"),
)

# Where the log ends, sealed: taking records off its end would need the key.
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("seq", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("seal", String(64), nullable=False),
)
