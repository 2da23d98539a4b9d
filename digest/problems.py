"""What is wrong in a file that a person edits: which file, which line, and what would do."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from digest.model import Frozen


class Problem(Frozen):
    """Something wrong in a file that a person edits. ``line`` counts from 1; 0 where it concerns the whole file."""

    file: str
    line: int = 0
    text: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {'' if self.severity == 'error' else 'warning: '}{self.text}"


class NoAliases(yaml.SafeLoader):
    """For what somebody sent: a few lines in which each names the one before twice would unfold to more than any memory."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """A node that stands for itself."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(None, None, "anchors (& and *) are not read here", self.peek_event().start_mark)  # type: ignore[no-untyped-call]
        return super().compose_node(parent, index)


def parse_yaml(name: str, text: str, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> tuple[Any, yaml.Node | None, tuple[Problem, ...]]:
    """The data, its syntax tree (for line numbers), and what is wrong: bad syntax or a key that stands twice."""
    try:
        tree = yaml.compose(text, Loader=loader)
        data = yaml.load(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = f"not valid YAML: {error.problem or error.context}"
        return None, None, (Problem(file=name, line=mark.line + 1 if mark else 0, text=reason),)
    except (yaml.YAMLError, ValueError) as error:
        return None, None, (Problem(file=name, text=f"not valid YAML: {error}"),)
    except RecursionError:
        return None, None, (Problem(file=name, text="not valid YAML: nested too deeply"),)
    return data, tree, tuple(_twice(name, tree))


def _twice(name: str, node: yaml.Node | None) -> Iterable[Problem]:
    pending, met = [node], set()
    while pending:
        here = pending.pop()
        if here is None or id(here) in met:
            continue
        met.add(id(here))
        if isinstance(here, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in here.value:
                if isinstance(key, yaml.ScalarNode):
                    if key.value in seen:
                        yield Problem(file=name, line=key.start_mark.line + 1, text=f'"{key.value}" stands twice; only one can count')
                    seen.add(key.value)
                pending.append(value)
        elif isinstance(here, yaml.SequenceNode):
            pending.extend(here.value)


def line_of(tree: yaml.Node | None, path: Sequence[str | int]) -> int:
    """The line of the key or item at ``path``, or of the nearest part of it that is there; 0 without a tree."""
    if tree is None:
        return 0
    node, line = tree, tree.start_mark.line + 1
    for step in path:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value == str(step):
                    node, line = value, key.start_mark.line + 1
                    break
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
    return line


def explain(name: str, tree: yaml.Node | None, data: Any, error: ValidationError, model: type[BaseModel]) -> tuple[Problem, ...]:
    """Each validation error as a sentence with its line; an unknown key names the nearest right one."""
    found = []
    for entry in error.errors(include_url=False):
        path = _data_path(entry["loc"], data)
        key = ".".join(str(step) for step in path)
        if entry["type"] == "extra_forbidden":
            known = _known_keys(model, path[:-1], data)
            near = difflib.get_close_matches(str(path[-1]), known, 1, 0.5)
            advice = f"; did you mean {near[0]}?" if near else f"; known here: {', '.join(sorted(known))}" if known else ""
            text = f"{key}: unknown key{advice}"
        elif entry["type"] == "missing":
            text = f"{key}: is missing"
        elif entry["type"] in ("literal_error", "enum"):
            expected = str(entry.get("ctx", {}).get("expected", "")).replace("'", "").replace(" or ", ", ")
            text = f'{key}: "{entry["input"]}" is not one of {expected}'
        elif entry["type"] in ("union_tag_invalid", "union_tag_not_found"):
            tag = entry["input"].get("kind", "") if isinstance(entry["input"], Mapping) else ""
            text = f'{key}.kind: "{tag}" is not a kind of source (folder, feed, page, text, json)' if tag else f"{key}.kind: is missing"
        elif entry["input"] is None:
            text = f"{key}: is empty; give it a value or leave the key out"
        else:
            text = (f"{key}: " if key else "") + entry["msg"].removeprefix("Value error, ")
        found.append(Problem(file=name, line=line_of(tree, path), text=_with_environment(text, path)))
    return tuple(dict.fromkeys(found))


def _with_environment(text: str, path: Sequence[str | int]) -> str:
    names = ["DIGEST_" + "__".join(str(step).upper() for step in path[:n]) for n in range(1, len(path) + 1)]
    set_here = [name for name in names if name in os.environ]
    return f"{text} (from {set_here[-1]} in the environment)" if set_here else text


def _data_path(loc: Sequence[str | int], data: Any) -> tuple[str | int, ...]:
    """pydantic's location without the union tags it puts between (``sources.0.folder.path``)."""
    path: list[str | int] = []
    here = data
    for position, step in enumerate(loc):
        if isinstance(here, Mapping):
            last = position == len(loc) - 1
            if step not in here and not last and here.get("kind") == step:
                continue
            path.append(step)
            here = here.get(step)
        elif isinstance(here, list | tuple) and isinstance(step, int):
            path.append(step)
            here = here[step] if step < len(here) else None
        elif here is None or not isinstance(step, str) or not re.match(r"(literal|constrained|function|int$|str$)", step):
            path.append(step)
    return tuple(path)


def _known_keys(model: Any, path: Sequence[str | int], data: Any) -> list[str]:
    here: Any = model
    value = data
    for step in path:
        value = _step(value, step)
        if isinstance(here, type) and issubclass(here, BaseModel):
            field = next((f for n, f in here.model_fields.items() if step in (n, f.alias)), None)
            here = field.annotation if field else None
        elif get_args(here):
            here = get_args(here)[-1] if isinstance(step, str) else get_args(here)[0]
        here = _narrow(here, value)
    if not (isinstance(here, type) and issubclass(here, BaseModel)):
        return []
    return [_spelling(name, field) for name, field in here.model_fields.items() if not field.json_schema_extra]


def _step(value: Any, step: str | int) -> Any:
    if isinstance(value, list) and isinstance(step, int):
        return value[step] if step < len(value) else None
    return value.get(step) if isinstance(value, Mapping) else None


def _narrow(here: Any, value: Any) -> Any:
    """The member of a union of source kinds that ``value`` says it is."""
    if get_origin(here) in (dict, tuple):
        return here
    members = [arg for arg in get_args(here) for arg in (get_args(arg) or (arg,))]
    models = [member for member in members if isinstance(member, type) and issubclass(member, BaseModel)]
    kind = value.get("kind") if isinstance(value, Mapping) else None
    for member in models:
        if kind and "kind" in member.model_fields and kind in get_args(member.model_fields["kind"].annotation):
            return member
    return models[0] if len(models) == 1 and not isinstance(here, type) and kind is None else here


def _spelling(name: str, field: FieldInfo) -> str:
    return field.alias or name
