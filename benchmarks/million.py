"""A million readers: how long planning and sending take, how much memory, and how both grow with the list.

    python -m benchmarks.million --readers 10000 100000 1000000 --seed 1                 # plan and select
    python -m benchmarks.million --readers 1000000 --seed 1 --send --sink strict          # the whole job, to SendGrid's stand-in

For each size a workspace is filled (addresses and names sealed as the real ones are; not timed), and a process of its own does
the job with the program's own functions, so that its peak memory is its own; with ``--processes`` it starts others, of which the
largest counts. ``--send`` goes on from planning to the last
settled delivery, through ``tests.support.sendgrid_server`` or, with ``--sink thin``, through a server that only counts the
readers of each request: the strict one shares the two cores, parses every body and syncs a journal. Readers follow one to
``--follow`` of the interests, the popular ones far more often (Zipf); ``editions`` says how many selections that made.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import http.server
import json
import math
import os
import random
import re
import resource
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from digest import dispatch, garbage, issue, plan, readiness
from digest.store import catalogue, now, outcomes
from digest.store import schema as t
from digest.store.people import count_by_status
from digest.workspace import open_workspace
from tests.support.make import CONFIG, make_summary, make_workspace

ISSUE, ON = "monthly-2026-05-01", date(2026, 5, 1)
REPOSITORY = Path(__file__).parent.parent
SETTINGS = """\
delivery:
  provider: sendgrid
  allow: ["*"]
  max_per_minute: 100000000
  processes: %(processes)d
  sendgrid: {base_url: "%(url)s", batch: %(batch)d, calls: %(calls)d}
"""
_FIRST = ("Ana", "Ben", "Chloë", "Dai", "Elif", "Femi", "Grace", "Hiro", "Inés", "Jo")
_LAST = ("Adams", "Brontë", "Carter", "Díaz", "Evans", "Fischer", "Green", "Haddad", "Ito", "Jones")


def fill(folder: Path, readers: int, seed: int, followed: int, pieces: int, most: int) -> None:
    """A workspace with a draft to plan: ``pieces`` summaries, ``followed`` interests, ``readers`` who follow up to ``most`` of them."""
    draw = random.Random(seed)
    listed = "".join(f"- {{id: i{n}, label: Interest number {n}, match: {{tag: t{n}}}}}\n" for n in range(followed))
    make_workspace(
        folder, config=CONFIG + SETTINGS % {"url": "http://127.0.0.1:1", "batch": 1000, "calls": 2, "processes": 1}, interests=listed
    )
    start = datetime(2026, 4, 2, tzinfo=UTC)
    with open_workspace(folder, ON) as workspace:
        with workspace.store.write() as tx:
            for n in range(pieces):
                tags = tuple(sorted({f"t{n % followed}", f"t{draw.randrange(followed)}"}))
                text = " ".join(draw.choice(("fatigue", "walking", "sleep", "diet", "memory", "balance")) for _ in range(12))
                piece = make_summary(
                    f"p{n}",
                    title=f"What study {n} found about {text[:40]}",
                    published_at=start + timedelta(hours=3 * n),
                    takeaway=f"People who took part in study {n} told of {text}.",
                    limits="A small study without a comparison group.",
                    journal="Journal of Samples",
                    tags=tags,
                )
                catalogue.take(tx, piece, now(tx))
        _people(workspace, readers, draw, followed, most)
        issue.draft(workspace, "monthly")


def _people(workspace: Any, readers: int, draw: random.Random, followed: int, most: int) -> None:
    vault, at = workspace.store.vault, datetime(2026, 1, 1, tzinfo=UTC)
    weights = [1 / (n + 1) for n in range(followed)]
    counts, odds = range(1, most + 1), [1 / n for n in range(1, most + 1)]
    for first in range(0, readers, 20_000):
        people, follows = [], []
        for row in range(first + 1, min(first + 20_000, readers) + 1):
            email = f"reader{row}@mail{row % 997}.example.org"
            people.append(
                {
                    "id": row,
                    "sid": secrets.token_hex(16),
                    "address_index": vault.index(email),
                    "address": vault.seal(email, "address"),
                    "name": vault.seal(f"{draw.choice(_FIRST)} {draw.choice(_LAST)}", "name"),
                    "cadence": "monthly",
                    "status": "active",
                    "status_at": at,
                    "created_at": at,
                }
            )
            wanted, chosen = draw.choices(counts, odds)[0], set[int]()
            while len(chosen) < wanted:
                chosen.update(draw.choices(range(followed), weights))
            follows += [{"subscriber_id": row, "interest": f"i{n}", "position": place} for place, n in enumerate(sorted(chosen))]
        with workspace.store.write() as tx:
            tx.execute(insert(t.subscriber), people)
            tx.execute(insert(t.follows), follows)


# --- the job, in a process of its own ------------------------------------------------------------------------------------


def job(folder: Path, *, send: bool) -> dict[str, Any]:
    """Plan the issue, and send it. Seconds of each, peak memory in MiB, and what came of it."""
    os.environ.setdefault("SENDGRID_API_KEY", "SG.stand-in.key")
    garbage.collect_seldom()  # as the command line does
    stages: dict[str, float] = {}
    started, cpu = time.monotonic(), time.process_time()
    with open_workspace(folder, ON) as workspace, workspace.store.alone():
        ready = readiness.make_ready(workspace, ISSUE)
        stages["compile_s"] = time.monotonic() - started
        began = time.monotonic()
        planned = plan.plan(workspace, ready)
        stages["plan_s"] = time.monotonic() - began
        memory = {"plan_mib": _peak_mib()}
        if send:
            began = time.monotonic()
            report = dispatch.send(workspace, ISSUE)
            stages["send_s"] = time.monotonic() - began
            memory["send_mib"] = _peak_mib()
        whole = time.monotonic() - started
        with workspace.store.read() as tx:
            figures = outcomes.figures(tx, ready.row.id)
            states = {state.value: count for state, count in outcomes.counts(tx, ready.row.id).items() if count}
            people = sum(count_by_status(tx).values())
    assert planned == people == sum(states.values()), "somebody was missed"
    found = {"planned": planned, "states": states, "editions": figures.editions, "mean_bytes": figures.mean_bytes}
    if send:
        found["finished"] = report.status.state == "finished"
    seconds = {name: round(value, 2) for name, value in stages.items()} | {"whole_s": round(whole, 2)}
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found | seconds | memory | {"cpu_s": round(time.process_time() - cpu + children.ru_utime + children.ru_stime, 2)}


def _peak_mib() -> int:
    """Of the largest process: this one, or one that it started and that has ended."""
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return math.ceil(max(peaks) / 1024)


# --- where it is handed over to ------------------------------------------------------------------------------------------


class _Thin(http.server.BaseHTTPRequestHandler):
    """Takes every request and counts its readers by their ids; nothing else of the body is looked at."""

    protocol_version = "HTTP/1.1"
    taken = 0
    lock = threading.Lock()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with _Thin.lock:
            _Thin.taken += len(re.findall(rb'"did": ?"[0-9a-f]{32}"', body))
        self.close_connection = True
        self.send_response(202)
        for name, value in (("X-Message-Id", secrets.token_hex(11)), ("Content-Length", "0"), ("Connection", "close")):
            self.send_header(name, value)
        self.end_headers()

    def do_GET(self) -> None:
        body = str(_Thin.taken).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def thin_sink() -> None:
    """Serve until standard input closes; print the port first, and at the end how many readers were taken."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Thin)
    server.daemon_threads = True
    print("listening", server.server_address[1], flush=True)  # noqa: T201
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    print(_Thin.taken, flush=True)  # noqa: T201


class Sink:
    """A server process; ``taken`` tells how many readers it was handed, once it has ended."""

    def __init__(self, kind: str, folder: Path) -> None:
        self._journal = folder / "taken.jsonl"
        thin = [sys.executable, "-m", "benchmarks.million", "--be", "thin-sink"]
        strict = [
            sys.executable,
            "-m",
            "tests.support.sendgrid_server",
            "--port",
            "0",
            "--journal",
            str(self._journal),
            "--no-schema",
            "--leash",
        ]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        self._kind = kind
        command = [*strict] if kind == "strict" else thin
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=REPOSITORY)
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline().split()[1])}"

    def end(self) -> int:
        """Stop it. Returns how many readers it was handed; twice counts twice."""
        rest, _ = self._process.communicate("", timeout=60)
        if self._kind == "thin":
            return int(rest.split()[-1])
        with self._journal.open("rb") as lines:
            return sum(1 for _ in lines)


# --- all of it -----------------------------------------------------------------------------------------------------------


def run(readers: int, given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Fill a workspace and do the job there."""
    home = folder / f"n{readers}"
    fill(home, readers, given.seed, given.interests, given.summaries, given.follow)
    sink = Sink(given.sink, folder) if given.send else None
    if sink:
        filled = SETTINGS % {"url": sink.url, "batch": given.batch, "calls": given.calls, "processes": given.processes}
        (home / "config.yaml").write_text(CONFIG + filled, encoding="utf-8")
    command = [sys.executable, "-m", "benchmarks.million", "--be", "job", "--folder", str(home), *(["--send"] if given.send else [])]
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    finally:
        taken = sink.end() if sink else None
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = {"readers": readers, **json.loads(done.stdout.splitlines()[-1])}
    if taken is not None:
        found["taken"] = taken
        accepted = found["states"].get("accepted", 0)
        assert taken == accepted, f"{taken} were taken and {accepted} are noted as accepted"
    found["database_mib"] = round((home / "var" / "digest.db").stat().st_size / 2**20)
    shutil.rmtree(home)
    return found


def growth(results: Sequence[dict[str, Any]], what: str) -> Iterator[float]:
    """The exponent of time over number, from each size to the next."""
    for small, large in zip(results, results[1:], strict=False):
        yield round(math.log(large[what] / small[what]) / math.log(large["readers"] / small["readers"]), 3)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readers", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--interests", type=int, default=30)
    parser.add_argument("--summaries", type=int, default=200)
    parser.add_argument("--follow", type=int, default=3, help="most interests of one reader")
    parser.add_argument("--send", action="store_true", help="the whole job")
    parser.add_argument("--sink", choices=("thin", "strict"), default="thin")
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--calls", type=int, default=2)
    parser.add_argument("--processes", type=int, default=1, help="delivery.processes")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--be", choices=("all", "job", "thin-sink", "fill"), default="all", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.be == "thin-sink":
        return thin_sink()
    if given.be == "job":
        return print(json.dumps(job(given.folder, send=given.send)))  # noqa: T201
    if given.be == "fill":
        return fill(given.folder, given.readers[0], given.seed, given.interests, given.summaries, given.follow)
    results = []
    with tempfile.TemporaryDirectory(prefix="million-", dir=given.folder) as folder:
        for readers in given.readers:
            results.append(run(readers, given, Path(folder)))
            print(json.dumps(results[-1]), file=sys.stderr)  # noqa: T201
    what = "whole_s" if given.send else "plan_s"
    settings = {"seed": given.seed, "interests": given.interests, "summaries": given.summaries, "follow": given.follow}
    sent = {"sink": given.sink, "batch": given.batch, "calls": given.calls, "processes": given.processes} if given.send else {}
    exponents = list(growth(results, what))
    told = {  # of the largest list, and the worst of all steps
        "plan_s": results[-1]["plan_s"],
        "peak_mib": max(found.get("send_mib", found["plan_mib"]) for found in results),
        **({"job_s": results[-1]["whole_s"]} if given.send else {}),
        **({"growth": max(exponents)} if exponents else {}),
    }
    print(json.dumps({**settings, **sent, "runs": results, "exponents": exponents, **told}))  # noqa: T201
    return None


if __name__ == "__main__":
    main()
