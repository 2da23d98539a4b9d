"""What would be gathered from an address, worked out for somebody who looks before they add it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, get_args
from urllib.parse import urlsplit

from digest import audit
from digest.admin import sourcefile, sources
from digest.config import Source
from digest.errors import ConfigError, SourceError
from digest.model import Harvest
from digest.sources import fetch, pick, trial
from digest.sources.layout import Found, Layout, Role
from digest.sources.trial import DateOrder, Feed, Kind
from digest.workspace import Workspace

ROLES: tuple[Role, ...] = get_args(Role)


class Tried(NamedTuple):
    """What stands at an address and what would be gathered. ``problem``: why nothing would, in words that say what to do.

    ``proposals`` are what is repeated on a page, ``layout`` the one that ``source`` goes by.
    """

    page: fetch.Page
    kind: Kind
    feeds: tuple[Feed, ...] = ()
    proposals: tuple[Found, ...] = ()
    layout: Layout | None = None
    source: Source | None = None
    harvest: Harvest = Harvest()
    problem: str = ""

    @property
    def entry(self) -> dict[str, object]:
        """The source as it would stand in ``config.yaml``."""
        return trial.written(self.source) if self.source is not None else {}


def get(workspace: Workspace, url: str) -> fetch.Page:
    """What stands at an address, read once; that somebody had it read is recorded, with its host alone.

    Raises:
        SourceError: it may not be read, or cannot be.
    """
    page = trial.get(url, sources.context(workspace))
    audit.note(workspace, "sources.try", "", host=(urlsplit(page.url).hostname or "")[:200])
    return page


def look(
    workspace: Workspace,
    page: fetch.Page,
    *,
    kind: Kind | None = None,
    layout: Layout | None = None,
    clicked: Mapping[Role, int] | None = None,
    name: str = "",
    date_order: DateOrder | None = None,
) -> Tried:
    """What would be gathered from the document that came.

    Args:
        kind: as what it is read; else by what is in it. layout: where the parts are; else by ``clicked`` (places among the page's
            elements), else the likeliest. name: what the source would be called. date_order: else by what can be read.
    Raises:
        SourceError: nothing can be made of the document at all.
    """
    context = sources.context(workspace)
    kind = kind or trial.kind_of(page)
    tried = Tried(page, kind)
    try:
        if kind == "page":
            tried = tried._replace(feeds=trial.feeds_of(page), proposals=tuple(trial.proposals(page)))
            if clicked:
                layout = pick.propose(trial.parsed(page), clicked).layout
            if layout is None and tried.proposals:
                layout = tried.proposals[0].layout
            if layout is not None and layout.item:
                layout = pick.complete(trial.parsed(page), layout)
            if layout is None:
                return tried._replace(problem="nothing on this page is repeated that has titles and links; it lists no pieces")
            tried = tried._replace(layout=layout)
        name = name or trial.name_for(page.url, [source.name for source in workspace.config.sources])
        order = date_order or trial.likely_order(page, kind, layout, context)
        source = trial.make(page, kind, name, layout, order)
        tried = tried._replace(source=source)
        return tried._replace(harvest=trial.harvest(page, source, context))
    except (SourceError, ConfigError, pick.NoLayout) as error:
        return tried._replace(problem=str(error))


def add(workspace: Workspace, tried: Tried, seen: str) -> None:
    """Add what was tried to ``config.yaml``; ``seen``: the `sourcefile.mark` of the file when it was shown.

    Raises:
        ConfigError: it cannot be added; nothing was changed. sourcefile.Conflict: the file was edited meanwhile.
    """
    if tried.source is None or tried.problem:
        raise ConfigError(tried.problem or "there is nothing to add")
    if any(source.name == tried.source.name for source in workspace.config.sources):
        raise ConfigError(f'there is a source "{tried.source.name}" already; take another name')
    sourcefile.add(workspace, tried.entry, seen, tried.page.content if tried.kind == "text" else None)
