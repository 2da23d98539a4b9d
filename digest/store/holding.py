"""What people decide about issues and deliveries: pause, cancel, settle the uncertain; each decision is kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, delete, exists, func, insert, or_, select, update

from digest.model import DeliveryState as S
from digest.model import IssueState
from digest.store import hooks, moves
from digest.store import schema as t
from digest.store.database import now


class HeldRow(NamedTuple):
    """A delivery whose outcome is not known, with all there is to go by."""

    did: str
    issue: str
    subscriber: int
    state: str
    reason: str
    provider: str
    aid: str
    attempts: int
    started_at: datetime | None
    outcome: str
    code: str


def held(tx: Connection, issue: int | None = None) -> list[HeldRow]:
    """Every delivery that is uncertain or held, the oldest attempt first."""
    query = (
        select(t.delivery.c.did, t.issue.c.name, t.delivery.c.subscriber_id, t.delivery.c.state, t.delivery.c.reason)
        .add_columns(t.attempt.c.provider, t.attempt.c.aid, t.delivery.c.attempts)
        .add_columns(t.attempt.c.started_at, t.attempt.c.outcome, t.attempt.c.code)
        .join(t.issue, t.issue.c.id == t.delivery.c.issue_id)
        .outerjoin(t.attempt, t.attempt.c.id == t.delivery.c.attempt_id)
        .where(t.delivery.c.state.in_([S.UNCERTAIN.value, S.HELD.value]))
        .order_by(t.attempt.c.started_at, t.delivery.c.id)
    )
    if issue is not None:
        query = query.where(t.delivery.c.issue_id == issue)
    return [HeldRow(*row) for row in tx.execute(query)]


def decide(tx: Connection, issue: int, dids: Sequence[str] | None, *, sent: bool, who: str) -> int:
    """Settle held deliveries as a person says: as sent, or to be sent again. ``None`` means all. Returns how many.

    Each decision is recorded before anything can leave.
    """
    chosen = and_(t.delivery.c.issue_id == issue, t.delivery.c.state.in_([S.HELD.value, S.UNCERTAIN.value]))
    if dids is not None:
        chosen = and_(chosen, t.delivery.c.did.in_(dids))
    found = tx.execute(select(t.delivery.c.did).where(chosen)).scalars().all()
    at = now(tx)
    what = "treat as sent" if sent else "send again"
    for did in found:
        record(tx, who, what, did)
    values: dict[str, Any] = {"state": S.ACCEPTED.value, "reason": "", "evidence": "operator"}
    if not sent:
        values = {"state": S.READY.value, "reason": "", "evidence": "operator", "next_at": None}
    moved = tx.execute(update(t.delivery).where(chosen).values(state_at=at, **values)).rowcount
    if moved and not sent:
        reopen(tx, issue, who)
    return moved


def reopen(tx: Connection, issue: int, who: str = "digest") -> None:
    """Something of a finished issue is to be handed over after all."""
    moved = tx.execute(
        update(t.issue)
        .where(t.issue.c.id == issue, t.issue.c.state == IssueState.FINISHED.value)
        .values(state=IssueState.SENDING.value, finished_at=None)
    ).rowcount
    if moved:
        moves.record(tx, issue, who, IssueState.FINISHED.value, IssueState.SENDING.value, "something is to be sent again")


def record(tx: Connection, who: str, what: str, subject: str, detail: str = "") -> None:
    """Keep a person's decision."""
    tx.execute(insert(t.decision).values(at=now(tx), who=who, what=what, subject=subject, detail=detail))


def decisions(tx: Connection, subject: str) -> list[tuple[datetime, str, str, str]]:
    """What people decided about an issue or a delivery: when, who, what, details."""
    query = select(t.decision.c.at, t.decision.c.who, t.decision.c.what, t.decision.c.detail)
    return [(r.at, r.who, r.what, r.detail) for r in tx.execute(query.where(t.decision.c.subject == subject).order_by(t.decision.c.id))]


def pause(tx: Connection, issue: int, reason: str) -> None:
    """Nothing more of the issue is claimed until it is resumed; what is being handed over ends as it ends."""
    at, going = now(tx), (t.issue.c.id == issue) & t.issue.c.paused_at.is_(None)
    if tx.execute(update(t.issue).where(going).values(paused_at=at, pause_reason=reason)).rowcount:
        hooks.issue_event(tx, issue, "issue.paused", at)


def resume(tx: Connection, issue: int) -> None:
    """The issue may go on."""
    paused = (t.issue.c.id == issue) & t.issue.c.paused_at.is_not(None)
    if tx.execute(update(t.issue).where(paused).values(paused_at=None, pause_reason="")).rowcount:
        hooks.issue_event(tx, issue, "issue.resumed", now(tx))


def cancel(tx: Connection, issue: int, who: str = "digest") -> int:
    """Nothing more of the issue leaves, ever. Returns how many deliveries were still to come."""
    open_rows = and_(t.delivery.c.issue_id == issue, t.delivery.c.state.in_([S.READY.value, S.PLANNED.value]))
    moved = tx.execute(update(t.delivery).where(open_rows).values(state=S.SKIPPED.value, state_at=now(tx), reason="cancelled")).rowcount
    count = tx.execute(select(func.count()).where(t.delivery.c.issue_id == issue)).scalar_one()
    left = tx.execute(select(exists().where(t.delivery.c.issue_id == issue, t.delivery.c.attempts > 0))).scalar()
    if not left:  # nobody got anything of it, so the next issue may have its summaries
        tx.execute(delete(t.member).where(t.member.c.issue_id == issue))
    old = tx.execute(select(t.issue.c.state).where(t.issue.c.id == issue)).scalar_one()
    moves.record(tx, issue, who, old, IssueState.CANCELLED.value)
    tx.execute(
        update(t.issue)
        .where(t.issue.c.id == issue)
        .values(state=IssueState.CANCELLED.value, planned=count, finished_at=now(tx), paused_at=None, pause_reason="")
    )
    return moved


def open_issues(tx: Connection) -> list[tuple[int, str]]:
    """Issues that have begun to go out and are not done."""
    query = select(t.issue.c.id, t.issue.c.name).where(t.issue.c.state.in_([IssueState.PLANNING.value, IssueState.SENDING.value]))
    return [(row.id, row.name) for row in tx.execute(query.order_by(t.issue.c.id))]


def doubt(tx: Connection, issue: int, reason: str) -> int:
    """Everything of the issue that might leave may have left already: it is held until it is settled. Returns how many."""
    chosen = and_(t.delivery.c.issue_id == issue, t.delivery.c.state.in_([S.READY.value, S.PLANNED.value, S.INFLIGHT.value]))
    return tx.execute(update(t.delivery).where(chosen).values(state=S.UNCERTAIN.value, state_at=now(tx), reason=reason)).rowcount


def silent(tx: Connection, issue: int, after: timedelta, *, events: bool) -> list[int]:
    """Uncertain deliveries about which there has been silence for ``after``.

    Where the provider tells events, silence counts only while the events of later attempts arrive, and only if none of the
    same attempt has (RELIABILITY section 1.6, step 5).
    """
    later, theirs, own = t.attempt.alias(), t.provider_event.alias(), t.provider_event.alias()
    query = (
        select(t.delivery.c.id)
        .join(t.attempt, t.attempt.c.id == t.delivery.c.attempt_id)
        .where(
            t.delivery.c.issue_id == issue,
            t.delivery.c.state.in_([S.UNCERTAIN.value, S.HELD.value]),
            t.attempt.c.started_at <= now(tx) - after,
        )
    )
    if events:
        heard_since = exists().where(theirs.c.aid == later.c.aid, later.c.started_at > t.attempt.c.started_at)
        heard_of_it = exists().where(or_(own.c.aid == t.attempt.c.aid, own.c.did == t.delivery.c.did))
        query = query.where(heard_since, ~heard_of_it)
    return list(tx.execute(query.order_by(t.delivery.c.id)).scalars())
