"""The editor's desk: what editors change of an issue, who approved what, and the links that show a draft."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, String, Table, Text, UniqueConstraint

from digest.store.schema.base import Instant, metadata

# The steps of an issue's editors (`digest.edits`): append only.
edit = Table(
    "edit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("issue_id", ForeignKey("issue.id"), nullable=False),
    Column("version", Integer, nullable=False),  # 1 is the first step
    Column("at", Instant, nullable=False),
    Column("who", String, nullable=False),
    Column("op", String, nullable=False),  # edit | undo | redo
    Column("changes", Text, nullable=False),  # JSON
    UniqueConstraint("issue_id", "version"),
)

# Who approved which content; append only.
approval = Table(
    "approval",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("issue_id", ForeignKey("issue.id"), nullable=False, index=True),
    Column("content_hash", String, nullable=False),
    Column("who", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("snapshot", LargeBinary, nullable=False),  # what it was made of, to say later what differs: compressed JSON
)

share = Table(
    "share",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sid", String(32), nullable=False, unique=True),
    Column("issue_id", ForeignKey("issue.id"), nullable=False, index=True),
    Column("edition", String, nullable=False, default=""),
    Column("who", String, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("revoked_at", Instant),
)
