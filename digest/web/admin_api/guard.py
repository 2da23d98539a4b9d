"""What stands before every route: whose key is it, may it, how many calls are left, and was the same asked before."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from digest import api_keys, repeats
from digest.errors import StoreError
from digest.scopes import SCOPES, Key
from digest.web.admin.guard import is_safe
from digest.web.admin_api.problems import Fault, Refused, responses
from digest.web.look import workspace_of
from digest.workspace import Workspace

ANY = "any"  # whatever the key may do
OPEN = "open"  # without a key
ROUTES: dict[tuple[str, str], str] = {}  # every route and the scope it asks for
MOST_BYTES = 1024 * 1024  # of a body
_LONGEST_WORD = 200
_BEARER = {"WWW-Authenticate": 'Bearer realm="digest"'}

_WORD = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "any word of up to 200 visible characters, another for each call; the same call again is answered as before",
    "schema": {"type": "string", "minLength": 1, "maxLength": _LONGEST_WORD, "pattern": "^[!-~]+$"},
}


def scoped(
    router: APIRouter, method: str, path: str, scope: str, *, may: tuple[str, ...] = (), status: int = 200, once: bool = False, **more: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a route that only lets keys with ``scope`` through. ``may`` are further kinds of problems that it may answer; ``once``:
    an Idempotency-Key counts. ``more`` goes to the router.
    """
    if scope not in SCOPES and scope not in (ANY, OPEN):
        raise ValueError(f"{scope} is no scope")
    ROUTES[(method, path)] = scope
    kinds = ["fault"]
    if scope != OPEN:
        kinds += ["no-key", "only-https", "too-many", "unavailable", *(["missing-scope"] if scope != ANY else [])]
    if "{" in path:
        kinds += ["not-found", "invalid"]
    if method != "GET":
        kinds += ["not-json", "too-large", "invalid", "refused", "conflict", "busy", *(["at-work", "other-body"] if once else [])]
    described = responses(*dict.fromkeys((*kinds, *may)))
    extra: dict[str, Any] = {"security": [] if scope == OPEN else [{"key": [] if scope == ANY else [scope]}]}
    if once:
        extra["parameters"] = [_WORD]
    given = more.pop("responses", {})

    def add(endpoint: Callable[..., Any]) -> Callable[..., Any]:
        router.add_api_route(
            path,
            endpoint,
            methods=[method],
            status_code=status,
            responses={**described, **given},
            openapi_extra=extra,
            route_class_override=_class_for(scope, once),
            **more,
        )
        return endpoint

    return add


@functools.cache
def _class_for(scope: str, once: bool) -> type[APIRoute]:
    class Guarded(APIRoute):
        """A route behind a key."""

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            inner = super().get_route_handler()

            async def handle(request: Request) -> Response:
                if scope != OPEN:
                    await run_in_threadpool(enter, request, scope)
                await _limited(request)
                return await (_once(request, inner) if once else inner(request))

            return handle

    return Guarded


def enter(request: Request, scope: str) -> None:
    """Let a call through or raise; nothing that is asked for has been looked at yet.

    Raises:
        Refused: no key that works, or not for this.
        Spent: it has no calls left.
    """
    if not is_safe(request):
        raise Refused("only-https", "the API is reached by https, or on the machine that it runs on; that key should be revoked now")
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    key = api_keys.check(workspace_of(request), token.strip()) if kind.lower() == "bearer" else None
    if key is None:
        raise Refused("no-key", "send a key that works: Authorization: Bearer dk_…", headers=_BEARER)
    request.app.state.allowance.take(workspace_of(request), key)
    if scope != ANY and scope not in key.scopes:
        raise Refused("missing-scope", f"this needs {scope}, which the key was not given; an admin can make another", scope=scope)
    request.state.key = key


def key_of(request: Request) -> Key:
    """The key that came with a call."""
    found: Key = request.state.key
    return found


def acting(request: Request) -> Workspace:
    """The workspace as the key acts on it, now: what it does is recorded under its name."""
    workspace = workspace_of(request)  # opened when the server began, which may be weeks ago
    return replace(workspace, who=key_of(request).actor, web=True, on=workspace.today, at=datetime.now(UTC))


async def _limited(request: Request) -> None:
    """Read the body, as far as it may be. What reads it after this has it from here."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise Refused("too-large", f"a body has at most {MOST_BYTES} bytes; send rows in parts")
    request._body = bytes(body)  # where `Request.body` keeps it


async def _once(request: Request, inner: Callable[[Request], Coroutine[Any, Any, Response]]) -> Response:
    """Do what is asked, or answer as before where the same was asked under the same word."""
    word = request.headers.get("idempotency-key")
    if word is None:
        return await inner(request)
    if not 0 < len(word) <= _LONGEST_WORD or not all("!" <= letter <= "~" for letter in word):
        text = f"1 to {_LONGEST_WORD} visible characters"
        raise Refused("invalid", "see errors", errors=[Fault(detail=text, parameter="Idempotency-Key")])
    workspace, key = workspace_of(request), key_of(request).id
    asked = f"{request.method} {request.scope['path']}?{request.url.query}\n{(await request.body()).hex()}"
    before = await run_in_threadpool(repeats.begin, workspace, key, word, asked)
    if before is not None:
        headers = {"Idempotency-Replayed": "true", **({"Location": before.location} if before.location else {})}
        return Response(before.body or None, before.status, headers, "application/json" if before.body else None)
    try:
        answer = await inner(request)
    except Exception:
        with contextlib.suppress(StoreError):  # then it is taken for one whose process died
            await run_in_threadpool(repeats.forget, workspace, key, word)
        raise
    kept = repeats.Answer(answer.status_code, answer.headers.get("location", ""), bytes(answer.body).decode())
    with contextlib.suppress(StoreError):  # it is done all the same, and said to be
        await run_in_threadpool(repeats.finish, workspace, key, word, kept)
    return answer
