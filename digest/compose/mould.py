"""Most messages: an edition laid out for the wire with open places, and a reader's values that need no encoding put into them.

What nearly every reader has (a name of letters, an address without anything quoted, links of plain characters) is recognised by one
pattern for all values at once; nothing is left to encode then, and the message is one join. Whatever is out of the ordinary is made
by `digest.compose.message`, at length. Both give the same bytes: a property test holds it.
"""

from __future__ import annotations

import functools
import re
from binascii import b2a_base64
from collections.abc import Callable, Sequence
from operator import itemgetter
from string import ascii_letters, digits
from typing import TYPE_CHECKING, NamedTuple

from digest.compose import header, wire
from digest.compose.edition import Edition
from digest.compose.parts import EDITION_SLOTS, Body, Run, escape
from digest.compose.phrases import NAME, Phrases
from digest.errors import RenderError

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
_LINE = 12  # what an edition says in the part at hand
# They stand for the values where a mould is made, each known by being itself; so none is of one character, which Python has but once.
_PLACES = [b"place %d" % n for n in range(12)]

# A message's head has a shape: which of these it has.
_NAMED, _MAILTO_TOO, _LONG_ID = 1, 2, 4


class Laid(NamedTuple):
    """A run as a message has it: ``wires`` with something to be put in at ``places``, each counted from the end and with the place
    of its value in the list of values.

    A name of ``longest`` bytes fits its greeting (-1: none does), which is one of ``greetings``; None where it has no greeting.
    """

    wires: tuple[bytes, ...]
    places: tuple[tuple[int, int], ...]
    greetings: Phrases | None
    longest: int


def _lay(run: Run, greetings: Phrases, *, named: bool, html: bool) -> Laid:
    """A run laid out.

    Raises:
        ValueError: it cannot go over the wire as it is, see `Piece.sound`.
    """
    if not run.sound:
        raise ValueError("the message has a character that must not be on the wire")
    longest, greets = NAME, False
    wires: list[bytes] = []
    taken: list[tuple[int, int]] = []
    fixed: list[bytes] = []
    for piece in run.pieces:
        after = b"" if piece.slot in EDITION_SLOTS else wire.SOFT_BREAK
        if not piece.slot:
            fixed.append(piece.wire)
            continue
        if piece.slot == "GREETING":
            greets = True
            around = _greeting_around(greetings, named=named, html=html)
            if around is None:
                return Laid((), (), greetings, -1)
            before, after, most = around
            fixed.append(before)
            if most is None:  # the same for everybody
                fixed.append(after)
                continue
            longest = min(longest, most)
        taken.append((len(wires) + 1, _SLOTS.get(piece.slot, _LINE)))
        wires += (b"".join(fixed), b"")
        fixed = [after]
    wires.append(b"".join(fixed))
    return Laid(tuple(wires), tuple((at - len(wires), value) for at, value in taken), greetings if greets else None, longest)


def _head(values: Sequence[bytes], shape: int, fixed: tuple[bytes, ...]) -> list[bytes]:
    """The header block of a message."""
    out = [b"To: ", values[_NAME], b" <", values[_EMAIL], b">\r\n"] if shape & _NAMED else [b"To: ", values[_EMAIL], b"\r\n"]
    out += (values[_DATE], b"Message-ID:\r\n " if shape & _LONG_ID else b"Message-ID: ", values[_MESSAGE_ID])
    out += (b"\r\nList-Unsubscribe: <", values[_LEAVE])
    if shape & _MAILTO_TOO:
        out += (b">,\r\n <", values[_MAILTO])
    out += (b">\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n", *fixed)
    return out


def _pieces(edition: Edition, values: Sequence[bytes], shape: int, fixed: tuple[bytes, ...]) -> tuple[list[bytes], int]:
    """A message in pieces; and the longest greeted name in bytes that they are right for (-1: none).

    Raises:
        ValueError: it has a character that must not be on the wire.
        RenderError: a part lacks its line.
    """
    out = _head(values, shape, fixed)
    named, greetings = shape & _NAMED, edition.greetings
    longest = NAME if named else 0
    if edition.plain_text:
        bodies: tuple[tuple[Body, bytes, int], ...] = ((edition.text, b"\r\n", named),)
        end = b""
    else:
        before_text, before_html, end = edition.part_heads
        bodies = ((edition.text, before_text, named), (edition.html, before_html, named + 2))
    values = [*values, b""]
    for body, head, kind in bodies:
        out.append(head)
        for run, line in body.spots:
            if line is not None:
                values[_LINE] = line.sound_wire
            elif run.lines:  # it would get the one of the part before
                raise RenderError("a part has a line that its edition does not say; draft the issue again")
            laid: Laid | None = run.laid[kind]
            if laid is None or not (laid[2] is None or laid[2] is greetings or laid[2] == greetings):
                laid = run.laid[kind] = _lay(run, greetings, named=bool(named), html=kind > 1)
            wires, places, greeted, most = laid
            out += wires
            for at, value in places:
                out[at] = values[value]
            if greeted is not None and most < longest:
                longest = most
        # The line break before a boundary belongs to the boundary: a soft one before it would be one too many.
        if edition.plain_text or not body.ends_in_slot:
            at = len(out) - 1
            while not out[at]:
                at -= 1
            out[at] = out[at].removesuffix(wire.SOFT_BREAK)
    out.append(end)
    return out, longest


class Mould:
    """The fixed bytes of an edition's messages of one shape, and which value belongs between them.

    It is made when the edition has its second message: where everybody has an edition of their own, it would only cost.
    """

    def __init__(self, pieces: Sequence[bytes], longest: int) -> None:
        self.longest = longest
        places = {id(place): n for n, place in enumerate(_PLACES)}
        fixed: list[bytes] = []
        taken, since = [], 0
        for at, piece in enumerate(pieces):
            if (place := places.get(id(piece))) is not None:
                fixed += (b"".join(pieces[since:at]), b"")
                taken.append(place)
                since = at + 1
        self._pieces = [*fixed, b"".join(pieces[since:])]
        self._taken = itemgetter(*taken)

    def fill(self, values: list[bytes]) -> bytes:
        """The message: every value in its places."""
        out = self._pieces.copy()
        out[1::2] = self._taken(values)
        return b"".join(out)


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
    email, name, leave, preferences, web, mailto = reader
    message_id, date, sender, reply_to, list_id, feedback_id = envelope
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
    shape = (_NAMED if name else 0) + (_MAILTO_TOO if mailto else 0) + (_LONG_ID if len(message_id) > header.ID else 0)
    if len(to) + len(email) > _TO:
        return None
    _, _, _, leave_shown, _, preferences_shown, web_shown = values
    if len(preferences) > wire.ROW or len(leave) > wire.ROW or len(web) > wire.ROW:
        leave_shown, preferences_shown, web_shown = wire.rows(leave_shown), wire.rows(preferences_shown), wire.rows(web_shown)
    values += (date_field(date), greeted, leave_shown, preferences_shown, web_shown)
    frame = (sender, reply_to, list_id, feedback_id)
    kept = edition.moulds.get(shape)
    if kept is None or kept[0] != frame:
        pieces, longest = _pieces(edition, values, shape, head(edition, envelope))
        edition.moulds[shape] = (frame, None)
        return b"".join(pieces) if len(greeted) <= longest else None
    mould: Mould | None = kept[1]
    if mould is None:
        mould = Mould(*_pieces(edition, _PLACES, shape, head(edition, envelope)))
        edition.moulds[shape] = (frame, mould)
    return mould.fill(values) if len(greeted) <= mould.longest else None


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
