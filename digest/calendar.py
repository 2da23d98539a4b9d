"""Pure: on which local dates a cadence has an issue, and in which instant each falls due.

The local wall time is taken once (``fold=0``) and carried through UTC: in spring a time that does not exist becomes the
first valid one after the gap, in autumn one that comes twice counts the first time.
"""

from __future__ import annotations

import calendar as months
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import get_args
from zoneinfo import ZoneInfo

from digest.config import Cadence, Weekday
from digest.errors import IssueError
from digest.model import Slot

WEEKDAYS: tuple[str, ...] = get_args(Weekday)


def instant(on: date, at: str, zone: str) -> datetime:
    """The instant, in UTC, at which ``at`` (``HH:MM``) comes on that date in that zone."""
    hour, minute = map(int, at.split(":"))
    local = datetime.combine(on, time(hour, minute), tzinfo=ZoneInfo(zone))
    skipped = 0
    while not _exists(local - timedelta(minutes=skipped)):
        skipped += 1
    # The minute before the gap exists; one minute of real time after it the gap has been jumped.
    return (local - timedelta(minutes=skipped)).astimezone(UTC) + timedelta(minutes=min(skipped, 1))


def _exists(local: datetime) -> bool:
    return local.astimezone(UTC).astimezone(local.tzinfo).replace(tzinfo=None) == local.replace(tzinfo=None)


def end_of_day(on: date, zone: str) -> datetime:
    """The last instant of that local date, in UTC: ``--on DATE`` acts as of then."""
    return instant(on + timedelta(days=1), "00:00", zone) - timedelta(microseconds=1)


def is_issue_date(cadence: Cadence, on: date) -> bool:
    """Whether the cadence has an issue on that date. A month too short for its ``day`` takes its last day."""
    if cadence.weekday is not None:
        return on.weekday() == WEEKDAYS.index(cadence.weekday)
    if cadence.months and on.month not in cadence.months:
        return False
    last = months.monthrange(on.year, on.month)[1]
    return on.day == (last if cadence.day == "last" else min(int(cadence.day or 1), last))


def dates_back(cadence: Cadence, on: date) -> Iterator[date]:
    """The cadence's dates, from the last one not after ``on`` backwards without end."""
    while True:
        if is_issue_date(cadence, on):
            yield on
        on -= timedelta(days=1)


def slot_on(name: str, cadence: Cadence, zone: str, on: date) -> Slot:
    """The issue of exactly that date.

    Raises:
        IssueError: the cadence has none then; the text names the nearest dates.
    """
    if not is_issue_date(cadence, on):
        before = next(dates_back(cadence, on))
        after = next(day for n in range(1, 400) if is_issue_date(cadence, day := on + timedelta(days=n)))
        raise IssueError(f"{name} has no issue on {on}; the nearest are {before} and {after}")
    back = dates_back(cadence, on)
    this, previous = next(back), next(back)
    return Slot(
        cadence=name,
        local_date=this,
        opens_after=instant(previous, cadence.at, zone),
        due_at=instant(this, cadence.at, zone),
    )


def latest_slot(name: str, cadence: Cadence, zone: str, on: date) -> Slot:
    """The last issue whose date is not after ``on``."""
    return slot_on(name, cadence, zone, next(dates_back(cadence, on)))
