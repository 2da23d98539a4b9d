"""Subscribers, their consent, and who must not be written to. Addresses and names go in and out sealed."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, exists, func, insert, select, update

from digest.addresses import Address
from digest.model import Status, Subscriber
from digest.store import hooks
from digest.store import schema as t
from digest.store.bulk import among, listed
from digest.vault import Vault


class Person(NamedTuple):
    """A subscriber and the row they are."""

    row: int
    subscriber: Subscriber


class Sealed(NamedTuple):
    """What a message needs of its reader, as it lies in the database: id in links, address and name."""

    sid: str
    address: bytes
    name: bytes


class Reader(NamedTuple):
    """A subscriber as planning sees one: no address, no name."""

    row: int
    interests: tuple[str, ...]
    audience: tuple[str, ...]
    fewer: frozenset[str] = frozenset()
    max_teasers: int | None = None
    plain_text: bool = False
    large_print: bool = False
    language: str = ""


def find(tx: Connection, vault: Vault, address: Address) -> Person | None:
    """The subscriber of that address, in whichever spelling it was given."""
    return _one(tx, vault, t.subscriber.c.address_index == vault.index(address.key))


def find_by_id(tx: Connection, vault: Vault, sid: str) -> Person | None:
    """The subscriber that signed links are about; nobody once they are erased."""
    return _one(tx, vault, (t.subscriber.c.sid == sid) & (t.subscriber.c.status != Status.ERASED.value))


def _one(tx: Connection, vault: Vault, where: Any) -> Person | None:
    row = tx.execute(select(t.subscriber).where(where)).one_or_none()
    if row is None:
        return None
    interests = _interests(tx, row.id, row.id).get(row.id, ())
    return Person(row.id, _open(vault, row, interests, _fewer(tx, row.id, row.id).get(row.id, ())))


def is_suppressed(tx: Connection, vault: Vault, address: Address) -> bool:
    """Whether nobody may be written to at that address, subscriber or not."""
    return bool(tx.execute(select(exists().where(t.suppression.c.address_index == vault.index(address.key)))).scalar())


def add(tx: Connection, vault: Vault, address: Address, subscriber: Subscriber, at: datetime) -> int:
    """A new subscriber; the id is drawn here. Returns the row."""
    row: int = tx.execute(
        insert(t.subscriber)
        .values(
            sid=secrets.token_hex(16),
            address_index=vault.index(address.key),
            address=vault.seal(subscriber.email, "address"),
            status_at=at,
            created_at=at,
            **_plain(vault, subscriber),
        )
        .returning(t.subscriber.c.id)
    ).scalar_one()
    _set_follows(tx, row, subscriber)
    if subscriber.consent_at is not None:
        record_consent(tx, row, "given", subscriber.consent_at, subscriber.consent_source, at)
    hooks.reader_event(tx, row, hooks.kind_of(None, subscriber.status), at)
    return row


def change(tx: Connection, vault: Vault, row: int, subscriber: Subscriber, at: datetime) -> None:
    """Write a subscriber's new particulars; the address stays, a change of status is dated."""
    status, cadence = tx.execute(select(t.subscriber.c.status, t.subscriber.c.cadence).where(t.subscriber.c.id == row)).one()
    values = _plain(vault, subscriber)
    if status != subscriber.status:
        values["status_at"] = at
        record_consent(tx, row, "status", at, f"{status} to {subscriber.status}", at)
    if cadence != subscriber.cadence:
        values["cadence_at"] = at  # the next issue looks at what they would miss (see `carry`)
    tx.execute(update(t.subscriber).where(t.subscriber.c.id == row).values(**values))
    _set_follows(tx, row, subscriber)
    hooks.reader_event(tx, row, hooks.kind_of(status, subscriber.status), at)


def set_status(tx: Connection, row: int, was: Status, status: Status, at: datetime) -> None:
    """A dated change of status, and nothing else."""
    tx.execute(update(t.subscriber).where(t.subscriber.c.id == row).values(status=status.value, status_at=at))
    record_consent(tx, row, "status", at, f"{was} to {status}", at)
    hooks.reader_event(tx, row, hooks.kind_of(was.value, status), at)


def _plain(vault: Vault, subscriber: Subscriber) -> dict[str, Any]:
    return {
        "name": vault.seal(subscriber.name, "name"),
        "cadence": subscriber.cadence,
        "zone": subscriber.zone or None,
        "language": subscriber.language,
        "audience": ";".join(subscriber.audience),
        "status": subscriber.status.value,
        "consent_at": subscriber.consent_at,
        "consent_source": subscriber.consent_source,
        "plain_text": subscriber.plain_text,
        "large_print": subscriber.large_print,
        "max_teasers": subscriber.max_teasers,
        "paused_until": subscriber.paused_until,
        "catch_up": subscriber.catch_up,
    }


def _set_follows(tx: Connection, row: int, subscriber: Subscriber) -> None:
    """Write the choices as a difference: a row that stays keeps the change of the lists it came from (see ``lists``)."""
    wanted = {interest: (place, interest in subscriber.fewer) for place, interest in enumerate(dict.fromkeys(subscriber.interests))}
    f = t.follows.c
    there = {r.interest: (r.position, r.fewer) for r in tx.execute(select(f.interest, f.position, f.fewer).where(f.subscriber_id == row))}
    if gone := [interest for interest in there if interest not in wanted]:
        tx.execute(delete(t.follows).where(f.subscriber_id == row, f.interest.in_(gone)))
    for interest, (place, fewer) in wanted.items():
        if interest in there and there[interest] != (place, fewer):
            tx.execute(update(t.follows).where(f.subscriber_id == row, f.interest == interest).values(position=place, fewer=fewer))
    new = [
        {"subscriber_id": row, "interest": interest, "position": place, "fewer": fewer}
        for interest, (place, fewer) in wanted.items()
        if interest not in there
    ]
    if new:
        tx.execute(insert(t.follows), new)


def record_consent(tx: Connection, row: int, kind: str, at: datetime, source: str, recorded_at: datetime) -> None:
    """One line of the consent record; lines are only ever added."""
    tx.execute(insert(t.consent).values(subscriber_id=row, kind=kind, at=at, source=source, recorded_at=recorded_at))


def everyone(tx: Connection, vault: Vault, page: int = 1000) -> Iterator[Person]:
    """All subscribers in the order they came, a page at a time."""
    last = 0
    there = select(t.subscriber).where(t.subscriber.c.status != Status.ERASED.value).order_by(t.subscriber.c.id).limit(page)
    while rows := tx.execute(there.where(t.subscriber.c.id > last)).all():
        interests, fewer = _interests(tx, last + 1, rows[-1].id), _fewer(tx, last + 1, rows[-1].id)
        yield from (Person(row.id, _open(vault, row, interests.get(row.id, ()), fewer.get(row.id, ()))) for row in rows)
        last = rows[-1].id


def opened(tx: Connection, vault: Vault, rows: Sequence[int]) -> list[Person]:
    """The subscribers of these rows, in that order; at most some hundreds."""
    f = t.follows.c
    chosen: dict[int, list[str]] = {}
    fewer: dict[int, list[str]] = {}
    query = select(f.subscriber_id, f.interest, f.fewer).where(f.subscriber_id.in_(rows)).order_by(f.subscriber_id, f.position)
    for row, interest, less in tx.execute(query):
        chosen.setdefault(row, []).append(interest)
        if less:
            fewer.setdefault(row, []).append(interest)
    found = {row.id: row for row in tx.execute(select(t.subscriber).where(t.subscriber.c.id.in_(rows)))}
    return [Person(row, _open(vault, found[row], chosen.get(row, ()), fewer.get(row, ()))) for row in rows if row in found]


def count_by_status(tx: Connection) -> dict[str, int]:
    """How many subscribers there are of each status."""
    return dict(tx.execute(select(t.subscriber.c.status, func.count()).group_by(t.subscriber.c.status)).all())


def count_by_interest(tx: Connection) -> dict[str, int]:
    """How many active subscribers follow each interest."""
    query = (
        select(t.follows.c.interest, func.count())
        .join(t.subscriber, t.subscriber.c.id == t.follows.c.subscriber_id)
        .where(t.subscriber.c.status == Status.ACTIVE.value)
        .group_by(t.follows.c.interest)
    )
    return dict(tx.execute(query).all())


def count_by_cadence(tx: Connection) -> dict[str, int]:
    """How many active subscribers get the issues of each cadence."""
    query = select(t.subscriber.c.cadence, func.count()).where(t.subscriber.c.status == Status.ACTIVE.value)
    return dict(tx.execute(query.group_by(t.subscriber.c.cadence)).all())


def _fewer(tx: Connection, first: int, last: int) -> dict[int, tuple[str, ...]]:
    """Of which interests one teaser is enough, for the subscribers of a range of rows. Few say so."""
    query = select(t.follows.c.subscriber_id, t.follows.c.interest).where(t.follows.c.subscriber_id.between(first, last), t.follows.c.fewer)
    found: dict[int, tuple[str, ...]] = {}
    for subscriber, interest in tx.execute(query.order_by(t.follows.c.subscriber_id, t.follows.c.position)):
        found[subscriber] = (*found.get(subscriber, ()), interest)
    return found


def _open(vault: Vault, row: Row[Any], interests: Sequence[str], fewer: Sequence[str]) -> Subscriber:
    return Subscriber.model_validate(
        {
            "id": row.sid,
            "email": vault.open(row.address, "address"),
            "name": vault.open(row.name, "name"),
            "interests": tuple(interests),
            "fewer": tuple(fewer),
            "cadence": row.cadence,
            "zone": row.zone or "",
            "language": row.language,
            "audience": tuple(filter(None, row.audience.split(";"))),
            "status": row.status,
            "consent_at": row.consent_at,
            "consent_source": row.consent_source,
            "plain_text": row.plain_text,
            "large_print": row.large_print,
            "max_teasers": row.max_teasers,
            "paused_until": row.paused_until,
            "catch_up": row.catch_up,
        }
    )


def _interests(tx: Connection, first: int, last: int) -> dict[int, list[str]]:
    """What subscribers of a range of rows follow, in their own order."""
    found: dict[int, list[str]] = {}
    chosen = (
        select(t.follows.c.subscriber_id, t.follows.c.interest)
        .where(t.follows.c.subscriber_id.between(first, last))
        .order_by(t.follows.c.subscriber_id, t.follows.c.position)
    )
    for row, interest in tx.execute(chosen):
        found.setdefault(row, []).append(interest)
    return found


def count_readers(tx: Connection, cadence: str) -> int:
    """How many readers of a cadence may be written to."""
    return tx.execute(select(func.count()).select_from(t.subscriber).where(t.subscriber.c.cadence == cadence, writable())).scalar_one()


def followed(tx: Connection) -> Iterator[tuple[str, ...]]:
    """What each active subscriber follows, one after another; who follows nothing is left out."""
    query = (
        select(t.follows.c.subscriber_id, t.follows.c.interest)
        .join(t.subscriber, t.subscriber.c.id == t.follows.c.subscriber_id)
        .where(t.subscriber.c.status == Status.ACTIVE.value)
        .order_by(t.follows.c.subscriber_id, t.follows.c.position)
    )
    here, interests = 0, list[str]()
    for subscriber, interest in tx.execute(query, execution_options={"yield_per": 10_000}):
        if subscriber != here and interests:
            yield tuple(interests)
            interests = []
        here = subscriber
        interests.append(interest)
    if interests:
        yield tuple(interests)


def zones(tx: Connection, cadence: str) -> list[str]:
    """The zones that readers of a cadence name."""
    query = select(t.subscriber.c.zone).where(t.subscriber.c.cadence == cadence, t.subscriber.c.zone.is_not(None)).distinct()
    return sorted(tx.execute(query).scalars())


def writable() -> Any:
    """SQL: the subscriber may be written to now. The same words gate planning and every claim."""
    return (t.subscriber.c.status == Status.ACTIVE.value) & ~exists().where(t.suppression.c.address_index == t.subscriber.c.address_index)


def languages_used(tx: Connection, cadence: str) -> list[str]:
    """The languages that readers of a cadence chose, as they are written."""
    c = t.subscriber.c
    query = select(c.language).where(c.cadence == cadence, c.language != "", c.status.in_([Status.ACTIVE.value, Status.PAUSED.value]))
    return sorted(tx.execute(query.distinct()).scalars())


def readers_after(tx: Connection, cadence: str, last: int, page: int, up_to: int | None = None) -> list[Reader]:
    """The next readers of a cadence who may be written to, in order of their rows; none above ``up_to``."""
    within = t.subscriber.c.id > last if up_to is None else t.subscriber.c.id.between(last + 1, up_to)
    rows = tx.execute(
        select(*(t.subscriber.c[name] for name in ("id", "audience", "max_teasers", "plain_text", "large_print", "language")))
        .where(t.subscriber.c.cadence == cadence, within, writable())
        .order_by(t.subscriber.c.id)
        .limit(page)
    ).all()
    if not rows:
        return []
    interests, fewer = _interests(tx, rows[0].id, rows[-1].id), _fewer(tx, rows[0].id, rows[-1].id)
    return [
        Reader(
            id,
            tuple(interests.get(id, ())),
            tuple(audience.split(";")) if audience else (),
            frozenset(fewer.get(id, ())),
            most,
            plain_text,
            large_print,
            language,
        )
        for id, audience, most, plain_text, large_print, language in rows
    ]


def sealed(tx: Connection, rows: Sequence[int]) -> dict[int, Sealed]:
    """What a message needs of each reader."""
    chosen = among(tx.dialect.name, t.subscriber.c.id, "rows")
    query = select(t.subscriber.c.id, *(t.subscriber.c[name] for name in Sealed._fields)).where(chosen)
    return {row: Sealed(*found) for row, *found in tx.execute(query, {"rows": listed(tx.dialect.name, rows)})}


def particulars(tx: Connection, vault: Vault, rows: Sequence[int]) -> dict[int, tuple[str, str, str]]:
    """The same opened: id, address, name."""
    return unsealed(vault, sealed(tx, rows))


def unsealed(vault: Vault, readers: Mapping[int, Sealed]) -> dict[int, tuple[str, str, str]]:
    """Readers' ids, addresses and names."""
    return {row: (one.sid, vault.open(one.address, "address"), vault.open(one.name, "name")) for row, one in readers.items()}


def address_indexes(tx: Connection, rows: Sequence[int]) -> dict[int, bytes]:
    """The hashes that these subscribers' addresses are looked up by."""
    query = select(t.subscriber.c.id, t.subscriber.c.address_index).where(t.subscriber.c.id.in_(rows))
    return dict(tx.execute(query).all())
