"""Send an issue: plan it, settle what an earlier run left open, hand over what is ready, and say how it stands."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from digest import crew, feedback, handover, hosting, issue, plan, readers, readiness
from digest.errors import BusyError, IssueError, IssueWaits, ProviderUnusable
from digest.handover import Progress, cancelling_of
from digest.model import DeliveryState as S
from digest.model import Frozen, IssueState
from digest.providers import Provider, make
from digest.store import Store, holding, hosted, issues, ledger, now, outcomes, workers
from digest.store.issues import IssueRow
from digest.store.mark import doubtful_issues, epoch_of, highest_attempt, new_epoch, put_doubtful_issues
from digest.store.workers import Lease
from digest.workspace import Workspace


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
    paused: str = ""
    rate_per_minute: int = 0
    minutes_left: int | None = None
    next_try_at: datetime | None = None
    contradictions: int = 0
    leases: tuple[Lease, ...] = ()
    reasons: dict[str, int]

    @property
    def sum_is_right(self) -> bool:
        """Every planned delivery is in exactly one state."""
        parts = (self.ready, self.inflight, self.uncertain, self.held, self.accepted, self.failed, self.skipped)
        return self.planned == sum(parts) + self.quarantined + self.expired


class SendReport(Frozen):
    """What a run of ``send`` did: how many it handed over itself, how many of an earlier run it settled, how the issue
    stands, what a person can open, and what the rest waits for.
    """

    handed_over: int = 0
    resolved: int = 0
    finished_before: bool = False
    status: StatusReport
    open: str = ""
    waits: str = ""


def status(workspace: Workspace, name: str) -> StatusReport:
    """How an issue stands.

    Raises:
        IssueError: there is none of that name, or its sum is wrong (which would be a fault of this program).
    """
    with workspace.store.read() as tx:
        row = issue.find(tx, name)
        counts = outcomes.counts(tx, row.id)
        figures = outcomes.figures(tx, row.id)
        reasons = outcomes.reasons(tx, row.id)
        rate = outcomes.accepted_lately(tx, row.id)
        next_try_at = outcomes.next_at(tx, row.id)
        contradictions = outcomes.contradictions(tx, row.id)
        in_hand = tuple(workers.leases(tx, row.id))
    fields: dict[str, Any] = {state.value: count for state, count in counts.items() if state is not S.PLANNED}
    fields["ready"] += counts[S.PLANNED]  # chosen for, and waiting for planning to be complete
    report = StatusReport(
        issue=row.name,
        state=row.state.value,
        due_at=row.due_at,
        planned=sum(counts.values()) if row.planned is None else row.planned,
        **fields,
        **figures._asdict(),
        content_hash=row.content_hash,
        approved=row.approved_hash is not None and row.approved_hash == row.content_hash,
        paused=row.pause_reason if row.paused_at else "",
        rate_per_minute=rate,
        minutes_left=-(-counts[S.READY] // rate) if rate and counts[S.READY] else None,
        next_try_at=next_try_at,
        contradictions=contradictions,
        leases=in_hand,
        reasons={f"{state}: {reason}": count for (state, reason), count in sorted(reasons.items())},
    )
    if row.planned is not None and not report.sum_is_right:
        raise IssueError(f"{name}: {row.planned} were planned, but their states do not add up to that; do not send, report this fault")
    return report


def send(
    workspace: Workspace, name: str, progress: Callable[[Progress], None] = lambda _: None, halt: threading.Event | None = None
) -> SendReport:
    """Plan the issue if that is still to be done, and hand over whatever is ready. Safe to repeat after any crash.

    The caller holds the workspace (``Store.alone``). ``halt``, once set, ends it after what is in hand; the rest stays ready.

    Raises:
        IssueError: not due, not approved, paused, or no such issue.
        ProviderUnusable: the provider cannot go on; everything not handed over stays ready.
    """
    row = _look_at(workspace, name)
    if row.state in (IssueState.FINISHED, IssueState.CANCELLED):
        _clear(workspace)
        return SendReport(finished_before=True, status=status(workspace, name), open=_place(workspace, name) or _show_again(workspace, row))
    provider = make(workspace.config, workspace.path)
    try:
        ready, resolved = _prepare(workspace, provider, name, progress)
        drained = crew.drain(workspace, provider, ready, progress, halt)
        settle_open(workspace, provider, ready.row)
        _close(workspace, ready.row)
        hosting.clear(workspace, provider)
        place = None if drained.stop else provider.finish(name, f"{workspace.config.newsletter.name}, {ready.row.local_date.isoformat()}")
    finally:
        provider.close()
    if drained.stop:
        raise ProviderUnusable(drained.stop)
    shown = str(place.relative_to(workspace.path)) if place else ""
    stands = status(workspace, name)
    return SendReport(handed_over=drained.accepted, resolved=resolved, status=stands, open=shown, waits=drained.waits or waits(stands))


def share(
    workspace: Workspace,
    name: str,
    halt: threading.Event | None = None,
    planned: Callable[[], object] = lambda: None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> int:
    """One worker's part of an issue, beside others'. Returns how many it handed over.

    Whoever holds the workspace plans, with the help of the others, settles what is uncertain and closes; all hand over what they
    can claim, until nothing is left or ``halt`` is set. What is in hand then is settled or given back. ``planned`` is called when
    there is something for others, too.

    Raises:
        IssueError: no such issue, or not to be sent now.
        ProviderUnusable: the provider cannot go on; everything not handed over stays ready.
    """
    provider = make(workspace.config, workspace.path)
    try:
        with contextlib.suppress(BusyError), workspace.store.alone():
            if _look_at(workspace, name).state in (IssueState.FINISHED, IssueState.CANCELLED):
                hosting.clear(workspace, provider)
                return 0
            _prepare(workspace, provider, name, progress, planned)
            planned()
        with workspace.store.read() as tx:
            row = issue.find(tx, name)
        if row.state is IssueState.PLANNING and row.paused_at is None:
            plan.lend_a_hand(workspace, readiness.make_ready(workspace, name), halt)
            return 0
        if row.state is not IssueState.SENDING or row.paused_at is not None:
            return 0
        ready = readiness.make_ready(workspace, name)
        hosting.begin(workspace, provider, ready)
        drained = handover.Run(workspace, provider, ready, progress, halt=halt).drain()
        with contextlib.suppress(BusyError), workspace.store.alone():
            settle_open(workspace, provider, ready.row)
            _close(workspace, ready.row)
            hosting.clear(workspace, provider)
            if not drained.stop:
                provider.finish(name, f"{workspace.config.newsletter.name}, {ready.row.local_date.isoformat()}")
    finally:
        provider.close()
    if drained.stop:
        raise ProviderUnusable(drained.stop)
    return drained.accepted


def _look_at(workspace: Workspace, name: str) -> IssueRow:
    """The issue as it stands: over, or to go on. What a sender that died left in a cancelled one is settled.

    Raises:
        IssueWaits: it is paused, or has expired.
    """
    check_restored(workspace.store)
    with workspace.store.read() as tx:
        row = issue.find(tx, name)
    if row.state is IssueState.CANCELLED:
        _settle_cancelled(workspace, row)
    elif row.state is IssueState.EXPIRED:
        raise IssueWaits(f"{name} was not sent in time and has expired; what it held goes to the next {row.cadence} issue")
    elif row.state is not IssueState.FINISHED:
        _refuse_paused(row)
    return row


def _prepare(
    workspace: Workspace, provider: Provider, name: str, progress: Callable[[Progress], None], others: Callable[[], object] = lambda: None
) -> tuple[readiness.Ready, int]:
    """Plan if that is still to be done, and settle what an earlier run left open. Returns also how many were settled.

    The caller holds the workspace.
    """
    readers.end_pauses(workspace)  # who wanted nothing until today is planned for again
    ready = readiness.make_ready(workspace, name)
    plan.plan(workspace, ready, lambda done: progress(Progress("plan", done, None)), others)
    resolved = recover(workspace, provider, ready.row)
    hosting.clear(workspace, provider)
    hosting.begin(workspace, provider, ready)
    return ready, resolved


def _clear(workspace: Workspace) -> None:
    """Remove what the run that ended an issue could not."""
    with workspace.store.read() as tx:
        left = hosted.left_over(tx, workspace.config.delivery.provider)
    if left:
        provider = make(workspace.config, workspace.path)
        try:
            hosting.clear(workspace, provider)
        finally:
            provider.close()


def _refuse_paused(row: IssueRow) -> None:
    if row.paused_at is not None:
        raise IssueWaits(f"{row.name} is paused ({row.pause_reason}); `digest resume {row.name}` lets it go on")


def waits(stands: StatusReport) -> str:
    """What the rest of an issue waits for; empty where nothing does."""
    if not stands.ready and stands.inflight:
        return f"{stands.inflight} are in the hands of another worker, or of one that died; `digest status {stands.issue}` tells until when"
    if not stands.ready:
        return ""
    if stands.paused:
        return f"paused ({stands.paused}); {stands.ready} are still to come"
    when = f" after {stands.next_try_at:%Y-%m-%d %H:%M} UTC" if stands.next_try_at else ""
    return f"{stands.ready} wait for their hour or were put off by the provider; run `digest send {stands.issue}` again{when}"


def _place(workspace: Workspace, name: str) -> str:
    page = workspace.config.delivery.outbox.path / name / "index.html"
    return str(page) if (workspace.path / page).exists() else ""


def _show_again(workspace: Workspace, row: IssueRow) -> str:
    """The page of an issue whose writing had failed."""
    provider = make(workspace.config, workspace.path)
    try:
        place = provider.finish(row.name, f"{workspace.config.newsletter.name}, {row.local_date.isoformat()}")
    finally:
        provider.close()
    return str(place.relative_to(workspace.path)) if place else ""


def recover(workspace: Workspace, provider: Provider, row: IssueRow) -> int:
    """Settle what an earlier run left open by what the provider knows for certain. Returns how many are resolved."""
    crew.require_nobody(workspace)
    with workspace.store.write() as tx:
        # The workspace is held. With the embedded store whoever had a lease is gone; other machines' leases may be alive.
        ledger.reap(tx, row.id, everything=not workspace.store.shared)
    return settle_open(workspace, provider, row)


def settle_open(workspace: Workspace, provider: Provider, row: IssueRow) -> int:
    """Settle what is uncertain: by the provider's events, by what it knows for certain when asked, and the rest by the issue's
    policy. Returns how many the provider's answer resolved.

    The caller holds the workspace.
    """
    feedback.apply(workspace)  # what the provider has told meanwhile comes before any other evidence
    with workspace.store.write() as tx:  # alone: no claim is under way
        open_rows = ledger.uncertain(tx, row.id, provider.name)
        latest = highest_attempt(tx)
    resolved = 0
    if open_rows:
        known = provider.look_up(row.name, [did for _, did in open_rows])
        with workspace.store.write() as tx:
            sent = [id for id, did in open_rows if known.get(did) is True]
            unsent = [id for id, did in open_rows if known.get(did) is False]
            resolved = ledger.resolve(tx, sent, S.ACCEPTED, "", "look-up", latest)
            if _ended(tx, row):
                resolved += ledger.resolve(tx, unsent, S.SKIPPED, "cancelled", "look-up", latest)
            else:
                resolved += ledger.resolve(tx, unsent, S.READY, "", "look-up", latest)
    settle_uncertain(workspace, provider, row)
    return resolved


def _settle_cancelled(workspace: Workspace, row: IssueRow) -> None:
    """What a sender that died had in hand when the issue was cancelled is settled or listed, too."""
    with workspace.store.read() as tx:
        counts = outcomes.counts(tx, row.id)
    if counts[S.INFLIGHT] or counts[S.UNCERTAIN]:
        provider = make(workspace.config, workspace.path)
        try:
            recover(workspace, provider, row)
        finally:
            provider.close()


def settle_uncertain(workspace: Workspace, provider: Provider, row: IssueRow) -> int:
    """Apply the issue's policy to what nobody knows about: hold it for a person, or send again after silence.

    Returns how many are ready again.
    """
    feedback.apply(workspace)
    again = _void(workspace, provider, row) if row.uncertain == "cancel_resend" and row.state is not IssueState.CANCELLED else 0
    with workspace.store.write() as tx:
        if row.uncertain == "resend" and not _ended(tx, row):
            after = timedelta(hours=workspace.config.delivery.resend_after_h)
            silent = holding.silent(tx, row.id, after, events=provider.tells)
            for did in ledger.dids(tx, silent):
                holding.record(tx, "policy resend", "send again", did, "resend after silence")
            again = ledger.resolve(tx, silent, S.READY, "", "silence")
            if again:
                holding.reopen(tx, row.id)
        rest = [id for id, _ in ledger.uncertain(tx, row.id)]
        ledger.resolve(tx, rest, S.HELD, "its outcome was never learnt", "")
    return again


def _void(workspace: Workspace, provider: Provider, row: IssueRow) -> int:
    """Cancel uncertain attempts at the provider; what is voided for certain may be handed over again, as a new attempt."""
    cancelling = cancelling_of(provider)
    if cancelling is None:
        return 0
    with workspace.store.read() as tx:
        attempts = ledger.uncertain_attempts(tx, row.id)
    again = 0
    for (ref, started_at), rows in attempts.items():
        if cancelling.void_ref(ref, started_at):
            with workspace.store.write() as tx:
                unsettled = ledger.unsettled(tx, rows)  # somebody may have decided while the provider was asked
                if _ended(tx, row):
                    ledger.resolve(tx, unsettled, S.SKIPPED, "cancelled", "cancelled")
                    continue
                for did in ledger.dids(tx, unsettled):
                    holding.record(tx, "policy cancel_resend", "send again", did, "the earlier attempt is void")
                again += ledger.resolve(tx, unsettled, S.READY, "", "cancelled")
                holding.reopen(tx, row.id)
    return again


def _ended(tx: Connection, row: IssueRow) -> bool:
    """Whether the issue is cancelled by now; ``row`` is older than the provider's answer."""
    return issue.find(tx, row.name).state is IssueState.CANCELLED


def _close(workspace: Workspace, row: IssueRow) -> None:
    """Finished only when nothing is open any more and the sum is right."""
    status(workspace, row.name)  # raises where the sum is wrong
    with workspace.store.write() as tx:
        counts = outcomes.counts(tx, row.id)
        open_now = counts[S.PLANNED] + counts[S.READY] + counts[S.INFLIGHT] + counts[S.UNCERTAIN]
        if not open_now and issue.find(tx, row.name).state is IssueState.SENDING:
            held = f"with {counts[S.HELD]} held" if counts[S.HELD] else ""
            issues.move_issue(tx, row.id, IssueState.FINISHED, who=workspace.who, detail=held, finished_at=now(tx))


def check_restored(store: Store) -> None:
    """Stop everything that is open if this database is an older copy of itself: mail may have gone out that it does not know of.

    What might leave is held, delivery by delivery, until it is settled; an issue that the older copy had not planned is held
    when it is planned. Nothing is ever sent again by itself.
    """
    with store.read() as tx:
        mark, older, epoch = store.guard.read(), store.guard.is_older_copy(tx), epoch_of(tx)
    if epoch and mark is not None and mark.epoch == epoch and not older:
        return
    with store.write() as tx:
        older = store.guard.is_older_copy(tx)  # another machine may have dealt with it meanwhile
        if older:
            for id, _ in holding.open_issues(tx):
                holding.doubt(tx, id, "the database was restored from an older copy")
                holding.pause(tx, id, "the database was restored from an older copy")
            holding.record(tx, "restore guard", "pause", "all open issues")
        if older or (mark is not None and mark.epoch != epoch_of(tx)):
            known = {name for _, name in holding.open_issues(tx)}
            done = {row.name for row in issues.every(tx) if row.state in (IssueState.FINISHED, IssueState.CANCELLED)}
            unknown = frozenset(mark.issues if mark else ()) - known - done
            put_doubtful_issues(tx, doubtful_issues(tx) | unknown)
        epoch = new_epoch(tx) if older else epoch_of(tx) or new_epoch(tx)
        attempts = highest_attempt(tx)
    for name in mark.issues if mark else ():
        store.guard.write(epoch, attempts, name, now=True)
    store.guard.write(epoch, attempts, now=True)
