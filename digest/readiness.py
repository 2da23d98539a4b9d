"""From a draft to what may leave: it is approved, bound to its content, and then made ready, its content frozen from there on."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection

from digest import approval, audit, interests, life, select, unfinished
from digest.compose import CompiledIssue, look_of
from digest.compose.render import read_templates
from digest.errors import IssueError, IssueWaits
from digest.issue import Material, find, is_frozen, material_of
from digest.model import IssueState
from digest.store import catalogue, edits, issues, lists, moves, now, people
from digest.store.issues import IssueRow
from digest.workspace import Workspace

if TYPE_CHECKING:
    from digest.lint.rule import Finding


class Ready(NamedTuple):
    """An issue with what it is composed from, in the state it may leave in."""

    row: IssueRow
    material: Material
    compiled: CompiledIssue


def approve(workspace: Workspace, name: str, *, by: str = "", expected: str = "") -> str:
    """Bind an editor's approval to the issue's content as it is now; ``by`` is who does, if not ``workspace.who``. Where the
    cadence wants several, the issue is approved with the last one. ``expected`` is the hash of the content that was looked at, where
    it was looked at: no other is approved. Returns the content hash.

    Raises:
        IssueError: no such issue, it has begun to go out, it is not what was expected, the checks find an error in it, or the same person
            approved it before.
    """
    with workspace.store.read() as tx:
        row = find(tx, name)
        material = material_of(tx, workspace, row)
    if is_frozen(row):
        raise IssueError(f"{name} is {row.state}; approval comes before sending")
    templates = read_templates(workspace.path / "templates")
    compiled = material.compile_with(templates, look_of(workspace.config))
    content_hash = material.content_hash(compiled)
    if expected and content_hash != expected:  # what is bound below is this very hash
        raise IssueError(f"{name} has changed since you looked at it; look again, then approve it")
    if found := _errors(material, compiled):
        raise IssueError(_told(name, found, "approved"))
    who, needed = by.strip() or workspace.who, approval.needed(workspace, row.cadence)
    with workspace.store.write() as tx:
        require(tx, name, row.state)
        _require_unedited(tx, row, material)
        before = {select.fold(one.who) for one in approval.given(tx, row, content_hash)}
        if needed > 1 and select.fold(who) in before:
            raise IssueError(
                f"{who} has approved this content of {name} already; it takes {needed} people: `digest approve {name} --by NAME`"
            )
        edits.approve(tx, row.id, content_hash, who, approval.snapshot(workspace, material, templates))
        named = {} if who == workspace.who else {"by": who}
        audit.record(tx, workspace, "issue.approve", name, content=content_hash[:12], given=len(before) + 1, needed=needed, **named)
        if len(before) + 1 < needed:
            moves.record(tx, row.id, who, row.state, row.state, f"approval {len(before) + 1} of {needed}, content {content_hash[:12]}")
            return content_hash
        issues.move_issue(
            tx,
            row.id,
            IssueState.APPROVED,
            who=who,
            detail=f"content {content_hash[:12]}",
            content_hash=content_hash,
            frozen=json.dumps(material.frozen(), ensure_ascii=False, sort_keys=True),
            approved_hash=content_hash,
            approved_at=now(tx),
        )
    return content_hash


def _errors(material: Material, compiled: CompiledIssue, *, stopping: bool = False) -> tuple[Finding, ...]:
    """What the checks hold against the whole issue; ``stopping``: only what may leave by nobody's approval."""
    from digest.lint import editions

    found = editions.errors(compiled, material.shown, material.rules.max_html_kb * 1024, material.slot.cadence)
    return tuple(one for one in found if one.rule in editions.STOPPING) if stopping else found


def _told(name: str, found: Sequence[Finding], verb: str) -> str:
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return f"{name} is not {verb}: {found[0].text} ({found[0].rule}){more}; `digest lint {name}` tells all"


def make_ready(workspace: Workspace, name: str) -> Ready:
    """The issue as it may leave now, its content frozen from here on.

    Raises:
        IssueError: not due yet, not approved, changed since it was approved, or automatic with an error that would harm readers.
    """
    with workspace.store.read() as tx:
        lists_then = lists.version(tx)
        row = find(tx, name)
        material = material_of(tx, workspace, row)
        blob = issues.content(tx, row.id)
    if is_frozen(row) and blob is not None:
        return Ready(row, material, CompiledIssue.from_json(zlib.decompress(blob).decode()))
    if not workspace.is_due(row.slot):
        raise IssueWaits(f"{name} is due at {row.due_at:%Y-%m-%d %H:%M} UTC; wait, or act as of its date with --on {row.local_date}")
    limit = life.too_late_at(workspace, row)
    if limit is not None and workspace.at > limit:
        given = life.expire(workspace, name, "later than delivery.late_limit_h allows")
        if given is not None:
            raise IssueWaits(f"{name} is too late to be sent (delivery.late_limit_h); what it held goes to the next {row.cadence} issue")
    _check_still_wanted(workspace, material)
    with workspace.store.read() as tx:
        if not people.readers_after(tx, row.cadence, 0, 1):
            raise IssueWaits(f"nobody who may be written to gets {row.cadence} issues yet; {name} stays a draft")
        _require_known(tx, workspace, material)
    compiled = material.compile(workspace)
    content_hash = material.content_hash(compiled)
    _check_approval(workspace, row, content_hash)
    if approval.rule_of(workspace, row.cadence) == "automatic" and (found := _errors(material, compiled, stopping=True)):
        raise IssueWaits(_told(name, found, "sent"))
    with workspace.store.write() as tx:
        require(tx, name, row.state)
        _require_unedited(tx, row, material)
        lists.require_settled(tx)
        if lists.version(tx) != lists_then:  # its lists must be those that readers' choices go by
            raise IssueWaits(f"the interest lists were changed while {name} was made ready; `digest send {name}` begins again")
        issues.put_content(tx, row.id, zlib.compress(compiled.to_json().encode()))
        issues.move_issue(
            tx,
            row.id,
            IssueState.PLANNING,
            who=workspace.who,
            content_hash=content_hash,
            frozen=json.dumps(material.frozen(), ensure_ascii=False, sort_keys=True),
            send_not_after=_send_not_after(workspace, row, now(tx)),
        )
        audit.record(tx, workspace, "issue.send", name, content=content_hash[:12])
        row = find(tx, name)
    return Ready(row, material, compiled)


def _require_known(tx: Connection, workspace: Workspace, material: Material) -> None:
    """Another machine may have changed the lists: by an old copy of the file, readers would be left without what they follow.

    Raises:
        IssueWaits: active readers follow what this file does not have, and it is not the one of the last change.
    """
    newest = lists.newest(tx)
    if newest is None or newest.new_text == unfinished.read(workspace.path):
        return
    unknown = {id: active for id, (active, _) in lists.counts(tx).items() if active and material.interests.get(id) is None}
    if unknown:
        id, count = next(iter(sorted(unknown.items())))
        more = f", and {len(unknown) - 1} more ids" if len(unknown) > 1 else ""
        raise IssueWaits(
            f'readers follow "{id}" ({count} of them){more}, which {interests.FILE} on this machine does not have; bring the file of the '
            "last change here, or look with `digest interests compare`"
        )


def _check_still_wanted(workspace: Workspace, material: Material) -> None:
    """What was held back or retracted since the draft must not leave."""
    with workspace.store.read() as tx:
        newest = catalogue.load(tx, rows=[stored.row for stored in (*material.members, *material.carried)])
    for stored in newest:
        unwanted = select.unwanted(stored.summary, material.slot.due_at)
        if unwanted:
            cadence = material.slot.cadence
            raise IssueWaits(
                f'"{stored.summary.title}" has been {unwanted} since {material.slot.name} was drafted; '
                f"`digest draft {cadence} --on {material.slot.local_date} --again` drafts it without"
            )


def _send_not_after(workspace: Workspace, row: IssueRow, at: datetime) -> datetime | None:
    """By the database's clock; what of the limit has passed already is counted from the date acted as of."""
    limit = life.too_late_at(workspace, row)
    return None if limit is None else at + (limit - workspace.at)


def require(tx: Connection, name: str, state: IssueState) -> None:
    """The issue is still what it was when this step began: somebody may have cancelled it meanwhile."""
    found = find(tx, name).state
    if found is not state:
        raise IssueWaits(f"{name} was {state} when this began and is {found} now; nothing more was done")


def _require_unedited(tx: Connection, row: IssueRow, material: Material) -> None:
    """Nobody edited the issue while it was looked at: what was looked at is what leaves, or is approved."""
    if edits.version(tx, row.id) != material.version:
        raise IssueWaits(f"{row.name} was edited at this very moment; nothing more was done: look at it, then do it again")


def _check_approval(workspace: Workspace, row: IssueRow, content_hash: str) -> None:
    if approval.rule_of(workspace, row.cadence) == "automatic":
        return
    with workspace.store.read() as tx:
        given = len(approval.given(tx, row, content_hash))
    needed = approval.needed(workspace, row.cadence)
    if row.approved_hash == content_hash and (needed == 1 or given >= needed):
        return
    if row.approved_hash is None or row.approved_hash == content_hash or given:
        so_far = f" ({given} of {needed} people have approved it)" if needed > 1 else ""
        raise IssueWaits(f"{row.name} waits for approval{so_far}: look at it, then `digest approve {row.name}`")
    raise IssueWaits(
        f"{row.name} has changed since it was approved (an edit, template, interest or rule): "
        f"`digest compare {row.name} --approved` tells what; look again, then `digest approve {row.name}`"
    )
