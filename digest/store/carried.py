"""Readers between two cadences: who they are, what they had, and which summaries an issue carries for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, or_, select, update

from digest.carry import LATER, Candidate, Given, Past
from digest.model import DeliveryState as S
from digest.model import IssueState, Slot
from digest.store import schema as t
from digest.store.people import writable


def candidates(tx: Connection, cadence: str) -> list[Candidate]:
    """Readers of the cadence who chose it in place of another, or of whose deliveries one was missed."""
    missed = (
        select(t.delivery.c.subscriber_id)
        .join(t.issue, t.issue.c.id == t.delivery.c.issue_id)
        .where(t.issue.c.cadence == cadence, t.delivery.c.state.in_([S.EXPIRED.value, S.SKIPPED.value]), _missed())
    )
    query = select(t.subscriber.c.id, t.subscriber.c.status_at, t.subscriber.c.cadence_at).where(
        t.subscriber.c.cadence == cadence,
        or_(t.subscriber.c.cadence_at.is_not(None), t.subscriber.c.id.in_(missed)),
        writable(),
    )
    return [Candidate(*row) for row in tx.execute(query.order_by(t.subscriber.c.id))]


def _missed() -> ColumnElement[bool]:
    late = t.delivery.c.state == S.EXPIRED.value
    return or_(late, and_(t.delivery.c.state == S.SKIPPED.value, t.delivery.c.reason == LATER))


def given(tx: Connection, readers: Sequence[int]) -> dict[int, list[Given]]:
    """Every delivery of these readers that was planned."""
    found: dict[int, list[Given]] = {row: [] for row in readers}
    issues = list(tx.execute(select(t.issue.c.id)).scalars())
    for start in range(0, len(readers), 400):
        query = select(t.delivery.c.subscriber_id, t.delivery.c.issue_id, t.delivery.c.state, t.delivery.c.reason).where(
            t.delivery.c.issue_id.in_(issues), t.delivery.c.subscriber_id.in_(readers[start : start + 400])
        )
        for row in tx.execute(query):
            missed = row.state == S.EXPIRED.value or (row.state == S.SKIPPED.value and row.reason == LATER)
            found[row.subscriber_id].append(Given(row.issue_id, missed))
    return found


def past_issues(tx: Connection, slot: Slot) -> dict[int, Past]:
    """All issues but the one of ``slot`` itself, with their members."""
    members: dict[int, set[int]] = {}
    for issue, summary in tx.execute(select(t.member.c.issue_id, t.member.c.summary_id)):
        members.setdefault(issue, set()).add(summary)
    rows = tx.execute(select(t.issue.c.id, t.issue.c.cadence, t.issue.c.due_at).where(t.issue.c.name != slot.name))
    return {row.id: Past(row.cadence, row.due_at, frozenset(members.get(row.id, ()))) for row in rows}


def put_carried(tx: Connection, issue: int, rows: Iterable[tuple[int, int]]) -> None:
    """What an issue carries besides its members, as (summary, arrival number)."""
    tx.execute(delete(t.carried).where(t.carried.c.issue_id == issue))
    values = [{"issue_id": issue, "summary_id": row, "seq": seq} for row, seq in rows]
    if values:
        tx.execute(insert(t.carried), values)


def carried(tx: Connection, issue: int) -> list[tuple[int, int]]:
    """What an issue carries, as (summary, arrival number)."""
    query = select(t.carried.c.summary_id, t.carried.c.seq).where(t.carried.c.issue_id == issue).order_by(t.carried.c.summary_id)
    return list(tx.execute(query))


def arrived(tx: Connection, cadence: str) -> int:
    """Forget the change of those who have had a finished issue of their new cadence since. Returns how many."""
    had = (
        select(t.delivery.c.subscriber_id)
        .join(t.issue, t.issue.c.id == t.delivery.c.issue_id)
        .where(
            t.issue.c.cadence == cadence,
            t.issue.c.state == IssueState.FINISHED.value,
            t.delivery.c.subscriber_id == t.subscriber.c.id,
            t.issue.c.drafted_at > t.subscriber.c.cadence_at,
            ~_missed(),
        )
    )
    chosen = and_(t.subscriber.c.cadence == cadence, t.subscriber.c.cadence_at.is_not(None), had.exists())
    return tx.execute(update(t.subscriber).where(chosen).values(cadence_at=None)).rowcount
