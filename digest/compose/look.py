"""What the templates may know about a newsletter; never a secret, never how it is sent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from email.utils import parseaddr
from functools import cached_property
from urllib.parse import urlsplit

from babel import Locale

from digest.config import Config


@dataclass(frozen=True)
class Look:
    """A newsletter as its readers see it. ``sender`` and ``reply_to`` are mailboxes such as ``Name <a@b.org>``."""

    name: str
    url: str
    postal_address: str
    sender: str
    reply_to: str
    tagline: str = ""
    notice: str = ""
    language: str = "en"
    timezone: str = "UTC"
    content_language: str = ""  # what titles and texts are in, where the fixed words are in another language

    @property
    def locale(self) -> Locale:
        """Babel's idea of the language: how dates and lists are written."""
        return Locale.parse(self.language, sep="-")

    @property
    def texts_language(self) -> str:
        """The language of everything that says no other: the newsletter's own."""
        return self.content_language or self.language

    def spoken_in(self, language: str) -> Look:
        """The same newsletter with its fixed words and dates in another language."""
        return replace(self, language=language, content_language=self.texts_language)

    @property
    def dir(self) -> str:
        """``ltr`` or ``rtl``."""
        return "rtl" if self.locale.text_direction == "rtl" else "ltr"

    @cached_property
    def list_domain(self) -> str:
        """The domain of List-Id and Message-ID: the sender's, for it is ours and stays."""
        return parseaddr(self.sender)[1].rpartition("@")[2].lower()

    @property
    def host(self) -> str:
        """The web site's name without ``https://``."""
        return urlsplit(self.url).hostname or ""


def look_of(config: Config) -> Look:
    """The part of the configuration that the templates may see."""
    letter, sender = config.newsletter, config.sender
    return Look(
        name=letter.name,
        url=letter.url,
        postal_address=letter.postal_address,
        sender=sender.from_,
        reply_to=sender.reply_to,
        tagline=letter.tagline,
        notice=letter.notice,
        language=letter.language,
        timezone=letter.timezone,
    )
