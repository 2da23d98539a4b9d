"""A rendering process kept ready: the same bytes and limits, a fork for every job, none left over."""

import os
import signal
import subprocess

import pytest

from digest.compose import render as rendering
from digest.compose.render import Limits, kept_ready, limits_for, render
from digest.errors import RenderError

TEMPLATES = {"a.txt.j2": "{{ n }} é"}
# Answers with the fork's own number, its parent's, and what an earlier fork left behind.
PROBE = """import os
import digest.compose.child as c
real, left = c.answer, []
def probe(job):
    if "probe" not in job["common"]:
        return real(job)
    left.append(1)
    return dict(documents=[os.getpid(), os.getppid(), len(left), os.environ.get("PATH", "none")], phrases=[], notes=[])
c.answer = probe
main("""


def once(n, templates=TEMPLATES, limits=None):
    return render(templates, {}, [("a.txt.j2", {"n": n})], [], limits or limits_for(1)).documents


def waiting():
    return [loaded._process.pid for loaded in rendering._kept._waiting]


@pytest.fixture
def kept():
    """One that waits, and nothing of whoever else keeps some."""
    before, rendering._kept = rendering._kept, rendering._Kept()
    with kept_ready():
        yield
    assert waiting() == []
    rendering._kept = before


def test_every_job_has_a_fork_of_its_own_and_meets_nothing_of_another(kept, monkeypatch):
    rendering._kept.want(-1)
    monkeypatch.setattr(rendering, "_BOOT", rendering._BOOT.replace("main(", PROBE))
    rendering._kept.want(1)
    told = [render({}, {"probe": 1}, [], [], limits_for(1)).documents for _ in range(3)]
    forks, parents, left, path = zip(*told, strict=True)
    assert len(set(forks)) == 3 and set(parents) == set(waiting()) and set(left) == {1} and set(path) == {"none"}
    for pid in forks:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_the_same_process_serves_one_job_after_another_and_ends_with_the_last_who_wants_it(kept):
    (pid,) = waiting()
    with kept_ready():
        assert [once(n) for n in range(3)] == [(f"{n} é",) for n in range(3)]
    assert waiting() == [pid]
    rendering._kept.want(-1)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    rendering._kept.want(1)


def test_the_limits_hold_for_a_fork_and_leave_the_next_alone(kept):
    endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}{{ n }}"
    pids = waiting()
    for text, cpu_s, why in (("{{ 'x' * 900000000 }}", 9, "memory"), (endless, 1, "loop in a loop")):
        limits = Limits(cpu_s, 60, 256 * 1024 * 1024, 4 * 1024 * 1024)
        found = render({"a.txt.j2": text}, {}, [("a.txt.j2", {"n": 1})], [], limits)
        assert why in " ".join(map(str, found.problems)) and not any(found.documents)
    assert once(2) == ("2 é",) and waiting() == pids


def test_one_that_takes_too_long_is_stopped_fork_and_all_and_replaced(kept):
    (pid,) = waiting()
    with pytest.raises(RenderError, match="not finished after"):
        once(1, {"a.txt.j2": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"}, Limits(60, 1, 2**29, 2**20))
    told = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    assert [state for group, state in map(str.split, told.splitlines()) if group == str(pid) and state[0] != "Z"] == []
    assert waiting() not in ([], [pid]) and once(4) == ("4 é",)


def test_one_that_died_while_it_waited_is_replaced(kept):
    loaded = rendering._kept._waiting[0]
    loaded._process.send_signal(signal.SIGKILL)
    loaded._process.wait()
    assert once(3) == ("3 é",)


def test_whoever_is_interrupted_leaves_no_fork_at_work(kept, monkeypatch):
    """The answer to one job must never be taken for that to the next."""

    def interrupted(self, said, stdout, stderr):
        real(self, said, stdout, stderr)
        raise KeyboardInterrupt

    real, (pid,) = rendering._Loaded._fork, waiting()
    with monkeypatch.context() as patch:
        patch.setattr(rendering._Loaded, "_fork", interrupted)
        with pytest.raises(KeyboardInterrupt):
            once(5)
    assert pid not in waiting() and once(6) == ("6 é",)
