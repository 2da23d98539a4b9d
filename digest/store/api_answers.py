"""What was answered to calls that may be repeated, as rows."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select, update

from digest.store import schema as t
from digest.store.dialect import now


class Answered(NamedTuple):
    """A call as it was asked first. ``status`` is None while it is at work, or where its process died at it."""

    asked: str
    begun_at: datetime
    status: int | None
    location: str
    body: str


def find(tx: Connection, key: str, mark: str) -> Answered | None:
    """The first call of a key under that mark."""
    a = t.api_answer.c
    query = select(a.asked, a.begun_at, a.status, a.location, a.body).where(a.key_id == _row(key), a.mark == mark)
    row = tx.execute(query).one_or_none()
    return None if row is None else Answered(row.asked, row.begun_at, row.status, row.location or "", row.body or "")


def begin(tx: Connection, key: str, mark: str, asked: str) -> None:
    """A call begins, in the place of an earlier one of that mark."""
    forget(tx, key, mark)
    tx.execute(insert(t.api_answer).values(key_id=_row(key), mark=mark, asked=asked, begun_at=now(tx)))


def finish(tx: Connection, key: str, mark: str, *, status: int, location: str, body: str) -> None:
    """It was answered so."""
    a = t.api_answer.c
    values = {"status": status, "location": location, "body": body}
    tx.execute(update(t.api_answer).where(a.key_id == _row(key), a.mark == mark).values(values))


def forget(tx: Connection, key: str, mark: str) -> None:
    """As if it had not been asked."""
    a = t.api_answer.c
    tx.execute(delete(t.api_answer).where(a.key_id == _row(key), a.mark == mark))


def sweep(tx: Connection, before: datetime) -> None:
    """Forget all that began before."""
    tx.execute(delete(t.api_answer).where(t.api_answer.c.begun_at < before))


def _row(key: str) -> object:
    return select(t.api_key.c.id).where(t.api_key.c.kid == key).scalar_subquery()
