"""What one reader gets of an issue, and what choosing it needs to know of them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from digest.model.base import Frozen, Slug
from digest.model.subscriber import Form
from digest.model.summary import Audience


class Placed(Frozen):
    """A teaser in its place: whose section it stands in is the section's; ``also_in`` are the reader's other interests it fits."""

    summary: str
    also_in: tuple[Slug, ...] = ()


class SelectedSection(Frozen):
    """The teasers under one interest the reader follows, in order. Never empty."""

    interest: Slug
    teasers: Annotated[tuple[Placed, ...], Field(min_length=1)]


class Selection(Frozen):
    """What one reader gets of an issue; everyone with an equal one shares an edition.

    ``left_out`` are summaries that fitted their interests but not the email; ``notices`` summaries they were sent before
    that have been corrected or retracted since. ``highlights`` are the editor's picks, for a reader whose interests had no news.
    """

    sections: tuple[SelectedSection, ...] = ()
    left_out: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    highlights: tuple[str, ...] = ()
    form: Form = ""
    language: str = ""  # of the fixed words, where it is not the newsletter's own

    @property
    def teasers(self) -> tuple[str, ...]:
        """The ids of everything shown as a teaser, in order, each once."""
        return tuple(placed.summary for section in self.sections for placed in section.teasers) + self.highlights

    @property
    def empty(self) -> bool:
        """Whether there is nothing to send."""
        return not (self.sections or self.notices or self.highlights)


class Follower(Frozen):
    """What selection needs to know of a subscriber: everything but who it is.

    ``seen`` holds the members of this issue that the subscriber was given before; ``owed`` the notices about summaries
    they were sent and have not been told of. Of the interests in ``fewer`` one teaser is enough; ``most`` is the most teasers
    they want in one email.
    """

    interests: tuple[Slug, ...]
    audience: tuple[Audience, ...] = ()
    seen: frozenset[str] = frozenset()
    owed: tuple[str, ...] = ()
    fewer: frozenset[str] = frozenset()
    most: int | None = None
    form: Form = ""
    language: str = ""
