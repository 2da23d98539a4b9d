"""Every distinct edition of an issue in a line each, worked out from the issue as it lies on the desk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from digest import review
from digest.compose import make_edition
from digest.desk import editions
from digest.errors import DigestError
from digest.issue import Ready
from digest.lint.editions import Looked
from digest.lint.weight import CLIP_BYTES
from digest.workspace import Workspace

Sort = Literal["readers", "largest", "smallest", "warnings"]
SORTS: Mapping[Sort, str] = {"readers": "Most readers", "largest": "Largest", "smallest": "Smallest", "warnings": "Warnings"}
PAGE = 50


@dataclass(frozen=True)
class Line:
    """One edition: ``html_bytes`` is the most that any reader of it takes; ``subject`` is its own."""

    looked: Looked
    subject: str
    html_bytes: int
    warnings: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """What it goes by in addresses."""
        return self.looked.name

    @property
    def teasers(self) -> int:
        """How many pieces it shows."""
        return len(self.looked.selection.teasers)


@dataclass(frozen=True)
class Lines:
    """All of them, the one of most readers first. ``imagined``: there are no readers yet, so these are of imagined ones."""

    all: tuple[Line, ...]
    imagined: bool

    @cached_property
    def _by_id(self) -> Mapping[str, Line]:
        return {line.id: line for line in self.all}

    @cached_property
    def readers(self) -> int:
        """How many get one of them."""
        return sum(line.looked.readers for line in self.all)

    @cached_property
    def readers_of(self) -> Mapping[str, int]:
        """How many readers get each piece, by its id."""
        found: dict[str, int] = {}
        for line in self.all:
            for id in line.looked.selection.teasers:
                found[id] = found.get(id, 0) + line.looked.readers
        return found

    @cached_property
    def _sorted(self) -> Mapping[Sort, tuple[Line, ...]]:
        return {
            "readers": self.all,
            "largest": tuple(sorted(self.all, key=lambda line: (-line.html_bytes, line.id))),
            "smallest": tuple(sorted(self.all, key=lambda line: (line.html_bytes, line.id))),
            "warnings": tuple(sorted(self.all, key=lambda line: (-len(line.warnings), -line.looked.readers, line.id))),
        }

    def sorted(self, by: Sort) -> tuple[Line, ...]:
        """In another order."""
        return self._sorted[by]

    def find(self, which: str) -> Looked | None:
        """The edition of that id, or of a role such as ``largest``."""
        if which in self._by_id:
            return self._by_id[which].looked
        return next((line.looked for line in self.all if which in line.roles), None)

    def neighbours(self, which: str) -> tuple[Line | None, Line | None, int]:
        """The edition before it, the one after it, and its place from 1 (0 where it is not among them)."""
        at = next((n for n, line in enumerate(self.all) if line.id == which), None)
        if at is None:
            return None, None, 0
        return (self.all[at - 1] if at else None), (self.all[at + 1] if at + 1 < len(self.all) else None), at + 1


def lines_of(workspace: Workspace, ready: Ready) -> Lines:
    """Work them out: each distinct edition is composed once."""
    real = review.editions(workspace, ready)
    found = real or _imagined(ready)
    budget = ready.material.rules.max_html_kb * 1024
    lines = [_line(ready, one, budget) for one in found]
    return Lines(_with_roles(lines), imagined=not real)


def _imagined(ready: Ready) -> list[Looked]:
    """Somebody who follows everything, and for each interest somebody who follows only that."""
    interests = [interest.id for interest in ready.material.interests.all]
    found: list[Looked] = []
    for name, follows in [("imagined:all", interests), *((f"imagined:{id}", [id]) for id in interests)]:
        try:
            looked = editions.of_imagined(ready, follows)
        except DigestError:  # nothing for them
            continue
        found.append(Looked(name, 0, looked.selection))
    return found


def _line(ready: Ready, looked: Looked, budget: int) -> Line:
    try:
        edition = make_edition(ready.compiled, looked.selection)
    except DigestError as error:
        return Line(looked, "", 0, (str(error),))
    warnings = []
    if edition.html_bytes >= CLIP_BYTES:
        warnings.append("Gmail would clip it")
    elif edition.html_bytes > budget:
        warnings.append("over the size budget")
    if looked.selection.left_out:
        warnings.append(f"{len(looked.selection.left_out)} left out for length")
    return Line(looked, edition.subject, edition.html_bytes, tuple(warnings))


def _with_roles(lines: Sequence[Line]) -> tuple[Line, ...]:
    from dataclasses import replace

    whole = [line for line in lines if line.html_bytes]
    if not whole:
        return tuple(lines)
    roles: dict[str, list[str]] = {}
    for role, line in (
        ("most readers", whole[0]),
        ("largest", max(whole, key=lambda line: line.html_bytes)),
        ("smallest", min(whole, key=lambda line: line.html_bytes)),
    ):
        roles.setdefault(line.id, []).append(role)
    return tuple(replace(line, roles=tuple(roles.get(line.id, ()))) for line in lines)
