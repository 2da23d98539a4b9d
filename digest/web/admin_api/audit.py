"""The audit log: read some at a time, and checked."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from digest import audit
from digest.audit import Entry
from digest.model import Frozen
from digest.web.admin_api import guard
from digest.web.admin_api.guard import scoped

router = APIRouter(tags=["audit"])

Word = Annotated[str, Query(max_length=80, pattern=r"^[^\x00]*$")]


class Entries(Frozen):
    """Records, the newest first; ``next`` goes into ``before``."""

    records: tuple[Entry, ...]
    next: int | None


class Checked(Frozen):
    """Whether the log is as it was written; ``anchor`` is its end in one word, to be kept elsewhere."""

    records: int
    faults: tuple[str, ...]
    anchor: str


@scoped(router, "GET", "/audit", "audit:read", may=("invalid",))
def records(
    request: Request,
    before: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    who: Word = "",
    action: Annotated[str, Query(max_length=80, pattern=r"^[^\x00]*$", description="with a dot at its end all that begin so")] = "",
    subject: Word = "",
) -> Entries:
    """Who did what. A key stands in it as key:NAME."""
    rows = audit.page(guard.acting(request), limit + 1, before, who, action, subject)
    return Entries(records=tuple(rows[:limit]), next=rows[limit - 1].seq if len(rows) > limit else None)


@scoped(router, "GET", "/audit/verify", "audit:read", may=("invalid",))
def verify(
    request: Request,
    anchor: Annotated[str, Query(pattern="^([0-9]{1,9}:[0-9a-f]{64})?$", description="an end that you kept elsewhere")] = "",
) -> Checked:
    """Walk the whole log and check every link."""
    found = audit.verify(guard.acting(request), anchor)
    return Checked(records=found.records, faults=found.faults, anchor=found.anchor)
