"""The steps of an issue's editors, and who approved what of it; lines are only ever added."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, insert, select

from digest.edits import Change, Edits, Op, Step, fold
from digest.store import schema as t
from digest.store.database import now


def steps(tx: Connection, issue: int) -> list[Step]:
    """All steps of an issue, the first one first."""
    rows = tx.execute(select(t.edit).where(t.edit.c.issue_id == issue).order_by(t.edit.c.version)).all()
    return [
        Step(version=row.version, at=row.at, who=row.who, op=row.op, changes=tuple(Change(**one) for one in json.loads(row.changes)))
        for row in rows
    ]


def version(tx: Connection, issue: int) -> int:
    """The version of the issue's last step; 0 where nobody changed anything."""
    return tx.execute(select(func.max(t.edit.c.version)).where(t.edit.c.issue_id == issue)).scalar() or 0


def holding(tx: Connection, issue: int) -> Edits:
    """What holds for the issue now."""
    return fold(steps(tx, issue)).edits


def add(tx: Connection, issue: int, version: int, who: str, op: Op, changes: Iterable[Change] = ()) -> Step:
    """One more step. Another of the same version is refused by the schema."""
    at, made = now(tx), tuple(changes)
    body = json.dumps([change.model_dump(mode="json") for change in made], ensure_ascii=False)
    tx.execute(insert(t.edit).values(issue_id=issue, version=version, at=at, who=who, op=op, changes=body))
    return Step(version=version, at=at, who=who, op=op, changes=made)


class Approved(NamedTuple):
    """Somebody approved a content."""

    content_hash: str
    who: str
    at: datetime


def approve(tx: Connection, issue: int, content_hash: str, who: str, snapshot: Mapping[str, Any]) -> None:
    """Keep an approval, with what the content was made of."""
    body = zlib.compress(json.dumps(snapshot, ensure_ascii=False, sort_keys=True).encode())
    tx.execute(insert(t.approval).values(issue_id=issue, content_hash=content_hash, who=who, at=now(tx), snapshot=body))


def approvals(tx: Connection, issue: int) -> list[Approved]:
    """Every approval of an issue, the first one first."""
    query = select(t.approval.c.content_hash, t.approval.c.who, t.approval.c.at).where(t.approval.c.issue_id == issue)
    return [Approved(*row) for row in tx.execute(query.order_by(t.approval.c.id))]


def snapshot(tx: Connection, issue: int, content_hash: str) -> dict[str, Any] | None:
    """What a content that somebody approved was made of; None where nobody did."""
    query = select(t.approval.c.snapshot).where(t.approval.c.issue_id == issue, t.approval.c.content_hash == content_hash)
    body = tx.execute(query.order_by(t.approval.c.id.desc()).limit(1)).scalar()
    return None if body is None else json.loads(zlib.decompress(body))
