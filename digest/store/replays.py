"""What was handed over of an issue, as far as it takes to make the messages again."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, case, func, select

from digest.model import DeliveryState as S
from digest.store import schema as t

_LEFT = (S.ACCEPTED.value, S.UNCERTAIN.value, S.HELD.value)  # accepted, or perhaps so


class Given(NamedTuple):
    """A delivery that left, or may have. ``sha256`` is of the whole message, empty where the provider takes no whole messages."""

    id: int
    did: str
    subscriber: int
    edition: int
    date_header: str
    sha256: str


def given(tx: Connection, issue: int, last: int, page: int) -> list[Given]:
    """The next ones of an issue, in order of their rows."""
    query = _query(issue).where(t.delivery.c.id > last).order_by(t.delivery.c.id).limit(page)
    return [Given(*row) for row in tx.execute(query)]


def given_as(tx: Connection, issue: int, did: str) -> Given | None:
    """The one of that id."""
    row = tx.execute(_query(issue).where(t.delivery.c.did == did)).one_or_none()
    return Given(*row) if row is not None else None


def first_of_editions(tx: Connection, issue: int, most: int) -> list[Given]:
    """One message of each edition that left, those of the editions that most readers have first."""
    d = t.delivery.c
    first = (
        select(func.min(d.id).label("id"), func.count().label("readers"))
        .where(d.issue_id == issue, d.state.in_(_LEFT), d.edition_id.is_not(None))
        .group_by(d.edition_id)
        .order_by(func.count().desc(), func.min(d.id))
        .limit(most)
        .subquery()
    )
    query = _query(issue).join(first, first.c.id == d.id).order_by(first.c.readers.desc(), d.id)
    return [Given(*row) for row in tx.execute(query)]


def _query(issue: int) -> Select[Any]:
    d = t.delivery.c
    # What is kept of a message in parts is the hash of what was said to its reader, which no message can be held against.
    whole = case((t.attempt.c.provider == "sendgrid", ""), else_=d.sha256)
    columns = (d.id, d.did, d.subscriber_id, d.edition_id, d.date_header, whole)
    left = select(*columns).outerjoin(t.attempt, t.attempt.c.id == d.attempt_id)
    return left.where(d.issue_id == issue, d.state.in_(_LEFT), d.edition_id.is_not(None))
