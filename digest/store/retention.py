"""Taking away what was needed only for a while. What the ledger says of any delivery stays as it is.

Each function takes away at most ``limit`` rows, so that whoever else writes gets a turn in between, and returns how many it took.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, Table, and_, delete, exists, func, not_, or_, select, update

from digest.model import DeliveryState as S
from digest.model import IssueState
from digest.store import schema as t
from digest.store.dialect import now

_OPEN = [state.value for state in (S.PLANNED, S.READY, S.INFLIGHT, S.UNCERTAIN, S.HELD)]
_DONE = [IssueState.FINISHED.value, IssueState.CANCELLED.value]


def _closed(issue: Any) -> Any:
    """SQL: the issue is done, and of none of its deliveries the outcome is still to be learnt or decided."""
    done, unsure = t.issue.alias(), t.delivery.alias()
    return and_(
        exists().where(done.c.id == issue, done.c.state.in_(_DONE)),
        not_(exists().where(unsure.c.issue_id == issue, unsure.c.state.in_(_OPEN))),
    )


def bodies(before: datetime) -> Select[Any]:
    """Bodies that were applied, and came before; of a bounce's message nothing but its hash is left already."""
    inbox = t.event_inbox.c
    return select(inbox.id).where(inbox.applied_at < before, or_(inbox.provider != "smtp", inbox.body != b""))


def events(before: datetime) -> Select[Any]:
    """Events recorded before, of deliveries whose issue is closed, or of none known here.

    One that is not joined yet though its delivery is known is not taken: it still has something to say.
    """
    e, d = t.provider_event.c, t.delivery.alias()
    of_closed = and_(e.joined, exists().where(d.c.did == e.did, _closed(d.c.issue_id)))
    return select(e.id).where(e.recorded_at < before, or_(of_closed, not_(exists().where(d.c.did == e.did))))


def bounces(before: datetime) -> Select[Any]:
    """Failures of addresses from before, of issues that are closed."""
    b, d = t.bounce.c, t.delivery.alias()
    return select(b.id).where(b.at < before, not_(exists().where(d.c.did == b.did, not_(_closed(d.c.issue_id)))))


def attempts(before: datetime) -> Select[Any]:
    """Attempts that ended before, of issues that are closed; never the newest, by whose number the restore guard counts."""
    a = t.attempt.c
    newest = select(func.max(t.attempt.c.id)).scalar_subquery()
    return select(a.id).where(func.coalesce(a.ended_at, a.started_at) < before, a.id < newest, _closed(a.issue_id))


def hook_events(before: datetime) -> Select[Any]:
    """What webhooks were told before, or never could be; and what waits since then for a hook that is disabled."""
    e = t.hook_event.c
    off = select(t.hook.c.id).where(t.hook.c.disabled_at.is_not(None))
    done = e.state.in_(["delivered", "failed"]) & (e.state_at < before)
    return select(e.id).where(or_(done, (e.state == "waiting") & (e.state_at < before) & e.hook_id.in_(off)))


def choices(before: datetime) -> Select[Any]:
    """What readers had chosen before a change of the lists that ended before, unless it is just being taken back."""
    return select(t.interest_choice.c.subscriber_id).where(t.interest_choice.c.move_id.in_(_past(before)))


def _past(before: datetime) -> Select[Any]:
    m, other = t.interest_move.c, t.interest_move.alias()
    taken_back = exists().where(other.c.takes_back == m.id, other.c.state == "begun")
    return select(m.id).where(m.state == "done", m.ended_at < before, not_(taken_back))


def count(tx: Connection, chosen: Select[Any]) -> int:
    """How many rows would be taken away."""
    return tx.execute(select(func.count()).select_from(chosen.subquery())).scalar_one()


def take_bodies(tx: Connection, before: datetime, limit: int) -> int:
    """A webhook's body goes whole. A bounce's hash stays: an mbox file that still holds the message must not bring it back."""
    rows = _some(tx, bodies(before), limit)
    inbox = t.event_inbox
    tx.execute(update(inbox).where(inbox.c.id.in_(rows), inbox.c.provider == "smtp").values(body=b""))
    tx.execute(delete(inbox).where(inbox.c.id.in_(rows), inbox.c.provider != "smtp"))
    return len(rows)


def take_events(tx: Connection, before: datetime, limit: int) -> int:
    """Events."""
    return _take(tx, t.provider_event, events(before), limit)


def take_bounces(tx: Connection, before: datetime, limit: int) -> int:
    """Failures of addresses."""
    return _take(tx, t.bounce, bounces(before), limit)


def take_attempts(tx: Connection, before: datetime, limit: int) -> int:
    """Attempts, and the deliveries' references to them."""
    rows = _some(tx, attempts(before), limit)
    # Without its attempt nobody could tell that such a hash is not of a message (see `replays`).
    in_parts = select(t.attempt.c.id).where(t.attempt.c.id.in_(rows), t.attempt.c.provider == "sendgrid")
    tx.execute(update(t.delivery).where(t.delivery.c.attempt_id.in_(in_parts)).values(sha256=None))
    tx.execute(update(t.delivery).where(t.delivery.c.attempt_id.in_(rows)).values(attempt_id=None))
    tx.execute(delete(t.attempt).where(t.attempt.c.id.in_(rows)))
    return len(rows)


def take_hook_events(tx: Connection, before: datetime, limit: int) -> int:
    """What webhooks were told."""
    return _take(tx, t.hook_event, hook_events(before), limit)


def take_choices(tx: Connection, before: datetime, limit: int) -> int:
    """What readers had chosen; from the first row on the change says of itself that it cannot be taken back any more."""
    m, c = t.interest_move.c, t.interest_choice.c
    found = tx.execute(select(c.move_id, c.subscriber_id).where(c.move_id.in_(_past(before))).limit(limit)).all()
    for move in {row.move_id for row in found}:
        tx.execute(update(t.interest_move).where(m.id == move, m.let_go_at.is_(None)).values(let_go_at=now(tx)))
        rows = [row.subscriber_id for row in found if row.move_id == move]
        tx.execute(delete(t.interest_choice).where(c.move_id == move, c.subscriber_id.in_(rows)))
    return len(found)


def _take(tx: Connection, table: Table, chosen: Select[Any], limit: int) -> int:
    rows = _some(tx, chosen, limit)
    tx.execute(delete(table).where(table.c.id.in_(rows)))
    return len(rows)


def _some(tx: Connection, chosen: Select[Any], limit: int) -> list[int]:
    return list(tx.execute(chosen.limit(limit)).scalars())
