"""Every route of the admin's API against every scope, and against whatever a generator of requests thinks up."""

import json
import os
import re

import pytest
import schemathesis
from fastapi import APIRouter
from hypothesis import HealthCheck, given, settings
from schemathesis.core.failures import FailureGroup

from digest.scopes import SCOPES
from digest.web.admin_api import guard, make_api, problems
from tests.support.make import REPOSITORY
from tests.support.program import API, MUCH, Program, problem
from tests.support.site import PAGES, make_site_folder, serving

NIGHTLY = os.environ.get("DIGEST_TEST_EXAMPLES") == "nightly"
ANY, OPEN = "any key", "everybody"
TABLE = {
    ("GET", "/key"): ANY,
    ("GET", "/openapi.json"): OPEN,
    ("GET", "/lists"): "lists:read",
    ("GET", "/lists/{id}"): "lists:read",
    ("GET", "/list-changes"): "lists:read",
    ("POST", "/list-changes/preview"): "lists:write",
    ("POST", "/list-changes"): "lists:write",
    ("GET", "/readers"): "readers:read",
    ("POST", "/readers/search"): "readers:read",
    ("POST", "/readers/find"): "readers:read",
    ("POST", "/readers"): "readers:write",
    ("POST", "/readers/import"): "readers:write",
    ("GET", "/readers/{id}"): "readers:read",
    ("GET", "/readers/{id}/why/{issue}"): "readers:read",
    ("PATCH", "/readers/{id}"): "readers:write",
    ("POST", "/readers/{id}/pause"): "readers:write",
    ("POST", "/readers/{id}/resume"): "readers:write",
    ("POST", "/readers/{id}/leave"): "readers:write",
    ("POST", "/readers/{id}/suppress"): "readers:write",
    ("POST", "/readers/{id}/allow"): "readers:write",
    ("DELETE", "/readers/{id}"): "readers:erase",
    ("GET", "/segments"): "readers:read",
    ("PUT", "/segments/{name}"): "readers:write",
    ("DELETE", "/segments/{name}"): "readers:write",
    ("GET", "/issues"): "issues:read",
    ("GET", "/calendar"): "issues:read",
    ("GET", "/issues/{name}"): "issues:read",
    ("GET", "/issues/{name}/held"): "issues:read",
    ("GET", "/issues/{name}/content"): "issues:read",
    ("POST", "/issues/{name}/approve"): "issues:approve",
    ("POST", "/issues/{name}/pause"): "issues:act",
    ("POST", "/issues/{name}/resume"): "issues:act",
    ("POST", "/issues/{name}/cancel"): "issues:act",
    ("POST", "/issues/{name}/decide"): "issues:act",
    ("GET", "/reports"): "reports:read",
    ("GET", "/reports/{name}"): "reports:read",
    ("GET", "/audit"): "audit:read",
    ("GET", "/audit/verify"): "audit:read",
}
NOBODYS = {"{id}": "f" * 32, "{name}": "monthly-2020-01-01", "{issue}": "monthly-2020-01-01"}


@pytest.fixture(scope="module")
def site(tmp_path_factory, stored):
    with serving(make_site_folder(tmp_path_factory.mktemp("routes") / "w", PAGES + stored + MUCH)) as site:
        yield site


def routes(app):
    """Every method and path of the application, however its routers hang together."""

    def walk(some):
        for one in some:
            inner = getattr(one, "original_router", None)
            yield from walk(inner.routes) if inner is not None else ((method, one.path) for method in one.methods)

    return set(walk(app.routes))


def faults(app):
    """What the bookkeeping of the application's routes has against it."""
    missing = [f"{one} has no scope" for one in sorted(routes(app) - set(guard.ROUTES))]
    return missing + [f"{one} has a scope and is no route" for one in sorted(set(guard.ROUTES) - routes(app))]


def test_every_route_has_a_scope_and_stands_in_the_table():
    assert faults(make_api()) == []
    assert {route: {guard.ANY: ANY, guard.OPEN: OPEN}.get(scope, scope) for route, scope in guard.ROUTES.items()} == TABLE
    assert set(SCOPES) == set(TABLE.values()) - {ANY, OPEN}  # and no scope opens nothing


def test_control_a_route_without_a_scope_is_found():
    app, forgotten = make_api(), APIRouter()
    forgotten.add_api_route("/forgotten", lambda: "everybody", methods=["GET"])
    app.include_router(forgotten)
    assert faults(app) == ["('GET', '/forgotten') has no scope"]


def filled_in(path):
    for word, text in NOBODYS.items():
        path = path.replace(word, text)
    return path


def test_each_scope_opens_what_the_table_says_and_nothing_else(site):
    """With a body that is no JSON, so that nothing changes: who is let through is told that, and nobody before."""
    programs = {scope: Program(site, scope.replace(":", "-"), [scope]) for scope in SCOPES}
    wrong = []
    for (method, path), needed in TABLE.items():
        body = None if method == "GET" else b"{"
        without = site.ask(method, API + filled_in(path), body)
        if (without.status == 401) is (needed == OPEN) or (without.status == 401 and without.headers["www-authenticate"][:6] != "Bearer"):
            wrong.append((method, path, None, without.status))
        for scope, program in programs.items():
            answer = program.ask(method, filled_in(path), body)
            if needed in (scope, ANY, OPEN):
                right = answer.status in (200, 204, 400, 404)
            else:
                right = problem(answer) == (403, "missing-scope") and json.loads(answer.body)["scope"] == needed
            if not right:
                wrong.append((method, path, scope, answer.status))
    assert wrong == []


def test_the_description_is_whole_and_holds_nothing_of_anybody(site):
    answer = site.get(API + "/openapi.json")
    told = answer.text
    described = json.loads(told)
    found = {(method.upper(), path) for path, some in described["paths"].items() for method in some}
    assert found == set(TABLE) - {("GET", "/openapi.json")}
    for (method, path), scope in TABLE.items():
        if scope == OPEN:
            continue
        operation = described["paths"][path][method.lower()]
        assert operation["security"] == [{"key": [] if scope == ANY else [scope]}]
        for status in ("401", "403", "429", "500", "503", *(["409", "413", "422"] if method != "GET" else [])):
            assert "application/problem+json" in operation["responses"][status]["content"], (path, status)
    assert "HTTPValidationError" not in told and "Test Letter" not in told and "example.org" not in told


def test_the_guide_names_every_scope_and_every_kind_of_problem():
    guide = (REPOSITORY / "docs" / "api.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z:-]+)` \| (?:([0-9]+) \|)?", guide, re.M))
    assert set(SCOPES) | set(problems.KINDS) == set(rows)
    assert {name: str(kind.status) for name, kind in problems.KINDS.items()} == {name: rows[name] for name in problems.KINDS}


CHECKS = [
    schemathesis.checks.not_a_server_error,
    schemathesis.checks.load_all_checks() or schemathesis.checks.CHECKS.get_one("status_code_conformance"),
    *(schemathesis.checks.CHECKS.get_one(name) for name in ("content_type_conformance", "response_schema_conformance")),
]


@pytest.mark.timeout(3000)  # at night
@pytest.mark.parametrize("with_key", [True, False])
def test_whatever_is_asked_is_answered_as_described(site, with_key):
    """Requests that a generator thinks up for each operation: some at each push, a hundred at night."""
    program = Program(site, f"fuzz-{with_key}".lower())
    ids = [site.add(f"api{n}{with_key}@example.org").id for n in range(40)]
    tried, wrong = [], []
    for found in schemathesis.openapi.from_dict(make_api().openapi()).get_all_operations():
        tries(found.ok(), site, program if with_key else None, ids, tried, wrong)
    assert wrong == []
    assert len(tried) >= len(TABLE) - 1 and (with_key or set(tried) == {401})
    assert not with_key or {200, 201, 204, 404, 422} <= set(tried)


def test_control_an_answer_that_is_not_as_described_is_found(site, monkeypatch):
    monkeypatch.setattr(problems, "MEDIA", "application/json")
    described, tried, wrong = schemathesis.openapi.from_dict(make_api().openapi()), [], []
    tries(described["/reports"]["GET"], site, None, [], tried, wrong)
    assert tried == [401] and "Undocumented Content-Type" in wrong[0][3][0]


def tries(operation, site, program, ids, tried, wrong):
    most = (100 if NIGHTLY else 3) if program else 1

    @settings(max_examples=most, deadline=None, database=None, derandomize=not NIGHTLY, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def attempt(case):
        if program and len(tried) % 2:  # every other time about somebody and something that is there
            there = {"id": ids[len(tried) % len(ids)] if "/readers" in case.path else "gut", "name": "readers"}
            case.path_parameters = {key: there.get(key, value) for key, value in (case.path_parameters or {}).items()}
        headers = {"Authorization": f"Bearer {program.token}"} if program else {}
        answer = case.call(base_url=site.url + API, headers=headers, allow_redirects=False)
        if not answer.request.url.removeprefix(site.url).startswith(API + "/"):  # a name of dots leads up and out of it
            return
        tried.append(answer.status_code)
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as failures:
            wrong.append((case.method, case.path, answer.status_code, [str(one)[:300] for one in failures.exceptions]))

    attempt()
