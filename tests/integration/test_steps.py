"""Draft, plan and dispatch on a real workspace, with real templates, database and outbox."""

import email
import email.policy
import os
import signal
import subprocess
import sys
from datetime import date

import pytest

from digest import dispatch, explain, gather, interests, issue, jobs, readiness
from digest.errors import ConfigError, IssueError, IssueWaits, ProviderUnusable
from digest.providers import outbox
from digest.store import ledger, people
from digest.subscribe import import_file
from digest.workspace import open_workspace
from tests.support.make import CONFIG, make_workspace, write_summary

PEOPLE = """email,name,interests,cadence,status
ana@example.org,Ana,gut,monthly,
ben@example.org,,vision;gut,monthly,
cat@example.org,Cat,diet,monthly,
dan@example.org,Dan,,monthly,
eve@example.org,Eve,gut,monthly,paused
fay@example.org,Fay,gut,weekly,
"""


@pytest.fixture
def letter(tmp_path):
    folder = make_workspace(tmp_path / "letter", subscribers=PEOPLE)
    write_summary(folder, "bacteria", "2026-04-10", "gut")
    write_summary(folder, "rice", "2026-04-20", "diet")
    write_summary(folder, "eyes", "2026-04-25", "vision, gut")
    write_summary(folder, "old", "2026-02-01", "gut")
    write_summary(folder, "later", "2026-05-20", "gut")
    return folder


def run(folder, on="2026-05-01", cadence="monthly"):
    with open_workspace(folder, date.fromisoformat(on)) as opened:
        return jobs.run(opened, cadence)


def messages(folder, name="monthly-2026-05-01"):
    found = {}
    for file in (folder / "var" / "outbox" / name).glob("*.eml"):
        message = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
        found[message["To"].addresses[0].addr_spec] = message.get_body(("plain",)).get_content().replace("\r\n", "\n")
    return found


def tree(folder):
    return {file.name: (file.stat().st_mtime_ns, file.stat().st_size) for file in (folder / "var" / "outbox").rglob("*") if file.is_file()}


@pytest.mark.usefixtures("on_both")
def test_the_main_job(letter):
    report = run(letter)
    status = report.sent.status
    assert (status.state, status.planned, status.accepted, status.skipped) == ("finished", 4, 3, 1)
    assert status.sum_is_right
    assert report.sent.open == "var/outbox/monthly-2026-05-01/index.html"
    sent = messages(letter)
    assert set(sent) == {"ana@example.org", "ben@example.org", "cat@example.org"}
    assert "Piece rice" in sent["cat@example.org"] and "Piece bacteria" not in sent["cat@example.org"]
    assert "Piece old" not in sent["ana@example.org"] and "Piece later" not in sent["ana@example.org"]


def test_a_second_run_says_so_and_changes_nothing(letter):
    run(letter)
    before = tree(letter)
    report = run(letter)
    assert report.nothing_new
    assert tree(letter) == before


def test_the_next_issue_has_what_is_new_and_what_came_late(letter):
    run(letter)
    write_summary(letter, "late", "2026-04-12", "gut")
    run(letter, "2026-06-01")
    text = messages(letter, "monthly-2026-06-01")["ana@example.org"]
    assert "Piece later" in text and "Piece late\n" in text
    assert "Piece bacteria" not in text


def test_a_source_added_later_brings_no_backlog(letter):
    run(letter)
    (letter / "more").mkdir()
    write_summary(letter, "x", "2026-03-15", "gut").rename(letter / "more" / "backlog.md")
    write_summary(letter, "y", "2026-05-15", "gut").rename(letter / "more" / "fresh.md")
    text = CONFIG.replace("path: summaries/}\n", "path: summaries/}\n  - {name: more, kind: folder, path: more/}\n")
    (letter / "config.yaml").write_text(text, encoding="utf-8")
    run(letter, "2026-06-01")
    text = messages(letter, "monthly-2026-06-01")["ana@example.org"]
    assert "Piece y" in text and "Piece x" not in text


def test_nobody_gets_a_summary_twice_even_when_rules_and_cadences_change(letter):
    run(letter)
    file = letter / "subscribers" / "people.csv"
    file.write_text("email,cadence,interests\nana@example.org,weekly,gut;vision\n", encoding="utf-8")
    with open_workspace(letter) as opened:
        import_file(opened, file, interests.load(letter))
    run(letter, "2026-05-01", "weekly")  # its window holds what the monthly issue sent
    assert "ana@example.org" not in messages(letter, "weekly-2026-05-01")
    assert "Piece eyes" in messages(letter, "weekly-2026-05-01")["fay@example.org"]


def test_a_correction_goes_to_exactly_those_who_were_sent_the_piece(letter):
    run(letter)
    notice = '{kind: correction, at: 2026-05-10, text: "It was seven people, not eight."}'
    write_summary(letter, "rice", "2026-04-20", "diet", notice=notice)
    (letter / "summaries" / "later.md").unlink()
    run(letter, "2026-06-01")
    sent = messages(letter, "monthly-2026-06-01")
    # The parent interest gut had brought it to Ana and Ben, too.
    assert all("seven people" in text for text in sent.values()) and set(sent) == {"ana@example.org", "ben@example.org", "cat@example.org"}
    run(letter, "2026-07-01")
    assert not any("seven people" in text for text in messages(letter, "monthly-2026-07-01").values())


def test_what_is_held_back_or_retracted_after_the_draft_does_not_leave(edited):
    run(edited)
    with open_workspace(edited, date(2026, 5, 1)) as opened:
        readiness.approve(opened, "monthly-2026-05-01")
        write_summary(edited, "rice", "2026-04-20", "diet", hold="true")
        gather.gather(opened)
        with pytest.raises(IssueWaits, match="held back since"):
            dispatch.send(opened, "monthly-2026-05-01")
        assert issue.draft(opened, "monthly", again=True).members == 2


def test_an_automatic_draft_that_has_not_left_takes_in_what_is_known_now(letter):
    with open_workspace(letter, date(2026, 5, 1)) as opened:
        gather.gather(opened)
        issue.draft(opened, "monthly")
    write_summary(letter, "rice", "2026-04-20", "diet", notice='{kind: retraction, at: 2026-04-28, text: "It does not hold."}')
    run(letter)
    assert not any("Piece rice" in text for text in messages(letter).values())


def test_an_issue_waits_until_there_is_somebody_to_read_it(letter):
    (letter / "subscribers" / "people.csv").unlink()
    report = run(letter)
    assert report.sent is None and "stays a draft" in report.waits
    (letter / "subscribers" / "people.csv").write_text(PEOPLE, encoding="utf-8")
    assert run(letter).sent.status.accepted == 3


def test_a_draft_before_the_first_gathering_does_not_make_everything_backlog(letter):
    with open_workspace(letter, date(2026, 5, 1)) as opened:
        assert issue.draft(opened, "monthly").members == 0
    assert run(letter, "2026-06-01").draft.members == 4


def test_an_older_issue_drawn_later_does_not_bring_the_backlog_back(letter):
    write_summary(letter, "march", "2026-03-15", "gut")
    run(letter)
    run(letter, "2026-02-01")
    run(letter, "2026-06-01")
    assert "Piece march" not in messages(letter, "monthly-2026-06-01")["ana@example.org"]


def test_a_provider_that_is_not_set_up_freezes_nothing(letter, monkeypatch):
    monkeypatch.setenv("DIGEST_DELIVERY__PROVIDER", "sendgrid")
    monkeypatch.delenv("SENDGRID_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="SENDGRID_API_KEY"):
        run(letter)
    with open_workspace(letter) as opened:
        assert dispatch.status(opened, "monthly-2026-05-01").state == "drafted"


def test_a_reader_who_was_skipped_is_told_of_the_correction_next_time(letter):
    run(letter)
    notice = '{kind: retraction, at: 2026-05-10, text: "It does not hold."}'
    write_summary(letter, "rice", "2026-04-20", "diet", notice=notice)
    real = ledger.claim

    def leave_first(tx, *args, **options):
        tx.exec_driver_sql("UPDATE subscriber SET status = 'paused' WHERE cadence = 'monthly'")
        return real(tx, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger, "claim", leave_first)
        run(letter, "2026-06-01")
    with open_workspace(letter) as opened, opened.store.write() as tx:
        tx.exec_driver_sql("UPDATE subscriber SET status = 'active'")
    run(letter, "2026-07-01")
    assert "does not hold" in messages(letter, "monthly-2026-07-01")["cat@example.org"]


def test_a_correction_that_becomes_a_retraction_is_told_again(letter):
    run(letter)
    write_summary(letter, "rice", "2026-04-20", "diet", notice='{kind: correction, at: 2026-05-10, text: "Seven."}')
    run(letter, "2026-06-01")
    write_summary(letter, "rice", "2026-04-20", "diet", notice='{kind: retraction, at: 2026-05-10, text: "It does not hold."}')
    run(letter, "2026-07-01")
    assert "does not hold" in messages(letter, "monthly-2026-07-01")["cat@example.org"]


def test_a_wrong_sum_is_an_error_not_a_reason_to_wait(letter):
    run(letter)
    with open_workspace(letter) as opened, opened.store.write() as tx:
        tx.exec_driver_sql("UPDATE issue SET planned = 30")
    with pytest.raises(IssueError, match="do not add up"):
        run(letter)


def test_readers_of_what_is_gone_are_told_of(letter):
    run(letter)
    (letter / "subscribers" / "interests.yaml").write_text("- {id: vision, label: Vision, match: {tag: vision}}\n", encoding="utf-8")
    (letter / "config.yaml").write_text(CONFIG.replace("  weekly:", "  fortnightly:"), encoding="utf-8")
    with open_workspace(letter) as opened:
        told = jobs.overview(opened).warnings
    assert any("follow gut" in line for line in told) and any("weekly" in line for line in told)


def test_a_page_that_could_not_be_written_is_written_by_the_next_send(letter):
    run(letter)
    page = letter / "var" / "outbox" / "monthly-2026-05-01" / "index.html"
    page.unlink()
    run(letter)
    assert page.exists()


# --- approval ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def edited(letter):
    (letter / "config.yaml").write_text(CONFIG.replace("approval: automatic", "approval: required"), encoding="utf-8")
    return letter


def test_where_approval_is_required_nothing_leaves_without(edited):
    report = run(edited)
    assert report.sent is None and "digest approve monthly-2026-05-01" in report.waits
    assert messages(edited) == {}
    with open_workspace(edited, date(2026, 5, 1)) as opened:
        readiness.approve(opened, "monthly-2026-05-01")
        assert dispatch.send(opened, "monthly-2026-05-01").status.accepted == 3


@pytest.mark.parametrize("what", ["template", "interest", "rule"])
def test_any_change_voids_an_approval(edited, what):
    run(edited)
    with open_workspace(edited, date(2026, 5, 1)) as opened:
        readiness.approve(opened, "monthly-2026-05-01")
    if what == "template":
        file = edited / "templates" / "digest.txt.j2"
        file.write_text(file.read_text(encoding="utf-8") + "\nOne more line.\n", encoding="utf-8")
    elif what == "interest":
        file = edited / "subscribers" / "interests.yaml"
        file.write_text(file.read_text(encoding="utf-8").replace("tag: gut", "tag: vision"), encoding="utf-8")
    else:
        file = edited / "config.yaml"
        file.write_text(file.read_text(encoding="utf-8") + "selection: {max_teasers: 1}\n", encoding="utf-8")
    with open_workspace(edited, date(2026, 5, 1)) as opened, pytest.raises(IssueError, match="changed since it was approved"):
        dispatch.send(opened, "monthly-2026-05-01")


def test_a_new_summary_does_not_slip_into_an_approved_issue(edited):
    run(edited)
    with open_workspace(edited, date(2026, 5, 1)) as opened:
        readiness.approve(opened, "monthly-2026-05-01")
        write_summary(edited, "slipped", "2026-04-28", "gut")
        gather.gather(opened)
        dispatch.send(opened, "monthly-2026-05-01")
    assert not any("slipped" in text for text in messages(edited).values())


def test_an_issue_that_is_not_due_does_not_leave(letter):
    with open_workspace(letter, date(2036, 5, 1)) as opened:
        gather.gather(opened)
        issue.draft(opened, "monthly")
    with open_workspace(letter) as opened, pytest.raises(IssueError, match="--on 2036-05-01"):
        dispatch.send(opened, "monthly-2036-05-01")


def test_a_draft_can_be_drawn_anew_until_it_goes_out(edited):
    run(edited)
    write_summary(edited, "more", "2026-04-28", "gut")
    with open_workspace(edited, date(2026, 5, 1)) as opened:
        gather.gather(opened)
        assert issue.draft(opened, "monthly").members == 3
        assert issue.draft(opened, "monthly", again=True).members == 4
        readiness.approve(opened, "monthly-2026-05-01")
        dispatch.send(opened, "monthly-2026-05-01")
        with pytest.raises(IssueError, match="not drafted again"):
            issue.draft(opened, "monthly", again=True)


# --- crashes and full disks ----------------------------------------------------------------------------------------------

_KILLED = """
import os, signal, sys
from datetime import date
from pathlib import Path
from digest import jobs
from digest.providers import outbox
from digest.workspace import open_workspace
written, real = 0, outbox._put
def put(file, content):
    global written
    if file.suffix == ".eml":
        if written == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        written += 1
    real(file, content)
outbox._put = put
with open_workspace(Path(sys.argv[1]), date(2026, 5, 1)) as opened:
    jobs.run(opened, "monthly")
"""


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_killed_run_is_finished_by_the_next_without_writing_twice(letter, after):
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(letter), str(after)], capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    first = tree(letter)
    report = run(letter)
    assert report.sent.status.state == "finished" and report.sent.status.accepted == 3
    assert report.sent.resolved == 3
    assert len(messages(letter)) == 3
    assert all(tree(letter)[name] == facts for name, facts in first.items() if name.endswith(".eml"))


def test_a_full_disk_loses_nothing(letter, monkeypatch):
    real, room = outbox._put, [1]

    def put(file, content):
        if file.suffix == ".eml":
            if not room[0]:
                raise OSError(28, os.strerror(28))
            room[0] -= 1
        real(file, content)

    monkeypatch.setattr(outbox, "_put", put)
    with pytest.raises(ProviderUnusable, match="No space left"):
        run(letter)
    with open_workspace(letter) as opened:
        stands = dispatch.status(opened, "monthly-2026-05-01")
        assert (stands.state, stands.accepted, stands.ready, stands.sum_is_right) == ("sending", 1, 2, True)
    monkeypatch.undo()
    assert run(letter).sent.status.accepted == 3
    assert len(messages(letter)) == 3


def test_a_real_full_disk_leaves_no_half_written_message(tmp_path):
    full = outbox.Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(OSError):
        with full.open("wb", buffering=0) as out:
            out.write(b"x")
    target = tmp_path / "a.eml"
    (tmp_path / "a.eml.partial").symlink_to(full)
    with pytest.raises(OSError):
        outbox._put(target, b"x" * 10)
    assert not target.exists() and not (tmp_path / "a.eml.partial").exists()


# --- explaining ----------------------------------------------------------------------------------------------------------


def test_coverage_accounts_for_every_summary_of_the_range(letter):
    write_summary(letter, "held", "2026-04-11", "gut", hold="true")
    write_summary(letter, "nobody", "2026-04-12", "sleep")
    run(letter)
    with open_workspace(letter) as opened:
        fates = {row.title: (row.fate, row.readers) for row in explain.coverage(opened, "monthly-2026-05-01")}
    assert fates == {
        "Piece bacteria": ("sent", 2),
        "Piece rice": ("sent", 3),
        "Piece eyes": ("sent", 2),
        "Piece held": ("held", 0),
        "Piece nobody": ("no_match", 0),
        "Piece later": ("future", 0),
    }


def test_coverage_before_sending_tells_what_would_be(edited):
    run(edited)
    with open_workspace(edited) as opened:
        assert {row.title: row.readers for row in explain.coverage(opened, "monthly-2026-05-01")}["Piece rice"] == 3
        assert explain.forecast_report(opened, "monthly-2026-05-01")["readers"] == 3


def test_why_agrees_with_what_was_sent(letter):
    run(letter)
    with open_workspace(letter) as opened:
        for address, text in messages(letter).items():
            report = explain.why(opened, address, "monthly-2026-05-01")
            assert report.state == "accepted"
            for verdict in report.verdicts:
                assert (f"{verdict.title}\n" in text) is verdict.shown, verdict


def test_why_tells_why_not(letter):
    run(letter)
    with open_workspace(letter) as opened:
        dan = explain.why(opened, "dan@example.org", "monthly-2026-05-01")
        assert (dan.state, dan.reason) == ("skipped", "no interests")
        assert "paused" in explain.why(opened, "eve@example.org", "monthly-2026-05-01").reason
        assert "weekly issues" in explain.why(opened, "fay@example.org", "monthly-2026-05-01").reason
        words = {verdict.title: verdict.why for verdict in explain.why(opened, "cat@example.org", "monthly-2026-05-01").verdicts}
        assert words["Piece eyes"] == "is in Gut and diet, Vision, which this reader does not follow"
        assert words["Piece rice"] == "follows Diet: tag diet"
        with pytest.raises(IssueError, match="nobody on the list"):
            explain.why(opened, "zoe@example.org", "monthly-2026-05-01")


# --- broken sources ------------------------------------------------------------------------------------------------------


def test_one_broken_source_or_entry_never_stops_the_others(letter):
    text = CONFIG.replace("path: summaries/}\n", "path: summaries/}\n  - {name: gone, kind: folder, path: gone/}\n")
    (letter / "config.yaml").write_text(text, encoding="utf-8")
    (letter / "summaries" / "broken.md").write_text("---\ntitle: No date\nurl: https://a.example.org/\n---\n", encoding="utf-8")
    report = run(letter)
    assert report.sent.status.accepted == 3
    with open_workspace(letter) as opened:
        health = {source.name: source for source in jobs.overview(opened).sources}
    assert health["gone"].failures == 1 and health["gone"].error
    assert health["ours"].refused == 1 and "broken.md" in health["ours"].refusals[0]


def test_an_interest_named_in_no_list_any_more_takes_nothing(letter):
    run(letter)
    lists = letter / "subscribers" / "interests.yaml"
    lists.write_text("- {id: vision, label: Vision, match: {tag: vision}}\n", encoding="utf-8")
    assert run(letter, "2026-06-01").sent.status.accepted == 0
    with open_workspace(letter) as opened, opened.store.read() as tx:
        assert people.count_by_interest(tx)["gut"] == 3
