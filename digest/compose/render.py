"""Runs the templates in a limited child process (RELIABILITY F9) and brings back what they gave."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from digest.errors import RenderError
from digest.problems import Problem

SUFFIX = ".j2"
_MAX_TEMPLATE_BYTES = 256 * 1024  # of all files together: far above any real look
_MOST_KEPT = 2  # waiting processes, of some 50 MB each
# The child imports these modules without the rest of the package, whose models would double its start-up time.
_BOOT = """import sys, types
sys.path.insert(0, {root!r})
package = types.ModuleType("digest.compose")
package.__path__ = [{root!r} + "/digest/compose"]
sys.modules["digest.compose"] = package
from digest.compose.child import main
main({door})
"""


@dataclass(frozen=True)
class Limits:
    """What one job may use. Times in seconds; ``wall_s`` is generous, for it also passes while other processes work."""

    cpu_s: int
    wall_s: int
    memory_bytes: int
    output_bytes: int


def limits_for(parts: int) -> Limits:
    """Room for rendering ``parts`` teasers and headings: about ten times what they take (docs/templates.md has figures)."""
    cpu_s = 5 + parts // 10
    return Limits(cpu_s, 4 * cpu_s + 10, 512 * 1024 * 1024 + parts * 512 * 1024, 4 * 1024 * 1024 + parts * 64 * 1024)


@dataclass(frozen=True)
class Rendered:
    """Documents and phrases in the order they were asked for; empty if there are ``problems``."""

    documents: tuple[str, ...]
    phrases: tuple[str, ...]
    problems: tuple[Problem, ...]


def read_templates(folder: Path) -> dict[str, str]:
    """Every ``*.j2`` below ``folder`` by its name relative to it.

    Raises:
        RenderError: the folder is not there, a file cannot be read, or they are larger than 256 KiB together.
    """
    if not folder.is_dir():
        raise RenderError(f"{folder}: not a folder; the email templates belong there (`digest init` writes a set)")
    found: dict[str, str] = {}
    for path in sorted(folder.rglob(f"*{SUFFIX}")):
        name = path.relative_to(folder).as_posix()
        try:
            found[name] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RenderError(f"templates/{name}: cannot be read: {error}") from error
    if sum(len(text.encode()) for text in found.values()) > _MAX_TEMPLATE_BYTES:
        raise RenderError(f"templates/: larger than {_MAX_TEMPLATE_BYTES // 1024} KiB together")
    return found


def render(
    templates: Mapping[str, str],
    common: Mapping[str, Any],
    documents: Sequence[tuple[str, Mapping[str, Any]]],
    phrases: Sequence[Sequence[Any]],
    limits: Limits,
) -> Rendered:
    """Render documents (template and data) and phrases (macro and arguments) in one child process.

    Raises:
        RenderError: the child died or used up what it may; the text says which.
    """
    job = {
        "templates": dict(templates),
        "common": common,
        "documents": [{"template": name, "data": data} for name, data in documents],
        "phrases": list(phrases),
    }
    answer = _run(json.dumps(job).encode(), limits)
    problems = tuple(Problem(file=file, line=line, text=text) for file, line, text in answer["notes"])
    return Rendered(tuple(answer["documents"]), tuple(answer["phrases"]), problems)


class _Loaded:
    """A process that has everything loaded, and forks for each job."""

    def __init__(self) -> None:
        root = str(Path(__file__).resolve().parents[2])
        self._door, theirs = socket.socketpair()
        self._stderr = tempfile.TemporaryFile()
        command = [sys.executable, "-I", "-X", "utf8", "-c", _BOOT.format(root=root, door=theirs.fileno())]
        try:
            # A group of its own, so that a fork can be stopped with it.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                env={},
                cwd="/",
                pass_fds=[theirs.fileno()],
                process_group=0,
            )
        except OSError as error:
            self._door.close()
            self._stderr.close()
            raise RenderError(f"templates: the process that renders them could not be started: {error}") from error
        finally:
            theirs.close()

    def do(self, job: bytes, limits: Limits) -> Any:
        """The answer to one job. Where that took too long, the process has ended with it."""
        late = threading.Event()

        def stop() -> None:
            late.set()
            self._kill()

        timer = threading.Timer(limits.wall_s, stop)
        timer.daemon = True
        timer.start()
        # Files instead of pipes for what is written: the kernel then holds that to its limit, and neither side can block the other.
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            try:
                code = self._fork(json.dumps(vars(limits)).encode() + b"\n" + job, stdout, stderr)
            finally:
                timer.cancel()
            if late.is_set():
                raise RenderError(f"templates: not finished after {limits.wall_s} s; is there a loop in a loop?")
            if code:
                raise RenderError(f"templates: {_death(code, limits, _tail(stderr) or _tail(self._stderr))}")
            stdout.seek(0)
            return json.loads(stdout.read(limits.output_bytes + 1))

    def _fork(self, said: bytes, stdout: IO[bytes], stderr: IO[bytes]) -> int:
        """Its exit code."""
        theirs, ours = os.pipe()
        # A fork reads all of this before it does anything else; if it dies meanwhile, its exit code tells of it.
        with contextlib.suppress(BrokenPipeError), open(ours, "wb") as pipe:
            try:
                socket.send_fds(self._door, [b"j"], [theirs, stdout.fileno(), stderr.fileno()])
            finally:
                os.close(theirs)
            pipe.write(said)
        code = self._door.recv(4)
        return int.from_bytes(code, "big", signed=True) if code else self._process.wait()

    @property
    def waits(self) -> bool:
        """Whether it is still there."""
        return self._process.poll() is None

    def end(self) -> None:
        """Stop it, whatever it does."""
        self._kill()
        self._process.wait()
        self._door.close()
        self._stderr.close()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


class _Kept:
    """The loaded processes that wait for the next job, where any are kept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted = 0
        self._waiting: list[_Loaded] = []

    def take(self) -> _Loaded:
        """One that waits, else a new one."""
        with self._lock:
            found = self._waiting.pop() if self._waiting else None
        if found is not None:
            if found.waits:
                return found
            found.end()
        return _Loaded()

    def give(self, loaded: _Loaded) -> None:
        """Let it wait for the next job, if that is wanted."""
        with self._lock:
            keep = self._wanted and len(self._waiting) < _MOST_KEPT and loaded.waits
            if keep:
                self._waiting.append(loaded)
        if not keep:
            loaded.end()

    def renew(self) -> None:
        """Have one waiting again, if that is wanted."""
        if self._wanted and not self._waiting:
            self.give(_Loaded())

    def want(self, by: int) -> None:
        """Count who wants one; without anybody those that wait end."""
        with self._lock:
            self._wanted += by
            ended = [] if self._wanted else self._waiting
            self._waiting = self._waiting if self._wanted else []
        for loaded in ended:
            loaded.end()


_kept = _Kept()


@contextlib.contextmanager
def kept_ready() -> Iterator[None]:
    """While this is open, a process that has everything loaded waits for the next rendering: an editor who saves a template does not
    wait for Python to start. Each rendering has a fork of its own, under its own limits.
    """
    _kept.want(1)
    try:
        _kept.renew()
        yield
    finally:
        _kept.want(-1)


def _run(job: bytes, limits: Limits) -> Any:
    loaded = _kept.take()
    try:
        answer = loaded.do(job, limits)
    except BaseException:
        loaded.end()  # a fork of it may still be at work
        _kept.renew()
        raise
    _kept.give(loaded)
    return answer


def _tail(stderr: IO[bytes]) -> str:
    stderr.seek(0)
    lines = stderr.read(65536).decode("utf-8", "replace").strip().split("\n")
    return lines[-1][:200]


def _death(code: int, limits: Limits, last_words: str) -> str:
    """Why the child ended, from its exit code."""
    match -code:
        case signal.SIGSEGV | signal.SIGABRT | signal.SIGBUS:
            return "the MJML compiler crashed; is an element nested thousands deep?"
        case signal.SIGXCPU | signal.SIGKILL:
            return f"stopped after {limits.cpu_s} s of processor time; is there a loop in a loop?"
        case signal.SIGXFSZ:
            return f"the result is larger than {limits.output_bytes // 1024} KiB"
    if "MemoryError" in last_words or "Cannot allocate" in last_words:
        return f"they need more memory than {limits.memory_bytes // (1024 * 1024)} MiB"
    if "File too large" in last_words or "OSError: [Errno 27]" in last_words:
        return f"the result is larger than {limits.output_bytes // 1024} KiB"
    return f"the process that renders them failed: {last_words or f'exit code {code}'}"
