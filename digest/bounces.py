"""Pure: bounce and complaint messages (RFC 3464, RFC 5965, and the shapes that follow neither).

Whoever knows an address can send such a message, and anything may stand in it. So only the ids count that we gave the
mail, never an address in the text; reading is bounded in bytes, parts and depth; what is not understood is None.
"""

from __future__ import annotations

import binascii
import quopri
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Literal, NamedTuple

from digest.verdict import Verdict, classify, code_of

READ_BYTES = 256 * 1024  # reports stand first, the returned message last; no more than this is looked at
_HEADER_CHARS = 64 * 1024
_DEPTH, _PARTS = 4, 60
_WORDS = 3000

Kind = Literal["bounce", "deferred", "delivered", "processed", "complaint"]


class Bounce(NamedTuple):
    """What a message tells of one of ours. ``did`` and ``aid`` are empty where it names none; ``verdict`` only for ``bounce``.

    ``at`` is the message's own date, which anybody can write: see ``events.from_bounce``.
    """

    kind: Kind
    did: str
    aid: str
    verdict: Verdict | Literal[""]
    code: str
    at: datetime | None


def parse(raw: bytes) -> Bounce | None:
    """What a message says happened to one of ours; None where it is no bounce and no complaint (a reply, an absence note)."""
    text = raw[:READ_BYTES].decode("latin-1").replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    headers, body = _head(re.sub(r"\A\s*(?:From [^\n]*\n)?", "", text))
    parts = list(islice(_walk(headers, body, 0), _PARTS))
    at = _date(headers)
    for part in parts:
        if part.type in ("message/delivery-status", "message/global-delivery-status"):
            return _report(headers, parts, _blocks(part.body), at)
        if part.type == "message/feedback-report":
            return _complaint(headers, parts, _fields(part.body), at)
    return _by_its_words(headers, parts, at)


# --- the two standard forms ----------------------------------------------------------------------------------------------

_ACTIONS: dict[str, Kind] = {
    "failed": "bounce",
    "delayed": "deferred",
    "delivered": "delivered",
    "relayed": "processed",
    "expanded": "processed",
}
_WORST: Sequence[Kind] = ("bounce", "deferred", "processed", "delivered")


def _report(headers: Headers, parts: Sequence[Part], blocks: Sequence[Headers], at: datetime | None) -> Bounce | None:
    found: tuple[Kind, str, str] | None = None
    for block in blocks:
        status = _first(block, "status")
        kind = _ACTIONS.get(_first(block, "action").split(" ")[0].lower()) or _by_class(status)
        if kind and (found is None or _WORST.index(kind) < _WORST.index(found[0])):
            found = (kind, status, _first(block, "diagnostic-code"))
    if found is None:
        return None
    kind, status, words = found
    words = words or _human(parts)
    # Exim and others write 5.0.0 and leave the true code in the server's words.
    if re.match(r"\s*[45]\.0\.0\b", status) and "." in code_of("", words):
        status = ""
    envelope = "".join(_first(block, "original-envelope-id") for block in blocks[:1])
    aid = re.search(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])", envelope)
    verdict: Verdict | Literal[""] = classify(status, words) if kind == "bounce" else ""
    return Bounce(kind, _did(headers, parts), aid[0] if aid else "", verdict, code_of(status, words), at)


def _by_class(status: str) -> Kind | None:
    by: dict[str, Kind] = {"5": "bounce", "4": "deferred", "2": "delivered"}
    return by.get(status.strip()[:1])


_NO_COMPLAINT = ("not-spam", "auth-failure", "dmarc")


def _complaint(headers: Headers, parts: Sequence[Part], report: Headers, at: datetime | None) -> Bounce | None:
    if _first(report, "feedback-type").lower() in _NO_COMPLAINT:
        return None
    return Bounce("complaint", _verp(report, ("original-mail-from",)) or _did(headers, parts), "", "", "", at)


def _human(parts: Sequence[Part]) -> str:
    return next((part.body[:_WORDS] for part in parts if part.type.startswith("text/")), "")


# --- the forms that follow no standard -----------------------------------------------------------------------------------

_FAILURE = re.compile(
    r"this is the qmail-send program|undeliver(?:able|ed)|delivery (?:has )?failed|delivery status notification|delivery failure"
    r"|could ?n(?:o|')t be delivered|could not be delivered|wasn't delivered|was not delivered|did not reach|returned mail"
    r"|permanent (?:fatal )?error|failed permanently|unable to deliver|message rejected|non-?delivery",
    re.I,
)
_COPY = re.compile(
    r"^(?:-+ ?(?:below this line|this is a copy|original message|the body)|(?:return-path|received|message-id):)", re.I | re.M
)
_DAEMON = re.compile(r"mailer-daemon|postmaster|mail delivery|microsoftexchange|mdaemon", re.I)
_AUTOMATIC = ("x-autoreply", "x-autorespond", "x-vacation")


def _by_its_words(headers: Headers, parts: Sequence[Part], at: datetime | None) -> Bounce | None:
    """A bounce without a report: from a mail system, speaking of failure, and naming a message of ours. All three, or nothing."""
    kind = _first(headers, "auto-submitted").lower()
    if kind.startswith("auto-replied") or any(name in headers for name in _AUTOMATIC):
        return None
    if _first(headers, "precedence").lower() == "auto_reply" or "disposition-notification" in _first(headers, "content-type").lower():
        return None
    by_machine = _first(headers, "return-path").strip() == "<>" or "x-failed-recipients" in headers
    if not (by_machine or _DAEMON.search(_first(headers, "from")[:500])):
        return None
    told = "\n".join(part.body for part in parts if part.type.startswith("text/"))
    said = _COPY.split(told, maxsplit=1)[0][:_WORDS]
    if not _FAILURE.search(_first(headers, "subject")[:500] + "\n" + said):
        return None
    did = _did(headers, parts) or _message_id(told)
    if not did:
        return None
    return Bounce("bounce", did, "", classify("", said), code_of("", said), at)


# --- whose it is ---------------------------------------------------------------------------------------------------------

_VERP = re.compile(r"\+([0-9a-f]{32})@", re.I)
_OUR_ID = re.compile(r"<([0-9a-f]{32})@[^<>\s]{1,255}>", re.I)
_ENVELOPE = ("x-original-to", "delivered-to", "envelope-to", "x-envelope-to", "x-delivered-to", "x-rcpt-to", "to")


def _did(headers: Headers, parts: Sequence[Part]) -> str:
    """Whose delivery: the envelope's own token first (nobody rewrites it), then the returned message, then what it answers."""
    if found := _verp(headers, _ENVELOPE):
        return found
    for part in parts:
        if part.type in ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers", "message/rfc822-headers"):
            returned, _ = _head(part.body.lstrip("\n"))
            if found := _match(_OUR_ID, returned, ("message-id",)) or _verp(returned, ("return-path", "x-envelope-from")):
                return found
    return _match(_OUR_ID, headers, ("in-reply-to", "references", "x-original-message-id"))


def _message_id(text: str) -> str:
    found = re.search(r"message-id:\s{0,20}<([0-9a-f]{32})@", text, re.I)
    return found[1].lower() if found else ""


def _verp(headers: Headers, names: Sequence[str]) -> str:
    return _match(_VERP, headers, names)


def _match(pattern: re.Pattern[str], headers: Headers, names: Sequence[str]) -> str:
    for name in names:
        for value in headers.get(name, ()):
            if found := pattern.search(value[:2000]):
                return found[1].lower()
    return ""


# --- a reader of MIME that cannot be led astray --------------------------------------------------------------------------
# Python's own parser recurses with the nesting and tries every open boundary on every line: a few hundred kilobytes keep it
# busy for minutes or end in a RecursionError.

Headers = Mapping[str, Sequence[str]]


class Part(NamedTuple):
    """A leaf of a message: its type in lower case, its text with the transfer encoding undone."""

    type: str
    body: str


def _head(text: str) -> tuple[Headers, str]:
    """The header fields, unfolded, by lower-case name; and what stands behind the first empty line."""
    head, _, body = text.partition("\n\n") if not text.startswith("\n") else ("", "", text[1:])
    return _fields(head[:_HEADER_CHARS]), body


def _fields(text: str) -> Headers:
    found: dict[str, list[str]] = {}
    for line in re.sub(r"\n[ \t]+", " ", text[:_HEADER_CHARS]).split("\n"):
        name, colon, value = line.partition(":")
        if colon and name and " " not in name.strip():
            found.setdefault(name.strip().lower(), []).append(value.strip())
    return found


def _blocks(text: str) -> list[Headers]:
    return [fields for block in re.split(r"\n[ \t]*\n", text[:_HEADER_CHARS], maxsplit=20) if (fields := _fields(block))]


def _first(headers: Headers, name: str) -> str:
    return next(iter(headers.get(name, ())), "")


def _walk(headers: Headers, body: str, depth: int) -> Iterator[Part]:
    stated = _first(headers, "content-type")[:1000]
    type = stated.partition(";")[0].strip().lower() or "text/plain"
    boundary = re.search(r"boundary\s*=\s*(?:\"([^\"]{1,200})\"|([^\s;\"]{1,200}))", stated, re.I)
    if not type.startswith("multipart/") or boundary is None:
        yield Part(type, _decoded(body, _first(headers, "content-transfer-encoding").lower()))
        return
    if depth >= _DEPTH:
        return
    # The boundary stands alone on its line; what follows "--" at the end of the last one is nobody's.
    pieces = ("\n" + body).split("\n--" + (boundary[1] or boundary[2]), _PARTS)
    for piece in pieces[1:]:
        if piece.startswith("--"):
            return
        yield from _walk(*_head(piece.partition("\n")[2]), depth + 1)


def _decoded(body: str, encoding: str) -> str:
    if encoding == "quoted-printable":
        return quopri.decodestring(body.encode("latin-1")).decode("latin-1")
    if encoding == "base64":
        try:
            return binascii.a2b_base64(body.encode("latin-1")).decode("latin-1").replace("\r\n", "\n")
        except binascii.Error:
            return ""
    return body


def _date(headers: Headers) -> datetime | None:
    try:
        found = parsedate_to_datetime(_first(headers, "date")[:100])
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
