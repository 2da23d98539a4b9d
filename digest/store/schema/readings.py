"""How each reading of a source went, the newest few hundred of each."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String, Table, Text

from digest.store.schema.base import Instant, RowId, metadata

reading = Table(
    "reading",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("source", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("who", String, nullable=False),
    Column("result", String, nullable=False),  # read | unchanged | nothing: it came, laid out otherwise than said | failed
    Column("taken", Integer, nullable=False, default=0),
    Column("refused", Integer, nullable=False, default=0),
    Column("new", Integer, nullable=False, default=0),
    Column("changed", Integer, nullable=False, default=0),
    Column("filled", Text, nullable=False, default="{}"),  # JSON: of how many taken pieces each field said something
    Column("said", Text, nullable=False, default=""),  # the error or the warning
    Index("ix_reading_source_id", "source", "id"),
)
