"""An edition and a reader's few values made into the bytes of one email."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from email import policy
from email.header import decode_header, make_header
from email.message import Message
from email.parser import HeaderParser, Parser
from email.utils import parseaddr
from typing import NamedTuple

from digest.compose import header, mould, wire
from digest.compose.clean import clean_header
from digest.compose.edition import Edition
from digest.compose.header import Address
from digest.compose.parts import Body, escape
from digest.compose.phrases import URL_BYTES
from digest.compose.teaser import cut
from digest.errors import DeliveryRejected, RenderError


class Reader(NamedTuple):
    """To whom, and that person's own links (https, no address in them). ``unsubscribe_mailto`` and ``name`` may be empty."""

    email: str
    name: str
    unsubscribe_url: str
    preferences_url: str
    web_url: str
    unsubscribe_mailto: str = ""


class Envelope(NamedTuple):
    """What is fixed before a message is made, so that making it again gives the same bytes.

    ``date`` is in the form of RFC 5322, ``message_id`` with its brackets, ``sender`` and ``reply_to`` mailboxes,
    ``list_id`` the ``label.domain`` of RFC 2919, ``feedback_id`` four identifiers with colons, or empty.
    """

    message_id: str
    date: str
    sender: str
    reply_to: str
    list_id: str
    feedback_id: str = ""


def html_of(edition: Edition, reader: Reader) -> str:
    """The HTML as one reader gets it."""
    return edition.html.fill({name: escape(value) for name, value in slots_of(edition, reader).items()})


def text_of(edition: Edition, reader: Reader) -> str:
    """The plain text as one reader gets it."""
    return edition.text.fill(slots_of(edition, reader))


def slots_of(edition: Edition, reader: Reader) -> dict[str, str]:
    """The reader's values by slot, plain (HTML still needs `parts.escape`): all that differs within an edition.

    Raises:
        ValueError: a link is not https or longer than 500 bytes.
    """
    return {
        "GREETING": edition.greetings.greeting(reader.name),
        "UNSUBSCRIBE": _link(reader.unsubscribe_url),
        "PREFERENCES": _link(reader.preferences_url),
        "WEB": _link(reader.web_url),
    }


def _link(url: str) -> str:
    if len(escape(url)) > URL_BYTES:
        raise ValueError(f"a link of a reader is longer than {URL_BYTES} bytes")
    return header.checked_url(url)


def make_message(edition: Edition, reader: Reader, envelope: Envelope) -> bytes:
    """The whole message (RFC 5322) with CRLF line ends, the same bytes for the same arguments.

    It is ASCII unless the reader's address has other letters before the ``@``, which then stand in To as they are (RFC 6532). No
    line begins with a dot.

    Raises:
        DeliveryRejected: the reader's address cannot be mailed to; the text does not repeat it.
        RenderError: the result would not have exactly the headers that were meant.
        ValueError: a link or a field of the envelope is malformed, or something has a character that must not be on the wire.
    """
    message = mould.make(edition, reader, envelope, _fixed_head)
    return _make_any(edition, reader, envelope) if message is None else message


def _make_any(edition: Edition, reader: Reader, envelope: Envelope) -> bytes:
    """A message for anybody, every value of theirs checked and encoded by itself."""
    to = header.address_of(reader.name, reader.email, utf8=True)
    addressed = header.mailbox_field("To", to)
    own = (
        addressed
        + header.date_field(envelope.date)
        + header.message_id_field(envelope.message_id)
        + header.unsubscribe_fields(reader.unsubscribe_url, reader.unsubscribe_mailto)
    ).encode()
    if not (own.isascii() or to.needs_utf8):
        raise ValueError("the message has a character that must not be on the wire")
    fixed = b"".join(_fixed_head(edition, envelope))
    if to.needs_utf8 or not _ORDINARY.fullmatch(to.name):
        # The one field that a reader has a hand in; the others are checked by form, or once for the edition.
        verify(addressed.encode() + b"\r\n", {"To": to}, parts=0)
    if not (edition.html.sound and edition.text.sound and header.WHOLE_LINES.fullmatch(own)):
        raise ValueError("the message has a character that must not be on the wire")
    plain, html = {}, {}
    for name, value in slots_of(edition, reader).items():
        plain[name] = coded = wire.encode(value)
        html[name] = coded if (shown := escape(value)) == value else wire.encode(shown)
    if edition.plain_text:
        return own + fixed + b"\r\n" + edition.text.fill_wire(plain).removesuffix(wire.SOFT_BREAK)
    first, second, last = edition.part_heads
    # The line break before a boundary belongs to the boundary: a soft one before it would be one too many.
    return b"".join((own, fixed, first, _unbroken(edition.text, plain), second, _unbroken(edition.html, html), last))


def _unbroken(body: Body, values: Mapping[str, bytes]) -> bytes:
    filled = body.fill_wire(values)
    return filled if body.ends_in_slot else filled.removesuffix(wire.SOFT_BREAK)


_ONE_PART = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n"
_ORDINARY = re.compile(r"[A-Za-z0-9]+(?:[ '-][A-Za-z0-9]+)*|")  # what no reader of headers can take for anything else


def _fixed_head(edition: Edition, envelope: Envelope) -> tuple[bytes, ...]:
    """The fields that all readers of an edition share. Each is made and verified once for all editions that share it, too."""
    before, after = _frame(edition.newsletter, envelope.sender, envelope.reply_to, envelope.list_id, envelope.feedback_id)
    return before, _subject(edition.subject), after, _kind(edition.boundary)


@functools.lru_cache(64)
def _kind(boundary: str) -> bytes:
    return (f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"\r\n' if boundary else _ONE_PART).encode("ascii")


@functools.lru_cache(512)
def _subject(subject: str) -> bytes:
    clean = clean_header(subject)
    if not clean:
        raise RenderError("the subject is empty; look at subject in templates/phrases.txt.j2")
    field = header.text_field("Subject", subject)
    verify(field.encode("ascii") + b"\r\n", {"Subject": clean}, parts=0)
    return header.whole_lines(field)


@functools.lru_cache(64)
def _frame(newsletter: str, sender: str, reply_to: str, list_id: str, feedback_id: str) -> tuple[bytes, bytes]:
    """The fields before the subject and those after it."""
    from_, answers = header.address(sender), header.address(reply_to)
    before = header.mailbox_field("From", from_) + header.mailbox_field("Reply-To", answers)
    after = (
        header.list_id_field(newsletter, list_id)
        + header.plain_field("Precedence", "bulk")
        + header.plain_field("Auto-Submitted", "auto-generated")
        + header.plain_field("X-Auto-Response-Suppress", "OOF, AutoReply")
        + (header.plain_field("Feedback-ID", feedback_id) if feedback_id else "")
        + header.plain_field("MIME-Version", "1.0")
    )
    meant = _shared(newsletter, "", from_, answers, list_id, feedback_id, "")
    verify((before + after).encode("ascii") + b"\r\n", {name: meant[name] for name in meant if name not in _EDITIONS_OWN}, parts=0)
    return header.whole_lines(before), header.whole_lines(after)


_EDITIONS_OWN = ("Subject", "Content-Type", "Content-Transfer-Encoding")


def _shared(
    newsletter: str, subject: str, sender: Address, reply_to: Address, list_id: str, feedback_id: str, boundary: str
) -> dict[str, str | Address]:
    clean = clean_header
    fields: dict[str, str | Address] = {
        "From": sender,
        "Reply-To": reply_to,
        "Subject": clean(subject),
        "List-Id": Address(cut(clean(newsletter), header.NAME_CLUSTERS), list_id),
        "Precedence": "bulk",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "OOF, AutoReply",
        "Feedback-ID": feedback_id,
        "MIME-Version": "1.0",
        **(
            {"Content-Type": f'multipart/alternative; boundary="{boundary}"'}
            if boundary
            else {"Content-Type": "text/plain; charset=utf-8", "Content-Transfer-Encoding": "quoted-printable"}
        ),
    }
    return {name: value for name, value in fields.items() if value or name != "Feedback-ID"}


def intended(edition: Edition, envelope: Envelope, reader: Reader, to: Address) -> dict[str, str | Address]:
    """The header fields that a message must have, decoded, in order."""
    sender, reply_to = header.address(envelope.sender), header.address(envelope.reply_to)
    uris = [f"<{reader.unsubscribe_url}>", *([f"<{reader.unsubscribe_mailto}>"] if reader.unsubscribe_mailto else [])]
    boundary = edition.boundary
    return {
        "To": to,
        "Date": envelope.date,
        "Message-ID": envelope.message_id,
        "List-Unsubscribe": ", ".join(uris),
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        **_shared(edition.newsletter, edition.subject, sender, reply_to, envelope.list_id, envelope.feedback_id, boundary),
    }


def verify(message: bytes, intended: Mapping[str, str | Address], *, parts: int = 2) -> None:
    """Parse the bytes again and compare them with what was meant: nothing more, nothing less, nothing else.

    Raises:
        RenderError: a field is missing, changed or was not meant, a line is too long or not ASCII, or the parts are not two.
        DeliveryRejected: the same for the field that holds the reader's name and address.
    """
    head, _, _ = message.partition(b"\r\n\r\n")
    to = intended.get("To")
    wide = to.email.encode() if isinstance(to, Address) and to.needs_utf8 else b""  # the only thing outside ASCII that may stand there
    for line in head.split(b"\r\n"):
        narrow = line.replace(wide, b"") if wide else line
        if len(line) > 998 or not line.strip() or re.search(rb"[^\x20-\x7e]", narrow):
            raise RenderError("a header line is empty, longer than 998 characters or has a character that must not be there")
    parser = Parser if parts else HeaderParser  # a new boundary costs the first a regular expression of its own
    # As text, because the parser of bytes gives no word outside ASCII back as it stood there.
    parsed: Message = parser(policy=policy.compat32).parsestr(message.decode("utf-8", "replace"))
    if parsed.keys() != list(intended):
        raise RenderError("the headers are not the ones that were meant; look for a line break or =? in a title or a name")
    for name, wanted in intended.items():
        if not _says(parsed[name], wanted):
            if name == "To":
                raise DeliveryRejected("the name or address cannot be written in a header")
            raise RenderError(f"the {name} header does not say what was meant")
    payload = parsed.get_payload()
    found = len(payload) if isinstance(payload, list) else 0
    if parts and (found != parts or parsed.defects):
        raise RenderError("the message does not have one part of text and one of HTML")


def _says(raw: str, wanted: str | Address) -> bool:
    unfolded = re.sub(r"\r?\n(?=[ \t])", "", raw).strip()
    if isinstance(wanted, Address):
        phrase, email = parseaddr(unfolded)
        return (str(make_header(decode_header(phrase))) if phrase else "", email) == (wanted.name, wanted.email)
    return str(make_header(decode_header(unfolded))) == wanted
