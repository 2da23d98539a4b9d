"""What is answered where something cannot be done: problem details (RFC 9457), each kind under a name that stays.

``type`` is a name and no address to look at; docs/api.md lists them. No problem repeats an address, nor tells more of what
there is than the key may see.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from digest import interests
from digest.admin.reader_edits import Unfit
from digest.api_keys import Spent
from digest.errors import AccountError, BusyError, ConfigError, DigestError, IssueError, StoreError
from digest.repeats import AtWork, OtherBody
from digest.web.look import workspace_of
from digest.web.shield import Shield, place_of

log = logging.getLogger(__name__)

TYPE = "urn:digest:problem:"
MEDIA = "application/problem+json"
_RETRY_S = 10


class Kind(NamedTuple):
    """A kind of problem: its status and title."""

    status: int
    title: str


KINDS: Mapping[str, Kind] = {
    "not-json": Kind(400, "The body is no JSON"),
    "no-key": Kind(401, "A key is needed"),
    "missing-scope": Kind(403, "The key lacks a scope"),
    "only-https": Kind(403, "Only by https"),
    "not-found": Kind(404, "There is nothing here"),
    "method": Kind(405, "Not in this way"),
    "conflict": Kind(409, "As things stand this cannot be done"),
    "stale": Kind(409, "It has changed since you looked"),
    "busy": Kind(409, "Somebody is at work"),
    "at-work": Kind(409, "The same call is at work"),
    "too-large": Kind(413, "The body is too large"),
    "invalid": Kind(422, "What was sent does not fit"),
    "refused": Kind(422, "This cannot be done"),
    "other-body": Kind(422, "The Idempotency-Key belongs to another call"),
    "too-many": Kind(429, "The key has used up its calls"),
    "fault": Kind(500, "A fault of ours"),
    "unavailable": Kind(503, "Not possible just now"),
}


class Fault(BaseModel):
    """What is wrong with one value: in the ``body`` by its JSON Pointer, else by the ``parameter``."""

    detail: str
    pointer: str | None = Field(default=None, description="a JSON Pointer into the body, as a fragment: #/interests/0")
    parameter: str | None = Field(default=None, description="of the path, the query or the headers")


class Problem(BaseModel):
    """Problem details, RFC 9457."""

    type: str = Field(description="the kind of problem, a name that stays", pattern=f"^{TYPE}[a-z-]+$")
    title: str
    status: int
    detail: str
    errors: list[Fault] | None = Field(default=None, description="which values do not fit")
    scope: str | None = Field(default=None, description="the scope that is missing")


class Refused(Exception):
    """Answer with a problem of this kind."""

    def __init__(
        self, kind: str, detail: str = "", *, errors: Sequence[Fault] = (), scope: str = "", headers: Mapping[str, str] = {}
    ) -> None:
        super().__init__(kind)
        self.kind, self.detail, self.errors, self.scope, self.headers = kind, detail, tuple(errors), scope, dict(headers)


def not_found() -> Refused:
    """The same for whatever is not there, was there, or may not be known of."""
    return Refused("not-found", "there is nothing of that name or id")


def answer(refused: Refused) -> Response:
    """The problem as it is sent."""
    kind = KINDS[refused.kind]
    problem = Problem(
        type=TYPE + refused.kind,
        title=kind.title,
        status=kind.status,
        detail=refused.detail or kind.title,
        errors=list(refused.errors) or None,
        scope=refused.scope or None,
    )
    body = problem.model_dump(exclude_none=True)
    return JSONResponse(body, status_code=kind.status, media_type=MEDIA, headers=refused.headers)


def responses(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """The same for the description of a route: each status once, with the names that it may have."""
    found: dict[int | str, dict[str, Any]] = {}
    for status in sorted({KINDS[kind].status for kind in kinds}):
        names = [kind for kind in kinds if KINDS[kind].status == status]
        one: dict[str, Any] = {
            "description": "; ".join(KINDS[kind].title for kind in names),
            "content": {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        if headers := _HEADERS.get(status):
            one["headers"] = {name: {"description": about, "schema": {"type": "string"}} for name, about in headers.items()}
        found[status] = one
    return found


_HEADERS: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": "Bearer"},
    429: {"Retry-After": "seconds until the next call is let in"},
    503: {"Retry-After": "seconds"},
}


def handle(app: FastAPI) -> None:
    """Answer whatever goes wrong with a problem."""
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(DigestError, _told)
    app.add_exception_handler(HTTPException, plain)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_middleware(Shield, broken=_broken)


def of_error(error: DigestError) -> Refused:
    """What a step of ours refused, in its own words, which hold no address."""
    match error:
        case Spent():
            return Refused("too-many", str(error), headers={"Retry-After": str(error.retry_after_s)})
        case OtherBody():
            return Refused("other-body", str(error), errors=[Fault(detail=str(error), parameter="Idempotency-Key")])
        case AtWork():
            return Refused("at-work", str(error))
        case BusyError():
            return Refused("busy", str(error))
        case StoreError():
            return Refused("unavailable", "the database is held up; ask again in a moment", headers={"Retry-After": str(_RETRY_S)})
        case IssueError() | AccountError():
            return Refused("conflict", str(error))
        case Unfit():
            pointer = f"#/{error.field}" + (f"/{error.place}" if error.place is not None else "")
            return Refused("invalid", str(error), errors=[Fault(detail=str(error), pointer=pointer)])
        case ConfigError() | DigestError():
            return Refused("refused", str(error))


def lists_are_wrong(request: Request) -> bool:
    """Whether the lists cannot be read just now: whatever asks for them waits until somebody has mended the file."""
    return bool(interests.examine(workspace_of(request).path)[1])


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return answer(error)


def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, DigestError)
    refused = of_error(error)
    if isinstance(error, ConfigError) and lists_are_wrong(request):
        refused = Refused("unavailable", "interests.yaml has a mistake; `digest check` says where", headers={"Retry-After": "60"})
    if refused.kind == "unavailable":
        log.error("a call could not be answered", extra={"action": "api", "why": str(error), "route": _route(request)})
    return answer(refused)


def plain(_: Request, error: Exception) -> Response:
    """Nothing there, not in this way."""
    assert isinstance(error, HTTPException)
    kind = {400: "not-json", 404: "not-found", 405: "method", 413: "too-large"}.get(error.status_code, "fault")
    refused = not_found() if kind == "not-found" else Refused(kind)
    refused.headers |= dict(error.headers or {})
    return answer(refused)


def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(one["type"] == "json_invalid" for one in found):
        return answer(Refused("not-json"))
    return answer(Refused("invalid", "see errors", errors=[_fault(error.body, one["loc"], one["msg"]) for one in found[:100]]))


def _fault(body: Any, place: Sequence[str | int], text: str) -> Fault:
    where, *rest = place or ("body",)
    if where != "body":
        return Fault(detail=text, parameter=str(rest[0]) if rest else str(where))
    return Fault(detail=text, pointer="#" + "".join(f"/{_escaped(str(step))}" for step in steps_in(body, rest)))


def steps_in(body: Any, place: Sequence[str | int]) -> list[str | int]:
    """Pure: the steps of a place that lead through the body; pydantic puts the kind of a change among them, which is none."""
    found, here = list[str | int](), body
    for n, step in enumerate(place):
        there = step in here if isinstance(here, dict) else isinstance(here, list) and isinstance(step, int) and step < len(here)
        if there or n == len(place) - 1:  # the last one may be missing: that is what is wrong
            found.append(step)
            here = here[step] if there else None
    return found


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")


def _broken(request: Request, error: Exception) -> Response:
    """A fault of ours. The log has the kind of error and its place, never what somebody sent."""
    log.error("a call failed", extra={"action": "api", "why": type(error).__name__, "place": place_of(error), "route": _route(request)})
    return answer(Refused("fault", "it is in our log; nothing more is known of it here"))


def _route(request: Request) -> str:
    return getattr(request.scope.get("route"), "path", "")
