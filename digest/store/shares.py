"""Links that show a draft: which issue, by whom, until when."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, insert, select, update

from digest.store import schema as t
from digest.store.database import now


class Share(NamedTuple):
    """A link. ``sid`` is what its token is about."""

    sid: str
    issue: str
    edition: str
    who: str
    made_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


def _query() -> Select[Any]:
    c = t.share.c
    return select(c.sid, t.issue.c.name, c.edition, c.who, c.made_at, c.expires_at, c.revoked_at).join(t.issue, t.issue.c.id == c.issue_id)


def put(tx: Connection, sid: str, issue: int, edition: str, who: str, made_at: datetime, expires_at: datetime) -> None:
    """A new link."""
    values = {"sid": sid, "issue_id": issue, "edition": edition, "who": who, "made_at": made_at, "expires_at": expires_at}
    tx.execute(insert(t.share).values(**values))


def find(tx: Connection, sid: str) -> Share | None:
    """The link of that id."""
    row = tx.execute(_query().where(t.share.c.sid == sid)).one_or_none()
    return None if row is None else Share(*row)


def alive(tx: Connection) -> list[Share]:
    """Every link that works, the newest first."""
    working = _query().where(t.share.c.revoked_at.is_(None), t.share.c.expires_at > now(tx))
    return [Share(*row) for row in tx.execute(working.order_by(t.share.c.id.desc()))]


def revoke(tx: Connection, sid: str) -> None:
    """It works no longer."""
    tx.execute(update(t.share).where(t.share.c.sid == sid, t.share.c.revoked_at.is_(None)).values(revoked_at=now(tx)))
