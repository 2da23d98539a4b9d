"""Text cut to a length people see: counted in grapheme clusters, ended at a sentence or a word."""

from __future__ import annotations

import functools
import re

import regex

_CLUSTERS = regex.compile(r"\X")
# No two of these are one cluster: nothing combines below U+0300, nor among dashes, quotation marks, dots. CR LF would be one.
_SINGLE = re.compile(r"[\x00-\x0c\x0e-\u02ff\u2010-\u2027]*")
# A full stop ends a sentence if a space and no small letter follow; Chinese, Japanese and Devanagari stops need no space.
_SENTENCE_END = regex.compile(r"(?:[.!?؟][\"'”’)\]]*(?=\s+[^\p{Ll}\s])|[。！？।])")
_ABBREVIATION = regex.compile(r"(?:\b(?:e\.g|i\.e|vs|cf|approx|al|dr|prof|st|no|fig|etc|bzw|ca|z\.b)|\b\p{Lu})\.$", regex.I)
_LOOSE_END = " ,;:–—-([{/\u00a0«„“‘"


def clusters(text: str) -> list[str]:
    """What a reader sees as single characters: an emoji family is one, a letter with its accents too."""
    return list(text) if _SINGLE.fullmatch(text) else list(_CLUSTERS.findall(text))


def count(text: str) -> int:
    """How many of them there are."""
    return len(text) if _SINGLE.fullmatch(text) else len(clusters(text))


def cut(text: str, limit: int) -> str:
    """``text`` if it has at most ``limit`` grapheme clusters, else its beginning and an ellipsis, together no longer.

    Ends after a sentence if one ends in the last two fifths, else after a word, and between two clusters where a script
    has no spaces. Never longer than 12 bytes a cluster on average, so that a pile of accents cannot fill an email.
    """
    return text if len(text) <= limit and text.isascii() else _cut(text, limit)


@functools.lru_cache(4096)
def _cut(text: str, limit: int) -> str:
    pieces = clusters(text)
    room = _within_bytes(pieces, limit, 12 * limit + 160)
    if room == len(pieces):
        return text
    kept = "".join(pieces[: max(room - 2, 0)])
    sentence = _last_sentence(kept + " A", at_least=int(len(kept) * 0.6))
    if sentence:
        return f"{sentence} …"
    kept = "".join(pieces[: max(room - 1, 0)])
    if room - 1 < len(pieces) and not pieces[room - 1].isspace():
        head, space, _ = kept.rpartition(" ")
        if space and len(head) >= len(kept) // 2:
            kept = head
    return kept.rstrip(_LOOSE_END) + "…"


def _within_bytes(pieces: list[str], limit: int, max_bytes: int) -> int:
    total = 0
    for count, piece in enumerate(pieces):
        total += len(piece.encode())
        if count == limit or total > max_bytes:
            return count
    return len(pieces)


def _last_sentence(text: str, *, at_least: int) -> str:
    for end in reversed(list(_SENTENCE_END.finditer(text))):
        if end.end() < at_least:
            return ""
        if not _ABBREVIATION.search(text[: end.end()]):
            return text[: end.end()]
    return ""


def wrap(text: str, width: int = 72, indent: str = "") -> str:
    """Lines of at most ``width`` characters, broken at spaces; only an address may be longer. ``indent`` begins each line.

    A line break in ``text`` stays one. A no-break space is kept. Text without spaces breaks between grapheme clusters.
    """
    if not indent and "\n" not in text and "  " not in text:
        easy = _wrap_easy(text.strip(" "), width)
        if easy is not None:
            return easy
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in _short(re.split(r" +", paragraph.strip(" ")), width - len(indent)):
            if line and len(indent) + len(line) + 1 + len(word) > width:
                lines.append(indent + line)
                line = word
            else:
                line = f"{line} {word}" if line else word
        lines.append(indent + line if line else "")
    return "\n".join(lines)


def _wrap_easy(rest: str, width: int) -> str | None:
    """One paragraph, its words parted by single blanks; None where one of them is longer than a line."""
    lines = []
    while len(rest) > width:
        at = rest.rfind(" ", 0, width + 1)
        if at < 0:
            return None
        lines.append(rest[:at])
        rest = rest[at + 1 :]
    return "\n".join([*lines, rest])


def _short(words: list[str], width: int) -> list[str]:
    found: list[str] = []
    for word in words:
        if len(word) <= width or "://" in word or "@@" in word:
            found.append(word)
            continue
        piece = ""
        for cluster in clusters(word):
            if piece and len(piece) + len(cluster) > width:
                found.append(piece)
                piece = ""
            piece += cluster
        found.append(piece)
    return found
