"""What a provider keeps for an issue on its own side: written down before it is made, forgotten once it is gone."""

from __future__ import annotations

import json

from sqlalchemy import Connection, delete, select

from digest.model import IssueState
from digest.providers import Hosted
from digest.store import schema as t
from digest.store.dialect import upsert

_KEY = "hosted:"


def put(tx: Connection, issue: int, provider: str, hosted: Hosted) -> None:
    """Keep it with the issue."""
    body = json.dumps({"provider": provider, **hosted._asdict()})
    statement = upsert(tx, t.meta).values(key=f"{_KEY}{issue}", value=body)
    tx.execute(statement.on_conflict_do_update(index_elements=["key"], set_={"value": body}))


def of(tx: Connection, issue: int, provider: str) -> Hosted | None:
    """What that provider has, or may have, of the issue."""
    return _read(tx.execute(select(t.meta.c.value).where(t.meta.c.key == f"{_KEY}{issue}")).scalar(), provider)


def left_over(tx: Connection, provider: str) -> dict[int, Hosted]:
    """What that provider still has of issues that are finished or cancelled, by issue."""
    kept = dict(tx.execute(select(t.meta.c.key, t.meta.c.value).where(t.meta.c.key.startswith(_KEY))).all())
    if not kept:
        return {}
    ids = [int(key.removeprefix(_KEY)) for key in kept]
    done = (IssueState.FINISHED.value, IssueState.CANCELLED.value)
    rows = tx.execute(select(t.issue.c.id).where(t.issue.c.id.in_(ids), t.issue.c.state.in_(done)))
    found = {id: _read(kept[f"{_KEY}{id}"], provider) for id in rows.scalars()}
    return {id: hosted for id, hosted in found.items() if hosted is not None}


def forget(tx: Connection, issue: int) -> None:
    """It is gone."""
    tx.execute(delete(t.meta).where(t.meta.c.key == f"{_KEY}{issue}"))


def _read(text: str | None, provider: str) -> Hosted | None:
    if text is None:
        return None
    data = json.loads(text)
    return Hosted(data["name"], data["id"]) if data["provider"] == provider else None
