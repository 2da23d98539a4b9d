"""R15: any order of claims, replies, lost replies, crashes, events, decisions and clock jumps, against a model of what must come.

The real functions act on a real database; after every move every delivery's state is compared with the model's, and the
promise of RELIABILITY section 1.7 is looked at on its own. Three ways to choose the moves: written orders, that catch each
known-bad variant at once; seeded walks; and Hypothesis, which shortens what it finds.

On every push: the orders, 40 walks and 10 examples of Hypothesis, about 3,000 moves (a move may be many claims). With
``DIGEST_TEST_EXAMPLES=nightly`` 16,000 walks and 400 examples, a million moves. ``DIGEST_TEST_SEED`` chooses other walks.
"""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from sqlalchemy import update

from digest import dispatch
from digest.store import ledger, schema
from digest.workspace import open_workspace
from tests.support.clock import Clock
from tests.support.ledger_faults import FAULTS
from tests.support.ledger_play import ISSUE, LEASE, POLICIES, START, Play, plant, step

NIGHTLY = os.environ.get("DIGEST_TEST_EXAMPLES") == "nightly"
SEED = int(os.environ.get("DIGEST_TEST_SEED", "1"))
WALKS, MOVES, BUNDLES = (16_000, 62, 40) if NIGHTLY else (40, 62, 4)
EXAMPLES = 400 if NIGHTLY else 10
LIMITS_H = (None, None, 2, 30)  # send_not_after


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Makes a play from its beginning."""
    folder = plant(tmp_path_factory.mktemp("machine") / "letter", open_workspace)
    with open_workspace(folder) as opened:
        clock = Clock(START)
        clock.over(opened.store.engine)
        yield lambda policy="hold", limit_h=None: Play(opened, clock, policy, limit_h)


# --- written orders ---------------------------------------------------------------------------------------------------------

ORDERS = {}


def order(**given):
    def keep(function):
        ORDERS[function.__name__] = (function, given)
        return function

    return keep


@order()
def a_sender_wakes_up_after_its_rows_became_uncertain(do):
    do("claim", k=2)
    do("call", "deferred")
    do("jump", minutes=120)
    do("reap")
    do("settle")


@order()
def a_sender_wakes_up_after_another_claimed_its_rows(do):
    do("claim", k=2)
    do("call", "deferred")
    do("jump", minutes=120)
    do("reap")
    do("decide", sent=False)
    do("claim", k=2)
    do("settle", hand=0)
    do("claim", k=7)
    do("call", "accepted", hand=0)
    do("settle", hand=0)


@order()
def a_sender_wakes_up_to_halve_what_was_decided(do):
    do("claim", k=4)
    do("jump", minutes=120)
    do("reap")
    do("decide", sent=True, n=0)
    do("refused_whole")


@order()
def the_halves_end_differently(do):
    do("claim", k=4)
    do("refused_whole")
    do("call", "taken and lost", hand=0)
    do("call", "lost", hand=1)
    do("settle")
    do("settle")
    do("event", 0)
    do("apply")


@order()
def one_of_a_batch_is_sent_again_and_its_sibling_is_told_of(do):
    do("claim", k=2)
    do("call", "taken and lost")
    do("settle")
    do("decide", sent=False, n=1)
    do("event", 0)
    do("apply")
    do("drain")
    do("event", -1)
    do("apply")


@order()
def an_event_comes_before_the_reply(do):
    do("claim", k=3)
    do("call", "accepted")
    do("event", 0)
    do("apply")
    do("settle")


@order()
def one_of_several_by_smtp_is_told_of(do):
    do("claim", k=3, provider="smtp")
    do("call", "taken and lost", "lost", "lost")
    do("settle")
    do("event", 0)
    do("apply")


@order()
def a_reply_is_lost(do):
    do("claim", k=2)
    do("call", "lost")
    do("settle")
    do("claim", k=7)
    do("call", "taken and lost")
    do("settle")


@order()
def a_sender_dies_before_and_after_its_call(do):
    do("claim", k=2)
    do("claim", k=2)
    do("call", "accepted", hand=1)
    do("restart")


@order()
def leases_end_one_after_the_other(do):
    do("claim", k=2)
    do("jump", minutes=70)
    do("claim", k=2)
    do("reap")
    do("jump", minutes=-70)
    do("reap")
    do("jump", minutes=140)
    do("reap")


@order()
def readers_leave_before_the_claim(do):
    do("claim", k=2)
    do("unsubscribe", n=2)
    do("call", "accepted")
    do("settle")
    do("event", 0, kind="bounce")
    do("event", 1, kind="unsubscribe")
    do("apply")
    do("drain")


@order()
def readers_are_suppressed_before_the_claim(do):
    do("claim", k=2)
    do("suppress", n=1)
    do("suppress", n=3)
    do("call", "accepted")
    do("settle")
    do("claim", k=2)
    do("drain")


@order()
def who_left_gets_nothing_a_second_time(do):
    do("claim", k=2)
    do("call", "taken and lost")
    do("settle")
    do("decide", sent=False)
    do("event", 0, kind="bounce")
    do("event", 1, kind="unsubscribe")
    do("apply")
    do("drain")


@order(limit_h=2)
def the_rest_is_too_late(do):
    do("claim", k=2)
    do("jump", minutes=180)
    do("claim", k=2)
    do("jump", minutes=-180)
    do("claim", k=2)


@order()
def some_are_put_off(do):
    do("claim", k=7)
    do("set_aside")
    do("give_back")
    do("claim", k=6)
    do("call", "deferred")
    do("settle")
    do("drain")
    do("jump", minutes=5)
    do("drain")
    do("jump", minutes=70)
    do("drain")


@order()
def it_is_paused_in_between(do):
    do("claim", k=2)
    do("pause")
    do("claim", k=2)
    do("drain")
    do("resume")
    do("drain")


@order()
def it_is_cancelled_in_between(do):
    do("claim", k=2)
    do("claim", k=2)
    do("call", "deferred")
    do("cancel")
    do("settle", hand=0)
    do("give_back")
    do("drain")
    do("decide", sent=False)


@order()
def it_is_cancelled_while_the_provider_is_asked(do):
    do("claim", k=2, provider="smtp")
    do("call", "lost")
    do("settle")
    do("restart", provider="smtp", meanwhile="cancel")


@order(policy="cancel_resend")
def it_is_cancelled_while_a_batch_is_voided(do):
    do("claim", k=2)
    do("call", "taken and lost")
    do("settle")
    do("restart", meanwhile="cancel")


@order()
def it_is_decided_while_the_provider_is_asked(do):
    do("claim", k=2, provider="smtp")
    do("call", "lost")
    do("settle")
    do("restart", provider="smtp", meanwhile="decide sent")


@order(policy="cancel_resend")
def it_is_decided_while_a_batch_is_voided(do):
    do("claim", k=2)
    do("call", "taken and lost")
    do("settle")
    do("restart", meanwhile="decide again")
    do("drain")


@order(policy="cancel_resend")
def one_of_a_batch_is_known_to_be_taken(do):
    do("claim", k=3)
    do("call", "taken and lost")
    do("settle")
    do("decide", sent=True, n=0)
    do("restart")


@order()
def an_issue_that_was_finished_goes_on(do):
    do("drain", "lost", k=7)
    do("restart")
    do("close")
    do("decide", sent=False, n=0)
    do("drain")
    do("close")


@order()
def a_decision_is_pressed_twice(do):
    do("claim", k=2)
    do("call", "lost")
    do("settle")
    do("decide", sent=False, n=0)
    do("decide", sent=False, n=0)
    do("drain")
    do("decide", sent=False, n=0)


@order(policy="resend")
def nothing_was_heard_of_anything(do):
    do("claim", k=2)
    do("call", "taken and lost")
    do("settle")
    do("restart")
    do("claim", k=2)
    do("call", "accepted")
    do("settle")
    do("restart")
    do("event", 2)
    do("restart")


@order(policy="resend")
def both_hand_overs_are_told_of_in_the_end(do):
    do("claim", k=1)
    do("call", "taken and lost")
    do("settle")
    do("claim", k=1)
    do("call", "accepted")
    do("settle")
    do("event", 1)
    do("restart")
    do("drain")
    do("event", 0)
    do("event", 2)
    do("apply")


@order()
def an_event_comes_for_one_that_was_held(do):
    do("claim", k=2, provider="smtp")
    do("call", "taken and lost")
    do("settle")
    do("restart")
    do("event", 1)
    do("apply")


@order()
def an_event_comes_for_one_that_was_skipped(do):
    do("claim", k=1)
    do("call", "taken and lost")
    do("settle")
    do("decide", sent=False)
    do("unsubscribe", n=0)
    do("claim", k=7)
    do("event", 0)
    do("apply")


@order()
def an_old_event_comes_after_somebody_came_back(do):
    do("claim", k=1)
    do("call", "taken and lost")
    do("settle")
    do("decide", sent=False)
    do("unsubscribe", n=0)
    do("come_back", n=0)
    do("event", 0, kind="bounce", stale=True)
    do("unsubscribe", n=1)
    do("claim", k=7, provider="smtp")
    do("apply")


@order()
def it_is_closed_at_every_stage(do):
    do("close")
    do("claim", k=7)
    do("close")
    do("call", "lost")
    do("settle")
    do("close")
    do("restart")
    do("close")


def perform(start, name):
    function, given = ORDERS[name]
    play = start(**given)
    play.deep_every = 1
    function(play.play)
    play.to_the_end()
    return play


@pytest.mark.parametrize("name", ORDERS)
def test_the_promise_holds_in_this_order(start, name):
    assert dispatch.status(perform(start, name).w, ISSUE).sum_is_right  # and every step of it was checked on its way


def test_a_cancelled_issue_is_not_claimed_from_whatever_is_left_in_it(start):
    """An earlier version left rows ready, if the issue was cancelled while a provider was asked."""
    play = start()
    play.play("cancel")
    assert stray(play) is None


def stray(play):
    with play.w.store.write() as tx:
        tx.execute(update(schema.delivery).values(state="ready"))
        return ledger.claim(tx, play.issue, 1, owner="x", lease=LEASE, provider="smtp")


@order()
def a_provider_is_believed_though_the_clock_was_set_back(do):
    do("claim", k=2, provider="smtp")
    do("call", "taken and lost")
    do("settle")
    do("jump", minutes=-5)
    do("restart", provider="smtp")


# --- known-bad variants: each must fail -------------------------------------------------------------------------------------

CAUGHT_BY = {
    "an_outcome_moves_whatever_state_it_finds": "a_sender_wakes_up_after_its_rows_became_uncertain",
    "an_outcome_does_not_look_at_the_epoch": "a_sender_wakes_up_after_another_claimed_its_rows",
    "a_claim_does_not_raise_the_epoch": "a_sender_wakes_up_after_another_claimed_its_rows",
    "a_resolution_moves_whatever_state_it_finds": "it_is_decided_while_the_provider_is_asked",
    "halves_take_what_is_no_longer_theirs": "a_sender_wakes_up_to_halve_what_was_decided",
    "halves_stay_in_the_attempt_of_the_whole": "the_halves_end_differently",
    "a_siblings_event_moves_what_is_ready": "one_of_a_batch_is_sent_again_and_its_sibling_is_told_of",
    "a_siblings_event_moves_what_is_in_living_hands": "an_event_comes_before_the_reply",
    "a_call_by_smtp_counts_as_taken_whole": "one_of_several_by_smtp_is_told_of",
    "a_lost_reply_counts_as_taken": "a_reply_is_lost",
    "a_lost_reply_counts_as_not_sent": "a_reply_is_lost",
    "a_dead_lease_becomes_ready": "a_sender_dies_before_and_after_its_call",
    "a_dead_lease_becomes_accepted": "a_sender_dies_before_and_after_its_call",
    "a_dead_lease_becomes_failed": "a_sender_dies_before_and_after_its_call",
    "living_leases_are_reaped": "leases_end_one_after_the_other",
    "no_consent_gate_in_the_claim": "readers_leave_before_the_claim",
    "the_claim_looks_at_the_status_only": "readers_are_suppressed_before_the_claim",
    "the_claim_looks_at_suppressions_only": "readers_leave_before_the_claim",
    "what_is_too_late_may_be_claimed": "the_rest_is_too_late",
    "what_was_put_off_may_be_claimed_at_once": "some_are_put_off",
    "a_paused_issue_may_be_claimed_from": "it_is_paused_in_between",
    "cancelling_leaves_what_is_ready": "it_is_cancelled_in_between",
    "what_is_put_off_outlives_the_issue": "it_is_cancelled_in_between",
    "a_resolution_does_not_see_that_the_issue_was_cancelled": "it_is_cancelled_while_a_batch_is_voided",
    "a_decision_does_not_reopen_the_issue": "an_issue_that_was_finished_goes_on",
    "a_decision_is_taken_twice": "a_decision_is_pressed_twice",
    "sending_again_is_not_recorded": "a_decision_is_pressed_twice",
    "what_was_settled_meanwhile_is_voided_too": "it_is_decided_while_a_batch_is_voided",
    "what_is_known_to_be_taken_is_voided": "one_of_a_batch_is_known_to_be_taken",
    "silence_counts_though_nothing_was_heard": "nothing_was_heard_of_anything",
    "an_event_does_not_settle_what_is_held": "an_event_comes_for_one_that_was_held",
    "an_event_revives_what_was_skipped": "an_event_comes_for_one_that_was_skipped",
    "a_contradiction_is_not_recorded": "both_hand_overs_are_told_of_in_the_end",
    "an_event_from_before_the_consent_counts": "an_old_event_comes_after_somebody_came_back",
    "an_issue_is_finished_over_open_ones": "it_is_closed_at_every_stage",
}
ONLY_DIRECTLY = {"a_cancelled_issue_may_be_claimed_from"}  # nothing is ever left ready in one: it is the second bolt on that door


def test_every_fault_has_its_order():
    assert set(FAULTS) == set(CAUGHT_BY) | ONLY_DIRECTLY


@pytest.mark.parametrize("fault", CAUGHT_BY)
def test_a_known_bad_variant_fails_in_its_order(start, monkeypatch, fault):
    FAULTS[fault](monkeypatch)
    with pytest.raises(AssertionError):
        perform(start, CAUGHT_BY[fault])


def test_a_claim_that_does_not_look_at_the_issues_state_is_found_out(start, monkeypatch):
    FAULTS["a_cancelled_issue_may_be_claimed_from"](monkeypatch)
    assert stray(start()) is not None  # sending
    play = start()
    play.play("cancel")
    assert stray(play) is not None


# --- seeded walks -----------------------------------------------------------------------------------------------------------


def walk(start, seed):
    """Moves at random, to the end. Returns how many."""
    source = random.Random(seed)
    play = start(source.choice(POLICIES), source.choice(LIMITS_H))
    try:
        for _ in range(MOVES):
            step(play, source.choice)
        play.to_the_end()
    except AssertionError as error:
        error.add_note(f"DIGEST_TEST_SEED={SEED}, walk {seed}, policy {play.policy}:\n" + "\n".join(play.trail))
        raise
    return len(play.trail)


@pytest.mark.parametrize("bundle", range(BUNDLES))
def test_the_promise_holds_on_random_walks(start, bundle):
    each = WALKS // BUNDLES
    assert sum(walk(start, f"{SEED} {n}") for n in range(bundle * each, (bundle + 1) * each)) == each * MOVES


# What the walks find soon, so that a push can see that they have not gone blind, and later. The rest only orders were seen to find.
SOON = [
    "an_outcome_moves_whatever_state_it_finds",
    "halves_take_what_is_no_longer_theirs",
    "a_call_by_smtp_counts_as_taken_whole",
    "a_lost_reply_counts_as_taken",
    "a_lost_reply_counts_as_not_sent",
    "a_dead_lease_becomes_ready",
    "living_leases_are_reaped",
    "no_consent_gate_in_the_claim",
    "the_claim_looks_at_the_status_only",
    "what_was_put_off_may_be_claimed_at_once",
    "a_paused_issue_may_be_claimed_from",
    "cancelling_leaves_what_is_ready",
    "a_decision_is_taken_twice",
    "silence_counts_though_nothing_was_heard",
]
LATER = [
    "a_claim_does_not_raise_the_epoch",
    "a_dead_lease_becomes_accepted",
    "a_dead_lease_becomes_failed",
    "a_decision_does_not_reopen_the_issue",
    "a_resolution_does_not_see_that_the_issue_was_cancelled",
    "a_resolution_moves_whatever_state_it_finds",
    "an_event_from_before_the_consent_counts",
    "an_event_revives_what_was_skipped",
    "an_outcome_does_not_look_at_the_epoch",
    "halves_stay_in_the_attempt_of_the_whole",
    "sending_again_is_not_recorded",
    "the_claim_looks_at_suppressions_only",
    "what_is_too_late_may_be_claimed",
    "what_was_settled_meanwhile_is_voided_too",
]


@pytest.mark.parametrize("fault", SOON + LATER if NIGHTLY else SOON)
def test_random_walks_find_a_known_bad_variant(start, monkeypatch, fault):
    FAULTS[fault](monkeypatch)
    with pytest.raises(AssertionError):
        for n in range(2000 if NIGHTLY else 40):
            walk(start, f"1 {n}")


# --- Hypothesis, which shortens what it finds -------------------------------------------------------------------------------


class Machine(RuleBasedStateMachine):
    """The same moves, chosen by Hypothesis."""

    start = None

    @initialize(policy=st.sampled_from(POLICIES), limit_h=st.sampled_from(LIMITS_H))
    def begin(self, policy, limit_h):
        self.play = type(self).start(policy, limit_h)

    @rule(data=st.data())
    def move(self, data):
        step(self.play, lambda options: options[data.draw(st.integers(0, len(options) - 1))])

    def teardown(self):
        if hasattr(self, "play"):
            self.play.holds()


def test_the_promise_holds_as_hypothesis_plays(start):
    Machine.start = start
    calm = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    given = settings(max_examples=EXAMPLES, stateful_step_count=40, deadline=None, suppress_health_check=calm)
    run_state_machine_as_test(Machine, settings=given)
