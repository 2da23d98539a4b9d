"""Hand planned deliveries over, through the ledger: intent before the call, outcome after (RELIABILITY section 1.3)."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from digest import compose, issue, tokens
from digest.compose import Edition, Envelope, Reader
from digest.errors import DigestError, IssueError, ProviderUnusable
from digest.issue import Ready
from digest.model import DeliveryState as S
from digest.model import Frozen, IssueState, Selection
from digest.providers import Handover, Parcel, Provider, Receipt, make
from digest.store import ledger, now, people
from digest.store.ledger import Claim, Claimed, IssueRow, Settled
from digest.workspace import Workspace

DEFER = timedelta(minutes=30)  # RFC 5321, 4.5.4.1: wait at least 30 minutes before the next try
_LEASE_MARGIN_S = 300

_STATES: Mapping[str, S] = {"accepted": S.ACCEPTED, "rejected": S.FAILED, "deferred": S.READY, "uncertain": S.UNCERTAIN}


class Progress(NamedTuple):
    """How far a run has come: ``stage`` is ``plan`` or ``send``."""

    stage: str
    done: int
    total: int | None


class StatusReport(Frozen):
    """An issue in numbers; the documented JSON of ``digest status ISSUE``."""

    issue: str
    state: str
    due_at: datetime
    planned: int
    ready: int
    inflight: int
    uncertain: int
    held: int
    accepted: int
    failed: int
    skipped: int
    quarantined: int
    expired: int
    editions: int
    mean_bytes: int
    largest_html_bytes: int
    content_hash: str
    approved: bool
    reasons: dict[str, int]

    @property
    def sum_is_right(self) -> bool:
        """Every planned delivery is in exactly one state."""
        parts = (self.ready, self.inflight, self.uncertain, self.held, self.accepted, self.failed, self.skipped)
        return self.planned == sum(parts) + self.quarantined + self.expired


class SendReport(Frozen):
    """What a run of ``send`` did: how many it handed over itself, how the issue stands, and what a person can open."""

    handed_over: int = 0
    resolved: int = 0
    finished_before: bool = False
    status: StatusReport
    open: str = ""


def status(workspace: Workspace, name: str) -> StatusReport:
    """How an issue stands.

    Raises:
        IssueError: there is none of that name, or its sum is wrong (which would be a fault of this program).
    """
    with workspace.store.read() as tx:
        row = issue.find(tx, name)
        counts = ledger.counts(tx, row.id)
        figures = ledger.figures(tx, row.id)
        reasons = ledger.reasons(tx, row.id)
    fields: dict[str, Any] = {state.value: count for state, count in counts.items() if state is not S.PLANNED}
    report = StatusReport(
        issue=row.name,
        state=row.state.value,
        due_at=row.due_at,
        planned=sum(counts.values()) if row.planned is None else row.planned,
        **fields,
        **figures._asdict(),
        content_hash=row.content_hash,
        approved=row.approved_hash is not None and row.approved_hash == row.content_hash,
        reasons={f"{state}: {reason}": count for (state, reason), count in sorted(reasons.items())},
    )
    if row.planned is not None and not report.sum_is_right:
        raise IssueError(f"{name}: {row.planned} were planned, but their states do not add up to that; do not send, report this fault")
    return report


def send(workspace: Workspace, name: str, progress: Callable[[Progress], None] = lambda _: None) -> SendReport:
    """Plan the issue if that is still to be done, and hand over whatever is ready. Safe to repeat after any crash.

    The caller holds the workspace (``Store.alone``).

    Raises:
        IssueError: not due, not approved, or no such issue.
        ProviderUnusable: the provider cannot go on; everything not handed over stays ready.
    """
    with workspace.store.read() as tx:
        row = issue.find(tx, name)
    if row.state is IssueState.FINISHED:
        return SendReport(finished_before=True, status=status(workspace, name), open=_place(workspace, name))
    ready = issue.make_ready(workspace, name)
    provider = make(workspace.config, workspace.path)
    issue.plan(workspace, ready, lambda done: progress(Progress("plan", done, None)))
    resolved = recover(workspace, provider, ready.row)
    handed, stop = _Run(workspace, provider, ready, progress).drain()
    _close(workspace, ready.row)
    place = provider.finish(name, f"{workspace.config.newsletter.name}, {ready.row.local_date.isoformat()}") if not stop else None
    if stop:
        raise ProviderUnusable(stop)
    shown = str(place.relative_to(workspace.path)) if place else ""
    return SendReport(handed_over=handed, resolved=resolved, status=status(workspace, name), open=shown)


def _place(workspace: Workspace, name: str) -> str:
    page = workspace.config.delivery.outbox.path / name / "index.html"
    return str(page) if (workspace.path / page).exists() else ""


def recover(workspace: Workspace, provider: Provider, row: IssueRow) -> int:
    """Settle what an earlier run left open: by what the provider knows for certain, else by the issue's policy.

    Returns how many are resolved.
    """
    with workspace.store.write() as tx:
        # The workspace is held, and the embedded store has one sender at a time: whoever had a lease is gone.
        ledger.reap(tx, row.id, everything=True)
        open_rows = ledger.uncertain(tx, row.id)
    if not open_rows:
        return 0
    known = provider.look_up(row.name, [did for _, did in open_rows])
    with workspace.store.write() as tx:
        sent = [id for id, did in open_rows if known.get(did) is True]
        unsent = [id for id, did in open_rows if known.get(did) is False]
        rest = [id for id, did in open_rows if did not in known]
        resolved = ledger.resolve(tx, sent, S.ACCEPTED, "found at the provider") + ledger.resolve(tx, unsent, S.READY, "")
        if row.uncertain == "resend":
            ledger.resolve(tx, rest, S.READY, "sent again by policy")
        else:
            ledger.resolve(tx, rest, S.HELD, "its outcome was never learnt")
    return resolved


def _close(workspace: Workspace, row: IssueRow) -> None:
    """Finished only when nothing is open any more and the sum is right."""
    report = status(workspace, row.name)
    if report.ready == report.inflight == report.uncertain == 0:
        with workspace.store.write() as tx:
            ledger.move_issue(tx, row.id, IssueState.FINISHED, finished_at=now(tx))


class _Run:
    """One run over the ready deliveries of an issue."""

    def __init__(self, workspace: Workspace, provider: Provider, ready: Ready, progress: Callable[[Progress], None]) -> None:
        self.workspace, self.provider, self.ready, self.progress = workspace, provider, ready, progress
        self.owner = f"{socket.gethostname()}:{os.getpid()}"
        self._editions: dict[int, Edition] = {}
        self._look = compose.look_of(workspace.config)

    def drain(self) -> tuple[int, str]:
        """Claim and hand over until nothing is ready. Returns how many were accepted and, if the run had to stop, why."""
        accepted, done = 0, 0
        total = self.ready.row.planned
        while True:
            claim = self._claim()
            if claim is None:
                return accepted, ""
            handover = self._hand_over(claim)
            accepted += sum(receipt.outcome == "accepted" for receipt in handover.receipts)
            done += len(claim.deliveries)
            self._settle(claim, handover)
            self.progress(Progress("send", done, total))
            if handover.stop:
                return accepted, handover.stop

    def _claim(self) -> Claim | None:
        lease = timedelta(seconds=self.provider.longest_s + _LEASE_MARGIN_S)
        with self.workspace.store.write() as tx:
            return ledger.claim(tx, self.ready.row.id, self.provider.batch, owner=self.owner, lease=lease, provider=self.provider.name)

    def _hand_over(self, claim: Claim) -> Handover:
        """The call, outside any transaction. A delivery that cannot be composed is refused here, the others go on."""
        with self.workspace.store.read() as tx:
            readers = people.particulars(tx, self.workspace.store.vault, [one.subscriber for one in claim.deliveries])
            missing = [one.edition for one in claim.deliveries if one.edition not in self._editions]
            bodies = ledger.edition_selections(tx, missing)
        for id, body in bodies.items():
            self._editions[id] = compose.make_edition(self.ready.compiled, Selection.model_validate_json(body))
        parcels, refused = [], []
        for one in claim.deliveries:
            try:
                parcels.append(self._parcel(one, *readers[one.subscriber]))
            except DigestError as error:
                refused.append(Receipt(one.did, "rejected", str(error)))
        handover = self.provider.hand_over(self.ready.row.name, claim.aid, parcels)
        return Handover([*handover.receipts, *refused], handover.ref, handover.code, handover.stop)

    def _parcel(self, one: Claimed, sid: str, address: str, name: str) -> Parcel:
        settings, key = self.workspace.config, self.workspace.store.vault.link_key
        base = settings.newsletter.url
        leave = tokens.sign("unsubscribe", sid, key)
        mailbox = settings.sender.unsubscribe_mailbox
        reader = Reader(
            email=address,
            name=name,
            unsubscribe_url=f"{base}/{tokens.PATHS['unsubscribe']}/{leave}",
            unsubscribe_mailto=f"mailto:{mailbox}?subject={leave}" if mailbox else "",
            preferences_url=tokens.link(base, "preferences", sid, key),
            web_url=tokens.link(base, "web", one.did, key),
        )
        return Parcel(one.did, self._editions[one.edition], reader, self._envelope(one))

    def _envelope(self, one: Claimed) -> Envelope:
        look = self._look
        return Envelope(
            message_id=f"<{one.did}@{look.list_domain}>",
            date=one.date_header,
            sender=look.sender,
            reply_to=look.reply_to,
            list_id=f"{self.ready.row.cadence}.{look.list_domain}",
        )

    def _settle(self, claim: Claim, handover: Handover) -> None:
        by_did = {receipt.did: receipt for receipt in handover.receipts}
        with self.workspace.store.write() as tx:
            later = now(tx) + DEFER
            settled = [_settled(one, by_did.get(one.did), None if handover.stop else later) for one in claim.deliveries]
            outcome = "stopped" if handover.stop else "answered"
            ledger.settle(tx, claim, settled, outcome=outcome, code=handover.code, ref=handover.ref)


def _settled(one: Claimed, receipt: Receipt | None, later: datetime | None) -> Settled:
    if receipt is None:  # a provider that forgets a parcel has not said that it was not sent
        return Settled(one, S.UNCERTAIN, "the provider gave no answer for it")
    state = _STATES[receipt.outcome]
    next_at = later if state is S.READY else None
    return Settled(one, state, receipt.reason, next_at, receipt.bytes, receipt.sha256)
