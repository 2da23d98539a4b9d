"""What differs: a draft from what was approved last, an issue from the one before."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from digest import approval, issue, review
from digest import edits as model
from digest.compose.render import read_templates
from digest.desk import papers
from digest.desk.editions import EditionTable, listed
from digest.edits import Edits
from digest.errors import ConfigError, RenderError
from digest.model import Frozen, IssueState
from digest.readiness import Ready
from digest.store import edits, issues
from digest.workspace import Workspace


class Approval(Frozen):
    """Somebody approved the issue's content as it was then."""

    who: str
    at: datetime
    content_hash: str


class Approvals(Frozen):
    """How approval stands: ``given`` are for the content as it is now, each by another person; ``needed`` by the cadence; ``last`` is the
    one by which some content last had all it needs.
    """

    needed: int
    given: tuple[Approval, ...]
    last: Approval | None

    @property
    def complete(self) -> bool:
        """Whether the issue as it is now has all it needs."""
        return len(self.given) >= self.needed


class Difference(Frozen):
    """One thing that differs, in words. ``kind`` is ``piece``, ``edit``, ``interest``, ``rule``, ``look``, ``language`` or
    ``template`` (whose ``new`` is a unified diff); ``about`` names it.
    """

    kind: str
    about: str
    text: str
    old: str = ""
    new: str = ""


class IssueFigures(Frozen):
    """An issue in numbers, to stand beside another's."""

    issue: str
    state: str
    pieces: int
    readers: int
    editions: int
    nothing_for: int
    mean_teasers: float
    largest_html_bytes: int
    subject: str  # of most readers
    pieces_by_interest: dict[str, int]


class Comparison(Frozen):
    """An issue beside the one before it of the cadence (None where it is the first)."""

    issue: IssueFigures
    previous: IssueFigures | None


def approvals(workspace: Workspace, ready: Ready) -> Approvals:
    """How approval stands for the issue as it is composed now."""
    content_hash = ready.material.content_hash(ready.compiled)
    with workspace.store.read() as tx:
        given = approval.given(tx, ready.row, content_hash)
        last = approval.last_complete(tx, workspace, ready.row)
    return Approvals(
        needed=approval.needed(workspace, ready.row.cadence),
        given=tuple(_approval(one) for one in given),
        last=_approval(last) if last is not None else None,
    )


def holds(workspace: Workspace, name: str) -> bool:
    """Whether the issue as it is now has all the approvals it needs; what cannot be composed has not.

    Raises:
        IssueError: no such issue.
    """
    try:
        return approvals(workspace, review.ready(workspace, name)).complete
    except (RenderError, ConfigError):
        return False


def _approval(one: edits.Approved) -> Approval:
    return Approval(who=one.who, at=one.at, content_hash=one.content_hash)


def since_approval(workspace: Workspace, ready: Ready) -> tuple[Difference, ...] | None:
    """What differs from the content that was approved last, by all it needs; None where none ever was, empty where nothing differs."""
    with workspace.store.read() as tx:
        last = approval.last_complete(tx, workspace, ready.row)
        old = edits.snapshot(tx, ready.row.id, last.content_hash) if last is not None else None
    if old is None:
        return None
    # What goes out was composed from the templates as they were then.
    templates = old["templates"] if issue.is_frozen(ready.row) else read_templates(workspace.path / "templates")
    return differences(old, approval.snapshot(workspace, ready.material, templates))


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Pure: what differs between two snapshots (`approval.snapshot`)."""
    return (
        *_pieces(old, new),
        *_edits(old, new),
        *_interests(old["interests"], new["interests"]),
        *_values("rule", "selection", old["rules"], new["rules"]),
        *_values("look", "newsletter", old["look"], new["look"]),
        *_languages(old["languages"], new["languages"]),
        *_templates(old["templates"], new["templates"]),
    )


def _pieces(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
    said = {"pieces": "piece", "carried": "piece carried for some readers", "notices": "correction"}
    for group, word in said.items():
        had, has = old[group], new[group]
        for id in dict.fromkeys((*had, *has)):
            if had.get(id) == has.get(id):
                continue
            title = (has.get(id) or had[id])["title"]
            what = "is new" if id not in had else "is gone" if id not in has else "has been changed by its source"
            yield Difference(
                kind="piece",
                about=id,
                text=f'{word} "{title}" {what}',
                old=had[id]["title"] if id in had else "",
                new=has[id]["title"] if id in has else "",
            )


def _edits(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
    titles = {id: one["title"] for side in (old, new) for id, one in (*side["carried"].items(), *side["pieces"].items())}
    values = [model.to_values(Edits.model_validate(side["edits"])) for side in (old, new)]
    for one in papers.differences(values[0], values[1], titles):
        yield Difference(kind="edit", about=one.target, text=one.new or f"no longer: {one.old}", old=one.old, new=one.new)


def _interests(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
    for id in dict.fromkeys((*old, *new)):
        if id not in old or id not in new:
            yield Difference(kind="interest", about=id, text=f"interest {id} is {'new' if id in new else 'gone'}")
            continue
        for key in dict.fromkeys((*old[id], *new[id])):
            if old[id].get(key) != new[id].get(key):
                before, after = (_said(side[id].get(key)) for side in (old, new))
                yield Difference(kind="interest", about=id, text=f"interest {id}: {key} is another", old=before, new=after)


def _values(kind: str, where: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
    for key in dict.fromkeys((*old, *new)):
        if old.get(key) != new.get(key):
            before, after = _said(old.get(key)), _said(new.get(key))
            yield Difference(kind=kind, about=key, text=f"{where}: {key} was {before}, is {after}", old=before, new=after)


def _languages(old: list[str], new: list[str]) -> Iterator[Difference]:
    if old != new:
        before, after = ", ".join(old) or "none", ", ".join(new) or "none"
        yield Difference(kind="language", about="languages", text=f"languages readers chose: {after}, were {before}", old=before, new=after)


def _templates(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Difference]:
    for name in sorted({*old, *new}):
        if old.get(name) == new.get(name):
            continue
        file = f"templates/{name}"
        lines = list(difflib.unified_diff(old.get(name, "").split("\n"), new.get(name, "").split("\n"), file, file, lineterm="", n=2))
        changed = sum(line[:1] in "+-" and line[:3] not in ("+++", "---") for line in lines)
        what = "is new" if name not in old else "is gone" if name not in new else f"differs in {changed} lines"
        yield Difference(kind="template", about=file, text=f"{file} {what}", new="\n".join(lines))


def _said(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case dict():
            return ", ".join(f"{key} {_said(inner)}" for key, inner in value.items() if inner not in ([], {}, None, "")) or "nothing"
        case list() | tuple():
            return ", ".join(map(_said, value)) or "nothing"
    return str(value)


# --- beside another issue ------------------------------------------------------------------------------------------------


def with_previous(workspace: Workspace, ready: Ready, other: str = "") -> Comparison:
    """The issue in figures, beside the one before it or another.

    Raises:
        IssueError: there is no issue ``other``.
    """
    with workspace.store.read() as tx:
        if other:
            name = issue.find(tx, other).name
        else:
            lost = (IssueState.EXPIRED, IssueState.CANCELLED)
            older = [one for one in issues.every(tx) if one.cadence == ready.row.cadence and one.due_at < ready.row.due_at]
            name = next((one.name for one in older if one.state not in lost), "")
    previous = figures(workspace, review.ready(workspace, name)) if name else None
    return Comparison(issue=figures(workspace, ready), previous=previous)


def figures(workspace: Workspace, ready: Ready, table: EditionTable | None = None) -> IssueFigures:
    """An issue in numbers; ``table`` saves working its editions out again."""
    table = table or listed(workspace, ready)[0]
    lines = [one for one in table.lines if one.readers or table.imagined]
    known = ready.material.catalogue
    under = {one.id: sum(one.id in ids for ids in known.follows.values()) for one in ready.material.interests.all}
    return IssueFigures(
        issue=ready.row.name,
        state=ready.row.state.value,
        pieces=len(known.summaries),
        readers=table.readers,
        editions=len(lines),
        nothing_for=table.nothing_for,
        mean_teasers=round(sum(one.teasers * one.readers for one in lines) / table.readers, 1) if table.readers else 0,
        largest_html_bytes=max((one.html_bytes for one in lines), default=0),
        subject=lines[0].subject if lines else "",
        pieces_by_interest=under,
    )
