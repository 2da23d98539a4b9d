"""Planning: for every reader of an issue one delivery, and for every edition what it gives."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, case, exists, func, insert, literal, or_, select, update

from digest.model import NOT_GIVEN, IssueState
from digest.model import DeliveryState as S
from digest.store import holding, issues
from digest.store import schema as t
from digest.store.bulk import run_many
from digest.store.database import now
from digest.store.dialect import analyse, upsert

_PART = 500  # values in one IN
_AT_ONCE = 20_000  # rows moved by one statement


class NewEdition(NamedTuple):
    """An edition to be kept: its selection (JSON) and that one's hash, and the rows of the summaries it gives and notes."""

    hash: str
    selection: str
    html_bytes: int
    problem: str = ""
    summaries: tuple[int, ...] = ()
    notices: tuple[tuple[int, str], ...] = ()


class Plan(NamedTuple):
    """What one subscriber is to get: the edition, or the reason for none."""

    subscriber: int
    interests: tuple[str, ...]
    edition: int | None
    state: S
    reason: str


def planned_up_to(tx: Connection, issue: int) -> int:
    """The last subscriber's row that has a delivery: planning goes on behind it."""
    return tx.execute(select(func.max(t.delivery.c.subscriber_id)).where(t.delivery.c.issue_id == issue)).scalar() or 0


# --- what subscribers were given -----------------------------------------------------------------------------------------


def seen(tx: Connection, issue: int, first: int, last: int, summaries: Sequence[int]) -> dict[int, frozenset[int]]:
    """Which of these summaries the subscribers of a range of rows were given by other issues."""
    others = _issues_with(tx, summaries) - {issue}
    found: dict[int, frozenset[int]] = {}
    given = _deliveries(tx, others, first, last)
    items = _items(tx, {edition for _, edition, _, _ in given}, set(summaries))
    for subscriber, edition, _, _ in given:
        if edition in items:
            found[subscriber] = found.get(subscriber, frozenset()) | items[edition]
    return found


def seen_before(tx: Connection, subscriber: int, summaries: Sequence[int], issue: int) -> dict[int, str]:
    """Which of these summaries a subscriber was given by an issue planned before this one, and by which."""
    own = select(t.delivery.c.id).where(t.delivery.c.issue_id == issue, t.delivery.c.subscriber_id == subscriber).scalar_subquery()
    query = (
        select(t.edition_item.c.summary_id, t.issue.c.name)
        .join(t.delivery, t.delivery.c.edition_id == t.edition_item.c.edition_id)
        .join(t.issue, t.issue.c.id == t.delivery.c.issue_id)
        .where(
            t.delivery.c.subscriber_id == subscriber,
            t.delivery.c.issue_id.in_(_issues_with(tx, summaries) - {issue}),
            t.delivery.c.state.not_in(NOT_GIVEN),
            or_(own.is_(None), t.delivery.c.id < own),
        )
    )
    wanted = set(summaries)
    return {summary: name for summary, name in tx.execute(query) if summary in wanted}


def _issues_with(tx: Connection, summaries: Sequence[int]) -> set[int]:
    """The issues that had any of these summaries, also under a row that turned out to be one of them."""
    found: set[int] = set()
    for part in _parts(summaries):
        for had in (t.member, t.carried):
            query = select(had.c.issue_id).join(t.summary, t.summary.c.id == had.c.summary_id)
            found.update(tx.execute(query.where(or_(t.summary.c.id.in_(part), t.summary.c.same_as.in_(part))).distinct()).scalars())
    return found


class _Delivered(NamedTuple):
    subscriber: int
    edition: int
    issue: int
    state: str


def _deliveries(tx: Connection, among: Collection[int], first: int, last: int) -> list[_Delivered]:
    """What subscribers of a range of rows were given by these issues."""
    if not among:
        return []
    d = t.delivery.c
    query = select(d.subscriber_id, d.edition_id, d.issue_id, d.state).where(
        d.issue_id.in_(among), d.subscriber_id.between(first, last), d.edition_id.is_not(None), d.state.not_in(NOT_GIVEN)
    )
    return [_Delivered(*row) for row in tx.execute(query)]


def _items(tx: Connection, editions: Collection[int], wanted: Collection[int]) -> dict[int, frozenset[int]]:
    """Which of the wanted summaries each edition gives; editions that give none are left out."""
    found: dict[int, set[int]] = {}
    for part in _parts(sorted(editions)):
        query = select(t.edition_item.c.edition_id, t.edition_item.c.summary_id).where(t.edition_item.c.edition_id.in_(part))
        for edition, summary in tx.execute(query):
            if summary in wanted:
                found.setdefault(edition, set()).add(summary)
    return {edition: frozenset(summaries) for edition, summaries in found.items()}


def _parts(values: Sequence[int]) -> Iterable[Sequence[int]]:
    return (values[start : start + _PART] for start in range(0, len(values), _PART))


# --- corrections and retractions -----------------------------------------------------------------------------------------


class _Noted(NamedTuple):
    """A summary with a notice, and an issue that gave it without."""

    summary: int
    notice_hash: str
    issue: int


def owed_notices(tx: Connection, due_at: datetime, first: int, last: int) -> dict[int, list[tuple[int, str]]]:
    """Corrections and retractions that subscribers of a range of rows are owed: they were sent the piece before it was noted."""
    noted = _noted(tx, due_at)
    if not noted:
        return {}
    wanted: dict[int, dict[int, str]] = {}
    for summary, hash, issue in noted:
        wanted.setdefault(issue, {})[summary] = hash
    sent = [one for one in _deliveries(tx, wanted, first, last) if one.state == S.ACCEPTED.value]
    items = _items(tx, {one.edition for one in sent}, {summary for summary, _, _ in noted})
    told = _told(tx, _telling(tx, noted), first, last)
    owed: dict[int, set[tuple[int, str]]] = {}
    for one in sent:
        notices = {(summary, wanted[one.issue][summary]) for summary in items.get(one.edition, ()) if summary in wanted[one.issue]}
        if missing := notices - told.get(one.subscriber, set()):
            owed.setdefault(one.subscriber, set()).update(missing)
    return {subscriber: sorted(notices) for subscriber, notices in owed.items()}


def owed_summaries(tx: Connection, due_at: datetime) -> list[int]:
    """The summaries whose correction or retraction anybody is owed."""
    noted = _noted(tx, due_at)
    telling = _telling(tx, noted)
    d, other = t.delivery.c, t.delivery.alias()
    found: set[int] = set()
    for one in noted:
        told = exists().where(
            other.c.subscriber_id == d.subscriber_id,
            other.c.issue_id.in_(telling),
            other.c.state.not_in(NOT_GIVEN),
            t.edition_notice.c.edition_id == other.c.edition_id,
            t.edition_notice.c.summary_id == one.summary,
            t.edition_notice.c.notice_hash == one.notice_hash,
        )
        query = (
            select(d.id)
            .join(t.edition_item, and_(t.edition_item.c.edition_id == d.edition_id, t.edition_item.c.summary_id == one.summary))
            .where(d.issue_id == one.issue, d.state == S.ACCEPTED.value, ~told)
            .limit(1)
        )
        if one.summary not in found and tx.execute(query).first():
            found.add(one.summary)
    return sorted(found)


def _noted(tx: Connection, due_at: datetime) -> list[_Noted]:
    found: list[_Noted] = []
    for had in (t.member, t.carried):
        query = (
            select(t.summary.c.id, t.summary.c.notice_hash, t.issue.c.id)
            .select_from(t.summary)
            .join(had, had.c.summary_id == t.summary.c.id)
            .join(t.issue, t.issue.c.id == had.c.issue_id)
            .join(t.revision, t.revision.c.seq == had.c.seq)
            .where(
                t.summary.c.notice_at <= due_at,
                or_(
                    t.revision.c.notice_hash.is_(None),
                    t.revision.c.notice_hash != t.summary.c.notice_hash,
                    t.summary.c.notice_at > t.issue.c.due_at,
                ),
            )
        )
        found.extend(_Noted(*row) for row in tx.execute(query))
    return found


def _telling(tx: Connection, noted: Sequence[_Noted]) -> set[int]:
    """The issues that told of any of these notices."""
    found: set[int] = set()
    for part in _parts(sorted({one.summary for one in noted})):
        query = select(t.edition.c.issue_id).join(t.edition_notice, t.edition_notice.c.edition_id == t.edition.c.id)
        found.update(tx.execute(query.where(t.edition_notice.c.summary_id.in_(part)).distinct()).scalars())
    return found


def _told(tx: Connection, telling: Collection[int], first: int, last: int) -> dict[int, set[tuple[int, str]]]:
    """The notices, as summary and hash, that subscribers of a range of rows were given."""
    given = _deliveries(tx, telling, first, last)
    notices: dict[int, list[tuple[int, str]]] = {}
    for part in _parts(sorted({one.edition for one in given})):
        for edition, summary, hash in tx.execute(select(t.edition_notice).where(t.edition_notice.c.edition_id.in_(part))):
            notices.setdefault(edition, []).append((summary, hash))
    told: dict[int, set[tuple[int, str]]] = {}
    for one in given:
        if one.edition in notices:
            told.setdefault(one.subscriber, set()).update(notices[one.edition])
    return told


# --- writing the plan ----------------------------------------------------------------------------------------------------


def put_editions(tx: Connection, issue: int, editions: Sequence[NewEdition]) -> dict[str, int]:
    """Editions, each kept once per issue and selection. Returns the rows by hash.

    Others may be planning the same issue. All come with their editions in one order, so that two never wait for each other.
    """
    by_hash = {edition.hash: edition for edition in editions}
    rows = _edition_rows(tx, issue, by_hash)
    missing = [by_hash[hash] for hash in sorted(by_hash.keys() - rows.keys())]
    if not missing:
        return rows
    own: dict[str, int] = dict(
        tx.execute(
            upsert(tx, t.edition).on_conflict_do_nothing().returning(t.edition.c.hash, t.edition.c.id),
            [
                {"issue_id": issue, "hash": one.hash, "selection": one.selection, "html_bytes": one.html_bytes, "problem": one.problem}
                for one in missing
            ],
        ).all()
    )
    rows |= own | _edition_rows(tx, issue, [one.hash for one in missing if one.hash not in own])
    missing = [one for one in missing if one.hash in own]
    if items := [{"edition_id": rows[one.hash], "summary_id": summary} for one in missing for summary in one.summaries]:
        tx.execute(insert(t.edition_item), items)
    if notices := [{"edition_id": rows[one.hash], "summary_id": s, "notice_hash": hash} for one in missing for s, hash in one.notices]:
        tx.execute(insert(t.edition_notice), notices)
    return rows


def _edition_rows(tx: Connection, issue: int, hashes: Collection[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    ordered = sorted(hashes)
    for start in range(0, len(ordered), _PART):
        chosen = and_(t.edition.c.issue_id == issue, t.edition.c.hash.in_(ordered[start : start + _PART]))
        found.update((hash, row) for hash, row in tx.execute(select(t.edition.c.hash, t.edition.c.id).where(chosen)))
    return found


def put_plans(tx: Connection, issue: int, plans: Sequence[Plan], date_header: str) -> None:
    """A delivery for each plan. A subscriber who has one already keeps it."""
    if not plans:
        return
    at = now(tx)
    shared: Mapping[str, object] = {"issue_id": issue, "state_at": at, "date_header": date_header}
    run_many(
        tx,
        upsert(tx, t.delivery).values(**shared).on_conflict_do_nothing(index_elements=["issue_id", "subscriber_id"]),
        [
            {
                "subscriber_id": plan.subscriber,
                "edition_id": plan.edition,
                "did": did,
                "state": plan.state.value,
                "reason": plan.reason,
                "interests": ";".join(plan.interests),
            }
            for plan, did in zip(plans, _dids(len(plans)), strict=True)
        ],
    )


def _dids(count: int) -> Iterable[str]:
    """Opaque ids. Those drawn together share 4 random bytes, so that their index grows in one place; 12 are each one's own."""
    stem, drawn = secrets.token_hex(4), secrets.token_hex(12 * count)
    return (stem + drawn[start : start + 24] for start in range(0, 24 * count, 24))


def put_off(tx: Connection, issue: int, hours: Mapping[str, datetime], *, otherwise: datetime) -> None:
    """Planned deliveries are not handed over before the instant of their reader's zone; ``otherwise`` is for who names none."""
    own: Any = literal(otherwise, t.delivery.c.next_at.type)
    if hours:
        values = [(t.subscriber.c.zone == zone, literal(at, t.delivery.c.next_at.type)) for zone, at in sorted(hours.items())]
        own = select(case(*values, else_=own)).where(t.subscriber.c.id == t.delivery.c.subscriber_id).scalar_subquery()
    planned = and_(t.delivery.c.issue_id == issue, t.delivery.c.state == S.PLANNED.value)
    tx.execute(update(t.delivery).where(planned).values(next_at=own))


def analyse_planned(tx: Connection) -> None:
    """Before an issue's deliveries are claimed: see how many there are now."""
    analyse(tx, t.subscriber, t.delivery, t.edition, t.edition_item)


def open_for_dispatch(tx: Connection, issue: int, *, doubtful: bool = False, who: str = issues.PROGRAM) -> int:
    """Planning is complete: count it, and let its deliveries be claimed. Returns the number planned.

    ``doubtful``: the issue was handed over from in a later copy of this database; then nothing is claimed, all is held.
    """
    count = tx.execute(select(func.count()).where(t.delivery.c.issue_id == issue)).scalar_one()
    at = now(tx)
    if doubtful:
        holding.doubt(tx, issue, "a later copy of this database had sent from this issue")
    d = t.delivery.c
    first, last = tx.execute(select(func.min(d.id), func.max(d.id)).where(d.issue_id == issue)).one()
    for start in range(first or 0, (last or -1) + 1, _AT_ONCE):
        # A piece at a time, for SQLite remembers the rows of one UPDATE in memory; the sum keeps it on the rows' own order.
        rows = and_(d.id.between(start, start + _AT_ONCE - 1), d.issue_id + 0 == issue, d.state == S.PLANNED.value)
        tx.execute(update(t.delivery).where(rows).values(state=S.READY.value, state_at=at))
    issues.move_issue(tx, issue, IssueState.SENDING, who=who, detail=f"{count} planned", planned=count, planned_at=at)
    return count
