"""Planning: for every reader of an issue one delivery, with what it gives them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, Table, and_, case, exists, func, insert, literal, or_, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from digest.model import NOT_GIVEN, IssueState
from digest.model import DeliveryState as S
from digest.store import holding, issues
from digest.store import schema as t
from digest.store.database import now


class Plan(NamedTuple):
    """What one subscriber is to get: the edition, or the reason for none."""

    subscriber: int
    interests: tuple[str, ...]
    edition: int | None
    state: S
    reason: str
    summaries: tuple[int, ...]
    notices: tuple[tuple[int, str], ...]


def planned_up_to(tx: Connection, issue: int) -> int:
    """The last subscriber's row that has a delivery: planning goes on behind it."""
    return tx.execute(select(func.max(t.delivery.c.subscriber_id)).where(t.delivery.c.issue_id == issue)).scalar() or 0


def seen(tx: Connection, issue: int, first: int, last: int, summaries: Sequence[int]) -> dict[int, frozenset[int]]:
    """Which of these summaries the subscribers of a range of rows were given by other issues."""
    found: dict[int, set[int]] = {}
    for start in range(0, len(summaries), 500):
        query = (
            select(t.delivery_item.c.subscriber_id, t.delivery_item.c.summary_id)
            .join(t.delivery, t.delivery.c.id == t.delivery_item.c.delivery_id)
            .where(
                t.delivery_item.c.subscriber_id.between(first, last),
                t.delivery_item.c.summary_id.in_(summaries[start : start + 500]),
                t.delivery.c.issue_id != issue,
                t.delivery.c.state.not_in(NOT_GIVEN),
            )
        )
        for subscriber, summary in tx.execute(query):
            found.setdefault(subscriber, set()).add(summary)
    return {subscriber: frozenset(ids) for subscriber, ids in found.items()}


def seen_before(tx: Connection, subscriber: int, summaries: Sequence[int], issue: int) -> dict[int, str]:
    """Which of these summaries a subscriber was given by an issue planned before this one, and by which."""
    own = select(t.delivery.c.id).where(t.delivery.c.issue_id == issue, t.delivery.c.subscriber_id == subscriber).scalar_subquery()
    query = (
        select(t.delivery_item.c.summary_id, t.issue.c.name)
        .join(t.delivery, t.delivery.c.id == t.delivery_item.c.delivery_id)
        .join(t.issue, t.issue.c.id == t.delivery.c.issue_id)
        .where(
            t.delivery_item.c.subscriber_id == subscriber,
            t.delivery.c.issue_id != issue,
            t.delivery.c.state.not_in(NOT_GIVEN),
            or_(own.is_(None), t.delivery.c.id < own),
        )
    )
    wanted = set(summaries)
    return {summary: name for summary, name in tx.execute(query) if summary in wanted}


def owed_notices(tx: Connection, due_at: datetime, first: int, last: int) -> dict[int, list[tuple[int, str]]]:
    """Corrections and retractions that subscribers of a range of rows are owed: they were sent the piece before it was noted."""
    query = (
        _owed(due_at, t.delivery_item.c.subscriber_id, t.summary.c.id, t.summary.c.notice_hash)
        .where(t.delivery_item.c.subscriber_id.between(first, last))
        .order_by(t.delivery_item.c.subscriber_id, t.summary.c.id)
    )
    owed: dict[int, list[tuple[int, str]]] = {}
    for subscriber, summary, notice in tx.execute(query):
        owed.setdefault(subscriber, []).append((summary, notice))
    return owed


def owed_summaries(tx: Connection, due_at: datetime) -> list[int]:
    """The summaries whose correction or retraction anybody is owed."""
    return sorted(tx.execute(_owed(due_at, t.summary.c.id).distinct()).scalars())


def _owed(due_at: datetime, *columns: Any) -> Select[Any]:
    sent_issue, sent_revision, telling = t.issue.alias(), t.revision.alias(), t.delivery.alias()
    told = exists().where(
        t.delivery_notice.c.subscriber_id == t.delivery_item.c.subscriber_id,
        t.delivery_notice.c.summary_id == t.summary.c.id,
        t.delivery_notice.c.notice_hash == t.summary.c.notice_hash,
        t.delivery_notice.c.delivery_id == telling.c.id,
        telling.c.state.not_in(NOT_GIVEN),
    )
    sent_without_it = or_(
        sent_revision.c.notice_hash.is_(None),
        sent_revision.c.notice_hash != t.summary.c.notice_hash,
        t.summary.c.notice_at > sent_issue.c.due_at,
    )
    return (
        select(*columns)
        .select_from(t.delivery_item)
        .join(t.summary, t.summary.c.id == t.delivery_item.c.summary_id)
        .join(t.delivery, t.delivery.c.id == t.delivery_item.c.delivery_id)
        .join(sent_issue, sent_issue.c.id == t.delivery.c.issue_id)
        .outerjoin(t.member, and_(t.member.c.issue_id == sent_issue.c.id, t.member.c.summary_id == t.summary.c.id))
        .outerjoin(t.carried, and_(t.carried.c.issue_id == sent_issue.c.id, t.carried.c.summary_id == t.summary.c.id))
        .join(sent_revision, sent_revision.c.seq == func.coalesce(t.member.c.seq, t.carried.c.seq))
        .where(t.summary.c.notice_at <= due_at, t.delivery.c.state == S.ACCEPTED.value, sent_without_it, ~told)
    )


def put_edition(tx: Connection, issue: int, hash: str, selection: str, html_bytes: int, problem: str = "") -> int:
    """An edition, kept once per issue and selection. Returns the row."""
    row: int | None = tx.execute(select(t.edition.c.id).where(t.edition.c.issue_id == issue, t.edition.c.hash == hash)).scalar()
    if row is None:
        values = {"issue_id": issue, "hash": hash, "selection": selection, "html_bytes": html_bytes, "problem": problem}
        row = tx.execute(insert(t.edition).values(**values).returning(t.edition.c.id)).scalar_one()
    return row


def put_plans(tx: Connection, issue: int, plans: Sequence[Plan], date_header: str) -> None:
    """A delivery for each plan, with what it gives the subscriber. A subscriber who has one already is refused by the schema."""
    at = now(tx)
    for plan in plans:
        row = tx.execute(
            insert(t.delivery)
            .values(
                issue_id=issue,
                subscriber_id=plan.subscriber,
                edition_id=plan.edition,
                did=secrets.token_hex(16),
                state=plan.state.value,
                state_at=at,
                reason=plan.reason,
                interests=";".join(plan.interests),
                date_header=date_header,
            )
            .returning(t.delivery.c.id)
        ).scalar_one()
        if plan.summaries:
            given = [{"subscriber_id": plan.subscriber, "summary_id": summary, "delivery_id": row} for summary in plan.summaries]
            _give(tx, t.delivery_item, given)
        if plan.notices:
            told = [{"subscriber_id": plan.subscriber, "summary_id": s, "notice_hash": n, "delivery_id": row} for s, n in plan.notices]
            _give(tx, t.delivery_notice, told)


def _give(tx: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Note what a delivery gives; one that came to nothing before gives way to it."""
    statement = upsert(table)
    keys = [column.name for column in table.primary_key]
    tx.execute(statement.on_conflict_do_update(index_elements=keys, set_={"delivery_id": statement.excluded.delivery_id}), rows)


def put_off(tx: Connection, issue: int, hours: Mapping[str, datetime], *, otherwise: datetime) -> None:
    """Planned deliveries are not handed over before the instant of their reader's zone; ``otherwise`` is for who names none."""
    own: Any = literal(otherwise, t.delivery.c.next_at.type)
    if hours:
        values = [(t.subscriber.c.zone == zone, literal(at, t.delivery.c.next_at.type)) for zone, at in sorted(hours.items())]
        own = select(case(*values, else_=own)).where(t.subscriber.c.id == t.delivery.c.subscriber_id).scalar_subquery()
    planned = and_(t.delivery.c.issue_id == issue, t.delivery.c.state == S.PLANNED.value)
    tx.execute(update(t.delivery).where(planned).values(next_at=own))


def open_for_dispatch(tx: Connection, issue: int, *, doubtful: bool = False, who: str = issues.PROGRAM) -> int:
    """Planning is complete: count it, and let its deliveries be claimed. Returns the number planned.

    ``doubtful``: the issue was handed over from in a later copy of this database; then nothing is claimed, all is held.
    """
    count = tx.execute(select(func.count()).where(t.delivery.c.issue_id == issue)).scalar_one()
    at = now(tx)
    if doubtful:
        holding.doubt(tx, issue, "a later copy of this database had sent from this issue")
    tx.execute(
        update(t.delivery)
        .where(t.delivery.c.issue_id == issue, t.delivery.c.state == S.PLANNED.value)
        .values(state=S.READY.value, state_at=at)
    )
    issues.move_issue(tx, issue, IssueState.SENDING, who=who, detail=f"{count} planned", planned=count, planned_at=at)
    return count
