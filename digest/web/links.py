"""A link that is lost or too old is replaced by mail; the answer is the same for every address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from digest import join
from digest.addresses import parse
from digest.admission import TooMany
from digest.tongue import Tongue
from digest.web import guard
from digest.web.joining import email_error, too_many
from digest.web.look import Form, form_of, page, tongue_for, workspace_of

router = APIRouter(include_in_schema=False)


@router.api_route("/links", methods=["GET", "HEAD"])
def ask(request: Request) -> Response:
    """The form for a new link."""
    return show(request, tongue_for(request))


def show(
    request: Request,
    spoken: Tongue,
    *,
    status: int = 200,
    headers: Mapping[str, str] = {},
    lost: bool = False,
    cut: bool = False,
    email: str = "",
    errors: Mapping[str, str] = {},
) -> Response:
    """The form, with what was typed and what is wrong with it; ``lost`` where a link led here that does not work, ``cut`` where one came
    without what says whose it is.
    """
    stamp, puzzle = guard.stamp(workspace_of(request)), guard.puzzle(request)
    given = {"lost": lost, "cut": cut, "stamp": stamp, "puzzle": puzzle, "email": email, "errors": errors}
    return page(request, "links.html.j2", spoken, status=status, headers=headers, **given)


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
    headers = {}
    if not errors:
        try:
            join.ask_for_links(workspace, email, spoken.code, request.app.state.gate.asker(request, form.one("proof", 1200)))
        except TooMany as error:
            errors["form"], status, headers = too_many(spoken, error), 429, {"Retry-After": str(error.retry_after_s)}
    if errors:
        return show(request, spoken, status=status, headers=headers, email=email, errors=errors)
    request.app.state.asked()
    return sent


@router.api_route("/links/sent", methods=["GET", "HEAD"])
def look_for_the_mail(request: Request) -> Response:
    """What happens next."""
    return page(request, "sent.html.j2", tongue_for(request), what="links", embed=False)
