"""R1 on every push: thirty kills for each provider, and three protocols that must be found out. See benchmarks/kills.py."""

import json
import subprocess
import sys

import pytest

from tests.support.make import REPOSITORY


def kills(provider, number, *words):
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.kills", "--provider", provider, "--kills", str(number), "--seed", "7", *words],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert ran.stdout, ran.stderr
    assert f"{provider}, seed 7: " in ran.stderr  # the line that RELIABILITY.md quotes
    return json.loads(ran.stdout)


@pytest.mark.parametrize("provider", ["outbox", "smtp", "sendgrid"])
def test_nobody_twice_and_nobody_missed_over_thirty_kills(provider):
    score = kills(provider, 30)
    assert score["holds"], score
    assert score["kills"] == 30 and score["planned"] >= 1200
    assert score["twice"] == score["missed"] == 0
    if provider == "sendgrid":
        assert score["resolved"] > 0 and score["held_but_sent"] == 0


@pytest.mark.parametrize("protocol", ["mark-after-send", "lock-over-call", "checkpoint-at-fetch"])
def test_the_harness_sees_protocols_that_are_known_to_be_wrong(protocol):
    score = kills(protocol, 30)
    assert not score["holds"]
    assert score["missed" if protocol == "checkpoint-at-fetch" else "twice"] > 0
