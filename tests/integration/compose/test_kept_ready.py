"""A rendering process kept ready: the same bytes and limits, a new process for every job, none left over."""

import os

import pytest

from digest.compose import render as rendering
from digest.compose.render import Limits, kept_ready, limits_for, render

TEMPLATES = {"a.txt.j2": "{{ n }} é"}


def once(n, templates=TEMPLATES, limits=None):
    return render(templates, {}, [("a.txt.j2", {"n": n})], [], limits or limits_for(1)).documents


def waiting():
    child = rendering._spare._child
    return child._process.pid if child is not None else None


def test_every_job_has_a_process_of_its_own_and_none_stays():
    pids = []
    with kept_ready():
        for n in range(3):
            pids.append(waiting())
            assert once(n) == (f"{n} é",)
        pids.append(waiting())
    assert None not in pids and len(set(pids)) == 4 and waiting() is None
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_the_limits_hold_for_one_that_waited():
    endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}{{ n }}"
    with kept_ready():
        for text, cpu_s, why in (("{{ 'x' * 900000000 }}", 9, "memory"), (endless, 1, "loop in a loop")):
            limits = Limits(cpu_s, 60, 256 * 1024 * 1024, 4 * 1024 * 1024)
            assert waiting() is not None
            found = render({"a.txt.j2": text}, {}, [("a.txt.j2", {"n": 1})], [], limits)
            assert why in " ".join(map(str, found.problems)) and not any(found.documents)
        assert once(2) == ("2 é",)


def test_one_that_died_while_it_waited_is_replaced():
    with kept_ready():
        child = rendering._spare._child
        child._process.kill()
        child._process.wait()
        assert once(3) == ("3 é",)
