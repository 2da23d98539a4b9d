"""A stop that a run sets itself, or that comes from outside: a signal to the worker, or the server being stopped."""

from __future__ import annotations

import threading
import time

_HEED_S = 0.2  # how soon a wait heeds a stop from outside


class Halt(threading.Event):
    """Set by the run itself, or by whoever asked for it through ``outer``."""

    def __init__(self, outer: threading.Event | None) -> None:
        super().__init__()
        self._outer = outer

    def is_set(self) -> bool:
        return super().is_set() or (self._outer is not None and self._outer.is_set())

    def wait(self, timeout: float | None = None) -> bool:
        if self._outer is None:
            return super().wait(timeout)
        until = None if timeout is None else time.monotonic() + timeout
        while not self.is_set():
            left = _HEED_S if until is None else min(_HEED_S, until - time.monotonic())
            if left <= 0:
                return False
            super().wait(left)
        return True
