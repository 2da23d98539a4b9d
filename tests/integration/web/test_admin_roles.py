"""Every route behind the log-in against every role. The table here is written by hand and is the other half of the bookkeeping."""

import re

import pytest
from fastapi import APIRouter, FastAPI, Request
from starlette.responses import PlainTextResponse

from digest import staff
from digest.accounts import ACTIONS, Role
from digest.web.admin import guard
from digest.web.app import make_app
from tests.support.site import make_site_folder, serving
from tests.support.staff import Browser, add, code_of

EVERYBODY, HALF = "everybody", "half"  # without a log-in; between the password and the code
TABLE = {
    ("GET", "/admin/login"): EVERYBODY,
    ("POST", "/admin/login"): EVERYBODY,
    ("GET", "/admin/oidc"): EVERYBODY,
    ("GET", "/admin/oidc/back"): EVERYBODY,
    ("GET", "/admin/oidc/proved"): Role.VIEWER,
    ("GET", "/admin/code"): HALF,
    ("POST", "/admin/code"): HALF,
    ("GET", "/admin/again"): Role.VIEWER,
    ("POST", "/admin/again"): Role.VIEWER,
    ("POST", "/admin/logout"): Role.VIEWER,
    ("GET", "/admin"): Role.VIEWER,
    ("GET", "/desk"): Role.VIEWER,
    ("GET", "/admin/account"): Role.VIEWER,
    ("GET", "/admin/account/password"): Role.VIEWER,
    ("POST", "/admin/account/password"): Role.VIEWER,
    ("GET", "/admin/account/second-factor"): Role.VIEWER,
    ("POST", "/admin/account/second-factor"): Role.VIEWER,
    ("POST", "/admin/account/second-factor/off"): Role.VIEWER,
    ("GET", "/admin/account/codes"): Role.VIEWER,
    ("POST", "/admin/account/codes"): Role.VIEWER,
    ("POST", "/admin/account/sessions"): Role.VIEWER,
    ("GET", "/admin/issues"): Role.VIEWER,
    ("GET", "/admin/issues/about/{name}"): Role.VIEWER,
    ("POST", "/admin/issues/about/{name}/check"): Role.APPROVER,
    ("POST", "/admin/issues/about/{name}/pause"): Role.APPROVER,
    ("POST", "/admin/issues/about/{name}/resume"): Role.APPROVER,
    ("POST", "/admin/issues/about/{name}/cancel"): Role.APPROVER,
    ("POST", "/admin/issues/about/{name}/decide"): Role.APPROVER,
    ("POST", "/admin/issues/about/{name}/message"): Role.ADMIN,
    ("GET", "/admin/interests"): Role.VIEWER,
    ("GET", "/admin/interests/about/{id}"): Role.VIEWER,
    ("GET", "/admin/interests/history"): Role.VIEWER,
    ("GET", "/admin/interests/compare"): Role.VIEWER,
    ("GET", "/admin/interests/export"): Role.VIEWER,
    ("GET", "/admin/interests/create"): Role.ADMIN,
    ("POST", "/admin/interests/create"): Role.ADMIN,
    ("GET", "/admin/interests/change/{kind}/{id}"): Role.ADMIN,
    ("POST", "/admin/interests/change/{kind}/{id}"): Role.ADMIN,
    ("POST", "/admin/interests/undo"): Role.ADMIN,
    ("POST", "/admin/interests/use-file"): Role.ADMIN,
    ("POST", "/admin/interests/use-database"): Role.ADMIN,
    ("GET", "/admin/interests/import"): Role.ADMIN,
    ("POST", "/admin/interests/import"): Role.ADMIN,
    ("GET", "/admin/sources"): Role.VIEWER,
    ("GET", "/admin/sources/about/{name}"): Role.VIEWER,
    ("POST", "/admin/sources/about/{name}/fetch"): Role.EDITOR,
    ("GET", "/admin/sources/new"): Role.ADMIN,
    ("POST", "/admin/sources/new"): Role.ADMIN,
    ("POST", "/admin/sources/new/pick"): Role.ADMIN,
    ("POST", "/admin/sources/new/add"): Role.ADMIN,
    ("GET", "/admin/sources/new/page/{token}"): Role.ADMIN,
    ("GET", "/admin/readers"): Role.ADMIN,
    ("POST", "/admin/readers"): Role.ADMIN,
    ("POST", "/admin/readers/find"): Role.ADMIN,
    ("POST", "/admin/readers/segments"): Role.ADMIN,
    ("POST", "/admin/readers/segments/remove"): Role.ADMIN,
    ("POST", "/admin/readers/export"): Role.ADMIN,
    ("GET", "/admin/readers/import"): Role.ADMIN,
    ("POST", "/admin/readers/import"): Role.ADMIN,
    ("GET", "/admin/readers/import/{token}"): Role.ADMIN,
    ("POST", "/admin/readers/import/{token}"): Role.ADMIN,
    ("POST", "/admin/readers/import/{token}/report"): Role.ADMIN,
    ("GET", "/admin/readers/about/{sid}"): Role.ADMIN,
    ("GET", "/admin/readers/about/{sid}/why/{name}"): Role.ADMIN,
    ("GET", "/admin/readers/about/{sid}/edit"): Role.ADMIN,
    ("POST", "/admin/readers/about/{sid}/edit"): Role.ADMIN,
    ("POST", "/admin/readers/about/{sid}/pause"): Role.ADMIN,
    ("POST", "/admin/readers/about/{sid}/resume"): Role.ADMIN,
    ("POST", "/admin/readers/about/{sid}/leave"): Role.ADMIN,
    ("POST", "/admin/readers/about/{sid}/suppress"): Role.ADMIN,
    ("POST", "/admin/readers/about/{sid}/allow"): Role.ADMIN,
    ("POST", "/admin/readers/about/{sid}/export"): Role.ADMIN,
    ("POST", "/admin/readers/about/{sid}/forget"): Role.ADMIN,
    ("GET", "/admin/reports"): Role.VIEWER,
    ("GET", "/admin/reports/about/{name}"): Role.VIEWER,
    ("GET", "/admin/reports/picture/{name}"): Role.VIEWER,
    ("GET", "/admin/reports/csv/{name}"): Role.VIEWER,
    ("GET", "/admin/people"): Role.ADMIN,
    ("POST", "/admin/people"): Role.ADMIN,
    ("GET", "/admin/people/{pid}"): Role.ADMIN,
    ("POST", "/admin/people/{pid}/role"): Role.ADMIN,
    ("POST", "/admin/people/{pid}/reset"): Role.ADMIN,
    ("POST", "/admin/people/{pid}/second-factor-off"): Role.ADMIN,
    ("POST", "/admin/people/{pid}/elsewhere"): Role.ADMIN,
    ("POST", "/admin/people/{pid}/elsewhere/off"): Role.ADMIN,
    ("POST", "/admin/people/{pid}/sessions"): Role.ADMIN,
    ("POST", "/admin/people/{pid}/disable"): Role.ADMIN,
    ("POST", "/admin/people/{pid}/enable"): Role.ADMIN,
    ("GET", "/admin/hooks"): Role.ADMIN,
    ("POST", "/admin/hooks"): Role.ADMIN,
    ("GET", "/admin/hooks/{hid}"): Role.ADMIN,
    ("POST", "/admin/hooks/{hid}/test"): Role.ADMIN,
    ("POST", "/admin/hooks/{hid}/rotate"): Role.ADMIN,
    ("POST", "/admin/hooks/{hid}/enable"): Role.ADMIN,
    ("POST", "/admin/hooks/{hid}/disable"): Role.ADMIN,
    ("POST", "/admin/hooks/{hid}/remove"): Role.ADMIN,
    ("GET", "/admin/keys"): Role.ADMIN,
    ("POST", "/admin/keys"): Role.ADMIN,
    ("GET", "/admin/keys/{name}/revoke"): Role.ADMIN,
    ("POST", "/admin/keys/{name}/revoke"): Role.ADMIN,
    ("GET", "/admin/audit"): Role.ADMIN,
    ("POST", "/admin/audit/check"): Role.ADMIN,
    ("POST", "/admin/audit/export"): Role.ADMIN,
    ("GET", "/admin/settings"): Role.ADMIN,
    ("POST", "/admin/settings"): Role.ADMIN,
}
INSIDE = ("/admin", "/desk")
# What stands in a path where the table has a word in brackets: an interest that is there, and else what nobody has.
WORDS = {"{id}": "gut", "{kind}": "rule", "{sid}": "f" * 32, "{name}": "monthly-2020-01-01", "{token}": "f" * 32, "{hid}": "f" * 8}


def routes(app):
    """Every method and path of an application that lies behind the log-in, however its routers hang together."""

    def walk(some, before=""):
        for one in some:
            inner = getattr(one, "original_router", None)
            if inner is not None:
                yield from walk(inner.routes, before + getattr(one.include_context, "prefix", ""))
            elif isinstance(getattr(one, "app", None), guard.Behind):  # mounted, and the log-in stands before it
                continue
            else:
                yield from ((method, before + one.path) for method in getattr(one, "methods", None) or ["ANY"] if method != "HEAD")

    return {(method, path) for method, path in walk(app.routes) if path.startswith(INSIDE)}


def faults(app):
    """What the bookkeeping of an application's routes has against it."""
    found, declared = routes(app), guard.ROUTES
    missing = [f"{one} is behind the log-in and has no guard" for one in sorted(found - set(declared))]
    return missing + [f"{one} has an entry and is no route" for one in sorted(set(declared) - found)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with serving(make_site_folder(tmp_path_factory.mktemp("roles") / "w")) as site:
        yield site


@pytest.fixture(scope="module")
def people(site):
    return {role: add(site, f"the-{role.value}", role) for role in Role}


def test_every_route_has_a_guard_and_stands_in_the_table(tmp_path):
    app = make_app(tmp_path)
    assert faults(app) == []
    assert set(TABLE) == set(guard.ROUTES)
    for route, action in guard.ROUTES.items():
        said = {guard.OPEN: EVERYBODY, guard.HALF: HALF}.get(action) or ACTIONS[action]
        assert said == TABLE[route], route


def filled_in(path, pid):
    for word, text in {"{pid}": pid, **WORDS}.items():
        path = path.replace(word, text)
    return path


def allowed(site, browser, method, path, pid):
    """Whether a request came through to its page. What is wrong with the form does not matter: an empty one changes nothing."""
    filled = filled_in(path, pid)
    answer = browser.get(filled) if method == "GET" else browser.post(filled)
    if filled == "/admin/logout":
        return "set-cookie" in answer.headers
    if answer.status == 303:
        return filled == "/admin/login" or not re.match(r"/admin/(login|code)", answer.headers["location"])
    return not (answer.status == 403 and "Not for your role" in answer.text)


@pytest.mark.parametrize("role", [None, *Role])
def test_each_role_comes_through_where_the_table_says_and_nowhere_else(site, people, role):
    pid = "f" * 32  # nobody's: no request of the matrix changes anybody
    wrong = []
    for (method, path), least in TABLE.items():
        if least == HALF:
            continue
        browser = Browser(site)
        if role is not None:
            browser.enter(people[role])
        should = least == EVERYBODY or (role is not None and role.rank >= least.rank)
        if allowed(site, browser, method, path, pid) is not should:
            wrong.append((method, path))
    assert wrong == []


def test_between_password_and_code_nothing_else_is_open(site):
    person = add(site, "half-way")
    with site.open() as workspace:
        secret = staff.new_secret()
        staff.turn_on(workspace, person.name, secret, code_of(secret, -1))
    browser = Browser(site)
    assert browser.log_in(person.name).headers["location"].startswith("/admin/code")
    for (method, path), least in TABLE.items():
        if least in (EVERYBODY, HALF):
            continue
        answer = browser.get(path) if method == "GET" else browser.post(path)
        assert answer.status == 303 and answer.headers["location"].startswith("/admin/code"), (method, path)


def test_looking_changes_nothing(site, people):
    """GET on everything, as an admin: the same people, sessions and records afterwards."""

    def state():
        with site.open() as workspace, workspace.store.read() as tx:
            names = ("person", "recovery_code", "audit")
            return [tx.exec_driver_sql(f"SELECT * FROM {name} ORDER BY 1").all() for name in names]

    browser = Browser(site).enter(people[Role.ADMIN])
    before = state()
    for method, path in TABLE:
        if method == "GET":
            for asked in ("GET", "HEAD"):
                site.ask(asked, filled_in(path, people[Role.EDITOR].id), Cookie=f"digest={browser.cookies['digest']}")
    assert state() == before


@pytest.mark.parametrize("role", [None, *Role])
def test_an_application_mounted_behind_the_log_in_sees_only_who_may(tmp_path, monkeypatch, role):
    """As the desk is."""
    inner, reached = FastAPI(), []

    @inner.get("/drafts")
    def drafts(request: Request):
        reached.append((request.state.session.person.name, request.state.session.csrf))
        return PlainTextResponse("drafts")

    def with_desk(folder):
        app = make_app(folder)
        app.mount("/desk", guard.Behind(inner, "issues.edit"))
        assert faults(app) == []
        return app

    monkeypatch.setattr("tests.support.site.make_app", with_desk)
    with serving(make_site_folder(tmp_path / "w")) as site:
        browser = Browser(site)
        assert browser.get("/desk/drafts").status == 404  # nobody could log in
        person = add(site, "pat", role or Role.ADMIN)
        if role is None:
            answer = browser.get("/desk/drafts?x=1")
            assert (answer.status, answer.headers["location"]) == (303, "/admin/login?to=/desk/drafts%3Fx%3D1")
            assert browser.log_in("pat", to="/desk/drafts").headers["location"] == "/desk/drafts"
        else:
            browser.enter(person)
        answer = browser.get("/desk/drafts")
        if role is Role.VIEWER:
            assert answer.status == 403 and "Not for your role" in answer.text and reached == []
        else:
            assert answer.text == "drafts" and [name for name, _ in reached] == ["pat"]
            assert reached[0][1] == browser.csrf or role is None


def test_control_a_route_without_a_guard_is_found(tmp_path):
    """As it would look if somebody forgot: on a router of its own, deep inside another, or mounted."""
    app = make_app(tmp_path)
    inner, outer = APIRouter(), APIRouter(prefix="/admin")
    inner.add_api_route("/forgotten", lambda: PlainTextResponse("everybody"), methods=["GET"])
    outer.include_router(inner)
    app.include_router(outer)
    app.mount("/desk", PlainTextResponse("drafts"))
    assert faults(app) == [
        "('ANY', '/desk') is behind the log-in and has no guard",
        "('GET', '/admin/forgotten') is behind the log-in and has no guard",
    ]


def test_control_a_guard_taken_away_is_found(site, people, monkeypatch):
    monkeypatch.setattr(guard, "may", lambda role, action: True)
    browser = Browser(site).enter(people[Role.VIEWER])
    assert allowed(site, browser, "GET", "/admin/people", "f" * 32)  # so the matrix above would have said so
