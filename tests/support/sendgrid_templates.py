"""The stand-in's Templates API, as ``tsg_templates_v3.json`` has it; GUESS marks what that does not say."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support import handlebars
from tests.support.sendgrid_rules import SCHEMA_FILE, error

MOST = 300
MAX_CONTENT = 1_048_576
PREFIX = "/v3/templates"
Answer = tuple[int, Any]


@cache
def _validators() -> Mapping[str, Any]:
    """By what is posted; empty where file or package is absent."""
    try:
        import jsonschema

        document = json.loads(SCHEMA_FILE.with_name("tsg_templates_v3.json").read_text(encoding="utf-8"))
    except (ImportError, OSError):
        return {}
    template = document["paths"]["/v3/templates"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    version = document["components"]["schemas"]["TransactionalTemplateVersionCreate"]
    shared = {"components": document["components"]}
    return {name: jsonschema.Draft202012Validator({**one, **shared}) for name, one in (("template", template), ("version", version))}


@dataclass
class Templates:
    """The templates of an account."""

    random: random.Random = field(default_factory=lambda: random.Random(1))
    most: int = MOST
    page: int = 200  # most in a page
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)
    made: int = 0

    def __post_init__(self) -> None:
        self.lock = threading.Lock()

    def active(self) -> dict[str, Mapping[str, Any]]:
        """The active version of every dynamic template that has one."""
        with self.lock:
            found = [(one["id"], version) for one in self.kept.values() for version in one["versions"] if version["active"] == 1]
            return dict(found)

    def answer(self, method: str, path: str, raw: bytes) -> Answer:
        """Status and body of one request."""
        where = urlsplit(path)
        steps = where.path.removeprefix(PREFIX).strip("/").split("/")
        body: Any = None
        if method == "POST":
            try:
                body = json.loads(raw)
            except ValueError:
                return 400, _refused("Bad Request")
        with self.lock:
            match method, steps:
                case "POST", [""]:
                    return self._create(body)
                case "GET", [""]:
                    return self._list(parse_qs(where.query))
                case "GET", [id] if id in self.kept:
                    return 200, self.kept[id]
                case "DELETE", [id] if id in self.kept:
                    del self.kept[id]
                    return 204, None
                case "POST", [id, "versions"] if id in self.kept:
                    return self._add_version(self.kept[id], body)
        return 404, {"error": "template not found"}

    def _create(self, body: Any) -> Answer:
        if refused := _schema("template", body, {"name", "generation"}):
            return 400, refused
        if len(self.kept) >= self.most:
            return 400, _refused("You have reached your limit of templates")  # GUESS
        self.made += 1
        generation = body.get("generation", "legacy")
        made = f"{'d-' if generation == 'dynamic' else ''}{self.random.randbytes(16).hex()}"
        self.kept[made] = {"id": made, "name": body["name"], "generation": generation, "updated_at": "2026-05-01 08:00:00", "versions": []}
        return 201, self.kept[made]

    def _list(self, query: Mapping[str, list[str]]) -> Answer:
        size = query.get("page_size", [""])[0]
        if not size.isdigit() or not 1 <= int(size) <= 200 or set(query) - {"page_size", "page_token", "generations"}:
            return 400, _refused("page_size must be between 1 and 200")
        generations = query.get("generations", ["legacy"])[0].split(",")
        rows = [one for one in self.kept.values() if one["generation"] in generations]
        at, size_ = int(query.get("page_token", ["0"])[0]), min(int(size), self.page)
        about: dict[str, Any] = {"self": f"https://api.sendgrid.com{PREFIX}", "count": len(rows)}
        if at + size_ < len(rows):
            about["next"] = f"https://api.sendgrid.com{PREFIX}?page_token={at + size_}&page_size={size}"
        shown = [{**one, "versions": [_lean(version) for version in one["versions"]]} for one in rows[at : at + size_]]
        return 200, {"result": shown, "_metadata": about}

    def _add_version(self, template: dict[str, Any], body: Any) -> Answer:
        known = {"name", "active", "subject", "html_content", "plain_content", "generate_plain_content", "editor", "test_data"}
        if refused := _schema("version", body, known):
            return 400, refused
        for name in ("html_content", "plain_content"):
            if len(body.get(name, "").encode()) > MAX_CONTENT:
                return 400, _refused(f"{name} is larger than {MAX_CONTENT} bytes")
        made = {"plain_content": "generated", "generate_plain_content": True, "editor": "code", "html_content": "", **body}
        if made["generate_plain_content"]:
            made["plain_content"] = "generated"
        try:
            for name in ("subject", "html_content", "plain_content"):
                handlebars.parse(made[name])
        except handlebars.NotDocumented as broken:  # SendGrid takes it, and drops the mail later: here it is seen
            return 400, _refused(f"stand-in: {name}: {broken}")
        made["active"] = 1 if not template["versions"] else body.get("active", 0)
        if made["active"]:
            for other in template["versions"]:
                other["active"] = 0
        made |= {"id": self.random.randbytes(16).hex(), "template_id": template["id"], "updated_at": "2026-05-01 08:00:00"}
        template["versions"].append(made)
        return 201, made


def _lean(version: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: version[name] for name in ("id", "template_id", "active", "name", "subject", "updated_at")}


def _schema(kind: str, body: Any, known: set[str]) -> Any:
    validator = _validators().get(kind)
    found = [one.message[:200] for one in validator.iter_errors(body)] if validator else []
    if isinstance(body, dict):
        found += [f"Additional property {name} is not allowed." for name in sorted(body.keys() - known)]
    return _refused(*found) if found else None


def _refused(*messages: str) -> Any:
    return {"errors": [error(message) for message in messages]}
