from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.sources.dates import parse_date, parse_timestamp

MAY = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-05-01",
        "20260501",
        "2026/5/1",
        "2026-05-01T00:00:00Z",
        "2026-05-01T02:00:00+02:00",
        "2026-05-01T02:00:00 +0200",
        "2026-05-01 00:00",
        "5/1/2026",
        "05/01/2026",
        "5.1.2026",
        "5-1-2026",
        "5/1/2026 12:00 AM",
        "1 May 2026",
        "May 1, 2026",
        "May 1st, 2026",
        "Friday, May 1, 2026",
        "  1   May\n2026 ",
        "Fri, 01 May 2026 00:00:00 GMT",
        "Fri, 1 May 26 00:00 UT",
        "Thu, 30 Apr 2026 19:00:00 EST",
        "01 May 2026 02:00:00 CEST",
        "1 May 2026 02:00 CEST",
    ],
)
def test_forms_that_people_publish(text):
    assert parse_date(text, "UTC") == MAY


def test_date_order_decides_what_numbers_mean():
    assert parse_date("5/1/2026", "UTC", "mdy") == MAY
    assert parse_date("1/5/2026", "UTC", "dmy") == MAY
    assert parse_date("31/12/2026", "UTC", "dmy") == datetime(2026, 12, 31, tzinfo=UTC)
    with pytest.raises(ValueError, match="date_order: dmy"):
        parse_date("31/12/2026", "UTC", "mdy")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("May 2026", "no day"),
        ("2026", "bare number"),
        ("1746057600", "bare number"),
        ("1705311200", "bare number"),
        ("Friday", "no year"),
        ("29 Feb", "no year"),
        ("10:30", "no year"),
        ("5/1/26", "four digits"),
        ("May 1 26", "no year"),
        ("2/30/2026", "calendar"),
        ("2026-13-01", "calendar"),
        ("2026-02-30", "calendar"),
        ("2026-05", "calendar"),
        ("2026-05-01T25:00Z", "can be read"),
        ("Fri, 31 Jun 2026 10:00:00 GMT", "can be read"),
        ("1. Mai 2026", "can be read"),
        ("soon 2026", "can be read"),
        ("May 1, 2026 10:00 IST", "time zone"),
        ("Fri, 01 May 2026 10:00:00 XYZ", "time zone XYZ"),
        ("31 December 1969", "1970 to 2100"),
        ("0001-01-01", "1970 to 2100"),
        ("2101-01-01", "1970 to 2100"),
        ("9999-12-31T23:59:59-12:00", "1970 to 2100"),
        ("x" * 100, "too long"),
    ],
)
def test_what_is_not_said_is_an_error(text, why):
    with pytest.raises(ValueError, match=why):
        parse_date(text, "UTC")


def test_a_date_is_midnight_in_the_zone():
    assert parse_date("2026-05-01", "Europe/London") == MAY - timedelta(hours=1)
    assert parse_date("May 1, 2026", "America/New_York") == MAY + timedelta(hours=4)
    assert parse_date("2026-05-01T00:00:00Z", "America/New_York") == MAY


def test_hours_that_the_clocks_skip_or_repeat():
    skipped = parse_date("2026-03-29T01:30", "Europe/London")
    assert skipped == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)  # 02:30 on the new clock
    twice = parse_date("2026-10-25T01:30", "Europe/London")
    assert twice == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # the first of the two


def test_timestamps_in_seconds_and_milliseconds():
    assert parse_timestamp(1777593600) == parse_timestamp(1777593600000) == MAY
    for bad in (-1, 1e30, float("inf"), float("nan"), 5e9):
        with pytest.raises(ValueError):
            parse_timestamp(bad)


OFFSETS = st.integers(-12 * 4, 14 * 4).map(lambda quarters: timezone(timedelta(minutes=15 * quarters)))
MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2100, 12, 30), timezones=OFFSETS).map(lambda d: d.replace(microsecond=0))  # noqa: DTZ001


@given(MOMENTS)
def test_round_trip_of_instants(moment):
    for text in (moment.isoformat(), moment.isoformat(" "), format_datetime(moment), moment.strftime("%d %B %Y %H:%M:%S %z")):
        assert parse_date(text, "Asia/Tokyo") == moment


@given(st.dates(datetime(1971, 1, 1).date(), datetime(2100, 12, 30).date()), st.sampled_from(["UTC", "Europe/London", "Pacific/Auckland"]))  # noqa: DTZ001
def test_round_trip_of_days(day, zone):
    expected = parse_date(day.isoformat(), zone)
    for form in ("%B %d, %Y", "%d %B %Y", "%b %d %Y", "%A, %d %B %Y", "%m/%d/%Y", "%Y%m%d"):
        assert parse_date(day.strftime(form), zone) == expected
    assert parse_date(day.strftime("%d/%m/%Y"), zone, "dmy") == expected


@given(st.text(max_size=60))
def test_any_text_is_a_date_or_a_value_error(text):
    try:
        found = parse_date(text, "UTC")
    except ValueError as error:
        assert str(error)
    else:
        assert found.tzinfo is UTC and 1969 <= found.year <= 2101
