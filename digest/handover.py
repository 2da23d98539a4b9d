"""One run over an issue's ready deliveries: intent before the call, outcome after (RELIABILITY section 1.3).

Each lane is a thread: claim, compose, hand over, settle. What a lane knows of the others is the throttle, the breaker and
whether to stop; the ledger alone says who has what.
"""

from __future__ import annotations

import hashlib
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from fnmatch import fnmatchcase
from typing import NamedTuple

from digest import compose, tokens
from digest.calendar import instant
from digest.compose import Edition, Envelope
from digest.compose import Reader as Slots
from digest.issue import Ready
from digest.model import DeliveryState as S
from digest.model import Selection
from digest.pace import FAILURES, Breaker, DomainThrottle, Throttle, retry_delay_s
from digest.providers import Cancelling, Handover, Parcel, Provider, Receipt
from digest.store import ledger, now, outcomes, people
from digest.store.ledger import Claim, Claimed, Settled
from digest.store.mark import epoch_of
from digest.workspace import Workspace

_LEASE_MARGIN_S = 300
_LONGEST_WAIT_S = 900  # a provider that asks for more ends the run instead

_STATES: Mapping[str, S] = {"accepted": S.ACCEPTED, "rejected": S.FAILED, "deferred": S.READY, "uncertain": S.UNCERTAIN}


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


class Run:
    """Hands over until nothing can be claimed, or something says to stop."""

    def __init__(
        self,
        workspace: Workspace,
        provider: Provider,
        ready: Ready,
        progress: Callable[[Progress], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.workspace, self.provider, self.ready, self.progress = workspace, provider, ready, progress
        self.owner = f"{socket.gethostname()}:{os.getpid()}"
        settings = workspace.config.delivery
        self._look = compose.look_of(workspace.config)
        self._editions: dict[int, Edition] = {}
        self._throttle = Throttle(settings.max_per_minute, clock)
        self._domains = DomainThrottle(settings.max_per_minute_and_domain, clock)
        self._random = random.Random()
        self._breaker = Breaker(clock, self._random)
        self._halt = threading.Event()
        self._lock = threading.Lock()
        self._stop, self._waits = "", ""
        self._accepted, self._done = 0, 0
        with workspace.store.read() as tx:
            self._epoch = epoch_of(tx)

    def drain(self) -> Drained:
        """Run all lanes to their end."""
        with ThreadPoolExecutor(max_workers=self.provider.lanes, thread_name_prefix="lane") as pool:
            lanes = [pool.submit(self._lane) for _ in range(self.provider.lanes)]
            try:
                for lane in lanes:
                    lane.result()
            except BaseException:  # Ctrl-C, too
                self._halt.set()
                raise
        return Drained(self._accepted, self._stop, self._waits)

    def _lane(self) -> None:
        try:
            while not self._halt.is_set():
                if wait := self._breaker.wait_s():
                    self._halt.wait(wait)
                    continue
                claim = self._claim()
                if claim is None:
                    return
                self._deliver(claim)
        except BaseException:
            self._halt.set()  # the other lanes settle what they have in hand, and end
            raise

    # --- claiming ---

    def _claim(self) -> Claim | None:
        most = self._room()
        if most <= 0:
            return None
        batch_id = self._batch_id()
        with self.workspace.store.write() as tx:
            claim = ledger.claim(
                tx,
                self.ready.row.id,
                most,
                owner=self.owner,
                lease=self._lease,
                provider=self.provider.name,
                one_edition=self.provider.one_edition,
                ref=batch_id,
            )
        if claim is not None:
            self.workspace.store.guard.write(self._epoch, claim.attempt, self.ready.row.name)
        return claim

    @property
    def _lease(self) -> timedelta:
        return timedelta(seconds=self.provider.longest_s + _LEASE_MARGIN_S)

    def _room(self) -> int:
        """How many may be claimed: a batch, or what the day's warm-up cap leaves."""
        plan = self.workspace.config.delivery.warm_up
        if plan is None or not self.provider.sends:
            return self.provider.batch
        today = self.workspace.today
        day = (today - plan.started).days
        if day >= len(plan.daily):
            return self.provider.batch
        with self.workspace.store.read() as tx:
            gone = outcomes.accepted_since(tx, instant(today, "00:00", self.workspace.zone))
        room = (plan.daily[day] if day >= 0 else 0) - gone
        if room <= 0:
            self._waits = (
                f"today's cap of the warm-up plan ({plan.daily[day] if day >= 0 else 0}) is reached; run the same command tomorrow"
            )
        return min(self.provider.batch, room)

    # --- handing over ---

    def _deliver(self, claim: Claim) -> None:
        """Hand a claim over; one that is refused whole is halved until the culprit stands alone."""
        pending = [claim]
        while pending:
            part = pending.pop()
            try:
                parcels, refused = self._parcels(part)
            except Exception:
                self._give_back([part, *pending])  # nothing has been handed over
                raise
            part = self._set_aside(part, refused)
            handover = self._call(part, parcels)
            if handover is None:
                self._give_back([part, *pending])
                return
            if handover.split and len(parcels) > 1:
                refs = (self._batch_id(), self._batch_id())
                with self.workspace.store.write() as tx:
                    pending += ledger.divide(tx, self.ready.row.id, part, lease=self._lease, provider=self.provider.name, refs=refs)
                continue
            self._settle(part, handover)
            self._mind(handover)
            if self._halt.is_set() and pending:
                self._give_back(pending)
                return

    def _parcels(self, claim: Claim) -> tuple[list[Parcel], list[Settled]]:
        """What can be handed over, and what is settled without a call because it must not, cannot, or not yet."""
        with self.workspace.store.read() as tx:
            readers = people.particulars(tx, self.workspace.store.vault, [one.subscriber for one in claim.deliveries])
            missing = [one.edition for one in claim.deliveries if one.edition not in self._editions]
            bodies = outcomes.edition_selections(tx, missing)
            at = now(tx)
        for id, body in bodies.items():
            self._editions[id] = compose.make_edition(self.ready.compiled, Selection.model_validate_json(body))
        parcels: list[Parcel] = []
        refused: list[Settled] = []
        for one in claim.deliveries:
            sid, address, name = readers[one.subscriber]
            if held_back := self._held_back(one, address, at):
                refused.append(held_back)
            else:
                reader = slots(self.workspace, one.did, sid, address, name, one.date_header)
                parcels.append(Parcel(one.did, self._editions[one.edition], reader, envelope(self._look, self.ready.row.cadence, one)))
        return parcels, refused

    def _set_aside(self, claim: Claim, refused: list[Settled]) -> Claim:
        """The claim without what is settled already. It is written before the call: had the process died in between, an event
        of the call would otherwise count for those who were never in it.
        """
        if not refused:
            return claim
        done = {one.delivery.id for one in refused}
        with self.workspace.store.write() as tx:
            ledger.settle(tx, claim, refused, outcome="")
        self._count(len(refused))
        return claim._replace(deliveries=tuple(one for one in claim.deliveries if one.id not in done))

    def _held_back(self, one: Claimed, address: str, at: datetime) -> Settled | None:
        """A message to real people that must not leave: the address is not allowed, or its domain has had its share."""
        if not self.provider.sends:
            return None
        if not any(fnmatchcase(address.lower(), pattern.lower()) for pattern in self.workspace.config.delivery.allow):
            return Settled(one, S.SKIPPED, "not in delivery.allow", called=False)
        wait_s = self._domains.put_off_s(address.rpartition("@")[2].lower())
        return Settled(one, S.READY, "its domain has had its share", at + timedelta(seconds=wait_s), called=False) if wait_s else None

    def _call(self, claim: Claim, parcels: list[Parcel]) -> Handover | None:
        """The call, outside any transaction; None where it was not made and everything may be given back."""
        if not parcels:
            return Handover(())
        if self._halt.wait(self._throttle.wait_s(len(parcels))):
            return None
        with self.workspace.store.read() as tx:
            # By the database's clock: after a suspended machine or a long wait the lease may be somebody else's.
            if now(tx) + timedelta(seconds=self.provider.longest_s) > claim.lease_until:
                return None
        handover = self._hand_over(claim, parcels)
        if handover.split and len(parcels) == 1:  # refused alone, so it is the culprit
            reason = next((receipt.reason for receipt in handover.receipts), "") or "the provider refused it"
            return replace(handover, receipts=(Receipt(parcels[0].did, "rejected", reason),), split=False)
        return handover

    def _hand_over(self, claim: Claim, parcels: list[Parcel]) -> Handover:
        cancelling = cancelling_of(self.provider)
        if cancelling is not None:
            return cancelling.hand_over(self.ready.row.name, claim.aid, parcels, claim.ref)
        return self.provider.hand_over(self.ready.row.name, claim.aid, parcels)

    def _batch_id(self) -> str:
        """A name for a batch that may have to be voided, drawn before the intent is written; empty where there is no such thing."""
        cancelling = cancelling_of(self.provider)
        return cancelling.create_batch() if cancelling is not None else ""

    # --- settling ---

    def _settle(self, claim: Claim, handover: Handover) -> None:
        by_did = {receipt.did: receipt for receipt in handover.receipts}
        with self.workspace.store.write() as tx:
            at = now(tx)
            settled = [self._settled(one, by_did.get(one.did), handover, at) for one in claim.deliveries]
            outcome = "stopped" if handover.stop else "trouble" if handover.trouble else "answered"
            codes = {receipt.code for receipt in handover.receipts if receipt.code}
            code = handover.code or (codes.pop() if len(codes) == 1 else "")
            ref = handover.ref or " ".join(receipt.ref for receipt in handover.receipts if receipt.ref)[:500]
            ledger.settle(tx, claim, settled, outcome=outcome, code=code, ref=ref)
        self._count(len(claim.deliveries), sum(one.state is S.ACCEPTED for one in settled))

    def _count(self, done: int, accepted: int = 0) -> None:
        with self._lock:
            self._accepted += accepted
            self._done += done
            self.progress(Progress("send", self._done, self.ready.row.planned))

    def _settled(self, one: Claimed, receipt: Receipt | None, handover: Handover, at: datetime) -> Settled:
        if receipt is None:  # a provider that forgets a parcel has not said that it was not sent
            return Settled(one, S.UNCERTAIN, "the provider gave no answer for it")
        state = _STATES[receipt.outcome]
        next_at = None
        if state is S.READY and not (handover.stop or handover.trouble or handover.retry_after_s is not None):
            # The message's own deferral; where the provider as a whole is at fault, the breaker does the waiting.
            next_at = at + timedelta(seconds=retry_delay_s(one.attempts, self._random))
        reason = f"{receipt.reason} ({receipt.code})" if receipt.reason and receipt.code else receipt.reason
        return Settled(one, state, reason, next_at, receipt.bytes, receipt.sha256)

    def _give_back(self, claims: Sequence[Claim]) -> None:
        with self.workspace.store.write() as tx:
            for claim in claims:
                ledger.settle(tx, claim, [Settled(one, S.READY, called=False) for one in claim.deliveries], outcome="given back")

    def _mind(self, handover: Handover) -> None:
        """Slow down, or stop, as the answer asks."""
        if handover.stop:
            self._end(handover.stop)
        elif handover.trouble:
            self._breaker.failed()
            if self._breaker.given_up:
                said = next((receipt.reason for receipt in handover.receipts if receipt.reason), "it did not answer as it should")
                self._end(f"{said}, {FAILURES} times or more in a row; nothing is lost, run the same command again later")
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


def cancelling_of(provider: Provider) -> Cancelling | None:
    """The provider as one that can void what it was handed, where that is how it was set up."""
    return provider if isinstance(provider, Cancelling) and provider.cancels else None


def envelope(look: compose.Look, cadence: str, one: Claimed) -> Envelope:
    """What was fixed when the delivery was planned, so that a message made again is the same one."""
    return Envelope(
        message_id=f"<{one.did}@{look.list_domain}>",
        date=one.date_header,
        sender=look.sender,
        reply_to=look.reply_to,
        list_id=f"{cadence}.{look.list_domain}",
        # What Gmail's sender reports count by: never a reader, an issue or a subject.
        feedback_id=f"{cadence}:digest:bulk:{hashlib.sha256(look.list_domain.encode()).hexdigest()[:10]}",
    )


def slots(workspace: Workspace, did: str, sid: str, address: str, name: str, date_header: str) -> Slots:
    """One reader's own values: address, name and signed links, which carry the message's date and not the hour of composing."""
    base, key = workspace.config.newsletter.url, workspace.store.vault.link_keys
    leave = tokens.sign("unsubscribe", sid, key)
    mailbox = workspace.config.sender.unsubscribe_mailbox
    return Slots(
        email=address,
        name=name,
        unsubscribe_url=f"{base}/{tokens.PATHS['unsubscribe']}/{leave}",
        unsubscribe_mailto=f"mailto:{mailbox}?subject={leave}" if mailbox else "",
        preferences_url=tokens.link(base, "preferences", sid, key, parsedate_to_datetime(date_header)),
        web_url=tokens.link(base, "web", did, key),
    )
