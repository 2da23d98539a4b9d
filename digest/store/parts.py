"""The parts in which several workers plan one issue. They only share out the work: deliveries say who is planned.

A part that is planned twice plans nobody twice, for a delivery is unique by issue and subscriber. So a part whose lease has
ended is simply taken again, whatever became of who had it.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, update

from digest.store import schema as t
from digest.store.dialect import now, upsert
from digest.store.people import writable

_TERM = "planning_term"  # in meta
_p = t.plan_part.c


class Part(NamedTuple):
    """Readers whose row is above ``after``, and not above ``up_to`` unless that is None."""

    after: int
    up_to: int | None


def begin_term(tx: Connection, issue: int) -> None:
    """From now on what is planned is planned by this term: pages read in an earlier one are refused (see ``term``), and parts that
    are in somebody's hands are free again.

    A reader's earlier issues are looked at before a page is written. Whoever begins to plan an issue after somebody else died at
    another must not have that one's helpers write behind their back, or a summary would stand in both.
    """
    term = f"{issue}:{secrets.token_hex(8)}"
    statement = upsert(tx, t.meta).values(key=_TERM, value=term)
    tx.execute(statement.on_conflict_do_update(index_elements=["key"], set_={"value": term}))
    tx.execute(update(t.plan_part).where(~_p.done).values(lease_until=None))


def term(tx: Connection, issue: int) -> str:
    """The term that pages of an issue are written in now, empty where it has none or another issue is planned since.

    A writer who found another when it read must not write.
    """
    found = tx.execute(select(t.meta.c.value).where(t.meta.c.key == _TERM)).scalar() or ""
    return found if found.startswith(f"{issue}:") else ""


def cut(tx: Connection, issue: int, cadence: str, after: int, size: int) -> None:
    """Share out the readers above ``after`` in parts of about ``size``, unless that has been done."""
    if tx.execute(select(_p.after).where(_p.issue_id == issue).limit(1)).first():
        return
    c = t.subscriber.c
    numbered = (
        select(c.id, func.row_number().over(order_by=c.id).label("n")).where(c.cadence == cadence, c.id > after, writable()).subquery()
    )
    ends = list(tx.execute(select(numbered.c.id).where(numbered.c.n % size == 0).order_by(numbered.c.id)).scalars())
    tx.execute(
        insert(t.plan_part),
        [{"issue_id": issue, "after": first, "up_to": last} for first, last in zip([after, *ends], [*ends, None], strict=True)],
    )


def take(tx: Connection, issue: int, owner: str, lease: timedelta) -> Part | None:
    """A part that nobody has in hand; None where there is none just now."""
    at = now(tx)
    free = and_(_p.issue_id == issue, ~_p.done, or_(_p.lease_until.is_(None), _p.lease_until < at))
    first = select(_p.after).where(free).order_by(_p.after).limit(1).with_for_update(skip_locked=True).scalar_subquery()
    taken = update(t.plan_part).where(_p.issue_id == issue, _p.after == first).values(owner=owner, lease_until=at + lease)
    row = tx.execute(taken.returning(_p.after, _p.up_to)).one_or_none()
    return None if row is None else Part(*row)


def finish(tx: Connection, issue: int, part: Part) -> None:
    """All readers of a part have their deliveries, those written in this transaction among them."""
    tx.execute(update(t.plan_part).where(_p.issue_id == issue, _p.after == part.after).values(done=True, lease_until=None))


def planned_up_to(tx: Connection, issue: int, part: Part) -> int:
    """The last of a part's readers that has a delivery."""
    d = t.delivery.c
    query = select(func.max(d.subscriber_id)).where(d.issue_id == issue, d.subscriber_id > part.after)
    if part.up_to is not None:
        query = query.where(d.subscriber_id <= part.up_to)
    return tx.execute(query).scalar() or part.after


def left(tx: Connection, issue: int) -> int:
    """How many parts are not done."""
    return tx.execute(select(func.count()).where(_p.issue_id == issue, ~_p.done)).scalar_one()


def remove(tx: Connection, issue: int) -> None:
    """The issue is planned."""
    tx.execute(delete(t.plan_part).where(_p.issue_id == issue))
