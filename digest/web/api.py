"""The JSON API, for joining from one's own site: ``POST /api/subscribe`` and ``GET /api/interests``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from digest import join
from digest.addresses import parse
from digest.admission import TooMany
from digest.join import Application
from digest.model import Audience
from digest.subscribe import clean_name
from digest.tongue import choose
from digest.web import guard
from digest.web.joining import consent_text
from digest.web.look import workspace_of

router = APIRouter(prefix="/api", tags=["subscribe"])


def _address(value: str) -> str:
    try:
        parse(value)
    except ValueError as error:
        raise ValueError("is not an email address that can be written to") from error
    return value


class ApiInterest(BaseModel):
    """A subject people can follow. ``parent`` takes what its children take, too."""

    id: str
    label: str
    description: str
    parent: str | None
    pieces: int = Field(description="how many pieces it brought in the last three months")


class ApiPuzzle(BaseModel):
    """A proof of work in the first format of ALTCHA: find ``number`` with SHA-256 of salt and number = challenge."""

    algorithm: str
    challenge: str
    maxnumber: int
    salt: str
    signature: str


class ApiChoices(BaseModel):
    """What can be chosen, and the words that people must see and agree to before ``POST /api/subscribe``."""

    interests: list[ApiInterest]
    cadences: list[str]
    languages: list[str]
    audiences: list[Audience]
    consent: str
    consent_hash: str
    puzzle: ApiPuzzle | None = Field(description="where many requests are coming in: who solves it is let in all the same")


class ApiApplication(BaseModel):
    """Somebody wants to join. ``consent_hash`` says which words they saw (from ``GET /api/interests``)."""

    model_config = ConfigDict(extra="forbid")

    email: Annotated[str, Field(max_length=400), AfterValidator(_address)]
    name: Annotated[str, Field(max_length=200), AfterValidator(clean_name)] = ""
    interests: Annotated[list[Annotated[str, Field(max_length=63)]], Field(min_length=1, max_length=500)]
    cadence: Annotated[str, Field(max_length=63)] | None = None
    language: Annotated[str, Field(max_length=20)] = ""
    audience: Annotated[list[Audience], Field(max_length=3)] = []
    consent_hash: Annotated[str, Field(max_length=64)]
    proof: Annotated[str, Field(max_length=1200, description="the solved puzzle of GET /api/interests, as base64 of ALTCHA's JSON")] = ""


class ApiAnswer(BaseModel):
    """The same for every address, known or not."""

    next: str = "look for our mail and press the button on the page that its link opens"


@router.get("/interests", responses={503: {"description": "try again after Retry-After"}})
def interests(request: Request, lang: Annotated[str, Field(max_length=20)] = "") -> ApiChoices:
    """What can be followed, how often, and what people must agree to."""
    config = workspace_of(request).config
    lists, counts = request.app.state.glimpse.lists(), request.app.state.glimpse.counts()
    spoken = choose(lang, request.headers.get("accept-language", ""), config.pages.languages, config.newsletter.language)
    text = consent_text(spoken, config.newsletter.name)
    return ApiChoices(
        interests=[
            ApiInterest(id=one.id, label=one.label, description=one.description, parent=one.parent, pieces=counts.get(one.id, 0))
            for one in lists.all
            if not one.retired
        ],
        cadences=list(config.cadences),
        languages=list(config.pages.languages),
        audiences=list(Audience),
        consent=text,
        consent_hash=join.text_hash(text),
        puzzle=ApiPuzzle.model_validate(found) if (found := guard.puzzle(request)) else None,
    )


@router.post(
    "/subscribe",
    status_code=202,
    responses={
        422: {"description": "a field does not fit; says which"},
        429: {"description": "too many requests; try again after Retry-After"},
        503: {"description": "try again after Retry-After; nothing was taken in"},
    },
)
def subscribe(request: Request, application: ApiApplication) -> ApiAnswer:
    """Take an application in. A mail asks the person to confirm; until then they get nothing else."""
    workspace = workspace_of(request)
    config = workspace.config
    lists = request.app.state.glimpse.lists()
    if unknown := [id for id in application.interests if not lists.today((id,))]:
        raise _Unfit("interests", f"{len(unknown)} of them are not among GET /api/interests")
    cadence = application.cadence or next(iter(config.cadences))
    if cadence not in config.cadences:
        raise _Unfit("cadence", "is not one of GET /api/interests")
    texts = {
        join.text_hash(text): (spoken, text)
        for code in config.pages.languages
        for spoken in (choose(code, "", config.pages.languages, config.newsletter.language),)
        for text in (consent_text(spoken, config.newsletter.name),)
    }
    if application.consent_hash not in texts:
        raise _Unfit("consent_hash", "is of no text that is in use; show the one of GET /api/interests")
    spoken, text = texts[application.consent_hash]
    values: dict[str, Any] = {
        "email": application.email,
        "name": application.name,
        "interests": lists.today(application.interests),
        "cadence": cadence,
        "language": application.language if application.language in config.pages.languages else spoken.code,
        "audience": tuple(application.audience),
        "consent": text,
        "channel": "api",
        "network": guard.network(request),
    }
    join.apply(workspace, Application.model_validate(values), request.app.state.gate.asker(request, application.proof))
    request.app.state.asked()
    return ApiAnswer()


class _Unfit(Exception):
    def __init__(self, field: str, why: str) -> None:
        super().__init__(field)
        self.field, self.why = field, why


def unfit(request: Request, error: Exception) -> Response:
    """A field names something that is not there."""
    assert isinstance(error, _Unfit)
    return JSONResponse({"detail": [{"loc": ["body", error.field], "msg": error.why, "type": "value_error"}]}, status_code=422)


def spent(request: Request, error: Exception) -> Response:
    """A budget is spent."""
    assert isinstance(error, TooMany)
    return JSONResponse({"detail": "too many requests"}, status_code=429, headers={"Retry-After": str(error.retry_after_s)})


HANDLERS = {_Unfit: unfit, TooMany: spent}


class Origins:
    """CORS for this API alone, and for the origins of ``pages.api`` alone; no cookies are in play. The admin's API is for no browser."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/api/") or scope["path"].startswith("/api/v1/"):
            await self.app(scope, receive, send)
            return
        origin = Headers(scope=scope).get("origin", "")
        allowed = origin in scope["app"].state.workspace.config.pages.api
        if scope["method"] == "OPTIONS" and origin:
            answer = Response(status_code=204 if allowed else 403)
            if allowed:
                answer.headers["Access-Control-Allow-Methods"] = "GET, POST"
                answer.headers["Access-Control-Allow-Headers"] = "Content-Type"
                answer.headers["Access-Control-Max-Age"] = "600"
                answer.headers["Access-Control-Allow-Origin"] = origin
            answer.headers["Vary"] = "Origin"
            await answer(scope, receive, send)
            return

        async def with_origin(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.append("Vary", "Origin")
                if allowed:
                    headers["Access-Control-Allow-Origin"] = origin
            await send(message)

        await self.app(scope, receive, with_origin)
