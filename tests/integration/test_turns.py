"""What a lane writes in one transaction: the outcome of a batch, and the claim of the next."""

from __future__ import annotations

import contextlib
import math
import random
import threading
import time
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import func, select, update

from digest import handover, pace, plan, readiness
from digest.config import WarmUp
from digest.errors import StoreAway, StoreError
from digest.model import DeliveryState as S
from digest.model import IssueState
from digest.providers import Handover, Receipt
from digest.store import ledger, now, outcomes, patience, schema
from digest.workspace import open_workspace
from tests.support.carrier import Carrier, accept
from tests.support.drafted import draft_issue

ISSUE, ON = "monthly-2026-05-01", date(2026, 5, 1)
READERS, BATCH = 9, 2
BATCHES = math.ceil(READERS / BATCH)

pytestmark = pytest.mark.usefixtures("on_both")


@pytest.fixture
def workspace(tmp_path):
    people = "email,interests\n" + "".join(f"r{n}@example.org,gut\n" for n in range(READERS))
    with open_workspace(draft_issue(tmp_path / "letter", people, {"bacteria": "gut"}, ON), ON) as opened:
        plan.plan(opened, readiness.make_ready(opened, ISSUE))
        yield opened


def run_of(workspace, carrier, progress=lambda step: None, **how):
    return handover.Run(workspace, carrier, readiness.make_ready(workspace, ISSUE), progress, **how)


def states(workspace):
    with workspace.store.read() as tx:
        issue_id = tx.execute(select(schema.issue.c.id)).scalar_one()
        return {state: n for state, n in outcomes.counts(tx, issue_id).items() if n}


def attempts(workspace):
    """How many there are of each outcome."""
    with workspace.store.read() as tx:
        query = select(schema.attempt.c.outcome, func.count()).group_by(schema.attempt.c.outcome)
        return dict(list(tx.execute(query)))


class Writes:
    """Counts a store's writers, and loses one of them: ``before`` its commit, or the answer to it (``after``)."""

    def __init__(self, store, monkeypatch, lost=None, when=""):
        self.count, self._write, self._lost, self._when = 0, store.write, lost, when
        monkeypatch.setattr(store, "write", self.write)

    @contextlib.contextmanager
    def write(self, **how):
        number, self.count = self.count, self.count + 1
        with self._write(**how) as tx:
            yield tx
            if number == self._lost and self._when == "before":
                raise StoreAway("the server has gone")
        if number == self._lost:
            raise StoreAway("the answer to the commit was lost")


def test_a_lane_writes_once_a_batch(workspace, monkeypatch):
    carrier = Carrier(batch=BATCH)
    run = run_of(workspace, carrier)
    run._throttle = pace.Throttle(1_000_000, time.monotonic)  # a server's books its rate in the database
    writes = Writes(workspace.store, monkeypatch)
    run.drain()
    assert writes.count == 1 + BATCHES + 1  # the first claim, and a look that finds nothing more
    assert states(workspace) == {S.ACCEPTED: READERS} and len(carrier.calls) == BATCHES


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("lost", range(1 + BATCHES + 1 + 2))  # two book the rate
def test_a_commit_that_is_lost_or_whose_answer_is_costs_nobody_anything(workspace, monkeypatch, lost, when):
    monkeypatch.setattr(patience, "_AGAIN_S", 0)
    carrier = Carrier(batch=BATCH)
    # Bound to others, so that the rate is booked in the database, whichever it is.
    ties = handover.Ties(pace.Breaker(time.monotonic, random.Random(1)), lambda attempt: None, lambda why: None)
    run = run_of(workspace, carrier, ties=ties)
    writes = Writes(workspace.store, monkeypatch, lost, when)
    run.drain()
    assert writes.count > lost  # or nothing was lost
    assert sorted(carrier.taken) == sorted(set(carrier.taken)) and len(carrier.taken) == READERS
    assert states(workspace) == {S.ACCEPTED: READERS}
    assert attempts(workspace).get("answered") == BATCHES


def test_a_lane_has_never_more_in_hand_than_what_it_hands_over(workspace):
    answers = iter([{}, {"trouble": True}, {}, {"retry_after_s": 0.01}, {}])
    in_hand = []

    def script(aid, parcels):
        in_hand.append((states(workspace)[S.INFLIGHT], len(parcels)))
        how = next(answers, {})
        if how:
            return Handover([Receipt(parcel.did, "deferred", "busy") for parcel in parcels], **how)
        return accept(aid, parcels)

    carrier = Carrier(script, batch=BATCH)
    run_of(workspace, carrier).drain()
    assert len(in_hand) > BATCHES and all(held == handed for held, handed in in_hand)
    assert states(workspace) == {S.ACCEPTED: READERS}


def test_what_was_claimed_ahead_is_given_back_by_a_run_that_is_told_to_end(workspace):
    carrier = Carrier(batch=BATCH)
    run = run_of(workspace, carrier, lambda step: run.halt())
    run.drain()
    assert len(carrier.calls) == 1
    assert states(workspace) == {S.ACCEPTED: BATCH, S.READY: READERS - BATCH}
    assert attempts(workspace) == {"answered": 1, "given back": 1}
    run_of(workspace, carrier).drain()
    assert len(carrier.taken) == len(set(carrier.taken)) == READERS


def test_what_was_claimed_ahead_is_given_back_while_nothing_may_be_handed_over(workspace):
    """Another lane has found the provider failing: what waits for it waits in the ledger, where anybody may take it."""

    class Shut(pace.Breaker):
        asked = 0

        def wait_s(self, who=None):
            self.asked += 1
            if self.asked == 3:
                seen.append(states(workspace))
            return 0.001 if self.asked in (2, 3) else super().wait_s(who)

    seen, carrier = [], Carrier(batch=BATCH)
    run = run_of(workspace, carrier)
    run._breaker = Shut(time.monotonic, random.Random(1))
    run.drain()
    assert seen == [{S.ACCEPTED: BATCH, S.READY: READERS - BATCH}]
    assert len(carrier.taken) == len(set(carrier.taken)) == READERS


@pytest.mark.parametrize("always", [False, True], ids=["once", "again and again"])
def test_an_outcome_is_kept_when_the_claim_after_it_fails(workspace, monkeypatch, always):
    carrier, claim = Carrier(batch=BATCH), ledger.claim

    def failing(*given, ahead=False, **how):
        if ahead or (always and carrier.calls):
            raise StoreError("the database refused")
        return claim(*given, ahead=ahead, **how)

    monkeypatch.setattr(ledger, "claim", failing)
    with pytest.raises(StoreError) if always else contextlib.nullcontext():
        run_of(workspace, carrier).drain()
    wanted = {S.ACCEPTED: BATCH, S.READY: READERS - BATCH} if always else {S.ACCEPTED: READERS}
    assert states(workspace) == wanted and len(carrier.taken) == wanted[S.ACCEPTED]


def test_what_was_claimed_ahead_is_given_back_when_nobody_can_be_told_of_it(workspace):
    def progress(step):
        raise SystemExit(1)  # as of a terminal that has gone

    with pytest.raises(SystemExit):
        run_of(workspace, Carrier(batch=BATCH), progress).drain()
    assert states(workspace) == {S.ACCEPTED: BATCH, S.READY: READERS - BATCH}


def test_nobody_waits_inside_a_transaction_for_a_terminal_that_stands_still(workspace):
    blocked, go_on = threading.Event(), threading.Event()

    def progress(step):
        blocked.set()
        assert go_on.wait(30)

    carrier = Carrier(batch=1, lanes=2)
    run = run_of(workspace, carrier, progress)
    thread = threading.Thread(target=run.drain)
    thread.start()
    try:
        assert blocked.wait(30)
        until = time.monotonic() + 30
        while states(workspace).get(S.ACCEPTED, 0) < 2:  # the other lane has written its outcome, too, and a claim
            assert time.monotonic() < until
            time.sleep(0.01)
        workspace.store.backend.turn_s = 5
        with workspace.store.write():  # such as somebody who leaves
            pass
    finally:
        go_on.set()
        thread.join()
    assert states(workspace) == {S.ACCEPTED: READERS}


def test_an_issue_that_is_late_in_the_middle_expires_by_a_claim_of_its_own(workspace, monkeypatch):
    claims, claim = [], ledger.claim

    def heard(*given, ahead=False, **how):
        claims.append(ahead)
        return claim(*given, ahead=ahead, **how)

    def script(aid, parcels):
        with workspace.store.write() as tx:
            tx.execute(update(schema.issue).values(send_not_after=now(tx) - timedelta(seconds=1)))
        return accept(aid, parcels)

    monkeypatch.setattr(ledger, "claim", heard)
    expired, expire = [], ledger._expire
    monkeypatch.setattr(ledger, "_expire", lambda *given: (expired.append(claims[-1]), expire(*given)))
    run_of(workspace, Carrier(script, batch=BATCH)).drain()
    assert states(workspace) == {S.ACCEPTED: BATCH, S.EXPIRED: READERS - BATCH}
    assert claims == [False, True, False] and expired == [False]


def test_where_a_day_has_its_cap_an_outcome_waits_for_no_other_lane_to_count(workspace, monkeypatch):
    plan = WarmUp(started=ON, daily=(100,))
    delivery = workspace.config.delivery.model_copy(update={"warm_up": plan})
    careful = replace(workspace, config=workspace.config.model_copy(update={"delivery": delivery}))
    run = run_of(careful, Carrier(batch=BATCH))
    run._throttle = pace.Throttle(1_000_000, time.monotonic)
    writes = Writes(workspace.store, monkeypatch)
    run.drain()
    assert writes.count == 2 * BATCHES + 1 and states(workspace) == {S.ACCEPTED: READERS}


def test_a_commit_in_doubt_is_waited_for_before_it_is_looked_for(workspace):
    run = run_of(workspace, Carrier(batch=BATCH))
    with workspace.store.write(together=True) as tx:
        assert run._entries.claim_in(tx, BATCH, "a" * 32, ())
        thread = threading.Thread(target=run._entries.recall, args=("a" * 32,))
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
    thread.join(30)
    assert states(workspace) == {S.READY: READERS} and attempts(workspace) == {"given back": 1}


def test_what_is_given_back_of_a_cancelled_issue_is_not_tried_again(workspace):
    run = run_of(workspace, Carrier(batch=BATCH))
    assert run._entries.claim_as("a" * 32, "")
    with workspace.store.write() as tx:
        tx.execute(update(schema.issue).values(state=IssueState.CANCELLED.value))
    run._entries.recall("a" * 32)
    assert states(workspace) == {S.READY: READERS - BATCH, S.SKIPPED: BATCH}
