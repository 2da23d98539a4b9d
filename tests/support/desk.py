"""The editor's desk of a workspace as `digest preview` opens it, and somebody who asks it without a browser."""

from __future__ import annotations

import asyncio
import http.client
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from digest import gather, issue
from digest.web.desk import preview
from digest.workspace import open_workspace
from tests.support.make import CONFIG, make_workspace, write_summary
from tests.support.site import Answer

ON = date(2026, 5, 1)
NAME = "monthly-2026-05-01"
PEOPLE = """\
email,name,interests,cadence
ana@example.org,Ana,gut;vision,monthly
ben@example.org,Ben,vision,monthly
cem@example.org,Cem,vision,monthly
"""


class Desk:
    """A desk that is open."""

    def __init__(self, folder: Path, opened: preview.Preview) -> None:
        self.folder, self.opened = folder, opened
        parts = urlsplit(opened.url)
        assert parts.port is not None
        self.port, self.url, self.key = parts.port, f"http://127.0.0.1:{parts.port}", opened.url.partition("?key=")[2]
        self.cookie = f"digest-desk-{self.port}={self.key}"

    def ask(self, method: str, path: str, body: bytes | None = None, *, port: int = 0, **headers: str) -> Answer:
        """One request, redirects not followed; headers with _ for -, the cookie unless another is given."""
        sent = {"Cookie": self.cookie, **{name.replace("_", "-"): value for name, value in headers.items()}}
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=60)
        try:
            connection.request(method, path, body, {name: value for name, value in sent.items() if value})
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def token(self, page: str = f"/issues/{NAME}") -> str:
        """What forms of this desk carry."""
        found = re.search(r'name="token" value="(\w+)"', self.get(page).text)
        assert found is not None
        return found[1]

    def post(self, path: str, fields: dict[str, object] | None = None, *, token: str | None = None, **headers: str) -> Answer:
        """A form as our own page sends it."""
        given = {"token": self.token() if token is None else token, **(fields or {})}
        usual = {"Content_Type": "application/x-www-form-urlencoded", "Sec_Fetch_Site": "same-origin", "Origin": self.url}
        return self.ask("POST", path, urlencode(given, doseq=True).encode(), **{**usual, **headers})

    def edit(self, do: str, **fields: object) -> Answer:
        """One step of an editor."""
        return self.post(f"/issues/{NAME}/edit", {"do": do, **fields})

    def frame(self, page: str) -> str:
        """The address of the email that a page frames."""
        found = re.search(r'<iframe id="mail"[^>]* src="([^"]+)"', self.get(page).text)
        assert found is not None, "the page frames no email"
        return found[1].replace("&amp;", "&")

    def mail(self, page: str) -> Answer:
        """The email that a page frames, from where it frames it."""
        parts = urlsplit(self.frame(page))
        assert parts.port is not None
        return self.ask("GET", f"{parts.path}?{parts.query}", port=parts.port, Cookie="")


def make_desk_folder(folder: Path, *, drafted: bool = True, people: str = PEOPLE, config: str = CONFIG) -> Path:
    """A workspace with a few pieces, readers, and a draft."""
    made = make_workspace(folder, subscribers=people, config=config)
    write_summary(made, "one", "2026-04-15", "gut")
    write_summary(made, "two", "2026-04-16", "vision")
    write_summary(made, "three", "2026-04-17", "gut, vision")
    if drafted:
        from digest import jobs

        with open_workspace(made, ON) as workspace, workspace.store.alone():
            jobs.first_subscribers(workspace)
            gather.gather(workspace)
            issue.draft(workspace, "monthly")
    return made


@contextmanager
def sitting(folder: Path, asked: str = NAME, on: date | None = ON) -> Iterator[Desk]:
    """The desk on a free port, until the block ends."""
    ready, opened, failed = threading.Event(), [], []

    def tell(preview_: preview.Preview) -> None:
        opened.append(preview_)
        ready.set()

    def run() -> None:
        try:
            with open_workspace(folder, on) as workspace:
                asyncio.run(preview.serve(workspace, asked, on, 0, tell))
        except BaseException as error:
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(60)
    if failed:
        raise failed[0]
    try:
        yield Desk(folder, opened[0])
    finally:
        opened[0].end()
        thread.join(30)
        assert not thread.is_alive(), "the desk did not end"
        assert not failed, failed
