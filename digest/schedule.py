"""The clock of an unattended workspace: what is to be done at an instant, and doing it.

A tick asks the calendar and the ledger, never the timer that woke it: a tick too many, one too few, a second scheduler or a
restart in the middle changes nothing. An issue is one row, unique by cadence and date; whoever holds the workspace acts.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from digest import approval, audit, calendar, dispatch, feedback, gather, issue, life, notify, recovery
from digest.config import Cadence, Schedule
from digest.errors import BusyError, DigestError, IssueWaits
from digest.model import UNPLANNED, IssueState, Slot
from digest.store import beat, issues, ledger
from digest.store.issues import IssueRow
from digest.store.mark import doubtful_issues
from digest.workspace import Workspace

WHO = "scheduler"
_AGAIN, _TROUBLE = timedelta(minutes=1), timedelta(minutes=5)  # until what waits, or fails, is tried again
_LOOK_BACK = timedelta(days=400)  # how far back a slot that nobody served is still noted

Act = Literal["draft", "ask", "remind", "send", "resume", "expire", "missed", "stuck"]


class Todo(NamedTuple):
    """One thing to do for one issue."""

    act: Act
    slot: Slot


class Known(NamedTuple):
    """An issue as deciding needs it. ``busy_at`` is when something of it was last planned or handed over; ``open_at`` when the
    next of its deliveries may leave, None where there is none left.
    """

    slot: Slot
    state: IssueState
    paused: bool = False
    doubtful: bool = False
    busy_at: datetime | None = None
    open_at: datetime | None = None


def decide(name: str, rule: Cadence, zone: str, settings: Schedule, at: datetime, begun_at: datetime, known: Sequence[Known]) -> list[Todo]:
    """Pure: what the scheduler does for a cadence at an instant, in order.

    ``begun_at`` is when a scheduler first ran here: what fell due before is nobody's to catch up with. What is later than
    `schedule.late_limit_h` is never sent by itself, whoever restored or cloned this workspace from wherever.
    """
    limit = timedelta(hours=settings.late_limit_h)
    by_date = {one.slot.local_date: one for one in known}
    todo: list[Todo] = []
    blocked = any(one.doubtful and one.state not in (IssueState.FINISHED, IssueState.CANCELLED) for one in known)
    for one in sorted(known, key=lambda one: one.slot.due_at):
        if one.paused or one.doubtful:
            continue
        if one.state in (IssueState.PLANNING, IssueState.SENDING):
            lively = one.state is IssueState.SENDING and one.open_at is not None and one.open_at + limit >= at
            if lively or (one.busy_at or one.slot.due_at) + limit >= at:
                if one.open_at is None or one.open_at <= at or one.state is IssueState.PLANNING:
                    todo.append(Todo("resume", one.slot))
            else:
                todo.append(Todo("stuck", one.slot))
        elif one.state in UNPLANNED and _last_due(rule, zone, one.slot) + limit < at:
            todo.append(Todo("expire", one.slot))
    newest = max((one.slot.due_at for one in known), default=begun_at)
    ahead = at + timedelta(hours=rule.draft_before_h)
    slots = calendar.slots_due(name, rule, zone, max(begun_at, at - _LOOK_BACK), ahead)
    for position, slot in enumerate(slots):
        here = by_date.get(slot.local_date)
        if blocked or (here is not None and (here.paused or here.doubtful)):
            continue
        overdue = _last_due(rule, zone, slot) + limit < at
        # With two that fell due meanwhile the later one has everything; the earlier one is only noted.
        overtaken = any(later.due_at <= at for later in slots[position + 1 :])
        if here is None and (overdue or overtaken):
            if slot.due_at > newest:
                todo.append(Todo("missed", slot))
        elif here is None:
            todo.append(Todo("draft", slot))
            if rule.approval == "required":
                todo.append(Todo("ask", slot))
            elif slot.due_at <= at:
                todo.append(Todo("send", slot))
        elif here.state in UNPLANNED and not overdue:
            if rule.approval == "required" and here.state is not IssueState.APPROVED:
                todo.append(Todo("remind" if slot.due_at <= at else "ask", slot))
            elif slot.due_at <= at:
                todo.append(Todo("send", slot))
    return todo


def _last_due(rule: Cadence, zone: str, slot: Slot) -> datetime:
    return max(slot.due_at, calendar.last_due(rule, zone, slot.local_date))


# --- acting --------------------------------------------------------------------------------------------------------------


class Done(NamedTuple):
    """What a tick did about something: ``subject`` is an issue's name, or ``sources``."""

    subject: str
    act: str
    words: str


def tick(workspace: Workspace, halt: threading.Event | None = None, put_off: dict[str, datetime] | None = None) -> tuple[Done, ...]:
    """Do whatever is due at ``workspace.at``. Safe to repeat, to interrupt anywhere, and to run in several processes.

    Nothing is done where another run holds the workspace. ``put_off`` remembers from tick to tick which issues a failing
    provider, or a fault, puts off until when.

    Raises:
        StoreError: the database cannot be reached.
    """
    halt = halt or threading.Event()
    try:
        with workspace.store.alone():
            return tuple(_work(workspace, halt, {} if put_off is None else put_off))
    except BusyError:
        return ()


def _work(workspace: Workspace, halt: threading.Event, put_off: dict[str, datetime]) -> Iterator[Done]:
    recovery.check_restored(workspace.store)
    feedback.apply(workspace)
    with workspace.store.write() as tx:
        begun_at = beat.begun_at(tx, workspace.at)
    if done := _gather(workspace):
        yield done
    for name, rule in workspace.config.cadences.items():
        for todo in decide(name, rule, workspace.zone, workspace.config.schedule, workspace.at, begun_at, known(workspace, name)):
            if halt.is_set():
                return
            if put_off.get(todo.slot.name, workspace.at) > workspace.at:
                continue
            try:
                words = _act(workspace, todo, halt)
            except DigestError as error:  # one issue's trouble is not the others'
                waits = isinstance(error, IssueWaits)
                if waits and halt.is_set():  # it was told to end, and goes on when it is started again: nobody need be written to
                    yield Done(todo.slot.name, todo.act, str(error))
                    return
                words = str(error) if waits else f"failed: {error}"
                put_off[todo.slot.name] = workspace.at + (_AGAIN if waits else _TROUBLE)
                notify.tell(workspace, todo.slot.name, "waits" if waits else "failed", notify.failed(todo.slot, str(error), waits=waits))
            if words:
                yield Done(todo.slot.name, todo.act, words)
    _tell_of_finished(workspace, begun_at)
    notify.tell_again(workspace)


def _tell_of_finished(workspace: Workspace, begun_at: datetime) -> None:
    """The editors are told of every issue that was finished since schedulers run here, whoever sent it, each once."""
    if not workspace.config.editors:
        return
    since = max(begun_at, workspace.at - timedelta(hours=workspace.config.schedule.late_limit_h))
    with workspace.store.read() as tx:
        rows = [row for row in issues.every(tx) if row.state is IssueState.FINISHED and row.due_at > since]
    for row in rows:
        notify.tell(workspace, row.name, "done", notify.done(workspace, dispatch.status(workspace, row.name)))


def known(workspace: Workspace, cadence: str) -> list[Known]:
    """The cadence's issues as the ledger has them."""
    with workspace.store.read() as tx:
        doubtful = doubtful_issues(tx)
        rows = [row for row in issues.every(tx) if row.cadence == cadence]
        found = []
        for row in rows:
            going = row.state in (IssueState.PLANNING, IssueState.SENDING)
            busy_at, open_at = ledger.activity(tx, row.id) if going else (None, None)
            busy_at = max((moment for moment in (busy_at, row.planned_at, row.approved_at if going else None) if moment), default=None)
            found.append(Known(row.slot, row.state, row.paused_at is not None, row.name in doubtful, busy_at, open_at))
    return found


def _gather(workspace: Workspace) -> Done | None:
    """Read the sources when it is time."""
    with workspace.store.read() as tx:
        last = beat.gathered_at(tx)
    if last is not None and timedelta(0) <= workspace.at - last < timedelta(minutes=workspace.config.schedule.gather_every_min):
        return None
    report = gather.gather(workspace)
    with workspace.store.write() as tx:
        beat.put_gathered_at(tx, workspace.at)
    broken = [source.name for source in report.sources if source.error]
    words = f"{report.new} new, {report.changed} changed" + (f"; not read: {', '.join(broken)}" if broken else "")
    return Done("sources", "gather", words)


def _act(workspace: Workspace, todo: Todo, halt: threading.Event) -> str:
    """Do one thing; what was done in a few words, empty where there was nothing to it."""
    name, slot = todo.slot.name, todo.slot
    match todo.act:
        case "draft":
            report = issue.draft(workspace, slot.cadence, slot=slot)
            return "" if report.existed else f"drafted with {report.members} summaries"
        case "ask":
            return ask(workspace, name)
        case "remind":
            # Where approval came meanwhile, or never was asked for, there is nothing to remind of.
            return notify.tell(workspace, name, "reminder", notify.reminder(workspace, slot))
        case "expire":
            count = life.expire(workspace, name, "never sent, and later than schedule.late_limit_h allows")
            if count is None:
                return ""
            notify.tell(workspace, name, "expired", notify.expired(workspace, slot, count))
            return f"expired; {count} summaries go to the next issue"
        case "missed":
            with workspace.store.write() as tx:
                issue.put_missed(tx, workspace, slot)
            notify.tell(workspace, name, "missed", notify.expired(workspace, slot, 0))
            return "missed: nobody was there to send it; the next issue has its summaries"
        case "stuck":
            return notify.tell(workspace, name, "stuck", notify.stuck(workspace, slot))
        case "send":
            _redraw(workspace, slot)
    sent = dispatch.send(workspace, name, halt=halt)
    return f"handed over {sent.handed_over}; {sent.status.state}" if sent.handed_over or sent.status.state == "finished" else ""


def _redraw(workspace: Workspace, slot: Slot) -> None:
    """An issue that nobody looks at before it leaves holds what is known when it does."""
    with workspace.store.read() as tx:
        row = issues.named(tx, slot.name)
    if row is not None and row.state is IssueState.DRAFTED and approval.rule_of(workspace, slot.cadence) == "automatic":
        issue.draft(workspace, slot.cadence, again=True, slot=slot)


def ask(workspace: Workspace, name: str) -> str:
    """Ask the editors to look at a draft; it is in review from then on. Asked once, whoever asks.

    Raises:
        IssueError: no such issue, or it has begun to go out.
    """
    with workspace.store.write() as tx:
        row: IssueRow = issue.find(tx, name)
        if row.state is IssueState.DRAFTED:
            issues.move_issue(tx, row.id, IssueState.IN_REVIEW, who=workspace.who, detail="the editors are asked")
            audit.record(tx, workspace, "issue.review", name)
    return notify.tell(workspace, name, "review", notify.review(workspace, row.slot))
