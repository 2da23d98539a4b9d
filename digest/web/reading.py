"""The web copy of one's own edition, and the page with exactly the pieces that were left out of it for length."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from digest import webcopy
from digest.web import tokening
from digest.web.look import page, tongue_for, workspace_of
from digest.web.shown import shown
from digest.webcopy import Copy

router = APIRouter(include_in_schema=False)

# An email styles itself; beyond its pictures it may load nothing, and do nothing.
_CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src https:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"


def _copy(request: Request, token: str) -> tuple[Copy, str]:
    did = tokening.read(request, "web", token).about
    return webcopy.find(workspace_of(request), did), did


@router.api_route("/w/{token}", methods=["GET", "HEAD"])
def web_copy(request: Request, token: str) -> Response:
    """The email as a page."""
    copy, did = _copy(request, token)
    spoken = tongue_for(request, copy.reader.language)
    return HTMLResponse(webcopy.html(workspace_of(request), copy, did, spoken), headers={"Content-Security-Policy": _CSP})


@router.api_route("/w/{token}/more", methods=["GET", "HEAD"])
def overflow(request: Request, token: str) -> Response:
    """What did not fit into the email, and nothing else."""
    copy, _ = _copy(request, token)
    workspace = workspace_of(request)
    spoken = tongue_for(request, copy.reader.language)
    pieces = [
        shown(piece, spoken, workspace.zone, workspace.config.newsletter.language, copy.later.get(piece.id)) for piece in copy.left_out
    ]
    return page(request, "more.html.j2", spoken, pieces=pieces, on=spoken.day(copy.material.slot.local_date), email=f"/w/{token}")
