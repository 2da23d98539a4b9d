"""What a lane writes in one transaction: the outcome of a batch, and the claim of the next."""

from __future__ import annotations

import contextlib
import math
import time
from datetime import date

import pytest
from sqlalchemy import func, select

from digest import gather, handover, interests, issue, pace, plan, readiness
from digest.errors import StoreAway
from digest.model import DeliveryState as S
from digest.providers import Handover, Receipt
from digest.store import outcomes, patience, schema
from digest.subscribe import import_file
from digest.workspace import open_workspace
from tests.support.carrier import Carrier, accept
from tests.support.make import make_workspace, write_summary

ISSUE, READERS, BATCH = "monthly-2026-05-01", 9, 2
BATCHES = math.ceil(READERS / BATCH)

pytestmark = pytest.mark.usefixtures("on_both")


@pytest.fixture
def workspace(tmp_path):
    people = "email,interests\n" + "".join(f"r{n}@example.org,gut\n" for n in range(READERS))
    folder = make_workspace(tmp_path / "letter", subscribers=people)
    write_summary(folder, "bacteria", tags="gut")
    with open_workspace(folder, date(2026, 5, 1)) as opened:
        import_file(opened, folder / "subscribers" / "people.csv", interests.load(folder))
        gather.gather(opened)
        issue.draft(opened, "monthly")
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
@pytest.mark.parametrize("lost", range(1 + BATCHES + 1 + 2))  # two book the rate, with a server
def test_a_commit_that_is_lost_or_whose_answer_is_costs_nobody_anything(workspace, monkeypatch, lost, when):
    monkeypatch.setattr(patience, "_AGAIN_S", 0)
    carrier = Carrier(batch=BATCH)
    run = run_of(workspace, carrier)
    Writes(workspace.store, monkeypatch, lost, when)
    run.drain()
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
    run._breaker = Shut(time.monotonic, run._random)
    run.drain()
    assert seen == [{S.ACCEPTED: BATCH, S.READY: READERS - BATCH}]
    assert len(carrier.taken) == len(set(carrier.taken)) == READERS
