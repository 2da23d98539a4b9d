"""Pure: what a change of the interest lists does to what one reader has chosen, and how it is taken back.

No choice is lost by it: an id that goes stands again under the id it became, or under those named beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from digest.model import Frozen


class Choice(NamedTuple):
    """An interest a reader follows. ``move`` is the change of the lists that gave it, None where they chose it themselves."""

    interest: str
    fewer: bool = False
    move: int | None = None


class Steps(Frozen):
    """What a change does to choices. ``became`` maps ids to what they are from then on; ``beside`` gives, to whoever follows one
    id, others right behind it. ``home`` says, should it be taken back, where those belong who follow an id that goes with it.
    """

    became: dict[str, str] = {}
    beside: dict[str, tuple[str, ...]] = {}
    home: dict[str, str] = {}

    @property
    def touched(self) -> frozenset[str]:
        """The ids whose followers are looked at."""
        return frozenset(self.became) | frozenset(self.beside)


def apply(steps: Steps, before: Sequence[Choice], move: int) -> tuple[Choice, ...]:
    """A reader's choices after a change, in their order. Each stands once; one teaser is enough only where it was for all."""
    after: dict[str, Choice] = {}
    for choice in before:
        id = steps.became.get(choice.interest, choice.interest)
        if id in after:
            after[id] = Choice(id, after[id].fewer and choice.fewer, move)
        else:
            after[id] = choice if id == choice.interest else Choice(id, choice.fewer, move)
    ordered: list[Choice] = []
    for choice in after.values():
        ordered.append(choice)
        for id in steps.beside.get(choice.interest, ()):
            if id not in after and all(one.interest != id for one in ordered):
                ordered.append(Choice(id, choice.fewer, move))
    return tuple(ordered)


def take_back(steps: Steps, before: Sequence[Choice] | None, now: Sequence[Choice], move: int) -> tuple[Choice, ...]:
    """A reader's choices once the change is taken back: what they had before it, with all they chose or dropped since.

    ``before`` is None for whom it had not changed anything; they may have come later.
    """
    if before is None:
        return _sent_home(steps, now, ())
    after = apply(steps, before, move)
    if tuple(now) == after:
        return tuple(before)
    had = {choice.interest: choice for choice in before}
    kept = {choice.interest for choice in now}
    given = {choice.interest for choice in now if choice.move == move}
    added = {choice.interest for choice in after} - set(had) - set(steps.became.values())
    back: list[Choice] = []
    for choice in now:
        id = choice.interest
        if id not in given:
            back.append(choice)
            continue
        olds = [old for old in before if steps.became.get(old.interest, old.interest) == id]
        back.extend(old for old in olds if all(one.interest != old.interest for one in back))
        if not olds and id not in added:
            back.append(choice._replace(move=None))
    for id, behind in steps.beside.items():
        # Who dropped what was divided, and keeps a part of it, is given the whole again: a part alone is gone.
        lost = id in had and id not in kept and any(part in kept and steps.home.get(part) == id for part in behind)
        if lost and all(one.interest != id for one in back):
            back.append(had[id])
    return _sent_home(steps, back, added)


def _sent_home(steps: Steps, choices: Sequence[Choice], drop: Collection[str]) -> tuple[Choice, ...]:
    """Choices of ids that go, by what they were before; each once."""
    found: dict[str, Choice] = {}
    for choice in choices:
        id = steps.home.get(choice.interest, choice.interest)
        if id not in found:
            found[id] = choice if id == choice.interest else Choice(id, choice.fewer, None)
    return tuple(found.values())


def kinds(steps: Steps, interests: Collection[str], move: int = 0) -> Mapping[str, tuple[str, ...]]:
    """For each interest, what somebody who follows it alone follows afterwards."""
    return {id: tuple(choice.interest for choice in apply(steps, (Choice(id),), move)) for id in interests}
