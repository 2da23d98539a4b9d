"""A link that is lost or too old is replaced by mail; the answer is the same for every address."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from digest import join
from digest.addresses import parse
from digest.web import guard
from digest.web.joining import email_error, too_many
from digest.web.look import Form, form_of, page, tongue_for, workspace_of

router = APIRouter(include_in_schema=False)


@router.api_route("/links", methods=["GET", "HEAD"])
def ask(request: Request) -> Response:
    """The form for a new link."""
    return page(request, "links.html.j2", tongue_for(request), lost=False, stamp=guard.stamp(workspace_of(request)), email="", errors={})


@router.post("/links")
def send(request: Request, form: Annotated[Form, Depends(form_of)]) -> Response:
    """Take in that somebody wants their links; whether there are any goes by mail alone."""
    spoken = tongue_for(request, form.one("lang"))
    workspace = workspace_of(request)
    sent = RedirectResponse(f"/links/sent?lang={spoken.code}", status_code=303)
    if form.one(guard.HONEYPOT):
        return sent
    email, errors, status = form.one("email"), {}, 422
    try:
        parse(email)
    except ValueError:
        errors["email"] = email_error(email, spoken)
    if not errors and not guard.in_time(workspace, form):
        errors["form"] = spoken.t("Please press the button once more.")
    if not errors and not request.app.state.gate.admits(guard.network(request)):
        errors["form"], status = too_many(spoken), 429
    if errors:
        return page(request, "links.html.j2", spoken, status=status, lost=False, stamp=guard.stamp(workspace), email=email, errors=errors)
    join.ask_for_links(workspace, email, spoken.code)
    request.app.state.asked()
    return sent


@router.api_route("/links/sent", methods=["GET", "HEAD"])
def look_for_the_mail(request: Request) -> Response:
    """What happens next."""
    return page(request, "sent.html.j2", tongue_for(request), what="links", embed=False)
