"""Readings of a source that somebody asked for in the browser: in threads of their own, so that no page waits for a slow server."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from typing import NamedTuple

from digest.admin import sources
from digest.errors import BusyError, DigestError
from digest.workspace import Workspace

log = logging.getLogger(__name__)

WAIT_S = 3.0  # that the request which began it waits: most sources have answered by then
_THREADS = 1  # a reading has the workspace to itself: one after the other, rather than one refused


class Outcome(NamedTuple):
    """What came of it, in words."""

    well: bool
    text: str


class Fetching:
    """What is being read in this process, and what came of the last reading of each source."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="fetch")
        self._begun: dict[str, Future[Outcome]] = {}
        self._lock = threading.Lock()

    def begin(self, workspace: Workspace, name: str) -> bool:
        """Read a source, unless it is being read. Waits for a moment; whether it is done."""
        with self._lock:
            future = self._begun.get(name)
            if future is None or future.done():
                future = self._begun[name] = self._pool.submit(_fetch, workspace, name)
        return bool(wait_for([future], timeout=WAIT_S).done)

    def state(self, name: str) -> tuple[bool, Outcome | None]:
        """Whether it is being read, and what came of it when it was last, if it was in this process."""
        future = self._begun.get(name)
        if future is None:
            return False, None
        return (False, future.result()) if future.done() else (True, None)

    def close(self) -> None:
        """Wait for what is being read: each has a time limit. What waits for its turn is let go."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _fetch(workspace: Workspace, name: str) -> Outcome:
    try:
        report = sources.fetch(workspace, name)
    except BusyError as error:
        return Outcome(False, f"Not read: {error}")
    except DigestError as error:
        return Outcome(False, str(error))
    except Exception as error:  # whoever asked must be told, and there is nobody to raise to
        log.error("a source could not be fetched: %s", type(error).__name__, extra={"action": "fetch"})
        return Outcome(False, f"A fault of ours: {type(error).__name__}. The log says more.")
    if report.error:
        return Outcome(False, f"It could not be read: {report.error}")
    if report.unchanged:
        return Outcome(True, "Read: its server says that nothing changed since the last time.")
    return Outcome(True, f"Read: {report.new} new, {report.changed} changed, {report.also} known from elsewhere, {report.refused} refused.")
