"""R14 on every push: a tenth of the readers leave while an issue goes out. See benchmarks/storm.py."""

import json
import subprocess
import sys

from tests.support.make import REPOSITORY


def storm(*words):
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.storm", "--readers", "600", "--seed", "7", *words],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert ran.stdout, ran.stderr
    score = json.loads(ran.stdout)
    assert ran.returncode == (0 if score["holds"] else 1)
    return score


def test_nobody_who_left_before_the_claim_is_handed_over():
    score = storm()
    assert score["holds"], score
    assert score["unsubscribed"] == 60 and score["requests"] > 60 and score["errors"] == 0
    assert score["claimed_after"] == score["handed_over_after"] == 0
    assert score["honoured"] == score["skipped"] > 0 and score["accepted"] + score["skipped"] == 600


def test_the_harness_sees_a_claim_that_does_not_ask_for_consent():
    score = storm("--control", "no-gate")
    assert not score["holds"]
    assert score["claimed_after"] > 0 and score["handed_over_after"] > 0
