"""One run over an issue's ready deliveries: intent before the call, outcome after (RELIABILITY section 1.3).

Each lane is a thread: claim, compose, hand over, settle; `entries` writes it down. What a lane knows of the others is the throttle,
the breaker and whether to stop; the ledger alone says who has what. Several processes may run lanes of one issue at a time (`crew`).
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from fnmatch import translate
from typing import NamedTuple

from digest import compose, rates
from digest.addressing import envelope, slots
from digest.compose import Edition
from digest.entries import Entries
from digest.halt import Halt
from digest.model import DeliveryState as S
from digest.model import Selection
from digest.pace import FAILURES, Breaker, Gate
from digest.providers import Handover, Parcel, Provider, Receipt, cancelling_of, hosting_of
from digest.readiness import Ready
from digest.store import outcomes, people
from digest.store.ledger import Claim, Claimed, Settled
from digest.store.mark import epoch_of
from digest.store.patience import patiently
from digest.workspace import Workspace

_EDITIONS = 64  # remembered, of about 200 KB each
_LONGEST_WAIT_S = 900  # a provider that asks for more ends the run instead


class Progress(NamedTuple):
    """How far a run has come: ``stage`` is ``gather``, ``draft``, ``plan`` or ``send``."""

    stage: str
    done: int
    total: int | None


class Drained(NamedTuple):
    """What a run did: how many were accepted, why it had to stop (an error), or what the rest waits for (no error)."""

    accepted: int
    stop: str
    waits: str


class Looked(NamedTuple):
    """A claim's readers (id, address, name, by row) and editions, and when it was made."""

    readers: Mapping[int, tuple[str, str, str]]
    editions: Mapping[int, Edition]
    at: datetime


class Ties(NamedTuple):
    """What binds a run to others at work on the same issue: the breaker, who keeps the mark, and who is told why it ends."""

    breaker: Gate
    mark: Callable[[int], None]
    ended: Callable[[str], None]


class Run:
    """Hands over until nothing can be claimed, or something says to stop: itself, or ``halt`` from outside.

    ``lanes``: so many instead of all the provider's.
    """

    def __init__(
        self,
        workspace: Workspace,
        provider: Provider,
        ready: Ready,
        progress: Callable[[Progress], None],
        clock: Callable[[], float] = time.monotonic,
        *,
        lanes: int | None = None,
        ties: Ties | None = None,
        halt: threading.Event | None = None,
    ) -> None:
        self.workspace, self.provider, self.ready, self.progress = workspace, provider, ready, progress
        self._lanes = lanes or provider.lanes
        self._cancelling = cancelling_of(provider)
        self._hosting = hosting_of(provider)
        self._look = compose.look_of(workspace.config)
        self._allowed = _matcher(workspace.config.delivery.allow)
        self._editions: dict[int, Edition] = {}
        self._entries = Entries(workspace, provider, ready, self._known)
        self._throttle, self._domains = rates.limits(workspace, clock, shared=ties is not None)
        self._halt = Halt(halt)
        self._lock, self._telling = threading.Lock(), threading.Lock()
        self._stop = ""
        self.accepted, self._done = 0, 0
        with workspace.store.read() as tx:
            self._epoch = epoch_of(tx)
        self._ties = ties or Ties(Breaker(clock, random.Random()), self._mark, lambda _: None)
        self._breaker = self._ties.breaker

    def _mark(self, attempt: int) -> None:
        self.workspace.store.guard.write(self._epoch, attempt, self.ready.row.name)

    def drain(self) -> Drained:
        """Run all lanes to their end."""
        with ThreadPoolExecutor(max_workers=self._lanes, thread_name_prefix="lane") as pool:
            lanes = [pool.submit(self._lane) for _ in range(self._lanes)]
            try:
                for lane in lanes:
                    lane.result()
            except BaseException:  # Ctrl-C, too
                self.halt()
                raise
        return Drained(self.accepted, self._stop, self._entries.waits)

    def halt(self) -> None:
        """Claim nothing more; what is in hand is settled."""
        self._halt.set()

    def _lane(self) -> None:
        claim: Claim | None = None
        try:
            while not self._halt.is_set():
                if wait := self._breaker.wait_s():
                    self._put_down(claim)
                    claim = None
                    self._halt.wait(wait)
                    continue
                claim = claim or self._claim()
                if claim is None:
                    self._breaker.unused()
                    return
                claim = self._deliver(claim)
            self._put_down(claim)
        except BaseException:
            self._halt.set()  # the other lanes settle what they have in hand, and end
            raise

    def _claim(self) -> Claim | None:
        claim = self._entries.claim()
        if claim is not None:
            self._ties.mark(claim.attempt)
        return claim

    def _known(self) -> tuple[int, ...]:
        """The editions that need not be told of."""
        with self._lock:
            return tuple(self._editions)

    def _deliver(self, claim: Claim) -> Claim | None:
        """Hand a claim over; one that is refused whole is halved until the culprit stands alone. Returns the next, if it was claimed."""
        pending, following = [claim], None
        while pending:
            part = pending.pop()
            with self._entries.given_back_if_it_fails([part, *pending]):
                looked = patiently(lambda part=part: self._look_up(part))  # type: ignore[misc]
                if len(groups := self._groups(part, looked.editions)) > 1:
                    pending += self._entries.divide(part, groups)
                    continue
                parcels, refused = self._parcels(part, looked)
            part = self._entries.set_aside(part, refused)
            if refused:
                self._count(len(refused))
            handover = self._call(part, parcels)
            if handover is None:
                self._breaker.unused()
                self._entries.give_back([part, *pending])
                return None
            if handover.split and len(parcels) > 1:
                middle = (len(part.deliveries) + 1) // 2
                with self._entries.given_back_if_it_fails([part, *pending]):  # it was refused whole, and a half has no name yet
                    pending += self._entries.divide(part, (part.deliveries[:middle], part.deliveries[middle:]))
                continue
            following = self._settle(part, handover, more=bool(parcels) and not pending and self._may_go_on(handover))
            self._mind(handover) if parcels else self._breaker.unused()
            if self._halt.is_set() and pending:
                self._entries.give_back(pending)
                return None
        return following

    def _may_go_on(self, handover: Handover) -> bool:
        """Whether the next claim may be made with this outcome, which must neither wait for it nor be lost with it: the answer asks
        for nothing, no batch has to be named before, and no day's cap counted.
        """
        asks = handover.stop or handover.trouble or handover.retry_after_s is not None
        waits = self._cancelling is not None or self.workspace.config.delivery.warm_up is not None
        return not (asks or waits or self._halt.is_set())

    def _groups(self, claim: Claim, editions: Mapping[int, Edition]) -> Sequence[Sequence[Claimed]]:
        """What of a claim may go in one call, the largest last, which is taken first. Before anything is counted against a rate: a
        call that is refused for going together would count its readers again.
        """
        if self._hosting is None:
            return (claim.deliveries,)
        found: dict[str, list[Claimed]] = {}
        for one in claim.deliveries:
            found.setdefault(self._hosting.together(editions[one.edition]), []).append(one)
        return sorted(found.values(), key=len)

    def _parcels(self, claim: Claim, looked: Looked) -> tuple[list[Parcel], list[Settled]]:
        """What can be handed over, and what is settled without a call because it must not, cannot, or not yet."""
        readers, editions, at = looked
        domains = {address: rates.domain_of(address) for _, address, _ in readers.values() if self._allowed(address.lower())}
        if self.provider.sends:
            patiently(lambda: self._domains.expect(domains.values()))  # what is booked twice for an answer that was lost only slows down
        parcels: list[Parcel] = []
        refused: list[Settled] = []
        for one in claim.deliveries:
            sid, address, name = readers[one.subscriber]
            if held_back := self._held_back(one, domains.get(address), at):
                refused.append(held_back)
            else:
                reader = slots(self.workspace, one.did, sid, address, name, one.date_header)
                parcels.append(Parcel(one.did, editions[one.edition], reader, envelope(self._look, self.ready.row.cadence, one)))
        return parcels, refused

    def _look_up(self, claim: Claim) -> Looked:
        """What the claim did not bring along is looked up."""
        readers, selections = dict(claim.readers), dict(claim.selections)
        wanted = {one.edition for one in claim.deliveries}
        with self._lock:
            editions = {id: self._editions[id] for id in wanted if id in self._editions}
        missing = [one.subscriber for one in claim.deliveries if one.subscriber not in readers]
        unknown = sorted(wanted - editions.keys() - selections.keys())
        if missing or unknown:
            with self.workspace.store.read() as tx:
                readers |= people.sealed(tx, missing) if missing else {}
                selections |= outcomes.edition_selections(tx, unknown) if unknown else {}
        editions |= {id: self._compose(selections[id]) for id in sorted(wanted - editions.keys())}
        with self._lock:
            if len(self._editions) > _EDITIONS:
                self._editions.clear()
            self._editions |= editions
        return Looked(people.unsealed(self.workspace.store.vault, readers), editions, claim.lease_until - self._entries.lease)

    def _compose(self, selection: str) -> Edition:
        return compose.make_edition(self.ready.compiled, Selection.model_validate_json(selection))

    def _held_back(self, one: Claimed, domain: str | None, at: datetime) -> Settled | None:
        """A message to real people that must not leave: the address is not allowed (no ``domain``), or its domain has had its share."""
        if not self.provider.sends:
            return None
        if domain is None:
            return Settled(one, S.SKIPPED, "not in delivery.allow", called=False)
        wait_s = self._domains.put_off_s(domain)
        return Settled(one, S.READY, "its domain has had its share", at + timedelta(seconds=wait_s), called=False) if wait_s else None

    def _call(self, claim: Claim, parcels: list[Parcel]) -> Handover | None:
        """The call, outside any transaction; None where it was not made and everything may be given back."""
        if not parcels:
            return Handover(())
        if self._halt.wait(patiently(lambda: self._throttle.wait_s(len(parcels)))):
            return None
        # By the database's clock: after a suspended machine or a long wait the lease may be somebody else's.
        if patiently(self.workspace.store.now) + timedelta(seconds=self.provider.longest_s) > claim.lease_until:
            return None
        handover = self._hand_over(claim, parcels)
        if handover.split and len(parcels) == 1:  # refused alone, so it is the culprit
            reason = next((receipt.reason for receipt in handover.receipts), "") or "the provider refused it"
            return replace(handover, receipts=(Receipt(parcels[0].did, "rejected", reason),), split=False)
        return handover

    def _hand_over(self, claim: Claim, parcels: list[Parcel]) -> Handover:
        if self._cancelling is not None:
            return self._cancelling.hand_over(self.ready.row.name, claim.aid, parcels, claim.ref)
        return self.provider.hand_over(self.ready.row.name, claim.aid, parcels)

    def _settle(self, claim: Claim, handover: Handover, *, more: bool) -> Claim | None:
        settled, following = self._entries.settle(claim, handover, more=more)
        try:
            if following is not None:
                self._ties.mark(following.attempt)
            self._count(len(claim.deliveries), sum(one.state is S.ACCEPTED for one in settled))
        except BaseException:
            self._put_down(following)
            raise
        return following

    def _count(self, done: int, accepted: int = 0) -> None:
        with self._lock:
            self.accepted += accepted
            self._done += done
        with self._telling:  # by itself: who listens may be slow, and lanes need the other lock
            self.progress(Progress("send", self._done, self.ready.row.planned))

    def _put_down(self, claim: Claim | None) -> None:
        """Give back a claim that is not to be handed over now."""
        if claim is not None:
            self._entries.give_back([claim])

    def _mind(self, handover: Handover) -> None:
        """Slow down, or stop, as the answer asks."""
        if handover.stop:
            self._end(handover.stop)
        elif handover.trouble:
            said = next((receipt.reason for receipt in handover.receipts if receipt.reason), "it did not answer as it should")
            self._breaker.failed(said)
            if self._breaker.given_up:
                self._end(gave_up(said))
        else:
            self._breaker.succeeded()
        if handover.retry_after_s is not None:
            if handover.retry_after_s > _LONGEST_WAIT_S:
                self._end(f"the provider asks to wait {handover.retry_after_s:.0f} seconds; run the same command again then")
            self._halt.wait(handover.retry_after_s)

    def _end(self, why: str) -> None:
        with self._lock:
            self._stop = self._stop or why
        self._halt.set()
        self._ties.ended(why)


def _matcher(patterns: Sequence[str]) -> Callable[[str], object]:
    """Whether a text in small letters is like any of these, as file names are."""
    return re.compile("|".join(translate(pattern.lower()) for pattern in patterns) or "(?!)").match


def gave_up(said: str) -> str:
    """What a run says that ends because the provider keeps failing."""
    return f"{said}, {FAILURES} times or more in a row; nothing is lost, run the same command again later"
