"""The commands about what providers tell later, as an operator types them, mistakes among them."""

import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from unittest.mock import ANY

import pytest
from sqlalchemy import update

from digest import feedback
from digest.cli import commands
from digest.model import DeliveryState as S
from digest.model import IssueState
from digest.store import issues, now, schema
from digest.workspace import open_workspace
from tests.support import bounce_corpus as corpus
from tests.support.feedback import add_attempt, add_delivery, add_issue, add_people, bare_workspace, body, told
from tests.support.person import COMMAND
from tests.support.ports import free_port

ISSUE = "monthly-2026-05-01"


@pytest.fixture
def folder(tmp_path):
    """An issue that two of three readers were sent; of the third nobody knows."""
    made = bare_workspace(tmp_path / "w")
    with open_workspace(made) as workspace:
        row = add_issue(workspace)
        attempt, aid = add_attempt(workspace, row, 3)
        states = (S.ACCEPTED, S.ACCEPTED, S.HELD)
        dids = [add_delivery(workspace, row, one, state, attempt) for one, state in zip(add_people(workspace, 3), states, strict=True)]
        with workspace.store.write() as tx:
            issues.move_issue(tx, row, IssueState.FINISHED, planned=3)
            tx.execute(update(schema.delivery).where(schema.delivery.c.did == dids[0]).values(did=corpus.DID))
            tx.execute(update(schema.attempt).values(started_at=now(tx)))
    (made / "ids.json").write_text(json.dumps({"aid": aid, "dids": [corpus.DID, *dids[1:]]}))
    return made


@pytest.fixture
def types(folder, monkeypatch, capsys):
    """Type a command in the workspace: its exit code, what it said, and what it complained of."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "160")

    def run(*words, stdin=None):
        monkeypatch.setattr(sys, "argv", ["digest", *words])
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = 0
        try:
            commands.main()
        except SystemExit as left:
            code = left.code or 0
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    return run


def ids(folder):
    return json.loads((folder / "ids.json").read_text())


def post(folder, n, event, **more):
    """As if the provider had posted this about the nth reader."""
    with open_workspace(folder) as workspace:
        with workspace.store.read() as tx:
            at = now(tx)
        raw = body([told(ids(folder)["dids"][n], ids(folder)["aid"], event, at, **more)])
        feedback.take_webhook(workspace.store, "sendgrid", raw)


# --- reconcile -----------------------------------------------------------------------------------------------------------


def test_reconcile_says_what_is_open_then_what_events_resolved(types, folder):
    code, said, _ = types("reconcile")
    assert code == 0 and "Applied 0 events" in said and "no event of its attempt has come" in said
    assert "1 hand-over still uncertain or held. `digest held` decides them." in said
    post(folder, 1, "delivered")
    code, said, _ = types("reconcile", ISSUE, "--json")
    found = json.loads(said)
    assert (code, found["applied"]["accepted_by_sibling"], found["unsure"], found["unknown"]) == (0, 1, [], [])
    assert found["pruned"] == {"bodies": 0, "events": 0, "bounces": 0, "attempts": 0, "choices": 0, "hooks": 0}
    assert "0 hand-overs still uncertain or held." in types("reconcile")[1]


def test_reconcile_lists_events_of_nobody_and_contradictions(types, folder):
    with open_workspace(folder) as workspace:
        feedback.take_webhook(workspace.store, "sendgrid", body([told("f" * 32, "", "delivered")]) + b" ")
        feedback.take_webhook(workspace.store, "sendgrid", b"no json")
        with workspace.store.write() as tx:
            tx.execute(update(schema.delivery).where(schema.delivery.c.did == corpus.DID).values(state="skipped"))
    post(folder, 0, "open")
    said = types("reconcile")[1]
    assert f"contradiction: {corpus.DID}: event for a skipped delivery" in said
    assert "2 events of no delivery known here" in said and "f" * 32 in said and "unreadable (no id of ours)" in said


def test_reconcile_of_an_issue_that_is_not_there(types):
    code, said, wrong = types("reconcile", "monthly-1999-01-01")
    assert (code, said) == (1, "") and "monthly-1999-01-01" in wrong


# --- bounce --------------------------------------------------------------------------------------------------------------


def test_a_bounce_from_a_pipe(types):
    raw = corpus.make(corpus.POSTFIX)
    assert types("bounce", stdin=raw)[:2] == (0, "Took 1 bounce, 0 known before, 0 no bounces; 1 suppressed.\n")
    assert types("bounce", stdin=raw)[1].startswith("Took 0 bounces, 1 known before")
    assert types("bounce", stdin=b"Dear editors, thank you!\n")[1].startswith("Took 0 bounces, 0 known before, 1 no bounces")
    assert json.loads(types("bounce", "--json", stdin=b"")[1])["no_bounce"] == 1


def test_a_pipe_is_told_to_try_again_where_something_is_wrong_for_the_moment(types, folder):
    config = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text("broken: [")
    code, _, wrong = types("bounce", stdin=corpus.make(corpus.POSTFIX))
    assert code == 75 and "config.yaml" in wrong  # any other code would return the message to nobody
    code, _, wrong = types("bounce", "--mailbox", "nowhere")
    assert code == 1
    (folder / "config.yaml").write_text(config)
    code, _, wrong = types("bounce", "--mailbox", "nowhere")
    assert code == 1 and "nowhere" in wrong


def test_a_mailbox(types, folder):
    letter = corpus.make(corpus.POSTFIX).replace(b"\r\n", b"\n")
    (folder / "mbox").write_bytes(b"From x Fri May  1 09:00:00 2026\n" + letter)
    assert types("bounce", "--mailbox", "mbox")[1] == "Took 1 bounce, 0 known before, 0 no bounces; 1 suppressed.\n"


def test_bounce_at_a_terminal_says_what_it_needs(types, monkeypatch):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    code, _, wrong = types("bounce")
    assert code == 2 and "--mailbox" in wrong


# --- suppressions --------------------------------------------------------------------------------------------------------


def test_an_address_is_added_looked_up_and_removed(types):
    assert types("suppressions", "add", "R1@example.org", "--reason", "request")[:2] == (0, "That address is suppressed.\n")
    assert types("suppressions", "add", "r1@example.org")[1] == "That address was suppressed already.\n"
    types("suppressions", "add", "stranger@example.net")
    said = types("suppressions", "list")[1]
    assert "r…@example.org" in said and "(address not kept)" in said and "2 addresses suppressed." in said
    assert "r1@example.org" not in said and "r1@example.org" in types("suppressions", "list", "--addresses")[1]
    assert {line["reason"] for line in json.loads(types("suppressions", "list", "--json")[1])} == {"request", "operator"}
    code, said, _ = types("suppressions", "remove", "r1@example.org")
    assert code == 0 and "may be written to again; it was suppressed for: request" in said


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("suppressions", "add", "nobody at all"), 1, "the address"),
        (("suppressions", "add", "a@example.org", "--reason", "because"), 1, "is not one of complaint"),
        (("suppressions", "remove", "a@example.org"), 1, "not on the suppression list"),
        (("suppressions", "import", "nowhere.csv"), 1, "nowhere.csv"),
        (("suppressions", "add"), 2, "Missing"),
        (("suppressions", "drop", "a@example.org"), 2, "No such command"),
        (("suppressions", "export", "--output", "no/such/folder.csv"), 1, "folder.csv"),
        (("subscribers", "export", "--output", "no/such/folder.csv"), 1, "folder.csv"),
        (("prune", "--days", "1"), 2, "No such option"),
    ],
)
def test_mistakes_are_told_in_a_sentence(types, words, code, told):
    found, said, wrong = types(*words)
    assert (found, said) == (code, "") and told in wrong
    assert "a@example.org" not in wrong.replace("drop", "")


def test_a_complaint_comes_off_the_list_only_by_force(types):
    types("suppressions", "add", "r1@example.org", "--reason", "complaint")
    code, _, wrong = types("suppressions", "remove", "r1@example.org")
    assert code == 1 and "--force" in wrong and "r1@" not in wrong
    assert types("suppressions", "remove", "r1@example.org", "--force")[0] == 0


def test_a_list_is_brought_in_and_taken_along(types, folder):
    (folder / "list.csv").write_text("email,reason\nr0@example.org,bounce\nnonsense,\nr1@example.org,\nx@example.net,request\n")
    code, said, _ = types("suppressions", "import", "list.csv", "--dry-run")
    assert code == 1 and "list.csv:3" in said and "Would suppress 3 new addresses, 0 known before, 1 line not taken." in said
    assert types("suppressions", "list")[1] == "0 addresses suppressed.\n"
    assert "Suppressed 3 new addresses" in types("suppressions", "import", "list.csv")[1]
    assert json.loads(types("suppressions", "import", "list.csv", "--json")[1])["known"] == 3
    code, said, wrong = types("suppressions", "export")
    assert sorted(said.split()) == ["email,reason", "r0@example.org,bounce", "r1@example.org,operator"]
    assert "1 entry left out" in wrong
    (folder / "out.csv").touch(0o644)
    types("suppressions", "export", "-o", "out.csv")
    assert (folder / "out.csv").stat().st_mode & 0o777 == 0o600
    assert types("suppressions", "import", "out.csv")[0] == 0


# --- prune, serve --------------------------------------------------------------------------------------------------------


def test_prune_counts_and_takes(types, folder):
    post(folder, 1, "delivered")
    types("reconcile")
    with open_workspace(folder) as workspace, workspace.store.write() as tx:
        tx.execute(update(schema.event_inbox).values(applied_at=schema.event_inbox.c.received_at))
    assert types("prune", "--dry-run")[1].startswith("Would take away 0 bodies, 0 events")
    assert json.loads(types("prune", "--json")[1]) == {
        "bodies": 0,
        "events": 0,
        "bounces": 0,
        "attempts": 0,
        "choices": 0,
        "hooks": 0,
        "dry_run": False,
    }


def test_serve_answers_until_it_is_stopped_and_says_what_is_wrong(types, folder):
    port = free_port()
    words = [COMMAND, "serve", "--port", str(port)]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("DIGEST_")}
    with subprocess.Popen(words, cwd=folder, stderr=subprocess.PIPE, text=True, env=plain) as process:
        try:
            for _ in range(600):
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                        assert json.load(answer) == {"database": "ok", "webhook_keys": 0, "scheduler": ANY}
                    break
                except OSError:
                    time.sleep(0.05)
            else:
                pytest.fail("it did not answer")
        finally:
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=30)
    assert f"Serving http://127.0.0.1:{port}" in said and "Traceback" not in said
    (folder / "config.yaml").write_text((folder / "config.yaml").read_text() + "delivery: {sendgrid: {webhook_keys: [nonsense]}}\n")
    code, _, wrong = types("serve")
    assert code == 1 and "number 1 is not a verification key" in wrong
    assert types("serve", "--port", "99999")[0] == 2
