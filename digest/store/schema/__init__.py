"""The tables. Their history is in ``migrations/``; a test holds both equal."""

from digest.store.schema.base import Instant, meta, metadata
from digest.store.schema.desk import approval, edit, share
from digest.store.schema.gathered import also_at, identifier, refusal, revision, source, summary
from digest.store.schema.issues import (
    attempt,
    carried,
    content,
    delivery,
    edition,
    edition_item,
    edition_notice,
    editor_notice,
    issue,
    issue_move,
    member,
    participant,
    throttle,
)
from digest.store.schema.later import bounce, contradiction, decision, event_inbox, provider_event
from digest.store.schema.people import consent, consent_text, follows, mail, signup, subscriber, suppression

__all__ = [
    "Instant",
    "also_at",
    "approval",
    "attempt",
    "bounce",
    "carried",
    "consent",
    "consent_text",
    "content",
    "contradiction",
    "decision",
    "delivery",
    "edit",
    "edition",
    "edition_item",
    "edition_notice",
    "editor_notice",
    "event_inbox",
    "follows",
    "identifier",
    "issue",
    "issue_move",
    "mail",
    "member",
    "meta",
    "metadata",
    "participant",
    "provider_event",
    "refusal",
    "revision",
    "share",
    "signup",
    "source",
    "subscriber",
    "summary",
    "suppression",
    "throttle",
]
