"""How parts and slots are marked in what the templates give, so that no text from outside can pass for either.

A slot is ``@@NAME@@``. A part is ``<!--digest:KIND:N-->…<!--/digest-->`` in HTML; in text, where nothing is escaped, its
marks are private characters that `clean` takes out of every text from outside. Both survive mrml and lxml.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_SEAM = "\ue000"  # stands inside what must not be taken for a slot, a mark or a template remain
_BACKSLASH = "\ue004"  # mrml doubles a backslash in attributes (EMAIL section 12, 1)
TEXT_BEGIN, TEXT_END = "\ue001", "\ue002"
FOREIGN = "\ue003"  # the value of a field that a teaser must not use, see `view`

_FORGED = re.compile(r"@(?=@)|<(?=!--)|\{(?=[{%#])|<(?=/?mj)|-(?=->)", re.I)

SLOT = re.compile(r"@@([A-Z_]+)@@")
HTML_MARK = re.compile(r"<!--digest:([a-z]+):(\d+)-->|<!--/digest-->")
TEXT_MARK = re.compile(f"{TEXT_BEGIN}([a-z]+):(\\d+){TEXT_END}|{TEXT_BEGIN}/{TEXT_END}")


def slot(name: str) -> str:
    """The token that stands for a value filled in later."""
    return f"@@{name}@@"


def guard(text: str) -> str:
    """Clean text as the templates may have it: nothing in it works as a slot, mark, tag of MJML or template code."""
    return _FORGED.sub(lambda found: found.group() + _SEAM, text).replace("\\", _BACKSLASH)


def unguard(text: str) -> str:
    """What `guard` was given."""
    return text.replace(_SEAM, "").replace(_BACKSLASH, "\\")


def begin(part: str, *, html: bool) -> str:
    """The mark before a part, which is named ``kind:number``."""
    return f"<!--digest:{part}-->" if html else f"{TEXT_BEGIN}{part}{TEXT_END}"


def end(*, html: bool) -> str:
    """The mark after a part."""
    return "<!--/digest-->" if html else f"{TEXT_BEGIN}/{TEXT_END}"


class Stretch(NamedTuple):
    """A stretch of a rendered document: ``part`` is ``kind:number``, or empty between parts."""

    part: str
    text: str


def stretches(document: str, *, html: bool) -> list[Stretch]:
    """The document cut at its marks, marks left out.

    Raises:
        ValueError: a part inside another, without an end, or an end without a beginning.
    """
    found: list[Stretch] = []
    here, position = "", 0
    for mark in (HTML_MARK if html else TEXT_MARK).finditer(document):
        opens = mark.group(1) is not None
        if opens == bool(here):
            raise ValueError("one part stands inside another" if here else "a part has no beginning")
        found.append(Stretch(here, document[position : mark.start()]))
        here, position = (f"{mark.group(1)}:{mark.group(2)}" if opens else ""), mark.end()
    if here:
        raise ValueError(f"the part {here} has no end")
    return [*found, Stretch("", document[position:])]


def without_marks(document: str, *, html: bool) -> str:
    """The document with its marks taken out and its text as it was given."""
    return unguard((HTML_MARK if html else TEXT_MARK).sub("", document))
