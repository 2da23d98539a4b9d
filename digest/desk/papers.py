"""An issue's edits as YAML that people read, keep, compare and take in again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from pydantic import ValidationError

from digest import edits as model
from digest import issue
from digest.compose import phrases, rich, view
from digest.desk.draft import MAX_SUBJECT, Draft, Edited, change, in_words, line, markdown
from digest.desk.draft import edited as holding
from digest.edits import Change, Edits, Target
from digest.errors import ConfigError, IssueError
from digest.model import Frozen
from digest.problems import NoAliases, Problem, explain, line_of, parse_yaml
from digest.workspace import Workspace

FILE = "the edits"  # what problems call the text


class Difference(Frozen):
    """A target that differs, with both values in words."""

    target: str
    old: str
    new: str


class Paper(Edits):
    """The file: what holds, and for which issue it was written down."""

    issue: str = ""


class _Dumper(yaml.SafeDumper):
    """Texts of several lines stand as they are."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def export(workspace: Workspace, name: str) -> str:
    """What holds, as YAML."""
    with workspace.store.read() as tx:
        now = holding(Draft(tx, workspace, issue.find(tx, name)))
    return written(name, now.edits)


def written(name: str, edits: Edits) -> str:
    """Edits as YAML."""
    data = {key: value for key, value in edits.model_dump(mode="json", exclude_none=True).items() if value}
    head = f"# What editors changed of {name}. `digest edit {name} import FILE` makes it hold.\n"
    return head + yaml.dump({"issue": name, **data}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def import_(workspace: Workspace, name: str, text: str, *, seen: int | None = None) -> Edited:
    """Make what holds equal to the YAML, in one step.

    Raises:
        ConfigError: it is not such a file; names the line.
    """

    def make(draft: Draft) -> tuple[Change, ...]:
        return model.between(draft.state.values, _read(draft, text))

    return change(workspace, name, make, seen)


def diff(workspace: Workspace, name: str, text: str = "") -> tuple[Difference, ...]:
    """What would change were the YAML imported; without one: what differs from an issue nobody edited."""
    with workspace.store.read() as tx:
        draft = Draft(tx, workspace, issue.find(tx, name))
        now = model.to_values(draft.material.edits)
        old, new = (now, _read(draft, text)) if text else ({}, now)
        return tuple(differences(old, new, draft.titles))


def differences(old: Mapping[Target, Any], new: Mapping[Target, Any], titles: Mapping[str, str]) -> Iterator[Difference]:
    """Each target that differs, in words."""
    for one in model.between(old, new):
        words = [in_words(one.target, values[one.target], titles) if one.target in values else "" for values in (old, new)]
        yield Difference(target=model.named((one.kind, titles.get(one.key, one.key))), old=words[0], new=words[1])


def _read(draft: Draft, text: str) -> dict[Target, Any]:
    """The values that a text asks for, its pieces by their ids, its words as they may stand in an email."""
    data, tree, problems = parse_yaml(FILE, text, NoAliases)
    if problems:
        raise ConfigError("\n".join(map(str, problems)))
    if not isinstance(data, dict):
        raise ConfigError(f"{FILE}: must be keys and values, as `digest edit {draft.row.name} export` writes them")
    try:
        asked = Paper.model_validate(data)
    except ValidationError as error:
        raise ConfigError("\n".join(str(one) for one in explain(FILE, tree, data, error, Paper))) from error
    found: dict[Target, Any] = {}
    wrong: list[Problem] = []
    fields = {"teaser": "teasers", "intro": "intros"}
    for (kind, key), value in model.to_values(asked.model_copy(update={"issue": ""})).items():
        try:
            made = _made(draft, kind, key, value)
        except IssueError as error:
            path = (fields.get(kind, kind), key) if key else (kind,)
            wrong.append(Problem(file=FILE, line=line_of(tree, path), text=str(error)))
            continue
        if made.value is not None:
            found[made.target] = made.value
    if wrong:
        raise ConfigError("\n".join(map(str, wrong)))
    return found


def _made(draft: Draft, kind: model.Kind, key: str, value: Any) -> Change:
    """One target of the text. What holds already may name what is in the issue no longer."""
    if draft.state.values.get((kind, key)) == value:
        return Change(kind=kind, key=key, value=value)
    match kind:
        case "pin" | "exclude":
            return draft.under(kind, key, value)
        case "order":
            return Change(kind=kind, value=list(dict.fromkeys(draft.piece(piece).summary.id for piece in value)))
        case "teaser":
            own = draft.piece(key)
            words = {
                "title": line(value["title"], view.TITLE, "the title", own.summary.title),
                "takeaway": line(value["takeaway"], view.TAKEAWAY, "the takeaway", own.summary.takeaway),
            }
            kept = {**words, "seq": value["seq"] or own.seq}
            return Change(kind=kind, key=own.summary.id, value=kept if any(words.values()) else None)
        case "intro":
            return Change(kind=kind, key=draft.interest(key), value=markdown(value, rich.INTRO, f"the text under {key}"))
        case "note":
            return Change(kind=kind, value=markdown(value, rich.NOTE, "the note"))
        case "subject":
            return Change(kind=kind, value=line(value, MAX_SUBJECT, "the subject"))
    return Change(kind=kind, value=line(value, phrases.PREHEADER_MAX, "the preheader"))
