"""Changes of the interest lists: the record of each, and what they do to readers' choices."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, delete, exists, func, insert, select, update

from digest.choices import Choice, Steps, apply, take_back
from digest.errors import ConfigError, IssueWaits
from digest.model import IssueState, Status
from digest.store import schema as t
from digest.store.dialect import now

_PAGE = 5000  # readers looked at together
_PART = 500  # values in one IN


class Move(NamedTuple):
    """A change of the lists. ``state`` is ``begun`` (intent), ``done``, ``dropped`` (a crash, nothing is left of it) or ``undone``."""

    id: int
    kind: str
    what: str
    at: datetime
    who: str
    state: str
    old_text: str
    new_text: str
    steps: Steps
    shown: Mapping[str, Any]
    takes_back: int | None
    readers: int | None
    ended_at: datetime | None
    let_go_at: datetime | None


def begin(
    tx: Connection,
    *,
    kind: str,
    what: str,
    who: str,
    old_text: str,
    new_text: str,
    steps: Steps,
    shown: Mapping[str, Any],
    takes_back: int | None = None,
) -> int:
    """Write down what is about to be done. Returns the change's number.

    Raises:
        IssueWaits: an issue is being planned, which goes by the lists as they are; or a change is under way.
        ConfigError: what it would take back was let go meanwhile.
    """
    require_settled(tx)
    if takes_back is not None:
        require_kept(tx, takes_back)
    planning = tx.execute(select(t.issue.c.name).where(t.issue.c.state == IssueState.PLANNING.value)).scalars().first()
    if planning is not None:
        raise IssueWaits(f"{planning} is being planned by the lists as they are; `digest send {planning}` finishes it, then try again")
    values = {
        "kind": kind,
        "what": what,
        "at": now(tx),
        "who": who,
        "state": "begun",
        "old_text": old_text,
        "new_text": new_text,
        "steps": steps.model_dump_json(),
        "shown": json.dumps(shown, ensure_ascii=False),
        "takes_back": takes_back,
    }
    number: int = tx.execute(insert(t.interest_move).values(values).returning(t.interest_move.c.id)).scalar_one()
    return number


def advance(tx: Connection, move: Move, last: int = 0) -> int | None:
    """The file is changed: now the choices of the next readers behind a row. Returns where to go on, None where all is done.

    In parts, so that others who write need not wait for the whole of a large list. Who has a line in ``interest_choice`` has been
    seen to; so beginning again after a crash, whatever readers chose meanwhile, does nothing twice.
    """
    if move.takes_back is None:
        return _walk(tx, move, move.steps.touched, last)
    undone = named(tx, move.takes_back)
    assert undone is not None
    if _take_back(tx, move, undone):
        return 0
    # Who came later and follows an id that goes with it.
    return _walk(tx, move, undone.steps.home, last, undone)


def retreat(tx: Connection, move: Move, last: int = 0) -> int | None:
    """The file is as it was before: now the choices that the change wrote already are given back, some thousand readers at a time.

    Returns where to go on, None where all is done. Beginning again after a crash does nothing twice. Not for what takes another
    change back (``irreversible``): what that had kept is gone.
    """
    return 0 if _take_back(tx, move, move) else _walk(tx, move, move.steps.home, last, move)


def irreversible(move: Move) -> bool:
    """Whether a change cut short can only be finished: it takes another back, and has used up some of what that had kept."""
    return move.takes_back is not None and move.readers is not None


def end(tx: Connection, move: Move) -> int:
    """All readers' choices are written. Returns how many readers that were."""
    if move.takes_back is not None:
        tx.execute(update(t.interest_move).where(t.interest_move.c.id == move.takes_back).values(state="undone"))
    values = {"state": "done", "readers": func.coalesce(t.interest_move.c.readers, 0), "ended_at": now(tx)}
    query = update(t.interest_move).where(t.interest_move.c.id == move.id).values(values)
    readers: int = tx.execute(query.returning(t.interest_move.c.readers)).scalar_one()
    return readers


def drop(tx: Connection, move: int) -> None:
    """It was never made."""
    tx.execute(update(t.interest_move).where(t.interest_move.c.id == move).values(state="dropped", ended_at=now(tx)))


def record(tx: Connection, *, kind: str, what: str, who: str, old_text: str, new_text: str) -> int:
    """A change that is made already and touches no reader's choices."""
    number = begin(tx, kind=kind, what=what, who=who, old_text=old_text, new_text=new_text, steps=Steps(), shown={})
    tx.execute(update(t.interest_move).where(t.interest_move.c.id == number).values(state="done", readers=0, ended_at=now(tx)))
    return number


def require_settled(tx: Connection) -> None:
    """No change of the lists is half made.

    Raises:
        IssueWaits: one is.
    """
    if unfinished(tx) is not None:
        raise IssueWaits("a change of the interest lists is under way or was cut short; try again, or see `digest interests compare`")


def require_kept(tx: Connection, move: int) -> None:
    """What readers had chosen before that change is there still.

    Raises:
        ConfigError: it is not.
    """
    found = named(tx, move)
    if found is not None and found.let_go_at is not None:
        raise ConfigError(
            f"what readers had chosen before that change is kept no longer (retention.choices_days; let go on "
            f"{found.let_go_at:%Y-%m-%d}), so it cannot be taken back; change the lists anew instead"
        )


# --- looking -------------------------------------------------------------------------------------------------------------


def unfinished(tx: Connection) -> Move | None:
    """The change that was begun and not ended."""
    return _move(tx.execute(select(t.interest_move).where(t.interest_move.c.state == "begun").order_by(t.interest_move.c.id)).first())


def named(tx: Connection, number: int) -> Move | None:
    """The change of that number."""
    return _move(tx.execute(select(t.interest_move).where(t.interest_move.c.id == number)).one_or_none())


def newest(tx: Connection) -> Move | None:
    """The last change that was made, taken back or not: the lists as the database has them are its ``new_text``."""
    made = t.interest_move.c.state.in_(["done", "undone"])
    return _move(tx.execute(select(t.interest_move).where(made).order_by(t.interest_move.c.id.desc()).limit(1)).one_or_none())


def to_take_back(tx: Connection) -> Move | None:
    """The last change that stands and can be taken back."""
    c = t.interest_move.c
    query = select(t.interest_move).where(c.state == "done", c.takes_back.is_(None)).order_by(c.id.desc()).limit(1)
    return _move(tx.execute(query).one_or_none())


def history(tx: Connection, limit: int = 1000) -> list[Move]:
    """The changes, the newest first."""
    rows = tx.execute(select(t.interest_move).order_by(t.interest_move.c.id.desc()).limit(limit)).all()
    return [move for row in rows if (move := _move(row)) is not None]


def version(tx: Connection) -> int:
    """A number that grows with every change of the lists."""
    return tx.execute(select(func.max(t.interest_move.c.id))).scalar() or 0


def _move(row: Row[Any] | None) -> Move | None:
    if row is None:
        return None
    values = dict(row._mapping)
    return Move(**{**values, "steps": Steps.model_validate_json(values["steps"]), "shown": json.loads(values["shown"])})


def followers(tx: Connection, interests: Iterable[str]) -> int:
    """How many readers follow any of these, of whatever status."""
    query = select(func.count(t.follows.c.subscriber_id.distinct())).where(t.follows.c.interest.in_(list(interests)))
    return tx.execute(query).scalar_one()


def counts(tx: Connection) -> dict[str, tuple[int, int]]:
    """For each id that anybody follows: active readers, and all."""
    active = func.sum((t.subscriber.c.status == Status.ACTIVE.value).cast(t.follows.c.position.type))
    query = select(t.follows.c.interest, active, func.count()).join(t.subscriber, t.subscriber.c.id == t.follows.c.subscriber_id)
    return {row[0]: (int(row[1] or 0), row[2]) for row in tx.execute(query.group_by(t.follows.c.interest))}


def overlap(tx: Connection) -> dict[tuple[str, str], int]:
    """How many active readers follow both of two interests; each pair once, the lesser id first."""
    one, other = t.follows.alias(), t.follows.alias()
    query = (
        select(one.c.interest, other.c.interest, func.count())
        .join(other, (other.c.subscriber_id == one.c.subscriber_id) & (one.c.interest < other.c.interest))
        .join(t.subscriber, t.subscriber.c.id == one.c.subscriber_id)
        .where(t.subscriber.c.status == Status.ACTIVE.value)
        .group_by(one.c.interest, other.c.interest)
    )
    return {(row[0], row[1]): row[2] for row in tx.execute(query)}


# --- readers' choices ----------------------------------------------------------------------------------------------------


class Chosen(NamedTuple):
    """A reader's row, and what they follow, in their order."""

    reader: int
    choices: tuple[Choice, ...]


def followers_of(tx: Connection, interests: Iterable[str], last: int = 0, page: int = _PAGE) -> list[Chosen]:
    """The next readers who follow any of these interests, with all their choices, in order of their rows."""
    f = t.follows.c
    nearest = select(f.subscriber_id).where(f.subscriber_id > last).order_by(f.subscriber_id).limit(page)
    # Each along its own index: asked for together, all of them would be sorted for every page.
    met = {row for interest in interests for row in tx.execute(nearest.where(f.interest == interest)).scalars()}
    rows = sorted(met)[:page]
    return [Chosen(row, choices) for row, choices in _choices(tx, rows).items()]


def before(tx: Connection, move: int, first: int, last: int) -> dict[int, tuple[Choice, ...]]:
    """What readers of a range of rows had before a change that touched them."""
    c = t.interest_choice.c
    query = select(c.subscriber_id, c.before).where(c.move_id == move, c.subscriber_id.between(first, last))
    return {row.subscriber_id: _opened(row.before) for row in tx.execute(query)}


def of_reader(tx: Connection, row: int) -> list[dict[str, Any]]:
    """What one reader had before each change that touched them, as it is kept for taking that back."""
    c = t.interest_choice.c
    query = select(t.interest_move.c.what, t.interest_move.c.at, c.before).join(t.interest_move, t.interest_move.c.id == c.move_id)
    found = tx.execute(query.where(c.subscriber_id == row).order_by(c.move_id)).all()
    return [{"change": one.what, "at": one.at, **_told(_opened(one.before))} for one in found]


def _told(choices: Sequence[Choice]) -> dict[str, list[str]]:
    return {"interests": [one.interest for one in choices], "fewer": [one.interest for one in choices if one.fewer]}


def _opened(text: str) -> tuple[Choice, ...]:
    return tuple(Choice(*choice) for choice in json.loads(text))


def _choices(tx: Connection, rows: Sequence[int]) -> dict[int, tuple[Choice, ...]]:
    found: dict[int, list[Choice]] = {row: [] for row in rows}
    f = t.follows.c
    for start in range(0, len(rows), _PART):
        part = rows[start : start + _PART]
        query = select(f.subscriber_id, f.interest, f.fewer, f.move_id).where(f.subscriber_id.in_(part))
        for reader, *choice in tx.execute(query.order_by(f.subscriber_id, f.position)).all():
            found[reader].append(Choice(*choice))
    return {row: tuple(choices) for row, choices in found.items()}


def _walk(tx: Connection, move: Move, interests: Iterable[str], last: int, undone: Move | None = None) -> int | None:
    """Decide anew for the next who follow any of these; what they had is kept, unless something is being taken back."""
    page = followers_of(tx, interests, last)
    if not page:
        return None
    seen_to = before(tx, move.id, page[0].reader, page[-1].reader)
    decided: dict[tuple[Choice, ...], tuple[Choice, ...]] = {}
    for _, choices in page:
        if choices not in decided:
            decided[choices] = apply(move.steps, choices, move.id) if undone is None else take_back(undone.steps, None, choices, undone.id)
    new = {one.reader: decided[one.choices] for one in page if one.reader not in seen_to and decided[one.choices] != one.choices}
    old = {one.reader: one.choices for one in page if one.reader in new}
    if undone is None and old:
        kept = [{"move_id": move.id, "subscriber_id": reader, "before": json.dumps(choices)} for reader, choices in old.items()]
        tx.execute(insert(t.interest_choice), kept)
    _write(tx, move, old, new)
    return page[-1].reader


def _take_back(tx: Connection, move: Move, undone: Move) -> bool:
    """Give the next readers what they had before a change, and what they have chosen since. Returns whether there were any."""
    c = t.interest_choice.c
    rows = tx.execute(select(c.subscriber_id, c.before).where(c.move_id == undone.id).order_by(c.subscriber_id).limit(_PAGE)).all()
    if not rows:
        return False
    current = _choices(tx, [row.subscriber_id for row in rows])
    new = {}
    for row in rows:
        choices = current[row.subscriber_id]
        if (decided := take_back(undone.steps, _opened(row.before), choices, undone.id)) != choices:
            new[row.subscriber_id] = decided
    _write(tx, move, {reader: current[reader] for reader in new}, new)
    tx.execute(delete(t.interest_choice).where(c.move_id == undone.id, c.subscriber_id <= rows[-1].subscriber_id))
    return True


_KEY = (t.follows.c.subscriber_id == bindparam("reader")) & (t.follows.c.interest == bindparam("id"))
_DELETE = delete(t.follows).where(_KEY)
_UPDATE = update(t.follows).where(_KEY).values(position=bindparam("place"), fewer=bindparam("less"), move_id=bindparam("move"))


def _write(tx: Connection, move: Move, old: Mapping[int, Sequence[Choice]], new: Mapping[int, Sequence[Choice]]) -> None:
    """Write choices as differences, and count whose they were."""
    gone: list[dict[str, Any]] = []
    moved: list[dict[str, Any]] = []
    added: list[dict[str, Any]] = []
    for reader, choices in new.items():
        before = {choice.interest: (place, choice) for place, choice in enumerate(old[reader])}
        after = {choice.interest: (place, choice) for place, choice in enumerate(choices)}
        gone += [{"reader": reader, "id": id} for id in before if id not in after]
        for id, (place, choice) in after.items():
            if id not in before:
                added.append({"subscriber_id": reader, "interest": id, "position": place, "fewer": choice.fewer, "move_id": choice.move})
            elif before[id] != (place, choice):
                moved.append({"reader": reader, "id": id, "place": place, "less": choice.fewer, "move": choice.move})
    if gone:
        tx.execute(_DELETE, gone)
    if moved:
        tx.execute(_UPDATE, moved)
    if added:
        tx.execute(insert(t.follows), added)
    readers = func.coalesce(t.interest_move.c.readers, 0) + len(new)
    tx.execute(update(t.interest_move).where(t.interest_move.c.id == move.id).values(readers=readers))


def is_followed(tx: Connection, interest: str) -> bool:
    """Whether anybody follows this id."""
    return bool(tx.execute(select(exists().where(t.follows.c.interest == interest))).scalar())
