"""A person who confirmed an address, and how they want to be written to."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from digest.model.base import Frozen, Instant, Slug
from digest.model.summary import Audience

Form = Literal["", "plain", "large"]  # how the email is set: as designed, plain text alone, or in large print


class Status(StrEnum):
    """Whether a subscriber may be written to: only ``active`` may."""

    ACTIVE = "active"
    PENDING = "pending"
    PAUSED = "paused"
    UNSUBSCRIBED = "unsubscribed"
    SUPPRESSED = "suppressed"
    ERASED = "erased"  # the row stays for the ledger's sums; nothing in it says who it was


class Subscriber(Frozen):
    """A person who confirmed an address. ``id`` is opaque; address and name are the only parts that say who it is."""

    id: str
    email: str
    name: str = ""
    interests: tuple[Slug, ...] = ()
    cadence: Slug = "monthly"
    zone: str = ""
    language: str = ""
    audience: tuple[Audience, ...] = ()
    status: Status = Status.ACTIVE
    consent_at: Instant | None = None
    consent_source: str = ""
    fewer: tuple[Slug, ...] = ()  # interests of which one teaser is enough
    plain_text: bool = False
    large_print: bool = False
    max_teasers: Annotated[int, Field(ge=1, le=60)] | None = None
    paused_until: date | None = None  # the first day on which they want to be written to again
    catch_up: bool = False  # then list what they missed

    @property
    def form(self) -> Form:
        """How the email is set for them."""
        return form_of(self.plain_text, self.large_print)


def form_of(plain_text: bool, large_print: bool) -> Form:
    """Plain text wins: its letters are as large as the reader's own program makes them."""
    return "plain" if plain_text else "large" if large_print else ""
