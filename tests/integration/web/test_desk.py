"""The desk without a browser: who may come in, what each may do, what it shows of odd and broken things, and what it leaves alone."""

import re
import subprocess
import sys
from datetime import timedelta
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import update
from starlette.testclient import TestClient

from digest import audit, readiness
from digest.accounts import Role as StaffRole
from digest.errors import IssueError
from digest.lint import edges
from digest.store import now, people
from digest.store import schema as t
from digest.web.desk import guard
from digest.web.desk.app import make_desk, make_frames
from digest.web.desk.guard import OwnHost, Person, Role, own_names
from digest.web.desk.table import Table
from digest.workspace import open_workspace
from tests.support.desk import NAME, ON, make_desk_folder, sitting
from tests.support.make import CONFIG
from tests.support.site import serving
from tests.support.staff import PASSWORD, Browser, add

ISSUE = f"/issues/{NAME}"
EVERYTHING = f"{ISSUE}/editions/imagined:all"


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    with sitting(make_desk_folder(tmp_path_factory.mktemp("desk") / "w")) as desk:
        yield desk


def filled(path, name=NAME):
    return re.sub(r"\{(\w+)[^}]*\}", lambda found: {"name": name, "which": "imagined:all", "kind": "eml"}.get(found[1], "x"), path)


def routes(app):
    """Every page of the desk: its method, path and endpoint."""
    kept = [route for part in app.routes for route in getattr(getattr(part, "original_router", None), "routes", [part])]
    return [(method, route.path, route.endpoint) for route in kept if isinstance(route, APIRoute) for method in route.methods]


@pytest.fixture
def table(tmp_path):
    with open_workspace(make_desk_folder(tmp_path / "w"), ON) as workspace:
        yield Table(workspace, live=False, on=ON)


def client_of(app):
    return TestClient(app, base_url="http://127.0.0.1:8025", raise_server_exceptions=False, follow_redirects=False)


# --- who comes in --------------------------------------------------------------------------------------------------------


def test_nobody_sees_anything_without_the_key(desk, table):
    app = make_desk(table, guard.Door("x", 1).who)
    pages = routes(app)
    assert len(pages) > 20
    for method, path, _ in pages:
        for cookie in ("", "digest-desk-1=wrong", f"digest-desk-{desk.port}=", f"digest-desk-{desk.port}=x{desk.key}"):
            if path == "/mail/{key}/{name}/{which}":
                continue  # the desk of `digest preview` has it on its second port
            answer = desk.ask(method, filled(path), b"" if method == "POST" else None, Cookie=cookie)
            assert answer.status == 401, (method, path, cookie)
            assert "Piece" not in answer.text
    assert desk.ask("GET", "/?key=wrong", Cookie="").status == 401
    come_in = desk.ask("GET", f"{ISSUE}?key={desk.key}", Cookie="")
    assert (come_in.status, come_in.headers["location"]) == (303, ISSUE)
    assert {"HttpOnly", "SameSite=strict"} <= set(come_in.headers["set-cookie"].split("; "))
    assert desk.ask("GET", f"//elsewhere.example.org/?key={desk.key}", Cookie="").headers["location"] == "/elsewhere.example.org/"


@pytest.mark.parametrize("host", ["evil.example.org", "127.0.0.1", "127.0.0.1:80", "localhost", "127.0.0.1.evil.example.org:{port}", ""])
def test_another_name_for_this_machine_is_not_answered(desk, host):
    for port in (desk.port, int(re.search(r":(\d+)/mail", desk.frame(EVERYTHING))[1])):
        assert desk.ask("GET", "/", port=port, Host=host.format(port=port) or " ").status in (400, 421)
    assert desk.get("/", Host=f"localhost:{desk.port}").status == 200


def test_without_the_check_of_its_name_the_desk_would_answer_a_rebound_one(table):
    """The control of the test above."""
    answers = []
    for guarded in (False, True):
        app = make_desk(table, lambda _: Person("ana", Role.ADMIN, "s"))
        if guarded:
            app.add_middleware(OwnHost, names=own_names(8025))
        answers.append(client_of(app).get("/", headers={"Host": "evil.example.org"}).status_code)
    assert answers == [200, 421]


FOREIGN = [
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"},
    {"Sec_Fetch_Site": "none"},
    {"Origin": "https://evil.example.org"},
    {"Origin": "null"},
    {"Sec_Fetch_Site": "", "Origin": ""},
]


@pytest.mark.parametrize("sent", FOREIGN)
def test_a_form_from_elsewhere_changes_nothing(desk, sent):
    before = desk.get(f"{ISSUE}/edit").text.count("<li")
    answer = desk.post(f"{ISSUE}/edit", {"do": "subject", "text": "Not ours"}, **sent)
    assert answer.status == 403
    assert desk.post(f"{ISSUE}/edit", {"do": "subject", "text": "Not ours"}, token="0" * 32).status == 403
    page = desk.get(f"{ISSUE}/edit").text
    assert "Not ours" not in page and page.count("<li") == before


def test_forms_shown_by_one_process_are_taken_by_another():
    code = "from digest.web.desk.guard import *; print(form_token(Person('ana', Role.EDITOR, 'session')))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert other == guard.form_token(Person("ana", Role.EDITOR, "session")) != guard.form_token(Person("ana", Role.EDITOR, "another"))


@pytest.mark.parametrize("origin", ["https://letter.example.org", "http://Desk.example.org"])
def test_a_form_from_the_newsletters_own_address_is_taken_whatever_a_proxy_calls_it(table, origin):
    person = Person("ana", Role.EDITOR, "session")
    sent = {"Origin": origin, "Sec-Fetch-Site": "same-origin", "Host": "desk.example.org"}
    form = {"token": guard.form_token(person), "do": "subject", "text": "Hello"}
    assert client_of(make_desk(table, lambda _: person)).post(f"{ISSUE}/edit", headers=sent, data=form).status_code == 303


def test_every_route_asks_who_it_is_and_each_role_may_what_its_own_is(table):
    """One matrix over all routes: a new one without an entry here fails."""
    needs = {"GET": Role.VIEWER}
    posts = {
        "pick": Role.ADMIN,
        "try_rules": Role.VIEWER,
        "change": Role.EDITOR,
        "draft": Role.EDITOR,
        "check": Role.EDITOR,
        "send_test": Role.EDITOR,
        "make_link": Role.EDITOR,
        "approve": Role.APPROVER,
    }
    asked = []

    def who(role):
        def tell(request):
            asked.append(request.url.path)
            return Person("ana", role, "session")

        return tell

    assert {endpoint.__name__ for method, _, endpoint in routes(make_desk(table, who(Role.ADMIN))) if method == "POST"} == set(posts)
    for role in Role:
        app = make_desk(table, who(role))
        client = client_of(app)
        token = guard.form_token(Person("ana", role, "session"))
        for method, path, endpoint in routes(app):
            asked.clear()
            if path == "/events":
                continue  # has no end; the guard before it is asked for in the test of the key
            needed = needs.get(method) or posts[endpoint.__name__]
            sent = {"Origin": "http://127.0.0.1:8025"}
            # No issue can have that name: whoever is let in is told so, and nothing has to be worked out.
            answer = client.request(
                method, filled(path, "monthly-2026-05-02"), headers=sent, data={"token": token, "do": "?"} if method == "POST" else None
            )
            assert asked, (method, path)
            assert (answer.status_code == 403) == (role < needed), (role, method, path, answer.text[-300:])


def test_a_route_without_a_guard_would_be_found(table):
    """The control of the matrix."""
    asked = []
    app = make_desk(table, lambda request: asked.append(request.url.path) or Person("ana", Role.ADMIN, "s"))

    @app.get("/open")
    def open_to_all():
        return {"x": 1}

    assert client_of(app).get("/open").status_code == 200
    assert asked == []


def test_a_guard_may_send_a_stranger_to_a_login(table):
    from fastapi import HTTPException

    def who(_):
        raise HTTPException(303, headers={"Location": "/admin/login"})

    app = FastAPI()
    app.mount("/desk", make_desk(table, who))
    answer = client_of(app).get(f"/desk{ISSUE}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin/login")


def test_the_desk_can_stand_below_a_path_and_keeps_its_emails_apart_there_too(table):
    app = FastAPI()
    app.mount("/desk", make_desk(table, lambda _: Person("ana", Role.VIEWER, "s")))
    client = client_of(app)
    page = client.get(f"/desk{EVERYTHING}").text
    assert not re.findall(r'(?:href|action|src)="/(?!desk/)', page)
    frame = re.search(r'<iframe id="mail"[^>]* src="([^"]+)"', page)[1].replace("&amp;", "&")
    assert re.search(r'<iframe id="mail"[^>]* sandbox="allow-popups allow-popups-to-escape-sandbox"', page)
    mail = client.get(frame)
    assert mail.status_code == 200 and "Piece one" in mail.text
    policy = mail.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "sandbox allow-popups" in policy and "script" not in policy and "same-origin" not in policy
    assert "Approving takes the role" in client.get(f"/desk{ISSUE}/approve").text


def test_the_frames_have_a_key_of_their_own(table):
    client = client_of(make_frames(table, "right", "http://127.0.0.1:8025"))
    assert client.get(f"/mail/right/{NAME}/imagined:all").status_code == 200
    assert client.get(f"/mail/wrong/{NAME}/imagined:all").status_code == 404
    assert client.get(f"/mail/right/{NAME}/none").status_code == 404


def test_every_answer_is_for_this_moment_and_this_page_alone(desk):
    for path in ("/", ISSUE, EVERYTHING, f"{ISSUE}/edit", "/nothing", f"{EVERYTHING}/get/eml", "/rules"):
        headers = desk.get(path).headers
        assert headers["cache-control"] == "no-store", path
        assert headers["x-content-type-options"] == "nosniff" and "default-src 'none'" in headers["content-security-policy"], path
    policy = desk.get("/").headers["content-security-policy"]
    assert (
        "'unsafe" not in policy
        and "frame-ancestors 'none'" in policy
        and f"frame-src {desk.frame(EVERYTHING).split('/mail')[0]};" in policy
    )


def test_looking_changes_nothing(desk):
    def all_rows():
        with open_workspace(desk.folder, ON) as workspace, workspace.store.read() as tx:
            names = [row[0] for row in tx.exec_driver_sql("SELECT name FROM sqlite_master WHERE type='table' ORDER BY name")]
            return {name: tx.exec_driver_sql(f'SELECT * FROM "{name}"').all() for name in names}

    before = all_rows()
    with open_workspace(desk.folder, ON) as workspace:
        app = make_desk(Table(workspace, live=True, on=ON), lambda _: Person("ana", Role.ADMIN, "s"))
        pages = [
            filled(path) for method, path, _ in routes(app) if method == "GET" and path not in ("/events", "/mail/{key}/{name}/{which}")
        ]
    for path in [*pages, "/issues/monthly-2026-06-01", f"{EVERYTHING}?view=raw&program=outlook&scheme=forced&media=print"]:
        assert desk.get(path).status in (200, 303, 404), path
    assert all_rows() == before


def test_an_address_stands_in_no_address_line(desk):
    answer = desk.post(f"{ISSUE}/reader", {"address": "ana@example.org", "do": "look"})
    assert answer.status == 303 and "ana" not in answer.headers["location"] and "%40" not in answer.headers["location"]
    page = desk.get(answer.headers["location"]).text
    assert "a…@example.org" in page and "ana@example.org" not in page
    assert "Piece one" in desk.mail(answer.headers["location"]).text
    unknown = desk.post(f"{ISSUE}/reader", {"address": "nobody@example.org", "do": "look"})
    page = desk.get(unknown.headers["location"])
    assert page.status == 404 and "nobody@example.org" not in page.text
    why = desk.post(f"{ISSUE}/reader", {"address": "ben@example.org", "do": "why"})
    text = desk.get(why.headers["location"]).text
    assert "follows Vision" in text and "ben@" not in text


def test_what_one_reader_gets_is_for_who_may_see_readers_and_a_look_is_recorded(table):
    key = table.pick("ana@example.org")
    one = f"editions/reader:{key}"
    looks = [
        f"{ISSUE}/{one}",
        f"{ISSUE}/{one}/get/eml",
        f"/mail/-/{NAME}/reader:{key}",
        f"{ISSUE}/why?reader={key}",
        f"{ISSUE}/edit?beside=reader:{key}",
    ]
    for role in (Role.APPROVER, Role.ADMIN):
        person = Person("nora", role, "session")
        client = client_of(make_desk(table, lambda _, person=person: person))
        sent, token = {"Origin": "http://127.0.0.1:8025"}, guard.form_token(person)
        may = role is Role.ADMIN
        assert {client.get(path).status_code for path in looks} == {200 if may else 403}
        assert ('name="address"' in client.get(ISSUE).text + client.get(f"{ISSUE}/why").text) is may
        tested = client.post(f"{ISSUE}/{one}/test", headers=sent, data={"token": token, "address": "me@example.org"})
        assert (tested.status_code == 403) is not may
        for address in ("ana@example.org", "nobody@example.org"):
            picked = client.post(f"{ISSUE}/reader", headers=sent, data={"token": token, "address": address})
            assert picked.status_code == (303 if may else 403)
    with table.opened.store.read() as tx:
        ana = next(iter(people.everyone(tx, table.opened.store.vault))).subscriber.id
    told = audit.page(table.opened, action="readers.find")
    assert [(found.who, found.subject) for found in told] == [("nora", ""), ("nora", ana)]


# --- behind the log-in ---------------------------------------------------------------------------------------------------


def test_in_digest_serve_a_viewer_looks_and_an_approver_approves_after_the_password_again(tmp_path):
    with serving(make_desk_folder(tmp_path / "w")) as site:
        people = {role: add(site, role.value, role) for role in (StaffRole.VIEWER, StaffRole.EDITOR, StaffRole.APPROVER)}
        assert Browser(site).get("/desk").headers["location"] == "/admin/login?to=/desk"
        asked = Browser(site).get(f"/desk{ISSUE}")
        assert (asked.status, asked.headers["location"]) == (303, f"/admin/login?to=/desk{ISSUE}")
        browsers = {role: Browser(site).enter(person) for role, person in people.items()}
        assert browsers[StaffRole.VIEWER].get("/desk").headers["location"] == "/desk/"
        with site.open() as workspace, workspace.store.write() as tx:
            tx.execute(update(t.session).values(fresh_at=now(tx) - timedelta(hours=1)))
        for role, browser in browsers.items():
            page = browser.get(f"/desk{ISSUE}/approve")
            content, token = (re.search(rf'name="{name}" value="(\w+)"', page.text) for name in ("content_hash", "token"))
            assert (content is not None) is (role is StaffRole.APPROVER)
            assert (
                'href="/admin"' in page.text
                and f'action="/admin/logout" class="who"><input type="hidden" name="csrf" value="{browser.csrf}"' in page.text
            )
            assert "Piece one" in browser.get(f"/desk{ISSUE}/why").text and browser.get(f"/desk{ISSUE}").status == 200
            if content is None:
                assert browser.post(f"/desk{ISSUE}/edit", {"do": "subject", "text": "x"}).status == 403
                continue
            form = {"content_hash": content[1], "token": token[1]}
            first = browser.post(f"/desk{ISSUE}/approve", form)
            assert (first.status, first.headers["location"]) == (303, f"/admin/again?to=/desk{ISSUE}")
            # The ending is of the path as it is routed, whatever else stands in it.
            odd = browser.post(f"/desk{ISSUE}/editions/imagined:all%3B%3F/test", {**form, "address": "me@example.org"})
            assert odd.headers.get("location", "").startswith("/admin/again")
            proved = browser.post("/admin/again", {"to": f"/desk{ISSUE}", "again_password": PASSWORD})
            assert (proved.status, proved.headers["location"]) == (303, f"/desk{ISSUE}")
            assert browser.post(f"/desk{ISSUE}/approve", form).headers["location"].endswith("?done=approved")
            page = browser.get(f"/desk{ISSUE}/approve?done=approved").text
            assert page.count("Approved as it is now") == 1 and 'name="content_hash"' not in page
            browser.post("/admin/logout")
            assert browser.get(f"/desk{ISSUE}").status == 303
        with site.open() as workspace:
            (told,) = audit.page(workspace, action="issue.approve")
        assert told.who == "approver" and "account" not in told.detail


# --- what it shows -------------------------------------------------------------------------------------------------------


def test_an_edition_can_be_taken_away_in_every_form(desk):
    kinds = {"html": b"<!doctype html", "txt": b"Test Letter", "eml": b"To: "}
    for kind, begin in kinds.items():
        answer = desk.get(f"{EVERYTHING}/get/{kind}")
        assert answer.body[: len(begin)].lower() == begin.lower(), kind
        assert answer.headers["content-disposition"] == f'attachment; filename="{NAME}-imagined-all.{kind}"'
        assert "sandbox" in answer.headers["content-security-policy"]
    assert desk.get(f"{EVERYTHING}/get/exe").status == 404


def test_the_view_is_what_the_address_says_and_nonsense_is_the_usual(desk):
    mail = desk.mail(f"{EVERYTHING}?scheme=dark").text
    assert "prefers-color-scheme" not in mail and "color-scheme:only dark" in mail
    assert desk.mail(f"{EVERYTHING}?images=off").headers["content-security-policy"].count("img-src 'none'") == 1
    assert "https: data:" in desk.mail(EVERYTHING).headers["content-security-policy"]
    for odd in (
        "width=-1",
        "width=" + "9" * 400,
        "width=%D9%A3%D9%A7%D9%A5",
        "view=<script>",
        "scheme=%00",
        "program=lynx",
        "images=",
        "media=tv",
    ):
        answer = desk.get(f"{EVERYTHING}?{odd}")
        assert answer.status == 200 and "<script>" not in answer.text.split("</head>")[1], odd


@pytest.mark.parametrize(
    "which", ["none", "../../etc", "imagined:", "imagined:nothing", "reader:0", "x" * 3000, "<script>alert(1)</script>"]
)
def test_an_edition_that_is_not_there_is_said_to_be_so(desk, which):
    answer = desk.get(f"{ISSUE}/editions/{quote(which, safe='')}")
    assert answer.status == 404 and "<script>alert" not in answer.text


@pytest.mark.parametrize("name", ["nothing", "monthly-2026-05-02", "monthly-2026-13-01", "daily-2026-05-01", "monthly-0001-01-01", "%00"])
def test_an_issue_that_cannot_be_is_said_to_be_so(desk, name):
    assert desk.get(f"/issues/{name}").status == 404


def test_an_issue_nobody_drafted_is_shown_and_drafted_by_a_button(tmp_path):
    with sitting(make_desk_folder(tmp_path / "w", drafted=False, people=""), "monthly") as desk:
        page = desk.get(ISSUE).text
        assert "Not drafted yet" in page and "3 pieces" in page and "imagined readers" in page
        assert "Piece three" in desk.mail(EVERYTHING).text
        assert "draft the issue first" in desk.get(f"{ISSUE}/edit").text
        assert desk.post(f"{ISSUE}/draft").status == 303
        page = desk.get(ISSUE).text
        assert "Not drafted yet" not in page and "The saved files say" not in page


def test_steps_of_an_editor_come_back_as_a_file(desk):
    assert desk.edit("note", text="A **word** from us.").status == 303
    mail = desk.mail(EVERYTHING).text
    assert re.search(r"A <strong[^>]*>word</strong> from us\.", mail)
    answer = desk.get(f"{ISSUE}/edits.yaml")
    assert "A **word** from us." in answer.text
    assert desk.edit("undo").status == 303
    assert "from us" not in desk.mail(EVERYTHING).text
    assert desk.edit("import", text=answer.text).status == 303
    assert "from us" in desk.mail(EVERYTHING).text
    assert desk.edit("undo").status == 303
    assert desk.edit("pin", piece="no such piece").status == 422
    assert desk.edit("sing").status == 400


def test_a_test_goes_to_the_editor_alone_and_a_bad_address_is_said(desk):
    answer = desk.post(f"{EVERYTHING}/test", {"address": "editor@example.org"})
    assert answer.status == 200 and "[Test]" in answer.text
    (mail,) = (desk.folder / f"var/outbox/test-{NAME}").glob("*.eml")
    assert "editor@example.org" in mail.read_text()
    bad = desk.post(f"{EVERYTHING}/test", {"address": "no address"})
    assert bad.status == 422 and "Not sent" in bad.text


def test_an_approval_is_for_what_was_looked_at(desk):
    page = desk.get(f"{ISSUE}/approve").text
    content = re.search(r'name="content_hash" value="(\w+)"', page)[1]
    assert desk.edit("subject", text="Another subject for all").status == 303
    stale = desk.post(f"{ISSUE}/approve", {"content_hash": content})
    assert stale.status == 409 and "changed since you opened this page" in stale.text
    assert desk.edit("undo").status == 303
    assert desk.post(f"{ISSUE}/approve", {"content_hash": content}).status == 303
    assert "Approved as it is now" in desk.get(f"{ISSUE}/approve").text
    assert '<span class="chip approved">approved</span>' in desk.get("/").text
    assert desk.edit("subject", text="Another subject for all").status == 303
    page = desk.get(f"{ISSUE}/approve").text
    assert "The approval is void" in page and "Another subject for all" in page
    for path in ("/", ISSUE, f"{ISSUE}/edit"):
        assert '<span class="chip warn">approval void</span>' in desk.get(path).text, path
    assert "It has changed since it was approved" in desk.get(f"{ISSUE}/edit").text
    assert desk.edit("undo").status == 303


def test_readers_of_a_new_language_make_it_another_content(table):
    seen = table.composed(NAME).ready
    before = seen.material.content_hash(seen.compiled)
    with table.opened.store.write() as tx:
        tx.execute(update(t.subscriber).where(t.subscriber.c.id == 1).values(language="de"))
    with pytest.raises(IssueError, match="has changed since you looked"):
        readiness.approve(table.workspace(), NAME, expected=before)
    now = table.composed(NAME).ready
    assert readiness.approve(table.workspace(), NAME, expected=now.material.content_hash(now.compiled)) != before


def test_a_warning_passes_with_a_word_and_an_error_with_none(desk):
    no_word = desk.post(f"{ISSUE}/checks", {"do": "accept", "rule": "image-alt", "word": ""})
    assert no_word.status == 422
    assert desk.post(f"{ISSUE}/checks", {"do": "accept", "rule": "size-clip", "word": "x"}).status == 422


def test_a_link_shows_the_draft_until_it_is_taken_back(desk):
    from tests.support.site import serving

    answer = desk.post(f"{ISSUE}/share", {"do": "make", "days": "3", "edition": ""})
    url = re.search(r'id="link-out">https://letter.example.org(/[^<]+)<', answer.text)[1]
    assert desk.post(f"{ISSUE}/share", {"do": "make", "days": "400"}).status == 422
    with serving(desk.folder) as site:
        page = site.get(url)
        assert page.status == 200 and f"Draft of {NAME}" in page.text and "<form" not in page.text
        frame = re.search(r'<iframe[^>]* src="([^"]+)"', page.text)[1]
        mail = site.get(frame)
        assert "Piece" in mail.text and "sandbox allow-popups" in mail.headers["content-security-policy"]
        assert site.get(f"{url[:-3]}xyz").status == 404
        id = re.search(r'name="id" value="(\w+)"', desk.get(f"{ISSUE}/share").text)[1]
        assert desk.post(f"{ISSUE}/share", {"do": "revoke", "id": id}).status == 303
        assert site.get(url).status == 404


def test_other_rules_can_be_tried_and_nothing_is_saved(desk):
    file = desk.folder / "subscribers/interests.yaml"
    before = file.read_text()
    answer = desk.post("/rules", {"text": before.replace("match: {tag: vision}", "match: {tag: gut}")})
    assert answer.status == 200 and "− Piece two" in answer.text and "+ Piece one" in answer.text
    wrong = desk.post("/rules", {"text": "- {id: [}"})
    assert wrong.status == 422 and "not valid YAML" in wrong.text
    bomb = "- &a [x, x]\n" + "".join(f"- &{b} [*{a}, *{a}]\n" for a, b in zip("abcd", "bcde", strict=True))
    for answer in (desk.post("/rules", {"text": bomb}), desk.edit("import", text=bomb)):
        assert answer.status == 422 and "anchors" in answer.text
    assert file.read_text() == before


def test_an_undo_that_comes_second_is_told_what_it_would_have_met(desk):
    seen = int(re.search(r'name="seen" value="(\d+)"', desk.get(f"{ISSUE}/edit").text)[1])
    desk.edit("subject", text="Somebody's subject")
    answer = desk.edit("undo", seen=seen)
    assert answer.status == 409 and "Nothing was changed" in answer.text and "Somebody&#39;s subject" in answer.text
    assert "as the source has it" not in answer.text and "Put mine in its place" not in answer.text
    assert desk.edit("undo", seen=seen + 1).status == 303
    # A pin, an exclusion, an order: in words, not as a text that nobody wrote.
    for do in ("pin", "unpin"):
        assert desk.edit(do, piece="one").status == 303
    answer = desk.edit("pin", piece="one", seen=seen)
    assert answer.status == 409 and "unpinned &#34;Piece one&#34;" in answer.text and "Put mine in its place" in answer.text
    desk.edit("exclude", piece="one")
    answer = desk.edit("exclude", piece="one", interest="gut", seen=seen)
    assert answer.status == 409 and "excluded &#34;Piece one&#34; under gut" in answer.text
    for do in ("include", "unpin"):
        assert desk.edit(do, piece="one").status == 303


def test_what_is_refused_stands_in_its_field_with_its_length(desk):
    long = "w" * 251
    answer = desk.edit("teaser", piece="one", title="My own title", takeaway=long)
    assert answer.status == 422
    id = desk_id(desk, "Piece one")
    for given, where in (({"piece": id, "title": "My own title", "takeaway": long}, "teaser"), ({"text": "s" * 151}, "subject")):
        page = desk.edit(where, **given).text
        assert "Not saved" in page and "still stands in its field" in page
        for text in (value for name, value in given.items() if name != "piece"):
            field = re.search(rf'<(?:input type="text"|textarea)[^>]*(?:value="{text}"[^>]*>|>\s*{text}<)', page)
            assert field and "data-saved=" in field[0], where
    assert "251 characters: too long, at most 200" in desk.edit("teaser", piece=id, title="", takeaway=long).text


def desk_id(desk, title):
    return re.search(rf'data-piece="([^"]+)"(?:(?!<li)[\s\S])*?<p class="subject">{title}', desk.get(f"{ISSUE}/edit").text)[1]


def test_some_interests_with_none_ticked_is_not_the_whole_issue(desk):
    id = desk_id(desk, "Piece three")

    def boxes(do):
        return [tick for tick in re.findall(r"<input type=\"checkbox\"[^>]*>", desk.get(f"{ISSUE}/edit").text) if f'id="{do}-' in tick]

    for do in ("exclude", "pin"):
        answer = desk.edit(do, piece=id, only="some")
        assert answer.status == 422 and "tick the interests" in answer.text.lower()
        assert desk.edit(do, piece=id, only="some", interest="gut").status == 303
        assert sum(" checked" in box for box in boxes(do)) == 1
        assert desk.edit(do, piece=id, only="some", had="some").status == 303
        assert not any(" checked" in box for box in boxes(do))
    assert ">left out<" not in desk.get(f"{ISSUE}/edit").text
    desk.edit("exclude", piece=id)
    assert "no interest takes it" not in desk.get(f"{ISSUE}/edit").text
    desk.edit("include", piece=id)


def test_an_address_puts_no_words_into_our_mouth(desk):
    for page in ("edit", "checks", "approve"):
        assert 'class="saved" role="status"' not in desk.get(f"{ISSUE}/{page}?done=You%20have%20been%20chosen").text, page
    assert "Moved to place 2." in desk.get(f"{ISSUE}/edit?done=place-2").text


def test_what_others_find_can_be_accepted_and_is_not_asked_twice(desk, monkeypatch):
    times = []

    def dead_links(*_):
        times.append(1)
        return [edges.Found("answers 404", "https://www.example.org/gone")]

    monkeypatch.setattr(edges, "dead_links", dead_links)
    asked = desk.post(f"{ISSUE}/checks", {"do": "more", "ask": "links"})
    assert asked.status == 303
    page = desk.get(asked.headers["location"]).text
    assert "https://www.example.org/gone" in page and re.search(r'value="links" checked', page)
    key = re.search(r'name="asked" value="(\w+)"', page)[1]
    taken = desk.post(f"{ISSUE}/checks", {"do": "accept", "rule": "link-dead", "word": "Known", "asked": key})
    assert taken.status == 303
    page = desk.get(taken.headers["location"].partition("#")[0]).text
    assert "Accepted and recorded" in page and "Known (" in page and len(times) == 1
    # Where the desk has forgotten what it showed, it says so, and asks anew for a word about it.
    assert "ask them again" in desk.get(f"{ISSUE}/checks?asked=gone").text
    again = desk.post(f"{ISSUE}/checks", {"do": "accept", "rule": "link-dead", "word": "Known", "asked": "gone"})
    assert again.status == 422 and "that waits for a word" in again.text and len(times) == 2


def test_the_order_of_the_list_is_that_of_before_and_next(desk):
    for sort in ("largest", "smallest", "readers"):
        ids = re.findall(r'<th scope="row"><a href="[^"]*/editions/(\w+)', desk.get(f"{ISSUE}?sort={sort}").text)
        link = f"{ISSUE}/editions/{ids[0]}?sort={sort}"
        page = desk.get(link).text
        assert f"1 of {len(ids)}" in page and f'rel="next" accesskey="n" href="{ISSUE}/editions/{ids[1]}?' in page
    assert "sort" not in desk.frame(f"{ISSUE}/editions/{ids[0]}?sort=largest")  # it is the same email
    assert f"of {len(ids)}" in desk.get(EVERYTHING).text  # somebody imagined gets one of them


def test_dates_are_those_of_the_newsletters_own_zone(tmp_path):
    folder = make_desk_folder(tmp_path / "w", config=CONFIG.replace("timezone: Europe/London", "timezone: Pacific/Auckland"))
    assert "Pacific/Auckland" in (folder / "config.yaml").read_text()
    with sitting(folder) as desk:
        why = desk.get(f"{ISSUE}/why").text
        assert "15 April 2026" in why and "14 April 2026" not in why
        assert "to be sent" in why and "<td>sent</td>" not in why
        assert "due 01 May 2026, 09:00 (Pacific/Auckland)" in why


def test_the_issue_at_hand_stands_first_and_those_to_come_follow_in_their_order(desk):
    names = re.findall(r'/issues/(monthly-[\d-]+)"', desk.get("/").text)
    assert names[:3] == ["monthly-2026-05-01", "monthly-2026-06-01", "monthly-2026-07-01"]


def test_two_issues_stand_beside_each_other_as_one_asks(desk):
    page = desk.get(f"{ISSUE}/compare?edition=imagined:vision&width=600&scheme=dark&other={NAME}").text
    frames = re.findall(r'<iframe class="mail" title="[^"]*" src="[^"]*/imagined%3Avision\?scheme=dark&amp;at=\w+" width="600"', page)
    assert len(frames) == 2
    assert 'width="375"' in desk.get(f"{ISSUE}/compare?edition=reader:x").text  # one reader's edition stands beside none


def test_what_others_were_asked_is_told_and_stays_ticked(desk):
    asked = desk.post(f"{ISSUE}/checks", {"do": "more", "ask": ["spelling", "spam"]})
    page = desk.get(asked.headers["location"]).text
    for rule, box in (("spelling", "ask-spelling"), ("spam-score", "ask-spam")):
        assert re.search(rf"<code>{rule}</code> (asked|not checked): ", page), rule
        assert re.search(rf'id="{box}"[^>]* checked', page)
    assert 'id="ask-links" name="ask" value="links">' in page


def test_editions_are_told_apart_and_plain_text_opens_as_text(desk):
    row = re.search(r'<th scope="row"><a href="([^"]+)">\w{10}</a><br><span class="about">([^<]+)</span>', desk.get(ISSUE).text)
    assert "Vision" in row[2]
    assert desk.get(f"{ISSUE}/imagined?form=plain").headers["location"].endswith("plain?view=text")
    assert "takes the letter’s own dark colours away" in desk.get(f"{EVERYTHING}?program=gmail&scheme=dark").text
    assert "takes the letter’s own dark" not in desk.get(f"{EVERYTHING}?scheme=dark").text


def test_one_edition_has_one_size(desk):
    row = re.search(r'/editions/(\w+)\?[^"]*">.*?(\d+ KB)', desk.get(ISSUE).text, re.S)
    assert f"{row[2]} of " in desk.get(f"{ISSUE}/editions/{row[1]}").text


# --- bad input -----------------------------------------------------------------------------------------------------------


HEADER = "templates/parts/header.mjml.j2"


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        (HEADER, "<mj-section", "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}<mj-section", "loop"),
        (HEADER, "<mj-section", "{% set x = 'x' * 99999999999 %}<mj-section", "memory"),
        (HEADER, "<mj-section", "<mj-column><mj-section", "not valid MJML"),
        (HEADER, "<mj-section", "<mj-include path='/etc/passwd'/><mj-section", "mj-include is not allowed"),
        (HEADER, "<mj-section", "{% if %}<mj-section", f"{HEADER}:"),
        ("subscribers/interests.yaml", "- id: gut", "- id: [gut", "interests.yaml"),
        ("config.yaml", "newsletter:", "newspaper:", "unknown key"),
        ("config.yaml", "cadences:", "selection: {max_teaser: 3}\ncadences:", "max_teasers?"),
    ],
    ids=["endless", "memory", "mjml", "include", "syntax", "interests", "config", "key"],
)
def test_what_cannot_be_composed_is_explained_and_the_last_good_state_stays(desk, file, old, new, says):
    assert "Piece one" in desk.mail(EVERYTHING).text
    path = desk.folder / file
    good = path.read_text()
    assert old in good
    path.write_text(good.replace(old, new, 1))
    try:
        others = [f"{ISSUE}/{page}" for page in ("edit", "why", "checks", "approve", "compare")] if says != "loop" else []
        for page in (EVERYTHING, ISSUE, *others):
            answer = desk.get(page)
            assert answer.status == 200 and says in answer.text, page
            assert f"{file}: {file}" not in answer.text and file.capitalize() not in answer.text and "?." not in answer.text
            assert '<span class="it">' not in answer.text or re.search(r'<span class="it">[^\n]*</span>\n', answer.text), page
        assert "Piece one" in desk.mail(EVERYTHING).text
    finally:
        path.write_text(good)
    assert says not in desk.get(EVERYTHING).text


def test_a_template_that_was_never_right_is_explained_too(tmp_path):
    folder = make_desk_folder(tmp_path / "w")
    (folder / "templates/digest.mjml.j2").unlink()
    with sitting(folder) as desk:
        for page in (ISSUE, f"{ISSUE}/edit", f"{ISSUE}/why", f"{ISSUE}/checks", f"{ISSUE}/approve"):
            answer = desk.get(page)
            assert answer.status == 200 and "is not there" in answer.text, page
        assert desk.get(EVERYTHING).status == 422


def test_sources_that_are_down_interests_without_rules_and_files_in_disorder_are_said(tmp_path):
    config = CONFIG.replace("cadences:", "  - {name: other, kind: feed, url: 'http://127.0.0.1:9/feed.xml'}\ncadences:")
    folder = make_desk_folder(tmp_path / "w", config=config)
    (folder / "summaries/broken.md").write_text("---\ntitle: [\n---\n")
    (folder / "subscribers/interests.yaml").write_text(
        "- {id: gut, label: Gut and diet}\n- {id: vision, label: Vision, match: {tag: vision}}\n"
    )
    with sitting(folder) as desk:
        page = desk.get(ISSUE).text
        assert "other could not be read ever" in page
        assert "broken.md" in page
        assert "gut has lost its rule since the draft" in page


def test_a_picture_that_is_missing_leaves_its_words(tmp_path):
    folder = make_desk_folder(tmp_path / "w")
    file = folder / "summaries/one.md"
    file.write_text(file.read_text().replace("tags:", "image: {src: 'https://127.0.0.1:9/none.png', alt: A chart of steps}\ntags:"))
    with sitting(folder) as desk:
        assert 'alt="A chart of steps"' in desk.mail(EVERYTHING).text


def test_an_issue_that_has_gone_out_is_shown_as_it_went(tmp_path):
    from digest import dispatch

    folder = make_desk_folder(tmp_path / "w")
    with open_workspace(folder, ON) as workspace, workspace.store.alone():
        dispatch.send(workspace, NAME)
    with sitting(folder) as desk:
        (folder / HEADER).write_text("broken {{")
        page = desk.get(ISSUE).text
        assert "finished" in page and "cannot be composed" not in page
        assert "has begun to go out" in desk.get(f"{ISSUE}/edit").text
        assert desk.edit("subject", text="Too late for that").status == 422


def test_the_list_of_a_workspace_without_readers_is_of_imagined_ones(tmp_path):
    with sitting(make_desk_folder(tmp_path / "w", people="")) as desk:
        page = desk.get(ISSUE).text
        assert "Nobody on the list would get this issue" in page and "follows Vision" in page
        link = re.search(r'<th scope="row"><a href="([^"]+)"', page)[1]
        assert "Piece" in desk.mail(link).text


def test_a_desk_on_a_port_that_is_taken_says_so(desk):
    import asyncio

    from digest.errors import DigestError
    from digest.web.desk import preview

    with open_workspace(desk.folder, ON) as workspace, pytest.raises(DigestError, match="choose another with --port"):
        asyncio.run(preview.serve(workspace, NAME, ON, desk.port, lambda _: None))
