"""`digest run --dry-run`: the main job on a copy of the database, up to the moment before anything would leave."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from fnmatch import fnmatchcase

from digest import approval, compose, dispatch, gather, issue, jobs, plan, readiness
from digest.addressing import envelope, slots
from digest.dispatch import StatusReport
from digest.errors import DeliveryRejected, IssueWaits
from digest.gather import GatherReport
from digest.handover import Progress
from digest.issue import DraftReport
from digest.model import Frozen, IssueState, Selection
from digest.readiness import Ready
from digest.store import outcomes, people
from digest.store import scratch as trial
from digest.store.ledger import Claimed
from digest.workspace import Workspace

_EDITIONS = 1000  # of more, as many are rendered as messages; the rest is counted like them


class Rehearsed(Frozen):
    """What a run would do now. ``waits`` says what the issue waits for first; what follows holds once that is settled.

    ``messages`` would be handed over to ``provider``, ``kept_back`` more go to addresses that ``delivery.allow`` does not name.
    """

    gathered: GatherReport
    draft: DraftReport
    waits: str = ""
    provider: str
    messages: int = 0
    kept_back: int = 0
    rendered: int = 0
    mean_bytes: int = 0
    largest_bytes: int = 0
    status: StatusReport | None = None


def rehearse(workspace: Workspace, cadence: str, progress: Callable[[Progress], None] = lambda _: None) -> Rehearsed:
    """Gather, draft, plan and compose for everybody. ``workspace`` is a `scratch` one, so nothing of it lasts.

    Raises:
        IssueError, RenderError: the run itself would fail with it.
    """
    slot = issue.slot_of(workspace, cadence)
    jobs.first_subscribers(workspace)
    progress(Progress("gather", 0, None))
    gathered = gather.gather(workspace)
    progress(Progress("draft", 0, None))
    drafted = jobs.draft_anew(workspace, cadence)
    done = Rehearsed(gathered=gathered, draft=drafted, provider=workspace.config.delivery.provider)
    with workspace.store.read() as tx:
        row = issue.find(tx, slot.name)
    if row.state in (IssueState.FINISHED, IssueState.CANCELLED):
        return done.model_copy(update={"status": dispatch.status(workspace, slot.name)})
    waits = f"{row.name} is paused ({row.pause_reason})" if row.paused_at else ""
    try:
        ready, first = _ready(workspace, slot.name)
    except IssueWaits as error:
        return done.model_copy(update={"waits": str(error)})
    plan.plan(workspace, ready, lambda count: progress(Progress("plan", count, None)))
    figures = _compose(workspace, ready)
    return done.model_copy(update={"waits": waits or first, **figures, "status": dispatch.status(workspace, slot.name)})


def _ready(workspace: Workspace, name: str) -> tuple[Ready, str]:
    """The issue made ready, on the copy approved where it waits for that; and what it waits for."""
    try:
        return readiness.make_ready(workspace, name), ""
    except IssueWaits as error:
        with workspace.store.read() as tx:
            row = issue.find(tx, name)
        if not workspace.is_due(row.slot) or approval.rule_of(workspace, row.cadence) == "automatic":
            raise
        for n in range(approval.needed(workspace, row.cadence)):
            readiness.approve(workspace, name, by=f"dry run {n + 1}")
        return readiness.make_ready(workspace, name), str(error)


def _compose(workspace: Workspace, ready: Ready) -> dict[str, int]:
    """Render a message of every edition, and count who would get one."""
    allow = [pattern.lower() for pattern in workspace.config.delivery.allow]
    real = workspace.config.delivery.provider != "outbox"
    with workspace.store.read() as tx:
        by_edition = trial.waiting_by_edition(tx, ready.row.id)
        chosen = dict(list(by_edition.items())[:_EDITIONS])
        selections = {id: body for some in _chunks(list(chosen)) for id, body in outcomes.edition_selections(tx, some).items()}
    look, kept_back, last = compose.look_of(workspace.config), 0, 0
    sizes: dict[int, int] = {}
    while True:
        with workspace.store.read() as tx:
            page = trial.waiting(tx, ready.row.id, last)
            readers = people.particulars(tx, workspace.store.vault, [one.subscriber for one in page])
        if not page:
            break
        for one in page:
            sid, address, name = readers[one.subscriber]
            kept_back += real and not any(fnmatchcase(address.lower(), pattern) for pattern in allow)
            if one.edition in selections and one.edition not in sizes:
                edition = compose.make_edition(ready.compiled, Selection.model_validate_json(selections[one.edition]))
                claimed = Claimed(one.id, one.did, one.subscriber, one.edition, one.date_header, 1, 0)
                reader = slots(workspace, one.did, sid, address, name, one.date_header)
                with suppress(DeliveryRejected):  # what is wrong with one address; another reader of the edition shows it
                    sizes[one.edition] = len(compose.make_message(edition, reader, envelope(look, ready.row.cadence, claimed)))
        last = page[-1].id
    readers_of = sum(by_edition[id] for id in sizes)
    return {
        "messages": sum(by_edition.values()) - kept_back,
        "kept_back": kept_back,
        "rendered": len(sizes),
        "mean_bytes": round(sum(size * by_edition[id] for id, size in sizes.items()) / readers_of) if readers_of else 0,
        "largest_bytes": max(sizes.values(), default=0),
    }


def _chunks(values: list[int], size: int = 500) -> list[list[int]]:
    return [values[start : start + size] for start in range(0, len(values), size)]
