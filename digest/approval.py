"""Who has approved what of an issue, and what that content was made of, to say later what differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from digest.compose import look_of
from digest.select import fold
from digest.store import edits
from digest.store.edits import Approved
from digest.store.issues import IssueRow
from digest.workspace import Workspace

if TYPE_CHECKING:
    from digest.issue import Material


def rule_of(workspace: Workspace, cadence: str) -> str:
    """``automatic`` or ``required``; required for a cadence that the configuration no longer has."""
    rule = workspace.config.cadences.get(cadence)
    return rule.approval if rule else "required"


def needed(workspace: Workspace, cadence: str) -> int:
    """How many people must approve an issue of the cadence before it leaves."""
    rule = workspace.config.cadences.get(cadence)
    return rule.approvals if rule else 1


def given(tx: Connection, row: IssueRow, content_hash: str) -> tuple[Approved, ...]:
    """Who approved exactly this content since the issue was drafted, each person once: a name in another case is the same."""
    found: dict[str, Approved] = {}
    for one in edits.approvals(tx, row.id):
        if one.content_hash == content_hash and one.at >= row.drafted_at:
            found.setdefault(fold(one.who), one)
    return tuple(found.values())


def last_complete(tx: Connection, workspace: Workspace, row: IssueRow) -> Approved | None:
    """The approval by which some content of the issue had all it needs, the latest one; None where none ever had. What one of several
    people approved is not yet approved, and is nothing to compare with.
    """
    required = needed(workspace, row.cadence)
    people: dict[tuple[str, bool], set[str]] = {}
    found = None
    for one in edits.approvals(tx, row.id):
        so_far = people.setdefault((one.content_hash, one.at >= row.drafted_at), set())
        so_far.add(fold(one.who))
        # The second: what was enough when it was given was approved, whatever the configuration has come to ask since.
        if len(so_far) >= required or one.content_hash == row.approved_hash:
            found = one
    return found


def snapshot(workspace: Workspace, material: Material, templates: Mapping[str, str]) -> dict[str, Any]:
    """What an issue is made of, in plain lists and dicts."""
    return {
        "pieces": {stored.summary.id: {"title": stored.summary.title, "seq": stored.seq} for stored in material.members},
        "carried": {stored.summary.id: {"title": stored.summary.title, "seq": stored.seq} for stored in material.carried},
        "notices": {stored.summary.id: {"title": stored.summary.title, "seq": stored.seq} for stored in material.notices},
        "edits": material.edits.model_dump(mode="json"),
        "interests": {one.id: one.model_dump(mode="json", by_alias=True) for one in material.interests.all},
        "rules": material.rules.model_dump(mode="json"),
        "languages": list(material.languages),
        "look": asdict(look_of(workspace.config)),
        "templates": dict(templates),
    }
