"""How long gathering many feeds takes, from an HTTP server in a process of its own: all new, then nothing changed.

    python -m benchmarks.feeds [--feeds 500] [--entries 5] [--rounds 3]

The server answers at sixteen addresses of the loopback network (so that the limit per host does not count one machine as one site),
with feeds of ``--entries`` pieces each, half RSS, half Atom, and 304 to whoever returns an ETag. Each round makes a new workspace and
runs the real `gather` twice in this process: first everything is new, then nothing has changed. Prints the median seconds, the sum
of what was gathered, how many requests the server had at the same time at most, and as a measure of the machine how long a bare
`urllib` loop over the same addresses takes. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from digest.gather import GatherReport, gather
from digest.workspace import open_workspace
from tests.support.make import CONFIG, INTERESTS

HOSTS = 16
FIRST_AT = datetime(2026, 4, 1, tzinfo=UTC)
TEXT = "People who walked more reported less fatigue after twelve weeks; the trial was small and nobody was blinded. " * 6


def feed(number: int, entries: int) -> bytes:
    """The n-th feed: pieces of about 700 characters with HTML in them."""
    pieces = [(f"Piece {number}-{n}", f"https://feed{number}.example.org/{n}", FIRST_AT + timedelta(hours=n)) for n in range(entries)]
    if number % 2:
        items = "".join(
            f"<item><title>{title}</title><link>{url}</link><guid>{url}</guid><pubDate>{format_datetime(at)}</pubDate>"
            f"<category>fatigue</category><description>&lt;p&gt;{TEXT}&lt;/p&gt;</description></item>"
            for title, url, at in pieces
        )
        return f'<?xml version="1.0"?><rss version="2.0"><channel><title>Feed {number}</title>{items}</channel></rss>'.encode()
    items = "".join(
        f'<entry><title>{title}</title><link href="{url}"/><id>{url}</id><updated>{at.isoformat()}</updated>'
        f'<published>{at.isoformat()}</published><content type="html">&lt;p&gt;{TEXT}&lt;/p&gt;</content></entry>'
        for title, url, at in pieces
    )
    return f'<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title>Feed {number}</title>{items}</feed>'.encode()


def serve(entries: int) -> None:
    """Answer until the standard input ends; the first line out is the port, ``/most`` tells the most requests at one time."""
    lock, now, most = threading.Lock(), [0], [0]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == "/most":
                return self._answer(200, str(most[0]).encode())
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            number = int(self.path.rpartition("/")[2])
            known = self.headers.get("If-None-Match") == f'"{number}"'
            self._answer(304 if known else 200, b"" if known else feed(number, entries), f'"{number}"')
            with lock:
                now[0] -= 1

        def _answer(self, status: int, body: bytes, etag: str = "") -> None:
            head = f"HTTP/1.1 {status} .\r\nETag: {etag}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
            self.wfile.write(head.encode() + body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128
        daemon_threads = True

    server = Server(("0.0.0.0", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()


@contextmanager
def server(entries: int) -> Iterator[int]:
    """The server in a process of its own; gives its port."""
    words = [sys.executable, "-m", "benchmarks.feeds", "--serve", "--entries", str(entries)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdin is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()


def urls(feeds: int, port: int) -> list[str]:
    """Where the feeds are."""
    return [f"http://127.0.0.{1 + n % HOSTS}:{port}/{n}" for n in range(feeds)]


def make(folder: Path, feeds: int, port: int) -> Path:
    """A workspace with that many sources."""
    (folder / "subscribers").mkdir(parents=True)
    (folder / "subscribers" / "interests.yaml").write_text(INTERESTS, encoding="utf-8")
    head, _, rest = CONFIG.partition("  - {name: ours, kind: folder, path: summaries/}\n")
    lines = "".join(f"  - {{name: f{n}, kind: feed, url: {url}}}\n" for n, url in enumerate(urls(feeds, port)))
    hosts = ", ".join(f'"127.0.0.{n + 1}:{port}"' for n in range(HOSTS))
    (folder / "config.yaml").write_text(f"{head}{lines}{rest}fetch: {{allow: [{hosts}]}}\n", encoding="utf-8")
    return folder


def timed(folder: Path) -> tuple[GatherReport, float]:
    """One gathering, and its seconds."""
    with open_workspace(folder) as workspace:
        began = time.perf_counter()
        report = gather(workspace)
        return report, time.perf_counter() - began


def bare(places: Sequence[str]) -> float:
    """Seconds for reading all of them one after the other with nothing else."""
    began = time.perf_counter()
    for url in places:
        with urllib.request.urlopen(url, timeout=10) as answer:
            answer.read()
    return time.perf_counter() - began


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--feeds", type=int, default=500)
    parser.add_argument("--entries", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.serve:
        serve(given.entries)
        return 0
    new_s, same_s, bare_s, most = [], [], [], 0
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory() as scratch, server(given.entries) as port:
            folder = make(Path(scratch) / "letter", given.feeds, port)
            report, took = timed(folder)
            new_s.append(took)
            wrong = [source.error for source in report.sources if source.error]
            if report.new != given.feeds * given.entries or wrong:
                raise RuntimeError(f"{report.new} of {given.feeds * given.entries} were gathered: {wrong[:1]}")
            report, took = timed(folder)
            same_s.append(took)
            if not all(source.unchanged for source in report.sources):
                raise RuntimeError("something had changed")
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/most", timeout=10) as answer:
                most = max(most, int(answer.read()))
            bare_s.append(bare(urls(given.feeds, port)))
    found = {
        "feeds": given.feeds,
        "entries": given.entries,
        "rounds": given.rounds,
        "new_s": round(statistics.median(new_s), 2),
        "unchanged_s": round(statistics.median(same_s), 2),
        "bare_urllib_s": round(statistics.median(bare_s), 2),
        "most_at_once": most,
        "new_per_bare": round(statistics.median(new_s) / statistics.median(bare_s), 1),
        "unchanged_per_bare": round(statistics.median(same_s) / statistics.median(bare_s), 1),
    }
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
