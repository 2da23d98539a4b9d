"""A small strict writer of header fields (RFC 5322, 2047, 2369, 8058; RFC 6532 for one reader's address).

The `email` package is not used for writing: it encodes long List-Unsubscribe fields, and on some interpreters a name
such as ``=?utf-8?q?a=0AReply-To=3A…?=`` becomes a field of its own (RELIABILITY F4).
"""

from __future__ import annotations

import functools
import re
import unicodedata
from dataclasses import dataclass
from email.header import Header
from email.utils import parseaddr

from digest.compose.clean import clean_header
from digest.compose.teaser import cut
from digest.errors import DeliveryRejected

FOLD = 78
ID = FOLD - len("Message-ID: ")  # the longest that needs no line of its own
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LOCAL_BYTES = 64  # RFC 5321, 4.5.3.1.1
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?", re.I)
_MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_DATE = re.compile(rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{{1,2}} (?:{_MONTHS}) \d{{4}} \d\d:\d\d:\d\d [+-]\d{{4}}")
_HTTPS = re.compile(r"https://[A-Za-z0-9.-]+(?::\d+)?(?:/[A-Za-z0-9._~:/?#=;%&+!*()-]*)?")
_MAILTO = re.compile(r"mailto:[A-Za-z0-9._%+~=-]+@[A-Za-z0-9.-]+(?:\?subject=[A-Za-z0-9._~%=-]*)?")
_MESSAGE_ID = re.compile(r"<[A-Za-z0-9._=+-]+@[A-Za-z0-9.-]+>")
_LIST_ID = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_PLAIN = re.compile(r"[\x20-\x7e]+")
WHOLE_LINES = re.compile(rb"(?:(?!\.)[^\r\n]+\r\n)++")
NAME_CLUSTERS = 60
ONE_CLICK = "List-Unsubscribe=One-Click"  # what List-Unsubscribe-Post says (RFC 8058)


@dataclass(frozen=True)
class Address:
    """A mailbox ready for a header: ``name`` is clean and may be empty, ``email`` is ASCII unless it was asked for otherwise."""

    name: str
    email: str

    @property
    def needs_utf8(self) -> bool:
        """Whether only a server with SMTPUTF8 (RFC 6531) can carry it."""
        return not self.email.isascii()


@functools.lru_cache(1024)
def address(mailbox: str) -> Address:
    """``Name <a@b.org>`` or ``a@b.org`` taken apart and checked. See `address_of`."""
    name, email = parseaddr(mailbox)
    return address_of(name, email)


def address_of(name: str, email: str, *, utf8: bool = False) -> Address:
    """A display name that may be anything, and an address that must be one.

    ``utf8``: letters outside ASCII may stand before the ``@`` (RFC 6531). A domain is always written in ASCII.

    Raises:
        DeliveryRejected: not an address that can be carried. The text does not repeat it.
    """
    local, at, domain = email.rpartition("@")
    if not at:
        raise DeliveryRejected("the address has no @")
    if not local.isascii() and not utf8:
        raise DeliveryRejected("the address has letters outside ASCII before the @; only a mail server with SMTPUTF8 can carry it")
    if not domain.isascii():
        domain = _punycode(domain)
    if not _LOCAL.fullmatch(_in_ascii(local)) or len(local.encode("utf-8", "replace")) > _LOCAL_BYTES:
        raise DeliveryRejected("the part of the address before the @ is quoted, too long or malformed")
    if not _DOMAIN.fullmatch(domain) or len(domain) > 253:
        raise DeliveryRejected("the part of the address after the @ is not a domain")
    return Address(cut(clean_header(name), NAME_CLUSTERS) if name else "", f"{local}@{domain}")


def _in_ascii(local: str) -> str:
    """Letters, marks, digits, signs outside ASCII as an ``x`` each (RFC 6531, 3.3 lets them stand where an ``x`` may); what is
    invisible, a blank, or not in its composed form stays, and so is no address.
    """
    if local.isascii() or unicodedata.normalize("NFC", local) != local:
        return local
    return "".join("x" if not one.isascii() and unicodedata.category(one)[0] in "LMNPS" else one for one in local)


def _punycode(domain: str) -> str:
    import idna

    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise DeliveryRejected("the part of the address after the @ is not a domain") from error


def mailbox_field(field: str, mailbox: Address) -> str:
    """``To: Ana <ana@example.org>``, the name quoted or encoded where it must be."""
    if not mailbox.name:
        return f"{field}: {mailbox.email}\r\n"
    if not mailbox.name.isascii():
        phrase = _encoded(mailbox.name, len(field) + 2)
    elif _ATOMS.fullmatch(mailbox.name):
        phrase = mailbox.name
    else:
        phrase = '"' + mailbox.name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    last = phrase.rpartition("\r\n")[2]
    used = len(last) + (len(field) + 2 if last == phrase else 0)
    gap = " " if used + len(mailbox.email) + 3 <= FOLD else "\r\n "
    return f"{field}: {phrase}{gap}<{mailbox.email}>\r\n"


def text_field(field: str, text: str) -> str:
    """An unstructured field such as Subject, folded at blanks, encoded if it is not ASCII."""
    safe = clean_header(text)
    if not safe.isascii() or any(len(word) > FOLD - len(field) - 3 for word in safe.split(" ")):
        return f"{field}: {_encoded(safe, len(field) + 2)}\r\n"
    lines, line = [], f"{field}:"
    for word in safe.split(" "):
        if len(line) + 1 + len(word) > FOLD:
            lines.append(line)
            line = f" {word}"
        else:
            line += f" {word}"
    return "\r\n".join([*lines, line]) + "\r\n"


def _encoded(text: str, used: int) -> str:
    """RFC 2047 words of at most 75 characters; ``used`` is what stands before the first on its line."""
    coded = Header(text, charset="utf-8", maxlinelen=75, header_name="x" * (used - 2)).encode(linesep="\r\n")
    return coded.strip()


@functools.lru_cache(256)
def date_field(date: str) -> str:
    """The Date field. Raises ValueError if ``date`` is not in the form of RFC 5322 with a zone."""
    return f"Date: {_checked(_DATE, date, 'a date such as Fri, 01 May 2026 09:00:00 +0100')}\r\n"


def message_id_field(message_id: str) -> str:
    """The Message-ID field. Raises ValueError if it is not ``<left@right>``."""
    value = checked_message_id(message_id)
    # Longer than a line: the only place to fold is before it.
    return f"Message-ID:{' ' if len(value) + 12 <= FOLD else chr(13) + chr(10) + ' '}{value}\r\n"


def checked_message_id(message_id: str) -> str:
    """``message_id`` if it is ``<left@right>``. Raises ValueError otherwise."""
    return _checked(_MESSAGE_ID, message_id, "a Message-ID such as <unique@example.org>")


def unsubscribe_fields(url: str, mailto: str) -> str:
    """List-Unsubscribe and List-Unsubscribe-Post (RFC 8058): never encoded, folded only between two addresses.

    ``mailto`` may be empty. Raises ValueError if either is not such an address or a line would pass 998 octets.
    """
    return "List-Unsubscribe: " + ",\r\n ".join(unsubscribe_uris(url, mailto)) + f"\r\nList-Unsubscribe-Post: {ONE_CLICK}\r\n"


def unsubscribe_uris(url: str, mailto: str) -> list[str]:
    """The addresses of List-Unsubscribe, each in its brackets. Raises ValueError as `unsubscribe_fields`."""
    uris = [f"<{checked_url(url)}>"]
    if mailto:
        uris.append(f"<{_checked(_MAILTO, mailto, 'a mailto: address')}>")
    if max(map(len, uris)) > 900:
        raise ValueError("an unsubscribe address is longer than 900 characters")
    return uris


def list_id_field(name: str, list_id: str) -> str:
    """``List-Id: Readable name <label.domain>`` (RFC 2919), the name quoted, or encoded if it is not ASCII."""
    label = _checked(_LIST_ID, list_id, "a list id such as monthly.example.org")
    return mailbox_field("List-Id", Address(cut(clean_header(name), NAME_CLUSTERS), label))


def plain_field(field: str, value: str) -> str:
    """A field whose value is ours: printable ASCII that fits a line. Raises ValueError otherwise."""
    checked = _checked(_PLAIN, value, "printable ASCII")
    if len(field) + 2 + len(checked) > FOLD:
        raise ValueError(f"{field}: longer than a line")
    return f"{field}: {checked}\r\n"


def whole_lines(fields: str) -> bytes:
    """Fields as they travel. Raises ValueError unless they are lines of ASCII, each ended by CRLF, none with a dot in front."""
    raw = fields.encode("ascii")
    if not WHOLE_LINES.fullmatch(raw):
        raise ValueError("the message has a character that must not be on the wire")
    return raw


def checked_url(url: str) -> str:
    """``url`` if it is https, of the characters that need no escaping anywhere. Raises ValueError otherwise."""
    return _checked(_HTTPS, url, "an https address of plain characters")


def _checked(pattern: re.Pattern[str], value: str, wanted: str) -> str:
    if not pattern.fullmatch(value):
        raise ValueError(f"not {wanted}")  # the value may say who somebody is
    return value
