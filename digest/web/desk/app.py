"""The desk as an application: its pages, the emails they frame, its files. A guard is put before it by whoever opens it."""

from __future__ import annotations

import hmac
import logging
from urllib.parse import urlsplit

from fastapi import FastAPI, HTTPException, Request
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.staticfiles import StaticFiles

from digest.errors import BusyError, ConfigError, DigestError, IssueError, RenderError, StoreError
from digest.web import look as readers_pages
from digest.web.desk import asking, editing, events, frames, guard, leaving, look, reading, shown
from digest.web.desk.guard import Headers, Who
from digest.web.desk.table import Table
from digest.web.shield import Shield, place_of

log = logging.getLogger(__name__)

_STATUS: tuple[tuple[type[DigestError], int], ...] = (
    (BusyError, 409),
    (IssueError, 404),
    (RenderError, 422),
    (ConfigError, 422),
    (StoreError, 503),
)


def make_desk(table: Table, who: Who, *, frames_at: str = "", news: events.News | None = None) -> FastAPI:
    """The desk; it stands at ``/`` or is mounted anywhere.

    Args:
        who: tells who asks, or raises what a stranger is answered with.
        frames_at: where another server has the emails (`make_frames`), as an origin and a path; empty: the desk itself does, and the
            browser keeps them apart by the sandbox alone.
        news: tells open pages of files that were saved.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.table, app.state.who, app.state.news = table, who, news or events.News()
    app.state.frames = frames_at
    app.state.workspace = table.opened  # where a guard looks for it
    for part in (reading, editing, asking, leaving, events):
        app.include_router(part.router)
    if not frames_at:

        def permit(request: Request) -> None:
            if shown.is_of_reader(request.path_params["which"]):
                guard.reader_seer(request)
            else:
                who(request)

        app.include_router(frames.router(table, permit, "'self'"))
    app.mount("/static", StaticFiles(directory=look.STATIC))
    app.mount("/readers", StaticFiles(directory=readers_pages.STATIC))
    app.add_exception_handler(DigestError, _told)
    app.add_exception_handler(StarletteHTTPException, _plain)
    app.add_middleware(Shield, broken=_broken)
    parts = urlsplit(frames_at)
    app.add_middleware(Headers, headers=look.headers(f"{parts.scheme}://{parts.netloc}" if frames_at else "'self'"))
    return app


def make_frames(table: Table, key: str, ancestors: str) -> FastAPI:
    """The emails alone, for an origin of their own. Who knows ``key`` may see them."""

    def permit(request: Request) -> None:
        if not hmac.compare_digest(request.path_params["key"].encode(), key.encode()):
            raise HTTPException(404)

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.include_router(frames.router(table, permit, ancestors))
    app.add_exception_handler(DigestError, lambda _, error: PlainTextResponse(str(error), 404))
    app.add_middleware(Shield, broken=_broken)
    shut = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    app.add_middleware(Headers, headers=shut)
    return app


def _told(request: Request, error: Exception) -> Response:
    """What went wrong on purpose says what to do."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 422)
    return look.page(request, "problem.html.j2", status=status, status_code=status, text=str(error))


def _plain(request: Request, error: Exception) -> Response:
    """Nothing there, not this way, not allowed, a stranger; a guard's own answer (a redirect to a login) goes through."""
    assert isinstance(error, StarletteHTTPException)
    if 300 <= error.status_code < 400:
        return Response(status_code=error.status_code, headers=error.headers)
    if error.status_code == 401:
        return PlainTextResponse(error.detail, 401, error.headers)
    words = {404: "There is nothing here.", 405: "That does not work this way."}
    return look.page(
        request, "problem.html.j2", status=error.status_code, status_code=error.status_code, text=words.get(error.status_code, error.detail)
    )


def _broken(_: Request, error: Exception) -> Response:
    """A fault of ours: what kind and where, never what somebody typed."""
    place = place_of(error)
    log.error("a page of the desk failed: %s at %s", type(error).__name__, place)
    said = f"A fault of ours: {type(error).__name__} at {place}. Nothing was changed by what you see here; reload the page."
    return PlainTextResponse(said, 500)
