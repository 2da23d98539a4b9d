"""The processes that parse feeds: as many as there are processors, each started when it is first needed and used again.

What a process does for one feed leaves nothing behind for the next: see feedchild.py.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

CHILD = Path(__file__).with_name("feedchild.py")
PARSE_S = 30.0  # wall time for one feed; the limit on its processor time comes first
MAX_ANSWER = 256 * 1024 * 1024  # bytes; what it makes it from has no more memory than that


class NotParsed(Exception):
    """The feed broke a limit, or what parsed it; the text says how."""


class TooSlow(NotParsed):
    """It took longer than ``after_s`` of wall time."""

    def __init__(self, after_s: float) -> None:
        super().__init__("too slow")
        self.after_s = after_s


class _Parser:
    """One process that forks for each feed."""

    def __init__(self, child: Path) -> None:
        # Only what the interpreter needs: a parser gone wrong finds no secrets in its environment.
        environment = {key: os.environ[key] for key in ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH") if key in os.environ}
        self._process = subprocess.Popen(  # -P: the names of our modules must not stand for those of the library
            [sys.executable, "-P", "-W", "ignore", str(child)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,  # so that it can be ended together with what it has forked
        )
        self._late = False

    def parse(self, content: bytes, url: str, content_type: str, within_s: float) -> dict[str, Any]:
        """The feed as ``feedchild.reduce`` returns it.

        Raises:
            NotParsed: it broke a limit; or this process did, which is ended then.
        """
        head = json.dumps({"url": url, "content_type": content_type}).encode() + b"\n"
        clock = threading.Timer(within_s, self._too_late)
        clock.start()
        try:
            code, answer = self._ask(struct.pack(">II", len(head), len(content)) + head + content)
        except (OSError, EOFError, ValueError) as error:
            self.end()
            raise TooSlow(within_s) if self._late else NotParsed("what parses ended") from error
        finally:
            clock.cancel()
        if code:
            raise NotParsed(answer.decode("utf-8", "replace")[:120])
        found: dict[str, Any] = json.loads(answer)
        return found

    def _ask(self, question: bytes) -> tuple[int, bytes]:
        take, give = self._process.stdout, self._process.stdin
        assert take is not None and give is not None
        give.write(question)
        give.flush()
        begin = take.read(5)
        if len(begin) < 5:
            raise EOFError
        code, size = struct.unpack(">BI", begin)
        if size > MAX_ANSWER:
            raise ValueError("nonsense")
        answer = take.read(size)
        if len(answer) < size:
            raise EOFError
        return code, answer

    @property
    def broken(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def _too_late(self) -> None:
        self._late = True
        self._kill()

    def _kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        """End it, and whatever it has forked."""
        self._kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self._process.wait()


class Pool:
    """Hands each feed to a process that is free; more wait than run where there are fewer processors than feeds."""

    def __init__(self, child: Path = CHILD, within_s: float = PARSE_S, most: int | None = None) -> None:
        self._child, self._within_s = child, within_s
        self._free: list[_Parser] = []
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(most or os.cpu_count() or 1)

    def parse(self, content: bytes, url: str, content_type: str) -> dict[str, Any]:
        """The feed as ``feedchild.reduce`` returns it.

        Raises:
            NotParsed, OSError: it cannot be parsed within the limits, or no process can be started.
        """
        with self._slots:
            with self._lock:
                parser = self._free.pop() if self._free else None
            if parser is None or parser.broken:
                if parser is not None:
                    parser.end()
                parser = _Parser(self._child)
            try:
                return parser.parse(content, url, content_type, self._within_s)
            finally:
                if not parser.broken:
                    with self._lock:
                        self._free.append(parser)

    def close(self) -> None:
        """End what is free; it is started again when it is needed."""
        with self._lock:
            free, self._free = self._free, []
        for parser in free:
            parser.end()


POOL = Pool()
atexit.register(POOL.close)
