"""Send an issue: plan it, settle what an earlier run left open, hand over what is ready, and say how it stands."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

from digest import crew, handover, hosting, issue, plan, readers, readiness, recovery
from digest.errors import BusyError, IssueError, IssueWaits, ProviderUnusable
from digest.handover import Progress
from digest.model import DeliveryState as S
from digest.model import Frozen, IssueState
from digest.providers import Provider, make
from digest.store import hosted, issues, now, outcomes, workers
from digest.store.issues import IssueRow
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
        IssueError: not due, not approved, paused, or no such issue; or ``halt`` was set while it was being planned.
        ProviderUnusable: the provider cannot go on; everything not handed over stays ready.
    """
    row = _look_at(workspace, name)
    if row.state in (IssueState.FINISHED, IssueState.CANCELLED):
        _clear(workspace)
        return SendReport(finished_before=True, status=status(workspace, name), open=_place(workspace, name) or _show_again(workspace, row))
    provider = make(workspace.config, workspace.path)
    try:
        ready, resolved = _prepare(workspace, provider, name, progress, halt=halt)
        drained = crew.drain(workspace, provider, ready, progress, halt)
        recovery.settle_open(workspace, provider, ready.row)
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
        IssueError: no such issue, or not to be sent now; or ``halt`` was set while it was being planned.
        ProviderUnusable: the provider cannot go on; everything not handed over stays ready.
    """
    provider = make(workspace.config, workspace.path)
    try:
        with contextlib.suppress(BusyError), workspace.store.alone():
            if _look_at(workspace, name).state in (IssueState.FINISHED, IssueState.CANCELLED):
                hosting.clear(workspace, provider)
                return 0
            _prepare(workspace, provider, name, progress, planned, halt)
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
            recovery.settle_open(workspace, provider, ready.row)
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
    recovery.check_restored(workspace.store)
    with workspace.store.read() as tx:
        row = issue.find(tx, name)
    if row.state is IssueState.CANCELLED:
        _settle_cancelled(workspace, row)
    elif row.state is IssueState.EXPIRED:
        raise IssueWaits(f"{name} was not sent in time and has expired; what it held goes to the next {row.cadence} issue")
    elif row.state is not IssueState.FINISHED:
        _refuse_paused(row)
    return row


def _settle_cancelled(workspace: Workspace, row: IssueRow) -> None:
    """What a sender that died had in hand when the issue was cancelled is settled or listed, too."""
    with workspace.store.read() as tx:
        counts = outcomes.counts(tx, row.id)
    if counts[S.INFLIGHT] or counts[S.UNCERTAIN]:
        provider = make(workspace.config, workspace.path)
        try:
            recovery.recover(workspace, provider, row)
        finally:
            provider.close()


def _prepare(
    workspace: Workspace,
    provider: Provider,
    name: str,
    progress: Callable[[Progress], None],
    others: Callable[[], object] = lambda: None,
    halt: threading.Event | None = None,
) -> tuple[readiness.Ready, int]:
    """Plan if that is still to be done, and settle what an earlier run left open. Returns also how many were settled.

    The caller holds the workspace.
    """
    readers.end_pauses(workspace)  # who wanted nothing until today is planned for again
    ready = readiness.make_ready(workspace, name)
    plan.plan(workspace, ready, lambda done: progress(Progress("plan", done, None)), others, halt)
    resolved = recovery.recover(workspace, provider, ready.row)
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


def _close(workspace: Workspace, row: IssueRow) -> None:
    """Finished only when nothing is open any more and the sum is right."""
    status(workspace, row.name)  # raises where the sum is wrong
    with workspace.store.write() as tx:
        counts = outcomes.counts(tx, row.id)
        open_now = counts[S.PLANNED] + counts[S.READY] + counts[S.INFLIGHT] + counts[S.UNCERTAIN]
        if not open_now and issue.find(tx, row.name).state is IssueState.SENDING:
            held = f"with {counts[S.HELD]} held" if counts[S.HELD] else ""
            issues.move_issue(tx, row.id, IssueState.FINISHED, who=workspace.who, detail=held, finished_at=now(tx))
