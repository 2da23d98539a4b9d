"""An issue through `mode: template` from the ledger on: the template is there as long as it is needed, whatever dies when."""

from __future__ import annotations

import re
import shutil
import threading
from collections import Counter
from datetime import date, timedelta

import pytest
from sqlalchemy import update

from digest import dispatch, gather, interests, issue, operate, pace, plan, readiness, replay
from digest.errors import ProviderUnusable, RenderError
from digest.providers import sendgrid_layout
from digest.providers.sendgrid_http import Line
from digest.store import hosted, now, retention, schema
from digest.subscribe import import_file
from digest.workspace import open_workspace
from tests.support.make import CONFIG, make_workspace, write_summary
from tests.support.sendgrid_server import Server
from tests.support.sendgrid_stand_in import KEY, StandIn

ISSUE = "monthly-2026-05-01"
READERS = 7


@pytest.fixture
def stand_in():
    stand_in = StandIn(stall_s=0.2)
    stand_in.schema = False  # looked at elsewhere; here it would take most of the time
    server = Server(stand_in)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    stand_in.url = server.url
    yield stand_in
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    follows = ("gut", "vision", "gut;vision", "vision;gut")
    people = "email,name,interests\n" + "".join(f"r{n}@example.org,R{n},{follows[n % 4]}\n" for n in range(READERS))
    made = make_workspace(tmp_path_factory.mktemp("planned") / "letter", subscribers=people)
    write_summary(made, "bacteria", tags="gut")
    write_summary(made, "eyes", tags="vision")
    with open_workspace(made, date(2026, 5, 1)) as workspace:
        import_file(workspace, made / "subscribers" / "people.csv", interests.load(made))
        gather.gather(workspace)
        issue.draft(workspace, "monthly")
        plan.plan(workspace, readiness.make_ready(workspace, ISSUE), lambda _: None)  # composed once for all tests
    return made


@pytest.fixture
def folder(planned, tmp_path, stand_in, monkeypatch):
    made = tmp_path / "letter"
    shutil.copytree(planned, made)
    monkeypatch.setenv("SENDGRID_API_KEY", KEY)
    configure(made, stand_in)
    return made


def configure(folder, stand_in, mode="template"):
    settings = f"{{base_url: '{stand_in.url}', mode: {mode}, batch: 3, calls: 1}}"
    delivery = f"delivery: {{provider: sendgrid, allow: ['*'], sendgrid: {settings}}}\n"
    (folder / "config.yaml").write_text(CONFIG + delivery, encoding="utf-8")


def opened(folder):
    return open_workspace(folder, date(2026, 5, 1))


def send(folder):
    with opened(folder) as workspace:
        return dispatch.send(workspace, ISSUE)


def kept(folder):
    with opened(folder) as workspace, workspace.store.read() as tx:
        return hosted.of(tx, issue.find(tx, ISSUE).id, "sendgrid")


def posts(stand_in, what="POST /v3/templates"):
    return stand_in.template_calls.count(what)


def test_made_before_the_first_batch_and_removed_after_the_last(folder, stand_in):
    report = send(folder)
    assert (report.status.state, report.status.accepted) == ("finished", READERS)
    assert {message.email for message in stand_in.messages} == {f"r{n}@example.org" for n in range(READERS)}
    assert len(stand_in.bodies) == 3 and all("template_id" in body and "content" not in body for body in stand_in.bodies)
    assert (posts(stand_in), stand_in.templates.kept, kept(folder)) == (1, {}, None)
    assert send(folder).finished_before and posts(stand_in) == 1


def test_its_name_says_nothing(folder, stand_in):
    stand_in.script.append("403")
    with pytest.raises(ProviderUnusable):
        send(folder)
    (template,) = stand_in.templates.kept.values()
    assert template["name"] == kept(folder).name and re.fullmatch("digest-[0-9a-f]{32}", template["name"])
    assert re.fullmatch("[0-9a-f]{32}", template["versions"][0]["name"])


@pytest.mark.parametrize("script", [["503-after"], ["", "503-after", "503"], ["reset-after"]])
def test_an_orphan_is_found_by_its_name(folder, stand_in, script):
    stand_in.template_script.extend(script)
    with pytest.raises(ProviderUnusable, match="run the same command again"):
        send(folder)
    assert len(stand_in.templates.kept) == 1 and not kept(folder).id
    assert send(folder).status.accepted == READERS
    assert (posts(stand_in), stand_in.templates.kept, kept(folder)) == (2, {}, None)


def test_a_refusal_stops_before_anything_leaves(folder, stand_in, monkeypatch):
    monkeypatch.setattr(sendgrid_layout, "MAX_CONTENT_BYTES", 1000)
    with pytest.raises(RenderError, match="mode: grouped"):
        send(folder)
    assert stand_in.bodies == [] and stand_in.template_calls == []
    configure(folder, stand_in, mode="grouped")
    assert send(folder).status.accepted == READERS  # nothing of it was lost


def test_one_that_vanishes_is_made_anew_with_the_next_run(folder, stand_in):
    accept, taken = stand_in.accept, []

    def once(body):
        found = accept(body)
        if not taken:
            stand_in.templates.kept.clear()
        taken.append(body)
        return found

    stand_in.accept = once
    with pytest.raises(ProviderUnusable, match="run the same command again"):
        send(folder)
    assert len(stand_in.messages) == 3
    assert send(folder).status.accepted == READERS and len(stand_in.messages) == READERS
    assert posts(stand_in) == 2 and not stand_in.templates.kept


def test_cancelling_removes_it(folder, stand_in):
    stand_in.script.extend(["", "403"])
    with pytest.raises(ProviderUnusable):
        send(folder)
    assert len(stand_in.templates.kept) == 1
    with opened(folder) as workspace:
        operate.cancel(workspace, ISSUE)
    assert not stand_in.templates.kept and kept(folder) is None


def test_what_could_not_be_removed_is_removed_by_a_later_run(folder, stand_in):
    stand_in.template_script.extend(["", "", "500"])  # template, version, and the list that removing begins with
    assert send(folder).status.state == "finished" and stand_in.templates.kept and kept(folder)
    send(folder)
    assert not stand_in.templates.kept and kept(folder) is None


def test_a_key_that_cannot_remove_does_not_keep_an_issue_from_being_cancelled(folder, stand_in, monkeypatch):
    stand_in.script.extend(["", "403"])
    with pytest.raises(ProviderUnusable):
        send(folder)
    monkeypatch.delenv("SENDGRID_API_KEY")
    with opened(folder) as workspace:
        assert operate.cancel(workspace, ISSUE) == READERS - 3
    monkeypatch.setenv("SENDGRID_API_KEY", KEY)
    send(folder)
    assert not stand_in.templates.kept


class Killed(BaseException):
    """The process is gone: nothing catches this."""


def calls_of(folder, stand_in, monkeypatch):
    """How many calls an undisturbed run makes."""
    count = Counter()
    call = Line.call

    def counted(self, *given):
        count["calls"] += 1
        return call(self, *given)

    monkeypatch.setattr(Line, "call", counted)
    send(folder)
    monkeypatch.setattr(Line, "call", call)
    return count["calls"]


CALLS = 7  # template, version, three batches, list, delete


def test_the_calls_that_a_run_makes(folder, stand_in, monkeypatch):
    assert calls_of(folder, stand_in, monkeypatch) == CALLS


# Before a call is after the one before it, but for what the run writes in between; the second batch is as the first.
@pytest.mark.parametrize(
    ("fatal", "after"), [(1, False), (1, True), (2, True), (3, False), (3, True), (5, True), (6, False), (6, True), (7, False), (7, True)]
)
def test_killed_at_any_call_nothing_is_left_and_nobody_gets_it_twice(folder, stand_in, monkeypatch, fatal, after):
    call, count = Line.call, Counter()

    def deadly(self, *given):
        count["calls"] += 1
        if count["calls"] == fatal and not after:
            raise Killed
        found = call(self, *given)
        if count["calls"] == fatal:
            raise Killed
        return found

    monkeypatch.setattr(Line, "call", deadly)
    with pytest.raises(Killed):
        send(folder)
    monkeypatch.setattr(Line, "call", call)
    report = send(folder)
    in_flight = 3 <= fatal <= 5  # a batch: who was in it is held, whether it was taken or not
    lost = (1 if fatal == 5 else 3) if in_flight else 0
    assert (report.status.accepted, report.status.held) == (READERS - lost, lost)
    times = Counter(message.email for message in stand_in.messages)
    assert set(times.values()) == {1} and len(times) == READERS - (0 if after else lost)
    assert report.status.state == "finished" and not stand_in.templates.kept and kept(folder) is None


@pytest.mark.parametrize("mode", ["template", "grouped"])
def test_what_sendgrid_was_given_is_no_message_to_compare_with(folder, stand_in, mode):
    configure(folder, stand_in, mode)
    assert send(folder).status.accepted == READERS
    with opened(folder) as workspace:
        made = [one.likeness for one in replay.every(workspace, ISSUE)]
        with workspace.store.write() as tx:
            assert retention.take_attempts(tx, now(tx) + timedelta(days=1), 100)
        made += [one.likeness for one in replay.every(workspace, ISSUE)]
    assert made == ["unknown"] * READERS * 2


@pytest.mark.parametrize("most", [None, 24])
def test_who_goes_without_the_template_costs_nobody_a_place(tmp_path, stand_in, monkeypatch, most):
    """24 readers of one domain, of whom every third chose another form, and a limit of just 24: none is counted twice."""
    people = "email,name,interests\n" + "".join(f"r{n}@example.org,R{n},gut\n" for n in range(24))
    folder = make_workspace(tmp_path / "mixed", subscribers=people)
    write_summary(folder, "bacteria", tags="gut")
    monkeypatch.setenv("SENDGRID_API_KEY", KEY)
    settings = f"{{base_url: '{stand_in.url}', mode: template, batch: 8, calls: 1}}"
    limit = f"max_per_minute_and_domain: {most}, max_per_minute: 6000, " if most else ""
    (folder / "config.yaml").write_text(CONFIG + f"delivery: {{provider: sendgrid, {limit}allow: ['*'], sendgrid: {settings}}}\n")
    with opened(folder) as workspace:
        import_file(workspace, folder / "subscribers" / "people.csv", interests.load(folder))
        with workspace.store.write() as tx:
            c = schema.subscriber.c
            tx.execute(update(schema.subscriber).where(c.id % 6 == 0).values(large_print=True))
            tx.execute(update(schema.subscriber).where(c.id % 6 == 3).values(plain_text=True))
        gather.gather(workspace)
        issue.draft(workspace, "monthly")
        plan.plan(workspace, readiness.make_ready(workspace, ISSUE), lambda _: None)
        booked = []
        wait = pace.Throttle.wait_s
        monkeypatch.setattr(pace.Throttle, "wait_s", lambda self, messages: (booked.append(messages), wait(self, messages))[1])
        report = dispatch.send(workspace, ISSUE)
        assert report.status.accepted == 24 and not report.status.ready
    assert sum(booked) == 24
    assert len(stand_in.messages) == 24 and sum("template_id" in body for body in stand_in.bodies) < len(stand_in.bodies)
