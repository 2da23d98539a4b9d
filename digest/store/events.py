"""What providers tell later: bodies as they came, the events in them, and their join with the ledger.

Only ids, kinds, times and codes are kept in the clear; a body, which holds addresses, lies sealed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, bindparam, exists, func, or_, select, update

from digest.events import SIBLING_OPEN, Event, Facts, Joined, Standing, from_detail
from digest.model import DeliveryState as S
from digest.store import schema as t
from digest.store.database import now
from digest.store.dialect import least, upsert
from digest.vault import Vault

# Providers whose call is taken or refused as a whole, so that one event proves it for all deliveries of the attempt.
ATOMIC = ("sendgrid",)
_CHUNK = 400  # values in one IN (...)


# --- the inbox -----------------------------------------------------------------------------------------------------------


def put_body(tx: Connection, vault: Vault, provider: str, raw: bytes, at: datetime) -> bool:
    """Keep a body as it came, sealed. The same body twice is one. Returns whether it is new."""
    values = {
        "provider": provider,
        "received_at": at,
        "raw_sha256": hashlib.sha256(raw).hexdigest(),
        "body": vault.seal(raw.decode("latin-1"), "event"),  # any bytes at all go through latin-1 and back
    }
    return tx.execute(upsert(tx, t.event_inbox).values(values).on_conflict_do_nothing()).rowcount == 1


class Body(NamedTuple):
    """A body that waits to be read."""

    id: int
    provider: str
    received_at: datetime
    raw: bytes


def waiting(tx: Connection, vault: Vault, limit: int) -> list[Body]:
    """The oldest bodies that were not read yet."""
    query = select(t.event_inbox).where(t.event_inbox.c.applied_at.is_(None)).order_by(t.event_inbox.c.id).limit(limit)
    return [Body(r.id, r.provider, r.received_at, vault.open(r.body, "event").encode("latin-1")) for r in tx.execute(query)]


def mark_read(tx: Connection, ids: Sequence[int]) -> None:
    """These bodies were read."""
    tx.execute(update(t.event_inbox).where(t.event_inbox.c.id.in_(ids)).values(applied_at=now(tx)))


def put_events(tx: Connection, vault: Vault, events: Iterable[Event]) -> int:
    """Keep events, each once: the same one under another id of the provider's is the same. Returns how many are new."""
    at = now(tx)
    rows = [
        {
            "did": event.did,
            "aid": event.aid,
            "kind": event.kind,
            "at": event.at,
            # Keyed, because words may hold an address and a plain hash of an address can be guessed.
            "detail_hash": vault.index(f"event\n{event.detail}\n{event.words}").hex(),
            "detail": event.detail,
            "joined": False,
            "recorded_at": at,
        }
        for event in events
    ]
    if not rows:
        return 0
    last = tx.execute(select(func.max(t.provider_event.c.id))).scalar() or 0
    tx.execute(upsert(tx, t.provider_event).on_conflict_do_nothing(), rows)
    return tx.execute(select(func.count()).where(t.provider_event.c.id > last)).scalar_one()


# --- the join ------------------------------------------------------------------------------------------------------------


class Known(NamedTuple):
    """A delivery that events were told of, with the person it went to."""

    id: int
    did: str
    issue: int
    attempt: int | None
    standing: Standing
    subscriber: int
    address_index: bytes
    consent_at: datetime | None


def fresh(tx: Connection, limit: int) -> dict[str, list[int]]:
    """Deliveries that have events not joined yet, as did and the events' rows; those of unknown deliveries stay out."""
    query = (
        select(t.provider_event.c.did, t.provider_event.c.id)
        .join(t.delivery, t.delivery.c.did == t.provider_event.c.did)
        .where(t.provider_event.c.joined.is_(False))
        .limit(limit)
    )
    found: dict[str, list[int]] = {}
    for did, row in tx.execute(query):
        found.setdefault(did, []).append(row)
    return found


def known(tx: Connection, dids: Collection[str]) -> list[Known]:
    """The deliveries of these dids."""
    query = (
        select(t.delivery, t.attempt.c.aid, t.subscriber.c.address_index, t.subscriber.c.consent_at)
        .join(t.subscriber, t.subscriber.c.id == t.delivery.c.subscriber_id)
        .outerjoin(t.attempt, t.attempt.c.id == t.delivery.c.attempt_id)
    )
    found = []
    for chunk in _chunks(sorted(dids)):
        for r in tx.execute(query.where(t.delivery.c.did.in_(chunk))):
            facts = Facts(r.delivered_at, r.bounced_at, r.dropped_at, r.complained_at)
            standing = Standing(S(r.state), r.evidence, facts, r.aid or "")
            found.append(Known(r.id, r.did, r.issue_id, r.attempt_id, standing, r.subscriber_id, r.address_index, r.consent_at))
    return found


def events_of(tx: Connection, dids: Collection[str]) -> dict[str, list[Event]]:
    """All events of these dids."""
    e = t.provider_event.c
    found: dict[str, list[Event]] = {}
    for chunk in _chunks(sorted(dids)):
        for r in tx.execute(select(e.did, e.aid, e.kind, e.at, e.detail).where(e.did.in_(chunk))):
            found.setdefault(r.did, []).append(from_detail(*r))
    return found


class Attempt(NamedTuple):
    """An attempt as events name it."""

    id: int
    issue: int
    provider: str
    n: int


def attempts(tx: Connection, aids: Collection[str]) -> dict[str, Attempt]:
    """The attempts of these aids; unknown ones are left out."""
    a = t.attempt.c
    found = {}
    for chunk in _chunks(sorted(aids)):
        for r in tx.execute(select(a.aid, a.id, a.issue_id, a.provider, a.n).where(a.aid.in_(chunk))):
            found[r.aid] = Attempt(*r[1:])
    return found


def write_joined(tx: Connection, changes: Sequence[tuple[Known, Joined]]) -> int:
    """Write what the events made of deliveries. Returns how many were accepted on the strength of their own event."""
    at = now(tx)
    d = t.delivery.c
    facts = [{"row": one.id, **joined.facts._asdict()} for one, joined in changes if joined.facts != one.standing.facts]
    if facts:
        tx.execute(update(t.delivery).where(d.id == bindparam("row")), facts)
    moved = [one.id for one, joined in changes if joined.state is not one.standing.state]
    values = {"state": S.ACCEPTED.value, "state_at": at, "evidence": "event", "reason": ""}
    for chunk in _chunks(moved):
        tx.execute(update(t.delivery).where(d.id.in_(chunk)).values(**values, next_at=None, lease_owner=None, lease_until=None))
    known_better = [one.id for one, joined in changes if joined.state is one.standing.state and joined.evidence != one.standing.evidence]
    for chunk in _chunks(known_better):
        tx.execute(update(t.delivery).where(d.id.in_(chunk)).values(evidence="event"))
    odd = [
        {"issue_id": one.issue, "did": one.did, "what": what, "at": at} for one, joined in changes for what in sorted(joined.contradictions)
    ]
    if odd:
        tx.execute(upsert(tx, t.contradiction).on_conflict_do_nothing(), odd)
    return len(moved)


def mark_joined(tx: Connection, rows: Sequence[int]) -> None:
    """These events are part of the ledger now."""
    tx.execute(
        update(t.provider_event).where(t.provider_event.c.id == bindparam("row")).values(joined=True), [{"row": row} for row in rows]
    )


def accept_siblings(tx: Connection, attempt_rows: Collection[int]) -> int:
    """One event proves that the call was taken whole: accept what else was handed over in it. Returns how many.

    Not what is in somebody's hands at this moment: its own reply may still come.
    """
    d = t.delivery.c
    at = now(tx)
    free = and_(
        d.state.in_([state.value for state in SIBLING_OPEN]),
        or_(d.state != S.INFLIGHT.value, d.lease_until.is_(None), d.lease_until < at),
    )
    values = {"state": S.ACCEPTED.value, "state_at": at, "evidence": "sibling", "reason": ""}
    moved = 0
    for chunk in _chunks(sorted(attempt_rows)):
        statement = update(t.delivery).where(d.attempt_id.in_(chunk), free)
        moved += tx.execute(statement.values(**values, next_at=None, lease_owner=None, lease_until=None)).rowcount
    return moved


def proven_open_attempts(tx: Connection) -> list[int]:
    """Attempts with open deliveries that some event proves: a delivery may become uncertain after its sibling's event came."""
    d, event, own = t.delivery.c, t.provider_event.c, t.delivery.alias()
    states = [S.INFLIGHT.value, S.UNCERTAIN.value, S.HELD.value]
    proof = exists().where(event.aid == t.attempt.c.aid, own.c.did == event.did, own.c.issue_id == t.attempt.c.issue_id)
    query = (
        select(t.attempt.c.id)
        .distinct()
        .select_from(t.issue)
        .join(t.delivery, and_(d.issue_id == t.issue.c.id, d.state.in_(states)))
        .join(t.attempt, t.attempt.c.id == d.attempt_id)
        .where(t.attempt.c.provider.in_(ATOMIC), proof)
    )
    return list(tx.execute(query).scalars())


def only_delivery_of(tx: Connection, attempt: int) -> str:
    """The did of an attempt that carried a single delivery, where that is still its last attempt; else ''."""
    found = tx.execute(select(t.delivery.c.did).where(t.delivery.c.attempt_id == attempt).limit(2)).scalars().all()
    return found[0] if len(found) == 1 else ""


# --- bounces -------------------------------------------------------------------------------------------------------------


def put_bounces(tx: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep failures of addresses (``address_index, did, kind, code, at``).

    Of two codes at one time the lesser stays, whichever came first.
    """
    if not rows:
        return
    statement = upsert(tx, t.bounce)
    code = least(tx, t.bounce.c.code, statement.excluded.code)
    tx.execute(statement.on_conflict_do_update(index_elements=["did", "kind", "at"], set_={"code": code}), list(rows))


def soft_bounces(tx: Connection, address_index: bytes) -> list[tuple[datetime, str]]:
    """The soft bounces of an address, as (time, did)."""
    b = t.bounce.c
    return [(r.at, r.did) for r in tx.execute(select(b.at, b.did).where(b.address_index == address_index, b.kind == "soft"))]


# --- lists ---------------------------------------------------------------------------------------------------------------


class Unknown(NamedTuple):
    """An event that fits no delivery we know, or that could not be read."""

    id: int
    did: str
    kind: str
    at: datetime
    detail: str
    recorded_at: datetime


def unknown(tx: Connection, limit: int = 1000) -> list[Unknown]:
    """Events that fit no delivery, the newest first."""
    e = t.provider_event.c
    query = select(e.id, e.did, e.kind, e.at, e.detail, e.recorded_at).where(e.joined.is_(False)).order_by(e.id.desc()).limit(limit)
    return [Unknown(*row) for row in tx.execute(query)]


def count_unknown(tx: Connection) -> int:
    """How many events fit no delivery."""
    return tx.execute(select(func.count()).where(t.provider_event.c.joined.is_(False))).scalar_one()


def contradictions(tx: Connection, issue: int | None = None) -> list[tuple[str, str, datetime]]:
    """What does not fit together, as (did, what, when it was seen)."""
    c = t.contradiction.c
    query = select(c.did, c.what, c.at).order_by(c.id)
    return [(r.did, r.what, r.at) for r in tx.execute(query if issue is None else query.where(c.issue_id == issue))]


def events_of_attempts(tx: Connection, aids: Collection[str]) -> dict[str, int]:
    """How many events name each of these attempts."""
    found: dict[str, int] = {}
    for chunk in _chunks(sorted(aids)):
        query = select(t.provider_event.c.aid, func.count()).where(t.provider_event.c.aid.in_(chunk)).group_by(t.provider_event.c.aid)
        found.update(tx.execute(query).all())
    return found


def untraced(tx: Connection, issue: int | None = None, hours: int = 72) -> list[tuple[str, datetime]]:
    """Deliveries accepted for a sibling's sake that nothing was told of for so long, as (did, since)."""
    d = t.delivery.c
    query = (
        select(d.did, d.state_at)
        .select_from(t.issue)
        .join(t.delivery, and_(d.issue_id == t.issue.c.id, d.state == S.ACCEPTED.value))
        .where(d.evidence == "sibling", d.state_at < now(tx) - timedelta(hours=hours))
        .order_by(d.id)
    )
    return [(r.did, r.state_at) for r in tx.execute(query if issue is None else query.where(t.issue.c.id == issue))]


def _chunks(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))
