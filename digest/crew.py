"""Several processes that hand over one issue: each (`member`) runs some of the lanes, and the ledger says who has what.

One interpreter makes and hashes about as many messages as one core can. The parent claims nothing itself. It starts the others,
holds the one breaker, keeps the mark, sums up, and passes on what ends the run. Each side writes a line of JSON at a time into a
pipe; when the parent is gone its pipe ends, and the others settle what they have in hand and end, too. Secrets come to them as
to the parent, by the environment.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import queue
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from digest import errors
from digest.entries import owner_of
from digest.errors import BusyError, DigestError
from digest.handover import Drained, Progress, Run, gave_up
from digest.model import DeliveryState as S
from digest.pace import Breaker
from digest.providers import Provider
from digest.readiness import Ready
from digest.store import ledger, outcomes
from digest.store.mark import epoch_of, highest_attempt
from digest.workspace import Workspace

WORTH = 500  # deliveries a process; starting one takes as long as handing over some hundreds
_LOOK_S = 0.25


def drain(
    workspace: Workspace,
    provider: Provider,
    ready: Ready,
    progress: Callable[[Progress], None],
    halt: threading.Event | None = None,
) -> Drained:
    """Hand over whatever is ready, in this process or in as many as `delivery.processes` allows.

    A SIGTERM ends it as Ctrl-C does, ``halt`` without an error: what is in hand is settled first.

    Raises:
        DigestError: one of the processes met it.
    """
    count = size(workspace, provider, ready)
    with _terminable():
        if count == 1:
            return Run(workspace, provider, ready, progress, halt=halt).drain()
        with _hold(workspace) as handle:
            return _Crew(workspace, provider, ready, progress, count, handle, halt or threading.Event()).drain()


def size(workspace: Workspace, provider: Provider, ready: Ready) -> int:
    """How many processes are worth it."""
    with workspace.store.read() as tx:
        waiting = outcomes.counts(tx, ready.row.id)[S.READY]
    return max(1, min(workspace.config.delivery.processes, provider.lanes, waiting // WORTH))


def require_nobody(workspace: Workspace) -> None:
    """Nobody started by an earlier run is still at work here: what is in their hands must not be taken for lost.

    Raises:
        BusyError: somebody is.
    """
    with _hold(workspace):
        pass


@contextlib.contextmanager
def _hold(workspace: Workspace) -> Iterator[int]:
    """A lock that whoever is given its number holds as well, until the last of them ends."""
    file = workspace.path / "var" / "digest.crew"
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with file.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(
                "processes of an earlier run, which was ended, are still settling what they had in hand; try again in a moment"
            ) from error
        yield handle.fileno()


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM as an exception, where that is ours to say."""
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if not ours:
        yield
        return

    def end(number: int, _: object) -> NoReturn:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@dataclass
class _Member:
    """One of the processes, and what it said last."""

    process: subprocess.Popen[bytes]
    done: int = 0
    accepted: int = 0
    ended: bool = False
    gone: bool = False

    def tell(self, word: str) -> None:
        """One word down its pipe."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # it may just have ended
            self.process.stdin.write(word.encode() + b"\n")
            self.process.stdin.flush()


class _Crew:
    def __init__(
        self,
        workspace: Workspace,
        provider: Provider,
        ready: Ready,
        progress: Callable[[Progress], None],
        count: int,
        handle: int,
        halt: threading.Event,
    ) -> None:
        self._workspace, self._ready, self._progress, self._halt = workspace, ready, progress, halt
        self._halted = False
        self._breaker = Breaker(time.monotonic, random.Random())
        self._held = False
        self._stop, self._waits = "", ""
        self._error: DigestError | None = None
        self._said: queue.Queue[tuple[_Member, dict[str, Any] | None]] = queue.Queue()
        with workspace.store.read() as tx:
            self._epoch, attempts = epoch_of(tx), highest_attempt(tx)
        workspace.store.guard.write(self._epoch, attempts, ready.row.name, now=True)
        self._members: list[_Member] = []
        for n in range(count):
            lanes = provider.lanes // count + (n < provider.lanes % count)
            self._members.append(self._start(lanes, handle))

    def _start(self, lanes: int, handle: int) -> _Member:
        words = [sys.executable, "-m", "digest.member"]
        # A group of its own: Ctrl-C is for the parent, which lets the others settle what they have.
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(handle,), process_group=0)
        member = _Member(process)
        member.tell(json.dumps({"workspace": str(self._workspace.path.absolute()), "issue": self._ready.row.name, "lanes": lanes}))
        threading.Thread(target=self._listen, args=(member,), daemon=True).start()
        return member

    def _listen(self, member: _Member) -> None:
        assert member.process.stdout is not None
        for line in member.process.stdout:
            with contextlib.suppress(ValueError):  # half a line of one that was killed
                self._said.put((member, json.loads(line)))
        self._said.put((member, None))

    def drain(self) -> Drained:
        """Listen until the last has ended."""
        try:
            self._listen_to_all()
        except BaseException:  # Ctrl-C, too
            self._tell_all("halt")
            self._listen_to_all()
            raise
        finally:
            for member in self._members:
                self._bury(member)
        if self._error is not None:
            raise self._error
        self._account_for_the_lost()
        return Drained(sum(member.accepted for member in self._members), self._stop, self._waits)

    def _listen_to_all(self) -> None:
        while not all(member.gone for member in self._members):
            try:
                member, message = self._said.get(timeout=_LOOK_S)
            except queue.Empty:
                self._heed()
                if self._held:
                    self._let_one_probe()
                continue
            self._heed()
            if message is None:
                member.gone = True
                self._breaker.unused(id(member))
            else:
                self._hear(member, message)
            if self._held:
                self._let_one_probe()

    def _heed(self) -> None:
        if self._halt.is_set() and not self._halted:
            self._halted = True
            self._tell_all("halt")

    def _hear(self, member: _Member, message: dict[str, Any]) -> None:
        match message:
            case {"done": done, "accepted": accepted}:
                member.done, member.accepted = done, accepted
                self._progress(Progress("send", sum(one.done for one in self._members), self._ready.row.planned))
            case {"mark": attempt}:
                self._workspace.store.guard.write(self._epoch, attempt, self._ready.row.name)
            case {"succeeded": _}:
                self._breaker.succeeded()
                if self._held:
                    self._held = False
                    self._tell_all("go")
            case {"failed": said}:
                self._failed(said)
            case {"unused": _}:
                self._breaker.unused(id(member))
            case {"stop": why}:
                self._end(why)
            case {"end": accepted, "waits": waits}:
                member.ended, member.accepted = True, accepted
                self._waits = self._waits or waits
            case {"error": kind, "text": text}:
                member.ended = True
                self._error = self._error or getattr(errors, kind, DigestError)(text)
                self._tell_all("halt")

    def _failed(self, said: str) -> None:
        self._breaker.failed()
        if self._breaker.given_up:
            self._end(gave_up(said))
        elif self._breaker.open and not self._held:
            self._held = True
            self._tell_all("hold")

    def _let_one_probe(self) -> None:
        for member in self._members:
            if not member.gone and not member.ended and self._breaker.wait_s(id(member)) == 0:
                member.tell("probe")

    def _end(self, why: str) -> None:
        self._stop = self._stop or why
        self._tell_all("halt")

    def _tell_all(self, word: str) -> None:
        for member in self._members:
            member.tell(word)

    def _bury(self, member: _Member) -> None:
        """Close its pipes; whoever still runs hears of it, and ends when it has settled what it has in hand."""
        for pipe in (member.process.stdin, member.process.stdout):
            assert pipe is not None
            if member.gone or pipe is member.process.stdin:
                with contextlib.suppress(OSError):
                    pipe.close()
        if member.gone:
            member.process.wait()

    def _account_for_the_lost(self) -> None:
        """Some ended without saying so: what they had in hand is uncertain now, not when its lease ends."""
        lost = [member for member in self._members if not member.ended]
        if not lost:
            return
        with self._workspace.store.write() as tx:
            left = sum(ledger.reap_owner(tx, self._ready.row.id, owner_of(member.process.pid)) for member in lost)
        codes = ", ".join(sorted({_how(member.process.returncode) for member in lost}))
        self._stop = self._stop or (
            f"{len(lost)} of {len(self._members)} processes ended before their time ({codes}); {left} messages that they had in hand are "
            f"uncertain. The others went on; `digest held {self._ready.row.name}` lists what was not learnt, then send again"
        )


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit {code}"
