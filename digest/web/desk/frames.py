"""The emails themselves, served from another origin than the desk: whatever is in one cannot reach it."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from digest.web.desk import shown
from digest.web.desk.table import Table
from digest.web.desk.view import changed, view_of

Permit = Callable[[Request], None]

SANDBOX = "allow-popups allow-popups-to-escape-sandbox"  # a link opens in a tab of its own; nothing runs, nothing is sent
_CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src {images}; form-action 'none'; base-uri 'none'; "
    f"sandbox {SANDBOX}; frame-ancestors {{ancestors}}"
)


def csp(*, images: bool, ancestors: str) -> str:
    """What an email may: show itself and its pictures."""
    return _CSP.format(images="https: data:" if images else "'none'", ancestors=ancestors)


def router(table: Table, permit: Permit, ancestors: str) -> APIRouter:
    """The emails of a table.

    Args:
        permit: raises where the request is nobody's. ancestors: the origins that may frame an email, in the words of a CSP.
    """
    made = APIRouter(include_in_schema=False)

    @made.get("/mail/{key}/{name}/{which}")
    def mail(request: Request, key: str, name: str, which: str) -> Response:
        """One edition as its reader sees it."""
        permit(request)
        view = view_of(request.query_params)
        letter = shown.letter(table, shown.find(table, name, which))
        headers = {"Content-Security-Policy": csp(images=view.images, ancestors=ancestors), "Cache-Control": "no-store"}
        return HTMLResponse(changed(letter.html, view), headers=headers)

    return made
