"""Readers: looked up, listed page by page, added and brought in. Who is asked for travels in bodies, never in an address."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from digest import audit, subscribe
from digest import interests as listed
from digest import readers as steps
from digest.addresses import parse
from digest.admin import segments as filters
from digest.admin.reader_edits import Unfit
from digest.admin.segments import Filter
from digest.model import Audience, Frozen, Slug, Status, Subscriber
from digest.store import people
from digest.web.admin_api import guard, segments
from digest.web.admin_api.guard import scoped
from digest.web.admin_api.problems import not_found
from digest.workspace import Workspace

router = APIRouter(tags=["readers"])

_MOST = 500  # readers of a page
_MOST_ROWS = 1000  # of one import
_CURSOR = r"^[1-9][0-9]{0,14}$"

Address = Annotated[str, Field(min_length=3, max_length=400)]
Cursor = Annotated[str, Field(pattern=_CURSOR, description="`next` of the page before")]
Limit = Annotated[int, Field(ge=1, le=_MOST)]


class Sought(Frozen):
    """The exact address, in whatever spelling."""

    email: Address


class Found(Frozen):
    """A reader's opaque id."""

    id: str


class Readers(Frozen):
    """Some readers. As long as there is a ``next`` more may follow, also where a page has few or none: it looked at enough."""

    readers: tuple[Subscriber, ...]
    next: str | None
    count: int | None = Field(default=None, description="of all who fit, where it was asked for")


class Search(Frozen):
    """Who is asked for: those who fit a filter."""

    filter: Filter = Filter()
    after: Cursor | None = None
    limit: Limit = 100
    count: bool = Field(default=False, description="also count all who fit: a second or two in a list of millions")


class Row(Frozen):
    """A reader to bring in; what is empty changes nothing of one who is there. ``consent_at`` says when they agreed."""

    email: Address
    name: Annotated[str, Field(max_length=200)] = ""
    interests: Annotated[tuple[Slug, ...], Field(max_length=500)] = ()
    cadence: Slug | None = None
    language: Annotated[str, Field(pattern="^[A-Za-z-]{0,20}$")] = ""
    audience: Annotated[tuple[Audience, ...], Field(max_length=3)] = ()
    status: Status | None = Field(default=None, description="without it active; an import revives nobody who left")
    consent_at: datetime | None = None
    consent_source: Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f]*$")] = ""
    zone: Annotated[str, Field(max_length=60)] = ""

    def cells(self) -> dict[str, str]:
        """The same as a line of a subscriber file."""
        return {
            "email": self.email,
            "name": self.name,
            "interests": ";".join(self.interests),
            "cadence": self.cadence or "",
            "language": self.language,
            "audience": ";".join(self.audience),
            "status": self.status.value if self.status else "",
            "consent_at": self.consent_at.isoformat() if self.consent_at else "",
            "consent_source": self.consent_source,
            "zone": self.zone,
        }


class Rows(Frozen):
    """Readers to bring in, and whether it is only tried."""

    rows: Annotated[tuple[Row, ...], Field(min_length=1, max_length=_MOST_ROWS)]
    dry_run: bool = False


class Word(Frozen):
    """What is to be said of one row, counted from 0; ``taken`` is false where nothing of it was."""

    row: int
    taken: bool
    text: str


class Brought(Frozen):
    """What an import did, or would do."""

    new: int
    changed: int
    same: int
    kept: int
    refused: int
    dry_run: bool
    words: tuple[Word, ...]


class Added(Frozen):
    """One row: ``new``, ``changed``, ``same`` as it was, or ``kept`` on purpose, and then why; ``id`` where there is a reader."""

    what: str
    id: str | None
    word: str = ""


@scoped(router, "GET", "/readers", "readers:read", may=("not-found", "invalid"))
def overview(
    request: Request,
    segment: Annotated[str | None, Query(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="a saved filter")] = None,
    after: Annotated[str | None, Query(pattern=_CURSOR, description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=_MOST)] = 100,
) -> Readers:
    """Everybody, or those of a saved filter, in the order in which they came."""
    workspace = guard.acting(request)
    return _page(workspace, segments.found(workspace, segment) if segment else Filter(), after, limit)


@scoped(router, "POST", "/readers/search", "readers:read")
def search(request: Request, wanted: Search) -> Readers:
    """Those who fit a filter. It is posted, for what somebody follows must not stand in an address."""
    workspace = guard.acting(request)
    chosen = segments.checked(workspace, wanted.filter)
    found = _page(workspace, chosen, wanted.after, wanted.limit)
    return found.model_copy(update={"count": filters.count(workspace, chosen)}) if wanted.count else found


@scoped(router, "POST", "/readers/find", "readers:read", may=("not-found",))
def find(request: Request, sought: Sought) -> Found:
    """The one of exactly that address. That they were looked up is recorded, with the id."""
    if not (sid := steps.find_exact(guard.acting(request), _address(sought.email))):
        raise not_found()
    return Found(id=sid)


@scoped(router, "POST", "/readers", "readers:write", once=True, responses={201: {"description": "somebody new", "model": Added}})
def add(request: Request, response: Response, row: Row) -> Added:
    """Add a reader, or bring in what is new of one who is there; by the rules of an import."""
    workspace = guard.acting(request)
    email = _address(row.email)
    report = subscribe.import_rows(workspace, [row.cells()], listed.load(workspace.path))
    if report.refused:
        text = report.problems[0].text
        field = text.partition(":")[0]
        raise Unfit(field, text) if field in Row.model_fields else Unfit("email", text)
    with workspace.store.read() as tx:
        person = people.find(tx, workspace.store.vault, parse(email))
    id = person.subscriber.id if person and person.subscriber.status is not Status.ERASED else None
    if report.new:
        response.status_code = 201
        response.headers["Location"] = f"/api/v1/readers/{id}"
    what = next(word for word in ("new", "changed", "same", "kept") if getattr(report, word))
    if what in ("new", "changed"):
        audit.note(workspace, "readers.add" if report.new else "readers.change", id or "")
    return Added(what=what, id=id, word=report.problems[0].text if report.problems else "")


@scoped(router, "POST", "/readers/import", "readers:write", once=True)
def bring(request: Request, rows: Rows) -> Brought:
    """Bring in many rows: good ones are taken, the others are told. Doing it again changes nothing."""
    workspace = guard.acting(request)
    report = subscribe.import_rows(workspace, [one.cells() for one in rows.rows], listed.load(workspace.path), dry_run=rows.dry_run)
    words = tuple(Word(row=one.line - 1, taken=one.severity != "error", text=one.text) for one in report.problems)
    return Brought(**report.model_dump(exclude={"problems"}), words=words)


def _page(workspace: Workspace, chosen: Filter, after: str | None, limit: int) -> Readers:
    found = filters.page(workspace, chosen, int(after or 0), limit)
    next = None if found.next is None else str(found.next)
    return Readers(readers=tuple(person.subscriber for person in found.readers), next=next)


def _address(text: str) -> str:
    """An address that can be one.

    Raises:
        Unfit: it is none.
    """
    try:
        parse(text)
    except ValueError as error:
        raise Unfit("email", f"the address {error}") from error
    return text
