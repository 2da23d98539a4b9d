"""Dates in the forms that people publish, read strictly: what is not said is an error, never filled in with today."""

from __future__ import annotations

import re
import warnings
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Literal
from zoneinfo import ZoneInfo

DateOrder = Literal["mdy", "dmy"]

# Names that mean one offset where feeds use them. IST, CST (China or Central) and the like are left out where they
# have several meanings in use; CST and EST stand in RFC 822 itself.
_ZONES = {
    "UTC": 0, "GMT": 0, "UT": 0, "Z": 0, "WET": 0, "WEST": 1, "BST": 1, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3,
    "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
    "JST": 9, "AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13,
}  # fmt: skip
_NUMERIC = re.compile(r"^(\d{1,2})([/.-])(\d{1,2})\2(\d{4})(?:[,T]?\s+(.+))?$")
_YEAR_FIRST = re.compile(r"^(\d{4})([/.])(\d{1,2})\2(\d{1,2})(?:\s+(.+))?$")
_RFC_822 = re.compile(
    r"^(?:[A-Za-z]+,?\s+)?\d{1,2}\s+[A-Za-z]{3}[A-Za-z]*\.?\s+\d{2,4}\s+\d{1,2}:\d{2}(?::\d{2})?\s+([A-Za-z]{1,4}|[+-]\d{4})(?:\s*\(.*\))?$"
)
_EXAMPLES = "write it as 2026-05-01, or 2026-05-01T09:00:00+02:00"


def parse_date(text: str, zone: str, date_order: DateOrder = "mdy") -> datetime:
    """The instant that ``text`` names, aware and in UTC.

    Reads ISO 8601, RFC 822, ``5/1/2026`` (by ``date_order``), ``1 May 2026`` and ``May 1, 2026``, each with or without a
    time. A date alone is its midnight in ``zone``; a time without offset is in ``zone`` too. A local time that the clocks
    skip counts from before the change; of one that comes twice, the first is meant.

    Raises:
        ValueError: no day, month or year; another form; before 1970 or after 2100. The text says which.
    """
    line = re.sub(r"\s+", " ", text).strip()
    if not line:
        raise ValueError(f"the date is empty; {_EXAMPLES}")
    if len(line) > 80:
        raise ValueError(f'"{line[:40]}…" is too long for a date; {_EXAMPLES}')
    if re.fullmatch(r"\d+", line) and len(line) != 8:
        raise ValueError(f'"{line}" is a bare number, not a date; {_EXAMPLES}')
    found = _numeric(line, date_order) or _iso(line) or _rfc_822(line) or _worded(line)
    return _to_utc(found, zone, line)


def parse_timestamp(value: float) -> datetime:
    """The instant of a Unix timestamp in seconds, or in milliseconds where seconds would lie beyond 2100.

    Raises:
        ValueError: outside 1970 to 2100.
    """
    seconds = value / 1000 if abs(value) >= 1e11 else value
    try:
        found = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(f"{value:g} is not a Unix timestamp") from error
    return _to_utc(found, "UTC", f"{value:g}")


def _to_utc(found: datetime, zone: str, text: str) -> datetime:
    if not 1970 <= found.year <= 2100:
        raise ValueError(f'"{text}" lies in the year {found.year}; dates from 1970 to 2100 are taken')
    aware = found if found.tzinfo is not None else found.replace(tzinfo=ZoneInfo(zone), fold=0)
    # The smallest year passed the check, so a large offset moves it by days at most.
    return aware.astimezone(UTC)


def _numeric(line: str, order: DateOrder) -> datetime | None:
    if match := _NUMERIC.match(line):
        first, _, second, year, time = match.groups()
        month, day = (first, second) if order == "mdy" else (second, first)
    elif match := _YEAR_FIRST.match(line):
        year, _, month, day, time = match.groups()
    elif re.match(r"^\d{1,2}[/.-]\d{1,2}[/.-]\d{1,2}(?!\d)", line):
        raise ValueError(f'"{line}": write the year with four digits')
    else:
        return None
    if int(month) > 12 >= int(day) and not line.startswith(year):
        other = "dmy" if order == "mdy" else "mdy"
        raise ValueError(f'"{line}" has no month {int(month)}; if days and months come the other way round here, set date_order: {other}')
    iso = f"{year}-{int(month):02d}-{int(day):02d}"
    try:
        date = datetime.fromisoformat(iso)
    except ValueError as error:
        raise ValueError(f'"{line}" is not a day of the calendar: {error}') from error
    return date if not time else _with_dateutil(f"{iso} {time}", line)


def _iso(line: str) -> datetime | None:
    if not re.match(r"^\d{4}-?\d", line):
        return None
    text = re.sub(r"(?<=\d)\s+(?=[+-]\d{2}:?\d{2}$|Z$)", "", line)
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        if re.fullmatch(r"\d{4}(-?\d\d?){0,2}", line):
            raise ValueError(f'"{line}" is not a day of the calendar ({error}); {_EXAMPLES}') from error
        return None


def _rfc_822(line: str) -> datetime | None:
    match = _RFC_822.match(line)
    if not match:
        return None
    name = match.group(1).upper()
    if name[0] not in "+-" and name not in _ZONES:
        raise _unknown_zone(line, name)
    if name in _ZONES:
        line = line[: match.start(1)] + f"{_ZONES[name]:+03d}00"
    try:
        return parsedate_to_datetime(line)
    except (ValueError, IndexError, TypeError):
        return None  # a month in another language, a 31st of June: the next reader says what is wrong


def _worded(line: str) -> datetime:
    if not re.search(r"(?<!\d)\d{4}(?!\d)", line) and not re.match(r"^\d{8}", line):
        raise ValueError(f'"{line}" names no year with four digits; {_EXAMPLES}')
    return _with_dateutil(line, line)


def _with_dateutil(text: str, line: str) -> datetime:
    """Let dateutil read it twice, with defaults that agree in nothing: what differs was not in the text."""
    from dateutil import parser

    zones = {name: timezone(timedelta(hours=hours)) for name, hours in _ZONES.items()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", parser.UnknownTimezoneWarning)
            one, two = (parser.parse(text, default=default, tzinfos=zones) for default in (datetime(2000, 1, 1), datetime(2004, 12, 28)))  # noqa: DTZ001
    except parser.UnknownTimezoneWarning as error:
        raise _unknown_zone(line, "at its end") from error
    except (ValueError, OverflowError, TypeError, AttributeError) as error:
        raise ValueError(f'"{line}" is not a date that can be read; {_EXAMPLES}') from error
    missing = [part for part in ("year", "month", "day") if getattr(one, part) != getattr(two, part)]
    if missing:
        raise ValueError(f'"{line}" names no {" and no ".join(missing)}; {_EXAMPLES}')
    return one


def _unknown_zone(line: str, name: str) -> ValueError:
    return ValueError(f'"{line}": the time zone {name} is not known or has several meanings; write an offset such as +02:00')
