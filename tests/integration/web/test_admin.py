"""Logging in, staying in, being let go: what a browser with a cookie can do at the admin, and what nobody can find out or fake."""

import json
import re
from datetime import timedelta

import pytest
from sqlalchemy import update

from digest import audit, signin, staff, totp
from digest.accounts import Role
from digest.store import now
from digest.store import schema as t
from tests.support.site import make_site_folder, serving
from tests.support.staff import PASSWORD, Browser, add, code_of

ADMIN = "admin: {budgets: {try_per_hour: 100000, name_per_hour: 100000, network_per_hour: 100000, all_per_hour: 100000}}\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with serving(make_site_folder(tmp_path_factory.mktemp("admin") / "w", ADMIN)) as site:
        add(site, "nora")
        yield site


@pytest.fixture
def person(site, n=[0]):  # noqa: B006
    n[0] += 1
    return add(site, f"person{n[0]}")


def log(site, **wanted):
    with site.open() as workspace:
        return [(one.who, one.action, one.subject) for one in audit.page(workspace, 20, **wanted)]


def age(site, column, by):
    with site.open() as workspace, workspace.store.write() as tx:
        tx.execute(update(t.session).values({column: now(tx) - by}))


# --- in and out ----------------------------------------------------------------------------------------------------------


def test_without_anybody_the_page_says_how_to_add_the_first(tmp_path):
    with serving(make_site_folder(tmp_path / "w")) as site:
        browser = Browser(site)
        for path in ("/admin", "/admin/people", "/admin/login"):
            answer = browser.get(path)
            assert answer.status == 404 and "digest people add NAME --role admin" in answer.text, path
        assert browser.log_in("nora").status == 404
        add(site, "nora")
        assert browser.log_in("nora").status == 303


def test_log_in_look_and_log_out(site, person):
    browser = Browser(site)
    asked = browser.get("/admin/audit?who=nora")
    assert (asked.status, asked.headers["location"]) == (303, "/admin/login?to=/admin/audit%3Fwho%3Dnora")
    assert 'value="/admin/audit?who=nora"' in browser.get(asked.headers["location"]).text
    answer = browser.log_in(person.name.upper(), to="/admin/audit?who=nora")
    assert (answer.status, answer.headers["location"]) == (303, "/admin/audit?who=nora")
    given, browser_mark = answer.cookies
    assert browser_mark.startswith("digest-browser=") and "HttpOnly" in browser_mark and person.name not in browser_mark
    assert given.startswith("digest=") and "HttpOnly" in given and "samesite=lax" in given.lower() and "Path=/" in given
    assert "secure" not in given.lower() and "domain" not in given.lower() and "expires" not in given.lower()
    page = browser.get("/admin")
    assert page.status == 200 and f"Hello {person.name}" in page.text
    assert browser.get("/admin/login").headers["location"] == "/admin"
    old = dict(browser.cookies)
    assert browser.post("/admin/logout").headers["location"] == "/admin/login"
    browser.cookies = old
    assert browser.get("/admin").status == 303
    assert log(site, who=person.name)[:2] == [(person.name, "logout", person.name), (person.name, "login", person.name)]


def test_over_https_the_cookie_is_bound_to_the_host(site, person):
    browser = Browser(site)
    fields = {"name": person.name, "password": PASSWORD}
    answer = browser.post("/admin/login", fields, Host="letter.example.org", Origin="https://letter.example.org")
    assert [given.partition("=")[0] for given in answer.cookies] == ["__Host-digest", "__Host-digest-browser"]
    for given in answer.cookies:
        assert "; Secure" in given and "Path=/;" in given and "Domain" not in given
    elsewhere = browser.post("/admin/login", fields, Host="192.0.2.7:8000", Origin="http://192.0.2.7:8000")
    assert elsewhere.status == 403 and "https" in elsewhere.text and "set-cookie" not in elsewhere.headers


def test_another_session_begins_with_each_log_in_and_the_old_one_of_that_browser_ends(site, person):
    browser = Browser(site)
    browser.log_in(person.name)
    first = dict(browser.cookies)
    browser.log_in(person.name)
    assert browser.cookies != first
    with site.open() as workspace:
        assert len(staff.sessions(workspace, person.name)) == 1
        token = browser.cookies["digest"]
        with workspace.store.read() as tx:
            assert token not in repr(tx.execute(t.session.select()).all())  # kept by its hash alone


@pytest.mark.parametrize(
    ("column", "by", "still"),
    [
        ("seen_at", timedelta(minutes=59), True),
        ("seen_at", timedelta(minutes=61), False),
        ("made_at", timedelta(hours=11), True),
        ("made_at", timedelta(hours=13), False),
    ],
)
def test_a_session_ends_when_unused_and_when_old(site, person, column, by, still):
    browser = Browser(site).enter(person)
    age(site, column, by)
    assert (browser.get("/admin").status == 200) is still


def test_whoever_is_disabled_or_gets_another_password_is_out_at_once(site, person):
    browser = Browser(site).enter(person)
    with site.open() as workspace:
        staff.disable(workspace, person.name)
    assert browser.get("/admin").status == 303
    assert browser.log_in(person.name).status == 403
    with site.open() as workspace:
        staff.enable(workspace, person.name)
    other = Browser(site)
    assert other.log_in(person.name).status == 303
    with site.open() as workspace:
        staff.set_password(workspace, person.name, "another good phrase")
    assert other.get("/admin").status == 303
    assert other.log_in(person.name).status == 403 and other.log_in(person.name, "another good phrase").status == 303


# --- what nobody finds out -----------------------------------------------------------------------------------------------


def test_a_wrong_password_an_unknown_name_and_a_disabled_person_get_the_same_bytes(site, person):
    gone = add(site, "gone" + person.name[-4:])
    with site.open() as workspace:
        staff.disable(workspace, gone.name)
    browser, answers = Browser(site), set()
    for name, password in (
        (person.name, "wrong wrong wrong"),
        ("nobody" + person.name[-4:], PASSWORD),
        (gone.name, PASSWORD),
        ("A B", "x"),
    ):
        answer = browser.log_in(name, password)
        headers = {key: value for key, value in answer.headers.items() if key not in ("date", "content-length")}
        answers.add((answer.status, answer.text.replace(f'value="{name}"', ""), json.dumps(headers)))
    assert len(answers) == 1 and next(iter(answers))[0] == 403


def test_each_try_costs_the_same_work_whoever_it_is_about(site, person, monkeypatch):
    """Counted, not timed: one hash and one record in the log; benchmarks/login_oracle.py compares the times."""
    from digest import passwords

    done = []
    verify = type(passwords._hasher()).verify
    monkeypatch.setattr(type(passwords._hasher()), "verify", lambda self, *values: done.append("hash") or verify(self, *values))
    append = audit.audit.append
    monkeypatch.setattr(audit.audit, "append", lambda *values: done.append("record") or append(*values))
    passwords._nobody()
    for name in (person.name, "no-such-person", "not a name at all"):
        with site.open() as workspace:
            assert signin.check(workspace, name, "wrong wrong wrong") is None
        assert done == ["hash", "record"], name
        done.clear()


def test_tries_are_counted_for_known_and_unknown_names_alike(tmp_path):
    folder = make_site_folder(tmp_path / "w", "admin: {budgets: {try_per_hour: 3, network_per_hour: 6}}\n")
    with serving(folder) as site:
        add(site, "nora")
        browser = Browser(site)
        for name in ("nora", "ghost"):
            assert [browser.log_in(name, "wrong wrong wrong").status for _ in range(4)] == [403, 403, 403, 429]
        assert browser.log_in("nora").status == 429  # the right password does not tell either
        assert browser.log_in("other").headers["retry-after"] == "3600"


def test_a_flood_from_elsewhere_locks_nobody_out_of_a_network_that_is_known(tmp_path, monkeypatch):
    folder = make_site_folder(tmp_path / "w", "admin: {budgets: {all_per_hour: 4}}\n")
    with serving(folder) as site:
        nora, where = add(site, "nora"), ["10.1.0.0/24"]
        monkeypatch.setattr("digest.web.admin.guard.network", lambda _: where[0])
        monkeypatch.setattr("digest.web.admin.entering.network", lambda _: where[0])
        home, away, flood = Browser(site), Browser(site).enter(nora), Browser(site)
        assert home.log_in("nora").status == 303
        where[0] = "10.2.0.0/24"
        assert [flood.log_in(f"ghost{n}", "wrong wrong wrong").status for n in range(5)] == [403, 403, 403, 429, 429]
        assert away.post("/admin/again", {"to": "/admin", "again_password": PASSWORD}).status == 303  # logged in, wherever they are
        where[0] = "10.3.0.0/24"
        assert flood.log_in("nora").status == 429  # the same for every name, so that none is found out
        where[0] = "10.1.0.0/24"
        assert Browser(site).log_in("nora").status == 303
    with serving(folder) as site:
        where[0] = "10.4.0.0/24"
        assert [Browser(site).log_in("ghost", "wrong wrong wrong").status for _ in range(5)][-1] == 429
        where[0] = "10.1.0.0/24"
        assert Browser(site).log_in("nora").status == 303  # what is known outlived the process


def test_who_gets_in_may_mistype_again(tmp_path):
    with serving(make_site_folder(tmp_path / "w", "admin: {budgets: {try_per_hour: 3}}\n")) as site:
        add(site, "nora")
        browser = Browser(site)
        told = [browser.log_in("nora", password).status for password in ("wrong wrong", "wrong wrong", PASSWORD) * 2]
        assert told == [403, 403, 303] * 2


def test_who_uses_up_the_tries_of_all_locks_out_no_network_that_somebody_logged_in_from(tmp_path):
    with serving(make_site_folder(tmp_path / "w", "admin: {budgets: {all_per_hour: 3}}\n")) as site:
        add(site, "nora")

        def tried(network, name, password):
            fields = {"name": name, "password": password}
            return Browser(site).post("/admin/login", fields, X_Forwarded_For=f"198.51.{network}.7").status

        assert tried(1, "nora", PASSWORD) == 303
        assert [tried(n, "ghost", "wrong") for n in (2, 3, 4)] == [403, 403, 429]
        # From elsewhere nobody gets in, and whose name it is makes no difference; from her network nora does, within its own budgets.
        assert [tried(5, "nora", PASSWORD), tried(5, "ghost", PASSWORD)] == [429, 429]
        assert [tried(1, "nora", "wrong"), tried(1, "nora", PASSWORD)] == [403, 303]


def test_who_is_logged_in_proves_it_again_though_the_tries_of_all_are_used_up(tmp_path):
    with serving(make_site_folder(tmp_path / "w", "admin: {budgets: {all_per_hour: 1}}\n")) as site:
        browser = Browser(site).enter(add(site, "nora"))
        assert [Browser(site).log_in("ghost", "wrong").status for _ in range(2)] == [403, 429]
        age(site, "fresh_at", timedelta(minutes=6))
        fields = {"name": "ben", "role": "editor", "again_password": PASSWORD}
        assert browser.post("/admin/people", fields).status == 200


# --- the second factor ---------------------------------------------------------------------------------------------------


def with_factor(site, person):
    with site.open() as workspace:
        secret = staff.new_secret()
        return secret, staff.turn_on(workspace, person.name, secret, code_of(secret, -1))


def test_a_code_is_asked_for_and_counts_once(site, person):
    secret, _ = with_factor(site, person)
    browser = Browser(site)
    assert browser.log_in(person.name, to="/admin/account").headers["location"] == "/admin/code?to=/admin/account"
    half = dict(browser.cookies)
    assert browser.get("/admin/account").headers["location"].startswith("/admin/code")  # nothing else yet
    assert browser.post("/admin/logout").headers["location"].startswith("/admin/code")
    browser.get("/admin/code")
    assert browser.post("/admin/code", {"code": "000000"}).status == 403
    assert browser.post("/admin/code", {"code": code_of(secret, -1)}).status == 403  # used when it was set up
    shown = code_of(secret)
    answer = browser.post("/admin/code", {"code": f"{shown[:3]} {shown[3:]}", "to": "/admin/account"})
    assert answer.headers["location"] == "/admin/account" and browser.cookies != half
    again = Browser(site)
    again.log_in(person.name)
    again.get("/admin/code")
    assert again.post("/admin/code", {"code": shown}).status == 403
    with site.open() as workspace:
        assert workspace.store.vault.open(totp_column(workspace, person.name), "totp") == secret.hex()  # sealed


def totp_column(workspace, name):
    with workspace.store.read() as tx:
        return tx.execute(t.person.select().where(t.person.c.name == name)).one().totp


def test_a_recovery_code_is_good_once_and_new_ones_end_the_old(site, person):
    secret, codes = with_factor(site, person)
    assert len(set(codes)) == 10

    def tries(code):
        browser = Browser(site)
        browser.log_in(person.name)
        browser.get("/admin/code")
        return browser.post("/admin/code", {"code": code}).status

    assert tries(codes[0].upper().replace("-", " ")) == 303
    assert tries(codes[0]) == 403
    with site.open() as workspace:
        assert staff.codes_left(workspace, person.name) == 9
        staff.new_codes(workspace, person.name)
    assert tries(codes[1]) == 403


def test_after_five_wrong_codes_the_password_is_asked_for_again(site, person):
    with_factor(site, person)
    browser = Browser(site)
    browser.log_in(person.name)
    browser.get("/admin/code")
    assert [browser.post("/admin/code", {"code": "123"}).status for _ in range(5)] == [403] * 5
    assert browser.get("/admin/code").headers["location"].startswith("/admin/login")


def test_a_password_alone_waits_for_its_code_five_minutes(site, person):
    with_factor(site, person)
    browser = Browser(site)
    browser.log_in(person.name)
    age(site, "seen_at", timedelta(minutes=6))
    assert browser.get("/admin/code").headers["location"].startswith("/admin/login")


def test_setting_it_up_on_the_page(site, person):
    browser = Browser(site)
    browser.log_in(person.name)
    page = browser.get("/admin/account/second-factor").text
    assert "<svg" in page and " style=" not in page
    secret = totp.read(re.search(r'class="key">([A-Z2-7 ]+)<', page)[1])
    sealed = re.search(r'name="secret" value="([^"]+)"', page)[1]
    wrong = browser.post("/admin/account/second-factor", {"secret": sealed, "code": "1"})
    assert wrong.status == 422 and sealed_secret(wrong.text, page)
    other = Browser(site).enter(add(site, person.name + "x"))
    assert (
        other.post("/admin/account/second-factor", {"secret": sealed, "code": code_of(secret)}).status == 303
    )  # somebody else's: begin anew
    done = browser.post("/admin/account/second-factor", {"secret": sealed, "code": code_of(secret)})
    assert done.status == 200 and len(re.findall(r"<li><code>[a-z0-9-]{19}</code>", done.text)) == 10
    assert "recovery codes are left" in browser.get("/admin/account").text


def sealed_secret(one, other):
    key = re.compile(r'class="key">([A-Z2-7 ]+)<')
    return key.search(one)[1] == key.search(other)[1]


# --- meant, and by the same person ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "none"},
    ],
)
def test_a_form_from_elsewhere_changes_nothing(site, person, headers):
    browser = Browser(site).enter(person)
    answer = browser.post("/admin/people", {"name": "planted", "role": "admin"}, **headers)
    assert answer.status == 403
    assert browser.post("/admin/login", {"name": person.name, "password": PASSWORD}, **headers).status == 403
    assert site.post("/admin/login", {"name": person.name, "password": PASSWORD}).status == 403  # says nothing about where from
    with site.open() as workspace:
        assert "planted" not in [one.name for one in staff.everybody(workspace)]


def test_a_form_without_the_token_of_its_session_changes_nothing(site, person):
    browser, other = Browser(site).enter(person), Browser(site).enter(person)
    for csrf in ("", other.csrf, "0" * 64, "é"):
        assert browser.post("/admin/people", {"name": "planted", "role": "admin", "csrf": csrf}).status == 403
    assert browser.post("/admin/people", {"name": "meant" + person.name, "role": "viewer"}).status == 200


def test_what_cannot_be_taken_back_asks_again_and_keeps_what_was_typed(site, person):
    browser = Browser(site).enter(person)
    age(site, "fresh_at", timedelta(minutes=6))
    new = "new" + person.name
    asked = browser.post("/admin/people", {"name": new, "role": "editor"})
    assert asked.status == 200 and "Is it still you?" in asked.text and f'name="name" value="{new}"' in asked.text
    fields = {"name": new, "role": "editor"}
    wrong = browser.post("/admin/people", {**fields, "again_password": "wrong wrong wrong"})
    assert wrong.status == 403 and f'name="name" value="{new}"' in wrong.text and "again_password" in wrong.text
    done = browser.post("/admin/people", {**fields, "again_password": PASSWORD})
    assert done.status == 200 and f"A password for {new}" in done.text
    assert browser.post("/admin/people", {"name": new + "2", "role": "editor"}).status == 200  # still fresh
    age(site, "fresh_at", timedelta(minutes=6))
    assert browser.get("/admin/account/password").headers["location"] == "/admin/again?to=/admin/account/password"
    to = browser.post("/admin/account/password", {"password": "x" * 20, "repeated": "x" * 20}).headers["location"]
    assert to == "/admin/again?to=/admin/account/password"  # a new password is never sent back in a page
    assert browser.post("/admin/again", {"to": "/admin/account/password", "again_password": PASSWORD}).status == 303
    assert browser.get("/admin/account/password").status == 200


def test_the_proof_wants_the_code_too_where_there_is_a_second_factor(site, person):
    secret, _ = with_factor(site, person)
    browser = Browser(site).enter(person)
    age(site, "fresh_at", timedelta(minutes=6))
    assert 'name="again_code"' in browser.get("/admin/again").text
    assert browser.post("/admin/again", {"again_password": PASSWORD}).status == 403
    assert browser.post("/admin/again", {"again_password": PASSWORD, "again_code": code_of(secret)}).status == 303


def test_a_made_up_password_opens_nothing_but_the_page_to_change_it(site, person):
    admin = Browser(site).enter(person)
    name = "fresh" + person.name
    given = re.search(r'class="key">([a-z0-9-]+)<', admin.post("/admin/people", {"name": name, "role": "viewer"}).text)[1]
    browser = Browser(site)
    assert browser.log_in(name, given).status == 303
    for path in ("/admin", "/admin/account", "/admin/account/second-factor"):
        assert browser.get(path).headers["location"] == "/admin/account/password", path
    browser.get("/admin/account/password")
    change = "/admin/account/password"
    assert browser.post(change, {"password": given, "repeated": given}).status == 422
    assert browser.post(change, {"password": "short", "repeated": "short"}).status == 422
    assert browser.post(change, {"password": PASSWORD, "repeated": PASSWORD + "x"}).status == 422
    assert browser.post(change, {"password": PASSWORD, "repeated": PASSWORD}).status == 303
    assert browser.get("/admin").status == 200


@pytest.mark.parametrize(
    "to", ["https://evil.example", "//evil.example", "/\\evil.example", "/admin/../u/x", "/subscribe", "/admin/\n", "/deskx"]
)
def test_nobody_is_sent_elsewhere_after_the_log_in(site, person, to):
    assert Browser(site).log_in(person.name, to=to).headers["location"] == "/admin"


# --- looking after people ------------------------------------------------------------------------------------------------


def test_an_admin_looks_after_people(site, person):
    browser = Browser(site).enter(person)
    other = add(site, "other" + person.name, Role.VIEWER)
    page = f"/admin/people/{other.id}"
    assert other.name in browser.get("/admin/people").text and browser.get(page).status == 200
    assert browser.post(page + "/role", {"role": "approver"}).status == 303
    assert browser.post(page + "/role", {"role": "owner"}).status == 422
    theirs = Browser(site).enter(other)
    assert theirs.get("/admin").status == 200
    assert browser.post(page + "/sessions").status == 303 and theirs.get("/admin").status == 303
    with_factor(site, other)
    assert browser.post(page + "/second-factor-off").status == 303
    assert browser.post(page + "/disable").status == 303 and "May not log in" in browser.get(page).text
    assert browser.post(page + "/enable").status == 303
    given = re.search(r'class="key">([a-z0-9-]+)<', browser.post(page + "/reset").text)[1]
    assert theirs.log_in(other.name, given).headers["location"] == "/admin"
    assert browser.get("/admin/people/" + "0" * 32).status == 404
    assert browser.post("/admin/people", {"name": other.name, "role": "viewer"}).status == 422
    done = [action for who, action, subject in log(site, subject=other.name) if who == person.name]
    assert done[::-1] == [
        "people.role",
        "people.sessions_ended",
        "people.second_factor_off",
        "people.disable",
        "people.enable",
        "people.password",
    ]


def test_the_last_admin_stays(tmp_path):
    with serving(make_site_folder(tmp_path / "w")) as site:
        nora = add(site, "nora")
        browser = Browser(site).enter(nora)
        for path, fields in (("role", {"role": "editor"}), ("disable", {})):
            answer = browser.post(f"/admin/people/{nora.id}/{path}", fields)
            assert answer.status == 422 and "only admin" in answer.text
        assert browser.get("/admin/people").status == 200


def test_ones_own_sessions_can_be_ended(site, person):
    first, second, third = (Browser(site).enter(person) for _ in range(3))
    with site.open() as workspace:
        sids = [one.sid for one in staff.sessions(workspace, person.name)]
    page = first.get("/admin/account").text
    assert page.count('name="session"') == 2 and "127.0.0.0/24" in page
    here = next(sid for sid in sids if f'value="{sid}"' not in page)
    first.post("/admin/account/sessions", {"session": next(sid for sid in sids if sid != here)})
    assert [one.get("/admin").status for one in (second, third)].count(200) == 1
    first.post("/admin/account/sessions")
    assert [one.get("/admin").status for one in (first, second, third)] == [200, 303, 303]
    stranger = Browser(site).enter(add(site, "str" + person.name, Role.VIEWER))
    assert stranger.post("/admin/account/sessions", {"session": here}).status == 422
    assert first.get("/admin").status == 200


# --- the log and the settings --------------------------------------------------------------------------------------------


def test_the_log_is_read_page_by_page_and_filtered(site, person):
    with site.open() as workspace:
        for n in range(120):
            audit.note(workspace, "test.made", f"number-{person.name}-{n}")
    browser = Browser(site).enter(person)
    path, seen = "/admin/audit?action=test.made", []
    while True:
        page = browser.get(path).text
        seen += re.findall(rf"number-{person.name}-(\d+)<", page)
        older = re.search(r'href="(/admin/audit\?[^"]*before=\d+)"', page)
        if older is None:
            break
        path = older[1].replace("&amp;", "&")
    assert seen == [str(n) for n in reversed(range(120))]
    assert "Nothing fits" in browser.get("/admin/audit?subject=nothing-like-it").text
    for odd in ("before=x", "before=99999999999999999999", "who=%00", "action='--"):
        assert browser.get(f"/admin/audit?{odd}").status == 200
    assert "are as they were written" in browser.post("/admin/audit/check").text
    lines = browser.post("/admin/audit/export").text.splitlines()
    assert json.loads(lines[0])["action"] == "audit.export" and json.loads(lines[-1])["seq"] == 1


def test_the_settings_say_where_they_come_from_and_tell_no_secret(site, person, monkeypatch):
    monkeypatch.setenv("DIGEST_SMTP_PASSWORD", "canary-password")
    monkeypatch.setenv("DIGEST_DELIVERY__MAX_PER_MINUTE", "1234")
    browser = Browser(site).enter(person)
    page = browser.get("/admin/settings").text
    assert re.search(r"max_per_minute</dt><dd>1234</dd><dd[^>]*>DIGEST_DELIVERY__MAX_PER_MINUTE<", page)
    assert re.search(r"smtp_password</dt><dd>set</dd><dd[^>]*>DIGEST_SMTP_PASSWORD<", page)
    assert re.search(r"name</dt><dd>Test Letter</dd><dd[^>]*>config.yaml:2<", page)
    assert re.search(r"when_empty</dt><dd>skip</dd><dd[^>]*>default<", page)
    assert "canary" not in page and "What the doctor finds" not in page
    assert "In order: sqlite" in (found := browser.post("/admin/settings").text) or "Look at this: sqlite" in found


def test_all_of_it_on_either_database(tmp_path, on_both):
    with serving(make_site_folder(tmp_path / "w", ADMIN)) as site:
        browser, ana = Browser(site), add(site, "ana")
        assert browser.log_in("ana", "wrong wrong wrong").status == 403 and browser.log_in("ana").status == 303
        browser.get("/admin/people")
        made = browser.post("/admin/people", {"name": "ben", "role": "editor"})
        given = re.search(r'class="key">([a-z0-9-]+)<', made.text)[1]
        secret, codes = with_factor(site, ana)
        other = Browser(site)
        assert other.log_in("ana").headers["location"].startswith("/admin/code")
        other.get("/admin/code")
        assert other.post("/admin/code", {"code": codes[0]}).status == 303
        other.get("/admin")
        assert other.post("/admin/account/sessions").status == 303 and browser.get("/admin").status == 303
        assert Browser(site).log_in("ben", given).status == 303
        page = other.get("/admin/audit?action=login.refused&who=(not+logged+in)").text
        assert ">ana<" in page and "Nothing fits" not in page
        assert "are as they were written" in other.post("/admin/audit/check").text
        done = [action for _, action, _ in log(site)]
    assert done[:3] == ["login", "people.sessions_ended", "login"] and {"people.add", "people.second_factor_on"} <= set(done)


def test_every_answer_is_kept_by_nobody_and_framed_by_nobody(site, person):
    browser = Browser(site).enter(person)
    for path in ("/admin", "/admin/login", "/admin/people", "/admin/audit", "/admin/settings", "/admin/account", "/admin/people/none"):
        headers = browser.get(path).headers
        assert headers["cache-control"] == "no-store" and headers["referrer-policy"] in ("same-origin", "no-referrer"), path
        assert "frame-ancestors 'none'" in headers["content-security-policy"], path
        assert "unsafe" not in headers["content-security-policy"]
