"""A real HTTP server in a thread, whose own address is the only one that may be read."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from digest import config
from digest.sources import Context


class Server:
    """Answers each path with what ``answers`` holds for it: ``(status, headers, body)`` or a function of the handler."""

    def __init__(self):
        self.answers, self.requests = {}, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.requests.append((self.path, dict(self.headers)))
                answer = outer.answers.get(self.path, (404, {}, b""))
                if callable(answer):
                    answer = answer(self)
                if answer is None:
                    self.close_connection = True
                    return
                status, headers, body = answer
                body = body.encode() if isinstance(body, str) else body
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None  # clients that hang up are what is tested
        self.port = self.http.server_address[1]
        self.allow = (f"127.0.0.1:{self.port}",)
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def settings(self, **changes):
        return config.Fetch(**{"allow": self.allow, "timeout_s": 20} | changes)

    def context(self, workspace, etag="", last_modified="", **changes):
        return Context(workspace, "UTC", self.settings(**changes), datetime(2026, 5, 1, tzinfo=UTC), etag, last_modified)

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """One that ends with the block."""
    server = Server()
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()
        server.thread.join(5)
