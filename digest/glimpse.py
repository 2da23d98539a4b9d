"""What somebody would get, before they give an address: how much each interest brought lately, and the last issue by their choices."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from digest import calendar, compose, interests, issue, plan, select
from digest.compose import CompiledIssue, Reader
from digest.interests import Interests
from digest.issue import Material
from digest.model import Audience, Follower, IssueState, Selection
from digest.store import catalogue, issues
from digest.workspace import Workspace

LATELY = timedelta(days=92)
_FRESH_S = 600.0


class Glimpse:
    """Answers both questions for one workspace, and keeps what is dear to work out."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._lock = threading.Lock()
        self._lists: tuple[int, Interests] | None = None
        self._counts: tuple[float, int, Mapping[str, int]] | None = None
        self._compiled: dict[str, tuple[str, Material, CompiledIssue]] = {}

    def lists(self) -> Interests:
        """The interest lists as the file has them now.

        Raises:
            ConfigError: the file is wrong; the text says where.
        """
        stamp = (self._workspace.path / interests.FILE).stat().st_mtime_ns
        with self._lock:
            if self._lists is None or self._lists[0] != stamp:
                self._lists = (stamp, interests.load(self._workspace.path))
            return self._lists[1]

    def counts(self) -> Mapping[str, int]:
        """How many pieces each interest brought in the last three months, its children's included."""
        lists, now = self.lists(), datetime.now(UTC)
        with self._lock:
            if self._counts is not None and now.timestamp() - self._counts[0] < _FRESH_S and self._counts[1] == id(lists):
                return self._counts[2]
        with self._workspace.store.read() as tx:
            pieces = [stored.summary for stored in catalogue.published_after(tx, now - LATELY)]
        shown = [piece for piece in pieces if now - LATELY < piece.published_at <= now and not select.unwanted(piece, now)]
        matched = select.catalogue(shown, lists)
        counts = {one.id: sum(one.id in ids for ids in matched.follows.values()) for one in lists.all}
        with self._lock:
            self._counts = (now.timestamp(), id(lists), counts)
        return counts

    def email(self, cadence: str, follows: tuple[str, ...], audience: tuple[Audience, ...]) -> tuple[str, str] | None:
        """Name and HTML of the last issue as it would have come for these choices; None where it had nothing for them.

        Raises:
            RenderError: it cannot be composed.
        """
        material, compiled = self._last(cadence)
        follower = Follower(interests=follows, audience=audience)
        chosen = select.select(material.catalogue, follower, material.rules, plan.costs_of(compiled)).selection
        if chosen.empty:
            return None
        url = self._workspace.config.newsletter.url
        nobody = Reader(email="you@example.org", name="", unsubscribe_url=url, preferences_url=url, web_url=url)
        return material.slot.name, compose.html_of(compose.make_edition(compiled, Selection.model_validate(chosen)), nobody)

    def _last(self, cadence: str) -> tuple[Material, CompiledIssue]:
        """The cadence's last issue that went out; before there is one, what came out in its last period."""
        workspace = self._workspace
        with workspace.store.read() as tx:
            gone = [row for row in issues.every(tx) if row.state in (IssueState.SENDING, IssueState.FINISHED)]
            row = next((one for one in gone if one.cadence == cadence), None)
            material = issue.material_of(tx, workspace, row) if row is not None else self._period(cadence, catalogue.load(tx))
            key = row.content_hash if row is not None else f"{material.slot.name} {catalogue.highest_seq(tx)} {id(material.interests)}"
        with self._lock:
            kept = self._compiled.get(cadence)
            if kept is None or kept[0] != key:
                compiled = issue.compiled_of(workspace, row, material) if row is not None else material.compile(workspace)
                kept = self._compiled[cadence] = (key, material, compiled)
        return kept[1], kept[2]

    def _period(self, cadence: str, known: list[catalogue.Stored]) -> Material:
        workspace = self._workspace
        slot = calendar.latest_slot(cadence, workspace.config.cadences[cadence], workspace.zone, datetime.now(UTC).date())
        lists = self.lists()
        members = tuple(
            stored
            for stored in known
            if slot.opens_after < stored.summary.published_at <= slot.due_at and not select.unwanted(stored.summary, slot.due_at)
        )
        return Material(slot, members, (), lists, workspace.config.selection)
