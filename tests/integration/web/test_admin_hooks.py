"""Webhooks in the admin and on the command line: added, tried, given another secret, stopped; and what a mistake shows."""

import io
import json
import re
import sys
from datetime import timedelta

import pytest
from sqlalchemy import update
from standardwebhooks.webhooks import Webhook

from digest import audit, readers
from digest.cli import commands
from digest.hooks import keeping, telling
from digest.store import schema as t
from tests.support.hooks import receiving, wait_for
from tests.support.site import make_site_folder, serving
from tests.support.staff import PASSWORD, Browser, add


@pytest.fixture(scope="module")
def receiver():
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def site(tmp_path_factory, receiver):
    with serving(make_site_folder(tmp_path_factory.mktemp("hooks") / "w", receiver.config)) as site:
        site.nora = add(site, "nora")
        yield site


@pytest.fixture
def browser(site):
    return Browser(site).enter(site.nora)


def secret_on(answer):
    return re.search(r"whsec_[A-Za-z0-9+/=]+", answer.text)[0]


def hooks_of(site):
    with site.open() as workspace:
        return keeping.every(workspace)


def test_added_tried_and_told_with_the_secret_that_was_shown_once(site, browser, receiver):
    answer = browser.post("/admin/hooks", {"url": receiver.url("/web"), "event": ["reader.left", "issue.*"]})
    secret = secret_on(answer)
    (hook,) = hooks_of(site)
    assert (hook.topics, hook.with_addresses, hook.made_by) == (("issue.*", "reader.left"), False, "nora")
    place = f"/admin/hooks/{hook.hid}"
    tried = browser.post(f"{place}/test")
    assert "it answered 204" in tried.text
    reader = site.add("ana@example.org")
    with site.open() as workspace:
        readers.leave(workspace, reader.id, "page")
        telling.hand_over(workspace)
    for (_, body, sent), kind in zip(receiver.got, ("hook.test", "reader.left"), strict=True):
        assert Webhook(secret).verify(body, sent)["type"] == kind
    for path in ("/admin/hooks", place):
        assert secret not in browser.get(path).text
    assert "reader.left" in browser.get(place).text and "handed over" in browser.get(place).text
    other = secret_on(browser.post(f"{place}/rotate"))
    assert other != secret
    assert browser.post(f"{place}/disable").headers["location"] == f"{place}?done=disabled"
    assert "told nothing more" in browser.get(f"{place}?done=disabled").text
    assert "Enable it" in browser.get(place).text
    browser.post(f"{place}/enable")
    assert "sure" in browser.post(f"{place}/remove").text and len(hooks_of(site)) == 1
    assert browser.post(f"{place}/remove", {"sure": "yes"}).status == 303 and hooks_of(site) == []
    assert browser.get(place).status == 404
    with site.open() as workspace:
        done = [one.action for one in audit.page(workspace, 50, action="hooks.")][::-1]
        said = json.dumps([one.detail for one in audit.page(workspace, 50, action="hooks.")])
    assert done == [f"hooks.{word}" for word in ("add", "test", "rotate", "disable", "enable", "remove")]
    assert secret not in said and "/web" not in said


def test_a_secret_is_shown_only_after_a_fresh_proof_and_what_was_typed_is_kept(site, browser, receiver):
    with site.open() as workspace, workspace.store.write() as tx:
        for row in tx.execute(t.session.select()).all():
            tx.execute(update(t.session).where(t.session.c.id == row.id).values(fresh_at=row.fresh_at - timedelta(minutes=6)))
    typed = {"url": receiver.url("/late"), "event": ["*"], "with_addresses": "yes"}
    asked = browser.post("/admin/hooks", typed)
    assert "again_password" in asked.text and receiver.url("/late") in asked.text and hooks_of(site) == []
    answer = browser.post("/admin/hooks", {**typed, "again_password": PASSWORD})
    assert secret_on(answer) and "told readers’ addresses" in answer.text
    (hook,) = hooks_of(site)
    assert hook.with_addresses and hook.topics == ("*",)
    browser.post(f"/admin/hooks/{hook.hid}/remove", {"sure": "yes"})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"url": "http://example.org/", "event": "*"}, "use https"),
        ({"url": "https://example.org/"}, "Say which events"),
        ({"url": "https://example.org/", "event": "reader.*,nonsense"}, "no event"),
        ({"event": "*"}, "needs an address"),
    ],
)
def test_a_mistake_is_said_and_nothing_is_added(site, browser, fields, said):
    answer = browser.post("/admin/hooks", fields)
    assert answer.status == 422 and said in answer.text and hooks_of(site) == []


def test_a_form_from_elsewhere_changes_nothing(site, browser, receiver):
    typed = {"url": receiver.url("/csrf"), "event": "*"}
    assert browser.post("/admin/hooks", {**typed, "csrf": "0" * 64}).status == 403
    assert browser.post("/admin/hooks", typed, Origin="https://elsewhere.example.org").status == 403
    assert hooks_of(site) == []


def test_the_same_by_commands(site, receiver, monkeypatch, capsys):
    monkeypatch.chdir(site.folder)

    def types(*words):
        monkeypatch.setattr(sys, "argv", ["digest", "hooks", *words])
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        code = 0
        try:
            commands.main()
        except SystemExit as left:
            code = left.code
        said = capsys.readouterr()
        return code, said.out, said.err

    assert "did you mean reader.left" in types("add", receiver.url("/cli"), "--events", "reader.lef")[2]
    code, out, _ = types("add", receiver.url("/cli?key=hush"), "--events", "reader.left", "--with-addresses", "--json")
    made = json.loads(out)
    assert code == 0 and made["secret"].startswith("whsec_")
    reader = site.add("bea@example.org")
    with site.open() as workspace:
        readers.leave(workspace, reader.id, "page")
    receiver.behave["/cli?key=hush"] = 500
    assert types("send")[1] == "0 events handed over, 1 put off, 0 given up.\n"
    listed = types("list")[1]
    assert made["id"] in listed and "failing since" in listed and "1 waiting" in listed and "hush" not in listed
    failed = types("deliveries", made["id"][:4], "--failed")[1]
    assert "reader.left" in failed and "waits, 1 attempt, it answered 500" in failed and "again at" in failed
    assert json.loads(types("deliveries", "--failed", "--json")[1])[0]["status"] == 500
    code, out, err = types("test", made["id"])
    assert (code, out) == (1, "") and "the test failed: it answered 500" in err
    del receiver.behave["/cli?key=hush"]
    assert "it answered 204" in types("test", made["id"])[1]
    assert "two signatures" in types("rotate", made["id"])[1]
    assert "told nothing more; 1 event waiting" in types("disable", made["id"])[1]
    assert "disabled since" in types("list")[1]
    assert "told again; 1 event" in types("enable", made["id"])[1]
    assert json.loads(types("send", "--json")[1])["delivered"] == 1
    wait_for(lambda: receiver.ids("/cli?key=hush"))
    assert json.loads(receiver.got[-1][1])["data"]["address"] == "bea@example.org"
    assert json.loads(types("list", "--json")[1])[0]["waiting"] == 0
    assert "is gone" in types("remove", made["id"])[1] and "No webhook yet" in types("list")[1]
    assert "no webhook" in types("remove", made["id"])[2]
