"""How quickly `digest serve` answers while an issue goes out: one-click unsubscribes, and the sign-up form.

    python -m benchmarks.web_load [--seconds 5] [--rounds 3] [--readers 20000] [--clicks 200] [--joins 100] [--seed 1]

A workspace on SQLite with so many readers is planned; then run, each in a process of its own: the real ``digest serve`` (with
budgets that admit the load), ``digest send`` through SMTP at ``--send-per-minute`` into Postfix's ``smtp-sink``, and a generator. It
asks at a steady pace whatever the answers do, every request on a connection of its own, as mail providers do, and counts from
the moment each was due: a slow answer makes those behind it late and cannot hide them. First rounds of POSTs to ``/u/TOKEN``
(RFC 8058), each reader's once; then rounds of filled-in forms to ``/subscribe``, each of another address.

A round in which the machine does something else says nothing about the program, so each figure is given of the best round as well as of the
median one; ``server_cpu_ms`` is the processor time of the server for one request, in which other programs have no part. Fails where a
request fails, where somebody who left is still active afterwards, or where the issue had gone out before the last request.
The last line is JSON. Needs Debian's postfix (tests/integration/providers/get-postfix).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from benchmarks.million import ISSUE, ON, fill
from benchmarks.smtp_handover import SBIN, sink
from digest import dispatch, plan, readiness, tokens
from digest.workspace import Workspace, open_workspace
from tests.support.make import CONFIG
from tests.support.ports import free_port

SETTINGS = """\
pages: {budgets: {network_per_hour: 10000000, all_per_hour: 10000000}}
delivery:
  provider: smtp
  allow: ["*"]
  max_per_minute: %(per_minute)d
  smtp: {port: %(port)d, connections: 2, batch: 50}
"""
TIMEOUT_S = 20


class Round(NamedTuple):
    """What a round of requests took: seconds of each answer since it was due, and how many answers were wrong."""

    took_s: list[float]
    wrong: int
    server_cpu_s: float

    def percentile_ms(self, share: float) -> float:
        """The time within which that share was answered."""
        ordered = sorted(self.took_s)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000


def main() -> int:
    """Prepare, load, check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--readers", type=int, default=20_000)
    parser.add_argument("--clicks", type=int, default=200, help="unsubscribes per second")
    parser.add_argument("--joins", type=int, default=100, help="sign-up forms per second")
    parser.add_argument("--send-per-minute", type=int, default=12_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if not (SBIN / "smtp-sink").exists():
        parser.error("no smtp-sink: run tests/integration/providers/get-postfix as root")
    with tempfile.TemporaryDirectory(prefix="digest-bench-") as name, sink() as port:
        folder = Path(name) / "w"
        fill(folder, given.readers, given.seed, 6, 12, 3)
        settings = CONFIG + SETTINGS % {"port": port, "per_minute": given.send_per_minute}
        (folder / "config.yaml").write_text(settings, encoding="utf-8")
        clicks, form = prepare(folder, int(given.clicks * given.seconds) * given.rounds)
        say(f"{given.readers} readers planned; {given.rounds} rounds of {given.seconds:g} s each, load {os.getloadavg()[0]:.1f}")
        with serving(folder) as (served, server), sending(folder) as sender:
            started = accepted(folder)
            unsubscribes = [
                under_load(served, server, clicks[n :: given.rounds], given.clicks, say_of=f"unsubscribes, round {n + 1}")
                for n in range(given.rounds)
            ]
            between = accepted(folder)
            forms = joiners(form, int(given.joins * given.seconds) * given.rounds)
            joins = [
                under_load(served, server, forms[n :: given.rounds], given.joins, say_of=f"sign-ups, round {n + 1}")
                for n in range(given.rounds)
            ]
            ended, still = accepted(folder), sender.poll() is None
        stay = [path for path, about in zip(clicks, abouts(clicks, folder), strict=True) if not left(folder, about)]
    wrong = sum(one.wrong for one in (*unsubscribes, *joins))
    problems = [
        *([f"{wrong} wrong answers"] if wrong else []),
        *([f"{len(stay)} who left are still subscribed"] if stay else []),
        *([] if still else ["the issue had gone out before the last request; more --readers"]),
    ]
    figures = {
        "readers": given.readers,
        "seed": given.seed,
        "unsubscribe": told(unsubscribes, given.clicks),
        "join": told(joins, given.joins),
        "sent_meanwhile": [between - started, ended - between],
        "problems": problems,
    }
    say(json.dumps(figures))
    return 1 if problems else 0


def told(rounds: Sequence[Round], per_s: int) -> dict[str, Any]:
    """The figures of one kind of request."""
    p99 = [one.percentile_ms(0.99) for one in rounds]
    asked = sum(len(one.took_s) for one in rounds)
    return {
        "per_s": per_s,
        "requests": asked,
        "p50_ms": round(statistics.median(one.percentile_ms(0.5) for one in rounds), 1),
        "p99_ms": round(statistics.median(p99), 1),
        "best_p99_ms": round(min(p99), 1),
        "worst_p99_ms": round(max(p99), 1),
        "server_cpu_ms": round(sum(one.server_cpu_s for one in rounds) / asked * 1000, 2),
    }


# --- what is asked for -------------------------------------------------------------------------------------------------


def prepare(folder: Path, count: int) -> tuple[list[bytes], dict[str, object]]:
    """Plan the issue; so many requests to leave, and what a filled-in form has."""
    with open_workspace(folder, ON) as workspace:
        with workspace.store.alone():
            plan.plan(workspace, readiness.make_ready(workspace, ISSUE))
        with workspace.store.read() as tx:
            ids = tx.exec_driver_sql("SELECT sid FROM subscriber ORDER BY id DESC LIMIT ?", (count,)).scalars().all()
        if len(ids) < count:
            raise SystemExit(f"{count} readers leave; there are {len(ids)}: more --readers")
        keys = workspace.store.vault.link_keys
        stamp = tokens.sign("form", "00" * 16, keys, datetime.now(UTC) - timedelta(seconds=10))
        leave = [post(f"/u/{tokens.sign('unsubscribe', id, keys)}", b"List-Unsubscribe=One-Click") for id in ids]
    return leave, {"interest": ["i0", "i1"], "cadence": "monthly", "lang": "en", "stamp": stamp}


def joiners(form: dict[str, object], count: int) -> list[bytes]:
    """Filled-in forms, each with an address of its own."""
    return [post("/subscribe", urlencode({**form, "email": f"new{n}@mail{n % 97}.example.net"}, doseq=True).encode()) for n in range(count)]


def post(path: str, body: bytes) -> bytes:
    """A whole request."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Content-Type: application/x-www-form-urlencoded\r\n\r\n".encode() + body


def abouts(requests: Sequence[bytes], folder: Path) -> list[str]:
    """Whom each request to leave is about."""
    with open_workspace(folder) as workspace:
        keys = workspace.store.vault.link_keys
        return [tokens.verify("unsubscribe", one.split(b" ", 2)[1].decode().removeprefix("/u/"), keys) for one in requests]


_GONE: dict[Path, set[str]] = {}


def left(folder: Path, sid: str) -> bool:
    """Whether that reader has left, by the database."""
    if folder not in _GONE:
        with open_workspace(folder) as workspace, workspace.store.read() as tx:
            _GONE[folder] = set(tx.exec_driver_sql("SELECT sid FROM subscriber WHERE status = 'unsubscribed'").scalars())
    return sid in _GONE[folder]


def accepted(folder: Path) -> int:
    """How many messages of the issue have gone out."""

    def count(workspace: Workspace) -> int:
        return dispatch.status(workspace, ISSUE).accepted

    with open_workspace(folder, ON) as workspace:
        return count(workspace)


# --- the processes -----------------------------------------------------------------------------------------------------


@contextmanager
def serving(folder: Path) -> Iterator[tuple[int, int]]:
    """`digest serve` on a free port: that, and its process id."""
    port = free_port()
    words = ["serve", "--no-scheduler", "--port", str(port), "--workspace", str(folder)]
    with started(words) as process:
        ends = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                    break
            except (urllib.error.URLError, OSError):
                if time.monotonic() > ends or process.poll() is not None:
                    raise
                time.sleep(0.1)
        yield port, process.pid


@contextmanager
def sending(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`digest send`, once the first messages are out."""
    with started(["send", ISSUE, "--on", ON.isoformat(), "--workspace", str(folder)]) as process:
        ends = time.monotonic() + 60
        while not accepted(folder):
            if process.poll() is not None or time.monotonic() > ends:
                raise SystemExit("the issue does not go out")
            time.sleep(0.2)
        yield process


@contextmanager
def started(words: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A command of the program, ended with the block."""
    command = [sys.executable, "-c", "from digest.cli import main; main()", *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def cpu_s(pid: int) -> float:
    """Processor time that a process has had so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- the generator -----------------------------------------------------------------------------------------------------


def under_load(port: int, server: int, requests: Sequence[bytes], per_s: int, *, say_of: str) -> Round:
    """Ask all of it at that pace."""
    before = cpu_s(server)
    took, wrong = asyncio.run(ask_all(port, requests, per_s))
    found = Round(took, wrong, cpu_s(server) - before)
    say(
        f"{say_of}: {len(requests)} at {per_s}/s, p50 {found.percentile_ms(0.5):.1f} ms, p99 {found.percentile_ms(0.99):.1f} ms, "
        f"server {found.server_cpu_s / len(requests) * 1000:.2f} ms of processor time each, {wrong} wrong"
    )
    return found


async def ask_all(port: int, requests: Sequence[bytes], per_s: int) -> tuple[list[float], int]:
    """One request after another when it is due, whether or not those before it have been answered."""
    loop = asyncio.get_running_loop()
    begin, took, wrong = loop.time() + 0.1, list[float](), [0]

    async def one(n: int, request: bytes) -> None:
        due = begin + n / per_s
        await asyncio.sleep(max(0.0, due - loop.time()))
        try:
            async with asyncio.timeout(TIMEOUT_S):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(request)
                answer = await reader.read()
                writer.close()
            wrong[0] += answer[9:12] not in (b"200", b"303")
        except (OSError, TimeoutError):
            wrong[0] += 1
        took.append(loop.time() - due)

    await asyncio.gather(*(one(n, request) for n, request in enumerate(requests)))
    return took, wrong[0]


def say(line: str) -> None:
    """One line of the result."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
