"""Parcels of a small edition that has every slot, in HTML and in text, one of them twice."""

from __future__ import annotations

from dataclasses import replace

from digest.compose import Edition, Envelope, Reader
from digest.compose.parts import Part, join
from digest.compose.phrases import Phrases
from digest.providers import Parcel

GREETINGS = Phrases({"greeting": (Part(("Hello ", "NAME", ",")),), "greeting_plain": (Part(("Hello,",)),)})
TEXT = Part(
    ("Letter\n\n", "GREETING", "\nnews é <b> & 🧑\u200d🔬\n", "UNSUBSCRIBE", "\n", "PREFERENCES", "\n", "WEB", "\n", "UNSUBSCRIBE", "\n")
)
HTML = Part(("<p>", "GREETING", '</p>\n<a href="', "UNSUBSCRIBE", '">x</a>', "PREFERENCES", " ", "WEB", "</html>"))


def make_edition(subject: str = "Letter, May: news…", title: str = "") -> Edition:
    """The edition; ``title`` stands in both bodies."""
    html, text = (join([(Part((title,)), {}), (part, {})]) for part in (HTML, TEXT))
    return Edition(subject, "News.", html, text, {}, 1, 'The "Odd", Letter; é', GREETINGS)


EDITION = make_edition()


def make_parcel(n: int = 0, *, edition: Edition = EDITION, name: str = "Ana", email: str = "", mailto: bool = True) -> Parcel:
    """The nth parcel, to its own address with its own links."""
    did = f"{n:032x}"
    base = "https://letter.example.org"
    reader = Reader(
        email or f"reader{n}@example.org",
        name,
        f"{base}/u/{'a' * 40}{n}?a=1&b=2",
        f"{base}/p/{'b' * 40}{n}",
        f"{base}/w/{'c' * 40}{n}",
        f"mailto:leave@letter.example.org?subject={n}" if mailto else "",
    )
    envelope = Envelope(
        f"<{did}@letter.example.org>",
        "Fri, 01 May 2026 09:00:00 +0100",
        "Letter é <letter@letter.example.org>",
        "editors@letter.example.org",
        "monthly.letter.example.org",
        "a1:m:news:digest",
    )
    return Parcel(did, edition, reader, envelope)


def elsewhere(parcel: Parcel, sender: str) -> Parcel:
    """The same with another sender."""
    return replace(parcel, envelope=parcel.envelope._replace(sender=sender))
