"""Changes of the interest lists, and saved filters of readers."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, Text

from digest.store.schema.base import Instant, metadata

# Every change of the interest lists, with the whole file before and after it: intent first, outcome after.
interest_move = Table(
    "interest_move",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String, nullable=False),
    Column("what", Text, nullable=False),  # one sentence
    Column("at", Instant, nullable=False),
    Column("who", String, nullable=False),
    Column("state", String, nullable=False),  # begun | done | dropped | undone
    Column("old_text", Text, nullable=False),
    Column("new_text", Text, nullable=False),
    Column("steps", Text, nullable=False),  # what it does to readers' choices, JSON
    Column("shown", Text, nullable=False),  # what was shown before it was made, JSON
    Column("takes_back", Integer),  # the change that this one undoes
    Column("readers", Integer),  # whose choices it changed
    Column("ended_at", Instant),
    Column("let_go_at", Instant),  # what readers had chosen before it is not kept any more
    Index("ix_interest_move_state", "state"),
)

# What readers had chosen before a change of the lists, so that it can be taken back. Goes when a reader is erased.
interest_choice = Table(
    "interest_choice",
    metadata,
    Column("move_id", ForeignKey("interest_move.id"), primary_key=True),
    Column("subscriber_id", ForeignKey("subscriber.id"), primary_key=True, index=True),
    Column("before", Text, nullable=False),  # JSON
)

segment = Table(
    "segment",
    metadata,
    Column("name", String, primary_key=True),
    Column("filter", Text, nullable=False),  # JSON
    Column("made_at", Instant, nullable=False),
    Column("who", String, nullable=False),
)
