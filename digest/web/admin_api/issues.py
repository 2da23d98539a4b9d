"""Issues: past and coming ones, one with its figures and what is held, its content to approve, and stopping it."""

from __future__ import annotations

import threading
from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import Field, model_validator

from digest import approval, dispatch, issue, life, operate, outlook, readiness, review
from digest.admin import issue_figures, issue_list
from digest.admin.issue_figures import Figures
from digest.desk import compare
from digest.desk.compare import Approval, Difference
from digest.dispatch import StatusReport
from digest.life import Moved
from digest.model import Frozen, Instant
from digest.operate import Held
from digest.outlook import Upcoming
from digest.store import holding, issues
from digest.web.admin_api import guard
from digest.web.admin_api.guard import scoped
from digest.web.admin_api.problems import Refused, not_found
from digest.workspace import Workspace

router = APIRouter(tags=["issues"])

_COMPOSING = threading.Lock()  # one at a time: each takes a process and some megabytes
_WAIT_S = 10.0

Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,79}$", description="cadence and date: monthly-2026-05-01")]
After = Annotated[str | None, Query(max_length=80, description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=200)]
Did = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
Words = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*$")]
Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Line(Frozen):
    """An issue in a list; ``held`` counts hand-overs whose outcome was never learnt."""

    name: str
    state: str
    paused: bool
    date: date
    planned: int
    accepted: int
    held: int


class Lines(Frozen):
    """Issues, the newest first; ``next`` goes into ``after``."""

    issues: tuple[Line, ...]
    next: str | None


class Calendar(Frozen):
    """The issues to come, of every cadence."""

    issues: tuple[Upcoming, ...]


class Decided(Frozen):
    """Who decided what about it, and when."""

    at: Instant
    who: str
    what: str
    detail: str


class About(Frozen):
    """One issue: how it stands, how it got there, what became of it in groups, who decided what."""

    status: StatusReport
    moves: tuple[Moved, ...]
    figures: Figures
    decisions: tuple[Decided, ...]


class HeldPage(Frozen):
    """Hand-overs whose outcome was never learnt. ``reader`` is masked, and empty for a key without ``readers:read``."""

    held: tuple[Held, ...]
    next: str | None
    count: int


class Content(Frozen):
    """The content as it would leave now, by its hash, which an approval is bound to; who approved exactly it, of how many needed.

    ``differences`` are from what was approved last; null where nothing ever was.
    """

    content_hash: str
    needed: int
    given: tuple[Approval, ...]
    differences: tuple[Difference, ...] | None


class Approve(Frozen):
    """The hash of the content that was looked at."""

    content_hash: Hash


class Approved(Frozen):
    """What is approved."""

    content_hash: str


class Why(Frozen):
    """A word that says why; it is recorded."""

    reason: Words = "paused by hand"


class Cancel(Frozen):
    """That nothing more of it leaves cannot be taken back."""

    sure: Literal[True]


class Cancelled(Frozen):
    """How many were still to come."""

    left: int


class Decide(Frozen):
    """What is to become of held hand-overs: of those named, or with ``every`` of all."""

    to: Literal["sent", "again"]
    dids: Annotated[tuple[Did, ...], Field(max_length=1000)] = ()
    every: bool = False

    @model_validator(mode="after")
    def _says_which(self) -> Decide:
        if bool(self.dids) == self.every:
            raise ValueError("name hand-overs in dids, or say every")
        return self


class Settled(Frozen):
    """How many were settled."""

    settled: int


@scoped(router, "GET", "/issues", "issues:read", may=("not-found", "invalid"))
def overview(request: Request, after: After = None, limit: Limit = 50) -> Lines:
    """The issues that were made."""
    found = issue_list.page(guard.acting(request), 0, limit, after or "")
    if found is None:
        raise not_found()
    lines = tuple(_line(one) for one in found.issues)
    return Lines(issues=lines, next=lines[-1].name if found.more and lines else None)


@scoped(router, "GET", "/calendar", "issues:read", may=("invalid",))
def calendar(
    request: Request, until: Annotated[date | None, Query(description="up to this date; else the next twelve of each cadence")] = None
) -> Calendar:
    """The issues to come: hours, deadlines, what each would have today."""
    workspace = guard.acting(request)
    if until is not None and (until - workspace.on).days > 800:
        raise Refused("refused", "a calendar of more than two years is more than anybody plans")
    return Calendar(issues=outlook.upcoming(workspace, until))


@scoped(router, "GET", "/issues/{name}", "issues:read", may=("conflict",))
def about(request: Request, name: Name) -> About:
    """One issue."""
    workspace = guard.acting(request)
    _there(workspace, name)
    with workspace.store.read() as tx:
        decided = holding.decisions(tx, name)
    return About(
        status=dispatch.status(workspace, name),
        moves=life.history(workspace, name),
        figures=issue_figures.of(workspace, name),
        decisions=tuple(Decided(at=at, who=who, what=what, detail=detail) for at, who, what, detail in decided),
    )


@scoped(router, "GET", "/issues/{name}/held", "issues:read")
def held(request: Request, name: Name, after: After = None, limit: Limit = 100) -> HeldPage:
    """What waits for a decision."""
    workspace = guard.acting(request)
    _there(workspace, name)
    found = sorted(operate.held(workspace, name), key=lambda one: one.did)
    if "readers:read" not in guard.key_of(request).scopes:
        found = [one.model_copy(update={"reader": ""}) for one in found]
    rest = [one for one in found if after is None or one.did > after]
    return HeldPage(held=tuple(rest[:limit]), next=rest[limit - 1].did if len(rest) > limit else None, count=len(found))


@scoped(router, "GET", "/issues/{name}/content", "issues:read", may=("conflict", "busy", "refused"))
def content(request: Request, name: Name) -> Content:
    """The content that an approval would be bound to. It is composed for this, which takes a second or more."""
    workspace = guard.acting(request)
    _there(workspace, name)
    if not _COMPOSING.acquire(timeout=_WAIT_S):
        raise Refused("busy", "other issues are being composed; try again in a moment")
    try:
        ready = review.ready(workspace, name)
        stands = compare.approvals(workspace, ready)
        return Content(
            content_hash=ready.material.content_hash(ready.compiled),
            needed=stands.needed,
            given=stands.given,
            differences=compare.since_approval(workspace, ready),
        )
    finally:
        _COMPOSING.release()


@scoped(router, "POST", "/issues/{name}/approve", "issues:approve", once=True, may=("stale",))
def approve(request: Request, name: Name, asked: Approve) -> Approved:
    """Approve exactly the content of that hash. Where a cadence wants several people, a key is none of them."""
    workspace = guard.acting(request)
    with workspace.store.alone():
        row = _there(workspace, name)
        if approval.needed(workspace, row.cadence) > 1:
            raise Refused("conflict", f"{row.cadence} wants several people to approve, and a key is no person; they do it on the desk")
        if not issue.is_frozen(row):
            ready = review.ready(workspace, name)
            if ready.material.content_hash(ready.compiled) != asked.content_hash:
                raise Refused("stale", f"{name} has another content now; look at it, then approve that")
        return Approved(content_hash=readiness.approve(workspace, name, expected=asked.content_hash))


@scoped(router, "POST", "/issues/{name}/pause", "issues:act")
def pause(request: Request, name: Name, why: Why) -> StatusReport:
    """Hand over nothing more of it until it is resumed."""
    workspace = guard.acting(request)
    _there(workspace, name)
    operate.pause(workspace, name, why.reason)
    return dispatch.status(workspace, name)


@scoped(router, "POST", "/issues/{name}/resume", "issues:act")
def resume(request: Request, name: Name) -> StatusReport:
    """Let it go on."""
    workspace = guard.acting(request)
    _there(workspace, name)
    operate.resume(workspace, name)
    return dispatch.status(workspace, name)


@scoped(router, "POST", "/issues/{name}/cancel", "issues:act", once=True)
def cancel(request: Request, name: Name, sure: Cancel) -> Cancelled:
    """Nothing more of it, ever."""
    workspace = guard.acting(request)
    _there(workspace, name)
    return Cancelled(left=operate.cancel(workspace, name))


@scoped(router, "POST", "/issues/{name}/decide", "issues:act", once=True)
def decide(request: Request, name: Name, decision: Decide) -> Settled:
    """Settle held hand-overs as sent, or to be sent again."""
    workspace = guard.acting(request)
    _there(workspace, name)
    with workspace.store.alone():
        dids = None if decision.every else decision.dids
        return Settled(settled=operate.decide(workspace, name, dids, sent=decision.to == "sent"))


def _there(workspace: Workspace, name: str) -> issues.IssueRow:
    with workspace.store.read() as tx:
        row = issues.named(tx, name)
    if row is None:
        raise not_found()
    return row


def _line(one: issue_list.Past) -> Line:
    return Line(
        name=one.name, state=one.state, paused=one.paused, date=date.fromisoformat(one.due), planned=one.planned, accepted=one.accepted,
        held=one.held,
    )  # fmt: skip
