"""Somebody with a browser who logs in to the admin: keeps the cookie, sends forms as browsers do."""

from __future__ import annotations

import re
import time

from digest import signin, staff, totp
from digest.accounts import Person, Role
from tests.support.site import Answer, Site

PASSWORD = "quiet river stones"


def add(site: Site, name: str, role: Role = Role.ADMIN) -> Person:
    """A person with the password of all tests."""
    with site.open() as workspace:
        return staff.add(workspace, name, role, PASSWORD)


class Browser:
    """One browser at one site."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.cookies: dict[str, str] = {}
        self.csrf = ""

    def get(self, path: str, **headers: str) -> Answer:
        return self._taken(self.site.get(path, **self._cookie(), **headers))

    def post(self, path: str, fields: dict[str, object] | None = None, **headers: str) -> Answer:
        """A form of our own page; ``Origin`` and the form's token can be said otherwise."""
        sent = {"csrf": self.csrf, **(fields or {})}
        return self._taken(self.site.post(path, sent, **{"Origin": self.site.url, **self._cookie(), **headers}))

    def log_in(self, name: str, password: str = PASSWORD, to: str = "") -> Answer:
        return self.post("/admin/login", {"name": name, "password": password, "to": to})

    def enter(self, person: Person) -> Browser:
        """As if logged in a moment ago: without the cost of a password."""
        with self.site.open() as workspace:
            token = signin.begin(workspace, person, "127.0.0.0/24", "Test on Linux", code_first=False)
        self.cookies["digest"] = token
        self.csrf = signin.csrf(token)
        return self

    def _cookie(self) -> dict[str, str]:
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}

    def _taken(self, answer: Answer) -> Answer:
        for given in answer.cookies:
            name, _, value = given.partition(";")[0].partition("=")
            self.cookies[name] = value.strip('"')
            if not self.cookies[name]:
                del self.cookies[name]
        if found := re.search(r'name="csrf" value="([0-9a-f]+)"', answer.body.decode("utf-8", "replace")):
            self.csrf = found[1]
        return answer


def code_of(secret: bytes, later: int = 0) -> str:
    """What the authenticator app shows; ``later`` steps ahead, for a code is good once."""
    return totp.code(secret, int(time.time()) // totp.STEP_S + later)
