"""One of the processes that hand over an issue: it runs the lanes that its parent (`crew`) gave it.

``python -m digest.member``. A line of JSON at a time comes and goes by pipes; when the parent is gone it settles what it has in hand,
and ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any

from digest import garbage, hosting, readiness
from digest.errors import DigestError
from digest.handover import Run, Ties
from digest.providers import make
from digest.workspace import open_workspace

_LOOK_S = 0.25


class _Gate:
    """The breaker that the parent holds: what is told there, and what came of it."""

    given_up = False  # the parent says so by ending the run

    def __init__(self, say: Callable[[dict[str, Any]], None]) -> None:
        self._say = say
        self._lock = threading.Lock()
        self._held = self._probe = False

    def told(self, word: str) -> None:
        """A word from the parent."""
        with self._lock:
            match word:
                case "hold":
                    self._held = True
                case "go":
                    self._held = self._probe = False
                case "probe":
                    self._probe = True

    def wait_s(self) -> float:
        """0: go ahead. Else how long to wait before asking again."""
        with self._lock:
            if self._held and not self._probe:
                return _LOOK_S
            self._probe = False
            return 0.0

    def unused(self) -> None:
        """Nothing was handed over after all."""
        self._say({"unused": 1})

    def succeeded(self) -> None:
        """The provider answered as it should."""
        self._say({"succeeded": 1})

    def failed(self, said: str = "") -> None:
        """It did not."""
        self._say({"failed": said})


def main() -> int:
    """Run the lanes that the parent gave us, until nothing is left or it says to end."""
    garbage.collect_seldom()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    out = os.dup(1)
    os.dup2(2, 1)  # whatever is printed by mistake is no line of ours
    lock = threading.Lock()

    def say(message: dict[str, Any]) -> None:
        with lock, contextlib.suppress(OSError):  # the parent may be gone; what is in hand is settled all the same
            os.write(out, json.dumps(message).encode() + b"\n")

    told = os.fdopen(os.dup(0), "rb", buffering=0)  # without a buffer, whose lock a thread that still reads would hold at the end
    order = json.loads(told.readline() or b"null")
    if order is None:
        return 1
    try:
        accepted, waits = _work(Path(order["workspace"]), order["issue"], order["lanes"], say, told)
    except DigestError as error:
        say({"error": type(error).__name__, "text": str(error)})
        return 1
    say({"end": accepted, "waits": waits})
    return 0


def _work(folder: Path, name: str, lanes: int, say: Callable[[dict[str, Any]], None], told: FileIO) -> tuple[int, str]:
    gate = _Gate(say)
    with open_workspace(folder) as workspace:
        provider = make(workspace.config, workspace.path)
        try:
            ready = readiness.make_ready(workspace, name)
            hosting.begin(workspace, provider, ready)  # the parent had it kept; this asks whether it is there
            ties = Ties(gate, _at_times(lambda attempt: say({"mark": attempt})), lambda why: say({"stop": why}))
            run = Run(workspace, provider, ready, lambda step: say({"done": step.done, "accepted": run.accepted}), lanes=lanes, ties=ties)
            signal.signal(signal.SIGTERM, lambda *_: run.halt())

            def listen() -> None:
                for line in told:
                    word = line.decode().strip()
                    run.halt() if word == "halt" else gate.told(word)
                run.halt()  # the parent is gone

            threading.Thread(target=listen, daemon=True).start()
            drained = run.drain()
            return drained.accepted, drained.waits
        finally:
            provider.close()


def _at_times(write: Callable[[int], None], every_s: float = 0.1) -> Callable[[int], None]:
    """``write`` that does so at most ten times a second; the mark may lag a little."""
    last = 0.0

    def sometimes(attempt: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= every_s:
            last = now
            write(attempt)

    return sometimes


if __name__ == "__main__":
    sys.exit(main())
