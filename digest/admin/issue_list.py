"""The issues that were made, as a list shows them: the newest first, some at a time."""

from __future__ import annotations

from typing import NamedTuple

from digest.store import issues, outcomes
from digest.workspace import Workspace


class Past(NamedTuple):
    """An issue as a list shows it. ``held`` counts hand-overs whose outcome was never learnt."""

    name: str
    state: str
    paused: bool
    due: str
    planned: int
    accepted: int
    held: int


class Page(NamedTuple):
    """Some of them; ``known`` are the names of all, ``more`` says whether older ones follow."""

    issues: list[Past]
    known: frozenset[str]
    more: bool


def page(workspace: Workspace, first: int = 0, most: int = 50, after: str = "") -> Page | None:
    """The issues from the place ``first`` on, or behind the one called ``after``; None where there is none of that name."""
    with workspace.store.read() as tx:
        rows = issues.every(tx)
        names = [row.name for row in rows]
        if after and after not in names:
            return None
        begins = names.index(after) + 1 if after else first
        past = []
        for row in rows[begins : begins + most]:
            counted = outcomes.counts(tx, row.id) if row.planned is not None else {}
            sums = {state.value: count for state, count in counted.items()}
            accepted, held = sums.get("accepted", 0), sums.get("held", 0) + sums.get("uncertain", 0)
            past.append(Past(row.name, row.state.value, bool(row.paused_at), f"{row.local_date}", row.planned or 0, accepted, held))
    return Page(past, frozenset(names), len(rows) > begins + most)
