"""Short emails about a subscription itself: intent before the call, outcome after, and nothing kept of whom once settled."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, update

from digest.store import schema as t
from digest.store.database import now
from digest.vault import Vault

OPEN = ("waiting", "inflight")
_CHUNK = 400  # values in one IN (...)


class Mail(NamedTuple):
    """A claimed mail: ``about`` is in its body."""

    row: int
    did: str
    kind: str
    body: Mapping[str, Any]
    made_at: datetime
    attempts: int


def put(tx: Connection, vault: Vault, kind: str, address_index: bytes, body: Mapping[str, Any]) -> None:
    """A mail that is to leave."""
    at = now(tx)
    sealed = vault.seal(json.dumps(body), "mail")
    values = {"did": secrets.token_hex(16), "kind": kind, "address_index": address_index, "body": sealed, "state": "waiting"}
    tx.execute(insert(t.mail).values(**values, state_at=at, made_at=at, next_at=at))


def sent_since(tx: Connection, address_index: bytes, kinds: tuple[str, ...], since: datetime) -> int:
    """How many mails of these kinds were made for an address."""
    chosen = (t.mail.c.address_index == address_index) & t.mail.c.kind.in_(kinds) & (t.mail.c.made_at >= since)
    return tx.execute(select(func.count()).select_from(t.mail).where(chosen)).scalar_one()


def claim(tx: Connection, vault: Vault, lease: timedelta) -> Mail | None:
    """The next mail that may leave, now in flight. Durable before the provider is called."""
    at = now(tx)
    due = select(t.mail).where(t.mail.c.state == "waiting", t.mail.c.next_at <= at).order_by(t.mail.c.next_at, t.mail.c.id).limit(1)
    row = tx.execute(due.with_for_update(skip_locked=True)).one_or_none()  # another process may be at work, too
    if row is None:
        return None
    values = {"state": "inflight", "state_at": at, "lease_until": at + lease, "attempts": row.attempts + 1}
    tx.execute(update(t.mail).where(t.mail.c.id == row.id).values(**values))
    return Mail(row.id, row.did, row.kind, json.loads(vault.open(row.body, "mail")), row.made_at, row.attempts + 1)


def settle(tx: Connection, vault: Vault, row: int, state: str, reason: str = "", next_at: datetime | None = None) -> None:
    """What became of a mail in flight. One that is done says no more whom it was for."""
    values: dict[str, Any] = {"state": state, "state_at": now(tx), "reason": reason, "lease_until": None}
    if next_at is not None:
        values["next_at"] = next_at
    if state not in OPEN:
        values["body"] = vault.seal("{}", "mail")
    tx.execute(update(t.mail).where(t.mail.c.id == row, t.mail.c.state == "inflight").values(**values))


class Told(NamedTuple):
    """A mail that a provider told something of; the subscriber who has its address now, if there is one."""

    did: str
    address_index: bytes
    subscriber: int | None
    consent_at: datetime | None


def fresh_events(tx: Connection, most: int) -> dict[str, list[int]]:
    """Mails that have events not joined yet, as did and the events' rows."""
    e = t.provider_event.c
    found: dict[str, list[int]] = {}
    query = select(e.did, e.id).join(t.mail, t.mail.c.did == e.did).where(e.joined.is_(False)).limit(most)
    for did, row in tx.execute(query):
        found.setdefault(did, []).append(row)
    return found


def told(tx: Connection, dids: Collection[str]) -> list[Told]:
    """The mails of these dids."""
    m, s = t.mail.c, t.subscriber.c
    query = select(m.did, m.address_index, s.id, s.consent_at).outerjoin(t.subscriber, s.address_index == m.address_index)
    found = []
    for chunk in _chunks(dids):
        found += [Told(*row) for row in tx.execute(query.where(m.did.in_(chunk)).order_by(m.id))]
    return found


def accept(tx: Connection, vault: Vault, dids: Collection[str]) -> None:
    """The provider has these mails: where that was not known, it is now."""
    m, at = t.mail.c, now(tx)
    unsure = or_(m.state == "uncertain", and_(m.state == "inflight", m.lease_until < at))
    values = {"state": "accepted", "state_at": at, "reason": "", "lease_until": None, "body": vault.seal("{}", "mail")}
    for chunk in _chunks(dids):
        tx.execute(update(t.mail).where(m.did.in_(chunk), unsure).values(**values))


def dead(tx: Connection) -> list[tuple[int, str]]:
    """Mails in flight whose process is gone: row and id."""
    query = select(t.mail.c.id, t.mail.c.did).where(t.mail.c.state == "inflight", t.mail.c.lease_until < now(tx))
    return [(row.id, row.did) for row in tx.execute(query)]


def expire(tx: Connection, vault: Vault, before: datetime) -> int:
    """Mails that could not leave for days say nothing to anybody any more. Returns how many."""
    gone = tx.execute(select(t.mail.c.id).where(t.mail.c.state == "waiting", t.mail.c.made_at < before)).scalars().all()
    for row in gone:
        values = {"state": "expired", "state_at": now(tx), "body": vault.seal("{}", "mail")}
        tx.execute(update(t.mail).where(t.mail.c.id == row).values(**values))
    return len(gone)


def forget(tx: Connection, before: datetime) -> int:
    """Let go the rows of settled mails. Returns how many."""
    return tx.execute(delete(t.mail).where(t.mail.c.made_at < before, t.mail.c.state.not_in(OPEN))).rowcount


def forget_address(tx: Connection, address_index: bytes) -> None:
    """Let go every mail of one address, one that waits to leave too."""
    tx.execute(delete(t.mail).where(t.mail.c.address_index == address_index, t.mail.c.state != "inflight"))


def counts(tx: Connection) -> dict[str, int]:
    """How many mails there are in each state."""
    return dict(tx.execute(select(t.mail.c.state, func.count()).group_by(t.mail.c.state)).all())


def waiting(tx: Connection) -> bool:
    """Whether one may leave now."""
    return tx.execute(select(t.mail.c.id).where(t.mail.c.state == "waiting", t.mail.c.next_at <= now(tx)).limit(1)).first() is not None


def _chunks(dids: Collection[str]) -> Iterator[list[str]]:
    ordered = sorted(dids)
    return (ordered[start : start + _CHUNK] for start in range(0, len(ordered), _CHUNK))
