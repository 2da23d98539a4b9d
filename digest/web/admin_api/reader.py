"""One reader: everything kept of them, what they asked to have changed, and letting them go."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import Field
from starlette.responses import Response

from digest import explain, suppress
from digest import interests as listed
from digest import readers as steps
from digest.admin import reader_edits
from digest.errors import IssueError
from digest.explain import Why
from digest.model import Audience, Frozen, Instant, Slug, Subscriber
from digest.web.admin_api import guard
from digest.web.admin_api.guard import scoped
from digest.web.admin_api.problems import Refused, not_found
from digest.workspace import Workspace

router = APIRouter(tags=["readers"])

HOW = "admin api"  # in the consent record, for what a program did at a reader's wish

Sid = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="a reader's opaque id")]
Version = Annotated[
    str, Field(pattern="^[0-9a-f]{32}$", description="as the reader was last seen; where it is another, nothing is changed")
]


class Consent(Frozen):
    """A line of what somebody agreed to, chose or withdrew, with the words they saw."""

    kind: str
    at: Instant
    source: str
    text: str
    detail: dict[str, Any] | None


class Before(Frozen):
    """What they had chosen before a change of the lists, kept as long as that can be taken back."""

    change: str
    at: Instant
    interests: tuple[str, ...]
    fewer: tuple[str, ...]


class Had(Frozen):
    """An issue that they were planned for, its fate, and the pieces in it."""

    issue: str
    state: str
    at: Instant
    summaries: tuple[str, ...]


class Suppressed(Frozen):
    """Why nobody writes to their address."""

    reason: str
    at: Instant
    source: str


class Reader(Frozen):
    """Everything kept about one reader."""

    version: str
    subscriber: Subscriber
    consent: tuple[Consent, ...]
    choices_before: tuple[Before, ...]
    issues: tuple[Had, ...]
    suppression: Suppressed | None


class Choices(Frozen):
    """What is to be changed; what is left out stays. ``fewer``: interests of which one teaser is enough."""

    name: Annotated[str, Field(max_length=200)] | None = None
    interests: Annotated[tuple[Slug, ...], Field(max_length=500)] | None = None
    fewer: Annotated[tuple[Slug, ...], Field(max_length=500)] | None = None
    cadence: Slug | None = None
    language: Annotated[str, Field(max_length=20)] | None = None
    audience: Annotated[tuple[Audience, ...], Field(max_length=3)] | None = None
    plain_text: bool | None = None
    large_print: bool | None = None
    max_teasers: Annotated[int, Field(ge=1, le=60)] | None = Field(default=None, description="null: as many as there are")
    version: Version | None = None


class Pause(Frozen):
    """The first day on which they want to be written to again; none: until they say so."""

    until: date | None = None


class Now(Frozen):
    """The reader as they are now."""

    version: str
    subscriber: Subscriber


@scoped(router, "GET", "/readers/{id}", "readers:read")
def about(request: Request, id: Sid) -> Reader:
    """One reader, with the consent record, every issue and its fate."""
    workspace = guard.acting(request)
    data = steps.data_of(workspace, id)
    if data is None:
        raise not_found()
    one = Subscriber.model_validate(data["subscriber"])
    return Reader(version=version_of(workspace, one), **{**data, "subscriber": one})


@scoped(router, "GET", "/readers/{id}/why/{issue}", "readers:read")
def why(request: Request, id: Sid, issue: Annotated[str, Path(max_length=80)]) -> Why:
    """For each piece of an issue why this reader has it or not."""
    workspace = guard.acting(request)
    one = _reader(workspace, id)
    try:
        return explain.why(workspace, one.email, issue)
    except IssueError as error:
        raise not_found() from error


@scoped(router, "PATCH", "/readers/{id}", "readers:write", may=("stale",))
def edit(request: Request, id: Sid, choices: Choices) -> Now:
    """Change what a reader gets, as they asked for. What they change themselves in between stays, where it is something else."""
    workspace = guard.acting(request)
    given = {name: getattr(choices, name) for name in choices.model_fields_set & set(reader_edits.FIELDS)}
    for name, value in given.items():
        if value is None and name != "max_teasers":
            raise reader_edits.Unfit(name, "null is no choice; leave it out to keep what is there")
    known = listed.load(workspace.path)

    def alter(now: Subscriber) -> Subscriber:
        if choices.version is not None and choices.version != version_of(workspace, now):
            raise Refused("stale", "the reader was changed since; look again")
        return reader_edits.checked(workspace, known, now, given)

    return _altered(workspace, id, alter)


@scoped(router, "POST", "/readers/{id}/pause", "readers:write")
def pause(request: Request, id: Sid, pause: Pause) -> Now:
    """Write nothing until a day, or until they say so."""
    workspace = guard.acting(request)
    return _altered(workspace, id, lambda now: reader_edits.paused(now, pause.until, workspace.on))


@scoped(router, "POST", "/readers/{id}/resume", "readers:write")
def resume(request: Request, id: Sid) -> Now:
    """Write to them again."""
    return _altered(guard.acting(request), id, reader_edits.resumed)


@scoped(router, "POST", "/readers/{id}/leave", "readers:write")
def leave(request: Request, id: Sid) -> Now:
    """End the subscription, as they asked. Only they can begin a new one."""
    workspace = guard.acting(request)
    steps.leave(workspace, id, HOW)
    return _now(workspace, _reader(workspace, id))


@scoped(router, "POST", "/readers/{id}/suppress", "readers:write", status=204)
def put_away(request: Request, id: Sid) -> Response:
    """Never write to that address again."""
    workspace = guard.acting(request)
    suppress.add(workspace, _reader(workspace, id).email, "operator", workspace.who)
    return Response(status_code=204)


@scoped(router, "POST", "/readers/{id}/allow", "readers:write", status=204)
def allow(request: Request, id: Sid) -> Response:
    """Take the address off the suppression list; not after a complaint."""
    workspace = guard.acting(request)
    suppress.remove(workspace, _reader(workspace, id).email, who=workspace.who)
    return Response(status_code=204)


@scoped(router, "DELETE", "/readers/{id}", "readers:erase", status=204)
def forget(request: Request, id: Sid) -> Response:
    """Let go who they are, as they asked. It cannot be taken back."""
    if not steps.erase(guard.acting(request), id):
        raise not_found()
    return Response(status_code=204)


def version_of(workspace: Workspace, one: Subscriber) -> str:
    """A word that is another as soon as anything of the reader is."""
    return workspace.store.vault.proof("reader", one.model_dump_json())[:32]


def _altered(workspace: Workspace, id: str, alter: Callable[[Subscriber], Subscriber]) -> Now:
    changed = steps.change(workspace, id, alter, HOW)
    if changed is None:
        raise not_found()
    return _now(workspace, changed)


def _now(workspace: Workspace, one: Subscriber) -> Now:
    return Now(version=version_of(workspace, one), subscriber=one)


def _reader(workspace: Workspace, id: str) -> Subscriber:
    found = steps.find(workspace, id)
    if found is None:
        raise not_found()
    return found
