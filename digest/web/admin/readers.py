"""Readers: found by exact address or id, by filters and saved ones, page by page. What is asked for travels in forms, never in an
address of a page: who follows what is health data, and addresses of pages are kept by browsers and logs.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response, StreamingResponse

from digest import audit, subscribe
from digest import interests as listed
from digest import readers as steps
from digest.admin import segments
from digest.admin.segments import Filter
from digest.errors import ConfigError
from digest.model import Status
from digest.web.admin import guard
from digest.web.admin.guard import Filled, guarded
from digest.web.admin.look import page
from digest.web.admin.telling import DONE, back, told
from digest.web.look import Form
from digest.workspace import Workspace

router = APIRouter()

PAGE = 50
FIELDS = ("interest", "cadence", "status", "source", "language", "older", "newer")
_SAID = {
    "forgotten": "That reader is forgotten: address, name and choices are gone.",
    "saved": "The filter is saved.",
    "removed": "The saved filter is gone; the readers stay as they are.",
}


@guarded(router, "GET", "/admin/readers", "readers.see")
def overview(request: Request) -> Response:
    """Everybody, or those of a saved filter."""
    name = request.query_params.get("segment", "")[:80]
    chosen = Filter()
    if name:
        with told("No such filter", 404):
            chosen = segments.find(guard.acting(request), name)
    return _list(request, chosen, _row(request.query_params.get("after", "")), name)


@guarded(router, "POST", "/admin/readers", "readers.see")
def filtered(request: Request, form: Filled) -> Response:
    """Who fits a filter."""
    with told("That filter cannot be"):
        chosen = filter_of(guard.acting(request), form)
    return _list(request, chosen, _row(form.one("after")), counted=form.has("count"))


@guarded(router, "POST", "/admin/readers/find", "readers.see")
def find(request: Request, form: Filled) -> Response:
    """The one of that exact address or id. That somebody was looked up is recorded, with the id."""
    workspace, text = guard.acting(request), form.one("who").strip()
    try:
        sid = steps.find_exact(workspace, text)
    except ValueError as error:
        return _list(request, Filter(), 0, error=f"the address {error}", who=text)
    if not sid:
        return _list(request, Filter(), 0, error="nobody on the list has exactly that address or id", who=text)
    return back(f"/admin/readers/about/{sid}")


@guarded(router, "POST", "/admin/readers/segments", "readers.change")
def save(request: Request, form: Filled) -> Response:
    """Keep a filter under a name."""
    workspace, name = guard.acting(request), form.one("name", 80).strip()
    with told():
        segments.save(workspace, name, filter_of(workspace, form))
    return back("/admin/readers", "saved")


@guarded(router, "POST", "/admin/readers/segments/remove", "readers.change")
def remove(request: Request, form: Filled) -> Response:
    """Forget a saved filter."""
    with told():
        segments.remove(guard.acting(request), form.one("name", 80))
    return back("/admin/readers", "removed")


@guarded(router, "POST", "/admin/readers/export", "readers.export")
def export(request: Request, form: Filled) -> Response:
    """Who fits a filter, as a file that imports again and that no spreadsheet takes for formulas."""
    workspace = guard.acting(request)
    with told():
        chosen = filter_of(workspace, form)
    audit.note(workspace, "readers.export", "", filtered=chosen != Filter())
    headers = {"Content-Disposition": 'attachment; filename="readers.csv"'}
    return StreamingResponse(_lines(workspace, chosen), media_type="text/csv; charset=utf-8", headers=headers)


def _lines(workspace: Workspace, chosen: Filter) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    for row in subscribe.export_rows(segments.everyone(workspace, chosen)):
        writer.writerow(row)
        if text.tell() > 32_000:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def filter_of(workspace: Workspace, form: Form) -> Filter:
    """The filter that a form asks for.

    Raises:
        ConfigError: it names what there is not.
    """
    given: dict[str, Any] = {
        "interests": form.many("interest"),
        "cadence": form.one("cadence"),
        "status": form.one("status") or None,
        "source": form.one("source") or None,
        "language": form.one("language") or None,
        "consent_older_days": form.one("older").strip() or None,
        "consent_newer_days": form.one("newer").strip() or None,
    }
    try:
        made = Filter.model_validate({key: value for key, value in given.items() if value})
    except ValidationError as error:
        field = str(error.errors(include_url=False)[0]["loc"][0]).replace("_", " ")
        raise ConfigError(f"{field}: this is not what can be asked for") from error
    return segments.check(made, listed.load(workspace.path), tuple(workspace.config.cadences))


def fields_of(chosen: Filter) -> list[tuple[str, str]]:
    """The same as fields of a form."""
    single = (
        ("cadence", chosen.cadence),
        ("status", chosen.status.value if chosen.status else ""),
        ("source", chosen.source or ""),
        ("language", chosen.language or ""),
        ("older", "" if chosen.consent_older_days is None else str(chosen.consent_older_days)),
        ("newer", "" if chosen.consent_newer_days is None else str(chosen.consent_newer_days)),
    )
    return [*(("interest", id) for id in chosen.interests), *((key, value) for key, value in single if value)]


def _list(
    request: Request, chosen: Filter, after: int, segment: str = "", *, error: str = "", who: str = "", counted: bool = False
) -> Response:
    workspace = guard.acting(request)
    with told("The lists cannot be read"):
        known = listed.load(workspace.path)
    found = segments.page(workspace, chosen, after, PAGE)
    return page(
        request,
        "readers.html.j2",
        status=422 if error else 200,
        error=error,
        who=who,
        chosen=chosen,
        fields=fields_of(chosen),
        values=dict(fields_of(chosen)),
        segment=segment,
        saved=segments.every(workspace),
        rows=[person.subscriber for person in found.readers],
        next=found.next,
        after=after,
        count=segments.count(workspace, chosen) if counted else None,
        interests=known.all,
        labels={one.id: one.label for one in known.all},
        depths={one.id: known.depth(one) for one in known.all},
        cadences=list(workspace.config.cadences),
        languages=workspace.config.pages.languages,
        statuses=[one.value for one in Status if one is not Status.ERASED],
        said=_SAID.get(request.query_params.get(DONE, ""), ""),
    )


def _row(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0
