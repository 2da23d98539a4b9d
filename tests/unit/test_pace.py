from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.pace import FAILURES, PROBES, Breaker, DomainThrottle, Throttle, retry_delay_s


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@given(st.integers(1, 60), st.integers(0, 2**32))
def test_a_deferred_delivery_waits_between_half_an_hour_and_seven_and_a_half(attempts, seed):
    assert 1800 <= retry_delay_s(attempts, Random(seed)) <= 21_600 * 1.25


def test_there_is_no_delay_before_the_first_attempt():
    with pytest.raises(ValueError):
        retry_delay_s(0, Random(1))


@given(st.integers(1, 6000), st.lists(st.integers(1, 200), min_size=1, max_size=50))
def test_the_throttle_keeps_its_rate(per_minute, batches):
    clock = Clock()
    throttle = Throttle(per_minute, clock)
    for messages in batches:
        clock.now += throttle.wait_s(messages)
    # The last batch may just have started; a second's worth may go ahead of time.
    assert sum(batches[:-1]) <= per_minute / 60 * (clock.now - 1000 + 1) + 1e-6


def test_an_idle_throttle_saves_up_a_second_only():
    clock = Clock()
    throttle = Throttle(60, clock)
    clock.now += 3600
    waits = [throttle.wait_s(1) for _ in range(4)]
    assert waits[0] == 0 and waits[-1] >= 2


def test_a_domain_is_put_off_alone():
    clock = Clock()
    throttle = DomainThrottle(2, clock)
    assert [throttle.put_off_s("a.test") for _ in range(3)] == [0, 0, 60]
    assert throttle.put_off_s("b.test") == 0
    clock.now += 60
    assert throttle.put_off_s("a.test") == 0


def test_no_limit_per_domain_puts_nothing_off():
    assert DomainThrottle(None, Clock()).put_off_s("a.test") == 0


def test_the_breaker_opens_lets_one_probe_through_and_closes_again():
    clock = Clock()
    breaker = Breaker(clock, Random(1))
    for _ in range(FAILURES):
        assert breaker.wait_s() == 0
        breaker.failed()
    wait = breaker.wait_s()
    assert wait > 0
    clock.now += 200
    assert breaker.wait_s() == 0  # the probe
    assert breaker.wait_s() > 0  # everybody else waits for it
    breaker.succeeded()
    assert breaker.wait_s() == 0 and not breaker.given_up


def test_a_provider_that_never_answered_is_given_up_at_once():
    breaker = Breaker(Clock(), Random(1))
    for _ in range(FAILURES):
        assert not breaker.given_up
        breaker.failed()
    assert breaker.given_up


def test_the_breaker_gives_up_after_some_probes():
    clock = Clock()
    breaker = Breaker(clock, Random(1))
    breaker.succeeded()
    for _ in range(FAILURES):
        breaker.failed()
    for _ in range(PROBES):
        clock.now += 200
        assert breaker.wait_s() == 0
        breaker.failed()
    assert breaker.given_up


def test_a_probe_that_had_nothing_to_hand_over_gives_its_turn_back():
    clock = Clock()
    breaker = Breaker(clock, Random(1))
    breaker.succeeded()
    for _ in range(FAILURES):
        breaker.failed()
    assert breaker.open
    clock.now += 200
    assert breaker.wait_s("one") == 0 and breaker.wait_s("other") > 0
    breaker.unused("other")  # it was not the probe
    assert breaker.wait_s("other") > 0
    breaker.unused("one")
    assert breaker.wait_s("other") == 0
