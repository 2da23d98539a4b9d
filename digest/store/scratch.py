"""What only a copy of the database is asked or told: trying, measuring."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, func, select, update

from digest.model import DeliveryState as S
from digest.model import IssueState
from digest.store import schema as t


class Waiting(NamedTuple):
    """A delivery that is ready to be handed over."""

    id: int
    did: str
    subscriber: int
    edition: int
    date_header: str


def waiting(tx: Connection, issue: int, last: int = 0, page: int = 500) -> list[Waiting]:
    """The next deliveries that are ready."""
    d = t.delivery.c
    query = select(d.id, d.did, d.subscriber_id, d.edition_id, d.date_header)
    chosen = query.where(d.issue_id == issue, d.state == S.READY.value, d.id > last).order_by(d.id).limit(page)
    return [Waiting(*row) for row in tx.execute(chosen)]


def waiting_by_edition(tx: Connection, issue: int) -> dict[int, int]:
    """How many ready deliveries each edition has."""
    d = t.delivery.c
    query = select(d.edition_id, func.count()).where(d.issue_id == issue, d.state == S.READY.value).group_by(d.edition_id)
    return dict(tx.execute(query.order_by(d.edition_id)).all())


def with_editions(tx: Connection) -> list[str]:
    """Issues that have been planned for somebody, the newest first."""
    i = t.issue.c
    query = select(i.name).join(t.edition, t.edition.c.issue_id == i.id).group_by(i.id).order_by(i.due_at.desc())
    return list(tx.execute(query).scalars())


def make_all_ready(tx: Connection, issue: int) -> int:
    """As if nothing of the issue had been handed over yet. Only ever on a copy. Returns how many."""
    d = t.delivery.c
    values = {"state": S.READY.value, "attempts": 0, "attempt_id": None, "next_at": None, "lease_until": None, "reason": ""}
    count = tx.execute(update(t.delivery).where(d.issue_id == issue, d.edition_id.is_not(None)).values(**values)).rowcount
    state = {"state": IssueState.SENDING.value, "paused_at": None, "send_not_after": None, "finished_at": None}
    tx.execute(update(t.issue).where(t.issue.c.id == issue).values(**state))
    return count
