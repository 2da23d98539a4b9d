"""What the editors of one issue add to it, besides its pieces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from digest.compose.rich import rich
from digest.errors import RenderError


@dataclass(frozen=True)
class Editorial:
    """A note on top, words under headings (by interest), both in Markdown; subject and preheader of every email with teasers.
    What is empty is not there.
    """

    note: str = ""
    intros: Mapping[str, str] = field(default_factory=dict)
    subject: str = ""
    preheader: str = ""


def shown(markdown: str, what: str, direction: str, language: str) -> dict[str, str] | None:
    """The same as templates have it: ``html``, made of known elements only, and ``text``; None where there is nothing.

    Raises:
        RenderError: it has a link that an email may not have.
    """
    if not markdown.strip():
        return None
    try:
        return rich(markdown, direction, language)._asdict()
    except ValueError as error:
        raise RenderError(f"{what}: {error}") from error
