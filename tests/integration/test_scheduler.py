"""An unattended workspace: ticks at chosen instants, and a real `digest serve` that is killed."""

import contextlib
import dataclasses
import email
import email.policy
import json
import os
import signal
import subprocess
import threading
import time
import urllib.request
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from digest import dispatch, explain, issue, life, notify, outlook, plan, readiness, schedule
from digest.addresses import parse
from digest.config import DeliverySettings
from digest.errors import IssueWaits
from digest.model import Subscriber
from digest.store import Store, beat, holding, issues, people
from digest.workspace import open_workspace
from tests.support.make import CONFIG, at, make_workspace, write_summary
from tests.support.person import COMMAND
from tests.support.ports import free_port

EDITORS = 'editors: ["Ed Itor <ed@example.org>", zoe@example.org]\n'
PEOPLE = [("ana", "monthly", ""), ("ben", "monthly", ""), ("cat", "weekly", "")]
MAY = at("2026-05-01T08:00")  # 09:00 in London


@pytest.fixture
def letter(tmp_path):
    folder = make_workspace(tmp_path / "letter", config=CONFIG + EDITORS)
    write_summary(folder, "bacteria", "2026-04-10", "gut")
    write_summary(folder, "rice", "2026-04-28", "gut")
    write_summary(folder, "later", "2026-05-20", "gut")
    with open_workspace(folder) as opened:
        add(opened, PEOPLE)
    return folder


def add(opened, everyone):
    with opened.store.write() as tx:
        for name, cadence, zone in everyone:
            who = Subscriber(id="", email=f"{name}@example.org", interests=("gut",), cadence=cadence, zone=zone)
            people.add(tx, opened.store.vault, parse(who.email), who, at("2026-01-01"))


def settle(folder, **cadence):
    """The monthly rule with other settings."""
    rule = {"day": 1, "at": "09:00", "approval": "automatic"} | cadence
    text = (folder / "config.yaml").read_text(encoding="utf-8").splitlines()
    text = [f"  monthly: {json.dumps(rule)}" if line.startswith("  monthly:") else line for line in text]
    (folder / "config.yaml").write_text("\n".join(text) + "\n", encoding="utf-8")


@contextlib.contextmanager
def opened_at(folder, when):
    with open_workspace(folder, acting=schedule.WHO) as opened:
        yield dataclasses.replace(opened, at=when, on=when.astimezone(ZoneInfo(opened.zone)).date())


def tick(folder, when):
    with opened_at(folder, when) as opened:
        return [(done.subject, done.act, done.words) for done in schedule.tick(opened)]


def letters(folder):
    """Subjects and texts of what the editors got, by address."""
    found = {}
    for file in (folder / "var" / "outbox" / "editors").glob("*.eml"):
        message = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
        text = message.get_body(("plain",)).get_content()
        found.setdefault(message["To"].addresses[0].addr_spec, []).append((message["Subject"], text))
    return {who: sorted(got) for who, got in found.items()}


def mail(folder, name):
    return len(list((folder / "var" / "outbox" / name).glob("*.eml")))


def in_issue(opened, name):
    return {row.title for row in explain.coverage(opened, name) if row.fate == "sent"}


def state(folder, name="monthly-2026-05-01"):
    with open_workspace(folder) as opened:
        return dispatch.status(opened, name).state


def test_drafted_ahead_sent_at_its_hour_and_told_of(letter):
    assert tick(letter, at("2026-04-20"))[0][:2] == ("sources", "gather")
    tick(letter, at("2026-04-24T06:31"))
    assert ("monthly-2026-05-01", "draft", "drafted with 2 summaries") in tick(letter, MAY - timedelta(hours=23))
    write_summary(letter, "late", "2026-04-30", "gut")  # known before it leaves, so it is in it
    assert not any(what[:2] == ("monthly-2026-05-01", "send") for what in tick(letter, MAY - timedelta(minutes=1)))
    assert ("monthly-2026-05-01", "send", "handed over 2; finished") in tick(letter, MAY + timedelta(seconds=5))
    assert [done for done in tick(letter, MAY + timedelta(minutes=1)) if done[0].startswith("monthly")] == []
    with open_workspace(letter) as opened:
        assert in_issue(opened, "monthly-2026-05-01") == {"Piece bacteria", "Piece rice", "Piece late"}
        moves = life.history(opened, "monthly-2026-05-01")
    assert [move.new for move in moves] == ["drafted", "drafted", "planning", "sending", "finished"]
    assert {move.who for move in moves} == {"scheduler"}
    told = letters(letter)
    assert [subject for subject, _ in told["ed@example.org"]] == [
        "monthly-2026-05-01 has been sent",
        "weekly-2026-04-24 has been sent",
        "weekly-2026-05-01 has been sent",
    ]
    assert told["ed@example.org"] != told["zoe@example.org"] and "Hello Ed Itor," in told["ed@example.org"][0][1]
    assert not any("ana" in text or "gut" in text for got in told.values() for _, text in got)


def test_an_issue_that_needs_approval_is_asked_for_reminded_of_and_sent(letter):
    settle(letter, approval="required")
    tick(letter, at("2026-04-20"))
    tick(letter, MAY - timedelta(hours=2))
    assert state(letter) == "in_review"
    tick(letter, MAY - timedelta(hours=1))
    tick(letter, MAY + timedelta(minutes=1))
    assert mail(letter, "monthly-2026-05-01") == 0
    subjects = [subject for subject, _ in letters(letter)["zoe@example.org"] if "monthly" in subject]
    assert subjects == ["Please look at monthly-2026-05-01", "monthly-2026-05-01 is due and waits for approval"]
    with open_workspace(letter, acting="ana") as opened:
        readiness.approve(opened, "monthly-2026-05-01")
    tick(letter, MAY + timedelta(minutes=2))
    assert state(letter) == "finished" and mail(letter, "monthly-2026-05-01") == 2
    with open_workspace(letter) as opened:
        moves = [(move.old, move.new, move.who) for move in life.history(opened, "monthly-2026-05-01")]
    assert moves[:3] == [("", "drafted", "scheduler"), ("drafted", "in_review", "scheduler"), ("in_review", "approved", "ana")]


def test_what_is_too_late_goes_to_the_next_issue_and_nothing_comes_twice(letter):
    settle(letter, approval="required")
    tick(letter, at("2026-04-20"))
    tick(letter, MAY - timedelta(hours=2))
    done = tick(letter, MAY + timedelta(hours=49))
    assert ("monthly-2026-05-01", "expire", "expired; 2 summaries go to the next issue") in done
    assert state(letter) == "expired"
    with opened_at(letter, MAY + timedelta(hours=50)) as opened, pytest.raises(IssueWaits, match="goes to the next monthly issue"):
        dispatch.send(opened, "monthly-2026-05-01")
    settle(letter)
    june = at("2026-06-01T08:01")
    tick(letter, june)
    assert mail(letter, "monthly-2026-05-01") == 0 and mail(letter, "monthly-2026-06-01") == 2
    with open_workspace(letter) as opened:
        assert in_issue(opened, "monthly-2026-06-01") == {"Piece bacteria", "Piece rice", "Piece later"}
    assert any(subject == "monthly-2026-05-01 was not sent" for subject, _ in letters(letter)["ed@example.org"])


def test_a_server_that_was_away_notes_what_it_missed_and_loses_nothing(letter):
    tick(letter, at("2026-04-20"))
    tick(letter, at("2026-06-01T08:05"))
    assert state(letter) == "expired" and state(letter, "monthly-2026-06-01") == "finished"
    with open_workspace(letter) as opened:
        titles = in_issue(opened, "monthly-2026-06-01")
    assert titles == {"Piece bacteria", "Piece rice", "Piece later"}  # none became archive


def test_a_clone_that_wakes_months_later_sends_nothing_old(letter):
    settle(letter, approval="required")
    tick(letter, at("2026-04-20"))
    tick(letter, MAY - timedelta(hours=2))
    with open_workspace(letter) as opened:
        readiness.approve(opened, "monthly-2026-05-01")  # and then the machine was copied and lay there
    tick(letter, at("2026-05-20"))
    assert state(letter) == "expired" and mail(letter, "monthly-2026-05-01") == 0


def test_an_issue_in_doubt_after_a_restore_is_not_given_up_for_the_next(letter):
    with opened_at(letter, MAY) as opened:
        schedule.tick(opened)
        june = issue.draft(opened, "monthly", slot=opened_slot(opened, "2026-06-01"))
        with opened.store.write() as tx:
            row = issues.named(tx, june.issue)
            assert row is not None
            holding.pause(tx, row.id, "the database was restored from an older copy")
        assert life.expire(opened, june.issue, "too late") is None


def opened_slot(opened, day):
    from digest.calendar import slot_on

    return slot_on("monthly", opened.config.cadences["monthly"], opened.zone, date.fromisoformat(day))


def test_by_hand_a_draft_never_sent_gives_its_summaries_to_the_one_due_next(letter):
    with open_workspace(letter, date(2026, 5, 1)) as opened:
        from digest.gather import gather

        gather(opened)
        assert issue.draft(opened, "monthly").members == 2
    with open_workspace(letter, date(2026, 6, 1)) as opened:
        report = issue.draft(opened, "monthly")
        assert (report.members, report.expired, report.unsent) == (3, ("monthly-2026-05-01",), ())
        assert life.history(opened, "monthly-2026-05-01")[-1].detail.endswith("2 summaries go to the next issue")


class Cut(BaseException):
    """The process dies."""


@pytest.mark.parametrize("after", [1, 3, 6, 9, 12, 16])
def test_cut_off_after_any_commit_the_next_tick_goes_on(letter, monkeypatch, after):
    left = [after]
    whole = Store.write

    @contextlib.contextmanager
    def write(self, **how):
        with whole(self, **how) as tx:
            yield tx
        left[0] -= 1
        if left[0] == 0:
            raise Cut

    with open_workspace(letter) as opened, opened.store.write() as tx:
        beat.begun_at(tx, at("2026-04-25"))
    monkeypatch.setattr(Store, "write", write)
    with pytest.raises(Cut):
        tick(letter, MAY + timedelta(minutes=1))
    monkeypatch.undo()
    tick(letter, MAY + timedelta(minutes=2))
    assert state(letter) == "finished" and mail(letter, "monthly-2026-05-01") == 2 and mail(letter, "weekly-2026-05-01") == 1
    assert [subject for subject, _ in letters(letter)["ed@example.org"]] == [
        "monthly-2026-05-01 has been sent",
        "weekly-2026-05-01 has been sent",
    ]


def test_a_letter_that_cannot_be_sent_is_tried_again_and_shown(letter, monkeypatch):
    with open_workspace(letter) as opened:
        closed = DeliverySettings(provider="smtp", allow=("*@elsewhere.org",))
        elsewhere = dataclasses.replace(opened, config=opened.config.model_copy(update={"delivery": closed}))
        said = notify.Letter(subject="A word", paragraphs=("Something.",))
        assert notify.tell(elsewhere, "monthly-2026-05-01", "review", said) == "told 0 of 2 editors (review)"
        assert notify.tell(elsewhere, "monthly-2026-05-01", "review", said) == ""
        from digest.jobs import overview

        assert overview(opened).scheduler.untold == ("monthly-2026-05-01, review: an editor's address is not in delivery.allow",)


# --- readers between cadences, and their own hours -----------------------------------------------------------------------


def test_who_changes_from_monthly_to_weekly_gets_what_lay_between_once(letter):
    with open_workspace(letter) as opened:
        add(opened, [("dan", "weekly", "")])
    for day in ("2026-04-20", "2026-05-01T06:31", "2026-05-01T08:01"):
        tick(letter, at(day))
    write_summary(letter, "between", "2026-05-05", "gut")
    tick(letter, at("2026-05-08T06:31"))
    write_summary(letter, "fresh", "2026-05-12", "gut")
    with open_workspace(letter) as opened, opened.store.write() as tx:
        ana = people.find(tx, opened.store.vault, parse("ana@example.org"))
        assert ana is not None
        people.change(tx, opened.store.vault, ana.row, ana.subscriber.model_copy(update={"cadence": "weekly"}), at("2026-05-11"))
    tick(letter, at("2026-05-15T06:31"))
    with open_workspace(letter) as opened:
        name = "weekly-2026-05-15"
        assert shown(explain.why(opened, "ana@example.org", name)) == {"Piece between", "Piece fresh"}
        assert shown(explain.why(opened, "dan@example.org", name)) == {"Piece fresh"}
        assert "Piece between" not in {one.title for one in explain.why(opened, "dan@example.org", name).verdicts}
        readers = {row.title: row.readers for row in explain.coverage(opened, name) if row.readers}
        assert readers == {"Piece fresh": 3, "Piece between": 1}
    tick(letter, at("2026-05-22T06:31"))
    with open_workspace(letter) as opened:
        assert shown(explain.why(opened, "ana@example.org", "weekly-2026-05-22")) == {"Piece later"}


def shown(report):
    return {one.title for one in report.verdicts if one.shown}


def test_who_joins_a_cadence_after_its_draft_was_approved_waits_for_the_next_and_loses_nothing(letter):
    settle(letter, approval="required")
    tick(letter, at("2026-04-20"))
    tick(letter, at("2026-04-24T06:31"))  # the weekly issue has bacteria
    write_summary(letter, "third", "2026-04-29", "gut")
    tick(letter, MAY - timedelta(hours=5))
    with open_workspace(letter) as opened:
        readiness.approve(opened, "monthly-2026-05-01")
        with opened.store.write() as tx:
            cat = people.find(tx, opened.store.vault, parse("cat@example.org"))
            assert cat is not None
            people.change(tx, opened.store.vault, cat.row, cat.subscriber.model_copy(update={"cadence": "monthly"}), MAY)
    tick(letter, MAY + timedelta(minutes=1))
    with open_workspace(letter) as opened:
        # All that weekly would still have brought is in the monthly issue itself: nothing has to be carried.
        assert shown(explain.why(opened, "cat@example.org", "monthly-2026-05-01")) == {"Piece bacteria", "Piece rice", "Piece third"}


def test_one_told_to_end_while_it_plans_ends_at_the_next_page_and_the_next_goes_on(letter, monkeypatch):
    """Planning a million takes a minute; a service manager kills who does not end sooner. No editor is written to for that."""
    tick(letter, at("2026-04-20"))
    tick(letter, MAY - timedelta(hours=23))
    monkeypatch.setattr(plan, "PAGE", 1)
    halt, pages, write = threading.Event(), [], plan.Planner.write
    before = letters(letter)

    def write_and_end(self, tx, readers, *given):
        pages.append(len(readers))
        halt.set()
        write(self, tx, readers, *given)

    monkeypatch.setattr(plan.Planner, "write", write_and_end)
    with opened_at(letter, MAY) as opened:
        ((subject, act, words),) = [done for done in schedule.tick(opened, halt) if done.act == "send"]
    assert (subject, act) == ("monthly-2026-05-01", "send") and "goes on from there" in words and "failed" not in words
    assert pages == [1] and state(letter) == "planning" and letters(letter) == before
    monkeypatch.setattr(plan.Planner, "write", write)
    assert ("monthly-2026-05-01", "resume", "handed over 2; finished") in tick(letter, MAY + timedelta(minutes=1))


def test_each_reader_at_the_hour_of_their_own_zone(letter):
    settle(letter, clock="reader")
    with open_workspace(letter) as opened:
        add(opened, [("kim", "monthly", "Pacific/Auckland"), ("lou", "monthly", "America/New_York"), ("may", "monthly", "Asia/Kolkata")])
        line = next(row for row in outlook.upcoming(dataclasses.replace(opened, on=date(2026, 5, 1))) if row.cadence == "monthly")
    assert (line.due_at, line.last_due_at) == (at("2026-04-30T19:00"), at("2026-05-01T21:00"))
    tick(letter, at("2026-04-20"))
    with opened_at(letter, at("2026-04-30T19:01")) as opened:
        issue.draft(opened, "monthly", slot=opened_slot(opened, "2026-05-01"))
        ready = readiness.make_ready(opened, "monthly-2026-05-01")
        plan.plan(opened, ready)
        with opened.store.read() as tx:
            from sqlalchemy import select

            from digest.store import schema as t

            query = select(t.subscriber.c.zone, t.delivery.c.next_at).join(t.delivery, t.delivery.c.subscriber_id == t.subscriber.c.id)
            hours = dict(tx.execute(query).all())
    assert hours == {
        "Pacific/Auckland": at("2026-04-30T21:00"),
        "Asia/Kolkata": at("2026-05-01T03:30"),
        None: at("2026-05-01T08:00"),
        "America/New_York": at("2026-05-01T13:00"),
    }


# --- the real thing ------------------------------------------------------------------------------------------------------


def serve(folder, *words):
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DIGEST_")}
    with (folder / f"serve-{port}.log").open("w") as log:
        return port, subprocess.Popen([COMMAND, "serve", "--port", str(port), *words], cwd=folder, stdout=log, stderr=log, env=environment)


def ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return json.load(answer)
    except OSError:
        return {}


def until(true, most_s=60):
    end = time.monotonic() + most_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_two_servers_and_a_kill_send_an_issue_once(letter):
    due = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=3)
    text = (letter / "config.yaml").read_text(encoding="utf-8").replace("Europe/London", "UTC")
    start = text.index("  monthly:")
    rule = f'  daily: {{rrule: FREQ=DAILY, at: "{due:%H:%M}", approval: automatic}}\n'
    (letter / "config.yaml").write_text(text[:start] + rule + text[text.index("editors:") :], encoding="utf-8")
    write_summary(letter, "today", f"{due:%Y-%m-%d}", "gut")  # midnight of that day is within the issue, at whatever hour this runs
    with open_workspace(letter) as opened:
        add(opened, [(f"reader{n}", "daily", "") for n in range(30)])
        with opened.store.write() as tx:
            beat.begun_at(tx, due - timedelta(minutes=1))
    name = f"daily-{due:%Y-%m-%d}"
    outbox = letter / "var" / "outbox" / name
    port, first = serve(letter)
    try:
        until(lambda: any(outbox.glob("*.eml")) if outbox.exists() else False)
        first.send_signal(signal.SIGKILL)
        first.wait()
        servers = [serve(letter), serve(letter)]
        try:
            until(lambda: ready(servers[0][0]).get("scheduler") == "ok" and mail(letter, "editors") == 2)
            assert mail(letter, name) == 30
            for _, server in servers:
                server.send_signal(signal.SIGTERM)
            assert [server.wait(30) for _, server in servers] == [0, 0]
        finally:
            for _, server in servers:
                server.kill()
                server.wait()
    finally:
        first.kill()
        first.wait()
    with open_workspace(letter) as opened:
        assert dispatch.status(opened, name).accepted == 30 and dispatch.status(opened, name).state == "finished"
