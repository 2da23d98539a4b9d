"""What came back of an issue while it goes out: what the brake looks at."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from digest.model import DeliveryState as S
from digest.model import IssueState
from digest.store import schema as t


class Going(NamedTuple):
    """An issue that is going out: how many were planned, and when it was last resumed."""

    name: str
    planned: int
    since: datetime | None


def going_out(tx: Connection, issue: int) -> Going | None:
    """The issue, if it is going out, is not paused, and has something left that a pause would keep back."""
    i, d = t.issue.c, t.delivery.c
    row = tx.execute(
        select(i.name, i.planned).where(i.id == issue, i.state == IssueState.SENDING.value, i.paused_at.is_(None))
    ).one_or_none()
    if row is None or not tx.execute(select(d.id).where(d.issue_id == issue, d.state == S.READY.value).limit(1)).first():
        return None
    at = select(func.max(t.decision.c.at, type_=t.Instant()))
    return Going(row.name, row.planned or 0, tx.execute(at.where(t.decision.c.subject == row.name, t.decision.c.what == "resume")).scalar())


def first_handed_over(tx: Connection, issue: int, since: datetime | None, most: int) -> frozenset[str]:
    """The dids of the first deliveries handed over since then, in the order of their attempts."""
    a, d = t.attempt.c, t.delivery.c
    begun = select(a.id).where(a.issue_id == issue)
    begun = begun if since is None else begun.where(a.started_at > since)
    # Each attempt has a delivery but for those that were tried again since; twice as many attempts leave room for them.
    attempts = tx.execute(begun.order_by(a.id).limit(2 * most)).scalars().all()
    found: list[str] = []
    for start in range(0, len(attempts), 200):
        query = select(d.did).where(d.attempt_id.in_(attempts[start : start + 200])).order_by(d.attempt_id, d.id)
        found.extend(tx.execute(query.limit(most)).scalars())
        if len(found) >= most:
            break
    return frozenset(found[:most])


class Return(NamedTuple):
    """A message that came back: ``kind`` (hard, soft, blocked) and ``code`` as in `digest.verdict`."""

    did: str
    kind: str
    code: str


def gone(tx: Connection, dids: Collection[str]) -> int:
    """How many of these deliveries came back because the address is gone."""
    b = t.bounce.c
    count, wanted = 0, sorted(dids)
    for start in range(0, len(wanted), 400):
        query = select(func.count(b.did.distinct())).where(b.did.in_(wanted[start : start + 400]), b.kind == "hard")
        count += tx.execute(query).scalar_one()
    return count


def blocked(tx: Connection, issue: int, since: datetime | None) -> list[Return]:
    """What was refused for our doing, of the deliveries handed over since then."""
    b, d, a = t.bounce.c, t.delivery.c, t.attempt.c
    query = (
        select(b.did, b.kind, b.code)
        .join(t.delivery, d.did == b.did)
        .join(t.attempt, a.id == d.attempt_id)
        .where(d.issue_id == issue, b.kind == "blocked")
        .order_by(b.id)
    )
    # Both: a message put off by policy is tried again after the issue was resumed, and its old refusal counts no more.
    return [Return(*row) for row in tx.execute(query if since is None else query.where(a.started_at > since, b.at > since))]
