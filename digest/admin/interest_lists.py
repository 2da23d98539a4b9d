"""The interest lists kept right: a change is shown, then made in the file and in readers' choices in one move, and can be taken back.

The file is the contract. The database keeps it as it was after the last change, so that a file edited by hand, or fetched from
elsewhere, is told apart: then somebody says which of the two counts, and nothing is merged by guess.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable
from datetime import timedelta

from digest import audit, unfinished
from digest.admin import effects
from digest.admin.effects import Effects
from digest.admin.interest_moves import Lists, Proposal
from digest.choices import Steps
from digest.errors import ConfigError
from digest.interests import FILE, Interests, read
from digest.model import Frozen
from digest.store import catalogue, lists
from digest.store.lists import Move
from digest.workspace import Workspace

DAYS = 365  # how far back pieces are looked at for what is shown


class Made(Frozen):
    """A change that was made: its number, and whose choices it wrote anew."""

    number: int
    what: str
    readers: int


class Difference(Frozen):
    """The file beside what the database has. ``orphans`` are ids that readers follow and the file does not know, with how many."""

    same: bool
    unfinished: str = ""
    lines: tuple[str, ...] = ()
    only_file: tuple[str, ...] = ()
    only_database: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    orphans: dict[str, int] = {}


def load(workspace: Workspace) -> Lists:
    """The lists as they stand, ready to be changed.

    Raises:
        ConfigError: the file is wrong, or is not what the database has.
    """
    text = unfinished.read(workspace.path)
    interests = parse(text)
    with workspace.store.read() as tx:
        newest, half = lists.newest(tx), lists.unfinished(tx)
        pieces = [stored.summary for stored in catalogue.load(tx)]
    if half is not None:
        raise ConfigError(f'a change was cut short ("{half.what}") and the file has been edited since; `digest interests compare` shows it')
    if newest is not None and newest.new_text != text:
        raise ConfigError(
            f"{FILE} was edited by hand since the last change of {newest.at:%Y-%m-%d}; look with `digest interests compare`, then "
            "say `digest interests use-file` or `digest interests use-database`"
        )
    return Lists(text, interests, pieces)


def parse(text: str, *, sent: bool = False) -> Interests:
    """What a file of interest lists says. ``sent``: by somebody from elsewhere.

    Raises:
        ConfigError: one line for every mistake.
    """
    interests, problems = read(text, sent=sent)
    if problems:
        raise ConfigError("\n".join(str(problem) for problem in problems))
    return interests


def propose(workspace: Workspace, change: Callable[[Lists], Proposal]) -> Proposal:
    """Work a change out on the lists as they stand; ids that nobody should meet again are refused.

    Raises:
        ConfigError: it cannot be made.
    """
    proposal = change(load(workspace))
    fresh = [one.id for one in proposal.after.all if proposal.before.get(one.id) is None]
    with workspace.store.read() as tx:
        for id in fresh:
            if lists.is_followed(tx, id):
                raise ConfigError(
                    f'readers still follow an interest "{id}" that the lists once had; they would get this one unasked: take another id'
                )
    return proposal


def show(workspace: Workspace, proposal: Proposal) -> Effects:
    """What the change would do."""
    with workspace.store.read() as tx:
        return effects.of(tx, proposal, catalogue.load(tx), workspace.at - timedelta(days=DAYS))


def mark(proposal: Proposal) -> str:
    """What somebody was shown: the same only while the lists and the change are the same."""
    return hashlib.sha256(f"{proposal.old_text}\0{proposal.new_text}".encode()).hexdigest()[:32]


def make(workspace: Workspace, proposal: Proposal, shown: Effects | None = None) -> Made:
    """Make a change: intent, file, readers' choices. A crash between leaves it to be finished or undone when next opened.

    Raises:
        ConfigError: the file is not the one that the change was worked out on, or cannot be written, or readers would get a piece
            again; nothing was changed.
        IssueWaits: an issue is being planned.
        BusyError: a run is at work.
    """
    if shown is not None and shown.again:  # the selection itself would have to be broken
        raise ConfigError(f"{shown.again} readers would get a piece again that they have had; nothing was changed")
    store = workspace.store
    with store.alone():
        if unfinished.read(workspace.path) != proposal.old_text:
            raise ConfigError(f"{FILE} was edited meanwhile; look at the change again. Nothing was changed")
        if proposal.kind in ("use-file", "use-database"):
            _clear(workspace)
        with store.write() as tx:
            if lists.newest(tx) is None:
                lists.record(
                    tx,
                    kind="first",
                    what="the lists as they were",
                    who=workspace.who,
                    old_text=proposal.old_text,
                    new_text=proposal.old_text,
                )
            number = lists.begin(
                tx,
                kind=proposal.kind,
                what=proposal.what,
                who=workspace.who,
                old_text=proposal.old_text if proposal.back_text is None else proposal.back_text,
                new_text=proposal.new_text,
                steps=proposal.steps,
                shown=shown.model_dump(mode="json") if shown else {},
                takes_back=proposal.takes_back,
            )
            audit.record(tx, workspace, "interests.change", str(number), what=proposal.what)
        try:
            unfinished.put(workspace.path, proposal.new_text)
        except ConfigError:
            with store.write() as tx:
                lists.drop(tx, number)
                audit.record(tx, workspace, "interests.not_changed", str(number), why="the file cannot be written")
            raise
        with store.read() as tx:
            move = lists.named(tx, number)
        assert move is not None
        readers = unfinished.finish(store, move)
    return Made(number=number, what=proposal.what, readers=readers)


def _clear(workspace: Workspace) -> None:
    """A change was cut short and the file edited since: it is given up, or finished where that cannot be any more."""
    with workspace.store.read() as tx:
        half = lists.unfinished(tx)
    if half is None:
        return
    if lists.irreversible(half):
        unfinished.finish(workspace.store, half)
    else:
        unfinished.give_up(workspace.store, half)


def undo(workspace: Workspace) -> Proposal:
    """Take the last change back: readers have again what they had chosen before it, and keep what they chose since.

    Raises:
        ConfigError: there is nothing to take back, readers follow what would go, or what they had chosen is kept no longer.
    """
    now = load(workspace)
    with workspace.store.read() as tx:
        last = lists.to_take_back(tx)
        if last is None or last.kind == "first":
            raise ConfigError("there is no change to take back; `digest interests history` lists them")
        lists.require_kept(tx, last.id)
        if last.new_text != now.text:
            raise ConfigError("the lists are not as the last change left them; take back the later ones first")
        before = parse(last.old_text)
        for one in now.interests.all:
            lost = before.get(one.id) is None and one.id not in last.steps.home and one.id not in last.steps.became.values()
            if lost and (count := lists.followers(tx, [one.id])):
                raise ConfigError(
                    f'{count} readers follow "{one.id}", which would be gone; `digest interests merge` or `retire` it instead'
                )
    return Proposal("undo", f"take back: {last.what}", now.text, last.old_text, now.interests, before, last.steps, takes_back=last.id)


def history(workspace: Workspace) -> list[Move]:
    """Every change: when, who, what, whose choices; the newest first."""
    with workspace.store.read() as tx:
        return lists.history(tx)


# --- file and database ---------------------------------------------------------------------------------------------------


def compare(workspace: Workspace) -> Difference:
    """Whether the file is what the database has, and whether readers follow what it does not know."""
    text = unfinished.read(workspace.path)
    interests = parse(text)
    with workspace.store.read() as tx:
        newest, half = lists.newest(tx), lists.unfinished(tx)
        followed = lists.counts(tx)
    orphans = {id: count for id, (_, count) in sorted(followed.items()) if interests.get(id) is None}
    kept = half.new_text if half else newest.new_text if newest else text
    known = parse(kept)
    ids, old = {one.id: one for one in interests.all}, {one.id: one for one in known.all}
    lines = difflib.unified_diff(kept.splitlines(), text.splitlines(), "database", "file", lineterm="", n=1)
    return Difference(
        same=kept == text and half is None,
        unfinished=half.what if half else "",
        lines=tuple(lines),
        only_file=tuple(id for id in ids if id not in old),
        only_database=tuple(id for id in old if id not in ids),
        changed=tuple(id for id in ids if id in old and ids[id] != old[id]),
        orphans=orphans,
    )


def use_file(workspace: Workspace, text: str | None = None) -> Proposal:
    """The file as it is counts from now on, or ``text`` in its place. Ids under ``was:`` take their readers along.

    Raises:
        ConfigError: it is wrong, or readers follow what it has no more.
    """
    now = unfinished.read(workspace.path)
    new = now if text is None else text
    after = parse(new, sent=text is not None)
    with workspace.store.read() as tx:
        newest, half, followed = lists.newest(tx), lists.unfinished(tx), lists.counts(tx)
    if half is not None and lists.irreversible(half):
        raise ConfigError(f'"{half.what}" was cut short and can only be finished: `digest interests use-database` does, then edit the file')
    if half is not None:  # it is given up first, and its readers follow again what they did
        followed = {old: followed[id] for old, id in half.steps.became.items() if id in followed} | followed
    before = parse(newest.new_text if newest else now)
    became = {old: one.id for one in after.all for old in one.was if old in followed}
    for one in before.all:
        if after.get(one.id) is None and one.id not in became and one.id in followed:
            raise ConfigError(
                f'{followed[one.id][1]} readers follow "{one.id}", which the file has no more; write `was: [{one.id}]` under the '
                "interest that takes its place, or put it back and merge or retire it"
            )
    if half is None and newest is not None and newest.new_text == new and now == new and not became:
        raise ConfigError("the file is what the database has; there is nothing to choose")
    home = {new: old for old, new in became.items() if before.get(new) is None}
    what = "the file as it was edited" if text is None else "other lists, taken in whole"
    back = newest.new_text if newest else now
    return Proposal("use-file", what, now, new, before, after, Steps(became=became, home=home), back_text=back)


def use_database(workspace: Workspace) -> Proposal:
    """Write the lists as the database has them over the file.

    Raises:
        ConfigError: the database has none, or the same, or readers follow what only the file has.
    """
    now = unfinished.read(workspace.path)
    with workspace.store.read() as tx:
        newest, half, followed = lists.newest(tx), lists.unfinished(tx), lists.counts(tx)
    if newest is None:
        raise ConfigError("the database has no lists yet; the file is all there is")
    kept = half.new_text if half is not None and lists.irreversible(half) else newest.new_text
    if half is None and kept == now:
        raise ConfigError("the file is what the database has; there is nothing to choose")
    (before, wrong), after = read(now), parse(kept)
    sent_home = half.steps.home if half is not None else {}  # a change that is given up takes these ids back itself
    for id, (_, count) in followed.items():
        if after.get(id) is None and id not in sent_home and (wrong or before.get(id) is not None):
            raise ConfigError(
                f'readers follow "{id}" ({count} of them), which only the file has; say `digest interests use-file`, '
                "then merge or retire it where it should go"
            )
    return Proposal("use-database", "the lists as the database has them", now, kept, before, after, Steps())
