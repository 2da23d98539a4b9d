"""Receivers of webhooks: a real server that answers as it is told, one in memory that no crash touches, and time that passes."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sqlalchemy import select, update

from digest.hooks import keeping
from digest.hooks.post import Answer
from digest.store import schema as t
from digest.workspace import Workspace

Got = tuple[str, bytes, dict[str, str]]
Next = int | str | None


class Receiver:
    """A server that answers each path as ``behave`` says: a status, or a word for something worse. ``got`` holds what came."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.behave: dict[str, Any] = {}
        self.headers: dict[str, str] = {}
        self.done = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                outer.answer(self)

            def do_GET(self) -> None:
                outer.got.append((f"GET {self.path}", b"", {}))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None  # type: ignore[method-assign]  # who hangs up on a slow receiver is what is tested
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def config(self) -> str:
        return f'hooks: {{allow: ["127.0.0.1:{self.port}"], timeout_s: 10}}\n'

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        how = self.behave.get(request.path, 204)
        if how == "close":  # before anything is read
            request.connection.shutdown(socket.SHUT_RDWR)
            request.close_connection = True
            return
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        self.got.append((request.path, body, {name.lower(): value for name, value in request.headers.items()}))
        request.close_connection = True
        if how == "lost":  # it has it, and the answer never comes
            request.connection.shutdown(socket.SHUT_RDWR)
        elif how == "hang":
            self.done.wait(60)
        elif how == "drip":
            for letter in b"HTTP/1.1 204 Very Slow Indeed, And Slower Still\r\n\r\n":
                request.wfile.write(bytes([letter]))
                if self.done.wait(0.2):
                    return
        elif how == "endless":
            request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
            while not self.done.is_set():
                request.wfile.write(b"x" * 65536)
        else:
            request.send_response(how)
            for name, value in {"Content-Length": "0", **self.headers}.items():
                request.send_header(name, value)
            request.end_headers()

    def ids(self, path: str = "/hook") -> list[str]:
        return [sent["webhook-id"] for where, _, sent in self.got if where == path]

    def close(self) -> None:
        self.done.set()
        self.http.shutdown()
        self.http.server_close()


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver for the length of a block."""
    receiver = Receiver()
    try:
        yield receiver
    finally:
        receiver.close()


class Memory:
    """Receivers by address whose memory no crash of ours touches. ``script`` gives each address' answers to come, then it takes all:
    a status; ``lost``: taken, and the answer lost; None: not reached.
    """

    def __init__(
        self, script: Mapping[str, Sequence[int | str | None]] | None = None, at_boundary: Callable[..., None] | None = None
    ) -> None:
        self.script = {url: list(answers) for url, answers in (script or {}).items()}
        self.taken: Counter[tuple[str, str]] = Counter()  # by address and id
        self.bodies: dict[str, set[bytes]] = {}
        self._boundary = at_boundary or (lambda *_, **__: None)
        self._lock = threading.Lock()

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self._boundary("call: before")
        with self._lock:
            left = self.script.get(url)
            answer = left.pop(0) if left else 204
            if answer == "lost" or (isinstance(answer, int) and answer < 300):
                self.taken[url, headers["webhook-id"]] += 1
                self.bodies.setdefault(headers["webhook-id"], set()).add(body)
        self._boundary("call: returned", lasting=True)
        return Answer(None, "no answer") if not isinstance(answer, int) else Answer(answer)


def add_hook(workspace: Workspace, url: str, *topics: str, **more: Any) -> str:
    """A hook's id."""
    return keeping.add(workspace, url, topics, **more)[0].hid


def let_pass(workspace: Workspace, seconds: float) -> None:
    """Let so much time pass for everything that waits. When it happened stays, for that is told."""
    ago = timedelta(seconds=seconds)
    columns = {t.hook_event: ("state_at", "next_at"), t.hook: ("made_at", "old_until", "failing_since", "rest_until", "disabled_at")}
    with workspace.store.write() as tx:
        for table, names in columns.items():
            for row in tx.execute(select(table)).all():
                older = {name: getattr(row, name) - ago for name in names if getattr(row, name) is not None}
                tx.execute(update(table).where(table.c.id == row.id).values(**older))


def written(workspace: Workspace) -> list[Any]:
    """Every row of the outbox, with its hook's id."""
    with workspace.store.read() as tx:
        query = select(t.hook_event, t.hook.c.hid).join(t.hook, t.hook.c.id == t.hook_event.c.hook_id).order_by(t.hook_event.c.id)
        return list(tx.execute(query))


def wait_for(what: Callable[[], object], wait_s: float = 60) -> None:
    """Until it is so."""
    end = time.monotonic() + wait_s
    while not what():
        assert time.monotonic() < end, "it does not come to be"
        time.sleep(0.02)
