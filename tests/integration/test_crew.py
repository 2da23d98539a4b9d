"""Several processes hand over one issue to a real SMTP server: as one would, and whoever of them dies."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import date

import pytest

from digest import crew, dispatch, gather, interests, issue, operate, pace, plan, readiness
from digest.errors import BusyError, ProviderUnusable
from digest.subscribe import import_file
from digest.workspace import open_workspace
from tests.support.make import CONFIG, make_workspace, write_summary
from tests.support.smtp_server import SmtpServer

ISSUE = "monthly-2026-05-01"
READERS = 60
SETTINGS = "delivery: {{provider: smtp, processes: 2, max_per_minute: {rate}, smtp: {{port: {port}, connections: 4, batch: {batch}}}}}\n"


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    people = "email,interests\n" + "".join(f"r{n}@example.org,gut\n" for n in range(READERS))
    made = make_workspace(tmp_path_factory.mktemp("crew") / "letter", subscribers=people)
    write_summary(made, "bacteria", tags="gut")
    with opened(made) as workspace:
        import_file(workspace, made / "subscribers" / "people.csv", interests.load(made))
        gather.gather(workspace)
        issue.draft(workspace, "monthly")
        plan.plan(workspace, readiness.make_ready(workspace, ISSUE))
    return made


@pytest.fixture
def folder(planned, tmp_path, monkeypatch):
    monkeypatch.setattr(crew, "WORTH", 1)
    shutil.copytree(planned, tmp_path / "letter")
    return tmp_path / "letter"


def opened(folder):
    return open_workspace(folder, date(2026, 5, 1))


def configure(folder, port, rate=1_000_000, batch=1):
    (folder / "config.yaml").write_text(CONFIG + SETTINGS.format(port=port, rate=rate, batch=batch), encoding="utf-8")


def send(folder, progress=lambda _: None):
    with opened(folder) as workspace, workspace.store.alone():
        return dispatch.send(workspace, ISSUE, progress)


def members(parent):
    """The processes that a process started, by what the system says."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as stat, open(f"/proc/{name}/cmdline") as words:
                    if stat.read().rpartition(")")[2].split()[1] == str(parent) and "digest.member" in words.read():
                        found.append(int(name))
            except OSError:
                continue
    return found


def states(folder):
    with opened(folder) as workspace:
        stands = dispatch.status(workspace, ISSUE)
    assert stands.sum_is_right
    return {name: count for name in ("ready", "inflight", "uncertain", "held", "accepted") if (count := getattr(stands, name))}


def test_two_processes_do_what_one_does_and_keep_one_rate(folder):
    seen, used = [], set()

    def watch(step):
        seen.append(step.done)
        used.update(members(os.getpid()))

    with SmtpServer() as server:
        configure(folder, server.port, rate=1800, batch=5)
        report = send(folder, watch)
        assert sorted(Counter(server.dids()).values()) == [1] * READERS
    assert (report.handed_over, report.status.state, report.waits) == (READERS, "finished", "")
    assert seen == sorted(seen) and seen[-1] == READERS and len(used) == 2
    with opened(folder) as workspace, workspace.store.read() as tx:
        assert tx.exec_driver_sql("SELECT count(*) FROM throttle WHERE scope = 'all'").scalar() == 1
        assert tx.exec_driver_sql("SELECT count(*) FROM attempt").scalar() >= READERS / 5
        first, last = tx.exec_driver_sql("SELECT min(state_at), max(state_at) FROM delivery").one()
    assert first != last  # at thirty a second they cannot all have gone at once


@pytest.mark.parametrize("fault", ["", "ehlo:reply=530 5.7.0 STARTTLS first"])
def test_what_ends_a_run_ends_all_and_is_said_as_by_one(folder, fault, monkeypatch):
    with SmtpServer([fault] if fault else []) as server:
        configure(folder, server.port)
        if not fault:
            server.close()
        said = []
        for worth in (1, 10**6):
            monkeypatch.setattr(crew, "WORTH", worth)
            with pytest.raises(ProviderUnusable) as caught:
                send(folder)
            said.append(str(caught.value))
        assert said[0] == said[1]
    assert states(folder) == {"ready": READERS}


def test_one_that_is_killed_is_found_and_the_others_go_on(folder):
    killed = []

    def kill_one(_):
        if not killed:
            killed.append(members(os.getpid())[0])
            os.kill(killed[0], signal.SIGKILL)

    with SmtpServer(["dot:drip"], drip_s=0.002) as server:
        configure(folder, server.port)
        with pytest.raises(ProviderUnusable, match=r"1 of 2 processes ended before their time \(signal 9\)"):
            send(folder, kill_one)
        found = states(folder)
        held = found.get("held", 0)  # two lanes, a message each; none where it was killed between two
        assert held <= 2 and held + found["accepted"] == READERS
        assert max(Counter(server.dids()).values()) == 1
        with opened(folder) as workspace:
            assert len(operate.held(workspace, ISSUE)) == held
        assert send(folder).finished_before and max(Counter(server.dids()).values()) == 1


def test_all_wait_while_the_provider_fails_and_one_probes_for_all(folder, monkeypatch):
    monkeypatch.setattr(pace, "FIRST_WAIT_S", 0.05)  # the parent's breaker is the only one
    told, tell_all = [], crew._Crew._tell_all

    def listen(members, word):
        told.append(word)
        tell_all(members, word)

    monkeypatch.setattr(crew._Crew, "_tell_all", listen)
    with SmtpServer(["dot:reply=452 4.3.1 the disk is full*7+10"], keep=True) as server:
        configure(folder, server.port)
        assert send(folder).status.accepted == READERS
        assert sorted(Counter(server.dids()).values()) == [1] * READERS
    assert told[0] == "hold" and told[-1] == "go"


@pytest.mark.parametrize(("how", "code"), [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGINT, 1), (signal.SIGKILL, -signal.SIGKILL)])
def test_whoever_ends_the_parent_leaves_nothing_uncertain(folder, how, code):
    work = (
        "import signal, sys; from digest import crew; crew.WORTH = 1\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # whoever runs the tests in the background ignores it
        "from tests.integration.test_crew import send; from pathlib import Path\n"
        "send(Path(sys.argv[1]), lambda step: print(step.done, flush=True))"
    )
    with SmtpServer(["dot:drip"], drip_s=0.005) as server:
        configure(folder, server.port)
        words = [sys.executable, "-c", work, str(folder)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
            parent.stdout.readline()
            os.kill(parent.pid, how)
            parent.stdout.read()
        assert parent.returncode in (code, -signal.SIGINT)
        if how == signal.SIGKILL:  # the others settle what they have; whoever comes too early is told
            deadline = time.monotonic() + 30
            while True:
                try:
                    with opened(folder) as workspace:
                        crew.require_nobody(workspace)
                    break
                except BusyError:
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
        found = states(folder)
        assert set(found) == {"ready", "accepted"} and found["accepted"] == len(server.dids())
        assert max(Counter(server.dids()).values()) == 1
