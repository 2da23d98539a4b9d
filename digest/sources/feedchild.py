"""Parses one feed in a process of its own, with limits: run by feed.py as a script, never imported by the program.

Reads from stdin one line of JSON (``{"url", "content_type"}``) and then the bytes of the feed; writes the JSON that
``reduce`` returns to stdout. Imports nothing of ours, so that starting it costs little more than importing feedparser.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

MEMORY_BYTES = 256 * 1024 * 1024  # address space; the largest feed allowed, 5 MiB with 20,000 entries, needs a third of it
CPU_S = 10  # the 20,000 entries take 4; XML nested a million deep would take 25
MAX_ENTRIES = 5000
MAX_FIELD = 200_000  # characters of one value
PLAIN_KEYS = ("title", "link", "id", "published", "updated", "created", "expired", "language", "feedburner_origlink")
DOI_KEYS = ("prism_doi", "prism_url", "dc_identifier", "identifier", "id", "guid", "link", "feedburner_origlink")
HARMLESS = ("CharacterEncodingOverride", "NonXMLContentType")


def limit() -> None:
    """Take from this process what a feed does not need."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))


def reduce(content: bytes, url: str, content_type: str) -> dict[str, Any]:
    """What we use of a feed, as plain JSON.

    ``{"version", "broken", "language", "total", "cut_entry", "entries": [{"title": {"value", "type"}, …}]}``; ``broken`` is
    the parser's complaint about XML that is not well-formed, ``cut_entry`` says that the last entry broke off, ``total``
    counts the entries there are, of which at most ``MAX_ENTRIES`` follow. ``{"failed": reason}`` where the parser gave up.
    """
    import feedparser

    headers = {"content-location": url}
    if content_type:
        headers["content-type"] = content_type
    try:
        found = feedparser.parse(content, response_headers=headers, sanitize_html=False, resolve_relative_uris=False)
    except MemoryError:
        raise
    except Exception as error:  # on mangled bytes feedparser fails in ways that it does not name
        return {"failed": f"{type(error).__name__}: {error}"[:200]}
    trouble = found.get("bozo_exception") if found.bozo else None
    broken = "" if trouble is None or type(trouble).__name__ in HARMLESS else f"{type(trouble).__name__}: {trouble}"
    entries = found.entries
    return {
        "version": found.get("version") or "",
        "broken": broken[:300],
        "language": _text(dict.get(found.feed, "language")),
        "total": len(entries),
        "cut_entry": bool(broken) and _ends_inside_an_entry(content, found.get("encoding") or "utf-8"),
        "entries": [_entry(entry) for entry in entries[:MAX_ENTRIES]],
    }


def _ends_inside_an_entry(content: bytes, encoding: str) -> bool:
    try:
        tail = content[-400_000:].decode(encoding, "replace")
    except LookupError:
        tail = content[-400_000:].decode("latin-1")
    begins = [match.start() for match in re.finditer(r"<(?:\w+:)?(?:item|entry)[\s>]", tail)]
    ends = [match.start() for match in re.finditer(r"</(?:\w+:)?(?:item|entry)\s*>", tail)]
    return bool(begins) and begins[-1] > (ends[-1] if ends else -1)


def _text(value: Any) -> str:
    return value[:MAX_FIELD] if isinstance(value, str) else ""


def _entry(entry: Any) -> dict[str, Any]:
    # dict.get: feedparser's own get() gives "published" for "updated", and warns.
    found: dict[str, Any] = {key: _text(dict.get(entry, key)) for key in PLAIN_KEYS}
    found["title"] = _detail(dict.get(entry, "title_detail")) or {"value": found["title"], "type": ""}
    found["summary"] = _detail(dict.get(entry, "summary_detail")) or {"value": _text(dict.get(entry, "summary")), "type": ""}
    found["content"] = [_detail(part) for part in dict.get(entry, "content") or [] if _detail(part)][:4]
    found["links"] = [
        {key: _text(dict.get(link, key)) for key in ("rel", "type", "href")} for link in (dict.get(entry, "links") or [])[:20] if link
    ]
    names = [_text(dict.get(author, "name")) for author in dict.get(entry, "authors") or [] if isinstance(author, dict)]
    found["authors"] = [name for name in names if name][:100] or [name for name in [_text(dict.get(entry, "author"))] if name]
    found["tags"] = [_text(dict.get(tag, "label") or dict.get(tag, "term")) for tag in (dict.get(entry, "tags") or [])[:100]]
    found["identifiers"] = [_text(dict.get(entry, key)) for key in DOI_KEYS if dict.get(entry, key)]
    found["journal"] = _text(dict.get(entry, "prism_publicationname"))
    for key in ("published", "updated", "created"):
        parsed = dict.get(entry, f"{key}_parsed")
        found[f"{key}_parsed"] = list(parsed)[:6] if parsed else None
    return found


def _detail(value: Any) -> dict[str, str] | None:
    if not isinstance(value, dict) or not isinstance(dict.get(value, "value"), str):
        return None
    return {"value": dict.__getitem__(value, "value")[:MAX_FIELD], "type": _text(dict.get(value, "type"))}


def main() -> None:
    """Limits first, then the input: nothing of it is looked at without them."""
    limit()
    head = json.loads(sys.stdin.buffer.readline())
    content = sys.stdin.buffer.read()
    answer = reduce(content, head["url"], head["content_type"])
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
