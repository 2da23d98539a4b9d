"""Reports: the same tables as on the pages."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request

from digest.admin import reports
from digest.admin.reports import Cell
from digest.model import Frozen
from digest.web.admin_api import guard
from digest.web.admin_api.guard import scoped
from digest.web.admin_api.problems import Fault, Refused, not_found

router = APIRouter(tags=["reports"])


class Names(Frozen):
    """Which there are."""

    reports: tuple[str, ...]


class Table(Frozen):
    """A report. A group of persons so small that it would tell of them is ``<10``; ``note`` says what else to know."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str


@scoped(router, "GET", "/reports", "reports:read")
def overview(request: Request) -> Names:
    """Which reports there are."""
    return Names(reports=tuple(reports.REPORTS))


@scoped(router, "GET", "/reports/{name}", "reports:read")
def about(
    request: Request,
    name: Annotated[str, Path(max_length=40)],
    since: Annotated[date | None, Query(description="from the month of this date on; else of the last twelve")] = None,
) -> Table:
    """One report."""
    workspace = guard.acting(request)
    if name not in reports.REPORTS:
        raise not_found()
    if since is not None and not 0 <= (workspace.on - since).days <= 366 * 100:
        raise Refused("invalid", "see errors", errors=[Fault(detail="a date of the last hundred years", parameter="since")])
    found = reports.report(workspace, name, since)
    return Table(name=found.name, title=found.title, columns=found.columns, rows=found.rows, note=found.note)
