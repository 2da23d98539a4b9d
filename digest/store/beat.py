"""What schedulers leave in the database: that one is alive, when the first one began, when sources were last read."""

from __future__ import annotations

import json
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from digest.store import schema as t
from digest.store.database import now
from digest.store.dialect import upsert


class Beat(NamedTuple):
    """The last sign of life of a scheduler. ``age_s`` is by the database's clock; ``busy_since`` empty where it waits."""

    who: str
    at: datetime
    age_s: float
    busy_since: datetime | None


FRESH_S = 90.0


def put_beat(tx: Connection, who: str, busy_since: datetime | None) -> None:
    """A scheduler is alive."""
    body = {"who": who, "at": now(tx).isoformat(), "busy_since": busy_since.isoformat() if busy_since else None}
    _put(tx, "scheduler_beat", json.dumps(body))


def last_beat(tx: Connection) -> Beat | None:
    """The last sign of life; None where no scheduler ever ran here."""
    text = _get(tx, "scheduler_beat")
    if text is None:
        return None
    body = json.loads(text)
    at = datetime.fromisoformat(body["at"])
    busy = datetime.fromisoformat(body["busy_since"]) if body["busy_since"] else None
    return Beat(body["who"], at, (now(tx) - at).total_seconds(), busy)


def word(tx: Connection) -> str:
    """How the scheduler does: ``ok``, ``late`` (nothing heard for 90 seconds) or ``none``."""
    last = last_beat(tx)
    return "none" if last is None else "ok" if last.age_s < FRESH_S else "late"


def begun_at(tx: Connection, at: datetime) -> datetime:
    """When a scheduler first ran on this database; now, where this is the first one."""
    text = _get(tx, "scheduler_begun_at")
    if text is None:
        _put(tx, "scheduler_begun_at", at.isoformat())
        return at
    return datetime.fromisoformat(text)


def gathered_at(tx: Connection) -> datetime | None:
    """When a scheduler last read the sources."""
    text = _get(tx, "scheduler_gathered_at")
    return datetime.fromisoformat(text) if text else None


def put_gathered_at(tx: Connection, at: datetime) -> None:
    """The sources were read."""
    _put(tx, "scheduler_gathered_at", at.isoformat())


def _get(tx: Connection, key: str) -> str | None:
    return tx.execute(select(t.meta.c.value).where(t.meta.c.key == key)).scalar()


def _put(tx: Connection, key: str, value: str) -> None:
    statement = upsert(tx, t.meta).values(key=key, value=value)
    tx.execute(statement.on_conflict_do_update(index_elements=["key"], set_={"value": value}))
