"""Text as it travels: quoted-printable lines of at most 76 characters (RFC 2045), made so that pieces can be joined."""

from __future__ import annotations

import re

_UNSAFE = re.compile(rb"[^\x21-\x3c\x3e-\x7e ]")
_HEX = {bytes((octet,)): b"=%02X" % octet for octet in range(256)}
# One short line with nothing to escape and nothing that a row must not begin with: nearly every value of a reader.
_EASY = re.compile(r"(?!From )[!-\-/-<>-~][ -<>-~]{0,72}")
SOFT_BREAK = b"=\r\n"
ROW = 73  # 76 less the soft break's "=" and the two characters that `_harmless` may add
_EQUALS = ord("=")


def encode(text: str) -> bytes:
    """``text`` in quoted-printable, beginning and ending at the start of a line, so that pieces simply follow each other.

    A line feed becomes a real line break (CRLF); a piece that ends without one ends with a soft one.
    """
    if _EASY.fullmatch(text):
        return text.encode() + SOFT_BREAK
    *lines, last = text.encode().split(b"\n")
    out = [_line(coded(line), soft_end=False) for line in lines]
    if last:
        out.append(_line(coded(last), soft_end=True))
    return b"".join(out)


def coded(raw: bytes) -> bytes:
    """Everything in it escaped that has to be, wherever it stands in a row."""
    return _UNSAFE.sub(_hex, raw)


def rows(safe: bytes) -> bytes:
    """A value of characters that need no coding, on as many rows as it takes, without the break that ends the last."""
    return _line(safe, soft_end=True).removesuffix(SOFT_BREAK)


def _hex(found: re.Match[bytes]) -> bytes:
    return _HEX[found.group()]


def _line(safe: bytes, *, soft_end: bool) -> bytes:
    if not soft_end and safe.endswith(b" "):
        safe = safe[:-1] + b"=20"  # a blank at the end of a line may be lost on the way
    rows, start = [], 0
    while len(safe) - start > ROW:
        stop = start + ROW
        if safe[stop - 1] == _EQUALS:  # never cut inside =XX
            stop -= 1
        elif safe[stop - 2] == _EQUALS:
            stop -= 2
        rows.append(_harmless(safe[start:stop]))
        start = stop
    rows.append(_harmless(safe[start:]))
    return SOFT_BREAK.join(rows) + (SOFT_BREAK if soft_end else b"\r\n")


def _harmless(row: bytes) -> bytes:
    """A row that SMTP (a leading dot) and mailbox files (a leading "From ") leave as it is."""
    if row.startswith(b"."):
        return b"=2E" + row[1:]
    return b"=46" + row[1:] if row.startswith(b"From ") else row


def size(text: str) -> int:
    """Bytes of ``text`` as a reader's program has it after decoding: UTF-8 with CRLF."""
    return len(text.encode()) + text.count("\n")
