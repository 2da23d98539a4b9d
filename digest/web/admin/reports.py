"""Reports: each a picture drawn here, the table beside it, the same as CSV."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from digest.admin import reports
from digest.admin.reports import Report
from digest.errors import ConfigError
from digest.web.admin import guard
from digest.web.admin.guard import guarded
from digest.web.admin.look import page
from digest.web.admin.telling import told

router = APIRouter()

Name = Annotated[str, Path(max_length=40)]

ABOUT: Mapping[str, str] = {
    "readers": "Readers by status, over time",
    "interests": "Readers by interest, over time",
    "joins": "Who joined, who left, and why",
    "deliveries": "Messages and bounces of each issue",
    "domains": "Messages and bounces by mail domain",
    "pieces": "Pieces of each interest by month",
    "sources": "Sources and their health",
}


@guarded(router, "GET", "/admin/reports", "figures.see")
def overview(request: Request) -> Response:
    """Which there are."""
    return page(request, "reports.html.j2", reports=[(name, ABOUT.get(name, name)) for name in reports.REPORTS])


@guarded(router, "GET", "/admin/reports/about/{name}", "figures.see")
def about(request: Request, name: Name) -> Response:
    """One report: picture and table."""
    since = request.query_params.get("since", "")[:10]
    return page(request, "report.html.j2", report=_report(request, name), since=since)


@guarded(router, "GET", "/admin/reports/picture/{name}", "figures.see")
def picture(request: Request, name: Name) -> Response:
    """The picture alone, light or dark as the screen is."""
    return Response(reports.as_svg(_report(request, name)), media_type="image/svg+xml", headers={"Content-Security-Policy": _PICTURE})


# It has its own style within and nothing else; opened by itself it may not do anything more.
_PICTURE = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"


@guarded(router, "GET", "/admin/reports/csv/{name}", "figures.see")
def download(request: Request, name: Name) -> Response:
    """The table, safe to open in a spreadsheet."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(reports.as_csv(_report(request, name)), media_type="text/csv; charset=utf-8", headers=headers)


def _report(request: Request, name: str) -> Report:
    text = request.query_params.get("since", "").strip()[:10]
    with told("No such report", 404):
        try:
            since = date.fromisoformat(text) if text else None
        except ValueError as error:
            raise ConfigError("write the date as YYYY-MM-DD") from error
        return reports.report(guard.acting(request), name, since)
