"""RELIABILITY R8: every IANA zone, 2000 to 2040, against an oracle that knows a zone only as stretches of constant offset."""

import calendar as months
import os
import random
import zoneinfo
from datetime import UTC, date, datetime, timedelta

import pytest

from digest.calendar import dates_on, due, instant, slots_due
from digest.config import Cadence

FIRST, LAST = date(2000, 1, 1), date(2040, 12, 31)
ALL = sorted(zoneinfo.available_timezones() - {"localtime"})
NIGHTLY = os.environ.get("DIGEST_TEST_EXAMPLES") == "nightly"
# Where it is hardest: half an hour of summer time, a day left out, midnight changes, changes for Ramadan, winter time in summer.
HARD = ["Australia/Lord_Howe", "Pacific/Apia", "America/Santiago", "Africa/Casablanca", "Europe/Dublin", "Asia/Tehran", "Africa/Cairo"]
ZONES = ALL if NIGHTLY else [*HARD, *random.Random(8).sample(ALL, 5)]

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


def stretches(zone):
    """(begin, end, offset) in UTC, found by looking at every day's offset and halving where two differ."""
    tz = zoneinfo.ZoneInfo(zone)

    def offset(moment):
        return moment.astimezone(tz).utcoffset()

    here = begin = datetime(1999, 12, 1, tzinfo=UTC)
    end = datetime(2041, 2, 1, tzinfo=UTC)
    found = []
    while here < end:
        after = here + timedelta(days=1)
        if offset(after) != offset(here):
            low, high = here, after
            while high - low > timedelta(seconds=1):
                middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
                low, high = (middle, high) if offset(middle) == offset(here) else (low, middle)
            found.append((begin, high, offset(here)))
            begin = high
        here = after
    return [*found, (begin, end, offset(begin))]


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


def near(pieces, moment):
    """The stretches that matter for a day: those within two days of it."""
    return [piece for piece in pieces if piece[0] - timedelta(days=2) <= moment <= piece[1] + timedelta(days=2)]


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
            for quarter in range(96):
                at = f"{quarter // 4:02}:{quarter % 4 * 15:02}"
                few = near(pieces, datetime(day.year, day.month, day.day, tzinfo=UTC))
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
            few = near(pieces, datetime(day.year, day.month, day.day, tzinfo=UTC))
            assert moment == expected(few, wall_of(day, cadence.at)), (zone, name, day)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("clock", ["newsletter", "reader"])
def test_a_clock_that_only_goes_on_meets_every_issue_once(zone, clock):
    """As the scheduler asks: again and again, for what fell due since it asked last, whatever the distances."""
    rng = random.Random(f"{zone} {clock}")
    years = range(2000, 2041) if NIGHTLY else [rng.randrange(2000, 2041), 2011]
    for name in ("daily", "sunday", "day 31"):
        cadence = CADENCES[name].model_copy(update={"clock": clock})
        for year in years:
            here, met = datetime(year, 1, 1, tzinfo=UTC), []
            end = here + timedelta(days=365)
            while here < end:
                after = min(here + timedelta(hours=rng.choice([1, 7, 23, 25, 24 * 9, 24 * 40])), end)
                met += [slot.local_date for slot in slots_due("c", cadence, zone, here, after)]
                here = after
            begin = datetime(year, 1, 1, tzinfo=UTC)
            wanted = [day for day in DATES[name] if begin < due(cadence, zone, day) <= end] if clock == "newsletter" else met
            assert met == wanted == sorted(set(met))
            assert len(met) >= {"daily": 364, "sunday": 51, "day 31": 11}[name]
