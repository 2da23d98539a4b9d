from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.calendar import dates_back, end_of_day, instant, is_issue_date, latest_slot, slot_on
from digest.config import Cadence
from digest.errors import IssueError

DAYS = st.dates(date(2000, 1, 10), date(2040, 12, 31))
ZONES = st.sampled_from(
    ["UTC", "Europe/London", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kolkata", "America/Santiago"]
)
CADENCES = st.one_of(
    st.builds(Cadence, day=st.one_of(st.integers(1, 31), st.just("last")), at=st.sampled_from(["00:00", "02:30", "09:00", "23:45"])),
    st.builds(Cadence, day=st.integers(1, 31), months=st.sampled_from([(1, 4, 7, 10), (2,), (6, 12)])),
    st.builds(Cadence, weekday=st.sampled_from(["monday", "friday", "sunday"]), at=st.sampled_from(["00:00", "01:30", "07:30"])),
)


@given(CADENCES, ZONES, DAYS)
def test_windows_leave_no_gap_and_do_not_overlap(cadence, zone, day):
    this = latest_slot("c", cadence, zone, day)
    before = latest_slot("c", cadence, zone, this.local_date - timedelta(days=1))
    assert this.opens_after == before.due_at < this.due_at


@given(CADENCES, ZONES, DAYS)
def test_the_latest_slot_is_the_last_one_not_after_the_day(cadence, zone, day):
    slot = latest_slot("c", cadence, zone, day)
    assert slot.local_date <= day
    assert not any(is_issue_date(cadence, slot.local_date + timedelta(days=n)) for n in range(1, (day - slot.local_date).days + 1))
    assert slot_on("c", cadence, zone, slot.local_date) == slot


@given(st.integers(1, 31), DAYS)
def test_every_month_has_exactly_one_issue(day, month):
    cadence = Cadence(day=day)
    dates = dates_back(cadence, month)
    one, other = next(dates), next(dates)
    assert (one.year * 12 + one.month) - (other.year * 12 + other.month) == 1


def test_day_31_is_the_last_day_of_a_short_month():
    assert [str(slot_on("c", Cadence(day=31), "UTC", date(2026, 2, 28)).local_date)] == ["2026-02-28"]
    assert is_issue_date(Cadence(day="last"), date(2028, 2, 29))


def test_a_time_that_does_not_exist_becomes_the_first_one_after_the_gap():
    assert instant(date(2026, 3, 29), "02:30", "Europe/Berlin") == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)


def test_a_time_that_comes_twice_counts_the_first_time():
    assert instant(date(2026, 10, 25), "02:30", "Europe/Berlin") == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_a_day_that_a_zone_left_out_falls_on_the_next():
    assert instant(date(2011, 12, 30), "09:00", "Pacific/Apia").astimezone(ZoneInfo("Pacific/Apia")).date() == date(2011, 12, 31)


@given(DAYS, ZONES)
def test_acting_on_a_day_reaches_to_its_last_instant(day, zone):
    end = end_of_day(day, zone)
    assert end < instant(day + timedelta(days=1), "00:00", zone) <= end + timedelta(seconds=1)


def test_a_date_without_an_issue_names_the_nearest():
    with pytest.raises(IssueError, match="2026-05-01 and 2026-06-01"):
        slot_on("monthly", Cadence(day=1), "UTC", date(2026, 5, 9))
