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

from digest import recurrence
from digest.config import Cadence, Ordinal, Weekday
from digest.errors import IssueError
from digest.model import Slot

WEEKDAYS: tuple[str, ...] = get_args(Weekday)
ORDINALS: tuple[str, ...] = get_args(Ordinal)


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
    if cadence.rrule is not None:
        return on in recurrence.dates(cadence.rrule, cadence.counted_from, on.year)
    if cadence.weekday is not None:
        monday = cadence.counted_from - timedelta(days=cadence.counted_from.weekday())
        return on.weekday() == WEEKDAYS.index(cadence.weekday) and (on - monday).days // 7 % cadence.every == 0
    begun = cadence.counted_from
    if (cadence.months and on.month not in cadence.months) or ((on.year - begun.year) * 12 + on.month - begun.month) % cadence.every:
        return False
    return on.day == _day_of(cadence, on)


def _day_of(cadence: Cadence, month: date) -> int:
    last = months.monthrange(month.year, month.month)[1]
    if cadence.day == "last":
        return last
    if not isinstance(cadence.day, str):
        return min(cadence.day or 1, last)
    ordinal, weekday = cadence.day.split()
    wanted = WEEKDAYS.index(weekday)
    if ordinal == "last":
        return last - (month.replace(day=last).weekday() - wanted) % 7
    return 1 + (wanted - month.replace(day=1).weekday()) % 7 + 7 * ORDINALS.index(ordinal)


def dates_back(cadence: Cadence, on: date) -> Iterator[date]:
    """The cadence's dates, from the last one not after ``on`` backwards without end."""
    while True:
        if is_issue_date(cadence, on):
            yield on
        on -= timedelta(days=1)


def dates_on(cadence: Cadence, on: date) -> Iterator[date]:
    """The cadence's dates from ``on`` onwards, without end."""
    while True:
        if is_issue_date(cadence, on):
            yield on
        on += timedelta(days=1)


# Where a day begins first and ends last on Earth: issues at the reader's own hour fall due with the first (POSIX signs: UTC+14).
_FIRST, _LAST = "Etc/GMT-14", "Etc/GMT+12"


def due(cadence: Cadence, zone: str, on: date) -> datetime:
    """The instant at which the issue of that date falls due: at the newsletter's hour, or where ``clock: reader`` when that hour
    comes first anywhere.
    """
    return instant(on, cadence.at, zone if cadence.clock == "newsletter" else _FIRST)


def last_due(cadence: Cadence, zone: str, on: date) -> datetime:
    """The instant at which the last reader's hour has come."""
    return instant(on, cadence.at, zone if cadence.clock == "newsletter" else _LAST)


def slot_on(name: str, cadence: Cadence, zone: str, on: date) -> Slot:
    """The issue of exactly that date.

    Raises:
        IssueError: the cadence has none then; the text names the nearest dates.
    """
    if not is_issue_date(cadence, on):
        before = next(dates_back(cadence, on))
        after = next(dates_on(cadence, on))
        raise IssueError(f"{name} has no issue on {on}; the nearest are {before} and {after}")
    back = dates_back(cadence, on)
    this, previous = next(back), next(back)
    return Slot(
        cadence=name,
        local_date=this,
        opens_after=due(cadence, zone, previous),
        due_at=due(cadence, zone, this),
    )


def latest_slot(name: str, cadence: Cadence, zone: str, on: date) -> Slot:
    """The last issue whose date is not after ``on``."""
    return slot_on(name, cadence, zone, next(dates_back(cadence, on)))


def slots_due(name: str, cadence: Cadence, zone: str, after: datetime, up_to: datetime) -> list[Slot]:
    """The issues that fall due in (``after``, ``up_to``], in order."""
    first = after.astimezone(ZoneInfo(zone)).date() - timedelta(days=2)  # a date may fall due up to a day beside itself
    found: list[Slot] = []
    for on in dates_on(cadence, first):
        at = due(cadence, zone, on)
        if at > up_to and on > up_to.astimezone(ZoneInfo(zone)).date() + timedelta(days=1):
            return found
        if after < at <= up_to:
            found.append(slot_on(name, cadence, zone, on))
    raise AssertionError("a cadence has no end")
