"""Keys for programs that call the API: make one, see when each was last used, take one back. For admins."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from digest import api_keys
from digest.errors import AccountError
from digest.scopes import SCOPES
from digest.store import now
from digest.web.admin import guard
from digest.web.admin.guard import Filled, guarded
from digest.web.admin.look import page
from digest.web.admin.telling import DONE, back
from digest.web.look import Form

router = APIRouter()

Name = Annotated[str, Path(max_length=40)]
_SAID = {"revoked": "That key opens nothing any more. Its name stays in the audit log."}


@guarded(router, "GET", "/admin/keys", "keys.see")
def keys(request: Request) -> Response:
    """All of them."""
    return _list(request, Form(()))


@guarded(router, "POST", "/admin/keys", "keys.change")
def add(request: Request, form: Filled) -> Response:
    """A new one, shown this once."""
    text = form.one("expires").strip()
    try:
        try:
            expires = date.fromisoformat(text) if text else None
        except ValueError as error:
            raise AccountError("write the last day as YYYY-MM-DD") from error
        made, token = api_keys.add(guard.acting(request), form.one("name"), form.many("scope"), expires)
    except AccountError as error:
        return _list(request, form, str(error))
    return page(request, "key_given.html.j2", made=made, text=token, expires=expires)


@guarded(router, "GET", "/admin/keys/{name}/revoke", "keys.change")
def ask_revoke(request: Request, name: Name) -> Response:
    """Before it is done: it cannot be taken back."""
    one = next((one for one in api_keys.every(guard.acting(request)) if one.name == name), None)
    if one is None or one.revoked_at is not None:
        raise guard.Refused("No such key", "There is no key of that name that could be revoked.", 404)
    return page(request, "key_revoke.html.j2", one=one)


@guarded(router, "POST", "/admin/keys/{name}/revoke", "keys.change")
def revoke(request: Request, name: Name) -> Response:
    """It opens nothing from now on."""
    api_keys.revoke(guard.acting(request), name)
    return back("/admin/keys", "revoked")


def _list(request: Request, form: Form, error: str = "") -> Response:
    workspace = guard.acting(request)
    found = api_keys.every(workspace)
    with workspace.store.read() as tx:
        at = now(tx)
    return page(
        request,
        "keys.html.j2",
        status=422 if error else 200,
        working=[one for one in found if one.works(at)],
        ended=[one for one in found if not one.works(at)],
        scopes=SCOPES,
        error=error,
        name=form.one("name"),
        chosen=form.many("scope"),
        expires=form.one("expires"),
        said=_SAID.get(request.query_params.get(DONE, ""), ""),
    )
