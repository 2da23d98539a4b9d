"""The calendar as people ask for it: the next issues of every cadence, and what each would have today."""

from __future__ import annotations

import itertools
from datetime import date, datetime, timedelta

from digest import approval, calendar, select
from digest.config import Cadence
from digest.model import DONE, Frozen, Slot
from digest.store import catalogue, issues, people
from digest.workspace import Workspace

COUNT = 12


class Upcoming(Frozen):
    """An issue to come, with its deadlines. ``summaries`` and ``readers`` are what it would have if nothing changed from today.

    ``at`` is the cadence's hour: the newsletter's, or each reader's own where ``last_due_at`` is later than ``due_at``.
    ``approve_by`` is None where it leaves without approval; after ``given_up_at`` the scheduler no longer sends it.
    """

    cadence: str
    local_date: date
    issue: str
    at: str
    opens_after: datetime
    due_at: datetime
    last_due_at: datetime
    draft_at: datetime
    approve_by: datetime | None
    given_up_at: datetime
    state: str
    summaries: int
    readers: int


def upcoming(workspace: Workspace, until: date | None = None) -> tuple[Upcoming, ...]:
    """The issues of every cadence from the date acted as of: the next twelve, or those up to ``until``; done ones are left out."""
    found: list[Upcoming] = []
    for name, rule in workspace.config.cadences.items():
        found += _of_cadence(workspace, name, rule, until)
    return tuple(found)


def _of_cadence(workspace: Workspace, name: str, rule: Cadence, until: date | None) -> list[Upcoming]:
    with workspace.store.read() as tx:
        rows = {row.name: row for row in issues.every(tx) if row.cadence == name}
        taken = issues.taken_by(tx, name)
        ends = issues.archive_ends_of(tx, name)
        pieces = catalogue.load(tx)
        readers = people.count_readers(tx, name)
    dates = calendar.dates_on(rule, workspace.on)
    slots = (calendar.slot_on(name, rule, workspace.zone, on) for on in dates)
    wanted = (slot for slot in slots if slot.name not in rows or rows[slot.name].state not in DONE)
    chosen = list(itertools.islice(wanted, COUNT)) if until is None else list(itertools.takewhile(lambda s: s.local_date <= until, wanted))
    found = []
    for slot in chosen:
        row = rows.get(slot.name)
        members = [one for one in pieces if _would_have(one, slot, taken.get(one.row), ends.get(one.source))]
        for one in members:
            taken[one.row] = slot.name
        found.append(_line(workspace, rule, slot, row.state.value if row else "", len(members), readers))
    return found


def _would_have(stored: catalogue.Stored, slot: Slot, holder: str | None, ends: datetime | None) -> bool:
    archive = slot.opens_after if ends is None else min(ends, slot.opens_after)
    known = select.Known(stored.summary, archive, None if holder == slot.name else holder)
    return select.fate(known, slot.due_at) is select.Fate.MEMBER


def _line(workspace: Workspace, rule: Cadence, slot: Slot, state: str, summaries: int, readers: int) -> Upcoming:
    settings = workspace.config
    limit = settings.delivery.late_limit_h or settings.schedule.late_limit_h
    last = max(slot.due_at, calendar.last_due(rule, workspace.zone, slot.local_date))
    return Upcoming(
        cadence=slot.cadence,
        local_date=slot.local_date,
        issue=slot.name,
        at=rule.at,
        opens_after=slot.opens_after,
        due_at=slot.due_at,
        last_due_at=last,
        draft_at=slot.due_at - timedelta(hours=rule.draft_before_h),
        approve_by=slot.due_at if approval.rule_of(workspace, slot.cadence) == "required" else None,
        given_up_at=last + timedelta(hours=min(limit, settings.schedule.late_limit_h)),
        state=state,
        summaries=summaries,
        readers=readers,
    )
