"""A worker: does what the queue hints at, tells that it lives, and hints at what it finds in the ledger. Any number may run."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

from digest import dispatch, gather, issue, readiness, recovery
from digest.dispatch import SendReport
from digest.errors import BusyError, ConfigError, DigestError, IssueError, IssueWaits, StoreError
from digest.handover import Progress
from digest.model import IssueState
from digest.queue import Hint, Queue
from digest.store import Store, workers
from digest.workspace import Workspace, open_workspace

_AGAIN_S = 2.0  # after the database was away
_LOOK_S = 1.0  # how often who waits for the workers looks
_ENDED = (IssueState.FINISHED, IssueState.CANCELLED)


class Worker:
    """Works in the workspace at ``path`` until it is halted. ``say`` is told what it does, a line each."""

    def __init__(self, path: Path, concurrency: int = 1, on: date | None = None, say: Callable[[str], None] = lambda _: None) -> None:
        self.path, self.concurrency, self.on, self.say = path, concurrency, on, say
        self.halt = threading.Event()
        self.beat_s = workers.BEAT_S
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(2)}"
        self._started_at = datetime.now(UTC)
        self._doing: dict[int, str] = {}

    def run(self) -> None:
        """Work until ``halt`` is set or SIGTERM comes. A database that goes away is waited for.

        Raises:
            ConfigError: the workspace is not set up for workers.
            StoreError: the database cannot be reached to begin with.
        """
        with open_workspace(self.path, self.on) as workspace:
            url = queue_url(workspace)
            Queue(url).make()
            beats = threading.Thread(target=self._beat, args=(workspace.store, url), name="beat")
            beats.start()
            try:
                self._work(url)
            finally:
                self.halt.set()
                beats.join()
                with contextlib.suppress(StoreError), workspace.store.write() as tx:
                    workers.leave(tx, self.name)

    def _work(self, url: str) -> None:
        while not self.halt.is_set():
            try:
                Queue(url).work(self._do, concurrency=self.concurrency, halt=self.halt)
            except StoreError as error:
                self.say(str(error))
                self.halt.wait(_AGAIN_S)

    def _do(self, hint: Hint) -> None:
        me = threading.get_ident()
        self._doing[me] = f"{hint.step} {hint.of}".strip()
        try:
            with open_workspace(self.path, self.on) as workspace:
                said = self._step(workspace, hint)
            if said:
                self.say(said)
        except (IssueWaits, BusyError):
            pass  # nothing is wrong, and whoever looks at the issue is told
        except DigestError as error:
            self.say(f"{hint.step} {hint.of}: {error}")
        finally:
            del self._doing[me]

    def _step(self, workspace: Workspace, hint: Hint) -> str:
        match hint.step:
            case "dispatch":
                done = dispatch.share(workspace, hint.of, self.halt, lambda: hint_at_work(workspace.store, queue_url(workspace)))
                return f"{hint.of}: handed over {done}" if done else ""
            case "gather":
                with workspace.store.alone():
                    report = gather.gather(workspace, lambda _: None)
                return f"gathered {report.new} new, {report.changed} changed"
            case "draft":
                with workspace.store.alone():
                    return f"drafted {issue.draft(workspace, hint.of).issue}"
            case other:  # a newer program's hint: the ledger will be looked at by one that knows it
                return f"a hint at {other} is not understood here; is this the newest digest?"

    def _beat(self, store: Store, url: str) -> None:
        while True:
            with contextlib.suppress(StoreError):
                with store.write() as tx:
                    workers.beat(tx, self.name, self._started_at, self.concurrency, ", ".join(sorted(self._doing.values())))
                hint_at_work(store, url)
            if self.halt.wait(self.beat_s):
                return


def queue_url(workspace: Workspace) -> str:
    """Where the queue is.

    Raises:
        ConfigError: there is none.
    """
    if workspace.config.queue != "procrastinate":
        raise ConfigError("config.yaml: workers need queue: procrastinate and a PostgreSQL store; with queue: inline use `digest send`")
    return workspace.config.store.url


def hint_at_work(store: Store, url: str) -> int:
    """Hint at every issue of which something can be done, once for each place that living workers have. Returns how many."""
    with store.read() as tx:
        waiting = workers.waiting_issues(tx)
        places = sum(worker.concurrency for worker in workers.every(tx) if worker.alive) or 1
    return Queue(url).defer(*(Hint("dispatch", name, n) for name in waiting for n in range(places))) if waiting else 0


def hand_in(workspace: Workspace, name: str, progress: Callable[[Progress], None] = lambda _: None, *, wait: bool = True) -> SendReport:
    """Leave an issue to the workers: see that it may leave, freeze it, hint at it; then ``wait`` until it has come to rest.

    The caller holds the workspace for none of this.

    Raises:
        IssueError: not due, not approved, paused, or no such issue.
    """
    url = queue_url(workspace)
    Queue(url).make()
    with workspace.store.read() as tx:
        row = issue.find(tx, name)
    if row.state in _ENDED:
        return SendReport(finished_before=True, status=dispatch.status(workspace, name))
    before = dispatch.status(workspace, name).accepted
    if row.paused_at is None and not issue.is_frozen(row):
        with workspace.store.alone():
            recovery.check_restored(workspace.store)
            readiness.make_ready(workspace, name)
    hint_at_work(workspace.store, url)
    waits = f"the workers have it; `digest status {name}` tells how it stands"
    while wait:
        with workspace.store.read() as tx:
            row, busy = issue.find(tx, name), name in workers.waiting_issues(tx)
            alive = any(worker.alive for worker in workers.every(tx))
        stands = dispatch.status(workspace, name)
        progress(Progress("send", stands.planned - stands.ready - stands.inflight - stands.uncertain, row.planned))
        if row.paused_at is not None:
            raise IssueError(f"{name} is paused ({row.pause_reason}); `digest resume {name}` lets it go on")
        if row.state in _ENDED or not (busy or stands.inflight):
            waits = dispatch.waits(stands)
            break
        if not alive:
            waits = "no worker is alive: start one with `digest worker`, it will find the issue"
            break
        time.sleep(_LOOK_S)
    stands = dispatch.status(workspace, name)
    return SendReport(handed_over=stands.accepted - before, status=stands, waits=waits)
