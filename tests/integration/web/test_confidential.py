"""What must not be found out: addresses and subjects in logs, files and addresses of pages; and what a fault or a fuzzer gets to see."""

import json
import logging
import os
import re
import shutil
from datetime import timedelta
from random import Random

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from digest import join, keys, readers
from digest.errors import ConfigError, StoreError
from digest.vault import make_secret
from digest.web import archives, confirming, health, joining, leaving, links, preferences, reading, theme
from digest.web.app import make_app
from digest.workspace import open_workspace
from tests.support.person import Person
from tests.support.site import PAGES, link, make_site_folder, serving

NIGHTLY = os.environ.get("DIGEST_TEST_EXAMPLES") == "nightly"
CANARIES = ("zebrafinch", "Canaria", "quetzal")  # an address, a name, a subject
INTERESTS = "- {id: quetzal, label: Quetzal disease, match: {tag: gut}}\n- {id: vision, label: Vision, match: {tag: vision}}\n"
SHUT = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with serving(make_site_folder(tmp_path_factory.mktemp("site") / "w", PAGES)) as site:
        yield site


def test_every_answer_is_kept_by_nobody_and_loads_nothing_from_elsewhere(site):
    reader = site.add("headers@example.org")
    paths = [
        "/",
        "/subscribe/sent",
        "/links",
        "/nothing",
        "/p/x",
        f"/u/{site.token('unsubscribe', reader.id)}",
        "/api/interests",
        "/preview",
    ]
    for path in paths:
        answer = site.get(path)
        assert {name: answer.headers[name] for name in SHUT} == SHUT, path
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy.replace("https://www.example.org", "")
        assert "set-cookie" not in answer.headers
        if "html" in answer.headers["content-type"]:
            assert not re.findall(r'(?:src|href|action)="(?:https?:)?//', answer.text), path
            assert not re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", answer.text), path
    assert "immutable" in site.get("/static/pages.css").headers["cache-control"]
    assert site.get("/static/../app.py").status == 404


def test_no_log_file_or_address_holds_who_or_what(tmp_path, caplog):
    """Canaries through every way in and out, faults among them; then the logs, the database and the mails' links are read."""
    folder = make_site_folder(tmp_path / "w")
    (folder / "subscribers" / "interests.yaml").write_text(INTERESTS, encoding="utf-8")
    caplog.set_level(logging.DEBUG)
    visited = []
    with serving(folder) as site:
        ask = site.ask

        def noted(method, path, *rest, **more):
            visited.append(path)
            return ask(method, path, *rest, **more)

        site.ask = noted
        person = {"email": "zebrafinch@example.org", "name": "Canaria", "interest": "quetzal", "lang": "en"}
        site.post("/subscribe", {**person, "stamp": site.stamp()})
        site.post("/subscribe", {**person, "email": "zebrafinch@@example", "stamp": site.stamp()})
        site.post("/links", {"email": "zebrafinch@nowhere.example.org", "stamp": site.stamp()})
        site.ask(
            "POST",
            "/api/subscribe",
            json.dumps({"email": "zebrafinch", "interests": ["quetzal"], "consent_hash": ""}).encode(),
            Content_Type="application/json",
        )
        site.settled()
        mail = site.mails()[0]
        site.post(link(mail, "/c/"))
        reader = site.reader("zebrafinch@example.org")
        own = f"/p/{site.token('preferences', reader.id)}"
        site.post(own, {"interest": ["quetzal", "vision"], "cadence": "monthly", "move": "up:quetzal", "name": "Canaria"})
        site.post(f"/u/{site.token('unsubscribe', reader.id)}", {"do": "stop", "what": "quetzal"})
        # A fault in the middle of it: the record cannot be opened.
        with site.open() as workspace, workspace.store.write() as tx:
            tx.exec_driver_sql("UPDATE subscriber SET cadence = 'NO SUCH SLUG zebrafinch!' WHERE sid = ?", (reader.id,))
        assert site.get(own).status == 500
        with site.open() as workspace, workspace.store.write() as tx:
            tx.exec_driver_sql("UPDATE subscriber SET cadence = 'monthly' WHERE sid = ?", (reader.id,))
        with site.open() as workspace:
            join.apply(workspace, join.Application(email="zebrafinch2@example.org", name="Canaria", interests=("quetzal",)))
        logged = "\n".join(
            f"{record.getMessage()} {record.__dict__}" for record in caplog.records if not record.name.startswith("sqlalchemy")
        )
        assert "a page failed" in logged  # the control: the fault was told
        assert not [one for one in CANARIES if one in logged.replace(str(tmp_path), "")]
        assert not [path for path in visited if any(one in path for one in CANARIES)]
        assert not [field for field, value in mail.items() if field not in ("To",) and any(one in value for one in CANARIES)]
        for file in (folder / "var").glob("digest.db*"):
            raw = file.read_bytes()
            assert b"zebrafinch" not in raw.replace(b"NO SUCH SLUG zebrafinch!", b"") and b"Canaria" not in raw, file.name
    copy = tmp_path / "restored"
    shutil.copytree(folder, copy)
    (copy / "var" / "secret.key").unlink()
    with pytest.raises(ConfigError, match="put the key back"), open_workspace(copy):
        pass
    (copy / "var" / "secret.key").write_text(make_secret(), encoding="ascii")
    with pytest.raises(StoreError, match="another key"), open_workspace(copy):
        pass


# --- keys ----------------------------------------------------------------------------------------------------------------


def test_the_key_changes_while_pages_are_served_and_old_links_go_on_working(tmp_path):
    folder = make_site_folder(tmp_path / "w")
    with serving(folder) as site:
        reader = site.add("ana@example.org")
        before = {"p": site.token("preferences", reader.id), "u": site.token("unsubscribe", reader.id)}
        site.post("/subscribe", {"email": "new@example.org", "interest": "gut", "stamp": site.stamp()})
        site.settled()
        confirm = link(site.mails()[0], "/c/")
        done = Person(folder).types("keys", "rotate", "--json")
        assert done.returncode == 0 and json.loads(done.stdout)["number"] == 2
        with open_workspace(folder) as workspace:
            assert readers.find(workspace, reader.id) == reader
            with workspace.store.read() as tx:
                for table, column in sorted(keys.sealed_columns()):
                    for (sealed,) in tx.exec_driver_sql(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL"):
                        assert workspace.store.vault.number_of(sealed) == 2
        assert site.get(f"/p/{before['p']}").status == site.get(f"/u/{before['u']}").status == 200
        assert site.post(confirm).status == 200
        assert site.get(f"/p/{site.token('preferences', reader.id)}").status == 200
        # Without the new secret what was sealed since tells nothing, and with the new one alone neither does the rest open.
        old = Person(folder).types("keys", "rotate", "--json")
        assert json.loads(old.stdout)["number"] == 3


def test_no_sealed_column_is_forgotten_when_the_key_changes():
    assert keys.sealed_columns() == keys.binary_columns()


def test_a_key_from_the_environment_is_changed_in_two_steps(tmp_path, monkeypatch):
    folder, first = make_site_folder(tmp_path / "w"), make_secret()
    monkeypatch.setenv("DIGEST_SECRET_KEY", first)
    with open_workspace(folder) as workspace:
        join.apply(workspace, join.Application(email="a@example.org", interests=("gut",)))
        with pytest.raises(ConfigError, match="1:OLD,2:NEW"):
            keys.rotate(workspace)
    monkeypatch.setenv("DIGEST_SECRET_KEY", f"1:{first},2:{make_secret()}")
    with open_workspace(folder) as workspace:
        assert keys.rotate(workspace).sealed == 1
        assert keys.rotate(workspace).sealed == 0


# --- by hand -------------------------------------------------------------------------------------------------------------


def test_one_person_is_shown_exported_and_forgotten_at_the_terminal(tmp_path):
    folder = make_site_folder(tmp_path / "w")
    with serving(folder) as site:
        site.add("asks@example.org", interests=("vision",))
    person = Person(folder)
    for words in (("subscribers", "show", "ASKS@example.org"), ("subscribers", "export", "asks@example.org")):
        assert json.loads(person.types(*words).stdout)["subscriber"]["interests"] == ["vision"]
    assert person.types("subscribers", "show", "nobody@example.org").returncode == 1
    gone = person.types("subscribers", "forget", "asks@example.org")
    assert gone.returncode == 0 and "asks@" not in gone.stdout + gone.stderr
    assert person.types("subscribers", "show", "asks@example.org").returncode == 1
    assert "asks@example.org" not in person.types("subscribers", "list", "--addresses").stdout


def test_who_left_long_ago_is_let_go_by_itself(tmp_path):
    folder = make_site_folder(tmp_path / "w")
    with serving(folder) as site:
        reader = site.add("left@example.org", status="unsubscribed")
        stays = site.add("stays@example.org")
        with site.open() as workspace:
            assert readers.tidy(workspace).left == 0
            with workspace.store.write() as tx:
                tx.exec_driver_sql("UPDATE subscriber SET status_at = '2020-01-01 00:00:00'")
            assert readers.tidy(workspace).left == 1
            assert readers.find(workspace, reader.id) is None and readers.find(workspace, stays.id) == stays


# --- mails that wait -----------------------------------------------------------------------------------------------------


def test_a_mail_in_flight_when_its_process_died_is_asked_after_or_left_uncertain(tmp_path):
    from digest import mail
    from digest.store import mails

    folder = make_site_folder(tmp_path / "w")
    with open_workspace(folder) as workspace:
        join.apply(workspace, join.Application(email="a@example.org", interests=("gut",), cadence="monthly"))
        assert join.work(workspace) == 1
        with workspace.store.write() as tx:  # claimed, and then the process was gone
            assert mails.claim(tx, workspace.store.vault, timedelta(seconds=-1)) is not None
        sent = mail.send(workspace)  # the outbox knows for certain that it was not handed over
        assert (sent.accepted, sent.uncertain) == (1, 0)
        with workspace.store.read() as tx:
            assert mails.counts(tx) == {"accepted": 1}
    assert len(list((folder / "var/outbox/mail").glob("*.eml"))) == 1


def test_nobody_outside_the_allow_list_is_mailed(tmp_path):
    from digest import mail
    from digest.store import mails

    smtp = "delivery: {provider: smtp, allow: ['*@allowed.example.org'], smtp: {host: 127.0.0.1, port: 9}}\n"
    folder = make_site_folder(tmp_path / "w", smtp)
    with open_workspace(folder) as workspace:
        for name in ("a@example.org", "b@allowed.example.org"):
            join.apply(workspace, join.Application(email=name, interests=("gut",), cadence="monthly"))
        join.work(workspace)
        sent = mail.send(workspace)
        assert sent.skipped == 1 and sent.put_off == 1  # the other waits for the server to answer
        with workspace.store.read() as tx:
            assert mails.counts(tx) == {"skipped": 1, "waiting": 1}


# --- strangers -----------------------------------------------------------------------------------------------------------


def routes(app):
    """Every public route as OpenAPI, the pages among them."""
    text = {"schema": {"type": "string"}}
    fields = (
        "email",
        "name",
        "interest",
        "cadence",
        "lang",
        "stamp",
        "do",
        "what",
        "undo",
        "words",
        "proof",
        "move",
        "pause",
        "pause_until",
        "max_teasers",
        "place",
    )
    form = {"type": "object", "properties": {name: {"type": "string"} for name in fields}}
    body = {"content": {"application/x-www-form-urlencoded": {"schema": form}}}
    paths = dict(app.openapi()["paths"])
    for part in (joining, confirming, preferences, leaving, links, reading, archives, theme, health):
        for route in part.router.routes:
            named = [{"name": name, "in": "path", "required": True, **text} for name in re.findall(r"\{(\w+)\}", route.path_format)]
            named += [{"name": name, "in": "query", **text} for name in ("lang", "page")]
            for method in sorted(route.methods & {"GET", "POST"}):
                operation = {"parameters": named, "responses": {"default": {"description": ""}}}
                paths.setdefault(route.path_format, {})[method.lower()] = operation | ({"requestBody": body} if method == "POST" else {})
    return {**app.openapi(), "paths": paths}


def test_no_request_of_a_stranger_makes_a_fault(site):
    app = make_app(site.folder)
    schema = schemathesis.openapi.from_dict(routes(app))
    tried, faults = [], []
    for found in schema.get_all_operations():
        tries(found.ok(), site, tried, faults)
    assert len(tried) > 250 and faults == []


def tries(operation, site, tried, faults):
    """Requests that a generator thinks up for one operation: a dozen and a half at each push, hundreds at night."""
    reader = site.add(f"fuzzed{len(tried)}@example.org")

    @settings(max_examples=300 if NIGHTLY else 10, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def attempt(case):
        kind = {"/p": "preferences", "/u": "unsubscribe"}.get(case.path[:2])
        if kind and "token" in (case.path_parameters or {}) and len(tried) % 2:  # every other time with a link that is good
            case.path_parameters = {**case.path_parameters, "token": site.token(kind, reader.id)}
        answer = case.call(base_url=site.url, allow_redirects=False)
        tried.append(answer.status_code)
        if answer.status_code >= 500:
            faults.append((case.method, case.path, answer.status_code))

    attempt()


def test_odd_bodies_and_methods_make_no_fault(site):
    random = Random(3)
    for path in ("/subscribe", "/preview", "/links", "/c/x", "/n/x", "/p/x", "/u/x", "/api/subscribe", "/"):
        for body in (b"\xff\xfe\x00", b"=" * 5000, b"&" * 3000, b"a=%ZZ%", b"{", b"[" * 9000, random.randbytes(2000), b"x" * 70_000):
            for kind in ("application/x-www-form-urlencoded", "application/json", "multipart/form-data; boundary=x", "nonsense"):
                assert site.ask("POST", path, body, Content_Type=kind).status < 500, path
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"):
        assert site.ask(method, "/subscribe").status == 405
