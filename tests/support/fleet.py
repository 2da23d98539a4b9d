"""An issue on a PostgreSQL server, and worker processes that share it."""

from __future__ import annotations

import contextlib
import copy
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

from digest import dispatch, operate, plan, readiness
from digest.dispatch import StatusReport
from digest.store import workers
from digest.worker import hint_at_work, queue_url
from digest.workspace import open_workspace
from tests.support.drafted import draft_issue
from tests.support.make import CONFIG, REPOSITORY

ISSUE, ON = "monthly-2026-05-01", date(2026, 5, 1)
SETTINGS = 'queue: procrastinate\nstore: {url: "URL"}\ndelivery: {max_per_minute: 100000000, allow: ["*"]}\n'


class Fleet:
    """A workspace with a drafted issue for ``readers``, and its workers. ``planned``: it may be claimed at once."""

    def __init__(self, folder: Path, url: str, readers: int, *, planned: bool = True) -> None:
        people = "email,interests\n" + "".join(f"r{n}@example.org,{('gut', 'vision')[n % 2]}\n" for n in range(readers))
        config = CONFIG + SETTINGS.replace("URL", url)
        self.folder = draft_issue(folder, people, {"bacteria": "gut", "eyes": "vision"}, ON, config=config)
        self.journal = folder / "journal"
        self.journal.touch()
        self.readers, self.url = readers, url
        self.workers: list[subprocess.Popen[bytes]] = []
        with open_workspace(self.folder, ON) as opened:
            ready = readiness.make_ready(opened, ISSUE)  # workers take up what is on its way, planned or not
            if planned:
                plan.plan(opened, ready)

    def twin(self, folder: Path, url: str) -> Fleet:
        """The same once more, as it stands now: ``url`` is of a copy of its database. Nobody is at work on it."""
        other = copy.copy(self)
        other.folder, other.journal, other.url, other.workers = folder, folder / "journal", url, []
        shutil.copytree(self.folder, folder)
        settings = folder / "config.yaml"
        settings.write_text(settings.read_text().replace(self.url, url))
        return other

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """One more worker."""
        command = [sys.executable, "-m", "benchmarks.pg_worker", str(self.folder), str(self.journal), "--on", str(ON), *options]
        log = (self.folder / "workers.log").open("ab")
        worker = subprocess.Popen(command, cwd=REPOSITORY, stdout=log, stderr=log)
        log.close()
        self.workers.append(worker)
        return worker

    @contextlib.contextmanager
    def held_back(self) -> Iterator[None]:
        """Nothing is claimed meanwhile."""
        with open_workspace(self.folder, ON) as opened:
            operate.pause(opened, ISSUE, "the others are not there yet")
            yield
            operate.resume(opened, ISSUE)

    def alive(self) -> int:
        """How many workers tell that they live."""
        with open_workspace(self.folder, ON) as opened, opened.store.read() as tx:
            return sum(worker.alive for worker in workers.every(tx))

    def hint(self) -> None:
        """Tell the workers that there is work."""
        with open_workspace(self.folder, ON) as opened:
            hint_at_work(opened.store, queue_url(opened))

    def status(self) -> StatusReport:
        """How the issue stands; its sum is looked at, too."""
        with open_workspace(self.folder, ON) as opened:
            return dispatch.status(opened, ISSUE)

    def taken(self) -> Counter[str]:
        """How often the sink took each delivery."""
        return Counter(line.split()[0] for line in self.journal.read_text().splitlines())

    def hands(self) -> set[str]:
        """Which processes handed something over."""
        return {line.split()[2] for line in self.journal.read_text().splitlines()}

    def wait(self, until: Callable[[], bool], seconds: float = 90) -> None:
        """Wait for something that has to come.

        Raises:
            AssertionError: it did not; tells what the workers said.
        """
        deadline = time.monotonic() + seconds
        while not until():
            if time.monotonic() > deadline:
                raise AssertionError(f"it did not come: {self.status()}\n{(self.folder / 'workers.log').read_text()[-3000:]}")
            time.sleep(0.1)

    def wait_finished(self, seconds: float = 90) -> None:
        """Wait until the issue is done."""
        self.wait(lambda: self.status().state == "finished", seconds)

    def stop(self) -> list[int]:
        """End the workers as an operator does. Returns their exit codes."""
        for worker in self.workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGCONT)
                worker.terminate()
        return [worker.wait(timeout=60) for worker in self.workers]

    def kill(self) -> None:
        """End whatever is left of them."""
        for worker in self.workers:
            if worker.poll() is None:
                os.kill(worker.pid, signal.SIGKILL)
                worker.wait()
