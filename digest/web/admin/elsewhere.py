"""In by another service (OpenID Connect): off to it, and back. The way back is a GET that logs in: the standard has it so.

It counts once, for the browser that began it, within ten minutes, and only with a code that the provider takes from us.
"""

from __future__ import annotations

import base64
import binascii
import logging
from datetime import UTC, datetime
from urllib.parse import quote

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from digest import identities, oidc, signin, tries
from digest.accounts import Person
from digest.errors import StoreError
from digest.oidc import Begun, Refusal
from digest.oidc_wire import Away, Provider
from digest.tries import Try
from digest.web.admin import guard
from digest.web.admin.entering import browser
from digest.web.admin.guard import OPEN, guarded
from digest.web.admin.look import page
from digest.web.guard import network, own_hosts
from digest.web.look import workspace_of

log = logging.getLogger(__name__)
router = APIRouter()

BACK = "/admin/oidc/back"
_SEALED = "log-in elsewhere"


@guarded(router, "GET", "/admin/oidc", OPEN)
def off(request: Request) -> Response:
    """Off to the provider. With ``again`` whoever is logged in proves to it who they are."""
    provider, workspace = _provider(request), workspace_of(request)
    session = guard.session_of(request).sid if request.query_params.get("again") else ""
    begun = oidc.begin(guard.own_path(request.query_params.get("to", "")), datetime.now(UTC), session)
    try:
        address = oidc.address(provider.metadata(), begun, provider.settings.client_id, _back_uri(request))
    except Away as error:
        raise _away(error) from error
    answer = RedirectResponse(address, status_code=303)
    sealed = base64.urlsafe_b64encode(workspace.store.vault.seal(oidc.carried(begun), _SEALED)).decode()
    seconds = int(oidc.LASTS.total_seconds())
    answer.set_cookie(_cookie(request), sealed, path="/", max_age=seconds, secure=guard.is_https(request), httponly=True, samesite="lax")
    return answer


@guarded(router, "GET", BACK, OPEN)
def back(request: Request) -> Response:
    """Back from the provider."""
    answer = _settled(request)
    answer.delete_cookie(_cookie(request), path="/", secure=guard.is_https(request), httponly=True, samesite="lax")
    return answer


@guarded(router, "GET", "/admin/oidc/proved", "account.own")
def proved(request: Request) -> Response:
    """Where a proof ends that was begun beside a form."""
    return page(request, "proved.html.j2")


def _settled(request: Request) -> Response:
    provider, workspace, asked = _provider(request), workspace_of(request), request.query_params
    where = network(request)
    counted = Try("elsewhere", "", where)
    try:
        begun = oidc.check_answer(_begun(request), provider.metadata(), asked.get("state", ""), asked.get("iss"), datetime.now(UTC))
        guard.admit(request, counted)
        if not identities.use_once(workspace, begun):
            raise Refusal("the answer came before")
        code = asked.get("code", "")
        if "error" in asked or not 1 <= len(code) <= 4096:
            raise Refusal("the provider let nobody in")
        claims = provider.claims(code, begun, _back_uri(request))
        person = identities.person_of(workspace, claims, provider.settings, only_linked=bool(begun.session))
        if begun.session:
            return _proved(request, begun, claims, person)
    except Away as error:
        raise _away(error) from error
    except Refusal as error:
        log.warning("a log-in by another service was refused", extra={"action": "login", "why": str(error)})
        label = provider.settings.label
        text = f"Either {label} let you in as somebody who has no account here, or that took too long. Begin again, or ask an admin."
        raise guard.Refused("That did not let you in", text) from error
    if old := signin.read(workspace, request.cookies.get(guard.cookie_name(request), "")):
        signin.leave(workspace, old)
    waits = person.second_factor and not claims.second_factor
    proved_at = claims.authenticated_at or datetime.fromtimestamp(0, UTC)
    agent = browser(request.headers.get("user-agent", ""))
    token = signin.begin(workspace, person, where, agent, code_first=waits, how="oidc", proved_at=proved_at)
    answer = RedirectResponse(f"/admin/code?to={quote(begun.to)}" if waits else begun.to, status_code=303)
    guard.put_cookie(request, answer, token)
    if not waits:
        tries.right(workspace, counted)
    return answer


def _proved(request: Request, begun: Begun, claims: oidc.Claims, person: Person) -> Response:
    """Whoever is logged in has proved it again: the same person, in the same session."""
    session = guard.session_of(request)
    if session.sid != begun.session:
        raise Refusal("another session has begun meanwhile")
    if person.second_factor and not claims.second_factor:
        raise Refusal("the provider asked for no second factor, and the person has one here")
    if not signin.proved_elsewhere(workspace_of(request), session, person):
        raise Refusal("it was somebody else than who is logged in")
    return RedirectResponse(begun.to, status_code=303)


def _provider(request: Request) -> Provider:
    found: Provider | None = request.app.state.provider
    if found is None:
        raise guard.Refused("There is nothing here", "This newsletter has no log-in by another service.", 404)
    return found


def _away(error: Away) -> guard.Refused:
    log.error("the provider of log-ins cannot be asked", extra={"action": "login", "why": str(error)})
    return guard.Refused(
        "That is not possible just now", "The other service does not answer. Try again in a moment, or use your password.", 503
    )


def _cookie(request: Request) -> str:
    return f"{guard.cookie_name(request)}-oidc"


def _begun(request: Request) -> Begun | None:
    """The log-in that this browser began, as it carries it."""
    try:
        sealed = base64.urlsafe_b64decode(request.cookies.get(_cookie(request), "")[:4096])
        return Begun.model_validate_json(workspace_of(request).store.vault.open(sealed, _SEALED))
    except (binascii.Error, ValueError, StoreError, ValidationError):
        return None


def _back_uri(request: Request) -> str:
    """Where the provider sends the browser: the newsletter's own address, or this machine's where somebody works on it."""
    host, _ = own_hosts(request)
    base = f"{request.url.scheme}://{host}" if guard.is_loopback(host) else workspace_of(request).config.newsletter.url
    return base + BACK
