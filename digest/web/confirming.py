"""The two links of a confirmation mail: yes, and never again. Both open a page with one button; only the button counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response

from digest import join, readers, tokens
from digest.errors import LinkError
from digest.store.signups import Signup
from digest.web import leaving, tokening
from digest.web.look import page, raw_body, tongue_for, workspace_of

router = APIRouter(include_in_schema=False)


def _request_of(request: Request, purpose: tokens.Purpose, token: str) -> Signup:
    """The sign-up that a link is about.

    Raises:
        LinkError: not ours, too old, or let go.
    """
    workspace = workspace_of(request)
    said = tokening.read(request, purpose, token)
    if said.made_at and datetime.now(UTC) - said.made_at > timedelta(days=workspace.config.retention.unconfirmed_days):
        raise LinkError("this link is too old")
    found = join.waiting(workspace, said.about)
    if found is None:
        raise LinkError("this link is not one of ours")
    return found


@router.api_route("/c/{token}", methods=["GET", "HEAD"])
def ask(request: Request, token: str) -> Response:
    """One button."""
    found = _request_of(request, "confirm", token)
    spoken = tongue_for(request, str(found.body.get("language", "")))
    return page(request, "confirm.html.j2", spoken, done=found.state == "done", welcome=False, preferences="")


@router.post("/c/{token}")
def confirm(request: Request, token: str) -> Response:
    """Yes. From here on the person is a subscriber."""
    workspace = workspace_of(request)
    found = _request_of(request, "confirm", token)
    sid = join.confirm(workspace, found.sid)
    if sid is None:
        raise LinkError("this request was withdrawn")
    reader = readers.find(workspace, sid)
    spoken = tongue_for(request, reader.language if reader else "")
    first = found.state == "waiting"
    # The way on only for whoever pressed the button first: the link itself may have been forwarded since.
    own = f"/p/{tokens.sign('preferences', sid, workspace.store.vault.link_keys, datetime.now(UTC))}" if first else ""
    return page(request, "confirm.html.j2", spoken, done=True, welcome=first, preferences=own)


@router.api_route("/n/{token}", methods=["GET", "HEAD"])
def ask_never(request: Request, token: str) -> Response:
    """One button."""
    found = _request_of(request, "never", token)
    return page(request, "never.html.j2", tongue_for(request, str(found.body.get("language", ""))), done=False)


@router.post("/n/{token}")
async def never(request: Request, token: str) -> Response:
    """Never write to that address again; as RFC 8058 has it, too."""
    body = await raw_body(request)
    said = tokening.read(request, "never", token)
    await run_in_threadpool(join.never, workspace_of(request), said.about)
    if leaving.is_one_click(body):
        return PlainTextResponse("done")
    return page(request, "never.html.j2", tongue_for(request), done=True)
