"""What of a reader goes into a message: the envelope it leaves in, and the values of its slots."""

from __future__ import annotations

import functools
import hashlib
from datetime import datetime
from email.utils import parsedate_to_datetime

from digest import compose, tokens
from digest.compose import Envelope
from digest.compose import Reader as Slots
from digest.store.ledger import Claimed
from digest.workspace import Workspace


def envelope(look: compose.Look, cadence: str, one: Claimed) -> Envelope:
    """What was fixed when the delivery was planned, so that a message made again is the same one."""
    domain = look.list_domain
    return Envelope(
        message_id=f"<{one.did}@{domain}>",
        date=one.date_header,
        sender=look.sender,
        reply_to=look.reply_to,
        list_id=f"{cadence}.{domain}",
        # What Gmail's sender reports count by: never a reader, an issue or a subject.
        feedback_id=f"{cadence}:digest:bulk:{_short_hash(domain)}",
    )


def slots(workspace: Workspace, did: str, sid: str, address: str, name: str, date_header: str, keys: tokens.Keys | None = None) -> Slots:
    """One reader's own values: address, name and signed links, which carry the message's date and not the hour of composing.

    ``keys`` sign the links in place of those of today.
    """
    base, key = workspace.config.newsletter.url, keys or workspace.store.vault.link_keys
    leave = tokens.sign("unsubscribe", sid, key)
    mailbox = workspace.config.sender.unsubscribe_mailbox
    return Slots(
        email=address,
        name=name,
        unsubscribe_url=f"{base}/{tokens.PATHS['unsubscribe']}/{leave}",
        unsubscribe_mailto=f"mailto:{mailbox}?subject={leave}" if mailbox else "",
        preferences_url=tokens.link(base, "preferences", sid, key, _parsed_date(date_header)),
        web_url=tokens.link(base, "web", did, key),
    )


@functools.lru_cache(256)
def _parsed_date(header: str) -> datetime:
    """Many readers' messages bear the same date."""
    return parsedate_to_datetime(header)


@functools.lru_cache(16)
def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]
