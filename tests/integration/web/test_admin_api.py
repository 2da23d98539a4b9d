"""The admin over HTTP with a key, on a real server: what a program can do, what is refused and in which words."""

import json
import logging
import os
import re
import secrets
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update
from typer.testing import CliRunner

from digest import api_keys, audit, jobs, readers, repeats
from digest.admin import interest_lists, interest_moves
from digest.admin.segments import Filter
from digest.cli.commands import app as terminal
from digest.errors import AccountError
from digest.interests import load
from digest.model import Rule
from digest.scopes import SCOPES
from digest.store import schema as t
from digest.store import sqlite
from digest.web import app
from digest.workspace import open_workspace
from tests.support.make import write_summary
from tests.support.program import API, MUCH, Program, problem
from tests.support.site import PAGES, make_site_folder, serving
from tests.support.staff import PASSWORD, Browser, add

NIGHTLY = os.environ.get("DIGEST_TEST_EXAMPLES") == "nightly"
ISSUE = "monthly-2026-05-01"
CADENCES = 'monthly: {day: 1, at: "09:00", approval: automatic}'
ASKED = 'monthly: {day: 1, at: "09:00", approval: required}'


@pytest.fixture(scope="module")
def site(tmp_path_factory, stored):
    folder = make_site_folder(tmp_path_factory.mktemp("api") / "w", PAGES + stored + MUCH)
    write_summary(folder, "three", "2026-04-17", "diet")
    with serving(folder) as site:
        site.add("held@example.org", interests=("gut", "vision"))
        with open_workspace(folder, date(2026, 5, 1)) as workspace, workspace.store.alone():
            jobs.run(workspace, "monthly")
        yield site


@pytest.fixture(scope="module")
def program(site):
    return Program(site, "nightly")


def told(site, action, **wanted):
    with site.open() as workspace:
        return [one for one in audit.page(workspace, 200, action=action) if all(getattr(one, key) == of for key, of in wanted.items())]


# --- keys ----------------------------------------------------------------------------------------------------------------


def test_a_key_is_made_shown_once_and_kept_as_a_hash(site):
    def types(*words):
        """At a terminal, in this process: each command of its own would take a second."""
        return CliRunner().invoke(terminal, ["api-keys", *words, "--workspace", str(site.folder)])

    made = types("add", "cron", "--scopes", "lists:read, reports:read", "--expires", "2999-12-31")
    token = made.stdout.strip()
    assert made.exit_code == 0 and api_keys.looks_like_one(token) and token not in made.stderr
    listed = json.loads(types("list", "--json").stdout)
    row = next(one for one in listed if one["name"] == "cron")
    assert (row["prefix"], row["scopes"], row["works"]) == (token[:11], ["lists:read", "reports:read"], True)
    with site.open() as workspace, workspace.store.read() as tx:
        kept = [str(value) for table in (t.api_key, t.audit) for line in tx.execute(select(table)) for value in line]
    assert any(api_keys.token_hash(token) == value for value in kept) and not any(token[12:] in value for value in kept)
    assert site.get(API + "/key", Authorization=f"Bearer {token}").status == 200
    assert types("revoke", "cron").exit_code == 0
    assert site.get(API + "/key", Authorization=f"Bearer {token}").status == 401
    assert re.search(r"cron +dk_[0-9a-f]{8}…  revoked [0-9-]{10}, last used", types("list").stdout)
    assert "before" in types("revoke", "cron").stdout
    assert list(SCOPES) == [line.split()[0] for line in CliRunner().invoke(terminal, ["api-keys", "scopes"]).stdout.splitlines()]
    assert [one.action for one in told(site, "keys.", subject="key:cron")] == ["keys.revoke", "keys.add"]
    with site.open() as workspace:
        for name, scopes, expires in (
            ("cron", ["lists:read"], None),  # names stay taken
            ("key:nora", ["lists:read"], None),
            ("new", ["lists:read", "all"], None),
            ("new", [""], None),
            ("new", ["lists:read"], date(2020, 1, 1)),
        ):
            with pytest.raises(AccountError):
                api_keys.add(workspace, name, scopes, expires)
        assert {one.name for one in api_keys.every(workspace)} == {"cron"}


def test_on_the_page_a_key_is_shown_once_after_the_password(site):
    nora = add(site, "nora")
    browser = Browser(site).enter(nora)
    with site.open() as workspace, workspace.store.write() as tx:
        tx.execute(update(t.session).values(fresh_at=datetime.now(UTC) - timedelta(hours=1)))
    form = {"name": "crm", "scope": ["readers:read", "reports:read"], "expires": ""}
    asked = browser.post("/admin/keys", form)
    assert 'name="again_password"' in asked.text and "dk_" not in asked.text
    shown = browser.post("/admin/keys", {**form, "again_password": PASSWORD})
    token = shown.text.partition('class="key">')[2].partition("<")[0]
    assert site.get(API + "/key", Authorization=f"Bearer {token}").status == 200
    listed = browser.get("/admin/keys").text
    assert token not in listed and token[:11] in listed and "Last used on" in listed
    assert "at least one scope" in browser.post("/admin/keys", {"name": "crm2"}).text
    assert "YYYY-MM-DD" in browser.post("/admin/keys", {**form, "name": "crm3", "expires": "soon"}).text
    assert "cannot be taken back" in browser.get("/admin/keys/crm/revoke").text and browser.get("/admin/keys/nothing/revoke").status == 404
    assert site.get(API + "/key", Authorization=f"Bearer {token}").status == 200  # looking revokes nothing
    assert browser.post("/admin/keys/crm/revoke").status == 303
    assert site.get(API + "/key", Authorization=f"Bearer {token}").status == 401
    assert "opens nothing any more" in browser.get("/admin/keys?done=revoked").text
    assert [one.who for one in told(site, "keys.", subject="key:crm")] == ["nora", "nora"]


def test_all_that_opens_nothing_gets_the_same_answer_and_cookies_and_keys_stay_apart(site):
    good, short = Program(site, "good"), Program(site, "short", ["lists:read"], date(2999, 1, 1))
    with site.open() as workspace, workspace.store.write() as tx:
        tx.execute(update(t.api_key).where(t.api_key.c.name == "short").values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    browser = Browser(site).enter(add(site, "with-a-cookie"))
    other = good.token[:-1] + ("A" if good.token[-1] != "A" else "B")
    answers = [
        site.get(API + "/lists", **headers)
        for headers in (
            {},
            {"Authorization": ""},
            {"Authorization": "Bearer"},
            {"Authorization": f"Bearer {short.token}"},
            {"Authorization": f"Bearer {other}"},
            {"Authorization": f"Basic {good.token}"},
            {"Cookie": f"digest={browser.cookies['digest']}"},
            {"Authorization": f"Bearer {browser.cookies['digest']}"},
        )
    ]
    assert {(problem(one), one.body) for one in answers} == {((401, "no-key"), answers[0].body)}
    for path in ("/admin", "/admin/readers", "/desk/"):
        answer = site.get(path, Authorization=f"Bearer {good.token}")
        assert (answer.status, answer.headers["location"][:12]) == (303, "/admin/login"), path
    assert site.get("/admin/lists", Cookie=f"digest={good.token}").status in (303, 404)
    far = site.get(API + "/lists", Authorization=f"Bearer {good.token}", Host="letters.example.net")
    assert problem(far) == (403, "only-https")


# --- interest lists ------------------------------------------------------------------------------------------------------


def test_lists_are_changed_as_on_the_pages_shown_first_and_taken_back(site, program):
    before = program.get("/lists")
    assert [(line["id"], line["readers"]) for line in before["lines"]] == [("gut", 1), ("diet", 0), ("vision", 1)]
    assert before["difference"]["same"] is True
    change = {"kind": "rule", "id": "vision", "match": {"any": [{"tag": ["vision"]}, {"tag": ["diet"]}]}}
    shown = program.post("/list-changes/preview", change)
    with site.open() as workspace:
        rule = Rule.model_validate(change["match"])
        same = interest_lists.propose(workspace, lambda known: interest_moves.rule(known, "vision", rule))
        assert interest_lists.mark(same) == shown["mark"]
        wanted = interest_lists.show(workspace, same).model_dump(mode="json", exclude={"since"})
    assert {key: value for key, value in shown["effects"].items() if key != "since"} == wanted
    assert program.get("/lists")["difference"]["same"] and not load(site.folder).get("vision").match.any
    made = program.post("/list-changes", {**change, "mark": shown["mark"]}, 201)
    assert load(site.folder).get("vision").match.any
    assert problem(program.ask("POST", "/list-changes", {**change, "mark": shown["mark"]}))[0] == 409
    assert [one.who for one in told(site, "interests.change", subject=str(made["number"]))] == ["key:nightly"]
    assert program.post("/list-changes", {"kind": "undo"}, 201)["what"].startswith("take back")
    changes = program.get("/list-changes?limit=1")
    assert changes["changes"][0]["takes_back"] == made["number"] and changes["changes"][0]["who"] == "key:nightly"
    older = program.get(f"/list-changes?before={changes['next']}")["changes"]
    assert older[0]["number"] == made["number"] and not load(site.folder).get("vision").match.any


def test_every_kind_of_change_is_made(site, program):
    text = (site.folder / "subscribers/interests.yaml").read_text()
    sleep, work = {"tag": ["sleep"]}, {"tag": ["work"]}
    steps = [
        {"kind": "create", "id": "life", "label": "Life", "match": {"any": [sleep, work]}, "parent": "gut"},
        {"kind": "label", "id": "life", "label": "Leben", "language": "de"},
        {"kind": "rename", "id": "life", "new_id": "daily-life"},
        {"kind": "move", "id": "daily-life"},
        {"kind": "split", "id": "daily-life", "parts": [{"id": "sleep", "label": "Sleep", "match": sleep}]},
        {"kind": "merge", "id": "sleep", "into": "daily-life"},
        {"kind": "retire", "id": "daily-life", "successor": "vision"},
    ]
    for step in steps:
        made = program.post("/list-changes", step, 201)
        assert made["number"] and made["what"], step
    one = program.get("/lists/daily-life")
    assert one["interest"]["was"] == ["life", "sleep"] and one["figures"]["successor"] == "vision"
    for _ in steps:
        program.post("/list-changes", {"kind": "undo"}, 201)
    assert (site.folder / "subscribers/interests.yaml").read_text() == text


def test_what_cannot_be_changed_is_told_with_what_is_in_the_way(site, program):
    assert problem(program.ask("GET", "/lists/nothing")) == (404, "not-found")
    for body, said in (
        ({"kind": "retire", "id": "nothing"}, (422, "refused")),
        ({"kind": "merge", "id": "gut", "into": "gut"}, (422, "refused")),
        ({"kind": "create", "id": "gut", "label": "Again"}, (422, "refused")),
        ({"kind": "explode", "id": "gut"}, (422, "invalid")),
        ({"kind": "move", "id": "GUT"}, (422, "invalid")),
    ):
        assert problem(program.ask("POST", "/list-changes/preview", body)) == said, body
    wrong = program.post("/list-changes", {"kind": "create", "id": "new", "label": "", "match": {"tagg": []}}, 422)
    assert {one["pointer"] for one in wrong["errors"]} == {"#/label", "#/match/tagg"}
    file = site.folder / "subscribers/interests.yaml"
    text = file.read_text()
    program.post("/list-changes", {"kind": "label", "id": "gut", "label": "Gut"}, 201)
    ours = file.read_text()
    file.write_text(ours + "# by hand\n")
    assert problem(program.ask("POST", "/list-changes", {"kind": "undo"})) == (409, "conflict")
    assert program.get("/lists")["difference"]["same"] is False
    file.write_text("- {id: [}\n")
    for method, path, body in (
        ("GET", "/lists", None),
        ("GET", "/lists/gut", None),
        ("GET", "/reports/pieces", None),
        ("POST", "/list-changes", {"kind": "undo"}),
        ("POST", "/list-changes/preview", {"kind": "retire", "id": "gut"}),
        ("POST", "/readers", {"email": "soon@example.org"}),
        ("POST", "/readers/search", {"filter": {"cadence": "weekly"}}),
    ):
        answer = program.ask(method, path, body)
        assert (*problem(answer), answer.headers.get("retry-after")) == (503, "unavailable", "60"), path
    file.write_text(ours)
    program.post("/list-changes", {"kind": "undo"}, 201)
    assert file.read_text() == text
    with site.open() as workspace, workspace.store.alone():
        assert problem(program.ask("POST", "/list-changes", {"kind": "label", "id": "gut", "label": "Gut"})) == (409, "busy")


# --- readers -------------------------------------------------------------------------------------------------------------


def test_a_reader_is_found_read_and_changed(site, program):
    reader = site.add("ben@example.org", name="Ben")
    assert program.post("/readers/find", {"email": " BEN@Example.org "})["id"] == reader.id
    assert [one.who for one in told(site, "readers.find", subject=reader.id)] == ["key:nightly"]
    assert problem(program.ask("POST", "/readers/find", {"email": "nobody@example.org"})) == (404, "not-found")
    assert program.post("/readers/find", {"email": "no address"}, 422)["errors"][0]["pointer"] == "#/email"
    path = f"/readers/{reader.id}"
    seen = program.get(path)
    assert seen["subscriber"]["email"] == "ben@example.org" and seen["suppression"] is None
    choices = {"interests": ["vision", "gut"], "fewer": ["gut"], "max_teasers": 5, "version": seen["version"]}
    changed = json.loads(program.ask("PATCH", path, choices).body)
    assert changed["subscriber"]["interests"] == ["vision", "gut"] and changed["subscriber"]["name"] == "Ben"
    assert problem(program.ask("PATCH", path, {**choices, "language": "de"})) == (409, "stale")
    assert json.loads(program.ask("PATCH", path, {"max_teasers": None}).body)["subscriber"]["max_teasers"] is None
    for wrong, pointer in (
        ({"interests": ["gut", "nothing"]}, "#/interests/1"),
        ({"cadence": "yearly"}, "#/cadence"),
        ({"language": "xx"}, "#/language"),
        ({"name": "a\nb"}, "#/name"),
        ({"name": None}, "#/name"),
        ({"email": "other@example.org"}, "#/email"),
        ({"max_teasers": 0}, "#/max_teasers"),
    ):
        told_ = json.loads(program.ask("PATCH", path, wrong).body)
        assert (told_["status"], [one["pointer"] for one in told_["errors"]]) == (422, [pointer]), wrong
    assert [line["source"] for line in program.get(path)["consent"]].count("admin api") == 2
    assert len(told(site, "readers.change", who="key:nightly", subject=reader.id)) == 2
    held = site.reader("held@example.org").id
    assert program.get(f"/readers/{held}")["issues"][0]["issue"] == ISSUE
    assert {one["shown"] for one in program.get(f"/readers/{held}/why/{ISSUE}")["verdicts"]} == {True}
    assert problem(program.ask("GET", f"/readers/{held}/why/monthly-1999-01-01")) == (404, "not-found")


def test_a_reader_is_paused_ended_suppressed_and_forgotten(site, program):
    reader = site.add("cleo@example.org", name="Cleo")
    path = f"/readers/{reader.id}"
    assert program.post(path + "/pause", {"until": "2999-01-01"})["subscriber"]["paused_until"] == "2999-01-01"
    assert program.post(path + "/pause", {"until": "2020-01-01"}, 422)["errors"][0]["pointer"] == "#/until"
    assert program.post(path + "/resume")["subscriber"]["status"] == "active"
    assert problem(program.ask("POST", path + "/resume")) == (422, "refused")
    program.post(path + "/suppress", status=204)
    assert program.get(path)["suppression"]["source"] == "key:nightly"
    assert program.post("/readers", {"email": "cleo@example.org", "status": "active"})["what"] in ("same", "kept")
    program.post(path + "/allow", status=204)
    assert problem(program.ask("POST", path + "/allow")) == (422, "refused")
    assert program.post(path + "/leave")["subscriber"]["status"] == "unsubscribed"
    assert problem(program.ask("POST", path + "/pause", {})) == (422, "refused")
    assert program.ask("DELETE", path).status == 204
    never = program.ask("GET", "/readers/" + "0" * 32)
    for method, rest, body in (
        ("GET", "", None),
        ("DELETE", "", None),
        ("POST", "/pause", {}),
        ("PATCH", "", {"name": "X"}),
        ("POST", "/leave", None),
    ):
        answer = program.ask(method, path + rest, body)
        assert (answer.status, answer.body) == (404, never.body), (method, rest)  # as if they had never been
    assert {one.who for one in told(site, "readers.forget", subject=reader.id)} == {"key:nightly"}


def test_readers_are_added_and_brought_in_by_the_rules_of_an_import(site, program):
    row = {
        "email": "dora@example.org",
        "name": "Dora",
        "interests": ["gut"],
        "consent_at": "2026-03-01T10:00:00Z",
        "consent_source": "fair",
    }
    answer = program.ask("POST", "/readers", row)
    made = json.loads(answer.body)
    assert (answer.status, made["what"], answer.headers["location"]) == (201, "new", f"/api/v1/readers/{made['id']}")
    assert program.post("/readers", row)["what"] == "same"
    assert [one.who for one in told(site, "readers.add", subject=made["id"])] == ["key:nightly"]
    assert program.post("/readers", {**row, "name": "Dora D."}) == {"what": "changed", "id": made["id"], "word": ""}
    program.post(f"/readers/{made['id']}/leave")
    assert program.post("/readers", {**row, "name": "Dora D.", "status": "active"})["what"] == "kept"
    assert program.post("/readers", {**row, "interests": ["nothing"]}, 422)["errors"][0]["pointer"] == "#/interests"
    rows = [
        {"email": "e1@example.org"},
        {"email": "E1@example.org"},
        {"email": "no address"},
        row,
        {"email": "e2@example.org", "cadence": "weekly"},
    ]
    tried = program.post("/readers/import", {"rows": rows, "dry_run": True})
    assert (tried["new"], tried["refused"], tried["dry_run"], site.knows("e1@example.org")) == (2, 2, True, False)
    brought = program.post("/readers/import", {"rows": rows})
    assert {**brought, "dry_run": True} == tried and site.reader("e2@example.org").cadence == "weekly"
    assert [(one["row"], one["taken"]) for one in brought["words"]] == [(1, True), (2, False), (3, True)]
    assert {one.who for one in told(site, "readers.import")} >= {"key:nightly"}


def test_lists_of_readers_narrow_as_the_pages_do(site, program):
    site.add("wendy@example.org", cadence="weekly", interests=("vision",), language="de")
    weekly = program.post("/readers/search", {"filter": {"cadence": "weekly", "interests": ["vision"]}, "count": True})
    assert [one["email"] for one in weekly["readers"]] == ["wendy@example.org"] and weekly["count"] == 1
    with site.open() as workspace:
        from digest.admin import segments

        assert segments.count(workspace, Filter(cadence="weekly", interests=("vision",))) == 1
    assert problem(program.ask("POST", "/readers/search", {"filter": {"cadence": "yearly"}})) == (422, "refused")
    assert problem(program.ask("POST", "/readers/search", {"filter": {"status": "erased"}})) == (422, "refused")
    assert problem(program.ask("POST", "/readers/search", {"filter": {"consent_older_days": 10**9}})) == (422, "invalid")
    assert program.ask("PUT", "/segments/german", {"language": "de"}).status == 204
    assert program.get("/segments")["segments"][0]["filter"]["language"] == "de"
    assert [one["email"] for one in program.get("/readers?segment=german")["readers"]] == ["wendy@example.org"]
    assert program.ask("DELETE", "/segments/german").status == 204
    for answer in (program.ask("GET", "/readers?segment=german"), program.ask("DELETE", "/segments/german")):
        assert problem(answer) == (404, "not-found")
    assert program.get("/readers?after=x", 422)["errors"] == [
        {"detail": "String should match pattern '^[1-9][0-9]{0,14}$'", "parameter": "after"}
    ]


@settings(max_examples=60 if NIGHTLY else 8, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    limit=st.integers(1, 9), late=st.lists(st.sampled_from(["gut", "vision"]), max_size=12), interest=st.sampled_from(["", "gut", "vision"])
)
def test_walking_all_pages_gives_everybody_once_while_others_come(site, program, limit, late, interest):
    """Whoever fits when the walk begins and stays so stands in it exactly once, and nobody twice, whoever comes and changes meanwhile."""
    run, coming = secrets.token_hex(4), iter(late)
    wanted = {"filter": {"interests": [interest] if interest else []}}
    site.add(f"first-{run}@example.org", interests=("gut", "vision"))
    there = [one["id"] for one in program.post("/readers/search", {**wanted, "limit": 500})["readers"]]
    met, after = [], None
    while not met or after is not None:
        page = program.post("/readers/search", {**wanted, "limit": limit, **({"after": after} if after else {})})
        met += [one["id"] for one in page["readers"]]
        after = page["next"]
        if (follows := next(coming, None)) is not None:
            site.add(f"late-{run}-{len(met)}@example.org", interests=(follows,))
            program.ask("PATCH", f"/readers/{there[0]}", {"name": f"Met {len(met)}"})
            program.ask("PATCH", f"/readers/{there[-1]}", {"interests": ["vision", "gut"]})
    assert met[: len(there)] == there and len(met) == len(set(met)) <= len(there) + len(late)


# --- issues, reports, the log --------------------------------------------------------------------------------------------


def test_an_issue_is_read_paused_and_what_is_held_decided(site, program):
    assert program.get("/issues")["issues"][0]["name"] == ISSUE
    assert {one["cadence"] for one in program.get("/calendar")["issues"]} == {"monthly", "weekly"}
    one = program.get(f"/issues/{ISSUE}")
    assert one["status"]["accepted"] == 1 and one["figures"]["pieces"] and one["moves"]
    for path in ("", "/held", "/content"):
        assert problem(program.ask("GET", f"/issues/monthly-1999-01-01{path}")) == (404, "not-found")
    for path, body in (("/pause", {}), ("/resume", None), ("/cancel", {"sure": True}), ("/approve", {"content_hash": "0" * 64})):
        assert problem(program.ask("POST", f"/issues/{ISSUE}{path}", body)) == (409, "conflict"), path  # it is finished
    with site.open() as workspace, workspace.store.write() as tx:
        tx.execute(update(t.delivery).values(state="held", reason="no word came back"))
    held = program.get(f"/issues/{ISSUE}/held")
    assert [one["reader"] for one in held["held"]] == ["h…@example.org"] and held["next"] is None
    blind = Program(site, "blind", ["issues:read", "issues:act"])
    assert [one["reader"] for one in blind.get(f"/issues/{ISSUE}/held")["held"]] == [""]
    path, did = f"/issues/{ISSUE}/decide", held["held"][0]["did"]
    for wrong in ({"to": "sent"}, {"to": "sent", "dids": [did], "every": True}, {"to": "twice", "dids": [did]}):
        assert problem(program.ask("POST", path, wrong)) == (422, "invalid"), wrong
    assert problem(program.ask("POST", path, {"to": "sent", "dids": ["0" * 32]})) == (409, "conflict")
    assert blind.post(path, {"to": "sent", "dids": [did]})["settled"] == 1
    assert [one.who for one in told(site, "issue.decide")] == ["key:blind"]


@pytest.fixture(scope="module")
def drafted(tmp_path_factory):
    """A site whose monthly issue waits for an approval."""
    folder = make_site_folder(tmp_path_factory.mktemp("asked") / "w", PAGES + MUCH)
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace(CADENCES, ASKED))
    with serving(folder) as site:
        site.add("held@example.org", interests=("gut", "vision"))
        with open_workspace(folder, date(2026, 5, 1)) as workspace, workspace.store.alone():
            jobs.gather.gather(workspace)
            jobs.issue.draft(workspace, "monthly")
        yield site


def test_an_approval_is_of_the_content_that_was_looked_at(drafted):
    program, path = Program(drafted, "release"), f"/issues/{ISSUE}"
    first = program.get(path + "/content")
    assert (first["needed"], first["given"], first["differences"]) == (1, [], None)
    lists = drafted.folder / "subscribers/interests.yaml"
    lists.write_text(lists.read_text().replace("Gut and diet", "Gut and food"))
    assert problem(program.ask("POST", path + "/approve", first)) == (422, "invalid")
    seen = {"content_hash": first["content_hash"]}
    assert problem(program.ask("POST", path + "/approve", seen)) == (409, "stale")
    again = {"content_hash": program.get(path + "/content")["content_hash"]}
    assert again != seen
    assert program.post(path + "/approve", again, Idempotency_Key="release-1") == again
    assert program.post(path + "/approve", again, Idempotency_Key="release-1") == again
    assert [one.who for one in told(drafted, "issue.approve")] == ["key:release"]
    assert program.get(path)["status"]["approved"] is True
    stands = program.get(path + "/content")
    assert [one["who"] for one in stands["given"]] == ["key:release"] and stands["differences"] == []
    assert program.post(path + "/pause", {"reason": "a mistake in it"})["paused"] == "a mistake in it"
    assert program.post(path + "/resume")["paused"] == ""
    assert problem(program.ask("POST", path + "/cancel", {})) == (422, "invalid")
    assert program.post(path + "/cancel", {"sure": True}) == {"left": 0}
    assert [one.who for one in told(drafted, "issue.")][:3] == ["key:release"] * 3


def test_a_key_is_none_of_the_people_where_two_must_approve(drafted):
    config = drafted.folder / "config.yaml"
    before = config.read_text()
    config.write_text(before.replace("approval: required}", "approval: required, approvals: 2}"))
    with serving(drafted.folder) as site:
        program = Program(site, "second")
        with open_workspace(site.folder, date(2026, 6, 1)) as workspace, workspace.store.alone():
            jobs.issue.draft(workspace, "monthly")
        path = "/issues/monthly-2026-06-01"
        seen = program.get(path + "/content")
        assert seen["needed"] == 2
        answer = program.ask("POST", path + "/approve", {"content_hash": seen["content_hash"]})
        assert problem(answer) == (409, "conflict") and "no person" in answer.text
    config.write_text(before)


def test_reports_and_the_log_are_read(site, program):
    for name in program.get("/reports")["reports"]:
        table = program.get(f"/reports/{name}?since=2026-04-01")
        assert table["columns"] and all(len(row) == len(table["columns"]) for row in table["rows"]), name
    assert problem(program.ask("GET", "/reports/nothing")) == (404, "not-found")
    assert problem(program.ask("GET", "/reports/readers?since=0001-01-01")) == (422, "invalid")
    program.post("/readers/find", {"email": "held@example.org"})
    met, before = [], ""
    while before is not None:
        page = program.get(f"/audit?limit=7{before and f'&before={before}'}")
        met += [one["seq"] for one in page["records"]]
        before = page["next"]
    assert met == list(range(met[0], 0, -1))
    assert {one["who"] for one in program.get("/audit?who=key:nightly")["records"]} == {"key:nightly"}
    checked = program.get("/audit/verify")
    assert checked["faults"] == [] and checked["records"] == met[0]
    assert program.get(f"/audit/verify?anchor={met[0]}:{'0' * 64}")["faults"] != []


# --- once ----------------------------------------------------------------------------------------------------------------


def test_the_same_call_under_the_same_word_is_done_once(site, program):
    row = {"email": "once@example.org", "name": "Once"}
    first = program.ask("POST", "/readers", row, Idempotency_Key="w-1")
    again = program.ask("POST", "/readers", row, Idempotency_Key="w-1")
    assert (again.status, again.body, again.headers["location"]) == (201, first.body, first.headers["location"])
    assert again.headers["idempotency-replayed"] == "true" and "idempotency-replayed" not in first.headers
    for body, path in (({**row, "name": "Two"}, "/readers"), (row, "/readers/import")):
        assert problem(program.ask("POST", path, body, Idempotency_Key="w-1")) == (422, "other-body")
    assert Program(site, "another").post("/readers", row, Idempotency_Key="w-1")["what"] == "same"  # a key's words are its own
    refused = program.ask("POST", "/readers", {"email": "no address"}, Idempotency_Key="w-2")
    assert problem(refused) == (422, "invalid")
    assert program.ask("POST", "/readers", {"email": "mended@example.org"}, Idempotency_Key="w-2").status == 201  # nothing was done before
    for wrong in ("", "x" * 201, "with blank"):
        assert problem(program.ask("POST", "/readers", row, Idempotency_Key=wrong)) == (422, "invalid"), wrong
    with site.open() as workspace:
        with workspace.store.read() as tx:
            kept = [str(value) for line in tx.execute(select(t.api_answer)) for value in line]
        assert len(kept) >= 14 and not any(word in value for value in kept for word in ("once", "mended", "w-1", '"what"'))
        with workspace.store.write() as tx:
            tx.execute(update(t.api_answer).values(begun_at=datetime.now(UTC) - repeats.KEPT - timedelta(minutes=1)))
    assert program.post("/readers", {**row, "name": "Two"}, Idempotency_Key="w-1")["what"] == "changed"  # a day later it is forgotten


def test_the_same_call_many_times_at_the_same_moment_is_done_once(site, program):
    change = {"kind": "create", "id": "together", "label": "Together", "match": {"tag": ["together"]}}

    def call(_):
        return program.ask("POST", "/list-changes", change, Idempotency_Key="together")

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(call, range(6)))
    assert {one.status for one in answers} <= {201, 409} and len({one.body for one in answers if one.status == 201}) == 1
    assert {problem(one)[1] for one in answers if one.status == 409} <= {"at-work"}
    assert call(0).status == 201
    program.post("/list-changes", {"kind": "undo"}, 201)


def test_a_call_whose_process_died_is_asked_anew_after_a_while(site):
    with site.open() as workspace:
        key, _ = api_keys.add(workspace, "mortal", ["lists:read"])
        assert repeats.begin(workspace, key.id, "w", "this") is None
        with pytest.raises(repeats.AtWork):
            repeats.begin(workspace, key.id, "w", "this")
        with workspace.store.write() as tx:
            tx.execute(update(t.api_answer).values(begun_at=datetime.now(UTC) - timedelta(minutes=16)))
        assert repeats.begin(workspace, key.id, "w", "this") is None
        repeats.finish(workspace, key.id, "w", repeats.Answer(204, "", ""))
        assert repeats.begin(workspace, key.id, "w", "this") == repeats.Answer(204, "", "")
        with workspace.store.write() as tx:
            tx.execute(update(t.api_answer).values(body="c2VhbGVkIHdpdGggYSBzZWNyZXQgdGhhdCB3YXMgdGFrZW4gYXdheQ=="))
        assert repeats.begin(workspace, key.id, "w", "this") is None  # nothing is said that cannot be read
        assert repeats.begin(workspace, key.id, "later", "this") is None
        with workspace.store.write() as tx:
            marks = select(t.api_answer.c.mark).join(t.api_key, t.api_key.c.id == t.api_answer.c.key_id).where(t.api_key.c.name == "mortal")
            old = tx.execute(marks.order_by(t.api_answer.c.mark)).scalars().first()
            tx.execute(update(t.api_answer).where(t.api_answer.c.mark == old).values(begun_at=datetime.now(UTC) - timedelta(days=2)))
        readers.tidy(workspace)
        with workspace.store.read() as tx:
            assert len(tx.execute(marks).all()) == 1 and old not in tx.execute(marks).scalars().all()


# --- limits, faults, what is not found out -------------------------------------------------------------------------------


def test_a_key_has_so_many_calls_whichever_process_answers(tmp_path):
    folder = make_site_folder(tmp_path / "w", "api: {calls_per_hour: 40}\n")
    with serving(folder) as one, serving(folder) as two:
        program, other = Program(one, "busy"), Program(one, "other")
        second = Program.__new__(Program)
        second.site, second.name, second.token = two, "busy", program.token
        answers = [(program, second)[n % 2].ask("GET", "/key") for n in range(50)]
        good = [n for n, answer in enumerate(answers) if answer.status == 200]
        assert len(good) == 40 and problem(answers[-1]) == (429, "too-many")
        assert 0 < int(answers[-1].headers["retry-after"]) <= 3600
        assert other.ask("GET", "/key").status == 200
        with one.open() as workspace, workspace.store.write() as tx:  # two hours later
            tx.exec_driver_sql("UPDATE throttle SET at = datetime(at, '-2 hours')")
        assert program.ask("GET", "/key").status == 200


def test_a_database_that_is_held_up_is_told_and_nothing_is_done(tmp_path, monkeypatch):
    monkeypatch.setattr(app, "_TURN_S", 0.2)
    monkeypatch.setattr(sqlite, "_BUSY_MS", 200)
    folder = make_site_folder(tmp_path / "w", MUCH)
    with serving(folder) as site:
        program = Program(site, "patient")
        reader = site.add("waits@example.org")
        assert program.ask("GET", "/key").status == 200  # takes a block of calls
        other = sqlite3.connect(folder / "var/digest.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        answer = program.ask("POST", f"/readers/{reader.id}/leave")
        assert problem(answer) == (503, "unavailable") and int(answer.headers["retry-after"]) > 0
        assert program.get(f"/readers/{reader.id}")["subscriber"]["status"] == "active"  # looking goes on
        other.execute("ROLLBACK")
        other.close()
        assert program.post(f"/readers/{reader.id}/leave")["subscriber"]["status"] == "unsubscribed"


def test_odd_bodies_and_ways_are_refused(site, program):
    for body, kind, said in (
        (b"{", "application/json", (400, "not-json")),
        (b"\xff\xfe", "application/json", (400, "not-json")),
        (b"[" * 5000, "application/json", (400, "not-json")),
        (b'{"email": "a@example.org"}', "text/plain", (422, "invalid")),
        (b"", "application/json", (422, "invalid")),
        (b'{"email": "a\\ud800@example.org"}', "application/json", (422, "invalid")),
        (b'{"email": "a@example.org", "name": "\\u0000"}', "application/json", (422, "invalid")),
        (b" " * 1_100_000, "application/json", (413, "too-large")),
    ):
        answer = program.ask("POST", "/readers", body, Content_Type=kind)
        assert problem(answer) == said, body[:40]
    for method in ("PUT", "DELETE", "OPTIONS", "BREW"):
        answer = program.ask(method, "/readers")
        assert problem(answer) == (405, "method") and "allow" in answer.headers
    for path in ("/nothing", "/readers/", "/readers/x", "/readers/" + "f" * 32, "/readers/%0a", "/%0a", ""):
        assert problem(program.ask("GET", path)) in ((404, "not-found"), (422, "invalid")), path
    origin = site.ask("OPTIONS", API + "/readers", Origin="https://www.example.org", Access_Control_Request_Method="GET")
    assert "access-control-allow-origin" not in origin.headers  # whom pages.api lets ask the readers' API


def test_looking_changes_nothing(site, program):
    def state():
        with site.open() as workspace, workspace.store.read() as tx:
            return {
                one.name: tx.execute(select(one).order_by(*one.primary_key.columns)).all()
                for one in t.metadata.sorted_tables
                if one.name != "throttle"
            }

    reader = site.reader("held@example.org").id
    program.get("/key")
    before = state()
    for path in (
        "/lists",
        "/lists/gut",
        "/list-changes",
        "/readers",
        f"/readers/{reader}",
        f"/readers/{reader}/why/{ISSUE}",
        "/segments",
        "/issues",
    ):
        program.get(path)
    for path in (
        "/calendar",
        f"/issues/{ISSUE}",
        f"/issues/{ISSUE}/held",
        f"/issues/{ISSUE}/content",
        "/reports/readers",
        "/audit",
        "/audit/verify",
    ):
        program.get(path)
    program.post("/readers/search", {})
    program.post("/list-changes/preview", {"kind": "retire", "id": "vision"})
    assert state() == before


def test_a_fault_of_ours_and_the_log_tell_nothing_of_a_reader(site, program, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    row = {"email": "zebrafinch@example.org", "name": "Canaria", "interests": ["gut"]}
    id = program.post("/readers", row, 201)["id"]
    program.post("/readers/find", {"email": "zebrafinch@example.org"})
    program.post("/readers/search", {"filter": {"interests": ["gut"]}})
    program.post("/readers", {**row, "interests": ["nothing"]}, 422)
    with site.open() as workspace, workspace.store.write() as tx:
        tx.execute(update(t.subscriber).where(t.subscriber.c.sid == id).values(cadence="NO SUCH SLUG!"))
    answer = program.ask("GET", f"/readers/{id}")
    assert problem(answer) == (500, "fault") and "SLUG" not in answer.text
    with site.open() as workspace, workspace.store.write() as tx:
        tx.execute(update(t.subscriber).where(t.subscriber.c.sid == id).values(cadence="monthly"))
    logged = "\n".join(f"{one.getMessage()} {one.__dict__}" for one in caplog.records if not one.name.startswith("sqlalchemy"))
    assert "a call failed" in logged
    for secret in ("zebrafinch", "Canaria", program.token[12:]):
        assert secret not in logged
    with site.open() as workspace:
        records = [one.model_dump_json() for one in audit.page(workspace, 500)]
    assert not any("zebrafinch" in one or "Canaria" in one for one in records)
