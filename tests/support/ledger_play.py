"""The ledger's moves, each played on the real database and on a model of what must come of it.

A move is a method with plain values as arguments, so that a sequence can be written down, printed and played again. The model
knows what the provider really took; the ledger does not. Whatever differs is an ``AssertionError``.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from digest import dispatch, entries, feedback, issue, operate, recovery
from digest.addresses import parse
from digest.errors import IssueError
from digest.events import Suppression
from digest.model import DeliveryState as S
from digest.model import Status
from digest.store import holding, ledger, now, people, plans, schema, suppressions
from digest.store.ledger import Claim, Settled
from digest.store.plans import Plan
from digest.workspace import Workspace
from tests.support.clock import Clock
from tests.support.feedback import add_issue, add_people, bare_workspace, body, told

ISSUE, READERS, EDITIONS = "monthly-2026-05-01", 7, 2
START = datetime(2026, 5, 1, 9, tzinfo=UTC)
# No sum of clock jumps is as long as these, so a few milliseconds more or less never decide anything.
LEASE, LATER = timedelta(hours=1, seconds=37), timedelta(hours=1, seconds=53)
OPEN = (S.READY, S.INFLIGHT, S.UNCERTAIN, S.HELD)
UNSURE = (S.UNCERTAIN, S.HELD)
ANSWERS = ("accepted", "rejected", "deferred", "taken and lost", "lost")
POLICIES = ("hold", "hold", "resend", "cancel_resend")
MEANWHILE = ("nothing", "nothing", "decide sent", "decide again", "events", "cancel")


def plant(folder: Path, opened: Callable[[Path], Any]) -> Path:
    """A workspace with one planned issue; its first state is kept in ``start``."""
    bare_workspace(folder, "delivery: {resend_after_h: 0}\n")
    with opened(folder) as w:
        rows = add_people(w, READERS)
        number = add_issue(w)
        with w.store.write() as tx:
            editions = plans.put_editions(tx, number, [plans.NewEdition(f"e{n}", "{}", 1) for n in range(EDITIONS)])
            chosen = [Plan(row, ("gut",), editions[f"e{n * EDITIONS // READERS}"], S.PLANNED, "") for n, row in enumerate(rows)]
            plans.put_plans(tx, number, chosen, "Fri, 01 May 2026 09:00:00 +0000")
            assert plans.open_for_dispatch(tx, number) == READERS
    shutil.copytree(folder / "var", folder / "start")
    return folder


@dataclass
class Row:
    """A delivery as the model has it. ``attempt`` is the aid of its last attempt."""

    subscriber: int
    edition: int
    state: S = S.READY
    attempt: str = ""
    next_at: datetime | None = None
    lease_until: datetime | None = None


@dataclass
class Hand:
    """A claim in a living sender's hands; ``answers`` once the provider was called."""

    claim: Claim
    provider: str
    answers: dict[str, str] = field(default_factory=dict)

    @property
    def dids(self) -> list[str]:
        return [one.did for one in self.claim.deliveries]

    @property
    def called(self) -> bool:
        return bool(self.answers)


class Asked:
    """A provider after the senders have died: asked what it took, or to void it. ``during`` happens while it thinks."""

    batch, lanes, longest_s, one_edition, sends = 4, 1, 60, False, True

    def __init__(self, play: Play, name: str, during: str) -> None:
        self._play, self.name, self._during = play, name, during
        self.tells = name == "sendgrid"
        self.cancels = play.policy == "cancel_resend"

    def look_up(self, issue: str, dids: Sequence[str]) -> Mapping[str, bool]:
        known = {did for did, _ in self._play.taken}
        answers = {did: did in known for did in dids} if self.name == "smtp" else {}
        self._play.restarted_up_to_look_up()
        if not (self.cancels and self.name == "sendgrid"):  # else it happens while a batch is voided
            self._meanwhile()
        self._play.looked_up = answers
        return answers

    def create_batch(self) -> str:
        raise AssertionError("nothing is handed over here")

    def hand_over(self, issue: str, aid: str, parcels: Sequence[Any], batch_id: str = "") -> Any:
        raise AssertionError("nothing is handed over here")

    def void_ref(self, ref: str, started_at: datetime) -> bool:
        self._play.restarted_up_to_voiding()
        self._play.may_void(ref)
        self._meanwhile()
        return self._play.voided(ref)

    def _meanwhile(self) -> None:
        what, self._during = self._during, "nothing"
        self._play.meanwhile(what)


class Play:
    """One issue, a provider of each kind, senders that come and go."""

    def __init__(self, workspace: Workspace, clock: Clock, policy: str = "hold", limit_h: int | None = None) -> None:
        self.w, self.clock, self.policy = workspace, clock, policy
        workspace.store.close()
        shutil.rmtree(workspace.path / "var")
        shutil.copytree(workspace.path / "start", workspace.path / "var")
        clock.start, clock.ahead, clock.looks = START, timedelta(0), 0
        self.not_after = None if limit_h is None else START + timedelta(hours=limit_h, seconds=23)
        with workspace.store.write() as tx:
            self.issue = issue.find(tx, ISSUE).id
            tx.execute(update(schema.issue).values(uncertain=policy, send_not_after=self.not_after))
            d = schema.delivery.c
            found = tx.execute(select(d.did, d.edition_id, d.subscriber_id).order_by(d.id)).all()
        self.rows = {r.did: Row(r.subscriber_id, r.edition_id) for r in found}
        self.dids = list(self.rows)
        self.hands: list[Hand] = []
        self.taken: list[tuple[str, str]] = []  # what the provider really took, as (did, aid)
        self.allowed: Counter[str] = Counter()  # sends that somebody asked for again
        self.treated: set[str] = set()  # an operator said that it was sent
        self.providers: dict[str, str] = {}  # of each attempt
        self.began: dict[str, datetime] = {}
        self.refs: dict[str, str] = {}  # under which name its batch may be voided
        self.state, self.paused = "sending", False
        self.away: set[int] = set()  # subscribers who left
        self.suppressed: set[int] = set()
        self.came_back: set[int] = set()
        self.posted: list[dict[str, Any]] = []
        self.known_events: set[tuple[Any, ...]] = set()
        self.unapplied: list[tuple[str, str, str, bool]] = []
        self.heard: dict[str, set[str]] = {}  # of each delivery, the attempts that its events name
        self.proven: set[str] = set()
        self.odd: set[tuple[str, str]] = set()
        self.was_accepted: set[str] = set()
        self.tick = 0
        self.looked_up: Mapping[str, bool] = {}
        self._stage = 3
        self.deep_every = 8
        self._quiet = True  # nobody does anything meanwhile
        self.trail: list[str] = []

    def play(self, name: str, *words: str, **given: Any) -> None:
        """Make a move and look whether all still holds."""
        said = [*map(repr, words), *(f"{key}={value!r}" for key, value in given.items())]
        self.trail.append(f"{name}({', '.join(said)})")
        getattr(self, name)(*words, **given)
        self.holds(deep=len(self.trail) % self.deep_every == 0)

    # --- the sender ---

    def writable(self, did: str) -> bool:
        return self.rows[did].subscriber not in self.away | self.suppressed

    def claim(self, k: int = 1, provider: str = "sendgrid", one_edition: bool = False) -> bool:
        """T1. Whether there was anything."""
        ref = f"b{len(self.providers)}" if self.policy == "cancel_resend" and provider == "sendgrid" else ""
        with self.w.store.write() as tx:
            found = ledger.claim(tx, self.issue, k, owner="x", lease=LEASE, provider=provider, one_edition=one_edition, ref=ref)
        wanted = self._expected(k, one_edition)
        assert [one.did for one in found.deliveries] == wanted if found else not wanted, "claimed other deliveries than it may"
        if found is None:
            return False
        self._attempt(found.aid, provider, ref)
        for did in wanted:
            row = self.rows[did]
            row.state, row.attempt, row.lease_until = S.INFLIGHT, found.aid, self.clock.at + LEASE
        self.hands.append(Hand(found, provider))
        return True

    def _attempt(self, aid: str, provider: str, ref: str) -> None:
        self.providers[aid], self.began[aid], self.refs[aid] = provider, self.clock.at, ref

    def _expected(self, k: int, one_edition: bool) -> list[str]:
        if self.state != "sending" or self.paused:
            return []
        if self.not_after is not None and self.not_after < self.clock.at:
            for row in self.rows.values():
                row.state = S.EXPIRED if row.state is S.READY else row.state
        at = self.clock.at
        waiting = [did for did, row in self.rows.items() if row.state is S.READY]
        waiting.sort(key=lambda did: self.rows[did].edition)  # each edition's together, in order of planning
        fresh = [did for did in waiting if self.rows[did].next_at is None]
        again = [did for did in waiting if (due := self.rows[did].next_at) is not None and due <= at]
        return self._first_lap(fresh, k, one_edition) or self._first_lap(again, k, one_edition)

    def _first_lap(self, ready: list[str], k: int, one_edition: bool) -> list[str]:
        """Those of the first lap that has somebody who may be written to; the others are skipped."""
        while ready:
            first = self.rows[ready[0]].edition
            lap = [did for did in ready if not one_edition or self.rows[did].edition == first][:k]
            for did in lap:
                if not self.writable(did):
                    self.rows[did].state = S.SKIPPED
            if wanted := [did for did in lap if self.writable(did)]:
                return wanted
            ready = [did for did in ready if did not in lap]
        return []

    def overdue(self, hand: Hand) -> bool:
        return hand.claim.lease_until < self.clock.at

    def set_aside(self, hand: int = 0) -> None:
        """Its domain has had its share: written before the call."""
        one = self.hands[hand].claim.deliveries[0]
        with self.w.store.write() as tx:
            ledger.settle(tx, self.hands[hand].claim, [Settled(one, S.READY, "later", now(tx) + LATER, called=False)], outcome="")
        self._settled(one.did, self.hands[hand], S.READY, self.clock.at + LATER, called=False)
        self._without(hand, 1)

    def _without(self, hand: int, first: int) -> None:
        mine = self.hands[hand]
        mine.claim = mine.claim._replace(deliveries=mine.claim.deliveries[first:])
        if not mine.claim.deliveries:
            del self.hands[hand]

    def give_back(self, hand: int = 0) -> None:
        """The call was not made after all."""
        mine = self.hands[hand]
        with self.w.store.write() as tx:
            settled = [Settled(one, S.READY, called=False) for one in mine.claim.deliveries]
            lost = ledger.settle(tx, mine.claim, settled, outcome="given back")
        assert lost == sum(not self.ours(did, mine) for did in mine.dids)
        for did in mine.dids:
            self._settled(did, mine, S.READY, None, called=False)
        del self.hands[hand]

    def refused_whole(self, hand: int = 0) -> None:
        """Halve it."""
        mine = self.hands.pop(hand)
        refs = tuple(f"b{len(self.providers) + n}" if self.refs[mine.claim.aid] else "" for n in range(2))
        with self.w.store.write() as tx:
            all_of_it = mine.claim.deliveries
            middle = (len(all_of_it) + 1) // 2
            groups = (all_of_it[:middle], all_of_it[middle:])
            halves = ledger.divide(tx, self.issue, mine.claim, groups, refs, lease=LEASE, provider=mine.provider)
        kept = [one.did for half in halves for one in half.deliveries]
        assert sorted(kept) == sorted(did for did in mine.dids if self.ours(did, mine)), "halved what it no longer has"
        for half in halves:
            self._attempt(half.aid, mine.provider, half.ref)
            for one in half.deliveries:
                self.rows[one.did].attempt, self.rows[one.did].lease_until = half.aid, self.clock.at + LEASE
            self.hands.append(Hand(half, mine.provider))

    def call(self, *answers: str, hand: int = 0) -> None:
        """The provider takes it, or not; its reply may be lost. SendGrid takes a call whole or not at all: one answer for all.

        Not made with a dead lease: the sender looks before its first byte.
        """
        mine = self.hands[hand]
        assert not mine.called and not self.overdue(mine)
        given = answers if len(answers) == len(mine.dids) else answers[:1] * len(mine.dids)
        mine.answers = dict(zip(mine.dids, given, strict=True))
        self.taken += [(did, mine.claim.aid) for did, answer in mine.answers.items() if answer in ("accepted", "taken and lost")]

    def settle(self, hand: int = 0) -> None:
        """T2."""
        mine = self.hands.pop(hand)
        words = {answer: "uncertain" if "lost" in answer else answer for answer in ANSWERS}
        expected = {"accepted": S.ACCEPTED, "rejected": S.FAILED, "deferred": S.READY, "uncertain": S.UNCERTAIN}
        with self.w.store.write() as tx:
            later = now(tx) + LATER
            settled = [
                Settled(one, entries._STATES[words[answer]], "", later if answer == "deferred" else None)
                for one, answer in zip(mine.claim.deliveries, mine.answers.values(), strict=True)
            ]
            lost = ledger.settle(tx, mine.claim, settled, outcome="answered")
        assert lost == sum(not self.ours(did, mine) for did in mine.dids), "moved what somebody else had moved"
        for did, answer in mine.answers.items():
            self._settled(did, mine, expected[words[answer]], self.clock.at + LATER if answer == "deferred" else None)

    def ours(self, did: str, hand: Hand) -> bool:
        return self.rows[did].state is S.INFLIGHT and self.rows[did].attempt == hand.claim.aid

    def _settled(self, did: str, hand: Hand, state: S, next_at: datetime | None, called: bool = True) -> None:
        if not self.ours(did, hand):
            return
        if self.state == "cancelled" and state is S.READY:
            state, next_at = S.SKIPPED, None
        row = self.rows[did]
        row.state, row.next_at, row.attempt = state, next_at, row.attempt if called else ""

    def drain(self, answer: str = "accepted", k: int = 3, provider: str = "sendgrid") -> None:
        """A living sender does what there is to do, and gets this answer each time."""
        while self.claim(k, provider):
            self.call(answer, hand=len(self.hands) - 1)
            self.settle(hand=len(self.hands) - 1)

    def jump(self, minutes: int) -> None:
        """The clock moves; leases run out, or last longer; what was put off may go, or must wait."""
        self.clock.ahead += timedelta(minutes=minutes)

    def reap(self) -> None:
        """Beside living senders: only dead leases."""
        with self.w.store.write() as tx:
            ledger.reap(tx, self.issue, everything=False)
        for row in self.rows.values():
            if row.state is S.INFLIGHT and row.lease_until is not None and row.lease_until < self.clock.at:
                row.state = S.UNCERTAIN

    def overtaken(self, k: int = 2, provider: str = "sendgrid") -> None:
        """A suspended machine: its leases run out, an operator lets all of it go again, and another sender claims."""
        self.jump(120)
        self.reap()
        if self.state == "sending" and any(row.state in UNSURE for row in self.rows.values()):
            self.decide(sent=False)
        self.claim(k, provider)

    # --- a crash, and the run after it ---

    def restart(self, provider: str = "sendgrid", meanwhile: str = "nothing") -> None:
        """All senders are gone; a run begins, which settles what it can while somebody else does something ``meanwhile``."""
        self.hands.clear()
        with self.w.store.read() as tx:
            row = issue.find(tx, ISSUE)
        self._stage, self.looked_up, self._provider, self._quiet = 0, {}, provider, meanwhile == "nothing"
        recovery.recover(self.w, Asked(self, provider, meanwhile), row)
        self.restarted_up_to_voiding()
        self._stage = 3
        ended = self.state == "cancelled"
        for did, one in self.rows.items():
            if self.policy == "resend" and not ended and self._silent(did, one):
                self._again(did, one)
            elif one.state is S.UNCERTAIN:
                one.state, one.next_at = S.HELD, None

    def restarted_up_to_look_up(self) -> None:
        if self._stage >= 1:
            return
        self._stage = 1
        for row in self.rows.values():
            row.state = S.UNCERTAIN if row.state is S.INFLIGHT else row.state
        self._applied()

    def restarted_up_to_voiding(self) -> None:
        self.restarted_up_to_look_up()
        if self._stage >= 2:
            return
        self._stage = 2
        for did, sent in self.looked_up.items():
            row = self.rows[did]
            if row.state in UNSURE:
                row.state = S.ACCEPTED if sent else S.SKIPPED if self.state == "cancelled" else S.READY
                row.next_at = None
        self._applied()  # a delivery may have become uncertain after its sibling's event

    def _attempt_of(self, ref: str) -> str:
        return next((aid for aid, name in self.refs.items() if name and name == ref), "")

    def may_void(self, ref: str) -> None:
        """Nobody asks to void what is known to have been taken: it would be lost."""
        attempt = self._attempt_of(ref)
        known = any(row.attempt == attempt and row.state is S.ACCEPTED for row in self.rows.values())
        assert not (attempt and known and self._quiet), "voided what was known to be taken"

    def voided(self, ref: str) -> bool:
        """Nothing of a batch has been told of, so it may still be cancelled; then what was taken of it is thrown away."""
        attempt = self._attempt_of(ref)
        if not attempt or any(event["aid"] == attempt for event in self.posted):
            return False
        self.taken = [(did, aid) for did, aid in self.taken if aid != attempt]
        for did, row in self.rows.items():
            if row.attempt == attempt and row.state in UNSURE:
                if self.state == "cancelled":
                    row.state, row.next_at = S.SKIPPED, None
                else:
                    self._again(did, row)
        return True

    def _silent(self, did: str, row: Row) -> bool:
        if row.state not in UNSURE or not row.attempt or self.began[row.attempt] > self.clock.at:
            return False
        if self._provider != "sendgrid":
            return True
        heard = {aid for aids in self.heard.values() for aid in aids}
        since = any(self.began[aid] > self.began[row.attempt] for aid in heard)
        return since and row.attempt not in heard and did not in self.heard

    def _again(self, did: str, row: Row) -> None:
        row.state, row.next_at = S.READY, None
        self.allowed[did] += 1
        self._reopened()

    def _reopened(self) -> None:
        if self.state == "finished":
            self.state = "sending"

    def meanwhile(self, what: str) -> None:
        """Somebody else does something while the provider is asked."""
        if what == "events" and self.taken:
            self.event(0, "delivered")
            self.apply()
        elif what == "cancel" and self.state == "sending":
            self.cancel()
        elif what.startswith("decide") and (what == "decide sent" or self.state != "cancelled"):
            if any(row.state in UNSURE for row in self.rows.values()):
                self.decide(sent=what == "decide sent")

    def close(self) -> None:
        with self.w.store.read() as tx:
            row = issue.find(tx, ISSUE)
        dispatch._close(self.w, row)
        if self.state == "sending" and not any(row.state in (S.READY, S.INFLIGHT, S.UNCERTAIN) for row in self.rows.values()):
            self.state = "finished"

    def to_the_end(self) -> None:
        """No more trouble: everybody must come to an end, or stand on the list. What was put off by a clock that was days ahead
        waits until then: status says until when.
        """
        if self.paused:
            self.resume()
        self.clock.ahead = timedelta(hours=120)
        for _ in range(4):
            self.jump(3 * 60)
            self.restart()
            self.drain()
        self.close()
        self.holds(deep=True)
        assert self.state in ("finished", "cancelled")
        assert not {row.state for row in self.rows.values()} & {S.PLANNED, S.READY, S.INFLIGHT, S.UNCERTAIN}, "somebody was missed"

    # --- what the provider tells ---

    def event(self, taken: int = 0, kind: str = "delivered", stale: bool = False) -> None:
        """Of anything that was ever taken; ``stale`` is from before anybody came back."""
        did, aid = self.taken[taken]
        self.tick += 1
        when = START + timedelta(seconds=self.tick) + (timedelta(days=-1) if stale else timedelta(hours=2))
        more = {"type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 no such user"} if kind == "bounce" else {}
        posted = told(did, aid, kind, when, **more) | {"sg_event_id": f"e{self.tick}", "stale": stale}
        self.posted.append(posted)
        self._post(posted)

    def event_again(self, posted: int = 0) -> None:
        """The same under another id of the provider's, in another body."""
        self.tick += 1
        self._post(self.posted[posted] | {"sg_event_id": f"e{self.tick}"})

    def event_of_nothing(self) -> None:
        self.tick += 1
        feedback.take_webhook(self.w.store, "sendgrid", body([told("f" * 32, "e" * 32, "delivered") | {"sg_event_id": f"e{self.tick}"}]))

    def _post(self, posted: dict[str, Any]) -> None:
        assert feedback.take_webhook(self.w.store, "sendgrid", body([posted]))
        key = (posted["did"], posted["aid"], posted["event"], posted["timestamp"])
        if key not in self.known_events:
            self.known_events.add(key)
            self.unapplied.append((*key[:3], posted["stale"]))

    def apply(self) -> None:
        feedback.apply(self.w)
        self._applied()

    def _applied(self) -> None:
        for did, aid, *_ in self.unapplied:
            self.heard.setdefault(did, set()).add(aid)
        for did in dict.fromkeys(did for did, *_ in self.unapplied):
            row = self.rows[did]
            if row.state in OPEN:
                row.state, row.next_at = S.ACCEPTED, None
            elif row.state is not S.ACCEPTED:
                self.odd.add((did, f"event for a {row.state.value} delivery"))
            if len(self.heard[did]) > 1:
                self.odd.add((did, "two attempts"))
            if row.attempt and self.heard[did] - {row.attempt}:
                self.odd.add((did, "claimed again after an attempt that was accepted"))
        for did, aid, kind, stale in self.unapplied:
            if self.providers[aid] == "sendgrid":
                self.proven.add(aid)
            subscriber = self.rows[did].subscriber
            if not (stale and subscriber in self.came_back):
                self.away |= {subscriber} if kind == "unsubscribe" else set()
                self.suppressed |= {subscriber} if kind == "bounce" else set()
        self.unapplied.clear()
        for row in self.rows.values():
            dead = row.state is S.INFLIGHT and row.lease_until is not None and row.lease_until < self.clock.at
            if row.attempt in self.proven and (row.state in UNSURE or dead):
                row.state, row.next_at = S.ACCEPTED, None

    # --- what people do ---

    def unsubscribe(self, n: int = 0) -> None:
        self._set(n, status=Status.UNSUBSCRIBED)
        self.away.add(self.rows[self.dids[n]].subscriber)

    def come_back(self, n: int = 0) -> None:
        if self.unapplied:  # when exactly an event counts is another test's
            self.apply()
        self._set(n, status=Status.ACTIVE, consent_at=START)
        self.away.discard(self.rows[self.dids[n]].subscriber)
        self.came_back.add(self.rows[self.dids[n]].subscriber)

    def suppress(self, n: int = 0) -> None:
        """An operator's doing, or another issue's bounce."""
        vault = self.w.store.vault
        with self.w.store.write() as tx:
            suppressions.put(tx, vault.index(parse(f"r{n}@example.org").key), Suppression("operator", now(tx), "test"))
        self.suppressed.add(self.rows[self.dids[n]].subscriber)

    def _set(self, n: int, **values: Any) -> None:
        vault = self.w.store.vault
        with self.w.store.write() as tx:
            person = people.find(tx, vault, parse(f"r{n}@example.org"))
            assert person is not None
            people.change(tx, vault, person.row, person.subscriber.model_copy(update=values), now(tx))

    def decide(self, sent: bool, n: int | None = None) -> None:
        """Settle what is uncertain or held: all of it, or only the ``n``-th reader's."""
        unsure = [did for did, row in self.rows.items() if row.state in UNSURE]
        chosen = unsure if n is None else [self.dids[n]]
        if (self.state == "cancelled" and not sent) or not set(chosen) <= set(unsure):
            try:
                operate.decide(self.w, ISSUE, chosen, sent=sent)
            except IssueError:
                return
            raise AssertionError("decided what was cancelled, or decided already, or is not to be decided")
        assert operate.decide(self.w, ISSUE, None if n is None else chosen, sent=sent) == len(chosen)
        for did in chosen:
            if sent:
                self.rows[did].state = S.ACCEPTED
                self.treated.add(did)
            else:
                self._again(did, self.rows[did])

    def pause(self) -> None:
        operate.pause(self.w, ISSUE, "a typo")
        self.paused = True

    def resume(self) -> None:
        operate.resume(self.w, ISSUE)
        self.paused = False

    def cancel(self) -> None:
        ready = [row for row in self.rows.values() if row.state is S.READY]
        assert operate.cancel(self.w, ISSUE) == len(ready)
        for row in ready:
            row.state = S.SKIPPED
        self.state, self.paused = "cancelled", False

    # --- the promise ---

    def holds(self, *, deep: bool = True) -> None:
        """What the model says and RELIABILITY 1.7 promises; ``deep`` looks at the records of it, too."""
        with self.w.store.read() as tx:
            states = {did: S(state) for did, state in tx.exec_driver_sql("SELECT did, state FROM delivery")}
            state, planned = tx.exec_driver_sql("SELECT state, planned FROM issue").one()
        assert states == {did: row.state for did, row in self.rows.items()}, "another state than it must be in"
        assert planned == len(states) == READERS and state == self.state
        took = Counter(did for did, _ in self.taken)
        for did, where in states.items():
            assert took[did] <= 1 + self.allowed[did], "accepted twice"
            assert where is not S.ACCEPTED or took[did] or did in self.treated, "called accepted, never taken"
        accepted = {did for did, where in states.items() if where is S.ACCEPTED}
        assert self.was_accepted <= accepted, "an accepted one went back"
        self.was_accepted = accepted
        if state == "finished":
            assert not {S.READY, S.INFLIGHT, S.UNCERTAIN} & set(states.values())
        if deep:
            self._records(states)

    def _records(self, states: Mapping[str, S]) -> None:
        with self.w.store.read() as tx:
            pressed = Counter(tx.execute(select(schema.decision.c.subject).where(schema.decision.c.what == "send again")).scalars())
            listed = {row.did for row in holding.held(tx, self.issue)}
            p, u = schema.subscriber.c, schema.suppression.c
            suppressed = set(tx.execute(select(p.id).join(schema.suppression, u.address_index == p.address_index)).scalars())
            away = set(tx.execute(select(p.id).where(p.status != "active")).scalars())
            odd = {tuple(row) for row in tx.execute(select(schema.contradiction.c.did, schema.contradiction.c.what))}
        assert +pressed == +self.allowed, "sent again and not recorded"
        assert listed == {did for did, state in states.items() if state in UNSURE}, "uncertain and not listed"
        assert (suppressed, away) == (self.suppressed, self.away), "writes to whom it must not, or not to whom it may"
        assert odd == self.odd, "what does not fit together was not recorded"
        assert dispatch.status(self.w, ISSUE).sum_is_right


# --- moves at random --------------------------------------------------------------------------------------------------------

Pick = Callable[[Sequence[Any]], Any]
Move = tuple[str, dict[str, Any]]


def _hands(play: Play, wanted: Callable[[Hand], bool]) -> list[int]:
    return [n for n, hand in enumerate(play.hands) if wanted(hand)]


def _claim(play: Play, pick: Pick) -> Move:
    return "claim", {"k": pick((1, 2, 3, 4)), "provider": pick(("sendgrid", "sendgrid", "smtp")), "one_edition": pick((False, True))}


def _call(play: Play, pick: Pick) -> Move | None:
    if not (free := _hands(play, lambda hand: not hand.called and not play.overdue(hand))):
        return None
    hand = pick(free)
    mine = play.hands[hand]
    count = 1 if mine.provider == "sendgrid" else len(mine.dids)
    return "call", {"answers": tuple(pick(ANSWERS) for _ in range(count)), "hand": hand}


def _of_hands(name: str, wanted: Callable[[Hand], bool]) -> Callable[[Play, Pick], Move | None]:
    def draw(play: Play, pick: Pick) -> Move | None:
        found = _hands(play, wanted)
        return (name, {"hand": pick(found)}) if found else None

    return draw


def _drain(play: Play, pick: Pick) -> Move:
    return "drain", {"answer": pick(ANSWERS), "k": pick((2, 3, 7)), "provider": pick(("sendgrid", "smtp"))}


def _jump(play: Play, pick: Pick) -> Move | None:
    hours = play.clock.ahead / timedelta(hours=1)
    steps = [minutes for minutes in (5, 70, 70, 180, 1440, -5, -120, -1440) if -15 <= hours + minutes / 60 <= 96]
    return "jump", {"minutes": pick(steps)}


def _decide(play: Play, pick: Pick) -> Move | None:
    unsure = [n for n, did in enumerate(play.dids) if play.rows[did].state in UNSURE]
    if not unsure:
        return None
    n = pick((None, pick(unsure), pick(unsure), pick(range(READERS))))
    return "decide", {"sent": pick((False, False, True)), "n": n}


def _event(play: Play, pick: Pick) -> Move | None:
    if not play.taken:
        return None
    kind = pick(("processed", "delivered", "open", "unsubscribe", "bounce"))
    return "event", {"taken": pick(range(len(play.taken))), "kind": kind, "stale": pick((False, False, True))}


def _when(name: str, possible: Callable[[Play], Any] = lambda _: True, **of: Sequence[Any]) -> Callable[[Play, Pick], Move | None]:
    def draw(play: Play, pick: Pick) -> Move | None:
        return (name, {key: pick(values) for key, values in of.items()}) if possible(play) else None

    return draw


def _event_again(play: Play, pick: Pick) -> Move | None:
    return ("event_again", {"posted": pick(range(len(play.posted)))}) if play.posted else None


MOVES: tuple[tuple[int, Callable[[Play, Pick], Move | None]], ...] = (
    (6, _claim),
    (7, _call),
    (5, _of_hands("settle", lambda hand: hand.called)),
    (2, _of_hands("set_aside", lambda hand: not hand.called)),
    (1, _of_hands("give_back", lambda hand: not hand.called)),
    (3, _of_hands("refused_whole", lambda hand: not hand.called and len(hand.dids) > 1)),
    (2, _drain),
    (4, _jump),
    (3, _when("reap")),
    (3, _when("overtaken", lambda play: play.hands and play.clock.ahead < timedelta(hours=90), k=(1, 4), provider=("sendgrid", "smtp"))),
    (3, _when("restart", provider=("sendgrid", "smtp"), meanwhile=MEANWHILE)),
    (2, _when("close")),
    (4, _event),
    (1, _event_again),
    (1, _when("event_of_nothing")),
    (5, _when("apply", lambda play: play.unapplied)),
    (2, _when("unsubscribe", n=range(READERS))),
    (1, _when("suppress", n=range(READERS))),
    (1, _when("come_back", n=range(READERS))),
    (4, _decide),
    (1, _when("pause", lambda play: play.state == "sending" and not play.paused)),
    (3, _when("resume", lambda play: play.paused)),
    (1, _when("cancel", lambda play: play.state == "sending" and len(play.trail) > 25)),
)


def step(play: Play, pick: Pick, moves: Sequence[tuple[int, Callable[[Play, Pick], Move | None]]] = MOVES) -> None:
    """One move that is possible now."""
    spread = [draw for weight, draw in moves for _ in range(weight)]
    for _ in range(50):
        if (found := pick(spread)(play, pick)) is not None:
            name, given = found
            play.play(name, *given.pop("answers", ()), **given)
            return
    raise AssertionError("no move is possible")
