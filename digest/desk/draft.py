"""A draft while it is edited: one transaction, its steps so far, its pieces; and what may be written into it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

from sqlalchemy import Connection

from digest import audit, issue, select
from digest import edits as model
from digest.compose import clean, rich
from digest.compose.teaser import count
from digest.edits import Change, Edits, State, Step, Target
from digest.errors import IssueError
from digest.issue import Material
from digest.model import Frozen
from digest.store import edits as store
from digest.store.catalogue import Stored
from digest.store.issues import IssueRow
from digest.workspace import Workspace

_LONG = 240  # characters of a step in one line
MAX_SUBJECT = 150  # characters; beyond 60 phones cut it, beyond 78 the checks warn


class Edited(Frozen):
    """What holds for an issue now. ``may_edit`` is false once it has begun to go out. ``undo`` and ``redo`` tell what each would
    take back or do again; empty where there is nothing.
    """

    issue: str
    version: int
    edits: Edits
    may_edit: bool
    undo: str = ""
    redo: str = ""


class Draft:
    """An issue while it is edited, inside one transaction."""

    def __init__(self, tx: Connection, workspace: Workspace, row: IssueRow) -> None:
        self.tx, self.workspace, self.row = tx, workspace, row

    @cached_property
    def steps(self) -> list[Step]:
        return store.steps(self.tx, self.row.id)

    @cached_property
    def state(self) -> State:
        return model.fold(self.steps)

    @cached_property
    def material(self) -> Material:
        return issue.material_of(self.tx, self.workspace, self.row)

    @cached_property
    def pieces(self) -> tuple[Stored, ...]:
        return (*self.material.members, *self.material.carried)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The pieces as they stand now, those without a place in the order pins, weight, newest."""
        return order_of(self.material)

    def piece(self, wanted: str) -> Stored:
        """The piece of the issue that is called so."""
        found = [stored for stored in self.pieces if select.names(stored.summary, (wanted,))]
        if len(found) == 1:
            return found[0]
        name = self.row.name
        if found:
            raise IssueError(f'"{wanted}" names {len(found)} pieces of {name}: {", ".join(one.summary.id for one in found)}; take an id')
        raise IssueError(f'{name} has no piece "{wanted}"; `digest edit {name} list` lists them')

    def known(self, wanted: str) -> str:
        """The same, or a piece that was edited and is in the issue no longer: what was done to it can be taken back."""
        return wanted if any(key == wanted for _, key in self.state.values) else self.piece(wanted).summary.id

    def interest(self, wanted: str) -> str:
        if self.material.interests.get(wanted) is None:
            raise IssueError(f'there is no interest "{wanted}" ({", ".join(one.id for one in self.material.interests.all)})')
        return wanted

    def under(self, kind: Literal["pin", "exclude"], piece: str, interests: Sequence[str]) -> Change:
        value = list(dict.fromkeys(self.interest(one) for one in interests))
        return Change(kind=kind, key=self.piece(piece).summary.id, value=value)

    @cached_property
    def titles(self) -> dict[str, str]:
        return {stored.summary.id: stored.summary.title for stored in self.pieces}

    def _order_before(self, version: int) -> Sequence[str]:
        """How the pieces stood before the step of a version."""
        before = model.fold([step for step in self.steps if step.version < version]).values.get(("order", ""))
        plain = replace(self.material, edits=self.material.edits.model_copy(update={"order": ()}))
        return before or order_of(plain)

    def said(self, change: Change, version: int) -> str:
        """A change in one line of words, as the step of a version made it."""
        if change.kind == "order" and change.value and (found := one_moved(self._order_before(version), change.value)):
            return f'moved "{self.titles.get(found[0], found[0])}" to place {found[1]}'
        if change.kind == "order" and change.value and len(change.value) > 3:
            first = in_words(change.target, change.value[:3], self.titles)
            return " ".join(f"{first} and {len(change.value) - 3} more".split())
        words = " ".join(in_words(change.target, change.value, self.titles).split())
        return words if len(words) <= _LONG else f"{words[: _LONG - 1].rstrip()}…"


def order_of(material: Material) -> tuple[str, ...]:
    """The ids of an issue's pieces as they stand, whatever the interest."""
    return tuple(sorted(material.catalogue.summaries, key=lambda id: material.catalogue.order("", id)))


def one_moved(old: Sequence[str], new: Sequence[str]) -> tuple[str, int] | None:
    """Pure: the one thing whose place is all that two orders differ in, and its new place from 1; None where more differs."""
    at = next((n for n, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), None)
    if at is None or sorted(old) != sorted(new):
        return None
    for id in (new[at], old[at]):
        if [one for one in old if one != id] == [one for one in new if one != id]:
            return id, list(new).index(id) + 1
    return None


def in_words(target: Target, value: Any, titles: Mapping[str, str]) -> str:
    """A target set to a value, in words. ``titles`` by piece."""
    kind, key = target
    called = f'"{titles.get(key, key)}"'
    under = f" under {', '.join(value)}" if isinstance(value, list) and value and kind in ("pin", "exclude") else ""
    match kind:
        case "pin":
            return f"pinned {called}{under}" if value is not None else f"unpinned {called}"
        case "exclude":
            return f"excluded {called}{under}" if value is not None else f"included {called}"
        case "teaser":
            words = [f'{part} "{value[part]}"' for part in ("title", "takeaway") if value.get(part)] if value else []
            return f"rewrote {called}: {', '.join(words)}" if words else f"put {called} back as its source has it"
        case "order":
            places = [f"{place}. {titles.get(id, id)}" for place, id in enumerate(value or (), start=1)]
            return "\n".join(["order:", *places]) if places else "order as by itself"
        case "intro":
            return f"words under {key}: {value}" if value else f"no words under {key}"
    return f"{kind}: {value}" if value else f"no {kind} of its own"


def edited(draft: Draft) -> Edited:
    """What holds for the draft."""
    state = draft.state

    def told(step: Step | None) -> str:
        return f"{step.who}: {'; '.join(draft.said(change, step.version) for change in step.changes)}" if step else ""

    own = draft.material.edits  # as frozen, once it goes out
    may = not issue.is_frozen(draft.row)
    return Edited(issue=draft.row.name, version=state.version, edits=own, may_edit=may, undo=told(state.undo), redo=told(state.redo))


def _open(tx: Connection, workspace: Workspace, name: str) -> Draft:
    row = issue.find(tx, name)
    if issue.is_frozen(row):
        raise IssueError(f"{name} is {row.state}; what has begun to go out is not edited any more")
    return Draft(tx, workspace, row)


def change(workspace: Workspace, name: str, make: Callable[[Draft], Iterable[Change]], seen: int | None) -> Edited:
    """Write one step of what differs from what holds; nothing where nothing does."""
    with workspace.store.write() as tx:
        draft = _open(tx, workspace, name)
        changes = [one for one in make(draft) if draft.state.values.get(one.target) != one.value]
        model.refuse(draft.state, changes, seen)
        if not changes:
            return edited(draft)
        store.add(tx, draft.row.id, draft.state.version + 1, workspace.who, "edit", changes)
        kinds = sorted({one.kind for one in changes})  # the words themselves are in the steps
        audit.record(tx, workspace, "issue.edit", name, version=draft.state.version + 1, changed=kinds)
        return edited(Draft(tx, workspace, draft.row))


def play(workspace: Workspace, name: str, op: Literal["undo", "redo"], seen: int | None) -> Edited:
    """Take the last step back, or do it again."""
    with workspace.store.write() as tx:
        draft = _open(tx, workspace, name)
        state = draft.state
        last = state.undo if op == "undo" else state.redo
        if last is None:
            raise IssueError(f"{name} has nothing to {op}")
        if seen is not None and state.version != seen:
            newest = draft.steps[-1]
            raise model.Conflict(
                f"{newest.who} changed {name} at {newest.at:%H:%M} UTC, after you looked at it; nothing was changed: look again",
                mine=None,
                theirs=None,
                who=newest.who,
                at=newest.at,
                version=state.version,
            )
        store.add(tx, draft.row.id, state.version + 1, workspace.who, op)
        audit.record(tx, workspace, "issue.edit", name, version=state.version + 1, changed=op)
        return edited(Draft(tx, workspace, draft.row))


# --- what may stand in an email ------------------------------------------------------------------------------------------


def line(text: str | None, most: int, what: str, own: str = "") -> str | None:
    """One clean line; None where it is empty or says what stands there anyway."""
    words = clean.clean(text or "")
    if count(words) > most or len(words.encode()) > 6 * most:
        raise IssueError(f"{what} has {count(words)} characters; an email shows at most {most}")
    return words if words and words != clean.clean(own) else None


def markdown(text: str, most: int, what: str) -> str | None:
    """Markdown that an email can show; None where it is empty."""
    text = text.replace("\r\n", "\n").strip()
    if len(text) > most:
        raise IssueError(f"{what} has {len(text)} characters; at most {most} are read")
    try:
        shown = rich.rich(text)
    except ValueError as error:
        raise IssueError(f"{what}: {error}") from error
    if text and not shown.text.strip():
        raise IssueError(f"{what} has no words to show")
    return text or None
