"""What was gathered: sources, summaries and their revisions."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, String, Table, Text

from digest.store.schema.base import Instant, metadata

source = Table(
    "source",
    metadata,
    Column("name", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("settings_hash", String, nullable=False),
    Column("etag", Text, nullable=False, default=""),
    Column("last_modified", Text, nullable=False, default=""),
    Column("read_at", Instant),
    Column("read_well_at", Instant),
    Column("failures", Integer, nullable=False, default=0),  # in a row
    Column("error", Text, nullable=False, default=""),
    Column("warning", Text, nullable=False, default=""),
    Column("taken", Integer, nullable=False, default=0),
    Column("salvaged", Integer, nullable=False, default=0),
)

refusal = Table(
    "refusal",
    metadata,
    Column("source", ForeignKey("source.name"), primary_key=True),
    Column("ref", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("at", Instant, nullable=False),
)

summary = Table(
    "summary",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("listed_as", Text, nullable=False, unique=True),
    Column("source", String, nullable=False),  # whose text it is; others are "also at"
    Column("published_at", Instant, nullable=False, index=True),
    Column("seq", Integer, nullable=False, index=True),  # its newest revision
    Column("notice_at", Instant, index=True),
    Column("notice_hash", String),
    Column("same_as", Integer),  # the summary that this one turned out to be
)

revision = Table(
    "revision",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),  # the arrival number
    Column("summary_id", ForeignKey("summary.id"), nullable=False, index=True),
    Column("hash", String, nullable=False),
    Column("body", Text, nullable=False),
    Column("notice_hash", String),
    Column("at", Instant, nullable=False),
    sqlite_autoincrement=True,
)

identifier = Table(
    "identifier",
    metadata,
    Column("key", Text, primary_key=True),
    Column("summary_id", ForeignKey("summary.id"), nullable=False, index=True),
)

also_at = Table(
    "also_at",
    metadata,
    Column("summary_id", ForeignKey("summary.id"), primary_key=True),
    Column("source", String, primary_key=True),
    Column("url", Text, nullable=False),
    Column("at", Instant, nullable=False),
)
