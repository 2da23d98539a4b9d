"""A draft shown to somebody with a link from the desk: to look at, for a while, and nothing else."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from digest import review
from digest.desk import editions, looking, share
from digest.errors import DigestError, LinkError
from digest.lint.editions import Looked
from digest.readiness import Ready
from digest.web.look import page, tongue_for, workspace_of

router = APIRouter(include_in_schema=False)

# As on the desk: the email stands in a frame where nothing runs and which is nobody's origin.
SANDBOX = "allow-popups allow-popups-to-escape-sandbox"
_CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; form-action 'none'; base-uri 'none'; "
    f"sandbox {SANDBOX}; frame-ancestors 'self'"
)


def _found(request: Request, token: str) -> tuple[share.Shared, Ready, tuple[Looked, ...]]:
    """What the link shows: the issue as it is composed now, and the editions of it.

    Raises:
        LinkError: the link is none of ours, has ended, or the issue cannot be composed at the moment.
    """
    workspace = workspace_of(request)
    shared = share.read(workspace, token)
    kept: editions.Editions = request.app.state.editions
    try:
        ready = kept.ready(workspace, shared.issue)
        if shared.edition:
            looked: tuple[Looked, ...] = (kept.find(workspace, shared.issue, shared.edition),)
        else:
            looked = review.usual(ready, review.editions(workspace, ready))
    except DigestError as error:
        raise LinkError("this link leads to a draft that cannot be read just now") from error
    return shared, ready, looked


@router.api_route("/draft/{token}", methods=["GET", "HEAD"])
def draft(request: Request, token: str) -> Response:
    """The draft as it is now, one edition at a time."""
    shared, _, looked = _found(request, token)
    at = _chosen(request, looked)
    return page(
        request,
        "draft.html.j2",
        tongue_for(request),
        issue=shared.issue,
        until=shared.expires_at,
        here=f"/draft/{quote(token, safe='')}",
        editions=[(n, one.name) for n, one in enumerate(looked)],
        at=at,
        sandbox=SANDBOX,
    )


@router.api_route("/draft/{token}/mail", methods=["GET", "HEAD"])
def mail(request: Request, token: str) -> Response:
    """The email of it, to be framed by the page."""
    _, ready, looked = _found(request, token)
    if not looked:
        raise LinkError("there is nothing to show")
    shown = looking.page(workspace_of(request), ready, looked[_chosen(request, looked)])
    html = shown.html or f"<pre>{_escaped(shown.text)}</pre>"
    return HTMLResponse(html, headers={"Content-Security-Policy": _CSP, "Cache-Control": "no-store"})


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _chosen(request: Request, looked: tuple[Looked, ...]) -> int:
    asked = request.query_params.get("edition", "0")
    return min(int(asked), len(looked) - 1) if looked and asked.isascii() and asked.isdecimal() and len(asked) < 4 else 0
