"""Issues and the ledger (RELIABILITY section 1)."""

from __future__ import annotations

from sqlalchemy import Column, Date, ForeignKey, Index, Integer, LargeBinary, String, Table, Text, UniqueConstraint

from digest.store.schema.base import Instant, RowId, metadata

issue = Table(
    "issue",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("cadence", String, nullable=False),
    Column("local_date", Date, nullable=False),
    Column("opens_after", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("state", String, nullable=False),
    Column("drafted_at", Instant, nullable=False),
    Column("known_seq", Integer, nullable=False),  # the highest arrival number when it was drafted
    Column("content_hash", String, nullable=False),
    Column("frozen", Text, nullable=False),  # interests and selection rules as they were, JSON
    Column("approved_hash", String),
    Column("approved_at", Instant),
    Column("uncertain", String, nullable=False, default="hold"),
    Column("send_not_after", Instant),
    Column("planned", Integer),
    Column("planned_at", Instant),
    Column("finished_at", Instant),
    Column("paused_at", Instant),
    Column("pause_reason", Text, nullable=False, server_default=""),
    UniqueConstraint("cadence", "local_date"),
)

# Every move of an issue from one state to another: append only.
issue_move = Table(
    "issue_move",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("issue_id", ForeignKey("issue.id"), nullable=False, index=True),
    Column("at", Instant, nullable=False),
    Column("who", String, nullable=False),
    Column("old", String, nullable=False),
    Column("new", String, nullable=False),
    Column("detail", Text, nullable=False, default=""),
)

# What the editors were told of, each once.
editor_notice = Table(
    "editor_notice",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("subject", String, nullable=False),  # an issue's name, or what else it is about
    Column("kind", String, nullable=False),
    Column("editor", String, nullable=False),  # a keyed hash
    Column("body", Text, nullable=False),
    Column("told_at", Instant),
    Column("tries", Integer, nullable=False, default=0),
    Column("next_at", Instant),
    Column("error", Text, nullable=False, default=""),
    UniqueConstraint("subject", "kind", "editor"),
)

content = Table(
    "content",
    metadata,
    Column("issue_id", ForeignKey("issue.id"), primary_key=True),
    Column("compiled", LargeBinary, nullable=False),
)

member = Table(
    "member",
    metadata,
    Column("issue_id", ForeignKey("issue.id"), primary_key=True),
    Column("summary_id", ForeignKey("summary.id"), primary_key=True),
    Column("cadence", String, nullable=False),
    Column("seq", ForeignKey("revision.seq"), nullable=False),
    UniqueConstraint("cadence", "summary_id"),
)

# Summaries that an issue has besides its members, for readers who would else miss them (see `carry`).
carried = Table(
    "carried",
    metadata,
    Column("issue_id", ForeignKey("issue.id"), primary_key=True),
    Column("summary_id", ForeignKey("summary.id"), primary_key=True),
    Column("seq", ForeignKey("revision.seq"), nullable=False),
)

participant = Table(
    "participant",
    metadata,
    Column("issue_id", ForeignKey("issue.id"), primary_key=True),
    Column("source", String, primary_key=True),
)

edition = Table(
    "edition",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("issue_id", ForeignKey("issue.id"), nullable=False),
    Column("hash", String, nullable=False),
    Column("selection", Text, nullable=False),  # JSON
    Column("html_bytes", Integer, nullable=False, default=0),
    Column("problem", Text, nullable=False, default=""),
    UniqueConstraint("issue_id", "hash"),
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("issue_id", ForeignKey("issue.id"), nullable=False),
    Column("subscriber_id", ForeignKey("subscriber.id"), nullable=False),
    Column("edition_id", ForeignKey("edition.id")),
    Column("did", String(32), nullable=False, unique=True),
    Column("state", String, nullable=False),
    Column("state_at", Instant, nullable=False),
    Column("reason", String, nullable=False, default=""),
    Column("interests", Text, nullable=False, default=""),  # as followed when planned, separated by ;
    Column("attempt_id", RowId),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_at", Instant),
    Column("date_header", String, nullable=False),
    Column("bytes", Integer),
    Column("sha256", String),
    Column("lease_owner", String),
    Column("lease_epoch", Integer, nullable=False, default=0),
    Column("lease_until", Instant),
    Column("evidence", String, nullable=False, server_default=""),  # what the state rests on: reply, event, sibling, …
    # Facts that came later, with their times; a delivered message may still bounce.
    Column("delivered_at", Instant),
    Column("bounced_at", Instant),
    Column("dropped_at", Instant),
    Column("complained_at", Instant),
    UniqueConstraint("issue_id", "subscriber_id"),
    Index("ix_delivery_attempt_id", "attempt_id"),
    # The order in which deliveries are claimed: what never waited first, each edition's together.
    Index("ix_delivery_issue_id_state_next_at_edition_id", "issue_id", "state", "next_at", "edition_id"),
)

# What an edition gives its readers: teasers, and notices about what they got earlier. Who has seen what follows from their
# deliveries' editions; a row for each reader and summary would be twelve million for a million readers.
edition_item = Table(
    "edition_item",
    metadata,
    Column("edition_id", ForeignKey("edition.id"), primary_key=True),
    Column("summary_id", ForeignKey("summary.id"), primary_key=True, index=True),
)

edition_notice = Table(
    "edition_notice",
    metadata,
    Column("edition_id", ForeignKey("edition.id"), primary_key=True),
    Column("summary_id", ForeignKey("summary.id"), primary_key=True, index=True),
    Column("notice_hash", String, primary_key=True),
)

attempt = Table(
    "attempt",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("aid", String(32), nullable=False, unique=True),
    Column("issue_id", ForeignKey("issue.id"), nullable=False, index=True),
    Column("provider", String, nullable=False),
    Column("n", Integer, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("outcome", String, nullable=False, default=""),
    Column("code", String, nullable=False, default=""),
    Column("provider_ref", Text, nullable=False, default=""),
    Column("evidence", Text, nullable=False, default=""),
)

# Rates that hold over processes and machines; a domain stands here as a keyed hash.
throttle = Table(
    "throttle",
    metadata,
    Column("scope", String, primary_key=True),  # all | domain:HASH
    Column("at", Instant, nullable=False),  # all: up to when the rate is booked; a domain: when its minute began
    Column("taken", Integer, nullable=False),
)
