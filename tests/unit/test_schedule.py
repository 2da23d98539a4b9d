"""What the scheduler decides, for any clock and any interruption; nothing here touches a database."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from digest.calendar import latest_slot, slots_due
from digest.config import Cadence, Schedule
from digest.model import IssueState
from digest.schedule import Known, decide
from tests.support.make import at

WEEKLY = Cadence(weekday="friday", at="07:30", approval="automatic", draft_before_h=24)
ASKED = WEEKLY.model_copy(update={"approval": "required"})
SETTINGS = Schedule(late_limit_h=48)
BEGUN = at("2026-01-01")
DUE = at("2026-05-08T06:30")
SLOT = latest_slot("weekly", WEEKLY, "Europe/London", DUE.date())


def acts(rule, when, *known, begun=BEGUN, settings=SETTINGS):
    """What is decided, by issue's date. The issues before May 2026 are noted as sent."""
    past = [Known(slot, IssueState.FINISHED) for slot in slots_due("weekly", rule, "Europe/London", BEGUN, at("2026-05-02"))]
    todo = decide("weekly", rule, "Europe/London", settings, when, begun, [*past, *known])
    return [(one.act, str(one.slot.local_date)) for one in todo]


def known(state, **values):
    return Known(SLOT, state, **values)


def test_drafted_ahead_asked_about_sent_at_its_hour():
    assert acts(WEEKLY, DUE - timedelta(hours=25)) == []
    assert acts(WEEKLY, DUE - timedelta(hours=23)) == [("draft", "2026-05-08")]
    assert acts(ASKED, DUE - timedelta(hours=23)) == [("draft", "2026-05-08"), ("ask", "2026-05-08")]
    assert acts(WEEKLY, DUE - timedelta(minutes=1), known(IssueState.DRAFTED)) == []
    assert acts(WEEKLY, DUE, known(IssueState.DRAFTED)) == [("send", "2026-05-08")]
    assert acts(ASKED, DUE, known(IssueState.IN_REVIEW)) == [("remind", "2026-05-08")]
    assert acts(ASKED, DUE, known(IssueState.APPROVED)) == [("send", "2026-05-08")]


def test_late_up_to_the_limit_then_given_up():
    assert acts(WEEKLY, DUE + timedelta(hours=47)) == [("draft", "2026-05-08"), ("send", "2026-05-08")]
    assert acts(WEEKLY, DUE + timedelta(hours=49)) == [("missed", "2026-05-08")]
    assert acts(ASKED, DUE + timedelta(hours=49), known(IssueState.IN_REVIEW)) == [("expire", "2026-05-08")]
    assert acts(WEEKLY, DUE + timedelta(hours=49), known(IssueState.EXPIRED)) == []


def test_what_fell_due_before_the_first_scheduler_is_nobodys_to_catch_up_with():
    assert acts(WEEKLY, DUE + timedelta(hours=1), begun=DUE + timedelta(minutes=30)) == []


def test_what_is_paused_or_in_doubt_is_left_to_a_person():
    for values in ({"paused": True}, {"doubtful": True}):
        for state in (IssueState.DRAFTED, IssueState.APPROVED, IssueState.SENDING, IssueState.PLANNING):
            for hours in (-1, 1, 60, 24 * 6.5):
                assert acts(WEEKLY, DUE + timedelta(hours=hours), known(state, **values)) in ([], [("draft", "2026-05-15")])
    # While one is in doubt no later one of the cadence is drafted: it might hold what was sent already.
    assert acts(WEEKLY, DUE + timedelta(days=7), known(IssueState.DRAFTED, doubtful=True)) == []


def test_an_interrupted_issue_goes_on_but_not_after_a_long_silence():
    lately = DUE + timedelta(hours=5)
    assert acts(WEEKLY, lately, known(IssueState.SENDING, busy_at=DUE)) == [("resume", "2026-05-08")]
    assert acts(WEEKLY, lately, known(IssueState.PLANNING)) == [("resume", "2026-05-08")]
    weeks = DUE + timedelta(days=3)
    assert acts(WEEKLY, weeks, known(IssueState.SENDING, busy_at=DUE)) == [("stuck", "2026-05-08")]
    # A warm-up plan spreads an issue over days: it was busy yesterday, so it goes on.
    assert acts(WEEKLY, weeks, known(IssueState.SENDING, busy_at=weeks - timedelta(hours=24))) == [("resume", "2026-05-08")]


def test_a_delivery_that_waits_for_its_hour_is_left_alone_until_then():
    waits = known(IssueState.SENDING, busy_at=DUE, open_at=DUE + timedelta(hours=6))
    assert acts(WEEKLY, DUE + timedelta(hours=5), waits) == []
    assert acts(WEEKLY, DUE + timedelta(hours=6), waits) == [("resume", "2026-05-08")]


def test_of_two_that_fell_due_meanwhile_the_later_has_everything():
    daily = Cadence(rrule="FREQ=DAILY", at="06:30", approval="automatic", draft_before_h=0)
    todo = decide("daily", daily, "UTC", SETTINGS, at("2026-05-03T07:00"), at("2026-04-30T07:00"), [])
    assert [(one.act, one.slot.local_date.day) for one in todo] == [("missed", 1), ("missed", 2), ("draft", 3), ("send", 3)]


@given(st.lists(st.integers(-30, 400), min_size=1, max_size=60), st.sets(st.integers(0, 59)), st.booleans())
def test_every_issue_is_sent_or_noted_once_whatever_the_clock_does(steps, crashes, reader):
    """The clock jumps, back too; ticks fail half-way; what is done is only what the ledger says."""
    rule = WEEKLY.model_copy(update={"clock": "reader" if reader else "newsletter"})
    now, rows, sent, begun = BEGUN, {}, [], BEGUN
    for number, hours in enumerate(steps):
        now += timedelta(hours=hours)
        for todo in decide("weekly", rule, "Europe/London", SETTINGS, now, begun, list(rows.values())):
            day = todo.slot.local_date
            if number in crashes:
                break
            if todo.act == "draft":
                assert day not in rows and todo.slot.due_at > begun
                rows[day] = Known(todo.slot, IssueState.DRAFTED)
            elif todo.act == "send":
                assert todo.slot.due_at <= now <= todo.slot.due_at + timedelta(hours=48 + 26)
                assert rows[day].state is IssueState.DRAFTED
                sent.append(day)
                rows[day] = Known(todo.slot, IssueState.FINISHED)
            elif todo.act in ("missed", "expire"):
                assert rows.get(day, Known(todo.slot, IssueState.DRAFTED)).state is IssueState.DRAFTED
                rows[day] = Known(todo.slot, IssueState.EXPIRED)
    assert len(sent) == len(set(sent))
    latest = max((BEGUN + timedelta(hours=sum(steps[: n + 1])) for n in range(len(steps)) if n not in crashes), default=BEGUN)
    gone = latest - timedelta(hours=48 + 26)
    assert all(slot.local_date in rows for slot in slots_due("weekly", rule, "Europe/London", BEGUN, gone))
