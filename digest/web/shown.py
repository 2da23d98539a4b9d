"""A summary as the reading pages show it."""

from __future__ import annotations

from typing import NamedTuple
from zoneinfo import ZoneInfo

from digest.compose import clean
from digest.missed import evidence
from digest.model import Notice, Summary
from digest.tongue import Tongue
from digest.webcopy import said


class Shown(NamedTuple):
    """One piece: every text plain, the date in words. ``lang`` and ``dir`` are those of its own texts; ``changed`` says of what day."""

    title: str
    url: str
    about: str
    takeaway: str
    limits: str
    journal: str
    lang: str
    dir: str
    changed: str
    change: str
    illustration: bool


def shown(piece: Summary, spoken: Tongue, zone: str, newsletter: str, notice: Notice | None) -> Shown:
    """The piece in the words of a page; ``newsletter`` is the language of pieces that name none."""
    day = spoken.day(piece.published_at.astimezone(ZoneInfo(zone)).date())
    return Shown(
        title=clean.clean(piece.title),
        url=_link(piece.url),
        about=f"{evidence(piece.evidence, spoken)} · {day}" if piece.evidence else day,
        takeaway=clean.clean(piece.takeaway or (piece.sections[0].text if piece.sections else "")),
        limits=clean.clean(piece.limits),
        journal=clean.clean(piece.journal),
        lang=piece.language or newsletter,
        dir="rtl" if clean.runs_right_to_left(piece.title) else "ltr",
        changed=said(notice, spoken, zone) if notice else "",
        change=clean.clean(notice.text) if notice else "",
        illustration=piece.illustration,
    )


def _link(url: str) -> str:
    try:
        return clean.link(url)
    except ValueError:
        return ""
