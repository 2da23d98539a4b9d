"""Bytes of a web page or a saved file to text: what was declared, then what fits."""

from __future__ import annotations

import codecs
import re

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{2,40})""", re.I)
# What a web server or page calls one charset and every browser reads as another.
_WIDER = {
    "iso-8859-1": "windows-1252",
    "latin-1": "windows-1252",
    "latin1": "windows-1252",
    "us-ascii": "windows-1252",
    "ascii": "windows-1252",
}


def decode(content: bytes, content_type: str = "") -> str:
    """The text of ``content``.

    A byte order mark wins, then the charset of the ``Content-Type``, then the one in the page's head; a declaration that
    does not fit the bytes is passed over. Then UTF-8, then what the bytes look like, and Windows-1252 at last. Never fails.
    """
    for mark, name in _BOMS:
        if content.startswith(mark):
            return content.decode(name, "replace")
    named = re.search(r"charset\s*=\s*[\"']?\s*([\w.:-]{2,40})", content_type, re.I)
    inside = _DECLARED.search(content[:4096])
    for candidate in (named.group(1) if named else "", inside.group(1).decode("ascii", "replace") if inside else "", "utf-8"):
        if candidate and (text := _try(content, candidate.lower())) is not None:
            return text
    from charset_normalizer import from_bytes

    best = from_bytes(content[:200_000]).best()
    text = _try(content, best.encoding) if best else None
    return text if text is not None else content.decode("windows-1252", "replace")


def _try(content: bytes, name: str) -> str | None:
    if name in _WIDER:
        utf8 = _try(content, "utf-8") if not content.isascii() else None
        if utf8 is not None:  # Latin-1 takes any bytes; text that is valid UTF-8 is never meant as it
            return utf8
    try:
        info = codecs.lookup(_WIDER.get(name, name))
        return content.decode(info.name) if info._is_text_encoding else None
    except (LookupError, UnicodeDecodeError, ValueError):
        return None
