"""The audit log: read page by page, filtered, checked, taken along."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from digest import audit
from digest.audit import Verdict
from digest.web.admin import guard
from digest.web.admin.guard import guarded
from digest.web.admin.look import page
from digest.workspace import Workspace

router = APIRouter()

PAGE = 50


@guarded(router, "GET", "/admin/audit", "audit.see")
def records(request: Request) -> Response:
    """A page of records, the newest first; the next begins before the last one's number, so that the hundredth costs what the first did."""
    return _show(request, None)


@guarded(router, "POST", "/admin/audit/check", "audit.see")
def check(request: Request) -> Response:
    """Walk the whole chain."""
    return _show(request, audit.verify(guard.acting(request)))


def _show(request: Request, verdict: Verdict | None) -> Response:
    workspace = guard.acting(request)
    asked = request.query_params
    who, action, subject = (asked.get(name, "").strip()[:80] for name in ("who", "action", "subject"))
    before = asked.get("before", "")
    place = int(before) if before.isascii() and before.isdecimal() and len(before) < 10 else None
    rows = audit.page(workspace, PAGE + 1, place, who, action, subject)
    names, actions = audit.named(workspace)
    kept = {name: value for name, value in (("who", who), ("action", action), ("subject", subject)) if value}
    older = urlencode({**kept, "before": rows[PAGE - 1].seq}) if len(rows) > PAGE else ""
    return page(
        request,
        "audit.html.j2",
        rows=rows[:PAGE],
        older=older,
        newest=place is None,
        first=urlencode(kept),
        names=names,
        actions=actions,
        verdict=verdict,
        who=who,
        action=action,
        subject=subject,
    )


@guarded(router, "POST", "/admin/audit/export", "audit.export")
def export(request: Request) -> Response:
    """The whole log, a record of JSON a line."""
    workspace = guard.acting(request)
    audit.note(workspace, "audit.export")
    headers = {"Content-Disposition": 'attachment; filename="audit.jsonl"'}
    return StreamingResponse(_lines(workspace), media_type="application/x-ndjson", headers=headers)


def _lines(workspace: Workspace) -> Iterator[str]:
    before: int | None = None
    while rows := audit.page(workspace, 500, before):
        for row in rows:
            yield json.dumps(row.model_dump(mode="json"), ensure_ascii=False) + "\n"
        before = rows[-1].seq
