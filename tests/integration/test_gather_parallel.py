"""Many feeds are read at once, few of them of one host, and kept as if they had been read one after the other."""

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from digest.config import FeedSource, FolderSource
from digest.gather import gather, host_of, spread
from digest.store import catalogue
from digest.workspace import open_workspace
from tests.support.make import CONFIG, make_workspace

FEED = (
    "<rss version='2.0'><channel><item><title>{0}</title><link>https://a.example.org/{0}</link>"
    "<pubDate>Wed, 01 Apr 2026 00:00:00 GMT</pubDate></item></channel></rss>"
)


@pytest.fixture
def crowd():
    """A server that lets nobody go before ``meeting`` requests are there together; it notes the most of each host."""
    state = {"most": Counter(), "meeting": threading.Barrier(6, timeout=20), "now": Counter(), "alone": set()}
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            host = self.headers["Host"].partition(":")[0]
            with lock:
                state["now"][host] += 1
                state["most"][host] = max(state["most"][host], state["now"][host])
            try:
                if self.path not in state["alone"]:
                    state["meeting"].wait()
            except threading.BrokenBarrierError:
                state["most"]["too few came"] += 1
            with lock:
                state["now"][host] -= 1
            body = FEED.format(self.path.rpartition("/")[2]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("0.0.0.0", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port, state
    server.shutdown()
    thread.join()
    server.server_close()


def test_six_at_once_and_never_more_than_three_of_one_host(tmp_path, crowd):
    port, state = crowd
    hosts = [f"127.0.0.{1 + n // 6}" for n in range(12)]  # six of one, then six of the other
    lines = "".join(f"  - {{name: f{n}, kind: feed, url: 'http://{host}:{port}/p{n // 2}'}}\n" for n, host in enumerate(hosts))
    config = CONFIG.replace("cadences:", lines + "cadences:")
    config += f"fetch: {{parallel_per_host: 3, allow: ['127.0.0.1:{port}', '127.0.0.2:{port}']}}\n"
    with open_workspace(make_workspace(tmp_path / "w", config=config)) as workspace:
        report = gather(workspace)
        with workspace.store.read() as tx:
            texts = {stored.summary.title: stored.source for stored in catalogue.load(tx)}
    assert state["most"] == {"127.0.0.1": 3, "127.0.0.2": 3}
    assert [source.name for source in report.sources] == ["ours", *(f"f{n}" for n in range(12))]
    assert texts == {f"p{n}": f"f{2 * n}" for n in range(6)}, "the source that stands first keeps the text"
    assert [source.also for source in report.sources[1:]] == [0, 1] * 6


def test_sources_of_one_host_are_spread():
    def feed(name, host):
        return FeedSource(name=name, kind="feed", url=f"https://{host}/{name}")

    configured = [feed("a1", "a.org"), feed("a2", "A.org"), feed("a3", "a.org"), feed("b1", "b.org"), feed("b2", "b.org")]
    configured.append(FolderSource(name="ours", kind="folder", path="x"))
    assert [source.name for source in spread(configured)] == ["a1", "b1", "ours", "a2", "b2", "a3"]
    assert host_of(configured[-1]) == ""
