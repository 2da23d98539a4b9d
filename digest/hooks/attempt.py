"""What follows from an attempt to hand an event over: taken, tried again, given up. Pure; the chance is an argument."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import NamedTuple

from digest.hooks.post import Answer

# Waits between the attempts of one event. The first forgives a restart of the receiver, the next ones a deployment, a night,
# a long weekend: 75.6 hours in all, and with the jitter up to 91. Standard Webhooks proposes much the same.
WAITS_S = (20, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
JITTER = 0.2  # each wait is up to so much longer, so that what failed together does not come back together
# A receiver that fails as such rests, whatever waits for it: one event at a time tries whether it is back.
REST_S, LONGEST_REST_S = 20, 600
LONGEST_AFTER_S = 86_400  # what a receiver may ask for with Retry-After
DISABLE_AFTER = timedelta(days=3)  # of nothing but failures. Shorter than the waits: no event is given up before somebody is told

GONE = 410
_ABOUT_THE_EVENT = (400, 413, 422)  # it may take others


class Outcome(NamedTuple):
    """What becomes of an event and its hook. ``wait_s``: None for taken, or never again. ``about_event``: the receiver may take others."""

    taken: bool
    reason: str = ""
    wait_s: float | None = None
    about_event: bool = False
    gone: bool = False


def judge(answer: Answer, attempts: int, rng: random.Random) -> Outcome:
    """What follows from an answer to the ``attempts``-th attempt, which counts from 1."""
    if answer.status is not None and 200 <= answer.status < 300:
        return Outcome(True)
    reason = answer.trouble or _said(answer.status)
    if answer.status == GONE:
        return Outcome(False, reason, 0, gone=True)
    wait_s = None
    if attempts <= len(WAITS_S):
        asked_s = min(answer.after_s, LONGEST_AFTER_S)
        wait_s = max(WAITS_S[attempts - 1], asked_s) * rng.uniform(1, 1 + JITTER)
    return Outcome(False, reason, wait_s, about_event=answer.status in _ABOUT_THE_EVENT)


def rest_s(failures: int) -> float:
    """How long a receiver rests that has failed so many times in a row before; doubles to ten minutes."""
    return float(min(REST_S << min(failures, 16), LONGEST_REST_S))


def _said(status: int | None) -> str:
    if status == GONE:
        return "it answered 410: it is gone for good"
    if status is not None and 300 <= status < 400:
        return f"it answered {status}; redirects are not followed"
    return f"it answered {status}"
