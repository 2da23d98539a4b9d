"""Most messages: an edition laid out for the wire with open places, and a reader's values that need no encoding put into them.

What nearly every reader has (a name of letters, an address without anything quoted, links of plain characters) is recognised by one
pattern for all values at once; nothing is left to encode then, and the message is one join. Whatever is out of the ordinary is made
by `digest.compose.message`, at length. Both give the same bytes: a property test holds it.
"""

from __future__ import annotations

import functools
import re
from binascii import b2a_base64
from collections.abc import Callable
from operator import itemgetter
from string import ascii_letters, digits
from typing import TYPE_CHECKING, NamedTuple

from digest.compose import header, wire
from digest.compose.edition import Edition
from digest.compose.parts import Body, Run, escape
from digest.compose.phrases import NAME, Phrases

if TYPE_CHECKING:
    from digest.compose.message import Envelope, Reader

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
        self._joined: tuple[list[bytes], Callable[[list[bytes]], tuple[bytes, ...]]] | None = None

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
        joined = self._joined
        if joined is None:
            if not self._used:
                self._used = True
                out = self._pieces.copy()
                for at, value in self._places:
                    out[at] = values[value]
                return b"".join(out)
            joined = self._joined = self._join()
        out = joined[0].copy()
        out[1::2] = joined[1](values)
        return b"".join(out)

    def _join(self) -> tuple[list[bytes], Callable[[list[bytes]], tuple[bytes, ...]]]:
        """One of what always stands together, so that fixed bytes and places alternate; and what takes the values for these."""
        ends = [at for at, _ in self._places]
        pieces: list[bytes] = []
        for before, at in zip([-1, *ends], [*ends, len(self._pieces)], strict=True):
            pieces += (b"".join(self._pieces[before + 1 : at]), b"")
        return pieces[:-1], itemgetter(*[value for _, value in self._places])


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
        before, after = b"", wire.SOFT_BREAK
        most: int | None = NAME
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


def make(edition: Edition, reader: Reader, envelope: Envelope, head: Callable[[Edition, Envelope], tuple[bytes, ...]]) -> bytes | None:
    """The message of an ordinary reader; None for any other. ``head`` gives the fields that all readers of an edition share.

    Raises:
        ValueError: the date is not in the form of RFC 5322, or the edition has a character that must not be on the wire.
    """
    name, email, message_id, mailto = reader.name, reader.email, envelope.message_id, reader.unsubscribe_mailto
    leave, preferences, web = reader.unsubscribe_url, reader.preferences_url, reader.web_url
    record = f"{name}\n{email}\n{message_id}\n{leave}\n{mailto}\n{preferences}\n{web}"
    if not _RECORD.fullmatch(record) or len(record) > _RECORD_CHARACTERS or len(email) > _ADDRESS:
        return None
    values = record.encode().split(b"\n")
    to = greeted = values[0]
    if not record.isascii():  # which only a name can be
        if len(name) > NAME:
            return None
        greeted, to = wire.coded(greeted), _word(greeted)
        values[0] = to
    look = (name != "", mailto != "", len(message_id) > header.ID)
    key = (
        look,
        envelope.sender,
        envelope.reply_to,
        envelope.list_id,
        envelope.feedback_id,
    )
    moulds: dict[tuple[object, ...], Mould] = edition.moulds
    mould = moulds.get(key)
    if mould is None:
        if len(moulds) >= _MOULDS:
            moulds.clear()
        mould = moulds[key] = Mould(edition, head(edition, envelope), named=look[0], mailto=look[1], long_id=look[2])
    if len(to) + len(email) > _TO or len(greeted) > mould.longest_name:
        return None
    _, _, _, leave_shown, _, preferences_shown, web_shown = values
    if len(preferences) > wire.ROW or len(leave) > wire.ROW or len(web) > wire.ROW:
        leave_shown, preferences_shown, web_shown = wire.rows(leave_shown), wire.rows(preferences_shown), wire.rows(web_shown)
    values += (date_field(envelope.date), greeted, leave_shown, preferences_shown, web_shown)
    return mould.fill(values)


_MOULDS = 4  # of an edition, of about 60 KB each


@functools.lru_cache(256)
def date_field(date: str) -> bytes:
    """The Date field on the wire; many readers' messages bear the same."""
    return header.whole_lines(header.date_field(date))


_Q = {octet: f"={octet:02X}".encode() for octet in range(256)} | {ord(one): one.encode() for one in ascii_letters + digits + "-!*+/"}
_Q[0x20] = b"_"


def _word(name: bytes) -> bytes:
    """A name of letters as one encoded word (RFC 2047), in the shorter of its two codes, as `email.header` chooses."""
    quoted = b"".join([_Q[octet] for octet in name])
    if (len(name) + 2) // 3 * 4 < len(quoted):
        return b"=?utf-8?b?%b?=" % b2a_base64(name, newline=False)
    return b"=?utf-8?q?%b?=" % quoted
