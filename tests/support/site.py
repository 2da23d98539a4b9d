"""The pages of a workspace on a real server, and somebody who fills forms in."""

from __future__ import annotations

import email
import email.policy
import http.client
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlencode

import uvicorn

from digest import tokens
from digest.addresses import parse
from digest.model import Subscriber
from digest.store import now, people
from digest.web.app import make_app
from digest.workspace import Workspace, open_workspace
from tests.support.make import make_workspace, write_summary

BASE = "https://letter.example.org"
PAGES = """\
pages:
  languages: [en, de, es, fr, ar]
  api: [https://www.example.org]
  embed: [https://www.example.org]
  budgets: {network_per_hour: 100000, all_per_hour: 100000}
"""


@dataclass
class Answer:
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes
    cookies: tuple[str, ...] = ()  # each as it was set

    @property
    def text(self) -> str:
        return self.body.decode()


class Site:
    """A workspace that is being served."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.url = f"http://127.0.0.1:{port}"

    @contextmanager
    def open(self) -> Iterator[Workspace]:
        with open_workspace(self.folder) as workspace:
            yield workspace

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """One request, redirects not followed; headers with _ for -."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, headers, answer.read(), tuple(answer.headers.get_all("set-cookie") or ()))
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def post(self, path: str, fields: dict[str, object] | None = None, **headers: str) -> Answer:
        body = urlencode(fields or {}, doseq=True).encode()
        return self.ask("POST", path, body, **{"Content_Type": "application/x-www-form-urlencoded", **headers})

    def stamp(self, age_s: float = 10) -> str:
        """What a form that was shown so long ago carries."""
        with self.open() as workspace:
            made_at = datetime.now(UTC) - timedelta(seconds=age_s)
            return tokens.sign("form", "00" * 16, workspace.store.vault.link_keys, made_at)

    def token(self, purpose: tokens.Purpose, about: str, age: timedelta = timedelta()) -> str:
        with self.open() as workspace:
            return tokens.sign(purpose, about, workspace.store.vault.link_keys, datetime.now(UTC) - age)

    def add(self, address: str = "ana@example.org", **values: object) -> Subscriber:
        """A subscriber, as if they had joined long ago."""
        given = {"id": "", "email": address, "name": "Ana", "interests": ("gut",), "cadence": "monthly", **values}
        with self.open() as workspace, workspace.store.write() as tx:
            people.add(tx, workspace.store.vault, parse(address), Subscriber.model_validate(given), now(tx))
        return self.reader(address)

    def reader(self, address: str = "ana@example.org") -> Subscriber:
        with self.open() as workspace, workspace.store.read() as tx:
            found = people.find(tx, workspace.store.vault, parse(address))
        assert found is not None, "nobody has that address"
        return found.subscriber

    def knows(self, address: str) -> bool:
        with self.open() as workspace, workspace.store.read() as tx:
            return people.find(tx, workspace.store.vault, parse(address)) is not None

    def mails(self, count: int = 1, wait_s: float = 30) -> list[EmailMessage]:
        """The service mails in the outbox, the newest last, once there are so many."""
        folder, end = self.folder / "var" / "outbox" / "mail", time.monotonic() + wait_s
        while True:
            files = sorted(folder.glob("*.eml"), key=lambda file: file.stat().st_mtime_ns) if folder.is_dir() else []
            if len(files) >= count or time.monotonic() > end:
                break
            time.sleep(0.05)
        found = [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]
        assert len(found) >= count, f"{len(found)} mails, not {count}"
        return found  # type: ignore[return-value]

    def settled(self, wait_s: float = 30) -> None:
        """Wait until every request has been worked on and no mail waits."""
        end = time.monotonic() + wait_s
        while time.monotonic() < end:
            with self.open() as workspace, workspace.store.read() as tx:
                left = tx.exec_driver_sql("SELECT (SELECT count(*) FROM signup WHERE state='new')").scalar_one()
                left += tx.exec_driver_sql("SELECT count(*) FROM mail WHERE state IN ('waiting', 'inflight')").scalar_one()
            if not left:
                return
            time.sleep(0.05)
        raise AssertionError("requests or mails were left")


def links(message: EmailMessage) -> list[str]:
    """Every link of a message's HTML, as a path."""
    html = message.get_body(("html",))
    assert html is not None
    return [link.removeprefix(BASE).replace("&amp;", "&") for link in re.findall(r'href="(https?://[^"]+)"', html.get_content())]


def link(message: EmailMessage, kind: str) -> str:
    """The first link of a kind: ``/c/``, ``/p/``, …"""
    return next(one for one in links(message) if one.startswith(kind))


def make_site_folder(folder: Path, more: str = "") -> Path:
    """A workspace with two pieces and the test's own configuration."""
    from tests.support.make import CONFIG

    made = make_workspace(folder, config=CONFIG + more)
    write_summary(made, "one", "2026-04-15", "gut")
    write_summary(made, "two", "2026-04-16", "vision")
    return made


@contextmanager
def serving(folder: Path) -> Iterator[Site]:
    """The workspace on a free port of this machine, until the block ends."""
    settings = uvicorn.Config(make_app(folder), host="127.0.0.1", port=0, access_log=False, log_level="warning", server_header=False)
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    end = time.monotonic() + 30
    while not server.started and thread.is_alive() and time.monotonic() < end:
        time.sleep(0.02)
    assert server.started, "the server did not start"
    try:
        yield Site(folder, server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(30)
