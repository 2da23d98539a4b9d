"""Pure: changes of the interest lists, worked out on the file's text and on what readers chose. Nothing is written here.

No reader loses a piece they follow by a rename, move, merge, split or retirement: that is looked up for every interest and every
piece of the catalogue, and a change that would take one away is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError

from digest import select
from digest.admin import listfile
from digest.choices import Steps, kinds
from digest.errors import ConfigError
from digest.interests import Interests, read
from digest.model import Interest, Rule, Summary, loosen_rule
from digest.problems import NoAliases


class Lists(NamedTuple):
    """The file as it is written, what it says, and every piece that is kept."""

    text: str
    interests: Interests
    pieces: Sequence[Summary]


class Proposal(NamedTuple):
    """A change, ready to be shown and made. ``notes`` say what else follows from it. ``back_text`` is what taking it back puts in
    place, where that is not what the file says now.
    """

    kind: str
    what: str
    old_text: str
    new_text: str
    before: Interests
    after: Interests
    steps: Steps
    notes: tuple[str, ...] = ()
    takes_back: int | None = None
    back_text: str | None = None


# --- the changes ---------------------------------------------------------------------------------------------------------


def create(lists: Lists, id: str, label: str, rule: Rule, *, parent: str | None = None, description: str = "") -> Proposal:
    """A new interest, behind the last one there.

    Raises:
        ConfigError: the id is taken or no id, or there is no such parent.
    """
    _new_id(lists, id)
    if parent is not None:
        _get(lists, parent)
    entry: dict[str, Any] = {"id": id, "label": label}
    if description:
        entry["description"] = description
    if rule != Rule():
        entry["match"] = written(rule)
    new = _interest({"id": id, "label": label, "description": description, "match": rule, "parent": parent})
    home = {id: parent} if parent is not None else {}
    text = listfile.add(lists.text, entry, parent)
    where = f' under "{parent}"' if parent else ""
    return _proposal(lists, "create", f'create "{id}"{where}', text, [*lists.interests.all, new], Steps(home=home))


def rule(lists: Lists, id: str, new: Rule) -> Proposal:
    """Another rule for an interest. This may take pieces away from its readers: that is what a rule is edited for."""
    old = _get(lists, id)
    text = listfile.set_key(lists.text, id, "match", written(new) if new != Rule() else None)
    return _proposal(lists, "rule", f'another rule for "{id}"', text, _with(lists, old.model_copy(update={"match": new})), Steps())


def label(lists: Lists, id: str, text: str, language: str = "") -> Proposal:
    """Another label, or the label in a language; an empty one takes the translation away."""
    old = _get(lists, id)
    if not language:
        if not text.strip():
            raise ConfigError("a label cannot be empty; readers see it")
        new = old.model_copy(update={"label": text.strip()})
        return _proposal(
            lists, "label", f'label of "{id}"', listfile.set_key(lists.text, id, "label", new.label), _with(lists, new), Steps()
        )
    labels = {**old.labels, language: text.strip()} if text.strip() else {k: v for k, v in old.labels.items() if k != language}
    new = _interest({**old.model_dump(), "labels": labels})
    changed = listfile.set_key(lists.text, id, "labels", labels or None)
    return _proposal(lists, "label", f'label of "{id}" in {language}', changed, _with(lists, new), Steps())


def rename(lists: Lists, id: str, new_id: str) -> Proposal:
    """Another id. The old one goes on meaning the same, in links, files and forms."""
    old = _get(lists, id)
    _new_id(lists, new_id, may_be=old.was)
    was = tuple(name for name in (*old.was, id) if name != new_id)
    new = _interest({**old.model_dump(), "id": new_id, "was": was})
    text = listfile.set_key(listfile.rename(lists.text, id, new_id), new_id, "was", list(was))
    others = [_repointed(one, id, new_id) for one in _with(lists, new, instead=id)]
    steps = Steps(became={id: new_id}, home={new_id: id})
    return _lossless(lists, _proposal(lists, "rename", f'rename "{id}" to "{new_id}"', text, others, steps))


def move(lists: Lists, id: str, parent: str | None) -> Proposal:
    """Another place in the tree. Who followed what it stood under follows it by itself from then on."""
    old = _get(lists, id)
    if parent is not None:
        _get(lists, parent)
        if any(one.id == parent for one in lists.interests.family(id)):
            raise ConfigError(f'"{parent}" stands below "{id}"; an interest cannot stand below itself')
    if parent == old.parent:
        raise ConfigError(f'"{id}" stands there already')
    text = _relocated(lists.text, id, parent)
    after = _with(lists, old.model_copy(update={"parent": parent}))
    where = f'under "{parent}"' if parent else "to the top"
    return _lossless(lists, _proposal(lists, "move", f'move "{id}" {where}', text, after, _beside(lists, after, {}, id)))


def merge(lists: Lists, id: str, into: str) -> Proposal:
    """Make one interest of two: ``into`` takes what either took, and whoever followed either follows it."""
    old, target = _get(lists, id), _get(lists, into)
    if id == into:
        raise ConfigError("an interest cannot be merged into itself")
    if target.retired:
        raise ConfigError(f'"{into}" is retired; nothing new is merged into it')
    gets = standing(lists.pieces, lists.interests)
    kept, notes = _exclusions(lists, old, target, gets)
    below = any(one.id == into for one in lists.interests.family(id))
    update: dict[str, Any] = {
        "match": either(target.match, old.match),
        "pin": tuple(dict.fromkeys((*target.pin, *old.pin))),
        "exclude": kept,
        "was": (*target.was, *old.was, id),
        "parent": old.parent if below else target.parent,
    }
    text = _relocated(lists.text, into, old.parent) if below else lists.text
    after = []
    for one in lists.interests.all:
        if one.id == id:
            continue
        changed = one.model_copy(update=update) if one.id == into else one
        if one.parent == id and one.id != into:
            text = _relocated(text, one.id, into)
            changed = changed.model_copy(update={"parent": into})
        if changed.successor == id:
            text = listfile.set_key(text, one.id, "successor", into)
            changed = changed.model_copy(update={"successor": into})
        after.append(changed)
    for key in ("pin", "exclude", "was"):
        if update[key] != getattr(target, key):
            text = listfile.set_key(text, into, key, list(update[key]) or None)
    if update["match"] != target.match:
        text = listfile.set_key(text, into, "match", written(update["match"]))
    text = listfile.remove(text, id)
    steps = _beside(lists, after, {id: into}, into)
    return _lossless(lists, _proposal(lists, "merge", f'merge "{id}" into "{into}"', text, after, steps, notes))


def split(lists: Lists, id: str, parts: Sequence[tuple[str, str, Rule]]) -> Proposal:
    """Divide an interest: each part (id, label, rule) takes what its rule says, the interest itself keeps the rest. Whoever
    followed it follows every part too, right behind it.
    """
    old = _get(lists, id)
    if not parts:
        raise ConfigError("name at least one part to split off")
    if old.match == Rule():
        raise ConfigError(f'"{id}" has no rule of its own that could be divided; move or create interests below it instead')
    rest = old.match.model_copy(update={"none": (*old.match.none, *(part for _, _, part in parts))})
    after, text = _with(lists, old.model_copy(update={"match": rest})), listfile.set_key(lists.text, id, "match", written(rest))
    for new_id, name, part in parts:
        _new_id(lists, new_id, may_be=())
        if part == Rule():
            raise ConfigError(f'"{new_id}" has an empty rule; say what it takes')
        new = _interest({"id": new_id, "label": name, "match": part, "exclude": old.exclude, "parent": old.parent})
        if any(one.id == new_id for one in after):
            raise ConfigError(f'"{new_id}" is named twice')
        entry: dict[str, Any] = {"id": new_id, "label": name, "match": written(part)}
        if old.exclude:
            entry["exclude"] = list(old.exclude)
        text = listfile.add(text, entry, old.parent)
        after.append(new)
    names = tuple(new_id for new_id, _, _ in parts)
    steps = Steps(beside={id: names}, home=dict.fromkeys(names, id))
    told = ", ".join(f'"{name}"' for name in names)
    return _lossless(lists, _proposal(lists, "split", f'split {told} off "{id}"', text, after, steps))


def retire(lists: Lists, id: str, successor: str | None) -> Proposal:
    """Offer an interest to nobody new. Who follows it goes on getting what it takes; nobody is moved to the successor, it is named."""
    old = _get(lists, id)
    if successor is not None and (_get(lists, successor).retired or successor == id):
        raise ConfigError(f'"{successor}" is retired itself; name one that is not')
    pointing = [one.id for one in lists.interests.all if one.successor == id]
    if pointing:
        raise ConfigError(f'"{id}" is the successor of "{pointing[0]}"; give that another one first')
    text = listfile.set_key(lists.text, id, "retired", True)
    text = listfile.set_key(text, id, "successor", successor)
    after = _with(lists, old.model_copy(update={"retired": True, "successor": successor}))
    by = f', succeeded by "{successor}"' if successor else ""
    return _lossless(lists, _proposal(lists, "retire", f'retire "{id}"{by}', text, after, Steps()))


# --- what they are made of -----------------------------------------------------------------------------------------------


def standing(pieces: Iterable[Summary], interests: Interests) -> dict[str, frozenset[str]]:
    """For every interest the ids of the pieces that can stand under it, those of its children included."""
    found: dict[str, set[str]] = {one.id: set() for one in interests.all}
    for piece, under in select.catalogue(pieces, interests).follows.items():
        for id in under:
            found[id].add(piece)
    return {id: frozenset(ids) for id, ids in found.items()}


def losses(lists: Lists, after: Interests, steps: Steps) -> dict[str, frozenset[str]]:
    """For each interest the pieces that somebody who follows it alone would get no more. What readers follow is a union of
    interests, so where this is empty no reader whatever loses any.
    """
    before, now = standing(lists.pieces, lists.interests), standing(lists.pieces, after)
    found = {}
    for id, then in kinds(steps, before).items():
        missing = before[id] - frozenset[str]().union(*(now.get(one, frozenset()) for one in then))
        if missing:
            found[id] = missing
    return found


def either(one: Rule, other: Rule) -> Rule:
    """A rule that takes what either takes."""
    if other in (Rule(), one):
        return one
    if one == Rule():
        return other
    parts: list[Rule] = []
    for rule in (one, other):
        alone = rule == Rule(any=rule.any)
        parts.extend(rule.any if alone else (rule,))
    return Rule(any=tuple(dict.fromkeys(parts)))


def written(rule: Rule) -> Any:
    """A rule as a person writes it: a single value without brackets."""
    data = rule.model_dump(mode="json", by_alias=True, exclude_defaults=True)

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: [plain(one) for one in inner] if key in ("any", "all", "not") else plain(inner) for key, inner in value.items()}
        return value[0] if isinstance(value, list) and len(value) == 1 else value

    return plain(data)


def parse_rule(text: str) -> Rule:
    """A rule as it is typed, in the words of ``interests.yaml``: ``{tag: gut}``.

    Raises:
        ConfigError: it is no rule.
    """
    try:
        data = yaml.load(text, Loader=NoAliases)
    except yaml.YAMLError as error:
        raise ConfigError(
            f"the rule is not valid YAML; write it as in interests.yaml, e.g. {{tag: gut}}: {str(error).splitlines()[0]}"
        ) from error
    except RecursionError as error:
        raise ConfigError("the rule is nested too deeply") from error
    if not isinstance(data, dict):
        raise ConfigError("the rule must be a mapping as in interests.yaml, e.g. {tag: gut}")
    try:
        return Rule.model_validate(loosen_rule(data))
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        place = ".".join(str(step) for step in found["loc"])
        raise ConfigError(f"the rule: {place}: {found['msg'].removeprefix('Value error, ')}") from error


def _beside(lists: Lists, after: Sequence[Interest], became: Mapping[str, str], moved: str) -> Steps:
    """Who follows an interest that ``moved``, or what was merged into it, no longer stands under, follows it by itself; and where it
    leaves pieces out that came through its children, those children too.
    """
    then = Interests(all=tuple(after))
    taken = [id for id, new in became.items() if new == moved] or [moved]
    above = {up for id in taken for up in lists.interests.ancestors(id)} - {moved, *then.ancestors(moved), *taken}
    before, now = standing(lists.pieces, lists.interests), standing(lists.pieces, then)
    beside: dict[str, tuple[str, ...]] = {}
    for up in (one.id for one in lists.interests.all if one.id in above):
        given = [moved]
        missing = before[up] - now[up] - now[moved]
        for one in then.family(moved):
            if missing & now[one.id]:
                given.append(one.id)
                missing -= now[one.id]
        beside[up] = tuple(dict.fromkeys(given))
    return Steps(became=dict(became), beside=beside)


def _exclusions(
    lists: Lists, old: Interest, target: Interest, gets: Mapping[str, frozenset[str]]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What stays excluded where two become one: only what neither showed, or somebody would lose it."""
    shown = gets[old.id] | gets[target.id]
    kept, notes = [], []
    for name in dict.fromkeys((*target.exclude, *old.exclude)):
        met = next((piece for piece in lists.pieces if piece.id in shown and select.names(piece, (name,))), None)
        if met is None:
            kept.append(name)
        else:
            notes.append(f'"{met.title}" was excluded by one of them and shown by the other; it is shown from now on')
    return tuple(kept), tuple(notes)


def _get(lists: Lists, id: str) -> Interest:
    found = lists.interests.get(id)
    if found is None:
        import difflib

        near = difflib.get_close_matches(id, [one.id for one in lists.interests.all], 1)
        raise ConfigError(
            f'there is no interest "{id}"' + (f"; did you mean {near[0]}?" if near else "; `digest interests tree` lists them")
        )
    return found


def _new_id(lists: Lists, id: str, may_be: Collection[str] = ()) -> None:
    _interest({"id": id, "label": "x"})
    for one in lists.interests.all:
        if one.id == id:
            raise ConfigError(f'"{id}" is the id of another interest already')
        if id in one.was and id not in may_be:
            raise ConfigError(f'"{id}" is an old id of "{one.id}"; old links and files mean that by it. Take another')


def _interest(values: Mapping[str, Any]) -> Interest:
    try:
        return Interest.model_validate(values)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        key = ".".join(str(step) for step in found["loc"])
        what = "small letters, digits and hyphens only" if key == "id" else found["msg"]
        raise ConfigError(f'{key}: "{found["input"]}": {what}') from error


def _with(lists: Lists, new: Interest, instead: str = "") -> list[Interest]:
    return [new if one.id == (instead or new.id) else one for one in lists.interests.all]


def _repointed(one: Interest, old: str, new: str) -> Interest:
    update = {key: new for key in ("parent", "successor") if getattr(one, key) == old}
    return one.model_copy(update=update)


def _relocated(text: str, id: str, parent: str | None) -> str:
    """An interest below another parent, whether it stands there or names it with ``parent:``."""
    node = listfile.find(text, id)
    if node.parent is None and any(name.value == "parent" for name, _ in node.node.value):
        return listfile.set_key(text, id, "parent", parent)
    return listfile.move(text, id, parent)


def _proposal(
    lists: Lists, kind: str, what: str, text: str, after: Sequence[Interest], steps: Steps, notes: tuple[str, ...] = ()
) -> Proposal:
    """The change, if the new text says exactly what was meant."""
    got, problems = read(text)
    if problems:
        raise ConfigError(f"this cannot be: {problems[0].text}. Nothing was changed")
    if {one.id: one for one in got.all} != {one.id: one for one in after}:
        raise listfile.Unwritable("is written in a way that this change cannot be made in")
    return Proposal(kind, what, lists.text, text, lists.interests, got, steps, notes)


def _lossless(lists: Lists, proposal: Proposal) -> Proposal:
    """The change, if by it nobody loses anything they follow.

    Raises:
        ConfigError: somebody would.
    """
    found = losses(lists, proposal.after, proposal.steps)
    if found:
        id, pieces = next(iter(found.items()))
        titles = {piece.id: piece.title for piece in lists.pieces}
        told = ", ".join(f'"{titles[piece]}"' for piece in sorted(pieces)[:3])
        raise ConfigError(
            f'who follows "{id}" would lose {len(pieces)} of its pieces ({told}); exclude: lists are in the way. Nothing was changed'
        )
    return proposal
