"""Most messages: an edition laid out for the wire with open places, and a reader's values that need no encoding put into them.

What nearly every reader has (a name of letters, an address without anything quoted, links of plain characters) is recognised by one
pattern for all values at once; nothing is left to encode then, and the message is one join. Whatever is out of the ordinary is made
by `digest.compose.message`, at length. Both give the same bytes: a property test holds it.
"""

from __future__ import annotations

import functools
import re
from binascii import b2a_base64
from operator import itemgetter
from typing import Any, NamedTuple

from digest.compose import header, wire
from digest.compose.edition import Edition
from digest.compose.parts import Body, Run, escape
from digest.compose.phrases import NAME, Phrases

_URL = r"https://[A-Za-z0-9.-]++(?::\d++)?+(?:/[!#%(-+\--;?A-Z_a-z~]*+)?+"  # no "=" and no "&", which are coded in a body
_RECORD = re.compile(
    r"(?:[^\W_]++(?:[ '-][^\W_]++)*+)?+\n"  # name
    r"[A-Za-z0-9_+-]++(?:\.[A-Za-z0-9_+-]++)*+@(?:[A-Za-z0-9]++(?:-++[A-Za-z0-9]++)*+\.)+[A-Za-z][A-Za-z0-9]*+(?:-++[A-Za-z0-9]++)*+\n"
    r"<[A-Za-z0-9._=+-]++@[A-Za-z0-9.-]++>\n"  # Message-ID
    rf"{_URL}\n"
    r"(?:mailto:[A-Za-z0-9._%+~=-]++@[A-Za-z0-9.-]++(?:\?subject=[A-Za-z0-9._~%=-]*+)?+)?+\n"
    rf"{_URL}\n{_URL}"
)
_TO = header.FOLD - len("To:  <>")  # of name and address together, on one line
_ADDRESS = 64  # so no part of it can be too long
_RECORD_CHARACTERS = 900  # so no line of the head can be too long
_LONG_URL = 2 * wire.ROW

# Where in the list of values each stands.
_NAME, _EMAIL, _MESSAGE_ID, _LEAVE, _MAILTO, _PREFERENCES, _WEB, _DATE, _GREETED, _LEAVE_SHOWN, _PREFERENCES_SHOWN, _WEB_SHOWN = range(12)
_SLOTS = {"GREETING": _GREETED, "UNSUBSCRIBE": _LEAVE_SHOWN, "PREFERENCES": _PREFERENCES_SHOWN, "WEB": _WEB_SHOWN}


class Mould:
    """The fixed bytes of an edition's messages, and which value belongs between them.

    At first it holds them as the edition's runs do, as many as there are; from its second message on joined as far as they go. So
    neither an edition of one reader nor one of thousands copies its bodies more often than it has to.
    """

    def __init__(self, edition: Edition, fixed: tuple[bytes, ...], *, named: bool, mailto: bool, long_id: bool) -> None:
        before, places = (b"To: ", b"", b" <", b"", b">\r\n") if named else (b"To: ", b"", b"\r\n"), []
        places = [(1, _NAME), (3, _EMAIL)] if named else [(1, _EMAIL)]
        self.longest_name = NAME if named else 0
        self._pieces: list[bytes] = [*before, b"", b"Message-ID:\r\n " if long_id else b"Message-ID: "]
        at = len(self._pieces)
        places += [(at - 2, _DATE), (at, _MESSAGE_ID), (at + 2, _LEAVE)]
        self._pieces += (b"", b"\r\nList-Unsubscribe: <", b"")
        if mailto:
            places.append((at + 4, _MAILTO))
            self._pieces += (b">,\r\n <", b"")
        self._pieces += (b">\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n", *fixed)
        self._places = places
        self._lay(edition, named=named)
        self._used = False
        self._pick: itemgetter[Any] | None = None

    def _lay(self, edition: Edition, *, named: bool) -> None:
        """The bodies, behind the head."""
        if edition.plain_text:
            self._pieces.append(b"\r\n")
            self._lay_body(edition.text, edition.greetings, named=named, html=False)
            self._pieces[-1] = self._pieces[-1].removesuffix(wire.SOFT_BREAK)
            return
        for body, head, is_html in ((edition.text, edition.part_heads[0], False), (edition.html, edition.part_heads[1], True)):
            self._pieces.append(head)
            self._lay_body(body, edition.greetings, named=named, html=is_html)
            if not body.runs[-1].pieces[-1].slot:
                # The line break before a boundary belongs to the boundary: a soft one before it would be one too many.
                self._pieces[-1] = self._pieces[-1].removesuffix(wire.SOFT_BREAK)
        self._pieces.append(edition.part_heads[2])

    def _lay_body(self, body: Body, greetings: Phrases, *, named: bool, html: bool) -> None:
        pieces, places, key = self._pieces, self._places, (named, html)
        for run in body.runs:
            if not run.places:
                pieces += run.wires
                continue
            opened: Opened | None = run.opened.get(key)
            if opened is None or opened.greetings not in (None, greetings):
                opened = run.opened[key] = _open(run, greetings, named=named, html=html)
            start = len(pieces)
            pieces += opened.wires
            for at, value in opened.places:
                places.append((start + at, value))
            if opened.longest_name < self.longest_name:
                self.longest_name = opened.longest_name

    def fill(self, values: list[bytes]) -> bytes:
        """The message: every value in its places."""
        if self._pick is None:
            if not self._used:
                self._used = True
                out = self._pieces.copy()
                for at, value in self._places:
                    out[at] = values[value]
                return b"".join(out)
            self._join()
        out = self._pieces.copy()
        out[1::2] = self._pick(values)  # type: ignore[misc]
        return b"".join(out)

    def _join(self) -> None:
        """Make one of what always stands together, so that fixed bytes and values alternate."""
        ends = [at for at, _ in self._places]
        self._pieces = [
            part
            for before, at in zip([-1, *ends], [*ends, len(self._pieces)], strict=True)
            for part in (b"".join(self._pieces[before + 1 : at]), b"")
        ][:-1]
        self._pick = itemgetter(*[value for _, value in self._places])


class Opened(NamedTuple):
    """A run with slots as `Mould` holds it: bytes, and where among them which value belongs.

    ``longest_name`` in bytes fits its greeting (-1: none does), which is one of ``greetings``; None where it has no greeting.
    """

    wires: tuple[bytes, ...]
    places: tuple[tuple[int, int], ...]
    longest_name: int
    greetings: Phrases | None


def _open(run: Run, greetings: Phrases, *, named: bool, html: bool) -> Opened:
    longest, done, greets = NAME, 0, False
    out: list[bytes] = []  # the run's own bytes, not joined: many runs share them
    places = []
    for at, slot in run.places:
        around: tuple[bytes, bytes, int | None] | None = b"", wire.SOFT_BREAK, NAME
        if slot == "GREETING":
            greets = True
            around = _greeting_around(greetings, named=named, html=html)
            if around is None:
                return Opened(run.wires, (), -1, greetings)
        before, after, most = around
        out += run.wires[done : at - 1]
        if before:
            out.append(before)
        if most is not None:  # not the same for everybody
            longest = min(longest, most)
            places.append((len(out), _SLOTS[slot]))
            out += (b"", after)
        done = at + 2
    return Opened((*out, *run.wires[done:]), tuple(places), longest, greetings if greets else None)


def _greeting_around(greetings: Phrases, *, named: bool, html: bool) -> tuple[bytes, bytes, int | None] | None:
    """What stands before and after a reader's name, and the longest name in bytes that keeps all on one row (None where the name
    is in it nowhere); None where a greeting cannot be taken apart so.
    """

    def coded(text: str) -> bytes:
        return wire.encode(escape(text) if html else text)

    if not named:
        text = coded(greetings.greeting(""))
        return (text, b"", None) if text.endswith(wire.SOFT_BREAK) else None
    (part,) = greetings.words["greeting"]
    if not part.slots:
        text = coded(greetings.greeting("Xx"))
        return (text, b"", None) if text.endswith(wire.SOFT_BREAK) else None
    text = coded(greetings.greeting("Xx"))
    before, _, after = text.partition(b"Xx")
    # A row that begins with the name, or with what could become "From " by it, is coded by what the name is.
    if part.slots != ("NAME",) or b"Xx" in after or b"From ".startswith(before) or text.count(b"\r\n") != 1:
        return None
    if not after.endswith(wire.SOFT_BREAK):
        return None
    return before, after, wire.ROW - len(before) - len(after) + len(wire.SOFT_BREAK)


def ordinary(
    name: str, email: str, message_id: str, leave: str, mailto: str, preferences: str, web: str, date: str
) -> tuple[list[bytes], int] | None:
    """The values in the order of their numbers, and how long the name is in a body; None where one is out of the ordinary.

    Raises:
        ValueError: the date is not in the form of RFC 5322.
    """
    record = f"{name}\n{email}\n{message_id}\n{leave}\n{mailto}\n{preferences}\n{web}"
    if not _RECORD.fullmatch(record) or len(record) > _RECORD_CHARACTERS or len(email) > _ADDRESS:
        return None
    values = record.encode().split(b"\n")
    greeted = values[0]
    if not record.isascii():  # which only a name can be
        phrase = _word(greeted)
        if phrase is None or len(name) > NAME:
            return None
        values[0] = phrase
        greeted = wire.encode(name).removesuffix(wire.SOFT_BREAK)
    if len(values[0]) + len(email) > _TO:
        return None
    shown = values[3], values[5], values[6]
    if len(leave) > wire.ROW or len(preferences) > wire.ROW or len(web) > wire.ROW:
        if max(map(len, shown)) > _LONG_URL:
            return None
        shown = wire.rows(shown[0]), wire.rows(shown[1]), wire.rows(shown[2])
    values += (date_field(date), greeted, *shown)
    return values, len(greeted)


@functools.lru_cache(256)
def date_field(date: str) -> bytes:
    """The Date field on the wire; many readers' messages bear the same."""
    return header.whole_lines(header.date_field(date))


_Q = [chr(octet) if chr(octet).isascii() and (chr(octet).isalnum() or chr(octet) in "-!*+/") else f"={octet:02X}" for octet in range(256)]
_Q[0x20] = "_"
_WORD = header.FOLD - 3 - len("To: ")


def _word(name: bytes) -> bytes | None:
    """A name of letters as one encoded word (RFC 2047), in the shorter code, as `email.header` chooses; None if it needs more."""
    quoted = "".join([_Q[octet] for octet in name])
    plain = (len(name) + 2) // 3 * 4
    if min(plain, len(quoted)) + len("=?utf-8?q??=") > _WORD:
        return None
    if plain < len(quoted):
        return b"=?utf-8?b?%b?=" % b2a_base64(name, newline=False)
    return f"=?utf-8?q?{quoted}?=".encode("ascii")
