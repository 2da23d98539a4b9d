"""A claim on PostgreSQL in one statement, with all that composing needs: what was six questions to a server is one.

The rules are those of ``ledger.claim``, which goes on by itself where nothing is found here: whatever has to be said of an issue
that does not go out, is late, or has only readers who may no longer be written to, is said there. SQLite, which is asked in the
same process, is as quick step by step.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Select,
    String,
    all_,
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from digest.model import DeliveryState as S
from digest.model import IssueState
from digest.store import schema as t
from digest.store.people import Sealed, writable


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
    """Deliveries claimed together, as one attempt. ``lease_until`` is by the database's clock.

    ``readers`` and ``selections`` are what was learnt of their readers and editions on the way; what is missing is to be looked up.
    """

    attempt: int
    aid: str
    deliveries: tuple[Claimed, ...]
    lease_until: datetime
    ref: str = ""
    readers: Mapping[int, Sealed] = {}
    selections: Mapping[int, str] = {}


_d, _i = t.delivery.c, t.issue.c
# As the index has them, so that the first few are found without looking at the others: PostgreSQL does not see that one value
# of next_at is no order, and sorted all that was ready for each claim. Neighbours share what is composed once.
CLAIM_ORDER = (_d.next_at, _d.edition_id)
_AT, _ISSUE = bindparam("at", type_=t.Instant()), bindparam("issue", type_=Integer())


def _statement(due: ColumnElement[bool], *, one_edition: bool) -> Select[Any]:
    in_time = or_(_i.send_not_after.is_(None), _i.send_not_after >= _AT)
    going = select(_i.id).where(_i.id == _ISSUE, _i.paused_at.is_(None), _i.state == IssueState.SENDING.value, in_time)
    ready = and_(_d.issue_id == _ISSUE, _d.state == S.READY.value, due)
    if one_edition:
        first = select(_d.edition_id).where(ready).order_by(*CLAIM_ORDER).limit(1).with_for_update(skip_locked=True).cte("first")
        ready = and_(ready, _d.edition_id == select(first.c.edition_id).scalar_subquery())
    chosen = (
        select(_d.id, writable().label("writable"), t.subscriber.c.status, *(t.subscriber.c[name] for name in Sealed._fields))
        .join(t.subscriber, t.subscriber.c.id == _d.subscriber_id)
        .where(ready, exists(going))
        .order_by(*CLAIM_ORDER)
        .limit(bindparam("k", type_=Integer()))
        .with_for_update(of=t.delivery, skip_locked=True)
        .cte("chosen")
    )
    skipped = (
        update(t.delivery)
        .where(_d.id == chosen.c.id, _d.state == S.READY.value, ~chosen.c.writable)
        .values(state=S.SKIPPED.value, state_at=_AT, reason=case((chosen.c.status != "active", chosen.c.status), else_="suppressed"))
        .cte("skipped")
    )
    values: dict[str, ColumnElement[Any]] = {
        "aid": bindparam("aid", type_=String()),
        "issue_id": _ISSUE,
        "provider": bindparam("provider", type_=String()),
        "n": func.count(),
        "started_at": _AT,
        "provider_ref": bindparam("ref", type_=String()),
    }
    counted = select(*values.values()).select_from(chosen).where(chosen.c.writable).having(func.count() > 0)
    tried = insert(t.attempt).from_select(list(values), counted).returning(t.attempt.c.id).cte("tried")
    moved = (
        update(t.delivery)
        .where(_d.id == chosen.c.id, _d.state == S.READY.value, chosen.c.writable)
        .values(
            state=S.INFLIGHT.value,
            state_at=_AT,
            attempt_id=select(tried.c.id).scalar_subquery(),
            attempts=_d.attempts + 1,
            lease_owner=bindparam("owner", type_=String()),
            lease_epoch=_d.lease_epoch + 1,
            lease_until=bindparam("until", type_=t.Instant()),
        )
        .returning(_d.id, _d.did, _d.subscriber_id, _d.edition_id, _d.date_header, _d.attempts, _d.lease_epoch, _d.attempt_id)
        .cte("moved")
    )
    m = moved.c
    # An edition's selection comes once, and only where it is not remembered; it is by far the largest thing here.
    first_of_its = func.row_number().over(partition_by=m.edition_id, order_by=m.id) == 1
    unknown = m.edition_id != all_(bindparam("known", type_=ARRAY(BigInteger())))
    selection = case((and_(first_of_its, unknown), t.edition.c.selection))
    return (
        select(*m, *(chosen.c[name] for name in Sealed._fields), selection.label("selection"))
        .join(chosen, chosen.c.id == m.id)
        .outerjoin(t.edition, t.edition.c.id == m.edition_id)  # what was moved must be told of, whatever else is there
        .order_by(m.edition_id, m.id)
        .add_cte(skipped)
    )


# What never waited first, then what has waited long enough: apart, so that the index gives each in its order.
_STATEMENTS = {
    one_edition: [_statement(due, one_edition=one_edition) for due in (_d.next_at.is_(None), _d.next_at <= _AT)]
    for one_edition in (False, True)
}


def claim_at_once(
    tx: Connection,
    issue: int,
    k: int,
    at: datetime,
    *,
    owner: str,
    lease: timedelta,
    provider: str,
    one_edition: bool,
    ref: str,
    aid: str,
    known: Collection[int],
) -> Claim | None:
    """Claim up to ``k`` deliveries; None where this way finds none. ``known`` are editions of which nothing has to be told."""
    until = at + lease
    given = {"issue": issue, "k": k, "at": at, "until": until, "owner": owner, "provider": provider, "ref": ref, "aid": aid}
    for statement in _STATEMENTS[one_edition]:
        rows = tx.execute(statement, {**given, "known": list(known)}).all()
        if rows:
            return Claim(
                rows[0].attempt_id,
                aid,
                tuple(Claimed(r.id, r.did, r.subscriber_id, r.edition_id, r.date_header, r.attempts, r.lease_epoch) for r in rows),
                until,
                ref,
                {r.subscriber_id: Sealed(r.sid, r.address, r.name) for r in rows},
                {r.edition_id: r.selection for r in rows if r.selection is not None},
            )
    return None
