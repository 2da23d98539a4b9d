"""R3 on every push: a hundred power cuts, and the setting that must be found out. See benchmarks/power.py."""

import json
import subprocess
import sys

from tests.support.make import REPOSITORY


def power(synchronous):
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.power", "--cuts", "100", "--seed", "7", "--synchronous", synchronous],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert ran.stdout, ran.stderr
    score = json.loads(ran.stdout)
    assert ran.returncode == (0 if score["holds"] else 1)
    return score


def test_a_power_cut_takes_no_commit_back_and_nobody_gets_it_twice():
    score = power("FULL")
    assert score["holds"], score
    assert score["cuts"] == 100 and score["cuts_while_reopening"] > 0 and score["lost_bytes"] > 0
    assert set(score["ways"]) == {"drop", "keep", "prefix", "subset", "torn"}
    assert score["twice"] == score["lost"] == score["corrupt"] == score["missed"] == 0


def test_the_harness_sees_that_synchronous_normal_is_wrong():
    score = power("NORMAL")
    assert not score["holds"]
    assert score["twice"] > 0 and score["lost"] > 0
