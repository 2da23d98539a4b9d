"""The editions of an issue as the desk pages through them: sorted once, found by id or role, each with its neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from digest.desk.editions import EditionLine, EditionTable, Sort, listed
from digest.lint.editions import Looked
from digest.readiness import Ready
from digest.workspace import Workspace

SORTS: Mapping[Sort, str] = {"readers": "Most readers", "largest": "Largest", "smallest": "Smallest", "warnings": "Warnings"}
PAGE = 50


@dataclass(frozen=True)
class Lines:
    """All editions of an issue, the one of most readers first."""

    table: EditionTable
    looked: Mapping[str, Looked]

    @cached_property
    def of_readers(self) -> int:
        """How many of them somebody on the list gets."""
        return sum(line.readers > 0 for line in self.table.lines)

    @cached_property
    def _sorted(self) -> Mapping[Sort, tuple[EditionLine, ...]]:
        return {sort: self.table.sorted(sort) for sort in SORTS}

    @cached_property
    def _places(self) -> Mapping[Sort, Mapping[str, int]]:
        return {sort: {line.id: n for n, line in enumerate(lines)} for sort, lines in self._sorted.items()}

    def sorted(self, by: Sort) -> tuple[EditionLine, ...]:
        """In another order."""
        return self._sorted[by]

    def find(self, which: str) -> Looked | None:
        """The edition of that id, or of a role such as ``largest``."""
        role = which.replace("-", " ")
        id = which if which in self.looked else next((line.id for line in self.table.lines if role in line.roles), "")
        return self.looked.get(id)

    def neighbours(self, id: str, by: Sort = "readers") -> tuple[EditionLine | None, EditionLine | None, int]:
        """The edition before it in an order, the one after it, and its place from 1 (0 where it is not among them)."""
        at, every = self._places[by].get(id), self._sorted[by]
        if at is None:
            return None, None, 0
        return (every[at - 1] if at else None), (every[at + 1] if at + 1 < len(every) else None), at + 1


def lines_of(workspace: Workspace, ready: Ready) -> Lines:
    """Work them out: each distinct edition is composed once."""
    return Lines(*listed(workspace, ready))
