"""Pure: the local dates that an RRULE (RFC 5545) gives, whoever asks and whenever.

Only what makes sense for a newsletter is taken: daily and slower, without an end, every day named. What is counted in
steps (INTERVAL) is counted from a fixed date, so that no date depends on the day on which somebody looks.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta

ANCHOR = date(1900, 1, 1)  # a Monday, the first of a month and of a year: where steps are counted from unless told otherwise
LONGEST_GAP_DAYS = 731
_KEYS = ("FREQ", "INTERVAL", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS", "WKST")
_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_VALUES = {  # dateutil takes some of what is out of range without a word
    "INTERVAL": r"[1-9]\d{0,2}",
    "BYDAY": rf"([+-]?[1-5])?({'|'.join(_DAYS)})",
    "BYMONTHDAY": r"[+-]?([1-9]|[12]\d|3[01])",
    "BYMONTH": r"[1-9]|1[0-2]",
    "BYSETPOS": r"[+-]?[1-9]\d{0,2}",
    "WKST": "|".join(_DAYS),
}
# What must be named: dateutil would else take it from the date that counting starts at, which nobody sees.
_NAMED = {"DAILY": (), "WEEKLY": ("BYDAY",), "MONTHLY": ("BYDAY", "BYMONTHDAY"), "YEARLY": ("BYDAY", "BYMONTHDAY")}


def check(text: str, anchor: date = ANCHOR) -> str:
    """The rule in one spelling.

    Raises:
        ValueError: not a rule, or none that a newsletter can have; the text says what would do.
    """
    parts = _parts(text)
    freq = parts["FREQ"]
    if _NAMED[freq] and not any(key in parts for key in _NAMED[freq]):
        raise ValueError(f'"{text}" does not say on which day; add {" or ".join(f"{key}=…" for key in _NAMED[freq])}')
    if freq in ("DAILY", "WEEKLY") and re.search(r"\d", parts.get("BYDAY", "")):
        raise ValueError(f'"{text}": a number before a weekday counts within a month; use FREQ=MONTHLY')
    if freq == "YEARLY" and "BYMONTH" not in parts:
        raise ValueError(f'"{text}" does not say in which month; add BYMONTH=…')
    spelt = ";".join(f"{key}={parts[key]}" for key in _KEYS if key in parts)
    try:
        found = [day for year in range(2024, 2034) for day in dates(spelt, anchor, year)]
    except (ValueError, TypeError) as error:
        raise ValueError(f'"{text}" is no RRULE: {error}') from error
    edges = [date(2024, 1, 1), *found, date(2033, 12, 31)]
    if max((after - before).days for before, after in zip(edges, edges[1:], strict=False)) > LONGEST_GAP_DAYS:
        raise ValueError(f'"{text}" leaves more than two years between issues; for the last day of a month write BYMONTHDAY=-1')
    return spelt


def _parts(text: str) -> Mapping[str, str]:
    if not text.strip() or "\n" in text.strip():
        raise ValueError('an RRULE is one line such as "FREQ=MONTHLY;BYDAY=2TU"')
    parts: dict[str, str] = {}
    for piece in text.strip().removeprefix("RRULE:").split(";"):
        key, equals, value = (word.strip().upper() for word in piece.partition("="))
        if not equals or not value:
            raise ValueError(f'"{piece}" is no part of an RRULE; it is written KEY=VALUE')
        if key in parts:
            raise ValueError(f"{key} stands twice")
        if key in ("COUNT", "UNTIL"):
            raise ValueError(f"{key} would end the cadence some day without a word; leave it out, and take the cadence out when it ends")
        if key in ("BYHOUR", "BYMINUTE", "BYSECOND"):
            raise ValueError(f"{key} does not belong here; at: says the hour")
        if key not in _KEYS:
            raise ValueError(f"{key} is not one of {', '.join(_KEYS)}")
        if key in _VALUES and not all(re.fullmatch(_VALUES[key], one) for one in value.split(",")):
            raise ValueError(f"{key}={value} is not a value of {key}")
        parts[key] = value
    freq = parts.get("FREQ", "")
    if freq in ("HOURLY", "MINUTELY", "SECONDLY"):
        raise ValueError(f"FREQ={freq} is more often than once a day; an issue has a date of its own")
    if freq not in _NAMED:
        raise ValueError(f"FREQ must be one of {', '.join(_NAMED)}")
    return parts


@functools.lru_cache(512)
def dates(rule: str, anchor: date, year: int) -> tuple[date, ...]:
    """The rule's dates in one year, in order. INTERVAL counts from the period (week, month, year) that holds ``anchor``.

    Raises:
        ValueError: not a rule.
    """
    from dateutil.rrule import rrulestr

    parts = _parts(rule)
    step = int(parts.get("INTERVAL", "1"))
    begin = _begin(parts["FREQ"], step, anchor, _DAYS.index(parts.get("WKST", "MO")), year)
    first, last = datetime(year, 1, 1), datetime(year, 12, 31)  # noqa: DTZ001 - local dates only
    found = rrulestr(rule, dtstart=datetime(begin.year, begin.month, begin.day)).between(first, last, inc=True)  # noqa: DTZ001
    return tuple(moment.date() for moment in found)


def _begin(freq: str, step: int, anchor: date, week_start: int, year: int) -> date:
    """The start of the last counted period that begins before the year does: no date of the year lies before it."""
    if freq in ("DAILY", "WEEKLY"):
        days = step * (7 if freq == "WEEKLY" else 1)
        begin = anchor - timedelta(days=(anchor.weekday() - week_start) % 7) if freq == "WEEKLY" else anchor
        return begin + timedelta(days=(date(year, 1, 1) - begin).days // days * days)
    if freq == "MONTHLY":
        months = (year - anchor.year) * 12 - (anchor.month - 1)
        whole = anchor.month - 1 + months // step * step
        return date(anchor.year + whole // 12, whole % 12 + 1, 1)
    return date(anchor.year + (year - anchor.year) // step * step, 1, 1)
