"""Issues: each is there once, with its members and, once planning began, what it is composed from."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from digest.model import IssueState, Slot
from digest.store import moves
from digest.store import schema as t
from digest.store.database import now
from digest.store.dialect import upsert

PROGRAM = "digest"  # who moved an issue where nobody in particular did


class IssueRow(NamedTuple):
    """An issue as the ledger has it. ``frozen`` holds the interests and selection rules it was drafted with."""

    id: int
    name: str
    cadence: str
    local_date: date
    opens_after: datetime
    due_at: datetime
    state: IssueState
    drafted_at: datetime
    known_seq: int
    content_hash: str
    frozen: dict[str, Any]
    approved_hash: str | None
    approved_at: datetime | None
    uncertain: str
    send_not_after: datetime | None
    planned: int | None
    planned_at: datetime | None
    finished_at: datetime | None
    paused_at: datetime | None
    pause_reason: str

    @property
    def slot(self) -> Slot:
        """Its place in the calendar."""
        return Slot(cadence=self.cadence, local_date=self.local_date, opens_after=self.opens_after, due_at=self.due_at)


def named(tx: Connection, name: str) -> IssueRow | None:
    """The issue of that name, ``monthly-2026-05-01``."""
    return _issue(tx.execute(select(t.issue).where(t.issue.c.name == name)).one_or_none())


def every(tx: Connection) -> list[IssueRow]:
    """All issues, the newest first."""
    rows = tx.execute(select(t.issue).order_by(t.issue.c.due_at.desc(), t.issue.c.name)).all()
    return [issue for row in rows if (issue := _issue(row))]


def _issue(row: Row[Any] | None) -> IssueRow | None:
    if row is None:
        return None
    values = dict(row._mapping)
    return IssueRow(**{**values, "state": IssueState(values["state"]), "frozen": json.loads(values["frozen"])})


def archive_ends(tx: Connection, slot: Slot) -> dict[str, datetime]:
    """For every source that took part in an issue of this cadence: up to when what it published is backlog."""
    return {source: min(opens, slot.opens_after) for source, opens in archive_ends_of(tx, slot.cadence).items()}


def archive_ends_of(tx: Connection, cadence: str) -> dict[str, datetime]:
    """The same as the cadence has it, whichever issue is asked about."""
    first = (
        select(t.participant.c.source, func.min(t.issue.c.id).label("id"))
        .join(t.issue, t.issue.c.id == t.participant.c.issue_id)
        .where(t.issue.c.cadence == cadence)
        .group_by(t.participant.c.source)
        .subquery()
    )
    # The first one drafted: an older issue drawn later does not bring the backlog between back to life.
    query = select(first.c.source, t.issue.c.opens_after).join(t.issue, t.issue.c.id == first.c.id)
    return dict(tx.execute(query).all())


def taken_by(tx: Connection, cadence: str) -> dict[int, str]:
    """Which issue of the cadence has each summary already."""
    piece = func.coalesce(t.summary.c.same_as, t.summary.c.id)
    query = (
        select(piece, t.issue.c.name)
        .join(t.member, t.member.c.summary_id == t.summary.c.id)
        .join(t.issue, t.issue.c.id == t.member.c.issue_id)
        .where(t.member.c.cadence == cadence)
    )
    return dict(tx.execute(query).all())


def put_issue(
    tx: Connection,
    slot: Slot,
    *,
    known_seq: int,
    content_hash: str,
    frozen: Mapping[str, Any],
    uncertain: str,
    who: str = PROGRAM,
    detail: str = "",
) -> int:
    """Write a draft, new or drawn anew: a draft drawn anew is nobody's approved text. Returns the row."""
    old = tx.execute(select(t.issue.c.state, t.issue.c.content_hash).where(t.issue.c.name == slot.name)).one_or_none()
    values: dict[str, Any] = {
        "state": IssueState.DRAFTED.value,
        "drafted_at": now(tx),
        "known_seq": known_seq,
        "content_hash": content_hash,
        "frozen": json.dumps(frozen, ensure_ascii=False, sort_keys=True),
        "uncertain": uncertain,
        "approved_hash": None,
        "approved_at": None,
    }
    values |= {"opens_after": slot.opens_after, "due_at": slot.due_at}
    fixed = {"name": slot.name, "cadence": slot.cadence, "local_date": slot.local_date}
    statement = upsert(tx, t.issue).values(**fixed, **values).on_conflict_do_update(index_elements=["name"], set_=values)
    row: int = tx.execute(statement.returning(t.issue.c.id)).scalar_one()
    if old is None or (old.state, old.content_hash) != (IssueState.DRAFTED.value, content_hash):
        moves.record(tx, row, who, old.state if old else "", IssueState.DRAFTED.value, detail or ("drawn anew" if old else ""))
    return row


def put_members(tx: Connection, issue: int, cadence: str, members: Iterable[tuple[int, int]], sources: Iterable[str]) -> None:
    """The members of an issue, as (summary, arrival number), and the sources that took part."""
    tx.execute(delete(t.member).where(t.member.c.issue_id == issue))
    tx.execute(delete(t.participant).where(t.participant.c.issue_id == issue))
    rows = [{"issue_id": issue, "summary_id": row, "cadence": cadence, "seq": seq} for row, seq in members]
    if rows:
        tx.execute(insert(t.member), rows)
    names = [{"issue_id": issue, "source": name} for name in sources]
    if names:
        tx.execute(insert(t.participant), names)


def drop_members(tx: Connection, issue: int) -> int:
    """The issue holds its summaries no longer: the next one of the cadence may have them. Returns how many it held."""
    return tx.execute(delete(t.member).where(t.member.c.issue_id == issue)).rowcount


def members(tx: Connection, issue: int) -> list[tuple[int, int]]:
    """The members of an issue, as (summary, arrival number)."""
    query = select(t.member.c.summary_id, t.member.c.seq).where(t.member.c.issue_id == issue).order_by(t.member.c.summary_id)
    return list(tx.execute(query))


def members_of(tx: Connection, wanted: Collection[int]) -> dict[int, list[int]]:
    """The summaries of each of these issues."""
    found: dict[int, list[int]] = {issue: [] for issue in wanted}
    m = t.member.c
    for row in tx.execute(select(m.issue_id, m.summary_id).order_by(m.issue_id, m.summary_id)):
        if row.issue_id in found:
            found[row.issue_id].append(row.summary_id)
    return found


def move_issue(tx: Connection, issue: int, state: IssueState, *, who: str = PROGRAM, detail: str = "", **values: Any) -> None:
    """Set an issue's state and whatever goes with it; the move is recorded."""
    old = tx.execute(select(t.issue.c.state).where(t.issue.c.id == issue)).scalar_one()
    moves.record(tx, issue, who, old, state.value, detail)
    tx.execute(update(t.issue).where(t.issue.c.id == issue).values(state=state.value, **values))


def put_content(tx: Connection, issue: int, compiled: bytes) -> None:
    """Freeze what the issue is composed from; the first one stays."""
    tx.execute(upsert(tx, t.content).values(issue_id=issue, compiled=compiled).on_conflict_do_nothing())


def content(tx: Connection, issue: int) -> bytes | None:
    """What the issue is composed from, once planning froze it."""
    return tx.execute(select(t.content.c.compiled).where(t.content.c.issue_id == issue)).scalar()
