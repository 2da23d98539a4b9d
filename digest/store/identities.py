"""Who of the people is whom at another service, as rows."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, select

from digest.store import schema as t
from digest.store.accounts import Known, find
from digest.store.database import now
from digest.store.dialect import upsert
from digest.vault import Vault


class Identity(NamedTuple):
    """Linked to ``issuer`` since ``at``; or, with an empty issuer, waiting since then for whoever has the address."""

    issuer: str
    at: datetime


def of_person(tx: Connection, person: int) -> Identity | None:
    """A person's identity elsewhere."""
    c = t.identity.c
    row = tx.execute(select(c.issuer, c.at).where(c.person_id == person)).one_or_none()
    return None if row is None else Identity(row.issuer or "", row.at)


def who(tx: Connection, vault: Vault, subject_hash: str) -> Known | None:
    """Whose identity that is."""
    pid = tx.execute(select(t.person.c.pid).join(t.identity).where(t.identity.c.subject_hash == subject_hash)).scalar()
    return None if pid is None else find(tx, vault, pid)


def waiting(tx: Connection, vault: Vault, address_index: bytes) -> Known | None:
    """Who waits to be linked by that address."""
    pid = tx.execute(select(t.person.c.pid).join(t.identity).where(t.identity.c.address_index == address_index)).scalar()
    return None if pid is None else find(tx, vault, pid)


def expect(tx: Connection, person: int, address_index: bytes) -> None:
    """Whoever has that address at the provider is this person, once; what they were linked to before counts no more."""
    values = {"address_index": address_index, "issuer": None, "subject_hash": None, "at": now(tx)}
    statement = upsert(tx, t.identity).values(person_id=person, **values)
    tx.execute(statement.on_conflict_do_update(index_elements=["person_id"], set_=values))


def link(tx: Connection, person: int, issuer: str, subject_hash: str) -> None:
    """From now on they are known by issuer and subject alone."""
    values = {"address_index": None, "issuer": issuer, "subject_hash": subject_hash, "at": now(tx)}
    statement = upsert(tx, t.identity).values(person_id=person, **values)
    tx.execute(statement.on_conflict_do_update(index_elements=["person_id"], set_=values))


def unlink(tx: Connection, person: int) -> int:
    """They are nobody elsewhere. Returns whether they were somebody."""
    return tx.execute(delete(t.identity).where(t.identity.c.person_id == person)).rowcount


def expected_elsewhere(tx: Connection, person: int, address_index: bytes) -> bool:
    """Whether somebody else waits for that address."""
    c = t.identity.c
    return tx.execute(select(c.person_id).where(c.address_index == address_index, c.person_id != person)).scalar() is not None
