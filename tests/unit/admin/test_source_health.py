"""How a source is said to do, from its readings and dates."""

from datetime import timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from digest.admin.source_health import FACTOR, FLOOR_DAYS, markup, signs, silence
from digest.store.catalogue import SourceState
from digest.store.readings import Reading
from tests.support.make import at

NOW = at("2026-05-01T12:00")
GAPS = st.lists(st.integers(1, 60), min_size=0, max_size=40)


def dates(gaps, silent=0):
    """Days with these gaps between them, the last so many days ago."""
    found = [NOW - timedelta(days=silent)]
    for gap in gaps:
        found.append(found[-1] - timedelta(days=gap))
    return found


def state(**changes):
    usual = {
        "name": "site", "kind": "page", "settings_hash": "", "etag": "", "last_modified": "", "read_at": NOW, "read_well_at": NOW,
        "failures": 0, "error": "", "warning": "", "taken": 10, "salvaged": 0,
    }  # fmt: skip
    return SourceState(**usual | changes)


def reading(result="read", taken=10, refused=0, filled=("takeaway",), said="", **changes):
    counts = filled if isinstance(filled, dict) else dict.fromkeys(filled, taken)
    return Reading(1, "site", NOW, "ana", result, taken, refused, filled=counts, said=said, **changes)


def kinds(*args):
    return [sign.kind for sign in signs(*args)]


# --- silence -------------------------------------------------------------------------------------------------------------


@given(GAPS, st.integers(0, 400), st.integers(0, 3000))
def test_when_it_is_asked_matters_only_by_what_was_before(gaps, silent, days):
    later = timedelta(days=days)
    assert silence([one + later for one in dates(gaps, silent)], NOW + later) == silence(dates(gaps, silent), NOW)


@given(GAPS, st.integers(0, 400), st.randoms(use_true_random=False), st.integers(1, 20))
def test_neither_order_nor_many_pieces_of_one_day_matter(gaps, silent, random, times):
    once = dates(gaps, silent)
    many = [one + timedelta(minutes=n) for one in once for n in range(times)]
    random.shuffle(many)
    assert silence(many, NOW) in (silence(once, NOW), silence([one for one in once if one <= NOW], NOW))


@given(GAPS, st.integers(0, 400), st.integers(1, 400))
def test_a_longer_silence_is_never_less_unusual(gaps, silent, more):
    shorter, longer = silence(dates(gaps, silent), NOW), silence(dates(gaps, silent + more), NOW)
    assert shorter.unusual <= longer.unusual and longer.days == shorter.days + more


@given(GAPS.filter(lambda gaps: len(gaps) >= 5), st.integers(0, 400))
def test_what_is_usual_is_never_said_to_be_unusual(gaps, silent):
    found = silence(dates(gaps, silent), NOW)
    assert found.limit >= max(FLOOR_DAYS, FACTOR * found.usual)
    assert found.unusual == (silent > found.limit)
    assert sum(gap > found.limit for gap in gaps) <= len(gaps) / 10 + 1


@given(st.integers(1, 30), st.integers(12, 40), st.integers(31, 2000))
def test_one_summer_break_changes_nothing_of_what_is_usual(gap, count, pause):
    regular, broken = [gap] * count, [gap] * (count // 2) + [pause] + [gap] * (count - count // 2)
    assert silence(dates(broken), NOW) == silence(dates(regular), NOW)


@given(GAPS.filter(lambda gaps: len(gaps) < 5), st.integers(0, 4000))
def test_with_few_pieces_nobody_knows(gaps, silent):
    found = silence(dates(gaps, silent), NOW)
    assert not found.unusual and found.usual is None


@given(GAPS, st.integers(0, 400), st.lists(st.integers(1, 3000), max_size=5))
def test_what_is_dated_in_the_future_is_not_there_yet(gaps, silent, ahead):
    future = [NOW + timedelta(days=days) for days in ahead]
    assert silence(dates(gaps, silent) + future, NOW) == silence(dates(gaps, silent), NOW)


def test_nothing_published_is_no_silence():
    assert silence([], NOW) is None and silence([NOW + timedelta(1)], NOW) is None


def test_a_monthly_source_and_its_batches():
    monthly = [one for gap in range(8) for one in [NOW - timedelta(days=30 * gap + 80)] * 10]
    assert not silence(monthly, NOW).unusual and silence(monthly, NOW + timedelta(days=11)).unusual  # 91 days


# --- markup --------------------------------------------------------------------------------------------------------------


GOOD = [reading() for _ in range(6)]


@given(st.lists(st.sampled_from([reading(), reading("unchanged", 0), reading(taken=9, refused=1), reading("failed", 0)]), max_size=12))
def test_nothing_is_suspected_of_a_page_that_gives_as_it_gave(readings):
    assert markup(readings) == ()


@pytest.mark.parametrize(
    "last, kind, words",
    [
        (reading("nothing", 0, said='the selector item: "li" matches nothing'), "nothing", "li"),
        (reading(taken=0), "nothing", "no entry in it, where there used to be 10"),
        (reading(taken=0, refused=10), "nothing", "none of its 10 entries"),
        (reading(filled=()), "fields", "no takeaway now"),
        (reading(filled={"takeaway": 2}), "fields", "no takeaway now"),
        (reading(taken=5, refused=5), "refusals", "5 of 10 entries were refused, where 0% used to be"),
    ],
)
def test_what_makes_one_suspect_that_the_markup_changed(last, kind, words):
    [sign] = markup([last, *GOOD])
    assert sign.kind == kind and words in sign.text and "Change of markup suspected" in sign.advice


@pytest.mark.parametrize(
    "readings",
    [
        [reading(filled=()), *GOOD[:2]],  # too little is known of before
        [reading(taken=2, filled=()), *GOOD],  # too few to tell
        [reading(filled={"takeaway": 3}), *GOOD],
        [reading(taken=20, refused=2), *GOOD],
        [reading(taken=0)],  # a page that never gave anything
        [reading(taken=5, refused=5), *[reading(taken=5, refused=5)] * 5],  # it was always so
    ],
)
def test_what_does_not(readings):
    assert markup(readings) == ()


def test_a_page_that_did_not_change_since_it_was_suspected_still_is():
    assert [sign.kind for sign in markup([reading("unchanged", 0), reading(taken=0), *GOOD])] == ["nothing"]


@given(st.integers(3, 200), st.integers(0, 200), st.integers(0, 200))
def test_a_rise_of_refusals_is_told_from_what_was_usual(taken, before, after):
    assume(taken + after)
    found = markup([reading(taken=taken, refused=after), *[reading(taken=taken, refused=before)] * 4])
    rise = after / (taken + after) - before / (taken + before)
    assert bool(found) == (after >= 3 and rise >= 0.4)


# --- all together --------------------------------------------------------------------------------------------------------


def test_signs_the_most_pressing_first():
    old = dates([7] * 8, 60)
    assert kinds(None, [], [], NOW) == ["never"]
    assert kinds(state(), GOOD, dates([7] * 8), NOW) == []
    assert kinds(state(error="it answers 500", failures=3), [reading("failed", 0), *GOOD], old, NOW) == ["failing", "silent"]
    broken = state(error="the selector matches nothing", failures=1)
    assert kinds(broken, [reading("nothing", 0, said="the selector matches nothing"), *GOOD], old, NOW) == ["nothing", "silent"]
    assert kinds(state(warning="it broke off"), GOOD, [], NOW) == ["warning"]


@given(
    st.booleans(), st.lists(st.sampled_from([*GOOD[:1], reading("nothing", 0), reading("failed", 0), reading(taken=0)]), max_size=8), GAPS
)
def test_each_says_what_to_do(failed, readings, gaps):
    for sign in signs(state(error="why" if failed else ""), readings, dates(gaps, 90), NOW):
        assert sign.text and sign.advice.endswith(".")
