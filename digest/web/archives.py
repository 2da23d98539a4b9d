"""The public archive: issues by date, pieces by subject, a search; feeds, sitemap and robots.txt. The same for everybody."""

from __future__ import annotations

import hashlib
import math
import threading
import time
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from starlette.responses import Response

from digest import archive, feedout
from digest.archive import Archive
from digest.feedout import Channel
from digest.glimpse import Glimpse
from digest.interests import Interests
from digest.model import Interest, Summary
from digest.tongue import Tongue, choose
from digest.web.look import Form, form_of, render, tongue_for, workspace_of
from digest.web.shown import Shown, shown
from digest.webcopy import said
from digest.workspace import Workspace

router = APIRouter(include_in_schema=False)

_PAGE = 50
_FRESH_S = 60.0  # how long others may keep a page, and how long we keep what it is made of
_FORMATS = {
    "xml": (feedout.rss, "application/rss+xml; charset=utf-8"),
    "atom": (feedout.atom, "application/atom+xml; charset=utf-8"),
    "json": (feedout.json_feed, "application/feed+json; charset=utf-8"),
}
_PRIVATE = ("/c/", "/n/", "/p/", "/u/", "/w/", "/api/", "/links")


class Shelf:
    """Keeps the archive and looks once a minute what is new, so that crawlers do not read the database each time."""

    def __init__(self, workspace: Workspace, glimpse: Glimpse) -> None:
        self._workspace, self._glimpse = workspace, glimpse
        self._lock = threading.Lock()
        self._kept: tuple[float, Archive] | None = None
        self.since = datetime.now(UTC)  # the lists and the program are as they are now

    def get(self) -> Archive:
        """The archive as it was a minute ago at most; while one looks what is new, the others are not kept waiting."""
        kept = self._kept
        if kept is not None and (self._fresh(kept) or not self._lock.acquire(blocking=False)):
            return kept[1]
        if kept is None:
            self._lock.acquire()
        try:
            if self._kept is None or not self._fresh(self._kept):
                self._kept = (time.monotonic(), self._load(self._kept[1] if self._kept is not None else None))
            return self._kept[1]
        finally:
            self._lock.release()

    def warm(self) -> None:
        """Read what takes long, so that whoever asks first only looks what is new since."""
        with self._lock:
            if self._kept is None:
                self._kept = (-math.inf, self._load(None))

    def _fresh(self, kept: tuple[float, Archive]) -> bool:
        return time.monotonic() - kept[0] <= _FRESH_S and kept[1].lists is self._glimpse.lists()

    def _load(self, before: Archive | None) -> Archive:
        lists = self._glimpse.lists()
        if before is not None and before.lists is not lists:
            self.since = datetime.now(UTC)
        return archive.load(self._workspace, lists, before)


def _interest(request: Request, id: str) -> Interest:
    lists: Interests = request.app.state.glimpse.lists()
    found = next((lists.get(one) for one in lists.today((id,))), None)
    if found is None:
        raise HTTPException(404)
    return found


def _public(request: Request, body: bytes, kind: str, changed_at: datetime | None, *, varies: bool = False) -> Response:
    """An answer that may be kept, or 304 where the asker has it already."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"Cache-Control": f"public, max-age={_FRESH_S:.0f}", "ETag": tag, "X-Robots-Tag": "all"}
    if varies:
        headers["Vary"] = "Accept-Language"
    if changed_at:
        headers["Last-Modified"] = format_datetime(changed_at.astimezone(UTC).replace(microsecond=0), usegmt=True)
    known = request.headers.get("if-none-match")
    if known is not None:
        same = known.strip() == "*" or tag in [one.strip().removeprefix("W/") for one in known.split(",")]
    else:
        same = changed_at is not None and _not_since(request.headers.get("if-modified-since", ""), changed_at)
    return Response(status_code=304, headers=headers) if same else Response(body, media_type=kind, headers=headers)


def _not_since(header: str, changed_at: datetime) -> bool:
    try:
        since = parsedate_to_datetime(header)
    except ValueError:
        return False
    return since.tzinfo is not None and changed_at.replace(microsecond=0) <= since


def _list(request: Request, pieces: tuple[Summary, ...], spoken: Tongue) -> list[Shown]:
    workspace = workspace_of(request)
    return [shown(piece, spoken, workspace.zone, workspace.config.newsletter.language, piece.notice) for piece in pieces]


def _page(request: Request, spoken: Tongue, **data: Any) -> str:
    lists: Interests = request.app.state.glimpse.lists()
    subjects = [(one.id, one.label_in(spoken.code)) for one in lists.all]
    given = {"issues": [], "pieces": [], "page": 1, "pages": 1, "words": "", "searched": False, "feed": "/feed", **data}
    base = workspace_of(request).config.newsletter.url
    return render(request, "archive.html.j2", spoken, subjects=subjects, address=f"{base}{request.url.path}", **given)


@router.api_route("/archive", methods=["GET", "HEAD"])
def by_date(request: Request) -> Response:
    """Every issue, the newest first, and the subjects."""
    spoken = tongue_for(request)
    kept = request.app.state.shelf.get()
    listed = [(slot.name, spoken.day(slot.local_date), len(pieces)) for slot, pieces in kept.issues if pieces]
    body = _page(request, spoken, heading=spoken.t("Archive"), issues=listed, place="all")
    return _public(request, body.encode(), "text/html; charset=utf-8", None, varies=True)


@router.post("/archive")
def search(request: Request, form: Annotated[Form, Depends(form_of)]) -> Response:
    """What has these words. A form that is posted: what somebody looks for stands in no address and no log."""
    spoken = tongue_for(request, form.one("lang"))
    words = form.one("words", 200)
    kept = request.app.state.shelf.get()
    pieces = archive.found(kept, words)
    body = _page(
        request,
        spoken,
        heading=spoken.t("Search results"),
        pieces=_list(request, pieces[:_PAGE], spoken),
        words=words,
        searched=True,
        place="search",
    )
    return Response(body, media_type="text/html; charset=utf-8")


@router.api_route("/archive/issues/{name}", methods=["GET", "HEAD"])
def one_issue(request: Request, name: str) -> Response:
    """The pieces of one issue."""
    spoken = tongue_for(request)
    kept = request.app.state.shelf.get()
    found = next(((slot, pieces) for slot, pieces in kept.issues if slot.name == name and pieces), None)
    if found is None:
        raise HTTPException(404)
    heading = spoken.t("Issue of {date}", date=spoken.day(found[0].local_date))
    body = _page(request, spoken, heading=heading, pieces=_list(request, found[1], spoken), place="issue")
    return _public(request, body.encode(), "text/html; charset=utf-8", None, varies=True)


@router.api_route("/archive/subjects/{id}", methods=["GET", "HEAD"])
def by_subject(request: Request, id: str) -> Response:
    """The pieces of one subject, fifty a page."""
    spoken, interest = tongue_for(request), _interest(request, id)
    kept = request.app.state.shelf.get()
    pieces = kept.about(interest.id)
    asked = request.query_params.get("page", "1")
    pages = max(1, -(-len(pieces) // _PAGE))
    number = min(max(int(asked), 1), pages) if asked.isascii() and asked.isdecimal() and len(asked) < 7 else 1
    some = pieces[(number - 1) * _PAGE : number * _PAGE]
    body = _page(
        request,
        spoken,
        heading=interest.label_in(spoken.code),
        pieces=_list(request, some, spoken),
        page=number,
        pages=pages,
        feed=f"/feeds/{interest.id}",
        place="subject",
    )
    return _public(request, body.encode(), "text/html; charset=utf-8", None, varies=True)


# --- for programs --------------------------------------------------------------------------------------------------------


def _feed(
    request: Request, path: str, ending: str, label: str, about: str, page: str, pieces: tuple[Summary, ...], at: datetime
) -> Response:
    workspace = workspace_of(request)
    config, letter, base = workspace.config, workspace.config.newsletter, workspace.config.newsletter.url
    spoken = choose("", "", config.pages.languages, letter.language)
    title = f"{letter.name}: {label}" if label else letter.name
    channel = Channel(
        title=title,
        about=about or letter.tagline or title,
        url=f"{base}{path}.{ending}",
        page=f"{base}{page}",
        language=letter.language,
        changed_at=at,
        pieces=pieces[: feedout.MOST],
        said=lambda notice: said(notice, spoken, workspace.zone),
    )
    write, kind = _FORMATS[ending]
    # Which pieces a subject has changes with its rule, too, and how a feed is written with the program.
    return _public(request, write(channel), kind, max(at, request.app.state.shelf.since))


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@router.api_route("/feed.{ending}", methods=["GET", "HEAD"])
def feed_of_all(request: Request, ending: str) -> Response:
    """All pieces: ``xml`` (RSS), ``atom`` or ``json``."""
    if ending not in _FORMATS:
        raise HTTPException(404)
    kept = request.app.state.shelf.get()
    return _feed(request, "/feed", ending, "", "", "/archive", kept.pieces, kept.changed_at or _EPOCH)


@router.api_route("/feeds/{name}", methods=["GET", "HEAD"])
def feed_of_subject(request: Request, name: str) -> Response:
    """The pieces of one subject."""
    id, _, ending = name.rpartition(".")
    if ending not in _FORMATS:
        raise HTTPException(404)
    interest = _interest(request, id)
    kept = request.app.state.shelf.get()
    pieces = kept.about(interest.id)
    own, page = f"/feeds/{interest.id}", f"/archive/subjects/{interest.id}"
    return _feed(request, own, ending, interest.label, interest.description, page, pieces, kept.changed_at or _EPOCH)


@router.api_route("/sitemap.xml", methods=["GET", "HEAD"])
def sitemap(request: Request) -> Response:
    """The pages of the archive."""
    base = workspace_of(request).config.newsletter.url
    kept = request.app.state.shelf.get()
    paths = ["/archive", *(f"/archive/issues/{slot.name}" for slot, pieces in kept.issues if pieces)]
    paths += [f"/archive/subjects/{one.id}" for one in request.app.state.glimpse.lists().all]
    return _public(request, feedout.sitemap([f"{base}{path}" for path in paths]), "application/xml", None)


@router.api_route("/robots.txt", methods=["GET", "HEAD"])
def robots(request: Request) -> Response:
    """What crawlers are for, and what not."""
    lines = ["User-agent: *", *(f"Disallow: {path}" for path in _PRIVATE), "Allow: /"]
    lines.append(f"Sitemap: {workspace_of(request).config.newsletter.url}/sitemap.xml")
    return _public(request, ("\n".join(lines) + "\n").encode(), "text/plain; charset=utf-8", None)
