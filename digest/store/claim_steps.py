"""The statements of a claim step by step, built once: so SQLite is asked, and PostgreSQL where its one statement found nothing.

Building them anew took a third of the processor time of a batch of a dozen readers (cProfile).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Integer, Select, String, Update, and_, bindparam, select, update

from digest.model import DeliveryState as S
from digest.store import schema as t
from digest.store.bulk import among
from digest.store.claiming import CLAIM_ORDER
from digest.store.people import Sealed

_d = t.delivery.c
_AT, _ISSUE = bindparam("at", type_=t.Instant()), bindparam("issue", type_=Integer())


class Due(NamedTuple):
    """Of what may leave by one reason: the first edition, and rows with their readers, of that edition or of any."""

    first_edition: Select[Any]
    of_edition: Select[Any]
    of_any: Select[Any]


class Steps(NamedTuple):
    """What is asked, in order. Values by name: ``issue``, ``at``, ``k`` (most rows), ``edition``; ``row`` and ``why`` of who is
    skipped; ``rows`` (see `bulk.listed`), ``attempt``, ``owner`` and ``until`` of what is taken.
    """

    going: Select[Any]
    due: tuple[Due, ...]
    skip: Update
    take: Update


@functools.lru_cache(16)
def steps(dialect: str, consent: Callable[[], Any], leaves: Callable[[], Any]) -> Steps:
    """The statements in a dialect. ``consent`` and ``leaves`` say in SQL which readers may be written to, and which issues go out."""
    i = t.issue.c
    ready = and_(_d.issue_id == _ISSUE, _d.state == S.READY.value)
    return Steps(
        going=select(i.send_not_after).where(i.id == _ISSUE, i.paused_at.is_(None), leaves()),
        # Apart, so that the index gives each in its order: what never waited, then what has waited long enough.
        due=tuple(_due(and_(ready, when), consent()) for when in (_d.next_at.is_(None), _d.next_at <= _AT)),
        skip=update(t.delivery)
        .where(_d.id == bindparam("row"), _d.state == S.READY.value)
        .values(state=S.SKIPPED.value, state_at=_AT, reason=bindparam("why")),
        take=update(t.delivery)
        .where(among(dialect, _d.id, "rows"), _d.state == S.READY.value)
        .values(
            state=S.INFLIGHT.value,
            state_at=_AT,
            attempt_id=bindparam("attempt"),
            attempts=_d.attempts + 1,
            lease_owner=bindparam("owner", type_=String()),
            lease_epoch=_d.lease_epoch + 1,
            lease_until=bindparam("until", type_=t.Instant()),
        ),
    )


def _due(ready: ColumnElement[bool], consent: Any) -> Due:
    rows = (
        select(_d.id, _d.did, _d.subscriber_id, _d.edition_id, _d.date_header, _d.attempts, _d.lease_epoch)
        .add_columns(consent.label("writable"), t.subscriber.c.status, *(t.subscriber.c[name] for name in Sealed._fields))
        .join(t.subscriber, t.subscriber.c.id == _d.subscriber_id)
        .order_by(*CLAIM_ORDER)
        .limit(bindparam("k", type_=Integer()))
        .with_for_update(of=t.delivery, skip_locked=True)
    )
    first = select(_d.edition_id).where(ready).order_by(*CLAIM_ORDER).limit(1).with_for_update(skip_locked=True)
    return Due(first, rows.where(ready, _d.edition_id == bindparam("edition", type_=Integer())), rows.where(ready))
