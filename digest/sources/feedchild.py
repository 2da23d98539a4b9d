"""Parses each feed in a process of its own, with limits: run by feedpool.py as a script, never imported by the program.

It imports feedparser once and then forks for each feed, which costs a few milliseconds where a new interpreter costs hundreds.
What parses has the limits, its own memory and nothing of its parent's but a pipe for its answer; what waits for it never looks
at a feed. Imports nothing of ours.

On stdin: two lengths of 4 bytes (big-endian), one line of JSON (``{"url", "content_type"}``), the bytes of the feed; and so on
until stdin ends. On stdout for each: a byte (0: parsed, 1: not), a length of 4 bytes, and the JSON that ``reduce`` returns, or the reason.
"""

from __future__ import annotations

import json
import os
import re
import struct
import sys
from typing import Any, BinaryIO

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


WARM = (
    b"<?xml version='1.0'?><rss version='2.0'><channel><item><title>a</title><description>&lt;p&gt;b</description></item></channel></rss>"
)


def main() -> None:
    """Answer until the input ends."""
    take, give = sys.stdin.buffer, sys.stdout.buffer
    reduce(WARM, "https://example.org/", "application/rss+xml")  # what feedparser imports late is imported once, here
    while lengths := take.read(8):
        head_bytes, content_bytes = struct.unpack(">II", lengths)
        head, content = json.loads(take.read(head_bytes)), take.read(content_bytes)
        good, answer = _apart(content, head["url"], head["content_type"])
        give.write(struct.pack(">BI", not good, len(answer)) + answer)
        give.flush()


def _apart(content: bytes, url: str, content_type: str) -> tuple[bool, bytes]:
    """Parse in a process of its own. Returns whether that ended well, and its answer or the reason."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _parse(os.fdopen(writes, "wb"), content, url, content_type)
        finally:
            os._exit(1)
    os.close(writes)
    with os.fdopen(reads, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return False, f"ended by signal {os.WTERMSIG(status)}".encode()
    if os.WEXITSTATUS(status) == 0:
        return True, answer
    return False, answer or b"ended without an answer"


def _parse(pipe: BinaryIO, content: bytes, url: str, content_type: str) -> None:
    """Limits first, then the content: nothing of it is looked at without them. Never returns."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):  # its parent's input and answers are none of its business
        os.dup2(nothing, standard)
    limit()
    try:
        answer, code = json.dumps(reduce(content, url, content_type)).encode(), 0
    except MemoryError:
        answer, code = b"MemoryError", 1
    except BaseException as error:
        answer, code = type(error).__name__.encode(), 1
    pipe.write(answer)
    pipe.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
