"""Who is at work: workers tell that they live, leases tell what they have in hand.

A beat is for people to look at. Nothing is taken from a worker because its beats stop: what it had in hand comes back when
its lease ends, for it may only be frozen, with a call half made.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, or_, select

from digest.model import DeliveryState as S
from digest.model import Frozen, IssueState
from digest.store import schema as t
from digest.store.dialect import now, upsert

BEAT_S = 10.0
_SILENT = timedelta(seconds=45)
_FORGOTTEN = timedelta(days=1)
_PREFIX = "worker "


class Worker(Frozen):
    """A worker that told of itself. ``alive`` is False when its beats have stopped."""

    name: str
    started_at: datetime
    beat_at: datetime
    concurrency: int
    doing: str
    alive: bool


def beat(tx: Connection, name: str, started_at: datetime, concurrency: int, doing: str) -> None:
    """A worker lives, and says what it is doing. What others said that have been silent for a day is deleted."""
    at = now(tx)
    silent = [key for key, said in _said(tx) if at - datetime.fromisoformat(said["beat_at"]) >= _FORGOTTEN]
    if silent:
        tx.execute(delete(t.meta).where(t.meta.c.key.in_(silent)))
    said = {"started_at": started_at.isoformat(), "beat_at": at.isoformat(), "concurrency": concurrency, "doing": doing}
    value = json.dumps(said)
    statement = upsert(tx, t.meta).values(key=_PREFIX + name, value=value)
    tx.execute(statement.on_conflict_do_update(index_elements=["key"], set_={"value": value}))


def leave(tx: Connection, name: str) -> None:
    """A worker ended as it should."""
    tx.execute(delete(t.meta).where(t.meta.c.key == _PREFIX + name))


def every(tx: Connection) -> list[Worker]:
    """All that told of themselves within a day, by name."""
    at = now(tx)
    found = []
    for key, said in _said(tx):
        beat_at = datetime.fromisoformat(said["beat_at"])
        if at - beat_at < _FORGOTTEN:
            found.append(Worker.model_validate({**said, "name": key.removeprefix(_PREFIX), "alive": at - beat_at < _SILENT}))
    return found


def is_beat(key: str) -> bool:
    """Whether this key of ``meta`` is only where a worker tells that it lives."""
    return key.startswith(_PREFIX)


def _said(tx: Connection) -> list[tuple[str, dict[str, Any]]]:
    query = select(t.meta.c.key, t.meta.c.value).where(t.meta.c.key.startswith(_PREFIX)).order_by(t.meta.c.key)
    return [(key, json.loads(value)) for key, value in tx.execute(query)]


class Lease(Frozen):
    """What somebody has in hand of an issue. ``stalled``: the lease of some of it has ended without an outcome."""

    owner: str
    deliveries: int
    lease_until: datetime
    stalled: bool


def leases(tx: Connection, issue: int) -> list[Lease]:
    """Who has something of an issue in hand, and until when."""
    d = t.delivery.c
    first = func.min(d.lease_until, type_=t.Instant())
    query = select(d.lease_owner, func.count(), first).where(d.issue_id == issue, d.state == S.INFLIGHT.value).group_by(d.lease_owner)
    at = now(tx)
    return [
        Lease(owner=owner or "", deliveries=n, lease_until=until or at, stalled=(until or at) < at)
        for owner, n, until in tx.execute(query.order_by(d.lease_owner))
    ]


def waiting_issues(tx: Connection) -> list[str]:
    """Issues of which something can be done now: planned, claimed, settled, closed."""
    d, at = t.delivery.c, now(tx)
    own = d.issue_id == t.issue.c.id
    ready = select(d.id).where(own, d.state == S.READY.value, or_(d.next_at.is_(None), d.next_at <= at)).exists()
    dead = select(d.id).where(own, d.state == S.INFLIGHT.value, d.lease_until < at).exists()
    unknown = select(d.id).where(own, d.state == S.UNCERTAIN.value).exists()
    open_row = select(d.id).where(own, d.state.in_([S.PLANNED.value, S.READY.value, S.INFLIGHT.value, S.UNCERTAIN.value])).exists()
    going = t.issue.c.state.in_([IssueState.PLANNING.value, IssueState.SENDING.value])
    query = select(t.issue.c.name).where(going, t.issue.c.paused_at.is_(None))
    query = query.where(or_(t.issue.c.state == IssueState.PLANNING.value, ready, dead, unknown, ~open_row))
    return list(tx.execute(query.order_by(t.issue.c.due_at)).scalars())
