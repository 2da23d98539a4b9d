"""What `digest doctor` finds."""

from __future__ import annotations

from typing import Literal

from digest.model import Frozen

Level = Literal["ok", "warning", "error"]


class Finding(Frozen):
    """One thing that was looked at, in a sentence, and what to do where something is not as it should be."""

    level: Level
    about: str
    text: str
    advice: str = ""


def ok(about: str, text: str) -> Finding:
    """As it should be."""
    return Finding(level="ok", about=about, text=text)


def warning(about: str, text: str, advice: str) -> Finding:
    """It works, and may not always."""
    return Finding(level="warning", about=about, text=text, advice=advice)


def error(about: str, text: str, advice: str) -> Finding:
    """Mail must not be sent like that."""
    return Finding(level="error", about=about, text=text, advice=advice)
