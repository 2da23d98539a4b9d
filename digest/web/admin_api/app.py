"""The application, and how it describes itself."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi

import digest
from digest.api_keys import Allowance
from digest.model import Frozen, Instant
from digest.scopes import SCOPES
from digest.web.admin_api import audit, guard, issues, lists, reader, readers, reports, segments
from digest.web.admin_api.guard import ANY, OPEN, scoped
from digest.web.admin_api.problems import Problem, handle

PATH = "/api/v1"
PARTS = (lists, readers, reader, segments, issues, reports, audit)

router = APIRouter(tags=["key"])

_ABOUT = """\
What the admin's pages do, for programs. A key is made by an admin (`digest api-keys add`, or *Keys* in the admin) and is sent as
`Authorization: Bearer dk_…`. Problems are told as RFC 9457 describes. docs/api.md walks through it."""


class OwnKey(Frozen):
    """The key that the call came with."""

    name: str
    scopes: tuple[str, ...]
    expires_at: Instant | None
    calls_per_hour: int


@scoped(router, "GET", "/key", ANY)
def own_key(request: Request) -> OwnKey:
    """Which key this is, what it may do, and until when."""
    key = guard.key_of(request)
    an_hour = guard.acting(request).config.api.calls_per_hour
    return OwnKey(name=key.name, scopes=key.scopes, expires_at=key.expires_at, calls_per_hour=an_hour)


@scoped(router, "GET", "/openapi.json", OPEN, include_in_schema=False)
def described(request: Request) -> dict[str, Any]:
    """This description. It is public: it says what can be asked, and holds nothing of the newsletter or its readers."""
    found: dict[str, Any] = request.app.openapi()
    return found


def make_api() -> FastAPI:
    """The application; ``state.workspace`` is set by whoever mounts it."""
    app = FastAPI(
        title="Digest: the admin's API", version=digest.__version__, openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.state.allowance = Allowance()
    for part in (router, *(part.router for part in PARTS)):
        app.include_router(part)
    handle(app)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            version=app.version,
            description=_ABOUT,
            routes=app.routes,
            servers=[{"url": PATH}],
            separate_input_output_schemas=True,
        )
        parts = made.setdefault("components", {})
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
        parts.setdefault("schemas", {}).update({**problem.pop("$defs", {}), "Problem": problem})
        words = "; ".join(f"`{scope}`: {about}" for scope, about in SCOPES.items())
        parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "description": f"A key. Scopes: {words}."}}
        for path in made["paths"].values():
            for operation in path.values():  # FastAPI's own words of it, where a route says nothing
                operation["responses"] = {status: one for status, one in operation["responses"].items() if "HTTPValidation" not in str(one)}
        app.openapi_schema = made
    return app.openapi_schema
