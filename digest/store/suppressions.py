"""Who must not be written to, and why. The list holds keyed hashes: it outlives a subscriber's record and names nobody."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, insert, select, update

from digest.events import Suppression, stronger
from digest.model import Status
from digest.store import hooks
from digest.store import schema as t
from digest.store.database import now
from digest.store.dialect import upsert
from digest.store.people import record_consent
from digest.vault import Vault

REMOVED = "suppression removed"  # how a decision calls it; its subject is the hash in hex


def find(tx: Connection, address_index: bytes) -> Suppression | None:
    """Why that address is suppressed; None where it is not."""
    s = t.suppression.c
    row = tx.execute(select(s.reason, s.at, s.source).where(s.address_index == address_index)).one_or_none()
    return Suppression(*row) if row else None


def put(tx: Connection, address_index: bytes, new: Suppression) -> bool:
    """Suppress an address. A weaker or later reason never replaces what is there. Returns whether the address was free before.

    A complaint also ends the subscription itself: taking the suppression back does not bring the reader back.
    """
    old = find(tx, address_index)
    kept = stronger(old, new)
    if kept is not None and kept != old:
        values = kept._asdict()
        tx.execute(
            upsert(tx, t.suppression)
            .values(address_index=address_index, **values)
            .on_conflict_do_update(index_elements=["address_index"], set_=values)
        )
        if old is None or old.reason != kept.reason:
            kind = "reader.bounced" if kept.reason == "bounce" else "reader.suppressed"
            hooks.address_event(tx, address_index, kind, now(tx), kept.reason)
    if new.reason == "complaint":
        stays = t.subscriber.c.status != Status.SUPPRESSED.value
        ended = {"status": Status.SUPPRESSED.value, "status_at": now(tx)}
        tx.execute(update(t.subscriber).where(t.subscriber.c.address_index == address_index, stays).values(**ended))
    return old is None


def drop(tx: Connection, address_index: bytes) -> None:
    """Allow an address again."""
    tx.execute(delete(t.suppression).where(t.suppression.c.address_index == address_index))


def leave(tx: Connection, subscriber: int, at: datetime, source: str, status: Status) -> bool:
    """A reader left through the provider: end the subscription and keep it in the consent record. Returns whether it is news."""
    c = t.consent.c
    same = select(c.id).where(c.subscriber_id == subscriber, c.kind == "withdrawn", c.at == at, c.source == source)
    if tx.execute(same).first():
        return False
    record_consent(tx, subscriber, "withdrawn", at, source, now(tx))
    stays = (Status.SUPPRESSED,) if status is Status.SUPPRESSED else (Status.SUPPRESSED, Status.UNSUBSCRIBED)
    c, moved_at = t.subscriber.c, now(tx)
    whom = (c.id == subscriber) & c.status.not_in([one.value for one in stays])
    if tx.execute(update(t.subscriber).where(whom).values(status=status.value, status_at=moved_at)).rowcount:
        hooks.reader_event(tx, subscriber, "reader.left", moved_at)
    return True


def removals(tx: Connection) -> dict[str, datetime]:
    """When people last took an address off the list, by its hash in hex: what was told before then counts no more."""
    d = t.decision.c
    query = select(d.subject, func.max(d.at, type_=t.Instant())).where(d.what == REMOVED).group_by(d.subject)
    return dict(tx.execute(query).all())


class Entry(NamedTuple):
    """A suppressed address. ``email`` and ``status`` are known only while it is also a subscriber's."""

    suppression: Suppression
    email: str
    status: str


def entries(tx: Connection, vault: Vault, page: int = 1000) -> Iterator[Entry]:
    """Everything on the list, the newest first."""
    s, p = t.suppression.c, t.subscriber.c
    query = (
        select(s.reason, s.at, s.source, p.address, p.status)
        .select_from(t.suppression)
        .outerjoin(t.subscriber, p.address_index == s.address_index)
        .order_by(s.at.desc(), s.address_index)
    )
    for row in tx.execute(query).yield_per(page):
        email = vault.open(row.address, "address") if row.address is not None else ""
        yield Entry(Suppression(row.reason, row.at, row.source), email, row.status or "")


def record(tx: Connection, who: str, what: str, subject: str, detail: str = "") -> None:
    """One line of what people decided about the list; lines are only ever added."""
    tx.execute(insert(t.decision).values(at=now(tx), who=who, what=what, subject=subject, detail=detail))
