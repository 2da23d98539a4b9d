"""The tables. Their history is in ``migrations/``; a test holds both equal."""

from digest.store.schema.accounts import audit, audit_head, person, recovery_code, session
from digest.store.schema.api import api_answer, api_key
from digest.store.schema.base import Instant, RowId, meta, metadata
from digest.store.schema.desk import approval, edit, share
from digest.store.schema.gathered import also_at, identifier, refusal, revision, source, summary
from digest.store.schema.hooks import hook, hook_event, hook_topic
from digest.store.schema.identities import identity
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
from digest.store.schema.lists import interest_choice, interest_move, segment
from digest.store.schema.parts import plan_part
from digest.store.schema.people import consent, consent_text, follows, mail, signup, subscriber, suppression
from digest.store.schema.readings import reading

__all__ = [
    "Instant",
    "RowId",
    "also_at",
    "api_answer",
    "api_key",
    "approval",
    "attempt",
    "audit",
    "audit_head",
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
    "hook",
    "hook_event",
    "hook_topic",
    "identifier",
    "identity",
    "interest_choice",
    "interest_move",
    "issue",
    "issue_move",
    "mail",
    "member",
    "meta",
    "metadata",
    "participant",
    "person",
    "plan_part",
    "provider_event",
    "reading",
    "recovery_code",
    "refusal",
    "revision",
    "share",
    "session",
    "segment",
    "signup",
    "source",
    "subscriber",
    "summary",
    "suppression",
    "throttle",
]
