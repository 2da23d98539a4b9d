"""A workspace whose issue is drafted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from digest import gather, interests, issue
from digest.subscribe import import_file
from digest.workspace import open_workspace
from tests.support.make import CONFIG, make_workspace, write_summary


def draft_issue(folder: Path, people: str, tags: Mapping[str, str], on: date, *, config: str = CONFIG) -> Path:
    """The workspace, with the monthly issue of ``on`` drafted for ``people``, a CSV; ``tags`` are those of each summary by its name."""
    made = make_workspace(folder, config=config, subscribers=people)
    for name, tag in tags.items():
        write_summary(made, name, tags=tag)
    with open_workspace(made, on) as opened:
        import_file(opened, made / "subscribers" / "people.csv", interests.load(made))
        gather.gather(opened)
        issue.draft(opened, "monthly")
    return made
