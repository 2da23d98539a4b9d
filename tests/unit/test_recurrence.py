"""RRULEs against a reading of RFC 5545 that looks at every single day."""

import calendar as months
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.recurrence import ANCHOR, check, dates

DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


@given(
    st.sampled_from(["WEEKLY", "MONTHLY", "DAILY"]),
    st.integers(1, 12),
    st.lists(st.sampled_from(DAYS), min_size=1, max_size=3, unique=True),
    st.dates(date(1990, 1, 1), date(2040, 12, 31)),
    st.integers(2000, 2040),
)
def test_steps_are_counted_from_the_fixed_date_whatever_year_is_asked_for(freq, step, days, anchor, year):
    found = dates(f"FREQ={freq};INTERVAL={step};BYDAY={','.join(days)}", anchor, year)
    wanted = []
    day = date(year, 1, 1)
    while day.year == year:
        monday = anchor - timedelta(days=anchor.weekday())
        counted = {
            "WEEKLY": (day - monday).days // 7,
            "MONTHLY": day.year * 12 + day.month - anchor.year * 12 - anchor.month,
            "DAILY": (day - anchor).days,
        }[freq]
        if counted % step == 0 and DAYS[day.weekday()] in days:
            wanted.append(day)
        day += timedelta(days=1)
    assert list(found) == wanted


@given(st.sampled_from([-1, 1, 2, 3, 4]), st.sampled_from(DAYS), st.integers(2000, 2040))
def test_the_nth_weekday_of_a_month(nth, weekday, year):
    found = dates(f"FREQ=MONTHLY;BYDAY={nth}{weekday}", ANCHOR, year)
    for month in range(1, 13):
        all_days = [
            date(year, month, n) for n in range(1, months.monthrange(year, month)[1] + 1) if DAYS[date(year, month, n).weekday()] == weekday
        ]
        assert found[month - 1] == all_days[nth - 1 if nth > 0 else nth]


def test_the_last_working_day_of_a_quarter():
    rule = check("FREQ=YEARLY;BYMONTH=3,6,9,12;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1")
    assert [str(day) for day in dates(rule, ANCHOR, 2026)] == ["2026-12-31"]  # BYSETPOS counts within the year: use MONTHLY
    rule = check("rrule:freq=monthly; bymonth=3,6,9,12; byday=mo,tu,we,th,fr; bysetpos=-1".replace("rrule:", "RRULE:"))
    assert [str(day) for day in dates(rule, ANCHOR, 2026)] == ["2026-03-31", "2026-06-30", "2026-09-30", "2026-12-31"]


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("FREQ=HOURLY", "more often than once a day"),
        ("FREQ=MONTHLY", "add BYDAY=… or BYMONTHDAY=…"),
        ("FREQ=WEEKLY;INTERVAL=2", "add BYDAY=…"),
        ("FREQ=YEARLY;BYMONTHDAY=1", "in which month"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "BYMONTHDAY=-1"),
        ("FREQ=YEARLY;INTERVAL=3;BYMONTH=2;BYMONTHDAY=1", "more than two years"),
        ("FREQ=WEEKLY;BYDAY=FR;COUNT=3", "COUNT would end"),
        ("FREQ=WEEKLY;BYDAY=FR;UNTIL=20270101", "UNTIL would end"),
        ("FREQ=DAILY;BYHOUR=9", "at: says the hour"),
        ("FREQ=WEEKLY;BYDAY=XX", "BYDAY=XX"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL=0"),
        ("FREQ=DAILY;BYMONTHDAY=0", "BYMONTHDAY=0"),
        ("FREQ=YEARLY;BYMONTH=13;BYMONTHDAY=1", "BYMONTH=13"),
        ("FREQ=DAILY;FREQ=DAILY", "stands twice"),
        ("FREQ=YEARLY;BYEASTER=0", "is not one of"),
        ("every friday", "KEY=VALUE"),
        ("", "one line"),
        ("FREQ=DAILY\nDTSTART:20260101", "one line"),
        ("FREQ=WEEKLY;BYDAY=2MO", "use FREQ=MONTHLY"),
    ],
)
def test_what_no_newsletter_can_have_is_refused_with_a_reason(rule, told):
    with pytest.raises(ValueError) as error:
        check(rule)
    assert told in str(error.value)
