"""Chromium without a window, driven through a pair of pipes: no port that others could reach, no package to install."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from digest.errors import DigestError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge", "brave-browser")
_MOST_BYTES = 512 * 1024 * 1024
_FLAGS = (
    "--headless", "--remote-debugging-pipe", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--no-default-browser-check",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-quic",
    "--disable-default-apps", "--disable-dev-shm-usage", "--disable-breakpad", "--mute-audio", "--force-color-profile=srgb",
    # Whatever asks for an address gets none, whichever way it asks.
    "--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=http://127.0.0.1:9", "--proxy-bypass-list=<-loopback>",
)  # fmt: skip


def find() -> str:
    """The program.

    Raises:
        DigestError: none of the known names is on PATH.
    """
    for name in NAMES:
        if path := shutil.which(name):
            return path
    raise DigestError("pictures need Chromium or Chrome, and none is on PATH (Debian: apt-get install chromium)")


class Chromium:
    """One tab that commands go to (Chrome DevTools Protocol, messages of JSON parted by NUL)."""

    def __init__(self, commands: int, answers: int, timeout_s: float) -> None:
        self._commands, self._answers = commands, answers
        self._deadline = time.monotonic() + timeout_s
        self._buffer = bytearray()
        self._number = 0
        self._session: str | None = None

    def attach(self) -> None:
        """Open the tab."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Give a command and wait for its answer.

        Raises:
            DigestError: it refuses, is gone, or the time is up.
        """
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        self._write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") != self._number:
                continue  # an event
            if "error" in answer:
                raise DigestError(f"Chromium refuses {method}: {answer['error'].get('message', '')[:200]}")
            result: dict[str, Any] = answer.get("result", {})
            return result

    def content(self, method: str, **params: Any) -> bytes:
        """The bytes that a command answers with."""
        return base64.b64decode(self.call(method, **params)["data"])

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise DigestError("Chromium took too long; try again, or ask for fewer pictures")
        return left

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                if select.select([], [self._commands], [], self._left())[1]:
                    view = view[os.write(self._commands, view[:65536]) :]
        except OSError as error:
            raise _gone() from error

    def _read(self) -> dict[str, Any]:
        while (end := self._buffer.find(b"\0")) < 0:
            if not select.select([self._answers], [], [], self._left())[0]:
                continue
            chunk = os.read(self._answers, 1 << 20)
            if not chunk:
                raise _gone()
            self._buffer += chunk
            if len(self._buffer) > _MOST_BYTES:
                raise DigestError("a picture is too large for this machine")
        message, self._buffer = self._buffer[:end], self._buffer[end + 1 :]
        parsed: dict[str, Any] = json.loads(message)
        return parsed


def _gone() -> DigestError:
    return DigestError("Chromium ended by itself; run `chromium --headless --version` to see whether it works on this machine")


@contextlib.contextmanager
def opened(timeout_s: float) -> Iterator[Chromium]:
    """A Chromium with a profile of its own that is thrown away; it ends with the block.

    Raises:
        DigestError: there is none, or it cannot be started.
    """
    program = find()
    # As root, as in many containers, Chromium has no sandbox to offer. Scripts are off and nothing is fetched.
    flags = [*_FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with tempfile.TemporaryDirectory(prefix="digest-chromium-", ignore_cleanup_errors=True) as profile:
        (theirs_in, commands), (answers, theirs_out) = _pipe(), _pipe()
        try:
            pid = _start([program, *flags, f"--user-data-dir={profile}", "about:blank"], profile, theirs_in, theirs_out)
            try:
                os.set_blocking(commands, False)
                browser = Chromium(commands, answers, timeout_s)
                browser.attach()
                yield browser
            finally:
                _end(pid)
        finally:
            os.close(commands)
            os.close(answers)


def _start(arguments: list[str], home: str, theirs_in: int, theirs_out: int) -> int:
    actions: list[tuple[Any, ...]] = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_RDWR, 0) for stream in (0, 1, 2)]
    actions += [(os.POSIX_SPAWN_DUP2, theirs_in, 3), (os.POSIX_SPAWN_DUP2, theirs_out, 4)]
    # Nothing secret of ours; a home of its own, thrown away with the profile.
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LC_ALL", "TMPDIR", "FONTCONFIG_PATH")}
    try:
        return os.posix_spawn(arguments[0], arguments, kept | {"HOME": home}, file_actions=actions, setpgroup=0)
    except OSError as error:
        raise DigestError(f"{arguments[0]} cannot be started: {error.strerror}") from error
    finally:
        os.close(theirs_in)
        os.close(theirs_out)


def _pipe() -> tuple[int, int]:
    """A pipe whose ends lie above the two numbers that Chromium listens on."""
    ends = []
    for end in os.pipe():
        ends.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10))
        os.close(end)
    return ends[0], ends[1]


def _end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
