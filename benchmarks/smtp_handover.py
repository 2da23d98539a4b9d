"""How fast the SMTP provider hands messages over, beside Postfix's own `smtp-source`, into the same kind of sink.

    python -m benchmarks.smtp_handover [--messages 4000] [--connections 4] [--rounds 5]

Each round starts a fresh `smtp-sink` for each sender: `smtp-source -d -l 51200`, a C program that sends one prepared message over
and over, and our provider, which makes each message (about 50 KB, composed with the repository's templates), takes its SHA-256
and hands it over as `digest send` does, one message a call, in as many threads as connections, without the ledger. The order of
the two alternates. Prints messages per second for each round and the ratio of the medians; no more than 20,000 messages, and 120 s
for one sender, after which it fails. Needs Debian's postfix (tests/integration/providers/get-postfix).
"""

from __future__ import annotations

import argparse
import platform
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from digest.compose import Edition, compile_issue, make_edition, make_message
from digest.config import SmtpSettings
from digest.providers import Parcel
from digest.providers.smtp import Smtp
from tests.support import compose

SBIN = Path("/usr/sbin")
LONGEST_S = 120
MOST = 20_000
LENGTH = 51_200
ENVELOPE = compose.envelope()
READER = compose.reader()


def main() -> int:
    """Run the rounds and print what they gave."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=4000)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    if not (SBIN / "smtp-sink").exists():
        parser.error("no smtp-sink: run tests/integration/providers/get-postfix as root")
    messages = min(given.messages, MOST)
    edition = about(LENGTH)
    size = len(make_message(edition, READER, ENVELOPE))
    senders: dict[str, Callable[[int], None]] = {
        "smtp-source": lambda port: source(port, messages, given.connections),
        "digest": lambda port: ours(port, messages, given.connections, edition),
    }
    say(f"Python {platform.python_version()}, {messages} messages a round, {given.connections} connections, {LENGTH} and {size} bytes each")
    rates: dict[str, list[float]] = {name: [] for name in senders}
    for at in range(given.rounds):
        for name in sorted(senders, reverse=at % 2 == 0):
            with sink() as port:
                began = time.perf_counter()
                senders[name](port)
                rates[name].append(messages / (time.perf_counter() - began))
        say(f"round {at + 1}: " + ", ".join(f"{name} {found[-1]:,.0f}/s" for name, found in rates.items()))
    median = {name: statistics.median(found) for name, found in rates.items()}
    say("median: " + ", ".join(f"{name} {rate:,.0f}/s" for name, rate in median.items()))
    say(f"ratio digest to smtp-source: {median['digest'] / median['smtp-source']:.2f}")
    return 0


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
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
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


def source(port: int, messages: int, connections: int) -> None:
    """Send with Postfix's own load generator; ``-d`` keeps its connections open."""
    words = ["-d", "-l", str(LENGTH), "-m", str(messages), "-s", str(connections), "-f", "a@example.org", "-t", "b@example.org"]
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
            reader = replace(READER, email=f"reader{n}@example.org")
            parcel = Parcel(did, edition, reader, replace(ENVELOPE, message_id=f"<{did}@example.org>"))
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
