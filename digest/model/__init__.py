"""The nouns of DESIGN section 2, as frozen pydantic models.

Instants end in ``_at`` and are aware, in UTC; dates end in ``_date``.
"""

from digest.model.base import Frozen, Instant, Slug, Text
from digest.model.delivery import NOT_GIVEN, DeliveryState
from digest.model.identity import canonical_url, clean_doi, identifiers, uncanonical
from digest.model.interest import Interest, Rule, loosen_rule
from digest.model.issue import DONE, UNPLANNED, IssueState, Slot
from digest.model.selection import Follower, Placed, SelectedSection, Selection
from digest.model.subscriber import Form, Status, Subscriber, form_of
from digest.model.summary import Audience, Evidence, Harvest, Image, Notice, Refusal, Section, Summary

__all__ = [
    "Audience",
    "DONE",
    "DeliveryState",
    "Evidence",
    "Follower",
    "Form",
    "Frozen",
    "Harvest",
    "Image",
    "Instant",
    "Interest",
    "IssueState",
    "NOT_GIVEN",
    "Notice",
    "Placed",
    "Refusal",
    "Rule",
    "Section",
    "SelectedSection",
    "Selection",
    "Slot",
    "Slug",
    "Status",
    "Subscriber",
    "Summary",
    "Text",
    "UNPLANNED",
    "canonical_url",
    "clean_doi",
    "form_of",
    "identifiers",
    "loosen_rule",
    "uncanonical",
]
