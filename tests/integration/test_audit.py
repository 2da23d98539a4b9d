"""The audit log: every action of a person is in it, nothing in it can be changed, and whoever changes it by hand is found out."""

import json
import re
import subprocess
import threading
from datetime import date
from pathlib import Path

import pytest
import typer
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from digest import audit, gather, interests, issue, keys, operate, readers, readiness, retention, staff, subscribe, suppress, totp
from digest.accounts import Role
from digest.admin import segments
from digest.cli.commands import app
from digest.desk import edits, share
from digest.errors import DigestError, StoreError
from digest.store import audit as log
from digest.workspace import open_workspace
from tests.support.make import CONFIG, make_workspace, write_summary
from tests.support.person import COMMAND, Person
from tests.support.staff import code_of

ISSUE = "monthly-2026-05-01"


@pytest.fixture
def workspace(tmp_path, on_both):
    with open_workspace(make_workspace(tmp_path / "w")) as opened:
        for n in range(6):
            audit.note(opened, "test.made", f"subject-{n}", n=n, text="Größe, דוגמה")
        yield opened


def by_hand(workspace, *statements):
    """What somebody with the database and without the program would do: the triggers are no hindrance to its owner."""
    with workspace.store.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        else:
            for name in ("audit_no_update", "audit_no_delete", "audit_head_stays"):
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.exec_driver_sql(statement)
        connection.commit()


def test_an_untouched_log_is_found_to_be_so(workspace):
    found = audit.verify(workspace)
    assert (found.records, found.seq, found.faults) == (6, 6, ())
    assert audit.verify(workspace, found.anchor).faults == ()
    entries = audit.page(workspace)
    assert [one.seq for one in entries] == [6, 5, 4, 3, 2, 1] and entries[0].detail == {"n": 5, "text": "Größe, דוגמה"}
    assert workspace.store.anchor.read().seq == 6


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit SET who = 'x'", "DELETE FROM audit", "DELETE FROM audit WHERE seq = 6", "DELETE FROM audit_head"],
)
def test_the_database_refuses_to_change_or_remove(workspace, statement):
    with pytest.raises((DBAPIError, StoreError), match="append-only"), workspace.store.write() as tx:
        tx.exec_driver_sql(statement)
    assert audit.verify(workspace).faults == () and audit.verify(workspace).records == 6


def test_postgresql_refuses_to_empty_it_too(workspace, on_both):
    if on_both == "sqlite":
        return  # has no TRUNCATE
    with pytest.raises((DBAPIError, StoreError), match="append-only"), workspace.store.write() as tx:
        tx.exec_driver_sql("TRUNCATE audit")


CHANGES = {
    "who": ("UPDATE audit SET who = 'somebody else' WHERE seq = 3", "record 3"),
    "action": ("UPDATE audit SET action = 'nothing' WHERE seq = 3", "record 3"),
    "subject": ("UPDATE audit SET subject = '' WHERE seq = 3", "record 3"),
    "detail": ("UPDATE audit SET detail = '{}' WHERE seq = 6", "record 6"),
    "time": ("UPDATE audit SET at = '2020-01-01 00:00:00+00' WHERE seq = 1", "record 1"),
    "hash": ("UPDATE audit SET hash = (SELECT hash FROM audit AS o WHERE o.seq = 2) WHERE seq = 4", "record 4"),
    "first removed": ("DELETE FROM audit WHERE seq = 1", "record 1 is missing"),
    "one removed": ("DELETE FROM audit WHERE seq = 4", "record 4 is missing"),
    "some removed": ("DELETE FROM audit WHERE seq IN (2, 3)", "records 2 to 3 are missing"),
    "end removed": ("DELETE FROM audit WHERE seq = 6", "record 6 is taken off the end"),
    "all removed": ("DELETE FROM audit", "records 1 to 6 are taken off the end"),
    "seal removed": ("DELETE FROM audit_head", "its seal was removed"),
    "one slipped in": (
        "INSERT INTO audit SELECT 7, at, who, action, subject, detail, hash FROM audit WHERE seq = 6",
        "goes on to 7",
    ),
    "renumbered": ("UPDATE audit SET seq = 9 WHERE seq = 6", "records 6 to 8 are missing"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_changed_by_hand_is_found_and_named(workspace, change):
    statement, said = CHANGES[change]
    by_hand(workspace, statement)
    faults = audit.verify(workspace).faults
    assert any(said in fault for fault in faults), faults


def test_two_records_that_changed_places_are_found(workspace):
    by_hand(
        workspace,
        "UPDATE audit SET seq = 100 WHERE seq = 2",
        "UPDATE audit SET seq = 2 WHERE seq = 3",
        "UPDATE audit SET seq = 3 WHERE seq = 100",
    )
    faults = audit.verify(workspace).faults
    assert any("record 2" in fault for fault in faults) and any("record 3" in fault for fault in faults)


def test_an_end_taken_off_with_the_seal_moved_back_is_found_for_want_of_the_key(workspace):
    by_hand(
        workspace,
        "DELETE FROM audit WHERE seq > 4",
        "UPDATE audit_head SET seq = 4, hash = (SELECT hash FROM audit WHERE seq = 4)",
    )
    assert any("not made with this workspace's key" in fault for fault in audit.verify(workspace).faults)


def test_an_older_seal_put_back_with_its_records_is_found_by_the_file_and_by_an_anchor_kept_elsewhere(workspace):
    """What restoring an older copy looks like: inside the database all agrees."""
    with workspace.store.read() as tx:
        old = log.head(tx)
    audit.note(workspace, "test.later")
    kept = audit.verify(workspace).anchor
    by_hand(
        workspace,
        "DELETE FROM audit WHERE seq = 7",
        f"UPDATE audit_head SET seq = {old.seq}, hash = '{old.hash}', seal = '{old.seal}'",
    )
    faults = audit.verify(workspace).faults
    assert len(faults) == 1 and "the file of this machine names record 7, which is not there" in faults[0]
    # Going on does not cover it up.
    for n in range(3):
        audit.note(workspace, "test.covering", str(n))
    assert any("names record 7, which is another" in fault for fault in audit.verify(workspace).faults)
    workspace.store.anchor.file.unlink()
    assert audit.verify(workspace).faults == ()  # the limit: without file and without a kept anchor it cannot be known
    assert any("the anchor you gave names record 7" in fault for fault in audit.verify(workspace, kept).faults)
    with pytest.raises(DigestError, match="NUMBER:HASH"):
        audit.verify(workspace, "7:abc")
    with pytest.raises(DigestError, match="NUMBER:HASH"):  # a number that no database has
        audit.verify(workspace, f"{10**12}:{'0' * 64}")


def test_after_a_restore_the_file_begins_anew_only_with_a_reason_that_is_recorded(workspace):
    with pytest.raises(DigestError, match="nothing to accept"):
        audit.accept(workspace, "just so")
    workspace.store.anchor.write(workspace.store.anchor.read().model_copy(update={"seq": 50}))
    assert audit.verify(workspace).faults
    with pytest.raises(DigestError, match="say why"):
        audit.accept(workspace, " ")
    audit.accept(workspace, "the backup of Monday was restored")
    assert audit.verify(workspace).faults == ()
    newest = audit.page(workspace)[0]
    assert (newest.action, newest.detail["why"], newest.detail["knew"]) == ("audit.accept", "the backup of Monday was restored", 50)


def test_what_is_undone_leaves_no_record_and_no_trace_in_the_file(workspace):
    with pytest.raises(RuntimeError), workspace.store.write() as tx:
        audit.record(tx, workspace, "test.undone")
        raise RuntimeError
    assert workspace.store.anchor.read().seq == 6
    audit.note(workspace, "test.done")
    assert [one.action for one in audit.page(workspace, 2)] == ["test.done", "test.made"]
    assert audit.verify(workspace).faults == ()


def test_many_at_once_make_one_chain(workspace):
    """Also those who write together on PostgreSQL, where nothing else keeps them apart."""

    def work(n):
        for m in range(5):
            with workspace.store.write(together=bool(n % 2)) as tx:
                audit.record(tx, workspace, "test.race", f"{n}-{m}")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = audit.verify(workspace)
    assert (found.records, found.faults) == (36, ())
    assert len({one.subject for one in audit.page(workspace, 100, action="test.race")}) == 30


def test_a_key_that_changes_does_not_break_the_chain(workspace):
    assert [keys.rotate(workspace).number for _ in range(2)] == [2, 3]
    found = audit.verify(workspace)
    assert (found.records, found.faults) == (8, ())
    assert [one.detail["number"] for one in audit.page(workspace, 2)] == [3, 2]


# --- every action is in it -----------------------------------------------------------------------------------------------


def test_what_people_do_to_issues_and_readers_is_recorded_under_their_name_and_names_no_reader(tmp_path, on_both):
    folder = make_workspace(tmp_path / "w", subscribers="email,name,interests\ncanary@example.org,Canaria,gut\nother@example.org,,vision\n")
    write_summary(folder, "one")
    (folder / "stop.csv").write_text("email\nstop@example.org\n", encoding="utf-8")
    with open_workspace(folder, date(2026, 5, 1), acting="nora") as opened:
        subscribe.import_file(opened, folder / "subscribers" / "people.csv", interests.load(folder))
        gather.gather(opened)
        issue.draft(opened, "monthly")
        readiness.approve(opened, ISSUE)
        operate.pause(opened, ISSUE, "a link is wrong")
        operate.resume(opened, ISSUE)
        operate.send_test(opened, ISSUE, "me@example.org", "canary@example.org")
        operate.cancel(opened, ISSUE)
        suppress.add(opened, "canary@example.org", "operator", "nora")
        suppress.remove(opened, "canary@example.org", who="nora")
        suppress.import_file(opened, folder / "stop.csv", who="nora")
        staff.add(opened, "ben", Role.EDITOR, "quiet river stones")
        readers.forget_address(opened, "canary@example.org")
        retention.prune(opened)  # takes nothing away, so there is nothing to tell
        entries = audit.page(opened)
        assert audit.verify(opened).faults == ()
    assert [one.action for one in reversed(entries)] == [
        "readers.import",
        "issue.draft",
        "issue.approve",
        "issue.pause",
        "issue.resume",
        "issue.test",
        "issue.cancel",
        "suppressions.add",
        "suppressions.remove",
        "suppressions.import",
        "people.add",
        "readers.forget",
    ]
    assert {one.who for one in entries} == {"nora"}
    told = json.dumps([one.model_dump(mode="json") for one in entries])
    assert not [word for word in ("canary", "Canaria", "me@example", "stop@", "gut", "vision") if word in told]


def test_steps_of_editors_links_filters_and_every_approval_are_recorded(tmp_path):
    config = CONFIG.replace("approval: automatic", "approval: required, approvals: 2", 1)
    folder = make_workspace(tmp_path / "w", config=config, subscribers="email,interests\na@example.org,gut\n")
    write_summary(folder, "one")
    with open_workspace(folder, date(2026, 5, 1), acting="nora") as opened:
        subscribe.import_file(opened, folder / "subscribers" / "people.csv", interests.load(folder))
        gather.gather(opened)
        issue.draft(opened, "monthly")
        edits.subject(opened, ISSUE, "canary@example.org")
        edits.subject(opened, ISSUE, "canary@example.org")  # says what holds already: no step
        edits.undo(opened, ISSUE)
        share.revoke(opened, share.make(opened, ISSUE).id)
        segments.save(opened, "those", segments.Filter(interests=("gut",)))
        segments.remove(opened, "those")
        readiness.approve(opened, ISSUE)
        readiness.approve(opened, ISSUE, by="ben")
        entries = audit.page(opened, 9)
    assert [(one.action, one.subject) for one in reversed(entries)] == [
        ("issue.draft", ISSUE),
        ("issue.edit", ISSUE),
        ("issue.edit", ISSUE),
        ("share.make", ISSUE),
        ("share.revoke", ISSUE),
        ("segments.save", "those"),
        ("segments.remove", "those"),
        ("issue.approve", ISSUE),
        ("issue.approve", ISSUE),
    ]
    assert [one.detail.get("by") for one in entries[:2]] == ["ben", None]
    told = json.dumps([one.detail for one in entries])
    assert "canary" not in told and "gut" not in told and '"changed": ["subject"]' in told


# Every command, and whether it is recorded: as what, or why not. A new command must be put here.
LOOKS = "looks only"
OWN_RECORD = "is told by its own records: sources, the ledger, or the mails"
COMMANDS = {
    "init": "makes a workspace, which has no log yet",
    "check": LOOKS,
    "gather": OWN_RECORD,
    "draft": "issue.draft",
    "approve": "issue.approve",
    "send": "issue.send",
    "run": "issue.send",
    "review": "issue.review",
    "preview": "opens the desk, where each step is recorded as here",
    "edition list": LOOKS,
    "edition show": LOOKS,
    "edit list": LOOKS,
    "edit log": LOOKS,
    "edit export": LOOKS,
    "edit diff": LOOKS,
    "edit pin": "issue.edit",
    "edit unpin": "issue.edit",
    "edit exclude": "issue.edit",
    "edit include": "issue.edit",
    "edit move": "issue.edit",
    "edit order": "issue.edit",
    "edit title": "issue.edit",
    "edit teaser": "issue.edit",
    "edit note": "issue.edit",
    "edit subject": "issue.edit",
    "edit preheader": "issue.edit",
    "edit intro": "issue.edit",
    "edit undo": "issue.edit",
    "edit redo": "issue.edit",
    "edit import": "issue.edit",
    "compare": LOOKS,
    "share": "share.make",
    "report": LOOKS,
    "lint": "issue.accept_warning",
    "screenshot": LOOKS,
    "status": LOOKS,
    "why": LOOKS,
    "coverage": LOOKS,
    "calendar": LOOKS,
    "history": LOOKS,
    "pause": "issue.pause",
    "resume": "issue.resume",
    "cancel": "issue.cancel",
    "held": "issue.decide",
    "reconcile": OWN_RECORD,
    "bounce": OWN_RECORD,
    "mail": OWN_RECORD,
    "serve": OWN_RECORD,
    "worker": OWN_RECORD,
    "migrate-store": "store.move",
    "prune": "prune",
    "doctor": LOOKS,
    "bench": LOOKS,
    "settings": LOOKS,
    "interests list": LOOKS,
    "interests test": LOOKS,
    "interests tree": LOOKS,
    "interests history": LOOKS,
    "interests compare": LOOKS,
    "interests export": LOOKS,
    "interests impact": LOOKS,
    "interests create": "interests.change",
    "interests rule": "interests.change",
    "interests label": "interests.change",
    "interests rename": "interests.change",
    "interests move": "interests.change",
    "interests merge": "interests.change",
    "interests split": "interests.change",
    "interests retire": "interests.change",
    "interests undo": "interests.change",
    "interests use-file": "interests.change",
    "interests use-database": "interests.change",
    "interests import": "interests.change",
    "sources list": LOOKS,
    "sources show": LOOKS,
    "sources fetch": "sources.fetch",
    "sources try": "sources.add",
    "hooks add": "hooks.add",
    "hooks list": LOOKS,
    "hooks test": "hooks.test",
    "hooks remove": "hooks.remove",
    "hooks enable": "hooks.enable",
    "hooks disable": "hooks.disable",
    "hooks rotate": "hooks.rotate",
    "hooks deliveries": LOOKS,
    "hooks send": OWN_RECORD,
    "replay": "issue.replay",
    "subscribers import": "readers.import",
    "subscribers export": "readers.export",
    "subscribers list": "readers.list",
    "subscribers show": "readers.show",
    "subscribers forget": "readers.forget",
    "segments list": LOOKS,
    "segments save": "segments.save",
    "segments remove": "segments.remove",
    "suppressions list": LOOKS,
    "suppressions add": "suppressions.add",
    "suppressions remove": "suppressions.remove",
    "suppressions import": "suppressions.import",
    "suppressions export": "suppressions.export",
    "keys rotate": "keys.rotate",
    "people add": "people.add",
    "people list": LOOKS,
    "people role": "people.role",
    "people password": "people.password",
    "people totp": "people.second_factor_on",
    "people elsewhere": "people.elsewhere_expected",
    "people disable": "people.disable",
    "people sessions": LOOKS,
    "people revoke": "people.sessions_ended",
    "api-keys add": "keys.add",
    "api-keys list": LOOKS,
    "api-keys scopes": LOOKS,
    "api-keys revoke": "keys.revoke",
    "audit verify": LOOKS,
    "audit list": LOOKS,
    "audit accept": "audit.accept",
}


def commands(group, prefix=""):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield prefix + name


def test_every_command_is_recorded_or_there_is_a_reason_why_not():
    assert set(commands(typer.main.get_command(app))) == set(COMMANDS)
    sources = "".join(file.read_text(encoding="utf-8") for file in PROGRAM.rglob("*.py"))
    recorded = {action for action in COMMANDS.values() if "." in action or action == "prune"}
    assert [action for action in recorded if f'"{action}"' not in sources] == []


PROGRAM = Path(audit.__file__).parent


# --- by hand -------------------------------------------------------------------------------------------------------------


class Terminal:
    """Somebody at a terminal in a folder, in this process: each command of its own would take a second."""

    def __init__(self, folder):
        self.folder = folder

    def types(self, *words, said=""):
        """Exit code and what was printed; an error that is meant for people is printed as `digest` does it."""
        done = CliRunner().invoke(app, [*words, "--workspace", str(self.folder)], input=said)
        if isinstance(done.exception, DigestError):
            return 1, f"{done.output}error: {done.exception}"
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.output


def test_at_the_terminal(tmp_path):
    folder = make_workspace(tmp_path / "w", subscribers="email\na@example.org\n")
    here = Terminal(folder)
    assert here.types("subscribers", "import", str(folder / "subscribers" / "people.csv"))[0] == 0
    assert here.types("--by", "nora", "subscribers", "export")[0] == 0
    assert here.types("--by", "nora@example.org", "subscribers", "export")[0] == 2
    listed = json.loads(here.types("audit", "list", "--json")[1])
    assert [(one["who"] == "nora", one["action"]) for one in listed] == [(True, "readers.export"), (False, "readers.import")]
    assert listed[0]["detail"] == {"account": listed[1]["who"]}  # a name is said, the account is known
    assert "readers.export" in here.types("audit", "list", "--who", "nora")[1]
    assert here.types("audit", "list", "--action", "issue.")[1] == "Nothing.\n"
    kept = json.loads(here.types("audit", "verify", "--json")[1])["anchor"]
    assert here.types("audit", "verify", "--anchor", kept)[0] == 0
    with open_workspace(folder) as opened:
        by_hand(opened, "UPDATE audit SET who = 'nora'")
    found = Person(folder).types("audit", "verify")
    assert found.returncode == 1 and "error: record 1 is not as it was written" in found.stdout


def test_people_at_the_terminal(tmp_path):
    here = Terminal(make_workspace(tmp_path / "w"))
    assert "Nobody yet" in here.types("people", "list")[1]
    assert here.types("people", "add", "Nora", "--role", "admin", said="quiet river stones\n")[0] == 0
    code, told = here.types("people", "add", "ben", "--role", "editor", said="short\n")
    assert code == 1 and "12 characters" in told and "short" not in told
    assert "Password for the first log-in: " in here.types("people", "add", "ben", "--role", "editor", "--one-time")[1]
    for name in ("ben", "x@example.org"):
        assert here.types("people", "add", name, "--role", "editor", "--one-time")[0] == 1
    assert here.types("people", "add", "caro", "--role", "owner")[0] == 2
    assert "ben is approver now" in here.types("people", "role", "ben", "approver")[1]
    for words in (("role", "nora", "viewer"), ("disable", "nora")):
        code, told = here.types("people", *words)
        assert code == 1 and "only admin" in told
    assert here.types("people", "disable", "ben")[0] == 0
    assert here.types("people", "disable", "ben", "--undo")[0] == 0
    assert "0 sessions" in here.types("people", "sessions", "nora")[1]
    assert "0 sessions ended" in here.types("people", "revoke", "nora")[1]
    assert here.types("people", "revoke", "nobody")[0] == 1
    assert "0 sessions ended" in here.types("people", "password", "nora", said="another good phrase\n")[1]
    listed = json.loads(here.types("people", "list", "--json")[1])
    assert [(one["name"], one["role"]) for one in listed] == [("ben", "approver"), ("nora", "admin")]
    assert "password" not in listed[0]
    code, told = here.types("people", "totp", "nora", said="000000\n")
    assert code == 1 and "otpauth://totp/Test%20Letter:nora?secret=" in told
    assert "There was no second factor" in here.types("people", "totp", "nora", "--off")[1]
    assert here.types("people", "totp", "nora", "--codes")[0] == 1


def test_the_terminal_sets_up_a_second_factor(tmp_path):
    folder = make_workspace(tmp_path / "w")
    with open_workspace(folder) as opened:
        staff.add(opened, "nora", Role.ADMIN, "quiet river stones")
    talk = subprocess.Popen([COMMAND, "people", "totp", "nora"], cwd=folder, stdin=-1, stdout=-1, stderr=-1, text=True)
    shown = [talk.stdout.readline(), talk.stdout.readline()]
    out, _ = talk.communicate(code_of(totp.read(shown[1].split("secret=")[1].split("&")[0])) + "\n", timeout=60)
    codes = re.findall(r"^  ([a-z0-9]{4}(?:-[a-z0-9]{4}){3})$", out, re.M)
    assert talk.returncode == 0 and len(set(codes)) == 10
    new = re.findall(r"^  (\S{19})$", Terminal(folder).types("people", "totp", "nora", "--codes")[1], re.M)
    assert len(set(new)) == 10 and not set(new) & set(codes)


def test_the_settings_at_the_terminal(tmp_path):
    code, told = Terminal(make_workspace(tmp_path / "w")).types("settings")
    assert code == 0 and "newsletter.name: Test Letter  [config.yaml:2]" in told and "queue: inline  [default]" in told
