"""A database that is locked or away: the pages say to try again, and what was acknowledged is there when it is back."""

import json
import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from digest.errors import StoreError
from digest.model import Status
from digest.store import sqlite
from digest.web import app
from digest.workspace import open_workspace
from tests.support.postgres import NoServer, start_server
from tests.support.site import PAGES, link, make_site_folder, serving


@pytest.fixture
def server():
    try:
        found = start_server()
    except NoServer as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"PostgreSQL must be tried where CI=true: {error}")
        pytest.skip(f"PostgreSQL IS NOT TRIED: {error}")
    yield found
    found.stop()


def locked(folder):
    """Another program that writes for a long time."""
    other = sqlite3.connect(folder / "var" / "digest.db", isolation_level=None)

    def away():
        other.execute("BEGIN IMMEDIATE")

    def back():
        other.execute("ROLLBACK")

    return away, back


def posts(site, reader, api):
    """Everything that people and mail programs post, as path and answer."""
    stamp = STAMPS[site.url]
    form = {"email": "later@example.org", "interest": "gut", "cadence": "monthly", "stamp": stamp}
    body = json.dumps({"email": "later@example.org", "interests": ["gut"], "consent_hash": api["consent_hash"]}).encode()
    return {
        "join": lambda: site.post("/subscribe", form),
        "links": lambda: site.post("/links", {"email": "later@example.org", "stamp": stamp}),
        "api": lambda: site.ask("POST", "/api/subscribe", body, Content_Type="application/json"),
        "preferences": lambda: site.post(reader["p"], {"interest": "vision", "cadence": "monthly", "language": "en"}),
        "one click": lambda: site.ask("POST", reader["u"], b"List-Unsubscribe=One-Click"),
        "confirm": lambda: site.post(reader["c"]),
    }


STAMPS = {}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_cannot_be_taken_in_is_said_and_what_was_is_kept(tmp_path, request, monkeypatch, kind):
    monkeypatch.setattr(sqlite, "_BUSY_MS", 200)
    monkeypatch.setattr(app, "_RETRY_S", 0.5)
    more = ""
    if kind == "postgresql":
        server = request.getfixturevalue("server")
        more = f'store: {{url: "{server.database()}"}}\n'
        away, back = server.kill, server.start
    folder = make_site_folder(tmp_path / "w", more)
    with serving(folder) as site:
        if kind == "sqlite":
            away, back = locked(folder)
        STAMPS[site.url] = site.stamp()
        ana = site.add("ana@example.org")
        assert site.post("/subscribe", {"email": "first@example.org", "interest": "gut", "stamp": STAMPS[site.url]}).status == 303
        site.settled()
        links = {"p": f"/p/{site.token('preferences', ana.id)}", "u": f"/u/{site.token('unsubscribe', ana.id)}"}
        links["c"] = link(site.mails()[0], "/c/")
        api = json.loads(site.get("/api/interests").body)
        # Acknowledged the moment before: nothing has been done with it yet.
        assert site.post("/subscribe", {"email": "kept@example.org", "interest": "gut", "stamp": STAMPS[site.url]}).status == 303
        away()
        try:
            for name, act in posts(site, links, api).items():
                begun = time.monotonic()
                answer = act()
                assert (answer.status, answer.headers.get("retry-after")) == (503, "10"), name
                assert time.monotonic() - begun < 15, name
                assert "example.org" not in answer.text.replace("letter.example.org", ""), name
            assert site.get("/healthz").status == 200
            assert site.get("/readyz").status == (200 if kind == "sqlite" else 503)  # reading goes on beside SQLite's writer
        finally:
            back()
        assert site.reader("ana@example.org").status is Status.ACTIVE and not site.knows("first@example.org")
        site.settled()
        assert {str(mail["To"]) for mail in site.mails(2)} == {"first@example.org", "kept@example.org"}
        statuses = {name: act().status for name, act in posts(site, links, api).items()}
        assert statuses == {"join": 303, "links": 303, "api": 202, "preferences": 303, "one click": 200, "confirm": 200}
        assert site.reader("ana@example.org").status is Status.UNSUBSCRIBED and site.knows("first@example.org")


@pytest.mark.usefixtures("on_both")
def test_a_page_does_not_wait_for_a_writer_as_long_as_a_run_would(tmp_path):
    folder = make_site_folder(tmp_path / "w")
    with open_workspace(folder) as workspace, open_workspace(folder) as other:
        holder = other.store if other.store.shared else workspace.store  # SQLite queues in the process, PostgreSQL at the server
        workspace.store.backend.turn_s = 0.1
        with holder.write(), ThreadPoolExecutor(1) as pool:
            waits = pool.submit(lambda: workspace.store.write().__enter__())
            with pytest.raises(StoreError, match="busy|others"):
                waits.result(timeout=20)
        workspace.store.backend.turn_s = None
        with workspace.store.write() as tx:
            assert tx.exec_driver_sql("SELECT 1").scalar() == 1


def test_readers_are_served_while_every_writer_waits(tmp_path, monkeypatch):
    """More people press buttons than there are threads; who only looks is answered all the same, and at once afterwards."""
    monkeypatch.setattr(app, "_TURN_S", 0.5)
    monkeypatch.setattr(sqlite, "_BUSY_MS", 500)
    folder = make_site_folder(tmp_path / "w", PAGES)
    with serving(folder) as site:
        ana = site.add("ana@example.org")
        path, stamp = f"/u/{site.token('unsubscribe', ana.id)}", site.stamp()
        away, back = locked(folder)
        away()
        try:
            with ThreadPoolExecutor(60) as pool:
                form = {"email": "a@example.org", "interest": "gut", "stamp": stamp}
                statuses = {answer.status for answer in pool.map(lambda _: site.post("/subscribe", form), range(60))}
            assert statuses == {503} and site.get(path).status == 200
        finally:
            back()
        assert site.ask("POST", path, b"List-Unsubscribe=One-Click").status == 200
