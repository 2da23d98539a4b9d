"""Who may log in: add, roles, new passwords, sessions, no more. For admins."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import RedirectResponse, Response

from digest import identities, passwords, staff
from digest.accounts import ABOUT, Person, Role, read_role
from digest.errors import AccountError
from digest.web.admin import guard
from digest.web.admin.guard import Filled, guarded
from digest.web.admin.look import page

router = APIRouter()

_DONE = {
    "role": "{name} is {role} from now on.",
    "off": "The second factor of {name} is off.",
    "expected": "Whoever has that address over there is {name}, the next time they log in by it.",
    "unlinked": "{name} logs in by password alone. Their sessions have ended.",
    "ended": "The sessions of {name} have ended.",
    "disabled": "{name} may log in no more. Their sessions have ended.",
    "enabled": "{name} may log in again.",
}

Pid = Annotated[str, Path(max_length=32)]


@guarded(router, "GET", "/admin/people", "people.see")
def people(request: Request) -> Response:
    """All of them."""
    return _list(request)


def _list(request: Request, error: str = "", name: str = "", role: str = Role.EDITOR) -> Response:
    everybody = staff.everybody(guard.acting(request))
    return page(
        request, "people.html.j2", status=422 if error else 200, everybody=everybody, about=ABOUT, error=error, name=name, role=role
    )


@guarded(router, "POST", "/admin/people", "people.change")
def add(request: Request, form: Filled) -> Response:
    """Somebody new. Their password is made up, shown once, and good for one log-in."""
    password = passwords.made_up()
    try:
        made = staff.add(guard.acting(request), form.one("name"), _role(form.one("role")), password, must_change=True)
    except AccountError as error:
        return _list(request, str(error), form.one("name"), form.one("role"))
    return page(request, "given.html.j2", made=made, password=password, new=True)


@guarded(router, "GET", "/admin/people/{pid}", "people.see")
def somebody(request: Request, pid: Pid) -> Response:
    """One of them."""
    person = _find(request, pid)
    done = _DONE.get(request.query_params.get("done", ""), "").format(name=person.name, role=person.role.value)
    sessions, found = staff.sessions(guard.acting(request), person.name), identities.of(guard.acting(request), person.name)
    return page(request, "somebody.html.j2", one=person, sessions=sessions, about=ABOUT, done=done, identity=found)


@guarded(router, "POST", "/admin/people/{pid}/role", "people.change")
def set_role(request: Request, pid: Pid, form: Filled) -> Response:
    """Another role."""
    staff.set_role(guard.acting(request), _find(request, pid).name, _role(form.one("role")))
    return _back(pid, "role")


@guarded(router, "POST", "/admin/people/{pid}/reset", "people.change")
def reset(request: Request, pid: Pid) -> Response:
    """A made-up password, shown once, good for one log-in."""
    person, given = _find(request, pid), passwords.made_up()
    staff.set_password(guard.acting(request), person.name, given, must_change=True)
    return page(request, "given.html.j2", made=person, password=given, new=False)


@guarded(router, "POST", "/admin/people/{pid}/second-factor-off", "people.change")
def second_factor_off(request: Request, pid: Pid) -> Response:
    """For somebody who lost the device and the recovery codes."""
    staff.turn_off(guard.acting(request), _find(request, pid).name)
    return _back(pid, "off")


@guarded(router, "POST", "/admin/people/{pid}/elsewhere", "people.change")
def expect_elsewhere(request: Request, pid: Pid, form: Filled) -> Response:
    """Whoever has that address at the other service is this person, once."""
    identities.expect(guard.acting(request), _find(request, pid).name, form.one("address"))
    return _back(pid, "expected")


@guarded(router, "POST", "/admin/people/{pid}/elsewhere/off", "people.change")
def unlink_elsewhere(request: Request, pid: Pid) -> Response:
    """Their password alone again."""
    identities.unlink(guard.acting(request), _find(request, pid).name)
    return _back(pid, "unlinked")


@guarded(router, "POST", "/admin/people/{pid}/sessions", "people.change")
def end_sessions(request: Request, pid: Pid) -> Response:
    """They have to log in again."""
    staff.revoke(guard.acting(request), _find(request, pid).name)
    return _back(pid, "ended")


@guarded(router, "POST", "/admin/people/{pid}/disable", "people.change")
def disable(request: Request, pid: Pid) -> Response:
    """They may log in no more."""
    staff.disable(guard.acting(request), _find(request, pid).name)
    return _back(pid, "disabled")


@guarded(router, "POST", "/admin/people/{pid}/enable", "people.change")
def enable(request: Request, pid: Pid) -> Response:
    """They may again."""
    staff.enable(guard.acting(request), _find(request, pid).name)
    return _back(pid, "enabled")


def _find(request: Request, pid: str) -> Person:
    found = next((one for one in staff.everybody(guard.acting(request)) if one.id == pid), None)
    if found is None:
        raise guard.Refused("Nobody there", "There is no such person.", 404)
    return found


def _role(text: str) -> Role:
    try:
        return read_role(text)
    except ValueError as error:
        raise AccountError(str(error)) from error


def _back(pid: str, done: str) -> Response:
    return RedirectResponse(f"/admin/people/{pid}?done={done}", status_code=303)
