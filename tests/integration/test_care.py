"""Looking after a workspace: rehearse, measure, examine; none of it leaves a trace in the workspace."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import threading
from contextlib import contextmanager
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from sqlalchemy import update

from digest import bench, dispatch, doctor, rehearsal
from digest.doctor import sqlite_version
from digest.errors import IssueError
from digest.scratch import scratch
from digest.store import events, now, schema
from digest.workspace import open_workspace
from tests.support.feedback import bare_workspace
from tests.support.make import CONFIG, make_workspace, write_summary
from tests.support.person import Person
from tests.support.smtp_server import SmtpServer

ON = date(2026, 5, 1)
ISSUE = "monthly-2026-05-01"


def everything(folder):
    """Each file of a workspace by its content, but for what SQLite keeps beside a database while it is open."""
    files = (file for file in folder.rglob("*") if file.is_file() and not file.name.endswith(("-wal", "-shm")))
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture
def folder(tmp_path):
    people = "email,interests\n" + "".join(f"r{n}@{'example.org' if n % 4 else 'example.net'},gut\n" for n in range(8))
    made = make_workspace(tmp_path / "letter", subscribers=people + "jürgen@example.org,gut\nnone@example.org,vision\n")
    write_summary(made, "bacteria", tags="gut")
    return made


# --- a rehearsal ---------------------------------------------------------------------------------------------------------


def test_a_rehearsal_of_a_first_run_says_what_the_run_then_does_and_writes_nothing(folder):
    before = everything(folder)
    person = Person(folder)
    shown = person.types("run", "monthly", "--on", "2026-05-01", "--dry-run", "--json")
    assert shown.returncode == 0, shown.stderr
    assert everything(folder) == before and not (folder / "var").exists()
    told = json.loads(shown.stdout)
    assert (told["gathered"]["sources"][0]["new"], told["messages"], told["rendered"], told["waits"]) == (1, 9, 1, "")
    done = json.loads(person.types("run", "monthly", "--on", "2026-05-01", "--json").stdout)
    assert done["draft"]["content_hash"] == told["draft"]["content_hash"] == told["status"]["content_hash"]
    assert done["sent"]["status"]["planned"] == told["status"]["planned"] == 10
    assert done["sent"]["status"]["editions"] == told["status"]["editions"] == 1
    assert abs(done["sent"]["status"]["mean_bytes"] - told["mean_bytes"]) < 50


def test_it_says_whom_allow_keeps_back_and_what_the_issue_waits_for(folder):
    config = CONFIG.replace("approval: automatic", "approval: required", 1) + "delivery: {provider: smtp}\n"
    (folder / "config.yaml").write_text(config, encoding="utf-8")
    with scratch(folder, ON) as copy:
        told = rehearsal.rehearse(copy, "monthly")
    assert (told.provider, told.messages, told.kept_back) == ("smtp", 7, 2)
    assert "waits for approval" in told.waits
    with scratch(folder, date(2026, 5, 1)) as copy, pytest.raises(IssueError, match="no cadence"):
        rehearsal.rehearse(copy, "yearly")


def test_it_is_told_on_a_terminal_too(folder):
    shown = Person(folder).types("run", "monthly", "--on", "2026-05-01", "--dry-run")
    assert "would be written to the outbox" in shown.stdout and "Nothing was written and nothing sent." in shown.stdout
    assert "@" not in shown.stdout


# --- a measurement -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["outbox", "smtp", "sendgrid"])
def test_a_measurement_hands_over_through_the_ledger_of_a_copy(folder, provider):
    assert Person(folder).types("run", "monthly", "--on", "2026-05-01").returncode == 0
    before = everything(folder)
    (folder / "config.yaml").write_text(CONFIG + f"delivery: {{provider: {provider}, max_per_minute: 6}}\n", encoding="utf-8")
    with scratch(folder, beside=True) as copy:
        found = bench.bench(copy, seconds=0.2)
        assert dispatch.status(copy, ISSUE).accepted <= 9
    assert (found.issue, found.readers, found.editions) == (ISSUE, 9, 1)
    assert found.measured > 0 and found.composed_per_s > 0 and found.handed_over_per_s > 0
    assert found.limited_minutes == 1.5 > found.list_minutes
    assert found.largest_html_bytes < found.largest_message_bytes
    assert everything(folder) | {"config.yaml": ""} == before | {"config.yaml": ""}


def test_it_measures_a_workspace_that_has_not_begun_and_says_where_there_is_nothing(folder):
    person = Person(folder)
    shown = person.types("bench", "--on", "2026-05-01", "--seconds", "0.1")
    assert shown.returncode == 0 and "a second" in shown.stdout, shown.stderr
    assert not (folder / "var").exists()
    shutil.rmtree(folder / "summaries")
    (folder / "summaries").mkdir()
    empty = person.types("bench", "--on", "2026-05-01", "--seconds", "0.1")
    assert empty.returncode == 1 and "nothing for anybody" in empty.stderr


# --- an examination ------------------------------------------------------------------------------------------------------


def found(folder, level="error"):
    return {one.about: one.text for one in doctor.examine_all(folder) if one.level == level}


@pytest.mark.parametrize(
    ("version", "level"),
    [
        ((3, 40, 1), "warning"),
        ((3, 44, 5), "warning"),
        ((3, 44, 6), "ok"),
        ((3, 45, 0), "warning"),
        ((3, 50, 6), "warning"),
        ((3, 50, 7), "ok"),
        ((3, 51, 2), "warning"),
        ((3, 51, 3), "ok"),
        ((3, 52, 0), "ok"),
        ((4, 0, 0), "ok"),
    ],
)
def test_which_sqlite_has_the_fault(version, level):
    assert sqlite_version(version).level == level


def test_a_healthy_workspace_has_nothing_wrong_and_stays_as_it_is(folder):
    person = Person(folder)
    assert person.types("doctor").returncode == 0
    assert not (folder / "var" / "digest.db").exists()
    person.types("run", "monthly", "--on", "2026-05-01")
    before = everything(folder)
    told = person.types("doctor", "--json")
    assert told.returncode == 0 and not [one for one in json.loads(told.stdout) if one["level"] == "error"]
    assert everything(folder) == before
    with open_workspace(folder) as workspace:
        assert workspace.store.vault.fingerprint in told.stdout


def test_each_thing_that_is_wrong_is_found(tmp_path):
    folder = bare_workspace(tmp_path / "w")
    with open_workspace(folder) as workspace, workspace.store.write() as tx:
        events.put_body(tx, workspace.store.vault, "sendgrid", b"[]", now(tx) + timedelta(days=2))
    assert "in the future" in found(folder)["clock"]
    with open_workspace(folder) as workspace, workspace.store.write() as tx:
        tx.execute(update(schema.event_inbox).values(received_at=now(tx) - timedelta(hours=2)))
    assert "waits to be applied" in found(folder, "warning")["events"]
    (folder / "var" / "secret.key").chmod(0o640)
    (folder / "var" / "digest.db").chmod(0o600)
    (folder / "var").chmod(0o755)
    assert "640" in found(folder)["key"] and "var can be read" in found(folder, "warning")["rights"]
    (folder / "var" / "digest.mark").write_text('{"epoch": "another", "attempts": 5}', encoding="ascii")
    assert "older copy" in found(folder)["database"]
    with sqlite3.connect(folder / "var" / "digest.db") as raw:
        raw.execute("UPDATE alembic_version SET version_num = '0001'")
    raw.close()
    assert "schema 0001" in found(folder, "warning")["database"]
    (folder / "var" / "secret.key").unlink()
    assert "secret.key is gone" in found(folder)["workspace"]
    (folder / "config.yaml").write_text("newsletter: {}\n", encoding="utf-8")
    assert "configuration" in found(folder)
    assert Person(folder).types("doctor").returncode == 1


def test_settings_that_would_do_harm(tmp_path, monkeypatch):
    config = "delivery: {provider: smtp, smtp: {host: mail.example.org, port: 25, username: u}}\n"
    folder = bare_workspace(tmp_path / "w", config)
    monkeypatch.setenv("DIGEST_SMTP_PASSWORD", "hush")
    monkeypatch.setattr(doctor, "provider", lambda *_: iter(()))  # that host is nobody's
    told = doctor.examine_all(folder)
    texts = " ".join(one.text for one in told)
    assert "the password and who your readers are would cross the network unencrypted" in texts
    assert "every link to leave would be dead" in texts and "hush" not in texts
    assert "delivery.allow names only example.org" in found(folder, "warning")["delivery"]


def test_a_mail_server_is_greeted_and_handed_nothing(tmp_path):
    with SmtpServer() as server:
        folder = bare_workspace(tmp_path / "w", f"delivery: {{provider: smtp, smtp: {{host: 127.0.0.1, port: {server.port}}}}}\n")
        assert "lets us in without TLS" in found(folder, "ok")["provider"]
    assert "cannot be reached" in found(folder)["provider"]
    assert not server.accepted and not server.wrongs
    assert {command.split()[0].upper() for command in server.commands} <= {"EHLO", "QUIT"}


@contextmanager
def api(status, body, late_s=0):
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.command, self.path))
            self.send_response_only(status)
            self.send_header("Date", "Fri, 01 May 2026 09:00:00 GMT" if late_s else self.date_time_string())
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port, asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "level", "told"),
    [
        (200, b'{"scopes": ["mail.send"]}', "ok", "it may send"),
        (200, b'{"scopes": ["stats.read"]}', "error", "may not send"),
        (401, b'{"errors": [{"message": "no"}]}', "error", "SENDGRID_API_KEY"),
        (500, b"", "warning", "did not say"),
    ],
)
def test_sendgrid_is_asked_what_the_key_may_do(tmp_path, monkeypatch, status, body, level, told):
    monkeypatch.setenv("SENDGRID_API_KEY", "SG.hush")
    with api(status, body) as (port, asked):
        folder = bare_workspace(tmp_path / "w", f"delivery: {{provider: sendgrid, sendgrid: {{base_url: 'http://127.0.0.1:{port}'}}}}\n")
        assert told in found(folder, level)["provider"]
    assert asked == [("GET", "/v3/scopes")]


def test_a_clock_that_disagrees_with_the_providers_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("SENDGRID_API_KEY", "SG.hush")
    with api(200, b'{"scopes": ["mail.send"]}', late_s=1) as (port, _):
        folder = bare_workspace(tmp_path / "w", f"delivery: {{provider: sendgrid, sendgrid: {{base_url: 'http://127.0.0.1:{port}'}}}}\n")
        assert "SendGrid's" in found(folder)["clock"]


def test_a_webhook_key_that_is_none_is_told_with_its_line(tmp_path):
    good = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
    config = f"delivery:\n  sendgrid:\n    webhook_keys:\n      - {good}\n      - not-a-key\n"
    folder = make_workspace(tmp_path / "w", config=CONFIG + config)
    shown = Person(folder).types("check")
    line = (CONFIG + config).splitlines().index("      - not-a-key") + 1
    assert shown.returncode == 1
    assert f"config.yaml:{line}: " in shown.stdout and "number 2 is not a verification key" in shown.stdout
    assert "number 1" not in shown.stdout
