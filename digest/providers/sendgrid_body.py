"""The body of a Mail Send request, and what of a batch cannot go into it. Pure: nothing here talks to anybody.

Sources: ``tsg_mail_v3.json`` of github.com/twilio/sendgrid-oai and the pages of twilio.com/docs/sendgrid about Mail Send, its
errors and substitution tags. Where two of them disagree on a limit, the smaller one is kept.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from digest.compose import Edition, Reader, header, slots_of
from digest.compose.parts import escape
from digest.errors import DeliveryRejected, RenderError
from digest.providers import Parcel, Receipt
from digest.providers.sendgrid_http import as_json
from digest.providers.sendgrid_layout import Skeleton
from digest.providers.sendgrid_subject import cleaned
from digest.providers.sendgrid_tags import Tags
from digest.providers.sendgrid_template import Template

MAX_READERS = 1000  # personalizations, and addresses, in a request
MAX_SUBSTITUTION_BYTES = 10_000  # of one personalization; another page says 50,000. Counted here as JSON, which is a little more
MAX_REQUEST_BYTES = 29_000_000  # the limit is 30 MB, decimal or binary, of request or of email: nobody says

_OPAQUE = re.compile(r"[A-Za-z0-9_-]{1,64}")
# Off by name, for the account's own settings hold where a request is silent. They would rewrite links, add a picture that
# watches, a second unsubscribe footer, or text that nobody approved.
_TRACKING: Mapping[str, Mapping[str, bool]] = {
    "click_tracking": {"enable": False, "enable_text": False},
    "open_tracking": {"enable": False},
    "subscription_tracking": {"enable": False},
    "ganalytics": {"enable": False},
}


@dataclass(frozen=True)
class Going:
    """A parcel in the request, the recipient as SendGrid is told, and what its receipt says of it.

    ``bytes`` are those of both bodies as its reader gets them. ``sha256`` is over all that is said to this reader, ids left
    out, so that handing the same over again gives the same; hashing each rendered body would cost more than composing it.
    """

    parcel: Parcel
    to: Mapping[str, str]
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Request:
    """What all share, and the JSON of a personalization for each of ``going``, in that order; ``aside`` are receipts of those
    left out. ``bytes`` is the size of `text` without anything more.
    """

    shared: Mapping[str, Any]
    people: tuple[str, ...]
    going: tuple[Going, ...]
    aside: tuple[Receipt, ...]
    bytes: int

    @property
    def too_large(self) -> bool:
        """Whether the request passes the limit."""
        return self.bytes > MAX_REQUEST_BYTES

    def text(self, **more: str | int) -> str:
        """The body as it leaves, JSON to be encoded as UTF-8; ``more`` are further properties of the request."""
        return _with_people({**self.shared, **more}, self.people)

    @property
    def body(self) -> dict[str, Any]:
        """The same to look into."""
        found: dict[str, Any] = json.loads(self.text())
        return found


@dataclass(frozen=True)
class _Ready:
    """A parcel that can go: its cleaned recipient, header fields, and values by slot, plain and escaped."""

    parcel: Parcel
    to: dict[str, str]
    fields: dict[str, str]
    values: dict[str, str]
    escaped: dict[str, str]


def build(aid: str, parcels: Sequence[Parcel], *, sandbox: bool = False) -> Request:
    """The request that carries what it can of a batch, which shares the edition and sender of its first parcel.

    Raises:
        DigestError, ValueError: what all of them share cannot be sent. The text is fit to be shown.
    """
    shared = parcels[0]
    subject = _subject(shared.edition)
    ready, aside = _admit(parcels, _alike)
    tags = Tags.of(shared.edition, subject, [*(value for one in ready for value in one.values.values()), shared.envelope.reply_to])
    body = _shared_body(shared, sandbox=sandbox) | {
        "subject": subject,
        "content": [
            {"type": "text/plain", "value": shared.edition.text.fill(tags.text)},
            *([] if shared.edition.plain_text else [{"type": "text/html", "value": shared.edition.html.fill(tags.html)}]),
        ],
    }
    return _request(aid, body, ready, aside, "substitutions", lambda one: tags.substitutions(one.values, one.escaped))


def build_templated(aid: str, parcels: Sequence[Parcel], template: Template, *, sandbox: bool = False) -> Request:
    """The request that carries what it can of a batch of any editions of the issue that the template is of.

    Raises:
        DigestError, ValueError: what all of them share cannot be sent, or an edition is not one the template can show.
    """
    skeletons: dict[int, Skeleton] = {}
    for parcel in parcels:
        if id(parcel.edition) not in skeletons and template.layout.shows(parcel.edition):
            _subject(parcel.edition)
            skeletons[id(parcel.edition)] = template.layout.skeleton(parcel.edition)
    ready, aside = _admit(parcels, lambda shared, parcel: id(parcel.edition) in skeletons and _same_sender(shared, parcel))
    body = _shared_body(parcels[0], sandbox=sandbox) | {"template_id": template.id}

    def data(one: _Ready) -> dict[str, Any]:
        return template.layout.data(skeletons[id(one.parcel.edition)], one.values)

    return _request(aid, body, ready, aside, "dynamic_template_data", data)


def _subject(edition: Edition) -> str:
    subject = cleaned(edition.subject)
    if not subject:
        raise RenderError("the subject is empty; look at subject in templates/phrases.txt.j2")
    return subject


def _admit(parcels: Sequence[Parcel], alike: Callable[[Parcel, Parcel], bool]) -> tuple[list[_Ready], list[Receipt]]:
    """Those that can go in one request, and receipts of the others."""
    shared = parcels[0]
    common = _common_fields(shared)
    ready: list[_Ready] = []
    aside: list[Receipt] = []
    taken: set[str] = set()
    for parcel in parcels:
        if len(ready) == MAX_READERS or not alike(shared, parcel):
            aside.append(Receipt(parcel.did, "deferred", "goes in a request of its own: another edition or sender, or no room"))
            continue
        try:
            one = _ready(parcel, common)
        except (DeliveryRejected, ValueError) as error:
            aside.append(Receipt(parcel.did, "rejected", str(error)))
            continue
        # Documents and practice differ on whether this is refused; where it is taken, one of the two is lost on the way.
        if one.to["email"].lower() in taken:
            aside.append(Receipt(parcel.did, "deferred", "another delivery of the same request goes to the same address"))
            continue
        taken.add(one.to["email"].lower())
        ready.append(one)
    return ready, aside


def _request(
    aid: str, shared: dict[str, Any], ready: Sequence[_Ready], aside: list[Receipt], name: str, own: Callable[[_Ready], dict[str, Any]]
) -> Request:
    """The request. A reader's part is recipient, header fields, ids, and under ``name`` what ``own`` gives.

    Each part is written as JSON once: that text is measured, hashed and sent.
    """
    size = _bytes(_with_people(shared, ()))
    people, going = [], []
    for one in ready:
        try:
            given = own(one)
            said = as_json({"to": [one.to], "headers": one.fields} | ({name: given} if given else {}))[:-1]
            told = _bytes(said)
            # Of a template's data nobody says; a draft of the documents had the same limit.
            if told > MAX_SUBSTITUTION_BYTES and _bytes(as_json(given)) > MAX_SUBSTITUTION_BYTES:
                raise ValueError("what this reader alone gets is more than SendGrid takes for one reader")
            ids = f'"custom_args":{{"did":"{_opaque(one.parcel.did)}","aid":"{_opaque(aid)}"}}'
        except ValueError as error:
            aside.append(Receipt(one.parcel.did, "rejected", str(error)))
            continue
        people.append(f"{said},{ids}}}")
        size += told + len(ids) + 3  # with a comma before the next
        fingerprint = hashlib.sha256(f"{one.parcel.edition.content_hash}{said}".encode()).hexdigest()
        going.append(Going(one.parcel, one.to, _rendered_bytes(one), fingerprint))
    return Request(shared, tuple(people), tuple(going), tuple(aside), size - (1 if people else 0))


def _with_people(shared: Mapping[str, Any], people: Sequence[str]) -> str:
    return f'{as_json(shared)[:-1]},"personalizations":[{",".join(people)}]}}'


def _bytes(text: str) -> int:
    """In UTF-8. Raises UnicodeEncodeError, a ValueError, for half a character."""
    return len(text) if text.isascii() else len(text.encode())


def _alike(shared: Parcel, parcel: Parcel) -> bool:
    if parcel is shared:
        return True
    same_edition = parcel.edition is shared.edition or parcel.edition.content_hash == shared.edition.content_hash
    return same_edition and _same_sender(shared, parcel)


def _same_sender(shared: Parcel, parcel: Parcel) -> bool:
    ours, theirs = shared.envelope, parcel.envelope
    return (ours.sender, ours.reply_to, ours.list_id, ours.feedback_id) == (
        theirs.sender,
        theirs.reply_to,
        theirs.list_id,
        theirs.feedback_id,
    )


def _ready(parcel: Parcel, common: Mapping[str, str]) -> _Ready:
    to = header.address_of(parcel.reader.name, parcel.reader.email)
    # Personalizations fail to quote these two in a display name (github.com/sendgrid/sendgrid-python/issues/291).
    name = " ".join(re.sub("[,;]", " ", to.name).split())
    values = slots_of(parcel.edition, parcel.reader)
    return _Ready(
        parcel,
        {"email": to.email} | ({"name": name} if name else {}),
        {**_own_fields(parcel.envelope.message_id, parcel.reader), **common},
        values,
        {slot: escape(value) for slot, value in values.items()},
    )


def _opaque(id: str) -> str:
    """An id as it may leave.

    Both stand in the personalization: the request's own ``custom_args`` are a string in the description of the API, and
    "overridden" by the personalization's, which may mean as a whole. What is there is kept for good and shown to the
    provider's staff, so it must say nothing.
    """
    if not _OPAQUE.fullmatch(id):
        raise ValueError("an id is not made of letters and digits alone")
    return id


def _shared_body(shared: Parcel, *, sandbox: bool) -> dict[str, Any]:
    return {
        "from": _mailbox(shared.envelope.sender),
        "reply_to": _mailbox(shared.envelope.reply_to),
        "mail_settings": {"sandbox_mode": {"enable": sandbox}, "footer": {"enable": False}},
        "tracking_settings": {name: dict(setting) for name, setting in _TRACKING.items()},
    }


def _mailbox(mailbox: str) -> dict[str, str]:
    found = header.address(mailbox)
    return {"email": found.email} | ({"name": found.name} if found.name else {})


def _common_fields(parcel: Parcel) -> dict[str, str]:
    """The header fields that all readers share. They go with each reader all the same: nobody says whether a
    personalization's ``headers`` are merged into the request's or take their place.
    """
    envelope = parcel.envelope
    fields = (
        header.list_id_field(parcel.edition.newsletter, envelope.list_id),
        header.plain_field("Precedence", "bulk"),
        header.plain_field("Auto-Submitted", "auto-generated"),
        header.plain_field("X-Auto-Response-Suppress", "OOF, AutoReply"),
        header.plain_field("Feedback-ID", envelope.feedback_id) if envelope.feedback_id else "",
    )
    return _unfolded("".join(fields))


def _own_fields(message_id: str, reader: Reader) -> dict[str, str]:
    # No Date: it may be set, but whether it would then stand twice is not documented.
    return {
        "Message-ID": header.checked_message_id(message_id),
        "List-Unsubscribe": ", ".join(header.unsubscribe_uris(reader.unsubscribe_url, reader.unsubscribe_mailto)),
        "List-Unsubscribe-Post": header.ONE_CLICK,
    }


def _unfolded(block: str) -> dict[str, str]:
    """Header fields as names and values; SendGrid folds by itself."""
    lines = block.replace("\r\n ", " ").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    return {name: value.strip() for name, _, value in pairs}


def _rendered_bytes(one: _Ready) -> int:
    html, text = one.parcel.edition.html, one.parcel.edition.text
    size = html.size + text.size
    for slot, value in one.values.items():
        plain, shown = _bytes(value), one.escaped[slot]
        size += (plain if shown == value else _bytes(shown)) * html.slots.count(slot) + plain * text.slots.count(slot)
    return size
