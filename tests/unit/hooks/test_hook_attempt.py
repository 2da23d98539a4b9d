"""What follows from an answer."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.hooks.attempt import DISABLE_AFTER, JITTER, LONGEST_AFTER_S, LONGEST_REST_S, WAITS_S, judge, rest_s
from digest.hooks.post import Answer

DAY_S = 86_400


def outcome(status, attempts=1, after_s=0.0, seed=1):
    return judge(Answer(status, "" if status else "no answer", after_s), attempts, random.Random(seed))


@given(st.integers(200, 299), st.integers(1, 30))
def test_any_2xx_is_taken(status, attempts):
    assert outcome(status, attempts).taken


@given(st.one_of(st.none(), st.integers(100, 199), st.integers(300, 599)), st.integers(1, 30), st.integers(0, 10**7), st.integers())
def test_everything_else_is_tried_again_until_the_waits_are_used_up(status, attempts, after_s, seed):
    found = outcome(status, attempts, float(after_s), seed)
    assert not found.taken and found.reason
    if status == 410:
        assert found.gone and found.wait_s == 0
    elif attempts > len(WAITS_S):
        assert found.wait_s is None
    else:
        least = max(WAITS_S[attempts - 1], min(after_s, LONGEST_AFTER_S))
        assert least <= found.wait_s <= least * (1 + JITTER)
    assert found.about_event == (status in (400, 413, 422))


def test_waits_grow_to_about_three_days_and_a_hook_is_disabled_before_an_event_is_given_up():
    assert list(WAITS_S) == sorted(WAITS_S) and 3 * DAY_S < sum(WAITS_S) < 3.5 * DAY_S
    assert DISABLE_AFTER.total_seconds() < sum(WAITS_S)


def test_what_failed_together_does_not_come_back_together():
    waits = {outcome(500, 3, seed=seed).wait_s for seed in range(100)}
    assert len(waits) == 100


def test_a_receiver_rests_longer_and_longer_but_never_long():
    rests = [rest_s(n) for n in range(40)]
    assert rests == sorted(rests) and rests[0] == 20 and rests[-1] == LONGEST_REST_S


@pytest.mark.parametrize(("status", "word"), [(302, "redirects are not followed"), (410, "gone"), (500, "500")])
def test_reasons_say_what_was_answered(status, word):
    assert word in outcome(status).reason
