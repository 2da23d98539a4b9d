"""Handing over what waits for webhooks: each event at least once to each hook, in no promised order.

An event is claimed with a lease before it goes out, and settled after. Whoever dies in between lets the lease run out, and the
event goes out again under the same id; settling first would lose it. Hooks are worked on beside each other, so one that hangs
holds up nobody else, and after a failure of the receiver as such it rests.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from digest import audit, notify
from digest.errors import DigestError
from digest.hooks.attempt import DISABLE_AFTER, Outcome, judge, rest_s
from digest.hooks.post import Answer, host_of, post
from digest.hooks.signature import headers
from digest.model import Frozen
from digest.store import hooks, now
from digest.store.hooks import Due
from digest.workspace import Workspace

PARALLEL = 16  # hooks at the same time; each costs a thread that waits
LEASE_MARGIN_S = 30
COMMAND_S = 10  # how long a command hands over at its end

Post = Callable[[str, dict[str, str], bytes], Answer]


class Told(Frozen):
    """What a round did: events that were taken, put off, given up; hooks that were disabled."""

    delivered: int = 0
    put_off: int = 0
    given_up: int = 0
    disabled: int = 0

    def __add__(self, other: Told) -> Told:
        """Both together."""
        return Told(**{name: getattr(self, name) + getattr(other, name) for name in Told.model_fields})


def hand_over(
    workspace: Workspace,
    *,
    for_s: float = 60,
    halt: threading.Event | None = None,
    out: Post | None = None,
    rng: random.Random | None = None,
) -> Told:
    """Hand over what waits, for about ``for_s`` seconds; begins nothing new after that, or once ``halt`` is set.

    ``out`` carries a request, for tests.

    Raises:
        StoreError: the database cannot be reached. What a receiver does is never an error.
    """
    with workspace.store.read() as tx:
        due = hooks.due(tx)
    if not due:
        return Told()
    until, stop, chance = time.monotonic() + for_s, halt or threading.Event(), rng or random.Random()

    def carry(url: str, sent: dict[str, str], body: bytes) -> Answer:
        return post(url, sent, body, workspace.config.hooks)

    def work(hook: int) -> Told:
        tally = Told()
        while not stop.is_set() and time.monotonic() < until:
            done, on = _one(workspace, hook, out or carry, chance)
            tally += done
            if not on:
                break
        return tally

    with ThreadPoolExecutor(min(PARALLEL, len(due)), thread_name_prefix="hooks") as pool:
        told = sum(pool.map(work, due), Told())
    if told.disabled:
        notify.tell_again(workspace)
    return told


def _one(workspace: Workspace, hook: int, out: Post, rng: random.Random) -> tuple[Told, bool]:
    """Hand one event over and settle it. Returns what became of it, and whether to go on with this hook."""
    lease = timedelta(seconds=workspace.config.hooks.timeout_s + LEASE_MARGIN_S)
    with workspace.store.write(together=True) as tx:
        due = hooks.claim(tx, workspace.store.vault, hook, lease)
    if due is None:
        return Told(), False
    body = _body(workspace, due)
    answer = out(due.url, headers(due.secrets, f"msg_{due.event}_{due.hid}", int(time.time()), body), body)
    return _settle(workspace, due, answer, judge(answer, due.attempts, rng))


def _settle(workspace: Workspace, due: Due, answer: Answer, outcome: Outcome) -> tuple[Told, bool]:
    with workspace.store.write(together=True) as tx:
        if outcome.taken:
            assert answer.status is not None
            hooks.delivered(tx, due, answer.status)
            return Told(delivered=1), True
        hooks.failed(tx, due, answer.status, outcome.reason, outcome.wait_s)
        failing = hooks.ail(tx, due.hook, None if outcome.about_event else rest_s)
    tally = Told(put_off=1) if outcome.wait_s is not None else Told(given_up=1)
    if outcome.gone or failing >= DISABLE_AFTER:
        why = outcome.reason if outcome.gone else f"for {DISABLE_AFTER.days} days it did nothing but fail, at last: {outcome.reason}"
        return tally + Told(disabled=_disable(workspace, due, why)), False
    return tally, outcome.about_event


def _disable(workspace: Workspace, due: Due, why: str) -> int:
    """Tell the hook nothing more, and the editors of it; both, or neither."""
    with workspace.store.write() as tx:
        if not hooks.disable(tx, due.hook, why):
            return 0
        waiting = hooks.waiting(tx, due.hook)
        host, subject = host_of(due.url), f"webhook {due.hid}"
        audit.record(tx, workspace, "hooks.disable", due.hid, host=host, by_itself=True)
        letter = notify.hook_disabled(due.hid, host, why, waiting)
        notify.put(tx, workspace, subject, f"disabled {now(tx).isoformat(timespec='seconds')}", letter)
    return 1


def _body(workspace: Workspace, due: Due) -> bytes:
    """What is told. An address is looked up only now: of somebody erased meanwhile there is none to tell."""
    data = dict(due.data)
    if due.with_addresses and "reader" in data:
        with workspace.store.read() as tx:
            data["address"] = hooks.address_of(tx, workspace.store.vault, data["reader"])
    return body_of(due.kind, due.at, data)


def body_of(kind: str, at: datetime, data: dict[str, Any]) -> bytes:
    """An event as it goes out: JSON in UTF-8."""
    moment = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"type": kind, "timestamp": moment, "data": data}, ensure_ascii=False, separators=(",", ":")).encode()


def after_a_step(workspace: Workspace) -> str:
    """What a command does at its end: hand over what it brought about, for a few seconds. Why it could not, empty if it could.

    What is left waits for `digest serve`, or for the next command.
    """
    try:
        hand_over(workspace, for_s=COMMAND_S)
    except DigestError as error:
        return str(error)
    return ""
