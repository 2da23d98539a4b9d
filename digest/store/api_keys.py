"""Keys for programs, as rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, insert, or_, select, update

from digest.scopes import Key
from digest.store import schema as t
from digest.store.dialect import now


def add(tx: Connection, *, id: str, name: str, token_hash: str, scopes: Sequence[str], made_by: str, expires_at: datetime | None) -> None:
    """A new key."""
    values = {"kid": id, "name": name, "token_hash": token_hash, "scopes": " ".join(scopes), "made_by": made_by}
    tx.execute(insert(t.api_key).values(**values, made_at=now(tx), expires_at=expires_at))


def every(tx: Connection) -> list[Key]:
    """All of them by name."""
    return [_key(row) for row in tx.execute(select(t.api_key).order_by(t.api_key.c.name))]


def named(tx: Connection, name: str) -> Key | None:
    """The key of that name."""
    return _one(tx, t.api_key.c.name == name)


def of_hash(tx: Connection, token_hash: str) -> Key | None:
    """The key with that hash."""
    return _one(tx, t.api_key.c.token_hash == token_hash)


def revoke(tx: Connection, id: str) -> None:
    """It opens nothing any more."""
    tx.execute(update(t.api_key).where(t.api_key.c.kid == id).values(revoked_at=now(tx)))


def used(tx: Connection, id: str, on: date) -> None:
    """It was used that day; written once a day."""
    c = t.api_key.c
    tx.execute(update(t.api_key).where(c.kid == id, or_(c.used_date.is_(None), c.used_date != on)).values(used_date=on))


def _one(tx: Connection, where: Any) -> Key | None:
    row = tx.execute(select(t.api_key).where(where)).one_or_none()
    return _key(row) if row is not None else None


def _key(row: Any) -> Key:
    return Key(
        id=row.kid,
        name=row.name,
        scopes=tuple(row.scopes.split()),
        made_by=row.made_by,
        made_at=row.made_at,
        expires_at=row.expires_at,
        used_date=row.used_date,
        revoked_at=row.revoked_at,
    )
