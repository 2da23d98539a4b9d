"""A small letter that keeps every rule, and ways to spoil it."""

from __future__ import annotations

from email.message import EmailMessage
from typing import Any

from digest.lint.letter import Letter, Piece

UNSUBSCRIBE = "https://letter.example.org/u/abc"
ADDRESS = "1 Example Street, Exampleton EX1 2MP"
SUBJECT = "Example Letter, May 2026: walking and rest"
PREHEADER = "Two short pieces about walking, and one about rest after it."
P = "font-size:18px;line-height:1.5;color:#1b2a30;margin:0"
A = "font-size:18px;line-height:24px;padding:10px 0;color:#0b4f8a;text-decoration:underline"
WORDS = "People who rested between two walks were less tired in the evening than those who did not. "
HTML = f"""<!DOCTYPE html>
<html lang="en" dir="ltr"><head><title>Example Letter, May 2026</title>
<meta http-equiv="Content-Type" content="text/html; charset=UTF-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"></head>
<body style="margin:0"><div lang="en" dir="ltr">
<table role="presentation" width="600"><tr><td style="padding:16px;background-color:#ffffff">
<h1 style="font-size:32px;line-height:1.2;color:#0b4656">Example Letter</h1>
<h2 style="font-size:24px;line-height:1.3;color:#0b4656">Walking</h2>
<p style="{P}">{WORDS * 3}</p>
<p style="{P}"><img src="https://letter.example.org/a.png" alt="A chart of steps" width="560"></p>
<p style="{P}">{WORDS * 3}</p>
<p><a style="{A}" href="https://letter.example.org/one">Read: walking and rest</a></p>
<p><a style="{A}" href="{UNSUBSCRIBE}">Unsubscribe from Example Letter</a></p>
<p style="{P}">{ADDRESS}</p>
</td></tr></table></div></body></html>
"""
TEXT = f"""Example Letter

Walking

{WORDS}
{WORDS}

Read: walking and rest
https://letter.example.org/one

Unsubscribe:
{UNSUBSCRIBE}

{ADDRESS}
"""
HEADERS = {
    "From": "Example Letter <letter@letter.example.org>",
    "To": "reader@example.org",
    "Reply-To": "editors@letter.example.org",
    "Subject": SUBJECT,
    "Date": "Fri, 01 May 2026 09:00:00 +0000",
    "Message-ID": "<abc@letter.example.org>",
    "List-Unsubscribe": f"<{UNSUBSCRIBE}>",
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    "List-Id": "Example Letter <monthly.letter.example.org>",
}
PIECE = Piece("Walking and rest", "We asked 40 people to walk. Half of them sat down on the way. They were less tired at night. " * 3, "en")


def make_letter(*, html: str = HTML, text: str = TEXT, headers: dict[str, str] | None = None, **values: Any) -> Letter:
    """A letter; what is not given is good. A header set to "" is left out."""
    message = EmailMessage()
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(html, subtype="html", cte="quoted-printable")
    for name, value in {**HEADERS, **(headers or {})}.items():
        if value:
            message[name] = value
    known = {"name": "edition", "preheader": PREHEADER, "postal_address": ADDRESS, "pieces": (PIECE,), "url": "https://letter.example.org"}
    return Letter(message=message.as_bytes(), **{**known, **values})


def spoilt(old: str, new: str) -> Letter:
    """The letter with something in its HTML replaced."""
    assert old in HTML
    return make_letter(html=HTML.replace(old, new, 1))
