"""The life of an issue: every move from one state to another, with who and when; lines are only ever added."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, insert, select

from digest.model import IssueState
from digest.store import hooks
from digest.store import schema as t
from digest.store.database import now


class Move(NamedTuple):
    """An issue went from one state to another. ``old`` is empty for its first draft."""

    at: datetime
    who: str
    old: str
    new: str
    detail: str


def record(tx: Connection, issue: int, who: str, old: str, new: str, detail: str = "") -> None:
    """Keep a move, and tell it. ``who`` is an account, or the part of the program that acted."""
    at = now(tx)
    tx.execute(insert(t.issue_move).values(issue_id=issue, at=at, who=who, old=old, new=new, detail=detail))
    if new != old:
        hooks.issue_moved(tx, issue, IssueState(new), at)


def history(tx: Connection, issue: int) -> list[Move]:
    """All moves of an issue, the first one first."""
    columns = (t.issue_move.c.at, t.issue_move.c.who, t.issue_move.c.old, t.issue_move.c.new, t.issue_move.c.detail)
    return [Move(*row) for row in tx.execute(select(*columns).where(t.issue_move.c.issue_id == issue).order_by(t.issue_move.c.id))]
