"""How fast SMTP hand-over is with the ledger on, beside Postfix's own `smtp-source`, into the same kind of sink.

    python -m benchmarks.smtp_handover [--messages 6000] [--connections 8] [--rounds 3] [--batch 50] [--processes 2]

Each round starts a fresh `smtp-sink` for each sender, in an order that alternates: `smtp-source -d`, a C program that sends one
prepared message, as long as the issue's, over and over; our provider by itself (it makes each message of about 50 KB, takes its
SHA-256 and hands it over, without the ledger, in as many threads as connections); and an issue handed over as `digest send` does,
every delivery claimed and settled in the ledger (SQLite, synchronous=FULL), in one process and in several. The rate of an issue is
taken from its first settled claim on; how long starting up took is printed beside it. Prints each round; the median rate of each
sender, and the median of its ratios to smtp-source in the same round, for a shared machine is not the same from one to the next;
and the processor time a message of each sender (with starting up) and of its sink. The last line is JSON; its ``ratio`` is the
better one with the ledger. At most 20,000 messages, and 300 s for one sender, after which it fails. Needs Debian's postfix
(tests/integration/providers/get-postfix).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from digest import crew, dispatch, garbage, gather, handover, interests, issue, plan, readiness
from digest.compose import Edition, compile_issue, make_edition, make_message
from digest.config import SmtpSettings
from digest.model import Selection
from digest.providers import Parcel, make
from digest.providers.smtp import Smtp
from digest.store import outcomes
from digest.subscribe import import_file
from digest.workspace import open_workspace
from tests.support import compose
from tests.support.make import CONFIG, make_workspace, write_summary
from tests.support.ports import free_port

SBIN = Path("/usr/sbin")
LONGEST_S = 300
MOST = 20_000
ISSUE, ON = "monthly-2026-05-01", date(2026, 5, 1)
ENVELOPE = compose.envelope()
READER = compose.reader()._replace(unsubscribe_url=f"https://digest.example.org/u/{'a' * 39}")  # as long as real ones


def main() -> int:
    """Run the rounds and print what they gave."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=6000)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=50, help="delivery.smtp.batch")
    parser.add_argument("--processes", type=int, default=2, help="delivery.processes of the last sender")
    given = parser.parse_args()
    if not (SBIN / "smtp-sink").exists():
        parser.error("no smtp-sink: run tests/integration/providers/get-postfix as root")
    messages = min(given.messages, MOST)
    garbage.collect_seldom()  # as the command line does
    with tempfile.TemporaryDirectory(prefix="digest-bench-") as name:
        planned = plan_issue(Path(name) / "planned", messages)
        length = mean_bytes(planned)  # so that all of them move as much
        edition = about(length)
        several = f"ledger, {given.processes} processes"
        senders: dict[str, Callable[[int], float]] = {
            "smtp-source": lambda port: timed(messages, lambda: source(port, messages, given.connections, length)),
            "provider alone": lambda port: timed(messages, lambda: ours(port, messages, given.connections, edition)),
            "ledger, 1 process": lambda port: issue_rate(planned, port, given.connections, given.batch, 1),
            several: lambda port: issue_rate(planned, port, given.connections, given.batch, given.processes),
        }
        size = len(make_message(edition, READER, ENVELOPE))
        say(
            f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {messages} messages a round, "
            f"{given.connections} connections, claims of {given.batch}; "
            f"bytes: {length} (source, issue), {size} (alone)"
        )
        rates: dict[str, list[float]] = {name: [] for name in senders}
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in senders}
        for at in range(given.rounds):
            for sender in list(senders) if at % 2 == 0 else reversed(senders):
                began_s = processor_s()
                with sink() as port:
                    rates[sender].append(senders[sender](port))
                    between_s = processor_s()  # the sink's is not in it before it has ended
                times[sender].append((between_s - began_s, processor_s() - between_s))
            say(f"round {at + 1}: " + ", ".join(f"{sender} {found[-1]:,.0f}/s" for sender, found in rates.items()))
    summarize(rates, times, messages)
    return 0


def summarize(rates: Mapping[str, Sequence[float]], times: Mapping[str, Sequence[tuple[float, float]]], messages: int) -> None:
    """Print what the rounds gave: by sender the messages a second, and the processor time of it and of its sink, in seconds."""
    median = {sender: statistics.median(found) for sender, found in rates.items()}
    # Of neighbours in a round: from one round to another the machine is not the same.
    against = {
        sender: statistics.median(a / b for a, b in zip(found, rates["smtp-source"], strict=True)) for sender, found in rates.items()
    }
    told: dict[str, dict[str, float]] = {}
    for sender, rate in median.items():
        own_s, sinks_s = (statistics.median(one[n] for one in times[sender]) for n in (0, 1))
        say(
            f"median of {sender}: {rate:,.0f}/s, ratio to smtp-source {against[sender]:.2f}; "
            f"processor time a message {own_s / messages * 1e6:,.0f} us, of its sink {sinks_s / messages * 1e6:,.0f} us"
        )
        told[sender] = {
            "per_s": round(rate),
            "ratio": round(against[sender], 3),
            "cpu_us": round(own_s / messages * 1e6),
            "sink_cpu_us": round(sinks_s / messages * 1e6),
        }
    best = max(one["ratio"] for sender, one in told.items() if sender.startswith("ledger"))
    say(json.dumps({"messages": messages, "rounds": len(rates["smtp-source"]), "senders": told, "ratio": best}))


def processor_s() -> float:
    """Processor time of this process and of those it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def timed(messages: int, work: Callable[[], None]) -> float:
    """Messages a second."""
    began = time.perf_counter()
    work()
    return messages / (time.perf_counter() - began)


def plan_issue(folder: Path, readers: int) -> Path:
    """A workspace with an issue planned for so many readers, eleven teasers each."""
    people = "email,name,interests\n" + "".join(f"r{n}@example.org,Reader {n},gut;vision\n" for n in range(readers))
    made = make_workspace(folder, config=CONFIG + "selection: {max_per_interest: 6}\n", subscribers=people)
    for n in range(11):
        write_summary(made, f"s{n}", tags="gut" if n % 2 else "vision", takeaway="What was found, told in a sentence that goes on.")
    with open_workspace(made, ON) as opened:
        import_file(opened, made / "subscribers" / "people.csv", interests.load(made))
        gather.gather(opened)
        issue.draft(opened, "monthly")
        plan.plan(opened, readiness.make_ready(opened, ISSUE))
    return made


def mean_bytes(planned: Path) -> int:
    """How large the issue's messages are, by one of them."""
    with open_workspace(planned, ON) as opened, opened.store.read() as tx:
        ready = readiness.make_ready(opened, ISSUE)
        (chosen, _), *_ = outcomes.selections(tx, ready.row.id)
        return len(make_message(make_edition(ready.compiled, Selection.model_validate_json(chosen)), READER, ENVELOPE))


def issue_rate(planned: Path, port: int, connections: int, batch: int, processes: int) -> float:
    """Hand a copy of the planned issue over; messages a second from the first that was settled on."""
    folder = planned.parent / "work"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(planned, folder)
    smtp = f"{{port: {port}, connections: {connections}, batch: {batch}}}"
    settings = f"delivery: {{provider: smtp, processes: {processes}, max_per_minute: 100000000, smtp: {smtp}}}\n"
    (folder / "config.yaml").write_text(CONFIG + "selection: {max_per_interest: 6}\n" + settings, encoding="utf-8")
    first: list[tuple[float, int]] = []
    with open_workspace(folder, ON) as opened:
        ready = readiness.make_ready(opened, ISSUE)
        provider = make(opened.config, opened.path)
        began = time.perf_counter()

        def progress(step: handover.Progress) -> None:
            if not first:
                first.append((time.perf_counter(), step.done))
            if time.perf_counter() - began > LONGEST_S:
                raise TimeoutError("the issue took too long")

        drained = crew.drain(opened, provider, ready, progress)
        ended = time.perf_counter()
        provider.close()
        stands = dispatch.status(opened, ISSUE)
    if drained.stop or stands.accepted != stands.planned or drained.accepted != stands.planned:
        raise RuntimeError(f"not all was accepted: {drained}")
    say(f"  {processes} process{'es' if processes > 1 else ''}: {first[0][0] - began:.2f} s until the first, {ended - began:.2f} s in all")
    return (stands.planned - first[0][1]) / (ended - first[0][0])


def say(line: str) -> None:
    """One line of the result."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def about(size: int) -> Edition:
    """An edition whose message has about so many bytes: of many random selections the nearest."""
    compiled = compile_issue(compose.TEMPLATES, compose.LOOK, compose.SLOT, compose.summaries(), compose.INTERESTS)
    chosen = random.Random(1)
    editions = [make_edition(compiled, compose.random_selection(chosen)) for _ in range(200)]
    return min(editions, key=lambda one: abs(len(make_message(one, READER, ENVELOPE)) - size))


@contextmanager
def sink() -> Iterator[int]:
    """An smtp-sink that throws everything away; gives its port."""
    port = free_port()
    with subprocess.Popen([SBIN / "smtp-sink", "-u", "nobody", f"127.0.0.1:{port}", "256"], stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(500):
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    time.sleep(0.01)
            yield port
        finally:
            process.terminate()


def source(port: int, messages: int, connections: int, length: int) -> None:
    """Send with Postfix's own load generator; ``-d`` keeps its connections open, ``length`` is that of a message."""
    words = ["-d", "-l", str(length), "-m", str(messages), "-s", str(connections), "-f", "a@example.org", "-t", "b@example.org"]
    subprocess.run([SBIN / "smtp-source", *words, f"127.0.0.1:{port}"], check=True, timeout=LONGEST_S, stdout=subprocess.DEVNULL)


def ours(port: int, messages: int, connections: int, edition: Edition) -> None:
    """Send with our provider, each thread taking the next message when its last is done."""
    smtp = Smtp(SmtpSettings(port=port, connections=connections), None, "digest@example.org")
    ends = time.monotonic() + LONGEST_S
    numbers = iter(range(messages))

    def lane(_: int) -> int:
        accepted = 0
        for n in numbers:  # next() of a range is one step: no two threads get the same number
            did = f"{n:032x}"
            reader = READER._replace(email=f"reader{n}@example.org")
            parcel = Parcel(did, edition, reader, ENVELOPE._replace(message_id=f"<{did}@example.org>"))
            accepted += smtp.hand_over("monthly-2026-05-01", did, [parcel]).receipts[0].outcome == "accepted"
            if time.monotonic() > ends:
                raise TimeoutError("our provider took too long")
        return accepted

    with ThreadPoolExecutor(connections) as pool:
        accepted = sum(pool.map(lane, range(connections)))
    smtp.close()
    if accepted != messages:
        raise RuntimeError(f"{messages - accepted} messages were not accepted")


if __name__ == "__main__":
    sys.exit(main())
