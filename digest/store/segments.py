"""Saved filters of readers."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, select

from digest.store import schema as t
from digest.store.dialect import now, upsert


class Saved(NamedTuple):
    """A filter under its name, as JSON."""

    name: str
    filter: str
    made_at: datetime
    who: str


def put(tx: Connection, name: str, filter: str, who: str) -> None:
    """Keep a filter; one of the same name is replaced."""
    values = {"filter": filter, "made_at": now(tx), "who": who}
    tx.execute(upsert(tx, t.segment).values(name=name, **values).on_conflict_do_update(index_elements=["name"], set_=values))


def every(tx: Connection) -> list[Saved]:
    """All of them, by name."""
    return [Saved(*row) for row in tx.execute(select(t.segment).order_by(t.segment.c.name))]


def find(tx: Connection, name: str) -> Saved | None:
    """The one of that name."""
    row = tx.execute(select(t.segment).where(t.segment.c.name == name)).one_or_none()
    return Saved(*row) if row else None


def drop(tx: Connection, name: str) -> bool:
    """Take one away. Returns whether it was there."""
    return tx.execute(delete(t.segment).where(t.segment.c.name == name)).rowcount > 0
