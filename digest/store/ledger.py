"""Issues, and for every planned subscriber one delivery with what became of it (RELIABILITY section 1).

Every move is a compare-and-set: a row that is no longer in the state it was thought to be in stays as it is.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, Table, and_, delete, exists, func, insert, or_, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from digest.model import DeliveryState as S
from digest.model import IssueState, Slot
from digest.store import holding
from digest.store import schema as t
from digest.store.database import now
from digest.store.people import writable

# A delivery in one of these states has given its reader nothing, and will not.
NOT_GIVEN = [S.SKIPPED.value, S.FAILED.value, S.EXPIRED.value, S.QUARANTINED.value]


class IssueRow(NamedTuple):
    """An issue as the ledger has it. ``frozen`` holds the interests and selection rules it was drafted with."""

    id: int
    name: str
    cadence: str
    local_date: date
    opens_after: datetime
    due_at: datetime
    state: IssueState
    drafted_at: datetime
    known_seq: int
    content_hash: str
    frozen: dict[str, Any]
    approved_hash: str | None
    approved_at: datetime | None
    uncertain: str
    send_not_after: datetime | None
    planned: int | None
    planned_at: datetime | None
    finished_at: datetime | None
    paused_at: datetime | None
    pause_reason: str

    @property
    def slot(self) -> Slot:
        """Its place in the calendar."""
        return Slot(cadence=self.cadence, local_date=self.local_date, opens_after=self.opens_after, due_at=self.due_at)


# --- issues --------------------------------------------------------------------------------------------------------------


def issue_named(tx: Connection, name: str) -> IssueRow | None:
    """The issue of that name, ``monthly-2026-05-01``."""
    return _issue(tx.execute(select(t.issue).where(t.issue.c.name == name)).one_or_none())


def issues(tx: Connection) -> list[IssueRow]:
    """All issues, the newest first."""
    rows = tx.execute(select(t.issue).order_by(t.issue.c.due_at.desc(), t.issue.c.name)).all()
    return [issue for row in rows if (issue := _issue(row))]


def _issue(row: Row[Any] | None) -> IssueRow | None:
    if row is None:
        return None
    values = dict(row._mapping)
    return IssueRow(**{**values, "state": IssueState(values["state"]), "frozen": json.loads(values["frozen"])})


def archive_ends(tx: Connection, slot: Slot) -> dict[str, datetime]:
    """For every source that took part in an issue of this cadence: up to when what it published is backlog."""
    first = (
        select(t.participant.c.source, func.min(t.issue.c.id).label("id"))
        .join(t.issue, t.issue.c.id == t.participant.c.issue_id)
        .where(t.issue.c.cadence == slot.cadence)
        .group_by(t.participant.c.source)
        .subquery()
    )
    # The first one drafted: an older issue drawn later does not bring the backlog between back to life.
    query = select(first.c.source, t.issue.c.opens_after).join(t.issue, t.issue.c.id == first.c.id)
    return {source: min(opens, slot.opens_after) for source, opens in tx.execute(query)}


def taken_by(tx: Connection, cadence: str) -> dict[int, str]:
    """Which issue of the cadence has each summary already."""
    piece = func.coalesce(t.summary.c.same_as, t.summary.c.id)
    query = (
        select(piece, t.issue.c.name)
        .join(t.member, t.member.c.summary_id == t.summary.c.id)
        .join(t.issue, t.issue.c.id == t.member.c.issue_id)
        .where(t.member.c.cadence == cadence)
    )
    return dict(tx.execute(query).all())


def put_issue(tx: Connection, slot: Slot, *, known_seq: int, content_hash: str, frozen: Mapping[str, Any], uncertain: str) -> int:
    """Write a draft, new or drawn anew: a draft drawn anew is nobody's approved text. Returns the row."""
    values: dict[str, Any] = {
        "state": IssueState.DRAFTED.value,
        "drafted_at": now(tx),
        "known_seq": known_seq,
        "content_hash": content_hash,
        "frozen": json.dumps(frozen, ensure_ascii=False, sort_keys=True),
        "uncertain": uncertain,
        "approved_hash": None,
        "approved_at": None,
    }
    values |= {"opens_after": slot.opens_after, "due_at": slot.due_at}
    fixed = {"name": slot.name, "cadence": slot.cadence, "local_date": slot.local_date}
    statement = upsert(t.issue).values(**fixed, **values).on_conflict_do_update(index_elements=["name"], set_=values)
    row: int = tx.execute(statement.returning(t.issue.c.id)).scalar_one()
    return row


def put_members(tx: Connection, issue: int, cadence: str, members: Iterable[tuple[int, int]], sources: Iterable[str]) -> None:
    """The members of an issue, as (summary, arrival number), and the sources that took part."""
    tx.execute(delete(t.member).where(t.member.c.issue_id == issue))
    tx.execute(delete(t.participant).where(t.participant.c.issue_id == issue))
    rows = [{"issue_id": issue, "summary_id": row, "cadence": cadence, "seq": seq} for row, seq in members]
    if rows:
        tx.execute(insert(t.member), rows)
    names = [{"issue_id": issue, "source": name} for name in sources]
    if names:
        tx.execute(insert(t.participant), names)


def members(tx: Connection, issue: int) -> list[tuple[int, int]]:
    """The members of an issue, as (summary, arrival number)."""
    query = select(t.member.c.summary_id, t.member.c.seq).where(t.member.c.issue_id == issue).order_by(t.member.c.summary_id)
    return list(tx.execute(query))


def move_issue(tx: Connection, issue: int, state: IssueState, **values: Any) -> None:
    """Set an issue's state and whatever goes with it."""
    tx.execute(update(t.issue).where(t.issue.c.id == issue).values(state=state.value, **values))


def put_content(tx: Connection, issue: int, compiled: bytes) -> None:
    """Freeze what the issue is composed from; the first one stays."""
    tx.execute(upsert(t.content).values(issue_id=issue, compiled=compiled).on_conflict_do_nothing())


def content(tx: Connection, issue: int) -> bytes | None:
    """What the issue is composed from, once planning froze it."""
    return tx.execute(select(t.content.c.compiled).where(t.content.c.issue_id == issue)).scalar()


# --- planning ------------------------------------------------------------------------------------------------------------


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
        .join(t.member, and_(t.member.c.issue_id == sent_issue.c.id, t.member.c.summary_id == t.summary.c.id))
        .join(sent_revision, sent_revision.c.seq == t.member.c.seq)
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


def open_for_dispatch(tx: Connection, issue: int, *, doubtful: bool = False) -> int:
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
    move_issue(tx, issue, IssueState.SENDING, planned=count, planned_at=at)
    return count


# --- dispatch ------------------------------------------------------------------------------------------------------------


class Claimed(NamedTuple):
    """A delivery that is ours to hand over until the lease ends."""

    id: int
    did: str
    subscriber: int
    edition: int
    date_header: str
    attempts: int
    epoch: int


class Claim(NamedTuple):
    """Deliveries claimed together, as one attempt. ``lease_until`` is by the database's clock."""

    attempt: int
    aid: str
    deliveries: tuple[Claimed, ...]
    lease_until: datetime
    ref: str = ""


def claim(
    tx: Connection,
    issue: int,
    k: int,
    *,
    owner: str,
    lease: timedelta,
    provider: str,
    one_edition: bool = False,
    ref: str = "",
) -> Claim | None:
    """T1: make the intent durable for up to ``k`` deliveries; those whose reader may no longer be written to are skipped.

    None when nothing can be claimed now, or the issue is paused. ``one_edition``: all of the same. The consent gate is in
    the same transaction: what was withdrawn before it commits is honoured.
    """
    at = now(tx)
    if not tx.execute(select(t.issue.c.id).where(t.issue.c.id == issue, t.issue.c.paused_at.is_(None), _may_leave())).first():
        return None
    ready = and_(
        t.delivery.c.issue_id == issue,
        t.delivery.c.state == S.READY.value,
        or_(t.delivery.c.next_at.is_(None), t.delivery.c.next_at <= at),
    )
    _expire(tx, issue, at)
    if one_edition:
        first = select(t.delivery.c.edition_id).where(ready).order_by(t.delivery.c.edition_id).limit(1)
        ready = and_(ready, t.delivery.c.edition_id == first.scalar_subquery())
    while True:
        rows = tx.execute(
            select(t.delivery.c.id, t.delivery.c.did, t.delivery.c.subscriber_id, t.delivery.c.edition_id, t.delivery.c.date_header)
            .add_columns(t.delivery.c.attempts, t.delivery.c.lease_epoch, writable().label("writable"), t.subscriber.c.status)
            .join(t.subscriber, t.subscriber.c.id == t.delivery.c.subscriber_id)
            .where(ready)
            .order_by(t.delivery.c.id)
            .limit(k)
        ).all()
        for row in rows:
            if not row.writable:
                reason = row.status if row.status != "active" else "suppressed"
                _move(tx, [row.id], S.READY, S.SKIPPED, at, reason=reason)
        wanted = [row for row in rows if row.writable]
        if wanted or not rows:
            break
    if not wanted:
        return None
    attempt, aid = _new_attempt(tx, issue, provider, len(wanted), at, ref)
    _move(
        tx,
        [row.id for row in wanted],
        S.READY,
        S.INFLIGHT,
        at,
        attempt_id=attempt,
        attempts=t.delivery.c.attempts + 1,
        lease_owner=owner,
        lease_epoch=t.delivery.c.lease_epoch + 1,
        lease_until=at + lease,
    )
    deliveries = tuple(
        Claimed(r.id, r.did, r.subscriber_id, r.edition_id, r.date_header, r.attempts + 1, r.lease_epoch + 1) for r in wanted
    )
    return Claim(attempt, aid, deliveries, at + lease, ref)


def _may_leave() -> Any:
    """SQL: the issue is going out, neither cancelled nor done."""
    return t.issue.c.state == IssueState.SENDING.value


def _new_attempt(tx: Connection, issue: int, provider: str, n: int, at: datetime, ref: str) -> tuple[int, str]:
    aid = secrets.token_hex(16)
    values = {"aid": aid, "issue_id": issue, "provider": provider, "n": n, "started_at": at, "provider_ref": ref}
    return tx.execute(insert(t.attempt).values(**values).returning(t.attempt.c.id)).scalar_one(), aid


def divide(tx: Connection, issue: int, whole: Claim, *, lease: timedelta, provider: str, refs: tuple[str, str] = ("", "")) -> list[Claim]:
    """Two halves of a claim whose batch was refused whole, each a new attempt; the intent is durable again before the next call.

    Deliveries that somebody else has moved meanwhile are in neither half.
    """
    at = now(tx)
    tx.execute(update(t.attempt).where(t.attempt.c.id == whole.attempt).values(ended_at=at, outcome="split", evidence="reply"))
    middle = (len(whole.deliveries) + 1) // 2
    halves = []
    for part, ref in zip((whole.deliveries[:middle], whole.deliveries[middle:]), refs, strict=True):
        attempt, aid = _new_attempt(tx, issue, provider, len(part), at, ref)
        kept = [one for one in part if _renew(tx, one, attempt, at + lease)]
        if kept:
            halves.append(Claim(attempt, aid, tuple(kept), at + lease, ref))
    return halves


def _renew(tx: Connection, one: Claimed, attempt: int, lease_until: datetime) -> bool:
    return bool(tx.execute(update(t.delivery).where(_still_ours(one)).values(attempt_id=attempt, lease_until=lease_until)).rowcount)


def _still_ours(one: Claimed) -> Any:
    return and_(t.delivery.c.id == one.id, t.delivery.c.state == S.INFLIGHT.value, t.delivery.c.lease_epoch == one.epoch)


class Settled(NamedTuple):
    """What became of one claimed delivery. ``next_at`` is when a deferred one may be tried again."""

    delivery: Claimed
    state: S
    reason: str = ""
    next_at: datetime | None = None
    bytes: int | None = None
    sha256: str | None = None
    called: bool = True  # False: it was set aside before the call, and the attempt says nothing of it


def settle(tx: Connection, claimed: Claim, settled: Sequence[Settled], *, outcome: str, code: str = "", ref: str = "") -> int:
    """T2: write the outcome of an attempt. Returns how many rows had been moved by somebody else meanwhile."""
    at = now(tx)
    lost = 0
    ended = tx.execute(
        select(t.issue.c.id)
        .join(t.attempt, t.attempt.c.issue_id == t.issue.c.id)
        .where(t.attempt.c.id == claimed.attempt, t.issue.c.state == IssueState.CANCELLED.value)
    ).first()
    for one in settled:
        if ended and one.state is S.READY:  # what was put off will not be tried again
            one = one._replace(state=S.SKIPPED, reason="cancelled", next_at=None)
        moved = tx.execute(
            update(t.delivery)
            .where(_still_ours(one.delivery))
            .values(
                state=one.state.value,
                state_at=at,
                reason=one.reason,
                next_at=one.next_at,
                bytes=one.bytes,
                sha256=one.sha256,
                evidence="reply",
                lease_owner=None,
                lease_until=None,
                **({} if one.called else {"attempt_id": None}),
            )
        ).rowcount
        lost += 1 - moved
    tx.execute(
        update(t.attempt)
        .where(t.attempt.c.id == claimed.attempt)
        .values(ended_at=at, outcome=outcome, code=code, evidence="reply", **({"provider_ref": ref} if ref else {}))
    )
    return lost


def reap(tx: Connection, issue: int, *, everything: bool) -> int:
    """Dead leases become uncertain, never ready. ``everything``: nobody else can be at work, so every lease is dead."""
    at = now(tx)
    dead = and_(t.delivery.c.issue_id == issue, t.delivery.c.state == S.INFLIGHT.value)
    if not everything:
        dead = and_(dead, t.delivery.c.lease_until < at)
    return tx.execute(
        update(t.delivery)
        .where(dead)
        .values(
            state=S.UNCERTAIN.value, state_at=at, reason="the run ended before the outcome was written", lease_owner=None, lease_until=None
        )
    ).rowcount


def uncertain(tx: Connection, issue: int, provider: str | None = None) -> list[tuple[int, str]]:
    """Rows and dids of the deliveries whose outcome is not known and not yet a person's to decide; handed to that provider."""
    query = select(t.delivery.c.id, t.delivery.c.did).where(t.delivery.c.issue_id == issue, t.delivery.c.state == S.UNCERTAIN.value)
    if provider is not None:
        query = query.join(t.attempt, t.attempt.c.id == t.delivery.c.attempt_id).where(t.attempt.c.provider == provider)
    return list(tx.execute(query.order_by(t.delivery.c.id)))


def resolve(tx: Connection, rows: Sequence[int], state: S, reason: str, evidence: str = "") -> int:
    """Move uncertain or held deliveries on the strength of evidence. Returns how many moved."""
    at = now(tx)
    moved = _move(tx, rows, S.UNCERTAIN, state, at, reason=reason, evidence=evidence, next_at=None)
    return moved + (_move(tx, rows, S.HELD, state, at, reason=reason, evidence=evidence, next_at=None) if state is not S.HELD else 0)


def dids(tx: Connection, rows: Sequence[int]) -> list[str]:
    """The public ids of these deliveries."""
    found: list[str] = []
    for start in range(0, len(rows), 500):
        query = select(t.delivery.c.did).where(t.delivery.c.id.in_(rows[start : start + 500]))
        found.extend(tx.execute(query.order_by(t.delivery.c.id)).scalars())
    return found


def contradictions(tx: Connection, issue: int) -> int:
    """How often two things that exclude each other are known of the issue's deliveries."""
    return tx.execute(select(func.count()).where(t.contradiction.c.issue_id == issue)).scalar_one()


def uncertain_attempts(tx: Connection, issue: int) -> dict[tuple[str, datetime], list[int]]:
    """The uncertain and held deliveries by their attempt: its reference at the provider, and when it began.

    An attempt of which anything is known to have been taken is left out: voiding it would take that from its readers.
    """
    other = t.delivery.alias()
    taken = exists().where(other.c.attempt_id == t.attempt.c.id, other.c.state == S.ACCEPTED.value)
    query = (
        select(t.delivery.c.id, t.attempt.c.provider_ref, t.attempt.c.started_at)
        .join(t.attempt, t.attempt.c.id == t.delivery.c.attempt_id)
        .where(t.delivery.c.issue_id == issue, t.delivery.c.state.in_([S.UNCERTAIN.value, S.HELD.value]), ~taken)
        .order_by(t.delivery.c.id)
    )
    found: dict[tuple[str, datetime], list[int]] = {}
    for row, ref, started_at in tx.execute(query):
        found.setdefault((ref, started_at), []).append(row)
    return found


def _expire(tx: Connection, issue: int, at: datetime) -> None:
    late = exists().where(t.issue.c.id == issue, t.issue.c.send_not_after < at)
    tx.execute(
        update(t.delivery)
        .where(t.delivery.c.issue_id == issue, t.delivery.c.state == S.READY.value, late)
        .values(state=S.EXPIRED.value, state_at=at, reason="too late to send")
    )


def _move(tx: Connection, rows: Sequence[int], old: S, new: S, at: datetime, **values: Any) -> int:
    moved = 0
    for start in range(0, len(rows), 500):
        chosen = and_(t.delivery.c.id.in_(rows[start : start + 500]), t.delivery.c.state == old.value)
        moved += tx.execute(update(t.delivery).where(chosen).values(state=new.value, state_at=at, **values)).rowcount
    return moved


# --- what became of it ---------------------------------------------------------------------------------------------------


def counts(tx: Connection, issue: int) -> dict[S, int]:
    """How many deliveries are in each state; every state is there."""
    query = select(t.delivery.c.state, func.count()).where(t.delivery.c.issue_id == issue).group_by(t.delivery.c.state)
    found: dict[str, int] = dict(tx.execute(query).all())
    return {state: found.get(state.value, 0) for state in S}


def reasons(tx: Connection, issue: int) -> dict[tuple[str, str], int]:
    """How many deliveries of each state were not accepted, by reason."""
    query = (
        select(t.delivery.c.state, t.delivery.c.reason, func.count())
        .where(t.delivery.c.issue_id == issue, t.delivery.c.reason != "")
        .group_by(t.delivery.c.state, t.delivery.c.reason)
    )
    return {(state, reason): n for state, reason, n in tx.execute(query)}


class Figures(NamedTuple):
    """Sizes of an issue. ``mean_bytes`` is over whole messages, ``largest_html_bytes`` over editions."""

    editions: int
    mean_bytes: int
    largest_html_bytes: int


def accepted_since(tx: Connection, since: datetime) -> int:
    """How many deliveries, of all issues, were accepted or are being handed over since an instant."""
    states = t.delivery.c.state.in_([S.ACCEPTED.value, S.INFLIGHT.value, S.UNCERTAIN.value, S.HELD.value])
    return tx.execute(select(func.count()).where(states, t.delivery.c.state_at >= since, t.delivery.c.attempts > 0)).scalar_one()


def accepted_lately(tx: Connection, issue: int, seconds: int = 60) -> int:
    """How many of an issue were accepted in the last seconds: its rate."""
    since = now(tx) - timedelta(seconds=seconds)
    chosen = and_(t.delivery.c.issue_id == issue, t.delivery.c.state == S.ACCEPTED.value, t.delivery.c.state_at >= since)
    return tx.execute(select(func.count()).where(chosen)).scalar_one()


def next_at(tx: Connection, issue: int) -> datetime | None:
    """When the first of the deliveries that wait may be tried again."""
    chosen = and_(t.delivery.c.issue_id == issue, t.delivery.c.state == S.READY.value)
    return tx.execute(select(func.min(t.delivery.c.next_at, type_=t.Instant())).where(chosen)).scalar()


def figures(tx: Connection, issue: int) -> Figures:
    """How many editions there are and how large things came out."""
    editions, largest = tx.execute(select(func.count(), func.max(t.edition.c.html_bytes)).where(t.edition.c.issue_id == issue)).one()
    mean = tx.execute(select(func.avg(t.delivery.c.bytes)).where(t.delivery.c.issue_id == issue)).scalar()
    return Figures(editions, round(mean or 0), largest or 0)


class DeliveryRow(NamedTuple):
    """One subscriber's delivery of one issue."""

    did: str
    state: S
    state_at: datetime
    reason: str
    interests: tuple[str, ...]
    selection: str
    attempts: int


def delivery_of(tx: Connection, issue: int, subscriber: int) -> DeliveryRow | None:
    """What a subscriber was planned to get of an issue, and what became of it."""
    row = tx.execute(
        select(t.delivery, t.edition.c.selection)
        .outerjoin(t.edition, t.edition.c.id == t.delivery.c.edition_id)
        .where(t.delivery.c.issue_id == issue, t.delivery.c.subscriber_id == subscriber)
    ).one_or_none()
    if row is None:
        return None
    interests = tuple(filter(None, row.interests.split(";")))
    return DeliveryRow(row.did, S(row.state), row.state_at, row.reason, interests, row.selection or "", row.attempts)


def selections(tx: Connection, issue: int) -> list[tuple[str, int]]:
    """Every edition's selection (JSON) with its number of accepted or still open deliveries; what came to nothing does not count."""
    query = (
        select(t.edition.c.selection, func.count())
        .join(t.delivery, t.delivery.c.edition_id == t.edition.c.id)
        .where(t.edition.c.issue_id == issue, t.delivery.c.state.not_in(NOT_GIVEN))
        .group_by(t.edition.c.id)
    )
    return list(tx.execute(query))


def edition_selections(tx: Connection, editions: Sequence[int]) -> dict[int, str]:
    """The selections (JSON) of these editions."""
    query = select(t.edition.c.id, t.edition.c.selection).where(t.edition.c.id.in_(editions))
    return dict(tx.execute(query).all())
