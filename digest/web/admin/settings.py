"""The settings in force, where each comes from, and what `digest doctor` finds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from fastapi import APIRouter, Request
from starlette.responses import Response

from digest import doctor
from digest.config.origins import DEFAULT, effective
from digest.findings import Finding
from digest.web.admin import guard
from digest.web.admin.guard import guarded
from digest.web.admin.look import page

router = APIRouter()


@guarded(router, "GET", "/admin/settings", "settings.see")
def settings(request: Request) -> Response:
    """All of them by section."""
    return _show(request, None)


@guarded(router, "POST", "/admin/settings", "settings.see")
def examine(request: Request) -> Response:
    """The same, with what the doctor finds. It asks the provider whether it would let us in, so it is not done unasked."""
    return _show(request, doctor.examine_all(guard.acting(request).path))


def _show(request: Request, findings: Sequence[Finding] | None) -> Response:
    rows = effective(guard.acting(request).path)
    grouped = {name: list(some) for name, some in groupby(rows, key=lambda row: row.key.partition(".")[0])}
    sections = [(name, some) for name, some in grouped.items() if len(some) > 1 or "." in some[0].key]
    sections.append(("others", [row for some in grouped.values() for row in some if "." not in row.key]))
    order = {"error": 0, "warning": 1, "ok": 2}
    found = None if findings is None else sorted(findings, key=lambda one: order[one.level])
    return page(request, "settings.html.j2", sections=sections, default=DEFAULT, findings=found)
