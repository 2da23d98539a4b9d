"""Pure: how an edition is looked at, as the address of the page says it; and the email changed for that."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import get_args
from urllib.parse import quote, urlencode

from digest.desk.editions import Sort
from digest.lint import simulate
from digest.lint.letter import Letter

NARROWEST, WIDEST = 200, 2000
_HIGHEST = 40_000
PAPER = 794  # A4 at 96 dots an inch
VIEWS = {"mail": "Email", "text": "Plain text", "html": "HTML source", "headers": "Headers", "raw": "Raw message", "inbox": "Inbox row"}
SCHEMES = {"light": "Light", "dark": "Dark", "forced": "Recoloured"}
MEDIA = {"screen": "Screen", "print": "Paper"}
PROGRAMS = {"": "As sent", "gmail": "Gmail", "gmail-bare": "Gmail, other account", "outlook": "Outlook"}


@dataclass(frozen=True)
class View:
    """A way to look at an email: all of it stands in the address, so that it can be sent to somebody and kept."""

    view: str = "mail"
    width: int = 600
    scheme: str = "light"
    images: bool = True
    program: str = ""
    media: str = "screen"
    sort: str = "readers"  # of the list that it was opened from

    @property
    def query(self) -> str:
        """What differs from the usual, as it stands in an address."""
        said = {
            "view": self.view if self.view != "mail" else "",
            "width": str(self.width) if self.width != 600 else "",
            "scheme": self.scheme if self.scheme != "light" else "",
            "images": "" if self.images else "off",
            "program": self.program,
            "media": self.media if self.media != "screen" else "",
            "sort": self.sort if self.sort != "readers" else "",
        }
        return urlencode({key: value for key, value in said.items() if value})

    def but(self, **changes: object) -> str:
        """The query of the same view with something else."""
        return "?" + replace(self, **changes).query  # type: ignore[arg-type]


def view_of(query: Mapping[str, str]) -> View:
    """What an address asks for; nonsense in it counts as not said."""
    width = query.get("width", "")
    return View(
        view=_one_of(query.get("view", ""), VIEWS, "mail"),
        width=min(max(int(width), NARROWEST), WIDEST) if width.isascii() and width.isdecimal() and len(width) < 6 else 600,
        scheme=_one_of(query.get("scheme", ""), SCHEMES, "light"),
        images=query.get("images") != "off",
        program=_one_of(query.get("program", ""), PROGRAMS, ""),
        media=_one_of(query.get("media", ""), MEDIA, "screen"),
        sort=_one_of(query.get("sort", ""), dict.fromkeys(get_args(Sort), ""), "readers"),
    )


def _one_of(value: str, known: Mapping[str, str], usual: str) -> str:
    return value if value in known else usual


def changed(html: str, view: View) -> str:
    """The email as this view shows it: for a simulated program, a colour scheme, paper."""
    if view.program:
        html = simulate.simulate(html, view.program).html
    html = _schemed(html, view.scheme)
    if view.media == "print":
        html = re.sub(r"@media\s+print\b", "@media all", html)
        html = re.sub(r"@media\s+(?:only\s+)?screen\b", "@media not all", html)
    return _opening_elsewhere(html)


_PREFERS = re.compile(r"\(\s*prefers-color-scheme\s*:\s*(light|dark|no-preference)\s*\)", re.I)
_ALWAYS, _NEVER = "(min-width: 0px)", "(max-width: 0px)"
_FORCED = "<style>html{filter:invert(1) hue-rotate(180deg);background:#fff}img{filter:invert(1) hue-rotate(180deg)}</style>"


def _schemed(html: str, scheme: str) -> str:
    """As somebody sees it whose device is set so; the browser's own setting has no say. Forced: dark by the program, whatever the
    letter says.
    """
    wanted = "dark" if scheme == "dark" else "light"
    html = _PREFERS.sub(lambda found: _ALWAYS if found[1].lower() == wanted else _NEVER, html)
    told = f"<style>:root{{color-scheme:only {wanted}}}</style>"
    return _into_head(html, told + (_FORCED if scheme == "forced" else ""))


def _opening_elsewhere(html: str) -> str:
    return _into_head(html, '<base target="_blank">')


def _into_head(html: str, text: str) -> str:
    """At the end of the head, where it overrules what stands before it."""
    if re.search(r"</head>", html, re.I):
        return re.sub(r"</head>", lambda found: text + found[0], html, count=1, flags=re.I)
    return text + html


def tall(letter: Letter, teasers: int, width: int) -> int:
    """About how high the letter is at a width (CSS pixels), rather a little too high: a frame of another origin does not tell.

    The figures are fitted to the demo's editions at four widths; another look may need a frame that scrolls in itself.
    """
    characters = len(" ".join(" ".join(letter.body.itertext()).split()))
    pictures = sum(1 for _ in letter.elements("img"))
    column = min(max(width, NARROWEST), 640) - 56
    high = 460 + teasers * 272 + characters * 228 / column + pictures * column * 0.6
    return min(_HIGHEST, int(high * 1.08) + 100)


def path_segment(text: str) -> str:
    """Text as one step of a path."""
    return quote(text, safe="")
