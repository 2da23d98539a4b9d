"""Runs the templates in a limited child process (RELIABILITY F9) and brings back what they gave."""

from __future__ import annotations

import contextlib
import json
import signal
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
# The child imports these modules without the rest of the package, whose models would double its start-up time.
_BOOT = """import sys, types
sys.path.insert(0, {root!r})
package = types.ModuleType("digest.compose")
package.__path__ = [{root!r} + "/digest/compose"]
sys.modules["digest.compose"] = package
from digest.compose.child import main
main()
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


class _Child:
    """A process that has everything loaded and waits for its one job."""

    def __init__(self) -> None:
        root = str(Path(__file__).resolve().parents[2])
        command = [sys.executable, "-I", "-X", "utf8", "-c", _BOOT.format(root=root)]
        # Files instead of pipes for what it writes: the kernel then holds that to its limit, and neither side can block the other.
        self._stdout, self._stderr = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=self._stdout, stderr=self._stderr, env={}, cwd="/", bufsize=0
            )
        except OSError as error:
            self._close()
            raise RenderError(f"templates: the process that renders them could not be started: {error}") from error

    def do(self, job: bytes, limits: Limits) -> Any:
        """Its answer. It has ended then."""
        process, late = self._process, threading.Event()

        def stop() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(limits.wall_s, stop)
        timer.daemon = True
        timer.start()
        try:
            assert process.stdin is not None
            # It reads all of this before it does anything else; if it dies meanwhile, its exit code tells of it.
            with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
                for piece in (json.dumps(vars(limits)).encode() + b"\n", job):
                    _write(pipe, piece)
            code = process.wait()
            if late.is_set():
                raise RenderError(f"templates: not finished after {limits.wall_s} s; is there a loop in a loop?")
            if code:
                raise RenderError(f"templates: {_death(code, limits, _tail(self._stderr))}")
            self._stdout.seek(0)
            return json.loads(self._stdout.read(limits.output_bytes + 1))
        finally:
            timer.cancel()
            self.end()

    @property
    def waits(self) -> bool:
        """Whether it is still there."""
        return self._process.poll() is None

    def end(self) -> None:
        """Stop it, whatever it does."""
        if self.waits:
            self._process.kill()
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._close()

    def _close(self) -> None:
        self._stdout.close()
        self._stderr.close()


def _write(pipe: IO[bytes], data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[pipe.write(view) :]


class _Spare:
    """The child that waits for the next job, where one is kept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept = 0
        self._child: _Child | None = None

    def take(self) -> _Child:
        """The one that waits, else a new one."""
        with self._lock:
            child, self._child = self._child, None
        if child is not None:
            if child.waits:
                return child
            child.end()
        return _Child()

    def renew(self) -> None:
        """Have one waiting again, if that is wanted."""
        with self._lock:
            if self._kept and self._child is None:
                self._child = _Child()

    def keep(self, by: int) -> None:
        """Count who wants one; without anybody the one that waits ends."""
        with self._lock:
            self._kept += by
            child = None if self._kept else self._child
            self._child = self._child if self._kept else None
        if child is not None:
            child.end()


_spare = _Spare()


@contextlib.contextmanager
def kept_ready() -> Iterator[None]:
    """While this is open, the process for the next rendering is started beforehand: an editor who saves a template does not wait
    for Python to start. It renders once, under the same limits, and ends, as every other does.
    """
    _spare.keep(1)
    try:
        _spare.renew()
        yield
    finally:
        _spare.keep(-1)


def _run(job: bytes, limits: Limits) -> Any:
    try:
        return _spare.take().do(job, limits)
    finally:
        _spare.renew()


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
