"""What a reader's own pages need of the database besides the subscriber's row."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, delete, select, update

from digest.model import NOT_GIVEN, Status
from digest.store import hooks
from digest.store import schema as t
from digest.store.database import now
from digest.vault import Vault


def mark_pause(tx: Connection, row: int, at: datetime | None) -> None:
    """When the pause began; None where it is over."""
    tx.execute(update(t.subscriber).where(t.subscriber.c.id == row).values(paused_at=at))


def pauses_over(tx: Connection, on: date) -> list[tuple[str, datetime | None]]:
    """Who wants to be written to again on that date: id, and when the pause began."""
    c = t.subscriber.c
    query = select(c.sid, c.paused_at).where(c.status == Status.PAUSED.value, c.paused_until.is_not(None), c.paused_until <= on)
    return [(row.sid, row.paused_at) for row in tx.execute(query)]


def left_before(tx: Connection, before: datetime) -> list[str]:
    """The ids of those who left, or never confirmed, before an instant."""
    c = t.subscriber.c
    left = [Status.UNSUBSCRIBED.value, Status.PENDING.value]
    return list(tx.execute(select(c.sid).where(c.status.in_(left), c.status_at < before)).scalars())


def history(tx: Connection, row: int) -> list[dict[str, Any]]:
    """The issues a reader was planned for: name, state, when, and which pieces they were given."""
    d = t.delivery.c
    query = select(d.id, d.edition_id, t.issue.c.name, d.state, d.state_at).join(t.issue, t.issue.c.id == d.issue_id)
    found = []
    for one in tx.execute(query.where(d.subscriber_id == row).order_by(d.id)).all():
        items = select(t.summary.c.listed_as).join(t.edition_item, t.edition_item.c.summary_id == t.summary.c.id)
        pieces = tx.execute(items.where(t.edition_item.c.edition_id == one.edition_id).order_by(t.summary.c.id)).scalars().all()
        found.append({"issue": one.name, "state": one.state, "at": one.state_at, "summaries": list(pieces)})
    return found


def given_ever(tx: Connection, row: int) -> set[int]:
    """The rows of the summaries that a reader was given by any issue."""
    d = t.delivery.c
    query = select(t.edition_item.c.summary_id).join(t.delivery, d.edition_id == t.edition_item.c.edition_id)
    return set(tx.execute(query.where(d.subscriber_id == row, d.state.not_in(NOT_GIVEN))).scalars())


def blank(tx: Connection, vault: Vault, row: int, index: bytes) -> None:
    """Let go all that says who a subscriber was and what they followed; deliveries keep their sums. ``index`` is drawn at random."""
    tx.execute(delete(t.follows).where(t.follows.c.subscriber_id == row))
    tx.execute(delete(t.interest_choice).where(t.interest_choice.c.subscriber_id == row))
    tx.execute(update(t.consent).where(t.consent.c.subscriber_id == row).values(detail=None))
    tx.execute(update(t.delivery).where(t.delivery.c.subscriber_id == row).values(interests=""))
    at = now(tx)
    nobody = {
        "address_index": index,
        "address": vault.seal("", "address"),
        "name": vault.seal("", "name"),
        "audience": "",
        "language": "",
        "status": Status.ERASED.value,
        "status_at": at,
        "paused_until": None,
        "paused_at": None,
        "consent_source": "",
        "max_teasers": None,
        "plain_text": False,
        "large_print": False,
    }
    tx.execute(update(t.subscriber).where(t.subscriber.c.id == row).values(**nobody))
    hooks.reader_event(tx, row, "reader.forgotten", at)
