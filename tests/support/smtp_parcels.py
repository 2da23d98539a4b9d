"""Parcels for the SMTP provider, made without templates."""

from __future__ import annotations

import functools
from typing import Any

from digest.compose import Edition, Envelope, Reader, make_message
from digest.compose.parts import Part, join
from digest.compose.phrases import Phrases
from digest.config import SmtpSettings
from digest.providers import Parcel

SENDER = "Test Letter <letter@letter.example.org>"
AID = "a" * 32


@functools.lru_cache
def edition(size: int = 400) -> Edition:
    """An edition whose HTML has about ``size`` bytes, many of its lines with a dot in front."""
    words = "\n".join([".", "..", ". dots", "Ein Satz über Darmbakterien, der weitergeht.", ""] * (1 + size // 60))
    greetings = Phrases({"greeting": (Part(("Hello ", "NAME", ",")),), "greeting_plain": (Part(("Hello,",)),)})
    text = Part((".\n..\nLetter\n\n", "GREETING", "\n.\nnews é\n", "UNSUBSCRIBE", "\n", "PREFERENCES", "\n", "WEB", "\n"))
    html = Part((f"<p>{words}", "GREETING", '</p><a href="', "UNSUBSCRIBE", '">x</a>', "PREFERENCES", " ", "WEB", "</html>"))
    return Edition("Letter, May", "News.", join([(html, {})]), join([(text, {})]), {}, 1, "Letter", greetings)


def parcel(n: int = 1, size: int = 400, email: str = "", **fields: Any) -> Parcel:
    """The nth parcel of an issue."""
    did = f"{n:032x}"
    link = "https://letter.example.org"
    reader = Reader(email or f"reader{n}@example.org", f"Reader {n}", f"{link}/u/{n}", f"{link}/p/{n}", f"{link}/w/{n}")
    date = "Fri, 01 May 2026 09:00:00 +0100"
    envelope = Envelope(f"<{did}@letter.example.org>", date, SENDER, "editors@letter.example.org", "monthly.letter.example.org")
    return Parcel(did, edition(size), reader, fields.get("envelope", envelope))


def message_of(one: Parcel) -> bytes:
    """Its message."""
    return make_message(one.edition, one.reader, one.envelope)


def settings(port: int, **values: Any) -> SmtpSettings:
    """The settings for a server on this machine."""
    return SmtpSettings(**{"host": "127.0.0.1", "port": port, **values})
