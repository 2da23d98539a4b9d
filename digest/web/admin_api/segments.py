"""Saved filters of readers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from digest import interests as listed
from digest.admin import segments
from digest.admin.segments import Filter
from digest.errors import ConfigError
from digest.model import Frozen, Instant
from digest.web.admin_api import guard
from digest.web.admin_api.guard import scoped
from digest.web.admin_api.problems import not_found
from digest.workspace import Workspace

router = APIRouter(tags=["readers"])

Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class Segment(Frozen):
    """A filter under its name."""

    name: str
    filter: Filter
    made_at: Instant
    who: str


class Segments(Frozen):
    """All of them, by name."""

    segments: tuple[Segment, ...]


@scoped(router, "GET", "/segments", "readers:read")
def every(request: Request) -> Segments:
    """The saved filters."""
    found = segments.every(guard.acting(request))
    return Segments(segments=tuple(Segment(name=one.name, filter=filter, made_at=one.made_at, who=one.who) for one, filter in found))


@scoped(router, "PUT", "/segments/{name}", "readers:write", status=204)
def save(request: Request, name: Name, filter: Filter) -> Response:
    """Keep a filter under a name; one that had it is replaced."""
    workspace = guard.acting(request)
    segments.save(workspace, name, checked(workspace, filter))
    return Response(status_code=204)


@scoped(router, "DELETE", "/segments/{name}", "readers:write", status=204)
def remove(request: Request, name: Name) -> Response:
    """Forget a filter; the readers stay as they are."""
    workspace = guard.acting(request)
    found(workspace, name)
    segments.remove(workspace, name)
    return Response(status_code=204)


def checked(workspace: Workspace, filter: Filter) -> Filter:
    """The filter by the ids of today.

    Raises:
        ConfigError: it names an interest or a cadence that is none.
    """
    return segments.check(filter, listed.load(workspace.path), tuple(workspace.config.cadences))


def found(workspace: Workspace, name: str) -> Filter:
    """The filter of that name.

    Raises:
        Refused: there is none.
    """
    try:
        return segments.find(workspace, name)
    except ConfigError as error:
        raise not_found() from error
