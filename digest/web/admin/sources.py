"""The sources: how each does, what one gave last, and reading one now."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from digest.admin import source_health, sources
from digest.errors import ConfigError
from digest.web.admin import guard
from digest.web.admin.fetching import Fetching
from digest.web.admin.guard import guarded
from digest.web.admin.look import page
from digest.web.admin.telling import DONE, back, told

router = APIRouter()

Name = Annotated[str, Path(max_length=80)]
_ADDED = "It is added to config.yaml, and read with the next gathering. “Fetch now” reads it at once."


def days_in(zone: str) -> Callable[[datetime], str]:
    """Dates as the newsletter counts them: what appeared at its midnight is of that day."""
    return lambda at: f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d}"


@guarded(router, "GET", "/admin/sources", "sources.see")
def overview(request: Request) -> Response:
    """One line a source."""
    with told("config.yaml cannot be read"):
        workspace = sources.current(guard.acting(request))
        lines = sources.lines(workspace)
    return page(request, "sources.html.j2", lines=lines, look=[line for line in lines if not line.well], day=days_in(workspace.zone))


@guarded(router, "GET", "/admin/sources/about/{name}", "sources.see")
def about(request: Request, name: Name) -> Response:
    """Its readings, its last pieces, what was refused."""
    workspace = guard.acting(request)
    with told("config.yaml cannot be read"):
        workspace = sources.current(workspace)
    try:
        found = sources.about(workspace, name)
    except ConfigError as error:
        raise guard.Refused("No such source", f"{error}.", 404) from error
    fetching: Fetching = request.app.state.fetching
    running, outcome = fetching.state(name)
    done = request.query_params.get(DONE, "")
    return page(
        request,
        "source.html.j2",
        found=found,
        line=found.line,
        day=days_in(workspace.zone),
        results=source_health.RESULTS,
        running=running,
        outcome=outcome if done == "fetch" else None,
        added=_ADDED if done == "added" else "",
    )


@guarded(router, "POST", "/admin/sources/about/{name}/fetch", "sources.fetch")
def fetch(request: Request, name: Name) -> Response:
    """Read it now."""
    with told("config.yaml cannot be read"):
        workspace = sources.current(guard.acting(request))
    if all(source.name != name for source in workspace.config.sources):
        raise guard.Refused("No such source", "config.yaml has none of that name.", 404)
    fetching: Fetching = request.app.state.fetching
    fetching.begin(workspace, name)
    return back(f"/admin/sources/about/{name}", "fetch")
