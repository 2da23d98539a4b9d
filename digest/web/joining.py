"""Joining: the page and the form to embed, what the last issue would have been, and the answer that tells nobody anything."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from digest.addresses import parse
from digest.admission import TooMany
from digest.interests import Interests
from digest.join import Application
from digest.model import Audience
from digest.subscribe import clean_name
from digest.tongue import Tongue
from digest.web import guard, look
from digest.web.look import Form, form_of, page, tongue_for, workspace_of

router = APIRouter(include_in_schema=False)

Filled = Annotated[Form, Depends(form_of)]
# An email styles itself, so it stands in a document of its own that may do nothing else.
_EMAIL_CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'; sandbox"
)


class Choice(NamedTuple):
    """An interest as a form shows it; ``depth`` counts the parents above it."""

    id: str
    label: str
    description: str
    depth: int
    pieces: int
    has_children: bool


def choices(request: Request, spoken: Tongue, follows: Collection[str] = ()) -> list[Choice]:
    """The interest tree with what each brought lately, in the order of the file; a retired one only for who ``follows`` it."""
    glimpse = request.app.state.glimpse
    lists: Interests = glimpse.lists()
    counts: Mapping[str, int] = glimpse.counts()
    parents = {one.parent for one in lists.all}
    return [
        Choice(one.id, one.label_in(spoken.code), one.description, lists.depth(one), counts.get(one.id, 0), one.id in parents)
        for one in lists.all
        if not one.retired or one.id in follows
    ]


def consent_text(spoken: Tongue, newsletter: str) -> str:
    """The words that people agree to by joining."""
    return spoken.t(
        "I agree that {newsletter} sends me emails about the subjects I chose. What I choose can say something about my health. "
        "It is kept with my address, which lies encrypted, is used for nothing else, and is given to nobody but the service that "
        "carries the emails. I can change, pause or end this at any time with a link in every email.",
        newsletter=newsletter,
    )


def show(
    request: Request,
    spoken: Tongue,
    form: Form,
    errors: Mapping[str, str],
    *,
    embed: bool = False,
    status: int = 200,
    wait_s: int = 0,
) -> Response:
    """The form, with what was typed before and what is wrong with it; after ``wait_s`` seconds it may be sent again."""
    workspace = workspace_of(request)
    config = workspace.config
    headers = {"Retry-After": str(wait_s)} if wait_s else {}
    if embed:
        ancestors = " ".join(config.pages.embed) or "'none'"
        headers["Content-Security-Policy"] = look.CSP.format(ancestors=ancestors)
    return page(
        request,
        "join.html.j2",
        spoken,
        status=status,
        headers=headers,
        embed=embed,
        choices=choices(request, spoken),
        cadences=[(name, spoken.rhythm(rule)) for name, rule in config.cadences.items()],
        audiences=[one.value for one in Audience],
        consent=consent_text(spoken, config.newsletter.name),
        stamp=guard.stamp(workspace),
        puzzle=guard.puzzle(request),
        form=form,
        errors=errors,
    )


@router.api_route("/", methods=["GET", "HEAD"])
@router.api_route("/subscribe", methods=["GET", "HEAD"])
def ask(request: Request) -> Response:
    """The page to join on."""
    return show(request, tongue_for(request), Form(()), {})


@router.api_route("/embed", methods=["GET", "HEAD"])
def embed(request: Request) -> Response:
    """The same form for a frame in somebody's own site; only the origins of ``pages.embed`` may show it."""
    return show(request, tongue_for(request), Form(()), {}, embed=True)


@router.post("/subscribe")
def subscribe(request: Request, form: Filled) -> Response:
    """Take an application in. The answer is the same for every address, known or not."""
    spoken = tongue_for(request, form.one("lang"))
    embedded = form.one("channel") == "embed"
    if form.one(guard.HONEYPOT):
        return sent(embedded, spoken)
    workspace = workspace_of(request)
    application, errors = read(request, form, spoken)
    if not errors and not guard.in_time(workspace, form):
        errors = {"form": spoken.t("Please look at what you chose and press the button once more.")}
    if errors or application is None:
        return show(request, spoken, form, errors, embed=embedded, status=422)
    try:
        said = request.app.state.applied.do((application, request.app.state.gate.asker(request, form.one("proof", 1200))))
        if isinstance(said, TooMany):
            raise said
    except TooMany as error:
        return show(request, spoken, form, {"form": too_many(spoken, error)}, embed=embedded, status=429, wait_s=error.retry_after_s)
    request.app.state.asked()
    return sent(embedded, spoken)


def too_many(spoken: Tongue, error: TooMany) -> str:
    """Why nothing was taken in, where a budget is spent."""
    return spoken.tn(
        "Too many requests are coming in just now. Nothing you typed is lost: please press the button again in {n} minute.",
        "Too many requests are coming in just now. Nothing you typed is lost: please press the button again in {n} minutes.",
        math.ceil(error.retry_after_s / 60),
    )


def sent(embedded: bool, spoken: Tongue) -> Response:
    """The same way on for everybody: a page that says to look for the mail."""
    return RedirectResponse(f"/subscribe/sent?lang={spoken.code}" + ("&frame=1" if embedded else ""), status_code=303)


@router.api_route("/subscribe/sent", methods=["GET", "HEAD"])
def look_for_the_mail(request: Request) -> Response:
    """What happens next."""
    headers = {}
    if framed := request.query_params.get("frame") == "1":
        ancestors = " ".join(workspace_of(request).config.pages.embed) or "'none'"
        headers["Content-Security-Policy"] = look.CSP.format(ancestors=ancestors)
    return page(request, "sent.html.j2", tongue_for(request), headers=headers, what="join", embed=framed)


def read(request: Request, form: Form, spoken: Tongue) -> tuple[Application | None, dict[str, str]]:
    """What a form holds, and for each field that is wrong the reason."""
    workspace = workspace_of(request)
    errors: dict[str, str] = {}
    email = form.one("email")
    try:
        parse(email)
    except ValueError:
        errors["email"] = email_error(email, spoken)
    interests = request.app.state.glimpse.lists().today(form.many("interest"))
    if not interests:
        errors["interest"] = spoken.t("Choose at least one subject.")
    cadences = workspace.config.cadences
    cadence = form.one("cadence") or next(iter(cadences))
    if cadence not in cadences:
        errors["cadence"] = spoken.t("Choose how often you want the newsletter.")
    name = name_of(form, spoken, errors)
    if errors:
        return None, errors
    values: dict[str, Any] = {
        "email": email,
        "name": name,
        "interests": interests,
        "cadence": cadence,
        "language": language_of(form, spoken, workspace.config.pages.languages),
        "audience": audience_of(form),
        "consent": consent_text(spoken, workspace.config.newsletter.name),
        "channel": "embed" if form.one("channel") == "embed" else "page",
        "network": guard.network(request),
    }
    return Application.model_validate(values), {}


def email_error(email: str, spoken: Tongue) -> str:
    """What is wrong with an address, and how to put it right."""
    if not email.strip():
        return spoken.t("Enter your email address.")
    return spoken.t("This is not an email address we can write to. It should look like name@example.org.")


def name_of(form: Form, spoken: Tongue, errors: dict[str, str]) -> str:
    """The name in a form, which may be empty."""
    try:
        return clean_name(form.one("name", 300).strip())
    except ValueError:
        errors["name"] = spoken.t("The name is too long or holds characters that cannot be shown. Up to 200 letters will do.")
        return ""


def audience_of(form: Form) -> tuple[Audience, ...]:
    """The audiences ticked."""
    chosen = set(form.many("audience"))
    return tuple(one for one in Audience if one.value in chosen)


def language_of(form: Form, spoken: Tongue, offered: tuple[str, ...]) -> str:
    """The language chosen, else the one the page was in."""
    chosen = form.one("language")
    return chosen if chosen in offered else spoken.code


@router.api_route("/preview", methods=["GET", "HEAD"])
def before_a_preview(request: Request) -> Response:
    """What the frame says before anything is chosen."""
    return _in_frame(page(request, "preview.html.j2", tongue_for(request), why="not yet"))


@router.post("/preview")
def preview(request: Request, form: Filled) -> Response:
    """The last issue as it would have come for exactly these choices. Changes nothing and keeps nothing."""
    spoken = tongue_for(request, form.one("lang"))
    workspace, glimpse = workspace_of(request), request.app.state.glimpse
    interests = glimpse.lists().today(form.many("interest"))
    if not interests:
        return _in_frame(page(request, "preview.html.j2", spoken, why="nothing chosen"))
    cadence = form.one("cadence")
    if cadence not in workspace.config.cadences:
        cadence = next(iter(workspace.config.cadences))
    found = glimpse.email(cadence, interests, audience_of(form))
    if found is None:
        return _in_frame(page(request, "preview.html.j2", spoken, why="no news"))
    return HTMLResponse(found[1], headers={"Content-Security-Policy": _EMAIL_CSP})


def _in_frame(answer: Response) -> Response:
    answer.headers["Content-Security-Policy"] = look.CSP.format(ancestors="'self'")
    return answer
