"""An issue: its place in the calendar, and how far it has come."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from digest.model.base import Frozen, Instant, Slug


class IssueState(StrEnum):
    """How far an issue has come."""

    DRAFTED = "drafted"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    PLANNING = "planning"
    SENDING = "sending"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


# Nothing of an issue in one of these states has been planned for anybody: it can be drawn anew, approved, or given up.
UNPLANNED = (IssueState.DRAFTED, IssueState.IN_REVIEW, IssueState.APPROVED)
# An issue in one of these is done: nothing more of it leaves by itself.
DONE = (IssueState.FINISHED, IssueState.CANCELLED, IssueState.EXPIRED)


class Slot(Frozen):
    """One appearance of a cadence: its window is (``opens_after``, ``due_at``]."""

    cadence: Slug
    local_date: date
    opens_after: Instant
    due_at: Instant

    @property
    def name(self) -> str:
        """``monthly-2026-05-01``: what the issue is called everywhere."""
        return f"{self.cadence}-{self.local_date.isoformat()}"
