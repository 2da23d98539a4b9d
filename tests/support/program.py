"""A program that calls the admin's API with a key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

from digest import api_keys
from digest.scopes import SCOPES
from tests.support.site import Answer, Site

API = "/api/v1"
MUCH = "api: {calls_per_hour: 1000000}\n"  # for tests that are not about how much a key may ask


class Program:
    """One key at one site."""

    def __init__(self, site: Site, name: str, scopes: Sequence[str] = tuple(SCOPES), expires: date | None = None) -> None:
        self.site, self.name = site, name
        with site.open() as workspace:
            self.key, self.token = api_keys.add(workspace, name, scopes, expires)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One call; ``body`` goes as JSON unless it is bytes."""
        sent = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Authorization": f"Bearer {self.token}", **({"Content_Type": "application/json"} if sent is not None else {})}
        return self.site.ask(method, API + path, sent, **{**given, **headers})

    def get(self, path: str, status: int = 200) -> Any:
        """What a GET answers."""
        return self._told(self.ask("GET", path), status)

    def post(self, path: str, body: Any = None, status: int = 200, **headers: str) -> Any:
        """What a POST answers."""
        return self._told(self.ask("POST", path, body, **headers), status)

    def _told(self, answer: Answer, status: int) -> Any:
        assert answer.status == status, f"{answer.status}: {answer.text}"
        return json.loads(answer.body) if answer.body else None


def problem(answer: Answer) -> tuple[int, str]:
    """The status of a problem, and the end of its type."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    told = json.loads(answer.body)
    assert told["status"] == answer.status and told["title"] and told["detail"]
    return answer.status, told["type"].removeprefix("urn:digest:problem:")
