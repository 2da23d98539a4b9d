"""Who sits at the desk. Everything asks one small function, ``who(request) -> Person``; what it asks is its own affair."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

from fastapi import HTTPException, Request
from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from digest.web.guard import same_origin


class Role(IntEnum):
    """What somebody may do; who may do more may do all that is less."""

    VIEWER = 1
    EDITOR = 2
    APPROVER = 3
    ADMIN = 4

    @property
    def word(self) -> str:
        """As people say it."""
        return self.name.lower()


class Person(NamedTuple):
    """Who asks: the name that decisions are recorded under, the role, and the secret of their session, which their forms are bound to."""

    name: str
    role: Role
    session: str


Who = Callable[[Request], Person]


def require(request: Request, role: Role) -> Person:
    """The person, if they may.

    Raises:
        HTTPException: 403, that takes another role; or whatever ``who`` answers a stranger with.
    """
    who: Who = request.app.state.who
    person = who(request)
    if person.role < role:
        raise HTTPException(403, f"that takes the role {role.word}; yours is {person.role.word}")
    request.state.person = person
    return person


def viewer(request: Request) -> Person:
    """Somebody who may look."""
    return require(request, Role.VIEWER)


def editor(request: Request) -> Person:
    """Somebody who may change an issue."""
    return require(request, Role.EDITOR)


def approver(request: Request) -> Person:
    """Somebody who may let an issue leave."""
    return require(request, Role.APPROVER)


def reader_seer(request: Request) -> Person:
    """Somebody who may see readers: who is on the list, and what one of them gets."""
    return require(request, Role.ADMIN)


# --- forms ---------------------------------------------------------------------------------------------------------------


def form_token(person: Person) -> str:
    """What every form of this person carries; any process that knows the session takes it."""
    return hmac.new(person.session.encode(), b"a form of the desk", hashlib.sha256).hexdigest()[:32]


def require_own_form(request: Request, person: Person, token: str) -> None:
    """The form was shown by us to this very person, and sent from our own page.

    Raises:
        HTTPException: 403.
    """
    if not same_origin(request):
        raise HTTPException(403, "that came from another page")
    if not hmac.compare_digest(token.encode(), form_token(person).encode()):
        raise HTTPException(403, "that form was shown by an earlier run of the desk: go back, reload the page, and send it again")


# --- on one's own machine ------------------------------------------------------------------------------------------------


class Door:
    """Lets in who came with the address that `digest preview` printed, and knows them again by a cookie from then on."""

    def __init__(self, name: str, port: int) -> None:
        self.token = secrets.token_urlsafe(24)
        self._name, self._cookie = name, f"digest-desk-{port}"  # cookies are not parted by port

    def who(self, request: Request) -> Person:
        """The person at this machine; an admin, for the files and the database are theirs anyway.

        Raises:
            HTTPException: 401, without the cookie.
        """
        if not hmac.compare_digest(request.cookies.get(self._cookie, "").encode(), self.token.encode()):
            raise HTTPException(401, "open the address that `digest preview` printed: it has the key")
        return Person(self._name, Role.ADMIN, self.token)

    def admit(self, request: Request) -> Response | None:
        """The answer to an address with the key: the same without it, and the cookie. None where there is no key."""
        given = request.query_params.get("key")
        if given is None or request.method != "GET":
            return None
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            return PlainTextResponse("That key is of an earlier run; open the address that `digest preview` printed.", 401)
        # Not the path as it came: "//elsewhere" would lead there.
        answer = RedirectResponse("/" + request.url.path.lstrip("/\\"), 303, {"Cache-Control": "no-store"})
        answer.set_cookie(self._cookie, self.token, httponly=True, samesite="strict", path="/")
        return answer


class KeyToCookie:
    """Takes the key out of the address before anything else sees it."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self.app, self._door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (answer := self._door.admit(Request(scope, receive))) is not None:
            await answer(scope, receive, send)
            return
        await self.app(scope, receive, send)


class OwnHost:
    """Answers only to the names that this machine has for itself: another name that leads here is an attack (DNS rebinding)."""

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self.app, self._names = app, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        hosts = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or hosts[0] not in self._names:
            await PlainTextResponse("This desk answers to its own address alone.", 421)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def own_names(port: int) -> frozenset[str]:
    """What this machine is called by its own browser."""
    return frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost"))


class Headers:
    """Puts these headers on every answer that has not set its own."""

    def __init__(self, app: ASGIApp, headers: dict[str, str]) -> None:
        self.app, self._headers = app, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)
