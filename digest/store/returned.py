"""What came back of one issue, counted."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from digest.store import schema as t


def by_reason(tx: Connection, issue: int) -> list[tuple[str, str, int]]:
    """Kind, code and number of the deliveries that came back, the most first; one that came back twice alike counts once."""
    count = func.count(t.bounce.c.did.distinct())
    query = (
        select(t.bounce.c.kind, t.bounce.c.code, count)
        .join(t.delivery, t.delivery.c.did == t.bounce.c.did)
        .where(t.delivery.c.issue_id == issue)
        .group_by(t.bounce.c.kind, t.bounce.c.code)
        .order_by(count.desc(), t.bounce.c.kind, t.bounce.c.code)
    )
    return [(row[0], row[1], row[2]) for row in tx.execute(query)]


def readers(tx: Connection, issue: int) -> list[int]:
    """The rows of the readers from whom something of the issue came back."""
    query = select(t.delivery.c.subscriber_id).join(t.bounce, t.delivery.c.did == t.bounce.c.did).where(t.delivery.c.issue_id == issue)
    return list(tx.execute(query.distinct().order_by(t.delivery.c.subscriber_id)).scalars())
