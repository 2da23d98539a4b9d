"""One table from what went wrong to the page that says so. No answer repeats what was asked or why exactly it failed."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import JSONResponse, Response

from digest.errors import ConfigError, LinkError, StoreError
from digest.web import admin_api, api, links
from digest.web.admin.look import page as admin_page
from digest.web.admin_api import problems
from digest.web.look import page, tongue_for
from digest.web.shield import Shield, place_of

log = logging.getLogger(__name__)

RETRY_S = 10


def handle(app: FastAPI) -> None:
    """Say what every kind of failure is answered with."""
    app.add_exception_handler(LinkError, lost_link)
    app.add_exception_handler(StoreError, busy)
    app.add_exception_handler(ConfigError, busy)
    app.add_exception_handler(StarletteHTTPException, plain)
    app.add_exception_handler(RequestValidationError, invalid)
    for kind, answer in api.HANDLERS.items():
        app.add_exception_handler(kind, answer)
    app.add_middleware(Shield, broken=broken)


def lost_link(request: Request, _: Exception) -> Response:
    """The same friendly page for every link that does not work, whatever the reason: it offers a new one."""
    return links.show(request, tongue_for(request), status=404, lost=True)


def busy(request: Request, error: Exception) -> Response:
    """The database is locked or away, or a file is being edited: nothing was taken in, and it is worth trying again."""
    log.error("a page could not be answered", extra={"action": "page", "why": str(error), "route": _route(request)})
    if request.url.path.startswith("/api/"):
        return JSONResponse({"detail": "not possible just now; try again"}, status_code=503, headers={"Retry-After": str(RETRY_S)})
    return page(request, "problem.html.j2", tongue_for(request), status=503, headers={"Retry-After": str(RETRY_S)}, status_code=503)


def plain(request: Request, error: Exception) -> Response:
    """Nothing there, not this way, too large."""
    assert isinstance(error, StarletteHTTPException)
    if request.url.path.startswith(admin_api.PATH):  # what the router does not hand on: a line break in a path
        return problems.plain(request, error)
    if request.url.path.startswith("/api/"):
        return JSONResponse({"detail": error.detail}, status_code=error.status_code, headers=error.headers)
    if request.url.path.startswith("/admin"):
        return admin_page(
            request,
            "refused.html.j2",
            status=error.status_code,
            headers=error.headers or {},
            title="There is nothing here",
            text="The address may be mistyped, or the page may have gone.",
        )
    return page(
        request,
        "problem.html.j2",
        tongue_for(request),
        status=error.status_code,
        headers=error.headers or {},
        status_code=error.status_code,
    )


def invalid(request: Request, error: Exception) -> Response:
    """What an API caller sent does not fit; which fields, and why, without what they held."""
    assert isinstance(error, RequestValidationError)
    if request.url.path.startswith("/admin"):
        return plain(request, StarletteHTTPException(404))
    found = [{"loc": list(one["loc"]), "msg": one["msg"], "type": one["type"]} for one in error.errors()]
    return JSONResponse({"detail": found}, status_code=422)


def broken(request: Request, error: Exception) -> Response:
    """A fault of ours. The log has the kind of error and its place, never what somebody typed."""
    log.error("a page failed", extra={"action": "page", "why": type(error).__name__, "place": place_of(error), "route": _route(request)})
    if request.url.path.startswith("/api/"):
        return JSONResponse({"detail": "a fault of ours"}, status_code=500)
    return page(request, "problem.html.j2", tongue_for(request), status=500, status_code=500)


def _route(request: Request) -> str:
    """The pattern of the route, without what stood in it."""
    return getattr(request.scope.get("route"), "path", "")
