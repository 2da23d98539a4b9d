"""One's own account: password, second factor, recovery codes, where one is logged in."""

from __future__ import annotations

import base64
import binascii

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from digest import identities, staff, totp
from digest.errors import AccountError, StoreError
from digest.web.admin import guard
from digest.web.admin.guard import Filled, guarded
from digest.web.admin.look import page
from digest.web.look import workspace_of
from digest.workspace import Workspace

router = APIRouter()

_DONE = {
    "password": "Your password is changed. Your other sessions have ended.",
    "off": "The second factor is off: the password alone is enough now.",
    "ended": "Ended. Whoever used that session has to log in again.",
}


@guarded(router, "GET", "/admin/account", "account.own")
def account(request: Request) -> Response:
    """Everything about oneself."""
    session = guard.session_of(request)
    workspace = guard.acting(request)
    return page(
        request,
        "account.html.j2",
        done=_DONE.get(request.query_params.get("done", ""), ""),
        sessions=staff.sessions(workspace, session.person.name),
        here=session.sid,
        identity=identities.of(workspace, session.person.name),
        codes_left=staff.codes_left(workspace, session.person.name),
    )


@guarded(router, "GET", guard.OWN_PASSWORD, "account.secure")
def ask_password(request: Request) -> Response:
    """The form."""
    return page(request, "password.html.j2", error="")


@guarded(router, "POST", guard.OWN_PASSWORD, "account.secure")
def change_password(request: Request, form: Filled) -> Response:
    """Another password; all other sessions end."""
    session = guard.session_of(request)
    password = form.one("password", 1024)
    try:
        if password != form.one("repeated", 1024):
            raise AccountError("the two are not the same")
        if session.person.must_change and staff.has_password(workspace_of(request), session.person.name, password):
            raise AccountError("that is the password you were given; choose one that only you know")
        staff.set_password(guard.acting(request), session.person.name, password, but=session.sid)
    except AccountError as error:
        return page(request, "password.html.j2", status=422, error=str(error))
    return RedirectResponse("/admin/account?done=password", status_code=303)


@guarded(router, "GET", "/admin/account/second-factor", "account.secure")
def ask_second_factor(request: Request) -> Response:
    """A new secret as a picture and in letters. It is nobody's until a code shows that the app has it."""
    return _set_up(request, staff.new_secret(), "")


@guarded(router, "POST", "/admin/account/second-factor", "account.secure")
def turn_on(request: Request, form: Filled) -> Response:
    """On, if the code fits; then the recovery codes are shown, this once."""
    workspace, person = guard.acting(request), guard.who(request)
    try:
        secret = _unsealed(workspace, person.id, form.one("secret", 1000))
        codes = staff.turn_on(workspace, person.name, secret, form.one("code"))
    except StoreError:
        return RedirectResponse("/admin/account/second-factor", status_code=303)
    except AccountError as error:
        return _set_up(request, secret, str(error))
    return page(request, "codes.html.j2", codes=codes)


@guarded(router, "GET", "/admin/account/codes", "account.secure")
def ask_codes(request: Request) -> Response:
    """Before new recovery codes."""
    return page(request, "new_codes.html.j2")


@guarded(router, "POST", "/admin/account/codes", "account.secure")
def make_codes(request: Request) -> Response:
    """New recovery codes, shown this once."""
    return page(request, "codes.html.j2", codes=staff.new_codes(guard.acting(request), guard.who(request).name))


@guarded(router, "POST", "/admin/account/second-factor/off", "account.secure")
def turn_off(request: Request) -> Response:
    """The password alone again."""
    staff.turn_off(guard.acting(request), guard.who(request).name)
    return RedirectResponse("/admin/account?done=off", status_code=303)


@guarded(router, "POST", "/admin/account/sessions", "account.own")
def end_session(request: Request, form: Filled) -> Response:
    """End one session, or all others."""
    session, workspace = guard.session_of(request), guard.acting(request)
    chosen = form.one("session")
    if chosen and chosen != session.sid:
        staff.revoke(workspace, session.person.name, chosen)
    elif not chosen:
        staff.revoke(workspace, session.person.name, but=session.sid)
    return RedirectResponse("/admin/account?done=ended", status_code=303)


def _set_up(request: Request, secret: bytes, error: str) -> Response:
    import segno

    workspace, person = guard.acting(request), guard.who(request)
    address = totp.address(secret, workspace.config.newsletter.name, person.name)
    picture = segno.make(address, error="m").svg_inline(scale=5, border=4, dark="#000000", light="#ffffff", svgclass="qr", lineclass=None)
    letters = totp.written(secret)
    return page(
        request,
        "second_factor.html.j2",
        status=422 if error else 200,
        error=error,
        picture=picture,
        letters=" ".join(letters[at : at + 4] for at in range(0, len(letters), 4)),
        secret=base64.b64encode(workspace.store.vault.seal(f"{person.id}:{secret.hex()}", "totp set-up")).decode(),
    )


def _unsealed(workspace: Workspace, pid: str, text: str) -> bytes:
    """The secret that this person was shown; nobody can have another's set up for them.

    Raises:
        StoreError: it is not ours, or was shown to somebody else.
    """
    try:
        whose, _, secret = workspace.store.vault.open(base64.b64decode(text, validate=True), "totp set-up").partition(":")
    except binascii.Error as error:
        raise StoreError("not a secret of ours") from error
    if whose != pid:
        raise StoreError("a secret of somebody else")
    return bytes.fromhex(secret)
