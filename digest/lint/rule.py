"""A rule and what it finds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from digest.lint.letter import Letter


class Level(StrEnum):
    """What a finding means: an error stops approval, a warning wants a look or a word, an advice is good to know."""

    ERROR = "error"
    WARNING = "warning"
    ADVICE = "advice"


class Found(NamedTuple):
    """One place that breaks a rule: what is wrong there, and where (a few words of it)."""

    text: str
    place: str = ""


Check = Callable[[Letter], Iterable[Found]]


@dataclass(frozen=True)
class Rule:
    """One rule is one function. ``file`` is where a person most likely mends it; ``example`` is what breaks it."""

    id: str
    level: Level
    reason: str
    source: str
    example: str
    file: str
    check: Check


def rule(
    id: str, level: Level, *, reason: str, source: str, example: str, file: str = "templates/digest.mjml.j2"
) -> Callable[[Check], Rule]:
    """Make the rule that a function checks."""
    return lambda check: Rule(id, level, reason, source, example, file, check)


@dataclass(frozen=True)
class Finding:
    """A rule that is broken in one edition or in several. ``accepted`` is the word of the person who let it pass."""

    rule: str
    level: Level
    text: str
    place: str
    file: str
    editions: tuple[str, ...]
    accepted: str = ""

    @property
    def fingerprint(self) -> str:
        """The same for the same fault of the same issue, whichever editions have it: what accepting it is bound to."""
        return hashlib.sha256(f"{self.rule}\0{self.text}\0{self.place}".encode()).hexdigest()[:16]

    @property
    def blocks(self) -> bool:
        """Whether it stops approval."""
        return self.level is Level.ERROR
