"""Issues: the calendar of past and coming ones; one issue with its sums, what is held, what came back, who decided what."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from digest import audit, dispatch, issue, life, operate, outlook, replay
from digest.admin import issue_figures, issue_list
from digest.model import DONE, UNPLANNED, IssueState
from digest.store import holding, replays
from digest.web.admin import guard
from digest.web.admin.guard import Filled, guarded
from digest.web.admin.look import page
from digest.web.admin.telling import DONE as DONE_WORD
from digest.web.admin.telling import back, told

router = APIRouter()

_COMING, _PAST = 12, 50
_HELD = 100
CHECKED = 500  # messages that are made again at most for one request; the command makes all
CHECKING = threading.Lock()  # one such request at a time
Name = Annotated[str, Path(max_length=80)]

_SAID = {
    "paused": "Paused: nothing more of it is handed over until it is resumed. What is in hand ends as it ends.",
    "resumed": "It may go on with the next run.",
    "cancelled": "Cancelled: nothing more of it leaves, ever.",
    "decided": "Decided and recorded.",
}

# What each sum is, in the order of a delivery's life.
STATES = (
    ("ready", "waiting to be handed over"),
    ("inflight", "being handed over"),
    ("accepted", "accepted by the provider"),
    ("uncertain", "outcome not learnt"),
    ("held", "held for a decision"),
    ("failed", "refused for good"),
    ("skipped", "not to be sent"),
    ("quarantined", "set aside for a fault"),
    ("expired", "too late"),
)


@guarded(router, "GET", "/admin/issues", "issues.see")
def overview(request: Request) -> Response:
    """Coming ones, then past ones, the newest first."""
    workspace = guard.acting(request)
    first = _number(request.query_params.get("from", ""))
    with told("The calendar cannot be read"):
        coming = sorted(outlook.upcoming(workspace), key=lambda one: (one.due_at, one.issue))
    found = issue_list.page(workspace, first, _PAST)
    assert found is not None, "no name was given"
    older = first + _PAST if found.more else None
    return page(request, "issues.html.j2", coming=coming[:_COMING], known=found.known, past=found.issues, older=older, first=first)


@guarded(router, "GET", "/admin/issues/about/{name}", "issues.see")
def about(request: Request, name: Name) -> Response:
    """One issue."""
    workspace = guard.acting(request)
    with told("No such issue", 404):
        stands = dispatch.status(workspace, name)
        moves = life.history(workspace, name)
        figures = issue_figures.of(workspace, name)
    held = operate.held(workspace, name)
    with workspace.store.read() as tx:
        row = issue.find(tx, name)
        decided = holding.decisions(tx, name)
    return page(
        request,
        "issue.html.j2",
        row=row,
        stands=stands,
        sums=[(word, about, getattr(stands, word)) for word, about in STATES],
        moves=moves,
        decided=decided,
        held=held[:_HELD],
        held_count=len(held),
        figures=figures,
        unplanned=row.state in UNPLANNED,
        done=row.state in DONE,
        may_approve=row.state in (IssueState.DRAFTED, IssueState.IN_REVIEW),
        desk=f"/desk/issues/{name}",
        checked=CHECKED,
        said=_SAID.get(request.query_params.get(DONE_WORD, ""), ""),
    )


@guarded(router, "POST", "/admin/issues/about/{name}/pause", "issues.stop")
def pause(request: Request, name: Name, form: Filled) -> Response:
    """Hand over nothing more until it is resumed."""
    with told():
        operate.pause(guard.acting(request), name, form.one("reason", 200).strip() or "paused by hand")
    return _back(name, "paused")


@guarded(router, "POST", "/admin/issues/about/{name}/resume", "issues.stop")
def resume(request: Request, name: Name) -> Response:
    """Let it go on."""
    with told():
        operate.resume(guard.acting(request), name)
    return _back(name, "resumed")


@guarded(router, "POST", "/admin/issues/about/{name}/cancel", "issues.stop")
def cancel(request: Request, name: Name, form: Filled) -> Response:
    """Nothing more of it, ever."""
    if form.one("sure") != "yes":
        raise guard.Refused("Nothing was changed", "Tick the box to say that nothing more of it shall leave.", 422)
    with told():
        operate.cancel(guard.acting(request), name)
    return _back(name, "cancelled")


@guarded(router, "POST", "/admin/issues/about/{name}/decide", "issues.decide")
def decide(request: Request, name: Name, form: Filled) -> Response:
    """Settle held hand-overs: those that are ticked, or all."""
    workspace, dids, to = guard.acting(request), form.many("did"), form.one("to")
    if to not in ("sent", "again") or not (dids or form.one("all") == "yes"):
        raise guard.Refused("Nothing was changed", "Tick hand-overs, or “all of them”, and say what is to become of them.", 422)
    with told(), workspace.store.alone():
        operate.decide(workspace, name, None if form.one("all") == "yes" else dids, sent=to == "sent")
    return _back(name, "decided")


@guarded(router, "POST", "/admin/issues/about/{name}/check", "issues.replay")
def check(request: Request, name: Name) -> Response:
    """Make messages again, so many at most, and compare each with what was written down of the one that left."""
    workspace = guard.acting(request)
    counted = {"same": 0, "changed": 0, "unknown": 0, "unmade": 0}
    if not CHECKING.acquire(blocking=False):
        raise guard.Refused("Not now", "Another issue is being checked. Try again in a minute.", 409)
    try:
        with told("It cannot be made again"):
            every = replay.every(workspace, name)
            for made in islice(every, CHECKED):
                counted["unmade" if isinstance(made, replay.Unmade) else made.likeness] += 1
            more = next(every, None) is not None
    finally:
        CHECKING.release()
    first = CHECKED if more else None
    return page(request, "issue_replayed.html.j2", name=name, counted=counted, first=first, messages=_messages(request, name))


@guarded(router, "POST", "/admin/issues/about/{name}/message", "readers.export")
def message(request: Request, name: Name, form: Filled) -> Response:
    """One message as it left, as a file. It holds a reader's address and links."""
    workspace = guard.acting(request)
    with told("It cannot be made again"):
        made = replay.one(workspace, name, did=form.one("did", 32))
        audit.note(workspace, "issue.replay", name, did=made.did, likeness=made.likeness)
    headers = {
        "Content-Disposition": f'attachment; filename="{made.did}.eml"',
        "Digest-Likeness": made.likeness,  # whether it is, byte for byte, what left
    }
    return Response(made.content, media_type="message/rfc822", headers=headers)


def _messages(request: Request, name: str) -> Sequence[replays.Given]:
    """The first message of each edition, for those who may see readers' messages."""
    workspace = guard.acting(request)
    with workspace.store.read() as tx:
        return replays.first_of_editions(tx, issue.find(tx, name).id, 20)


def _back(name: str, done: str) -> Response:
    return back(f"/admin/issues/about/{name}", done)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else 0
