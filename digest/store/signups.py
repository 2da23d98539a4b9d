"""Requests that anybody can make with an address, taken in first and worked on later; and the words people agreed to."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, insert, select, update

from digest.store import schema as t
from digest.store.database import now
from digest.store.dialect import upsert
from digest.vault import Vault


class Signup(NamedTuple):
    """A request as it was taken in. ``sid`` is what its links are about."""

    row: int
    sid: str
    kind: str
    body: Mapping[str, Any]
    state: str
    received_at: datetime


def put(tx: Connection, vault: Vault, kind: str, body: Mapping[str, Any]) -> str:
    """Take a request in: one row, the same work whoever it is about. Returns its id."""
    sid = secrets.token_hex(16)
    sealed = vault.seal(json.dumps(body), "signup")
    tx.execute(insert(t.signup).values(sid=sid, kind=kind, body=sealed, state="new", received_at=now(tx)))
    return sid


def fresh(tx: Connection, vault: Vault, most: int) -> list[Signup]:
    """The oldest requests that nobody has worked on."""
    query = select(t.signup).where(t.signup.c.state == "new").order_by(t.signup.c.id).limit(most).with_for_update(skip_locked=True)
    return [_signup(vault, row) for row in tx.execute(query)]


def find(tx: Connection, vault: Vault, sid: str) -> Signup | None:
    """The request of that id."""
    row = tx.execute(select(t.signup).where(t.signup.c.sid == sid)).one_or_none()
    return _signup(vault, row) if row else None


def _signup(vault: Vault, row: Any) -> Signup:
    return Signup(row.id, row.sid, row.kind, json.loads(vault.open(row.body, "signup")), row.state, row.received_at)


def move(tx: Connection, vault: Vault, row: int, state: str, *, keep_body: bool) -> None:
    """Give a request its new state; what it said is let go where it is no longer needed."""
    values: dict[str, Any] = {"state": state}
    if not keep_body:
        values["body"] = vault.seal("{}", "signup")
    tx.execute(update(t.signup).where(t.signup.c.id == row).values(**values))


def note(tx: Connection, vault: Vault, row: int, body: Mapping[str, Any]) -> None:
    """Keep what a request led to, in the place of what it said."""
    tx.execute(update(t.signup).where(t.signup.c.id == row).values(body=vault.seal(json.dumps(body), "signup")))


def forget(tx: Connection, before: datetime) -> int:
    """Let go what nobody confirmed in time. Returns how many rows."""
    return tx.execute(delete(t.signup).where(t.signup.c.received_at < before, t.signup.c.state != "new")).rowcount


def forget_address(tx: Connection, vault: Vault, address_key: str, key_of: Any) -> None:
    """Let go every request of one address; ``key_of`` makes the key of an address as it was typed."""
    for row in tx.execute(select(t.signup.c.id, t.signup.c.body)).all():
        body = json.loads(vault.open(row.body, "signup"))
        if body.get("email") and key_of(body["email"]) == address_key:
            tx.execute(delete(t.signup).where(t.signup.c.id == row.id))


def put_consent(
    tx: Connection, vault: Vault, subscriber: int, kind: str, source: str, *, text: str = "", text_hash: str = "", detail: Any = None
) -> None:
    """One line of the consent record, with the words that were agreed to kept once for all who agreed to them."""
    at = now(tx)
    if text:
        tx.execute(upsert(tx, t.consent_text).values(hash=text_hash, text=text, first_at=at).on_conflict_do_nothing())
    sealed = None if detail is None else vault.seal(json.dumps(detail), "consent")
    tx.execute(
        insert(t.consent).values(
            subscriber_id=subscriber, kind=kind, at=at, source=source, recorded_at=at, text_hash=text_hash, detail=sealed
        )
    )


class Consent(NamedTuple):
    """A line of the consent record, opened."""

    kind: str
    at: datetime
    source: str
    text: str
    detail: Any


def consents(tx: Connection, vault: Vault, subscriber: int) -> list[Consent]:
    """Everything recorded of one subscriber's consent, in order."""
    query = (
        select(t.consent, t.consent_text.c.text)
        .outerjoin(t.consent_text, t.consent_text.c.hash == t.consent.c.text_hash)
        .where(t.consent.c.subscriber_id == subscriber)
        .order_by(t.consent.c.id)
    )
    return [
        Consent(row.kind, row.at, row.source, row.text or "", json.loads(vault.open(row.detail, "consent")) if row.detail else None)
        for row in tx.execute(query)
    ]


def last_withdrawal(tx: Connection, vault: Vault, subscriber: int) -> Any:
    """What was noted when a subscriber last left on the pages."""
    left = [line.detail for line in consents(tx, vault, subscriber) if line.kind == "withdrawn" and line.detail]
    return left[-1] if left else None
