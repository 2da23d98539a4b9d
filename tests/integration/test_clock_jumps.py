"""Clocks that jump while an issue goes out: the database's and the process's, by minutes, hours and days, at every step.

Nobody gets two and nobody is missed; no call begins with a lease that has ended, nor for what was claimed too late; whatever
waits for a clock that was wrong is shown with the time it waits for. A push tries every other step of one case, with a jump
that ``DIGEST_TEST_SEED`` chooses, and a few jumps with a cut behind them in every case; ``DIGEST_TEST_EXAMPLES=nightly`` every
jump at every step of every case.
"""

import os
import random
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from digest import dispatch
from digest.model import DeliveryState as S
from digest.store import Store, ledger, schema
from tests.support.clock import Clock
from tests.support.crash import Journal, Knife
from tests.support.crash_bench import FAST, ISSUE, Bench, prepare

NIGHTLY = os.environ.get("DIGEST_TEST_EXAMPLES") == "nightly"
SEED = int(os.environ.get("DIGEST_TEST_SEED", "1"))
JUMPS = [timedelta(minutes=5), timedelta(minutes=-5), timedelta(hours=2), timedelta(hours=-2), timedelta(days=3), timedelta(days=-3)]
CASES = {
    "nobody can say": {"make": Journal},
    "events tell": {"make": lambda: Journal("sendgrid"), "tells": True},
    "it puts off": {"make": lambda: Journal(defers=1)},
    "sent again after silence": {"make": Journal, "policy": "resend"},
    "it can be voided": {"make": lambda: Journal("sendgrid", cancels=True), "policy": "cancel_resend"},
}


@pytest.fixture(scope="module")
def letter(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("jump") / "letter")


class Jolt(Knife):
    """Moves the clock at one boundary, and cuts at a later one where ``cut`` says so."""

    def __init__(self, clock, jump_at, jump, cut=0):
        super().__init__(cut)
        self.clock, self.jump_at, self.jump = clock, jump_at, jump

    def at_boundary(self, number):
        if number == self.jump_at:
            self.clock.ahead += self.jump


class Timed(Bench):
    """A bench whose clocks can be moved; ``wrong`` collects calls that should not have been made."""

    def __enter__(self):
        bench = super().__enter__()
        self.clock, self.wrong = Clock(), []
        self.clock.over(self.opened.store.engine)
        self.patch.setattr(time, "time", self.clock.time)
        return bench

    def start(self, state, memory=None):
        self.clock.ahead = timedelta(0)
        super().start(state, memory)
        self.wrong.clear()
        self.carrier.before_call = self.watch

    def watch(self, aid):
        """What the database says of a call that is about to begin."""
        d, a, i = schema.delivery.c, schema.attempt.c, schema.issue.c
        query = select(d.lease_until, a.started_at, i.send_not_after).join(schema.attempt, a.id == d.attempt_id)
        with self.opened.store.engine.connect() as tx:
            for row in tx.execute(query.join(schema.issue, i.id == d.issue_id).where(a.aid == aid, d.state == S.INFLIGHT.value)):
                if row.lease_until < self.clock.at:
                    self.wrong.append("called with a dead lease")
                if row.send_not_after is not None and row.started_at > row.send_not_after:
                    self.wrong.append("claimed too late")

    def days_pass(self):
        """What waits is shown; then the clock gets there."""
        stands = dispatch.status(self.opened, ISSUE)
        if stands.ready and stands.next_try_at is None and stands.state == "sending" and self.carrier.defers:
            self.wrong.append("it waits and does not say until when")
        self.clock.ahead += timedelta(days=4)

    def judged(self):
        return self.to_the_end(self.days_pass) + self.wrong


def jolts(bench, source):
    """Jump at every boundary of a run; one jump each, or all."""
    at = 0
    while True:
        at += 1 if NIGHTLY else source.randint(1, 3)
        for jump in JUMPS if NIGHTLY else [source.choice(JUMPS)]:
            bench.start("planned")
            knife = Jolt(bench.clock, at, jump)
            bench.run(knife)
            yield knife, bench.judged()
        if len(knife.passed) < at:
            return


@pytest.mark.parametrize("case", CASES)
def test_a_jump_anywhere_in_a_run(letter, monkeypatch, case):
    source = random.Random(f"{SEED} {case}")
    with Timed(letter, monkeypatch, **CASES[case]) as bench:
        if NIGHTLY or case == "nobody can say":
            tried = 0
            for knife, wrong in jolts(bench, source):
                assert not wrong and not bench.alarms, (case, SEED, knife.jump_at, knife.jump, knife.passed[knife.jump_at - 1 :][:1], wrong)
                tried += 1
            assert tried > (300 if NIGHTLY else 20)
        for _ in range(200 if NIGHTLY else 6):  # and a cut after it
            bench.start("planned")
            knife = Jolt(bench.clock, source.randint(1, 70), source.choice(JUMPS), cut=source.randint(2, 80))
            bench.run(knife)
            wrong = bench.judged()
            assert not wrong and not bench.alarms, (case, SEED, knife.jump_at, knife.jump, knife.at, knife.passed[-1:], wrong)


def test_what_a_jump_makes_too_late_is_called_expired_and_never_sent(letter, monkeypatch):
    late = FAST.replace("delivery: {", "delivery: {late_limit_h: 48, ")
    source, expired = random.Random(SEED), 0
    with Timed(letter, monkeypatch, Journal, config=late) as bench:
        bench.start("planned")
        with bench.opened.store.write() as tx:
            tx.execute(schema.issue.update().values(send_not_after=bench.clock.at + timedelta(hours=48)))
        bench.keep("limited")
        for at in range(1, 80, 1 if NIGHTLY else 5):
            bench.start("limited")
            bench.run(Jolt(bench.clock, at, timedelta(days=3)))
            bench.clock.ahead = source.choice([timedelta(0), timedelta(days=3), timedelta(days=-3)])
            wrong = [word for word in bench.judged() if word != "missed: expired"]
            assert not wrong, (at, SEED, wrong)
            with bench.opened.store.read() as tx:
                states = dict(tx.execute(select(schema.delivery.c.did, schema.delivery.c.state)).all())
            took = {did for did, _ in bench.carrier.taken}
            assert all((state == S.EXPIRED) == (did not in took) for did, state in states.items()), (at, states)
            expired += sum(state == S.EXPIRED for state in states.values())
    assert expired > 5


def test_a_sender_that_does_not_look_at_the_clock_again_is_found_out(letter, monkeypatch):
    monkeypatch.setattr(Store, "now", lambda _: datetime(2000, 1, 1, tzinfo=UTC))
    source, found = random.Random(SEED), set()
    with Timed(letter, monkeypatch, Journal) as bench:
        for at in range(1, 90):  # somewhere between the claim and the call
            bench.start("planned")
            bench.run(Jolt(bench.clock, at, timedelta(hours=source.choice((1, 2)))))
            found |= set(bench.wrong)
            if found:
                break
    assert found == {"called with a dead lease"}


def test_a_claim_that_does_not_look_at_the_clock_is_found_out(letter, monkeypatch):
    monkeypatch.setattr(ledger, "_is_late", lambda *_: False)
    with Timed(letter, monkeypatch, Journal) as bench:
        bench.start("planned")
        with bench.opened.store.write() as tx:
            tx.execute(schema.issue.update().values(send_not_after=bench.clock.at + timedelta(hours=48)))
        bench.clock.ahead = timedelta(days=3)
        bench.run(Knife())
        assert set(bench.wrong) == {"claimed too late"}
