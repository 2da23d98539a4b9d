"""Planning one issue by several: who plans which readers."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, String, Table, false

from digest.store.schema.base import Instant, RowId, metadata

# Readers whose row is above ``after`` and not above ``up_to`` (the last part: all that follow). Gone when the issue is planned.
plan_part = Table(
    "plan_part",
    metadata,
    Column("issue_id", ForeignKey("issue.id"), primary_key=True),
    Column("after", RowId, primary_key=True, autoincrement=False),
    Column("up_to", RowId),
    Column("owner", String),
    Column("lease_until", Instant),
    Column("done", Boolean, nullable=False, server_default=false()),
)
