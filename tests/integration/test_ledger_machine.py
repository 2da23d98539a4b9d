"""R15: any order of claims, replies, lost replies, crashes, events and decisions, against a model of what must come of it.

The real functions act on a real database; after every step every delivery's state is compared with the model's, and the
promise of RELIABILITY section 1.7 is looked at on its own. The model knows what the provider really took; the ledger does not.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import select, update

from digest import dispatch, feedback, issue, operate
from digest.addresses import parse
from digest.errors import IssueError
from digest.model import DeliveryState as S
from digest.model import Status
from digest.store import holding, ledger, now, people, plans, schema
from digest.store.ledger import Claim, Settled
from digest.store.plans import Plan
from digest.workspace import open_workspace
from tests.support.feedback import add_issue, add_people, bare_workspace, body, told

NIGHTLY = os.environ.get("DIGEST_TEST_EXAMPLES") == "nightly"
ISSUE, READERS, EDITIONS = "monthly-2026-05-01", 7, 2
LEASE = timedelta(hours=1)
OPEN = (S.READY, S.INFLIGHT, S.UNCERTAIN, S.HELD)
CLOSED = (S.SKIPPED, S.FAILED, S.EXPIRED)
OUTCOMES = {"accepted": S.ACCEPTED, "rejected": S.FAILED, "deferred": S.READY, "taken and lost": S.UNCERTAIN, "lost": S.UNCERTAIN}


@pytest.fixture(scope="module")
def bed(tmp_path_factory):
    """A workspace with one planned issue; its first state is kept in ``start``."""
    folder = bare_workspace(tmp_path_factory.mktemp("machine") / "letter", "delivery: {resend_after_h: 0}\n")
    with open_workspace(folder) as opened:
        rows = add_people(opened, READERS)
        number = add_issue(opened)
        with opened.store.write() as tx:
            editions = plans.put_editions(tx, number, [plans.NewEdition(f"e{n}", "{}", 1) for n in range(EDITIONS)])
            chosen = [Plan(row, ("gut",), editions[f"e{n % EDITIONS}"], S.PLANNED, "") for n, row in enumerate(rows)]
            plans.put_plans(tx, number, chosen, "Fri, 01 May 2026 09:00:00 +0000")
            assert plans.open_for_dispatch(tx, number) == READERS
        opened.store.close()
        shutil.copytree(folder / "var", folder / "start")
        yield opened


@dataclass
class Row:
    """A delivery as the model has it. ``attempt`` is the aid of its last attempt."""

    subscriber: int
    email: str
    edition: int
    state: S = S.READY
    attempt: str = ""
    waits: bool = False


@dataclass
class Hand:
    """A claim in a living sender's hands; ``answers`` once the provider was called."""

    claim: Claim
    provider: str
    dids: list[str]
    answers: dict[str, str] = field(default_factory=dict)
    overdue: bool = False
    called: bool = False


class Asked:
    """A provider that is only asked what it took."""

    tells = False

    def __init__(self, name, known):
        self.name, self.known = name, known

    def look_up(self, issue, dids):
        return {did: did in self.known for did in dids} if self.name == "smtp" else {}


class Machine(RuleBasedStateMachine):
    """One issue, a provider of each kind, senders that come and go."""

    bed = None
    steps: Counter = Counter()

    @initialize(resend=st.sampled_from([False, False, True]))
    def begin(self, resend):
        w = self.w = type(self).bed
        w.store.close()
        shutil.rmtree(w.path / "var")
        shutil.copytree(w.path / "start", w.path / "var")
        with w.store.write() as tx:
            self.issue = issue.find(tx, ISSUE).id
            tx.execute(update(schema.issue).values(uncertain="resend" if resend else "hold"))
            d, p = schema.delivery.c, schema.subscriber.c
            found = tx.execute(select(d.did, d.edition_id, p.id).join(schema.subscriber, p.id == d.subscriber_id).order_by(d.id)).all()
            self.start = now(tx).replace(microsecond=0)
        self.rows = {r.did: Row(r.id, f"r{n}@example.org", r.edition_id) for n, r in enumerate(found)}
        self.resend = resend
        self.hands: list[Hand] = []
        self.taken: list[tuple[str, str]] = []  # what the provider really took, as (did, aid)
        self.allowed: Counter[str] = Counter()  # sends that somebody asked for again
        self.treated: set[str] = set()  # an operator said that it was sent
        self.providers: dict[str, str] = {}  # of each attempt
        self.state, self.paused, self.late = "sending", False, False
        self.away: set[int] = set()  # subscribers who left
        self.suppressed: set[int] = set()
        self.consent: dict[int, int] = {}  # at which tick somebody came back
        self.posted: list[dict] = []
        self.known_events: set[tuple] = set()
        self.unapplied: list[tuple] = []
        self.proven: set[str] = set()
        self.tick = 0
        self.was_accepted: set[str] = set()

    # --- the sender ---

    def _one(self, data, of):
        return of[data.draw(st.integers(0, len(of) - 1))]

    def _writable(self, did):
        return self.rows[did].subscriber not in self.away | self.suppressed

    @rule(k=st.integers(1, 4), provider=st.sampled_from(["sendgrid", "sendgrid", "smtp"]), one_edition=st.booleans())
    def claim(self, k, provider, one_edition):
        with self.w.store.write() as tx:
            found = ledger.claim(tx, self.issue, k, owner="x", lease=LEASE, provider=provider, one_edition=one_edition)
        wanted = self._expected(k, one_edition)
        assert [one.did for one in found.deliveries] == wanted if found else not wanted
        if found is None:
            return
        assert all(self._writable(did) for did in wanted), "claimed after the unsubscribe had committed"
        self.providers[found.aid] = provider
        for did in wanted:
            self.rows[did].state, self.rows[did].attempt = S.INFLIGHT, found.aid
        self.hands.append(Hand(found, provider, wanted))

    def _expected(self, k, one_edition):
        if self.state != "sending" or self.paused:
            return []
        if self.late:
            for row in self.rows.values():
                row.state = S.EXPIRED if row.state is S.READY else row.state
        ready = [did for did, row in self.rows.items() if row.state is S.READY and not row.waits]
        ready.sort(key=lambda did: self.rows[did].edition)  # each edition's together, in order of planning
        if one_edition and ready:  # settled anew in each lap, as SQL does
            while ready:
                first = min(self.rows[did].edition for did in ready)
                lap = [did for did in ready if self.rows[did].edition == first][:k]
                if wanted := self._gate(lap):
                    return wanted
                ready = [did for did in ready if did not in lap]
            return []
        while ready:
            lap, ready = ready[:k], ready[k:]
            if wanted := self._gate(lap):
                return wanted
        return []

    def _gate(self, lap):
        for did in lap:
            if not self._writable(did):
                self.rows[did].state = S.SKIPPED
        return [did for did in lap if self._writable(did)]

    @precondition(lambda self: any(not hand.called for hand in self.hands))
    @rule(data=st.data())
    def set_aside(self, data):
        """Its domain has had its share: written before the call."""
        hand = self._one(data, [hand for hand in self.hands if not hand.called])
        one = hand.claim.deliveries[0]
        with self.w.store.write() as tx:
            ledger.settle(tx, hand.claim, [Settled(one, S.READY, "later", now(tx) + timedelta(hours=1))], outcome="")
        self._settled(one.did, hand, S.READY, waits=True)
        hand.claim = hand.claim._replace(deliveries=hand.claim.deliveries[1:])
        if not hand.claim.deliveries:
            self.hands.remove(hand)

    @precondition(lambda self: any(not hand.called and len(hand.claim.deliveries) > 1 for hand in self.hands))
    @rule(data=st.data())
    def refused_whole(self, data):
        """Halve it."""
        hand = self._one(data, [hand for hand in self.hands if not hand.called and len(hand.claim.deliveries) > 1])
        with self.w.store.write() as tx:
            halves = ledger.divide(tx, self.issue, hand.claim, lease=LEASE, provider=hand.provider)
        self.hands.remove(hand)
        kept = [one.did for half in halves for one in half.deliveries]
        ours = [one.did for one in hand.claim.deliveries if self._ours(one.did, hand)]
        assert sorted(kept) == sorted(ours)
        for half in halves:
            self.providers[half.aid] = hand.provider
            for one in half.deliveries:
                self.rows[one.did].attempt = half.aid
            self.hands.append(Hand(half, hand.provider, [one.did for one in half.deliveries]))

    @precondition(lambda self: any(not hand.called and not hand.overdue for hand in self.hands))
    @rule(data=st.data())
    def call(self, data):
        """The provider takes it, or not; its reply may be lost. SendGrid takes a call whole or not at all."""
        hand = self._one(data, [hand for hand in self.hands if not hand.called and not hand.overdue])
        dids = [one.did for one in hand.claim.deliveries]
        answers = st.sampled_from(sorted(OUTCOMES))
        drawn = [data.draw(answers)] * len(dids) if hand.provider == "sendgrid" else [data.draw(answers) for _ in dids]
        hand.answers, hand.called = dict(zip(dids, drawn, strict=True)), True
        for did, answer in hand.answers.items():
            if answer in ("accepted", "taken and lost"):
                self.taken.append((did, hand.claim.aid))

    @precondition(lambda self: any(hand.called for hand in self.hands))
    @rule(data=st.data())
    def settle(self, data):
        hand = self._one(data, [hand for hand in self.hands if hand.called])
        with self.w.store.write() as tx:
            later = now(tx) + timedelta(hours=1)
            settled = [
                Settled(one, OUTCOMES[answer], "", later if answer == "deferred" else None)
                for one, answer in zip(hand.claim.deliveries, hand.answers.values(), strict=True)
            ]
            lost = ledger.settle(tx, hand.claim, settled, outcome="answered")
        assert lost == sum(not self._ours(one.delivery.did, hand) for one in settled)
        for one in settled:
            self._settled(one.delivery.did, hand, one.state, waits=one.next_at is not None)
        self.hands.remove(hand)

    def _ours(self, did, hand):
        return self.rows[did].state is S.INFLIGHT and self.rows[did].attempt == hand.claim.aid

    def _settled(self, did, hand, state, waits):
        if self._ours(did, hand):
            self.rows[did].state, self.rows[did].waits = state, waits

    @precondition(lambda self: self.hands)
    @rule(data=st.data())
    def sender_sleeps(self, data):
        """A suspended machine: the lease runs out, the sender lives on."""
        hand = self._one(data, self.hands)
        hand.overdue = True
        with self.w.store.write() as tx:
            chosen = schema.delivery.c.id.in_([one.id for one in hand.claim.deliveries]) & (schema.delivery.c.state == "inflight")
            chosen &= schema.delivery.c.attempt_id == hand.claim.attempt
            tx.execute(update(schema.delivery).where(chosen).values(lease_until=now(tx) - timedelta(seconds=1)))

    @rule()
    def reap(self):
        """Beside living senders: only dead leases."""
        with self.w.store.write() as tx:
            ledger.reap(tx, self.issue, everything=False)
        for hand in self.hands:
            if hand.overdue:
                self._doubt(hand)

    def _doubt(self, hand):
        for one in hand.claim.deliveries:
            self._settled(one.did, hand, S.UNCERTAIN, self.rows[one.did].waits)

    @rule(provider=st.sampled_from(["sendgrid", "smtp"]))
    def crash_and_restart(self, provider):
        """All senders are gone; a run begins, which settles what it can."""
        self.hands.clear()
        with self.w.store.read() as tx:
            row = issue.find(tx, ISSUE)
        dispatch.recover(self.w, Asked(provider, {did for did, _ in self.taken}), row)
        self._applied()
        for did, one in self.rows.items():
            if one.state is S.INFLIGHT:
                one.state = S.UNCERTAIN
            if one.state is S.UNCERTAIN and provider == "smtp" and self.providers.get(one.attempt) == "smtp":
                sent = any(took == did for took, _ in self.taken)
                one.state, one.waits = (S.ACCEPTED if sent else S.READY), False
                self._reopened(not sent)
        self._applied()  # a delivery may have become uncertain after its sibling's event
        self._settle_uncertain()

    def _settle_uncertain(self):
        for did, one in self.rows.items():
            if one.state in (S.UNCERTAIN, S.HELD) and self.resend and one.attempt:
                one.state, one.waits = S.READY, False
                self.allowed[did] += 1
                self._reopened(True)
            elif one.state is S.UNCERTAIN:
                one.state, one.waits = S.HELD, False

    def _reopened(self, does):
        if does and self.state == "finished":
            self.state = "sending"

    @rule()
    def close(self):
        with self.w.store.read() as tx:
            row = issue.find(tx, ISSUE)
        dispatch._close(self.w, row)
        if self.state == "sending" and not any(row.state in (S.READY, S.INFLIGHT, S.UNCERTAIN) for row in self.rows.values()):
            self.state = "finished"

    @rule()
    def hours_pass(self):
        """What was put off may go."""
        with self.w.store.write() as tx:
            tx.execute(update(schema.delivery).values(next_at=None))
        for row in self.rows.values():
            row.waits = False

    # --- what the provider tells ---

    @precondition(lambda self: self.taken)
    @rule(data=st.data(), kind=st.sampled_from(["processed", "delivered", "open", "unsubscribe", "bounce"]), stale=st.booleans())
    def event(self, data, kind, stale):
        """Of anything that was ever taken; ``stale`` is from before anybody came back."""
        did, aid = self._one(data, self.taken)
        self.tick += 1
        when = self.start + timedelta(seconds=self.tick) + (timedelta(days=-1) if stale else timedelta(hours=2))
        more = {"type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 no such user"} if kind == "bounce" else {}
        posted = told(did, aid, kind, when, **more) | {"sg_event_id": f"e{self.tick}"}
        self.posted.append(posted)
        self._post(posted, stale)

    @precondition(lambda self: self.posted)
    @rule(data=st.data())
    def event_again(self, data):
        """The same under another id of the provider's, in another body."""
        self.tick += 1
        posted = self._one(data, self.posted) | {"sg_event_id": f"e{self.tick}"}
        self._post(posted, False)

    @rule()
    def event_of_nothing(self):
        self.tick += 1
        feedback.take_webhook(self.w.store, "sendgrid", body([told("f" * 32, "e" * 32, "delivered") | {"sg_event_id": f"e{self.tick}"}]))

    def _post(self, posted, stale):
        assert feedback.take_webhook(self.w.store, "sendgrid", body([posted]))
        key = (posted["did"], posted["aid"], posted["event"], posted["timestamp"])
        if key not in self.known_events:
            self.known_events.add(key)
            self.unapplied.append((*key, stale))

    @rule()
    def apply(self):
        feedback.apply(self.w)
        self._applied()

    def _applied(self):
        for did, aid, kind, _, stale in self.unapplied:
            row = self.rows[did]
            if row.state in OPEN:
                row.state, row.waits = S.ACCEPTED, False
            if self.providers[aid] == "sendgrid":
                self.proven.add(aid)
            if not (stale and row.subscriber in self.consent):
                if kind == "unsubscribe":
                    self.away.add(row.subscriber)
                elif kind == "bounce":
                    self.suppressed.add(row.subscriber)
        self.unapplied.clear()
        dead = {did for hand in self.hands if hand.overdue for did in hand.dids if self._ours(did, hand)}
        for did, row in self.rows.items():
            if row.attempt in self.proven and (row.state in (S.UNCERTAIN, S.HELD) or did in dead):
                row.state, row.waits = S.ACCEPTED, False

    # --- what people do ---

    @rule(n=st.integers(0, READERS - 1))
    def unsubscribe(self, n):
        self._set(n, status=Status.UNSUBSCRIBED)
        self.away.add(list(self.rows.values())[n].subscriber)

    @rule(n=st.integers(0, READERS - 1))
    def come_back(self, n):
        if self.unapplied:  # when exactly an event counts is another test's
            self.apply()
        self._set(n, status=Status.ACTIVE, consent_at=self.start)
        row = list(self.rows.values())[n].subscriber
        self.away.discard(row)
        self.consent[row] = self.tick

    def _set(self, n, **values):
        vault = self.w.store.vault
        with self.w.store.write() as tx:
            person = people.find(tx, vault, parse(f"r{n}@example.org"))
            people.change(tx, vault, person.row, person.subscriber.model_copy(update=values), now(tx))

    @precondition(lambda self: any(row.state in (S.UNCERTAIN, S.HELD) for row in self.rows.values()))
    @rule(data=st.data(), sent=st.booleans(), all_of_them=st.booleans())
    def decide(self, data, sent, all_of_them):
        unsure = [did for did, row in self.rows.items() if row.state in (S.UNCERTAIN, S.HELD)]
        chosen = unsure if all_of_them else [self._one(data, unsure)]
        if self.state == "cancelled" and not sent:
            with pytest.raises(IssueError, match="cancelled"):
                operate.decide(self.w, ISSUE, chosen, sent=False)
            return
        assert operate.decide(self.w, ISSUE, None if all_of_them else chosen, sent=sent) == len(chosen)
        for did in chosen:
            self.rows[did].state, self.rows[did].waits = (S.ACCEPTED if sent else S.READY), self.rows[did].waits and sent
            self.treated |= {did} if sent else set()
            self.allowed[did] += not sent
        self._reopened(not sent)

    @precondition(lambda self: self.state == "sending" and not self.paused)
    @rule()
    def pause(self):
        operate.pause(self.w, ISSUE, "a typo")
        self.paused = True

    @precondition(lambda self: self.paused)
    @rule()
    def resume(self):
        operate.resume(self.w, ISSUE)
        self.paused = False

    @precondition(lambda self: self.state == "sending" and self.tick > 6)
    @rule()
    def cancel(self):
        ready = [row for row in self.rows.values() if row.state is S.READY]
        assert operate.cancel(self.w, ISSUE) == len(ready)
        for row in ready:
            row.state = S.SKIPPED
        self.state, self.paused = "cancelled", False

    @precondition(lambda self: not self.late and self.tick > 4)
    @rule()
    def too_late(self):
        with self.w.store.write() as tx:
            tx.execute(update(schema.issue).values(send_not_after=now(tx) - timedelta(seconds=1)))
        self.late = True

    # --- the promise ---

    @invariant()
    def holds(self):
        type(self).steps["steps"] += 1
        with self.w.store.read() as tx:
            d = schema.delivery.c
            states = {r.did: S(r.state) for r in tx.execute(select(d.did, d.state))}
            pressed = Counter(tx.execute(select(schema.decision.c.subject).where(schema.decision.c.what == "send again")).scalars())
            listed = {row.did for row in holding.held(tx, self.issue)}
            row = issue.find(tx, ISSUE)
        assert states == {did: row.state for did, row in self.rows.items()}
        assert dispatch.status(self.w, ISSUE).sum_is_right and row.planned == len(states) == READERS
        assert +pressed == +self.allowed
        took = Counter(did for did, _ in self.taken)
        for did, state in states.items():
            assert took[did] <= 1 + pressed[did], "accepted twice"
            if state is S.ACCEPTED:
                assert took[did] or did in self.treated, "called accepted, never taken"
            assert (state in (S.UNCERTAIN, S.HELD)) == (did in listed)
        accepted = {did for did, state in states.items() if state is S.ACCEPTED}
        assert self.was_accepted <= accepted, "an accepted one went back"
        self.was_accepted = accepted
        assert row.state.value == self.state
        if self.state == "finished":
            assert not {S.READY, S.INFLIGHT, S.UNCERTAIN} & set(states.values())


def test_the_promise_holds_in_any_order(bed):
    Machine.bed = bed
    calm = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    given = settings(max_examples=400 if NIGHTLY else 25, stateful_step_count=40, deadline=None, suppress_health_check=calm)
    run_state_machine_as_test(Machine, settings=given)
