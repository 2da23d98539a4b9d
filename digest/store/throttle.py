"""Rates that hold over all processes and machines of a newsletter: one row for all messages, one for each domain."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, select, update

from digest.store import schema as t
from digest.store.database import now
from digest.store.dialect import upsert

_ALL = "all"
_DOMAIN = "domain:"
_BURST = timedelta(seconds=1)  # what was not booked for so long may go at once
_MINUTE = timedelta(minutes=1)
_ABSURD = timedelta(hours=1)  # nobody books so far ahead: the clock was set back
_KEPT = timedelta(days=1)


def book(tx: Connection, messages: int, per_second: float) -> float:
    """Book ``messages`` behind what all others booked. Seconds from now until the first may go; below 0 where it could have already."""
    booked, at = _locked(tx, _ALL).at, now(tx)  # the clock is read once the row is ours
    start = at - _BURST if booked > at + _ABSURD else max(at - _BURST, booked)
    _put(tx, _ALL, start + timedelta(seconds=messages / per_second), 0)
    return (start - at).total_seconds()


def take(tx: Connection, wanted: Mapping[str, int], per_minute: int) -> dict[str, tuple[int, float]]:
    """For each domain (a keyed hash in hex) how many of those wanted it may get in its minute, and how many seconds that lasts."""
    found: dict[str, tuple[int, float]] = {}
    for domain in sorted(wanted):  # always in this order, so that two never wait for each other
        scope = _DOMAIN + domain
        row, at = _locked(tx, scope), now(tx)
        over = not timedelta() <= at - row.at < _MINUTE
        began, taken = (at, 0) if over else (row.at, row.taken)
        granted = max(0, min(wanted[domain], per_minute - taken))
        _put(tx, scope, began, taken + granted)
        found[domain] = (granted, (began + _MINUTE - at).total_seconds())
    return found


def hold(tx: Connection) -> None:
    """Let nobody else book, or come this far, until the transaction ends."""
    _locked(tx, _ALL)


def sweep(tx: Connection) -> None:
    """Forget domains that nothing went to for a day."""
    tx.execute(delete(t.throttle).where(t.throttle.c.scope.startswith(_DOMAIN), t.throttle.c.at < now(tx) - _KEPT))


def _locked(tx: Connection, scope: str) -> Any:
    """The row, ours until the transaction ends. It is there but for the first time, and asked for before it is made."""
    query = select(t.throttle.c.at, t.throttle.c.taken).where(t.throttle.c.scope == scope).with_for_update()
    if (row := tx.execute(query).first()) is not None:
        return row
    tx.execute(upsert(tx, t.throttle).values(scope=scope, at=now(tx) - _MINUTE, taken=0).on_conflict_do_nothing())
    return tx.execute(query).one()


def _put(tx: Connection, scope: str, at: datetime, taken: int) -> None:
    tx.execute(update(t.throttle).where(t.throttle.c.scope == scope).values(at=at, taken=taken))
