"""What wakes the scheduler: timers in a process, one that acts, one that tells webhooks, one that shows that the process lives.

The timers only tick; what is due, `schedule` asks the calendar and the ledger. Each tick opens the workspace anew, so that it
goes by what config.yaml says now.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from digest import schedule
from digest.errors import DigestError
from digest.schedule import WHO
from digest.store import beat
from digest.workspace import open_workspace

log = logging.getLogger(__name__)

TICK_S, BEAT_S, HOOKS_S = 20, 20, 10


class Clockwork:
    """The scheduler of one process. A second one, here or elsewhere on the same database, is harmless."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._halt = threading.Event()
        self._busy_since: datetime | None = None
        self._put_off: dict[str, datetime] = {}
        self._said: dict[tuple[str, str], str] = {}

    def tick(self) -> None:
        """Do what is due; whatever goes wrong is told in the log, and the next tick tries again."""
        if self._halt.is_set():
            return
        self._busy_since = datetime.now(UTC)
        try:
            with open_workspace(self._path, acting=WHO) as workspace:
                for done in schedule.tick(workspace, self._halt, self._put_off):
                    self._say(done.subject, done.act, done.words)
        except Exception as error:  # the clock must outlive whatever happens in one tick
            self._say("scheduler", "tick", f"failed: {error if isinstance(error, DigestError) else type(error).__name__}")
        finally:
            self._busy_since = None

    def tell(self) -> None:
        """Tell webhooks what waits for them. Apart from the tick: an issue may go out for hours, and a receiver may hang."""
        from digest.hooks import telling

        if self._halt.is_set():
            return
        try:
            with open_workspace(self._path, acting=WHO) as workspace:
                telling.hand_over(workspace, halt=self._halt)
        except Exception as error:  # as above
            self._say("webhooks", "tell", f"failed: {error if isinstance(error, DigestError) else type(error).__name__}")

    def _say(self, subject: str, act: str, words: str) -> None:
        """Once, until there is something else to say: an issue waits for approval through hundreds of ticks."""
        if self._said.get((subject, act)) != words:
            self._said[subject, act] = words
            log.info("%s: %s", subject, words, extra={"action": act})

    def beat(self) -> None:
        """Show that this process lives; also while a tick takes long."""
        try:
            with open_workspace(self._path, acting=WHO) as workspace, workspace.store.write() as tx:
                beat.put_beat(tx, f"{socket.gethostname()}:{os.getpid()}", self._busy_since)
        except DigestError as error:
            self._say("scheduler", "beat", f"failed: {error}")

    def stop(self) -> None:
        """Begin nothing more; a hand-over in progress ends after what is in hand, and goes on with the next start."""
        self._halt.set()


@contextmanager
def running(path: Path) -> Iterator[Clockwork]:
    """A scheduler at work beside whatever the block does; at its end it finishes what is in hand and stops."""
    from apscheduler.executors.pool import ThreadPoolExecutor
    from apscheduler.jobstores.memory import MemoryJobStore
    from apscheduler.schedulers.background import BackgroundScheduler

    clockwork = Clockwork(path)
    # Intervals of seconds, in memory: none of the timer's own ideas about days, zones and missed runs is used.
    timer = BackgroundScheduler(
        jobstores={"default": MemoryJobStore()},
        executors={"default": ThreadPoolExecutor(3)},
        timezone=UTC,
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    now = datetime.now(UTC)
    timer.add_job(clockwork.beat, "interval", seconds=BEAT_S, next_run_time=now)
    timer.add_job(clockwork.tick, "interval", seconds=TICK_S, next_run_time=now)
    timer.add_job(clockwork.tell, "interval", seconds=HOOKS_S, next_run_time=now)
    # A tick that takes longer than its interval is no news: the issue is being sent.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    timer.start()
    try:
        yield clockwork
    finally:
        clockwork.stop()
        timer.shutdown(wait=True)
