"""What becomes of an issue that is not sent in time, and how it got to where it is.

The policy: an issue is sent late up to a limit. One that was drafted and is later than that has expired: its summaries go to
the next issue of the cadence that is drafted, so nothing is lost, and nothing comes twice, for nothing of it has left.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection

from digest import calendar
from digest.errors import IssueError
from digest.model import UNPLANNED, Frozen, IssueState, Slot
from digest.store import issues, moves, now
from digest.store.issues import IssueRow
from digest.store.mark import doubtful_issues
from digest.workspace import Workspace


class Moved(Frozen):
    """A move of an issue: ``old`` is empty for its first draft, ``who`` an account or ``scheduler``."""

    at: datetime
    who: str
    old: str
    new: str
    detail: str


def history(workspace: Workspace, name: str) -> tuple[Moved, ...]:
    """Every move of the issue, the first one first.

    Raises:
        IssueError: there is no such issue.
    """
    with workspace.store.read() as tx:
        row = issues.named(tx, name)
        if row is None:
            raise IssueError(f'there is no issue "{name}"')
        return tuple(Moved(**move._asdict()) for move in moves.history(tx, row.id))


def too_late_at(workspace: Workspace, row: IssueRow | Slot) -> datetime | None:
    """The instant after which nothing of the issue is sent any more; None where `delivery.late_limit_h` is not set.

    Where readers get it at an hour of their own, the limit counts from the last one's.
    """
    limit = workspace.config.delivery.late_limit_h
    return None if limit is None else last_due_at(workspace, row) + timedelta(hours=limit)


def last_due_at(workspace: Workspace, row: IssueRow | Slot) -> datetime:
    """When the last reader's hour has come: ``due_at``, unless readers have an hour of their own."""
    rule = workspace.config.cadences.get(row.cadence)
    if rule is None or rule.clock == "newsletter":
        return row.due_at
    return max(row.due_at, calendar.last_due(rule, workspace.zone, row.local_date))


def expire(workspace: Workspace, name: str, why: str) -> int | None:
    """Give an issue up of which nothing has been planned; its summaries are the next one's. Returns how many.

    None where that must not be: it has begun to go out, is paused, or a later copy of this database may have sent it.
    """
    with workspace.store.write() as tx:
        row = issues.named(tx, name)
        if row is None or row.state not in UNPLANNED or row.paused_at is not None or name in doubtful_issues(tx):
            return None
        return release(tx, row, workspace.who, why)


def release(tx: Connection, row: IssueRow, who: str, why: str) -> int:
    """The issue has expired and holds its members no longer. Returns how many there were."""
    count = issues.drop_members(tx, row.id)
    summaries = f"{count} {'summary goes' if count == 1 else 'summaries go'} to the next issue"
    issues.move_issue(
        tx, row.id, IssueState.EXPIRED, who=who, detail=f"{why}; {summaries}", planned=0, finished_at=now(tx), approved_hash=None
    )
    return count


def give_up_before(workspace: Workspace, slot: Slot) -> tuple[str, ...]:
    """Expire earlier issues of the cadence that were never sent, once the issue of ``slot`` is due: it takes their summaries."""
    with workspace.store.read() as tx:
        older = [row for row in issues.every(tx) if row.cadence == slot.cadence and row.due_at < slot.due_at and row.state in UNPLANNED]
    given_up = []
    for row in older:
        limit = too_late_at(workspace, row)
        if workspace.at < slot.due_at and not (limit is not None and workspace.at > limit):
            continue
        why = f"{slot.name} is due" if workspace.at >= slot.due_at else "later than delivery.late_limit_h allows"
        if expire(workspace, row.name, f"never sent, and {why}") is not None:
            given_up.append(row.name)
    return tuple(given_up)


def unsent_before(tx: Connection, slot: Slot) -> tuple[str, ...]:
    """Earlier issues of the cadence that wait to be sent or given up."""
    return tuple(r.name for r in issues.every(tx) if r.cadence == slot.cadence and r.due_at < slot.due_at and r.state in UNPLANNED)
