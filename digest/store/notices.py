"""What the editors are told: each subject and kind once to each; kept with its text until it is sent."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import Connection, or_, select, update

from digest.store import schema as t
from digest.store.database import now
from digest.store.dialect import upsert

_WAITS_S = (60, 300, 900, 3600)
_TRIES = 30


class Waiting(NamedTuple):
    """A letter that is to be sent. ``editor`` is a keyed hash, ``body`` the letter as JSON."""

    id: int
    subject: str
    kind: str
    editor: str
    body: str


def put(tx: Connection, subject: str, kind: str, editor: str, body: str) -> int:
    """Write a letter down. Returns 0 where it was there before."""
    values = {"subject": subject, "kind": kind, "editor": editor, "body": body, "tries": 0, "error": ""}
    return tx.execute(upsert(tx, t.editor_notice).values(**values).on_conflict_do_nothing()).rowcount


def waiting(tx: Connection) -> list[Waiting]:
    """What is to be sent now, in the order in which it was written."""
    n = t.editor_notice.c
    query = select(n.id, n.subject, n.kind, n.editor, n.body).where(
        n.told_at.is_(None), n.tries < _TRIES, or_(n.next_at.is_(None), n.next_at <= now(tx))
    )
    return [Waiting(*row) for row in tx.execute(query.order_by(n.id))]


def settle(tx: Connection, id: int, error: str = "") -> None:
    """It was sent, or could not be and is tried again later, ever more seldom."""
    tries: int = tx.execute(select(t.editor_notice.c.tries).where(t.editor_notice.c.id == id)).scalar_one()
    at = now(tx)
    wait = timedelta(seconds=_WAITS_S[min(tries, len(_WAITS_S) - 1)])
    values = {"next_at": at + wait, "error": error} if error else {"told_at": at, "next_at": None, "error": ""}
    tx.execute(update(t.editor_notice).where(t.editor_notice.c.id == id).values(tries=tries + 1, **values))


def failing(tx: Connection) -> list[tuple[str, str, str]]:
    """What could not be told yet: subject, kind, why."""
    n = t.editor_notice.c
    rows = tx.execute(select(n.subject, n.kind, n.error).where(n.told_at.is_(None), n.error != "").order_by(n.id))
    return [(row.subject, row.kind, row.error) for row in rows]
