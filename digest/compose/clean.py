"""Text from outside, made fit to be shown: no control characters, no reordering, one space at a time."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote, urlsplit, urlunsplit

# C0 and C1 controls, line and paragraph separators: all of them can end or hide a line somewhere on the way.
_BREAKS = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+")
# Explicit directions reach beyond the text they stand in and let "gpj.exe" read "exe.jpg"; a byte order mark and the
# annotation characters show nothing; U+E000..U+E00F are ours (`markers`); surrogates and noncharacters cannot be encoded.
_UNWANTED = re.compile(
    "[\u061c\u200b\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\uffff\ue000-\ue00f\ufdd0-\ufdef\ud800-\udfff"
    + "".join(chr(plane << 16 | end) for plane in range(1, 17) for end in (0xFFFE, 0xFFFF))
    + "]"
)


def clean(text: str) -> str:
    """One line without control characters, direction overrides or runs of blanks; a no-break space stays one."""
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip(" ")
    return _BREAKS.sub(" ", _UNWANTED.sub("", text)).strip(" ")


def clean_header(text: str) -> str:
    """The same for a header, where ``=?`` could begin an encoded word that hides a line break (RELIABILITY F4)."""
    return clean(text.replace("\xa0", " ")).replace("=?", "= ?")


def paragraphs(text: str) -> tuple[str, ...]:
    """The lines of a text of several, each clean, empty ones left out."""
    return tuple(line for line in (clean(part) for part in re.split(r"[\r\n]+", text)) if line)


def link(url: str) -> str:
    """An https address in the one spelling that every step leaves alone: ASCII, percent-encoded, no slot can hide in it.

    ``http`` becomes ``https``: no message carries an unprotected link (EMAIL section 1, 17 and 22).

    Raises:
        ValueError: not a web address.
    """
    parts = urlsplit(clean(url).replace(" ", "%20"))
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise ValueError(f'"{clean(url)[:80]}" is not a web address')
    if parts.username is not None:
        raise ValueError("a link must not carry a user name")
    host = parts.hostname if parts.hostname.isascii() else _idna(parts.hostname)
    port = f":{parts.port}" if parts.port not in (None, 80, 443) else ""
    # Exactly what libxml2 leaves alone in an href, so that text and HTML show the same address.
    path, query, fragment = (_quoted(part) for part in (parts.path, parts.query, parts.fragment))
    return urlunsplit(("https", f"{host}{port}", path, query, fragment))


def _quoted(part: str) -> str:
    return quote(part, safe="/:=?;%&,+-._~!*'()@").replace("@@", "%40%40")


def _idna(host: str) -> str:
    import idna

    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise ValueError(f'"{host}" is not a host name') from error


def runs_right_to_left(text: str) -> bool:
    """Whether the first letter that has a direction runs from right to left."""
    for character in text:
        kind = unicodedata.bidirectional(character)
        if kind in ("L", "R", "AL"):
            return kind != "L"
    return False
