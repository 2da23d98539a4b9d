"""``subscribers/interests.yaml``: the interest lists, read whole, with every mistake in them told by line."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from digest.errors import ConfigError
from digest.model import Frozen, Interest, Rule, loosen_rule
from digest.problems import NoAliases, Problem, explain, line_of, parse_yaml

FILE = "subscribers/interests.yaml"


class Entry(Interest):
    """An interest as it is written, for naming the keys that are known."""

    children: tuple[Any, ...] = ()


class Interests(Frozen):
    """All interests in the order of the file, parents before their children."""

    all: tuple[Interest, ...] = ()

    def get(self, id: str) -> Interest | None:
        """The interest of that id, if there is one."""
        return next((interest for interest in self.all if interest.id == id), None)

    def family(self, id: str) -> tuple[Interest, ...]:
        """The interest and everything below it."""
        ids, family = {id}, []
        for interest in _parents_first(self.all):
            if interest.id in ids or interest.parent in ids:
                ids.add(interest.id)
                family.append(interest)
        return tuple(family)

    def ancestors(self, id: str) -> tuple[str, ...]:
        """The ids above an interest, the nearest first."""
        parents = {interest.id: interest.parent for interest in self.all}
        found: list[str] = []
        above = parents.get(id)
        while above is not None:
            found.append(above)
            above = parents.get(above)
        return tuple(found)

    def today(self, ids: Iterable[str]) -> tuple[str, ...]:
        """The same interests by the ids they have today, each once, in order; what is no interest any more is left out.

        A form that lay open, a sign-up that waits for its confirmation, or an old subscriber file may name one by an old id.
        """
        known = {old: interest.id for interest in self.all for old in (interest.id, *interest.was)}
        return tuple(dict.fromkeys(known[id] for id in ids if id in known))

    def renewed(self, ids: Iterable[str]) -> tuple[str, ...]:
        """The same, but what these lists do not know stays as it is: another copy of them may, or a change may be half made."""
        return tuple(dict.fromkeys(next(iter(self.today((id,))), id) for id in ids))

    def depth(self, interest: Interest) -> int:
        """How many parents stand above it."""
        depth = 0
        while interest.parent is not None:
            depth += 1
            interest = next(other for other in self.all if other.id == interest.parent)
        return depth


def load(workspace: Path) -> Interests:
    """Read the interest lists.

    Raises:
        ConfigError: one line for every mistake found.
    """
    interests, problems = examine(workspace)
    if problems:
        raise ConfigError("\n".join(str(problem) for problem in problems))
    return interests


def examine(workspace: Path) -> tuple[Interests, tuple[Problem, ...]]:
    """The interests that could be read, and everything that is wrong with the file."""
    try:
        text = (workspace / FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return Interests(), (Problem(file=FILE, text="not found; it lists what people can follow (`digest init` writes an example)"),)
    except (OSError, UnicodeDecodeError) as error:
        return Interests(), (Problem(file=FILE, text=f"cannot be read: {error}"),)
    return read(text)


@functools.lru_cache(8)  # it is asked for with every page of the desk, and YAML takes its time
def read(text: str, *, sent: bool = False) -> tuple[Interests, tuple[Problem, ...]]:
    """The interests that a text of this format holds, and everything that is wrong with it. ``sent``: by somebody from elsewhere."""
    data, tree, problems = parse_yaml(FILE, text, NoAliases if sent else yaml.SafeLoader)
    if problems:
        return Interests(), problems
    if not isinstance(data, list):
        return Interests(), (Problem(file=FILE, line=1, text="must be a list; each item begins with `- id: …`"),)
    reading = _Reading(tree, data)
    reading.walk(data, (), None, ())
    reading.check_tree()
    return Interests(all=tuple(_parents_first(reading.interests)) if not reading.problems else ()), tuple(reading.problems)


class _Reading:
    """The walk down the file; collects interests and problems."""

    def __init__(self, tree: yaml.Node | None, data: Any) -> None:
        self.tree, self.data = tree, data
        self.interests: list[Interest] = []
        self.lines: dict[str, int] = {}
        self.problems: list[Problem] = []

    def walk(self, items: Sequence[Any], path: tuple[str | int, ...], parent: str | None, above: tuple[int, ...]) -> None:
        for number, item in enumerate(items):
            here = (*path, number)
            line = line_of(self.tree, here)
            if id(item) in above:
                self._add(line, f'"{item.get("id", "")}" stands below itself: a cycle; take it out of its own children')
                continue
            if not isinstance(item, dict):
                self._add(line, "must be an interest with at least id: and label:")
                continue
            interest = self._interest(item, here, parent)
            children = item.get("children") or []
            if not isinstance(children, list):
                self._add(line_of(self.tree, (*here, "children")), "children: must be a list of interests")
                continue
            self.walk(children, (*here, "children"), interest.id if interest else None, (*above, id(item)))

    def _interest(self, item: dict[str, Any], here: tuple[str | int, ...], parent: str | None) -> Interest | None:
        written = {key: value for key, value in item.items() if key != "children"}
        if "match" in written:
            written["match"] = loosen_rule(written["match"])
        for key in ("pin", "exclude", "was"):
            if isinstance(written.get(key), str):
                written[key] = [written[key]]
        try:
            interest = Interest.model_validate(written)
        except ValidationError as error:
            self.problems.extend(explain(FILE, _node(self.tree, here), written, error, Entry))
            return None
        line = line_of(self.tree, (*here, "id"))
        if interest.id in self.lines:
            self._add(
                line, f'"{interest.id}" is the id of another interest too (line {self.lines[interest.id]}); give one of them a new id'
            )
            return None
        if parent is not None and interest.parent not in (None, parent):
            self._add(line, f'"{interest.id}" stands below "{parent}" but names "{interest.parent}" as its parent; keep one')
            return None
        self.lines[interest.id] = line
        self.interests.append(interest.model_copy(update={"parent": interest.parent or parent}))
        return interest

    def check_tree(self) -> None:
        """Parents named with ``parent:`` must exist and not lead back."""
        parents = {interest.id: interest.parent for interest in self.interests}
        for interest in self.interests:
            if interest.parent is not None and interest.parent not in parents:
                near = difflib.get_close_matches(interest.parent, list(parents), 1)
                advice = f"; did you mean {near[0]}?" if near else ""
                self._add(self.lines[interest.id], f'"{interest.id}": its parent "{interest.parent}" is no interest{advice}')
            seen, above = [interest.id], interest.parent
            while above is not None and above in parents and above not in seen:
                seen.append(above)
                above = parents[above]
            if above == interest.id:
                self._add(self.lines[interest.id], f"a cycle: {' → '.join([*seen, above])}; take one parent: away")

        self._check_names(parents)

    def _check_names(self, known: Collection[str]) -> None:
        """Old ids are nobody else's; a successor is there to be followed."""
        met: dict[str, str] = {}
        retired = {interest.id for interest in self.interests if interest.retired}
        for interest in self.interests:
            line = self.lines[interest.id]
            for old in interest.was:
                if old in known:
                    self._add(line, f'"{interest.id}": was: names "{old}", which is an interest of its own; take it out of was:')
                elif met.setdefault(old, interest.id) != interest.id:
                    self._add(line, f'"{interest.id}": was: names "{old}", and so does "{met[old]}"; keep one')
            if interest.successor is None:
                continue
            if not interest.retired:
                self._add(line, f'"{interest.id}" has a successor but is not retired; add retired: true or take successor: away')
            if interest.successor not in known:
                self._add(line, f'"{interest.id}": its successor "{interest.successor}" is no interest')
            elif interest.successor == interest.id or interest.successor in retired:
                self._add(line, f'"{interest.id}": its successor "{interest.successor}" is retired itself; name one that is not')

    def _add(self, line: int, text: str) -> None:
        self.problems.append(Problem(file=FILE, line=line, text=text))


def _node(tree: yaml.Node | None, path: Sequence[str | int]) -> yaml.Node | None:
    node = tree
    for step in path:
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            node = node.value[step]
        elif isinstance(node, yaml.MappingNode):
            node = next((value for key, value in node.value if key.value == step), None)
    return node


def _parents_first(interests: Sequence[Interest]) -> list[Interest]:
    """The same interests, each behind its parent, otherwise in their order."""
    below: dict[str | None, list[Interest]] = {}
    for interest in interests:
        below.setdefault(interest.parent, []).append(interest)
    ordered: list[Interest] = []
    pending = list(reversed(below.get(None, [])))
    while pending:
        interest = pending.pop()
        ordered.append(interest)
        pending.extend(reversed(below.get(interest.id, [])))
    return ordered


def empty_rules(interests: Interests) -> tuple[Interest, ...]:
    """Interests whose family has no rule and no pin at all: nothing can ever match."""
    return tuple(
        interest for interest in interests.all if all(member.match == Rule() and not member.pin for member in interests.family(interest.id))
    )
