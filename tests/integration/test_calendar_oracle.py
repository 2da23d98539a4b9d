"""RELIABILITY R8: every IANA zone, 2000 to 2040, against an oracle that knows a zone only as stretches of constant offset.

Many of the 600 names stand for the same data, or for data that differs only before 1999-12. Of those that are equal since
then one is tried in full, and of all the others it is shown that they are (``alike``).
"""

import bisect
import calendar as months
import functools
import importlib.resources
import os
import random
import struct
import zoneinfo
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from digest.calendar import dates_on, due, instant, slots_due
from digest.config import Cadence

FIRST, LAST = date(1999, 12, 20), date(2041, 1, 10)  # west of Greenwich the last days of 1999 fall due in 2000
BEGIN, END = datetime(1999, 12, 1, tzinfo=UTC), datetime(2041, 2, 1, tzinfo=UTC)
ALL = sorted(zoneinfo.available_timezones() - {"localtime"})
NIGHTLY = os.environ.get("DIGEST_TEST_EXAMPLES") == "nightly"
# Where it is hardest: half an hour of summer time, a day left out, midnight changes, changes for Ramadan, winter time in summer.
HARD = ["Australia/Lord_Howe", "Pacific/Apia", "America/Santiago", "Africa/Casablanca", "Europe/Dublin", "Asia/Tehran", "Africa/Cairo"]


def rules(zone):
    """What a zone's file (RFC 8536) says from BEGIN on: the offset then, every change after it, and the rule for what follows."""
    found = next((path for folder in zoneinfo.TZPATH if (path := Path(folder, zone)).is_file()), None)
    data = (found or importlib.resources.files("tzdata").joinpath("zoneinfo", zone)).read_bytes()
    *_, at = header(data, 0)  # the second block has 64 bits an instant; the first is passed over
    count, kinds, letters, others, here = header(data, at, 8)[:5]
    times = struct.unpack_from(f">{count}q", data, here)
    which = data[here + 8 * count : here + 9 * count]
    offsets = [struct.unpack_from(">lb", data, here + 9 * count + 6 * n) for n in range(kinds)]
    last = bisect.bisect(times, BEGIN.timestamp()) - 1
    changes = tuple((times[n], offsets[which[n]]) for n in range(last + 1, count))
    return offsets[which[last]] if last >= 0 else offsets[0], changes, data[here + 9 * count + 6 * kinds + letters + others :]


def header(data, at, width=4):
    """Of a block: how many changes and kinds of time, bytes of names and of the rest, where it begins and where it ends."""
    assert data[at : at + 4] == b"TZif"
    utc, standard, leaps, count, kinds, letters = struct.unpack_from(">6l", data, at + 20)
    others = leaps * (width + 4) + standard + utc
    return count, kinds, letters, others, at + 44, at + 44 + count * (width + 1) + kinds * 6 + letters + others


@functools.cache
def alike():
    """Zones by what their files say, each with those that say the same; the hard ones stand first, so they are tried themselves."""
    groups = {}
    for zone in sorted(ALL, key=lambda zone: (zone not in HARD, zone)):
        groups.setdefault(rules(zone), []).append(zone)
    return list(groups.values())


ZONES = [group[0] for group in alike()] if NIGHTLY else [*HARD, *random.Random(8).sample(ALL, 5)]

CADENCES = {
    **{f"day {day}": Cadence(day=day, at=at) for day, at in ((1, "00:00"), (29, "02:30"), (30, "01:30"), (31, "23:45"))},
    "last": Cadence(day="last", at="02:00"),
    "first monday": Cadence(day="first monday", at="09:00"),
    "last sunday": Cadence(day="last sunday", at="02:30"),
    "sunday": Cadence(weekday="sunday", at="02:30"),
    "fortnight": Cadence(weekday="friday", every=2, at="00:00"),
    "quarterly": Cadence(day=31, every=3, at="03:00"),
    "daily": Cadence(rrule="FREQ=DAILY", at="02:30"),
}


@functools.cache
def stretches(zone):
    """(begin, end, offset) in UTC, found by looking at every day's offset and halving where two differ."""
    tz = zoneinfo.ZoneInfo(zone)

    def offset(moment):
        return moment.astimezone(tz).utcoffset()

    here = begin = BEGIN
    now, found = offset(here), []
    while here < END:
        after = here + timedelta(days=1)
        if (then := offset(after)) != now:
            low, high = here, after
            while high - low > timedelta(seconds=1):
                middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
                low, high = (middle, high) if offset(middle) == now else (low, middle)
            found.append((begin, high, now))
            begin = high
        here, now = after, then
    return [*found, (begin, END, now)]


def expected(pieces, wall):
    """The first instant at which the clock on the wall shows ``wall``, else the first one after the gap that holds it."""
    shown = [moment for begin, end, offset in pieces if begin <= (moment := (wall - offset).replace(tzinfo=UTC)) < end]
    if shown:
        return min(shown)
    for (_, change, before), (_, _, after) in zip(pieces, pieces[1:], strict=False):
        bare = change.replace(tzinfo=None)
        if bare + before <= wall < bare + after:
            return change
    raise AssertionError(wall)


def near(pieces, day):
    """The stretches that matter for a day: those within two days of it."""
    moment, two = datetime(day.year, day.month, day.day, tzinfo=UTC), timedelta(days=2)
    first = bisect.bisect(pieces, moment - two, key=lambda piece: piece[0]) - 1  # the one that holds two days before it
    last = bisect.bisect(pieces, moment + two, key=lambda piece: piece[0])
    return pieces[first:last]


def wall_of(day, at):
    return datetime(day.year, day.month, day.day, int(at[:2]), int(at[3:]))  # noqa: DTZ001


@pytest.mark.parametrize("zone", ZONES)
def test_every_quarter_hour_around_every_change_of_the_clocks(zone):
    pieces = stretches(zone)
    changes = [begin for begin, _, _ in pieces[1:]]
    if not NIGHTLY and len(changes) > 10:
        changes = random.Random(zone).sample(changes, 10)
    for change in changes:
        for shift in (-1, 0, 1):
            day = change.date() + timedelta(days=shift)
            few = near(pieces, day)
            for quarter in range(96):
                at = f"{quarter // 4:02}:{quarter % 4 * 15:02}"
                assert instant(day, at, zone) == expected(few, wall_of(day, at)), (zone, day, at)


def due_dates(name, cadence):
    """Which days a cadence means, said another way than the program says it."""
    day, found = FIRST, []
    while day <= LAST:
        last = months.monthrange(day.year, day.month)[1]
        if {
            "last": day.day == last,
            "first monday": day.weekday() == 0 and day.day <= 7,
            "last sunday": day.weekday() == 6 and day.day > last - 7,
            "sunday": day.weekday() == 6,
            "fortnight": (day - date(1900, 1, 5)).days % 14 == 0,
            "quarterly": day.month in (1, 4, 7, 10) and day.day == last,
            "daily": True,
        }.get(name, name.startswith("day ") and day.day == min(int(name[4:] if name[4:].isdigit() else 0), last)):
            found.append(day)
        day += timedelta(days=1)
    return found


@pytest.mark.parametrize("name", CADENCES)
def test_a_cadence_has_an_issue_on_exactly_the_dates_that_it_means(name):
    found = []
    for day in dates_on(CADENCES[name], FIRST):
        if day > LAST:
            break
        found.append(day)
    assert found == due_dates(name, CADENCES[name])


DATES = {name: due_dates(name, cadence) for name, cadence in CADENCES.items()}


@pytest.mark.parametrize("zone", ZONES)
def test_every_due_date_has_exactly_one_instant(zone):
    pieces = stretches(zone)
    rng = random.Random(zone)
    for name, cadence in CADENCES.items():
        days = DATES[name] if NIGHTLY or len(DATES[name]) < 100 else rng.sample(DATES[name], 60)
        for day in days:
            moment = due(cadence, zone, day)
            assert moment == expected(near(pieces, day), wall_of(day, cadence.at)), (zone, name, day)


GMT_MINUS_14 = [(BEGIN, END, timedelta(hours=14))]  # where a reader's hour comes first


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("clock", ["newsletter", "reader"])
def test_a_clock_that_only_goes_on_meets_every_issue_once(zone, clock):
    """As the scheduler asks: again and again, for what fell due since it asked last, whatever the distances."""
    rng = random.Random(f"{zone} {clock}")
    years = range(2000, 2041) if NIGHTLY else [rng.randrange(2000, 2041), 2011]
    pieces = stretches(zone) if clock == "newsletter" else GMT_MINUS_14
    for name in ("daily", "sunday", "day 31"):
        cadence = CADENCES[name].model_copy(update={"clock": clock})
        for year in years:
            begin = here = datetime(year, 1, 1, tzinfo=UTC)
            end, met = here + timedelta(days=365), []
            while here < end:
                after = min(here + timedelta(hours=rng.choice([1, 7, 23, 25, 24 * 9, 24 * 40])), end)
                met += [slot.local_date for slot in slots_due("c", cadence, zone, here, after)]
                here = after
            about = DATES[name][bisect.bisect(DATES[name], date(year - 1, 12, 25)) : bisect.bisect(DATES[name], date(year + 1, 1, 5))]
            wanted = [day for day in about if begin < expected(near(pieces, day), wall_of(day, cadence.at)) <= end]
            assert met == wanted
            assert len(met) >= {"daily": 364, "sunday": 51, "day 31": 11}[name]


def test_zones_that_are_not_tried_say_what_the_tried_ones_say():
    """Their files are equal since 1999-12; their offsets, asked for day by day as the oracle does, are equal, too."""
    groups = alike()
    assert sorted(zone for group in groups for zone in group) == ALL
    others = [(group[0], other) for group in groups for other in group[1:]]
    assert len(others) > 200  # else the files were not read as they are meant
    for tried, other in others if NIGHTLY else random.Random(8).sample(others, 4):
        assert stretches(other) == stretches(tried), (other, tried)
