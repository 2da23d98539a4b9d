"""The ledger: claim, settle, reap, resolve (RELIABILITY section 1).

Every move is a compare-and-set: a row that is no longer in the state it was thought to be in stays as it is.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Row,
    Select,
    String,
    Update,
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    select,
    update,
)

from digest.model import DeliveryState as S
from digest.model import IssueState
from digest.store import outcomes
from digest.store import schema as t
from digest.store.bulk import among, listed, run_many
from digest.store.claim_steps import Due, Steps, steps
from digest.store.claiming import Claim as Claim
from digest.store.claiming import Claimed as Claimed
from digest.store.claiming import claim_at_once
from digest.store.database import now
from digest.store.dialect import is_postgresql, turn_at
from digest.store.people import Sealed, writable
from digest.store.settling import settle_at_once


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
    aid: str = "",
    known: Collection[int] = (),
    ahead: bool = False,
) -> Claim | None:
    """T1: make the intent durable for up to ``k`` deliveries; those whose reader may no longer be written to are skipped.

    None when nothing can be claimed now, or the issue is paused. ``one_edition``: all of the same. The consent gate is in
    the same transaction: what was withdrawn before it commits is honoured. Several may claim at the same time; what another
    is just claiming is passed over. ``aid`` names the attempt, else a name is drawn. Selections of ``known`` editions are not told.
    ``ahead``: in the transaction of an outcome, which must not wait; what is more than claiming is left to a claim by itself.
    """
    at, aid = turn_at(tx), aid or secrets.token_hex(16)
    if is_postgresql(tx):
        how: Any = {"owner": owner, "lease": lease, "provider": provider, "one_edition": one_edition, "ref": ref, "aid": aid}
        if found := claim_at_once(tx, issue, k, at, known=known, **how):
            return found
        if ahead:
            return None
    asked = steps(tx.dialect.name, writable, _may_leave)
    given: dict[str, Any] = {"issue": issue, "at": at, "k": k}
    going = tx.execute(asked.going, given).first()
    if going is None:
        return None
    if _is_late(going.send_not_after, at):
        if not ahead:
            _expire(tx, issue, at)
        return None
    wanted: Sequence[Row[Any]] = ()
    for due in asked.due:
        wanted = _of_one_edition(tx, asked, due, given) if one_edition else _with_consent(tx, asked, due.of_any, given)
        if wanted:
            break
    if not wanted:
        return None
    attempt, aid = _new_attempt(tx, issue, provider, len(wanted), at, ref, aid)
    taken = listed(tx.dialect.name, [row.id for row in wanted])
    tx.execute(asked.take, {"rows": taken, "at": at, "attempt": attempt, "owner": owner, "until": at + lease})
    deliveries = tuple(
        [Claimed(r.id, r.did, r.subscriber_id, r.edition_id, r.date_header, r.attempts + 1, r.lease_epoch + 1) for r in wanted]
    )
    readers = {r.subscriber_id: Sealed(r.sid, r.address, r.name) for r in wanted}
    unknown = {one.edition for one in deliveries}.difference(known)
    selections = outcomes.edition_selections(tx, sorted(unknown)) if unknown else {}
    return Claim(attempt, aid, deliveries, at + lease, ref, readers, selections)


def _is_late(not_after: datetime | None, at: datetime) -> bool:
    return not_after is not None and not_after < at


def _of_one_edition(tx: Connection, asked: Steps, due: Due, given: Mapping[str, Any]) -> Sequence[Row[Any]]:
    """Of the first edition that has somebody who may be written to."""
    while (edition := tx.execute(due.first_edition, given).scalar()) is not None:
        if wanted := _with_consent(tx, asked, due.of_edition, {**given, "edition": edition}):
            return wanted
    return ()


def _with_consent(tx: Connection, asked: Steps, due: Select[Any], given: Mapping[str, Any]) -> Sequence[Row[Any]]:
    """Up to ``k`` ready rows whose readers may be written to; the others on the way are skipped."""
    while True:
        found = tx.execute(due, given).all()
        for row in found:
            if not row.writable:
                tx.execute(asked.skip, {"row": row.id, "at": given["at"], "why": row.status if row.status != "active" else "suppressed"})
        wanted = [row for row in found if row.writable]
        if wanted or not found:
            return wanted


def _may_leave() -> Any:
    """SQL: the issue is going out, neither cancelled nor done."""
    return t.issue.c.state == IssueState.SENDING.value


def recall(tx: Connection, aid: str) -> int:
    """Give back a claim of which nobody knows whether it was committed, and that was never acted on. Returns how many."""
    attempt = tx.execute(select(t.attempt.c.id).where(t.attempt.c.aid == aid)).scalar()
    if attempt is None:
        return 0
    at = now(tx)
    tx.execute(update(t.attempt).where(t.attempt.c.id == attempt).values(ended_at=at, outcome="given back", evidence="reply"))
    ours = and_(t.delivery.c.attempt_id == attempt, t.delivery.c.state == S.INFLIGHT.value)
    values = {"state": S.READY.value, "state_at": at, "attempt_id": None, "lease_owner": None, "lease_until": None}
    if _is_cancelled(tx, attempt):
        values |= {"state": S.SKIPPED.value, "reason": "cancelled"}
    return tx.execute(update(t.delivery).where(ours).values(**values)).rowcount


def _new_attempt(tx: Connection, issue: int, provider: str, n: int, at: datetime, ref: str, aid: str = "") -> tuple[int, str]:
    aid = aid or secrets.token_hex(16)
    values = {"aid": aid, "issue_id": issue, "provider": provider, "n": n, "started_at": at, "provider_ref": ref}
    return tx.execute(_BEGIN, values).scalar_one(), aid


_BEGIN = insert(t.attempt).returning(t.attempt.c.id)


def divide(
    tx: Connection, issue: int, whole: Claim, groups: Sequence[Sequence[Claimed]], refs: Sequence[str], *, lease: timedelta, provider: str
) -> list[Claim]:
    """A claim that cannot go in one call, in groups, each a new attempt with its ref; the intent is durable again before the next call.

    Deliveries that somebody else has moved meanwhile are in none. Their readers are to be looked up again: some wait for others' calls.
    """
    at = now(tx)
    tx.execute(update(t.attempt).where(t.attempt.c.id == whole.attempt).values(ended_at=at, outcome="split", evidence="reply"))
    parts = []
    for group, ref in zip(groups, refs, strict=True):
        attempt, aid = _new_attempt(tx, issue, provider, len(group), at, ref)
        kept = tuple([one for one in group if _renew(tx, one, attempt, at + lease)])
        if kept:
            parts.append(whole._replace(attempt=attempt, aid=aid, deliveries=kept, lease_until=at + lease, ref=ref, readers={}))
    return parts


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
    at = turn_at(tx)
    ended = any(one.state is S.READY for one in settled) and _is_cancelled(tx, claimed.attempt)
    if is_postgresql(tx):
        rows = [_row(one, at, ended=ended) | {"called": one.called} for one in settled]
        return len(rows) - settle_at_once(tx, claimed.attempt, rows, at, outcome=outcome, code=code, ref=ref)
    lost = 0
    for called, statement in ((True, _SETTLE), (False, _SET_ASIDE)):
        rows = [_row(one, at, ended=ended) for one in settled if one.called is called]
        lost += len(rows) - run_many(tx, statement, rows)
    tx.execute(_END, {"attempt": claimed.attempt, "ended_at": at, "outcome": outcome, "code": code, "evidence": "reply", "ref": ref})
    return lost


_REF = bindparam("ref", type_=String())
_END = (
    update(t.attempt)
    .where(t.attempt.c.id == bindparam("attempt", type_=Integer()))
    .values(provider_ref=case((_REF != "", _REF), else_=t.attempt.c.provider_ref))
)


def _is_cancelled(tx: Connection, attempt: int) -> bool:
    query = select(t.issue.c.state).join(t.attempt, t.attempt.c.issue_id == t.issue.c.id).where(t.attempt.c.id == attempt)
    return tx.execute(query).scalar() == IssueState.CANCELLED.value


def _row(one: Settled, at: datetime, *, ended: bool) -> dict[str, Any]:
    if ended and one.state is S.READY:  # what was put off will not be tried again
        one = one._replace(state=S.SKIPPED, reason="cancelled", next_at=None)
    new = {"new_state": one.state.value, "at": at, "why": one.reason, "next": one.next_at, "size": one.bytes, "hash": one.sha256}
    return {"row": one.delivery.id, "epoch": one.delivery.epoch, **new}


def _settling(*ours: ColumnElement[bool]) -> Update:
    return (
        update(t.delivery)
        .where(t.delivery.c.id == bindparam("row"), *ours)
        .values(
            state=bindparam("new_state"),
            state_at=bindparam("at"),
            reason=bindparam("why"),
            next_at=bindparam("next"),
            bytes=bindparam("size"),
            sha256=bindparam("hash"),
            evidence="reply",
            lease_owner=None,
            lease_until=None,
        )
    )


# Built once and run for many rows: building it for each took most of the time of a batch (cProfile).
_SETTLE = _settling(t.delivery.c.state == S.INFLIGHT.value, t.delivery.c.lease_epoch == bindparam("epoch"))
_SET_ASIDE = _SETTLE.values(attempt_id=None)


def activity(tx: Connection, issue: int) -> tuple[datetime | None, datetime | None]:
    """When an attempt of the issue last began, and when the next of its deliveries may leave (the past: at once; None: none is
    left that has an hour).
    """
    busy = tx.execute(select(func.max(t.attempt.c.started_at)).where(t.attempt.c.issue_id == issue)).scalar()
    ready = and_(t.delivery.c.issue_id == issue, t.delivery.c.state == S.READY.value)
    if tx.execute(select(t.delivery.c.id).where(ready, t.delivery.c.next_at.is_(None)).limit(1)).first():
        return busy, busy
    return busy, tx.execute(select(func.min(t.delivery.c.next_at)).where(ready)).scalar()


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


def reap_owner(tx: Connection, issue: int, owner: str) -> int:
    """What was in the hands of a process that is known to be gone becomes uncertain. Returns how many."""
    dead = and_(t.delivery.c.issue_id == issue, t.delivery.c.state == S.INFLIGHT.value, t.delivery.c.lease_owner == owner)
    gone = {"state": S.UNCERTAIN.value, "state_at": now(tx), "lease_owner": None, "lease_until": None}
    return tx.execute(update(t.delivery).where(dead).values(**gone, reason="the run ended before the outcome was written")).rowcount


def uncertain(tx: Connection, issue: int, provider: str | None = None) -> list[tuple[int, str]]:
    """Rows and dids of the deliveries whose outcome is not known and not yet a person's to decide; handed to that provider."""
    query = select(t.delivery.c.id, t.delivery.c.did).where(t.delivery.c.issue_id == issue, t.delivery.c.state == S.UNCERTAIN.value)
    if provider is not None:
        query = query.join(t.attempt, t.attempt.c.id == t.delivery.c.attempt_id).where(t.attempt.c.provider == provider)
    return list(tx.execute(query.order_by(t.delivery.c.id)))


def unsettled(tx: Connection, rows: Sequence[int]) -> list[int]:
    """Those of these deliveries that are still uncertain or held."""
    d = t.delivery.c
    chosen = and_(among(tx.dialect.name, d.id, "rows"), d.state.in_([S.UNCERTAIN.value, S.HELD.value]))
    return list(tx.execute(select(d.id).where(chosen).order_by(d.id), {"rows": listed(tx.dialect.name, rows)}).scalars())


def resolve(tx: Connection, rows: Sequence[int], state: S, reason: str, evidence: str = "", up_to: int | None = None) -> int:
    """Move uncertain or held deliveries on the strength of evidence. Returns how many moved.

    ``up_to``: the highest attempt when they were listed; what a later one has in hand is not what was asked about, and stays.
    """
    at = now(tx)
    values = {"reason": reason, "evidence": evidence, "next_at": None}
    moved = _move(tx, rows, S.UNCERTAIN, state, at, up_to=up_to, **values)
    return moved + (_move(tx, rows, S.HELD, state, at, up_to=up_to, **values) if state is not S.HELD else 0)


def dids(tx: Connection, rows: Sequence[int]) -> list[str]:
    """The public ids of these deliveries."""
    query = select(t.delivery.c.did).where(among(tx.dialect.name, t.delivery.c.id, "rows")).order_by(t.delivery.c.id)
    return list(tx.execute(query, {"rows": listed(tx.dialect.name, rows)}).scalars())


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
    ready = and_(t.delivery.c.issue_id == issue, t.delivery.c.state == S.READY.value)
    tx.execute(update(t.delivery).where(ready).values(state=S.EXPIRED.value, state_at=at, reason="too late to send"))


def _move(tx: Connection, rows: Sequence[int], old: S, new: S, at: datetime, *, up_to: int | None = None, **values: Any) -> int:
    if not rows:
        return 0
    chosen = and_(among(tx.dialect.name, t.delivery.c.id, "rows"), t.delivery.c.state == old.value)
    if up_to is not None:
        chosen = and_(chosen, t.delivery.c.attempt_id <= up_to)
    moved = update(t.delivery).where(chosen).values(state=new.value, state_at=at, **values)
    return tx.execute(moved, {"rows": listed(tx.dialect.name, rows)}).rowcount
