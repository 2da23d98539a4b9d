"""The tags that stand in an edition where a reader's own values belong, for SendGrid's ``substitutions``.

Source: twilio.com/docs/sendgrid/for-developers/sending-email/substitution-tags.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from digest.compose import Edition

MAX_TAGS = 100  # of one personalization; another page says 150


@dataclass(frozen=True)
class Tags:
    """The tag of each slot, in HTML and in text: substitution goes over all parts alike, but only HTML is escaped."""

    html: Mapping[str, str]
    text: Mapping[str, str]

    @classmethod
    def of(cls, edition: Edition, subject: str, values: Iterable[str]) -> Tags:
        """Tags that stand nowhere in what is sent, so that no title and no name can pass for one, replaced once or twice.

        All have one length and begin with the stem: none is a part of another. They have no blank and none of ``<>&``,
        as the page about substitution tags asks. Whether letters' case matters is not documented: it is as if it did not.
        """
        everything = "\0".join((subject, *edition.html.texts, *edition.text.texts, *values)).lower()
        tries = 0
        while (stem := hashlib.sha256(f"{edition.content_hash}{tries}".encode()).hexdigest()[:12]) in everything:
            tries += 1
        return cls(
            {slot: f"-dg{stem}h{n:02}-" for n, slot in enumerate(sorted(set(edition.html.slots)))},
            {slot: f"-dg{stem}t{n:02}-" for n, slot in enumerate(sorted(set(edition.text.slots)))},
        )

    def substitutions(self, plain: Mapping[str, str], escaped: Mapping[str, str]) -> dict[str, str]:
        """One reader's values, given by slot, by tag.

        Raises:
            ValueError: they are too many.
        """
        given = {tag: escaped[slot] for slot, tag in self.html.items()} | {tag: plain[slot] for slot, tag in self.text.items()}
        if len(given) > MAX_TAGS:
            raise ValueError("what this reader alone gets is more than SendGrid takes for one reader")
        return given
