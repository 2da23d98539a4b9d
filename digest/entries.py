"""What a run writes in the ledger: claims, outcomes, what is given back. Each is tried again while the database is away.

It decides nothing: what is claimed when, and what became of it, the run says (`handover`).
"""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import Connection

from digest import brake, rates, refusals
from digest.errors import StoreError
from digest.model import DeliveryState as S
from digest.pace import retry_delay_s
from digest.providers import Handover, Provider, Receipt, cancelling_of
from digest.readiness import Ready
from digest.store import ledger
from digest.store.dialect import turn_at
from digest.store.ledger import Claim, Claimed, Settled
from digest.store.patience import patiently
from digest.workspace import Workspace

_LEASE_MARGIN_S = 300

_STATES: Mapping[str, S] = {"accepted": S.ACCEPTED, "rejected": S.FAILED, "deferred": S.READY, "uncertain": S.UNCERTAIN}

T = TypeVar("T")


def owner_of(pid: int) -> str:
    """How the leases of a process on this machine are signed."""
    return f"{socket.gethostname()}:{pid}"


class Entries:
    """The entries of one run, for all of its lanes. ``known`` tells the editions that a claim need not tell of."""

    def __init__(self, workspace: Workspace, provider: Provider, ready: Ready, known: Callable[[], tuple[int, ...]]) -> None:
        self._workspace, self._provider, self._ready, self._known = workspace, provider, ready, known
        self._owner = owner_of(os.getpid())
        self._cancelling = cancelling_of(provider)
        self._random = random.Random()
        self.waits = ""  # what the rest waits for

    @property
    def lease(self) -> timedelta:
        """How long a claim is ours."""
        return timedelta(seconds=self._provider.longest_s + _LEASE_MARGIN_S)

    # --- claims ---

    def claim(self) -> Claim | None:
        """The next deliveries; None where nothing may be claimed now."""
        batch_id = self._batch_id()
        return self._named(lambda aid: self.claim_as(aid, batch_id), [])

    def claim_as(self, aid: str, batch_id: str) -> Claim | None:
        """The same once, under that name."""
        known = self._known()
        with self._workspace.store.write(together=True) as tx:
            most = self._room(tx)
            return self.claim_in(tx, most, aid, known, batch_id) if most > 0 else None

    def claim_in(
        self, tx: Connection, most: int, aid: str, known: tuple[int, ...], batch_id: str = "", *, ahead: bool = False
    ) -> Claim | None:
        """The same in a transaction that is there already. ``known`` was asked for before it, for nobody waits for another lane in one."""
        return ledger.claim(
            tx,
            self._ready.row.id,
            most,
            owner=self._owner,
            lease=self.lease,
            provider=self._provider.name,
            one_edition=self._provider.one_edition,
            ref=batch_id,
            aid=aid,
            known=known,
            ahead=ahead,
        )

    def _named(self, write: Callable[[str], T], aids: list[str]) -> T:
        """``write`` with the name of a new attempt, another for each try (``aids``, the last one last): whether one came through is
        not known when its answer did not, and what it claimed is given back before the next.
        """

        def work() -> T:
            aids.append(secrets.token_hex(16))
            return write(aids[-1])

        return patiently(work, lambda: self.recall(aids[-1]))

    def recall(self, aid: str) -> None:
        """Give back a claim of which nobody knows whether it came through, and that was never acted on."""
        # Alone, so that it waits for a commit that is still on its way at the server, and then sees it.
        with self._workspace.store.write() as tx:
            ledger.recall(tx, aid)

    def _room(self, tx: Connection) -> int:
        """How many may be claimed: a batch, or what the day's warm-up cap leaves. The transaction is the claim's."""
        if not self._provider.sends:
            return self._provider.batch
        left, self.waits = rates.warm_up_room(tx, self._workspace, self.waits)
        return self._provider.batch if left is None else min(self._provider.batch, left)

    def _batch_id(self) -> str:
        """A name for a batch that may have to be voided, drawn before the intent is written; empty where there is no such thing."""
        return self._cancelling.create_batch() if self._cancelling is not None else ""

    def divide(self, claim: Claim, groups: Sequence[Sequence[Claimed]]) -> list[Claim]:
        """A claim that cannot go in one call, as one for each group."""
        refs = [self._batch_id() for _ in groups]

        def write() -> list[Claim]:
            with self._workspace.store.write(together=True) as tx:
                return ledger.divide(tx, self._ready.row.id, claim, groups, refs, lease=self.lease, provider=self._provider.name)

        return patiently(write)

    # --- outcomes ---

    def settle(self, claim: Claim, handover: Handover, *, more: bool) -> tuple[list[Settled], Claim | None]:
        """Write the outcome, and with it the next claim if ``more``: a lane commits once a batch, not twice."""
        return self._settle_and_claim(claim, handover) if more else patiently(lambda: self._write_answer(claim, handover))

    def _settle_and_claim(self, claim: Claim, handover: Handover) -> tuple[list[Settled], Claim | None]:
        aids: list[str] = []
        try:
            return self._named(lambda aid: self._write_answer(claim, handover, aid), aids)
        except StoreError:

            def alone() -> tuple[list[Settled], Claim | None]:
                self.recall(aids[-1])
                return self._write_answer(claim, handover)

            # It may be the claim that failed. If it does so again when the lane claims by itself, the outcome at least is kept.
            return patiently(alone)

    def _write_answer(self, claim: Claim, handover: Handover, aid: str = "") -> tuple[list[Settled], Claim | None]:
        """The outcome, and the next claim where it has a name."""
        by_did = {receipt.did: receipt for receipt in handover.receipts}
        known = self._known()
        with self._workspace.store.write(together=True) as tx:
            at = turn_at(tx)
            settled = [self._settled(one, by_did.get(one.did), handover, at) for one in claim.deliveries]
            outcome = "stopped" if handover.stop else "trouble" if handover.trouble else "answered"
            codes = {receipt.code for receipt in handover.receipts if receipt.code}
            code = handover.code or (codes.pop() if len(codes) == 1 else "")
            ref = handover.ref or " ".join(receipt.ref for receipt in handover.receipts if receipt.ref)[:500]
            ledger.settle(tx, claim, settled, outcome=outcome, code=code, ref=ref)
            if self._provider.sends and not (handover.stop or handover.trouble):  # a way that is shut says nothing of the addresses
                rules = self._workspace.config.delivery
                brake.check(tx, self._ready.row.id, rules.brake, refusals.keep(tx, settled, by_did, at, rules.soft_bounces))
            return settled, self.claim_in(tx, self._provider.batch, aid, known, ahead=True) if aid else None

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

    # --- what was not handed over ---

    def set_aside(self, claim: Claim, refused: Sequence[Settled]) -> Claim:
        """The claim without what is settled already. It is written before the call: had the process died in between, an event
        of the call would otherwise count for those who were never in it.
        """
        if not refused:
            return claim
        done = {one.delivery.id for one in refused}
        patiently(lambda: self._write([claim], refused, ""))
        return claim._replace(deliveries=tuple(one for one in claim.deliveries if one.id not in done))

    def give_back(self, claims: Sequence[Claim]) -> None:
        """Nothing of these was handed over."""
        back = [Settled(one, S.READY, called=False) for claim in claims for one in claim.deliveries]
        patiently(lambda: self._write(claims, back, "given back"))

    @contextlib.contextmanager
    def given_back_if_it_fails(self, claims: Sequence[Claim]) -> Iterator[None]:
        """For what is done while nothing of these is handed over, or all was refused."""
        try:
            yield
        except Exception:
            self.give_back(claims)
            raise

    def _write(self, claims: Sequence[Claim], settled: Sequence[Settled], outcome: str) -> None:
        """Outcomes of claims that were known without a call."""
        own = {one.delivery.id: one for one in settled}
        with self._workspace.store.write(together=True) as tx:
            for claim in claims:
                ledger.settle(tx, claim, [own[one.id] for one in claim.deliveries if one.id in own], outcome=outcome)
