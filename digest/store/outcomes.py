"""What became of an issue's deliveries, in numbers and one by one."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, and_, func, select

from digest.model import NOT_GIVEN
from digest.model import DeliveryState as S
from digest.store import schema as t
from digest.store.bulk import among, listed
from digest.store.database import now


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
    return dict(tx.execute(_selections(tx.dialect.name), {"rows": listed(tx.dialect.name, editions)}).all())


@functools.cache
def _selections(dialect: str) -> Select[Any]:
    return select(t.edition.c.id, t.edition.c.selection).where(among(dialect, t.edition.c.id, "rows"))


def contradictions(tx: Connection, issue: int) -> int:
    """How often two things that exclude each other are known of the issue's deliveries."""
    return tx.execute(select(func.count()).where(t.contradiction.c.issue_id == issue)).scalar_one()


class Sent(NamedTuple):
    """The edition behind one delivery: which issue, to whom, what it held (JSON), and the date its message carries."""

    issue: str
    sid: str
    selection: str
    date_header: str


def sent(tx: Connection, did: str) -> Sent | None:
    """What a delivery gave its reader; None where there is no such delivery or it gave nothing."""
    query = (
        select(t.issue.c.name, t.subscriber.c.sid, t.edition.c.selection, t.delivery.c.date_header)
        .join(t.issue, t.issue.c.id == t.delivery.c.issue_id)
        .join(t.subscriber, t.subscriber.c.id == t.delivery.c.subscriber_id)
        .join(t.edition, t.edition.c.id == t.delivery.c.edition_id)
        .where(t.delivery.c.did == did, t.edition.c.problem == "")
    )
    row = tx.execute(query).one_or_none()
    return None if row is None else Sent(*row)
