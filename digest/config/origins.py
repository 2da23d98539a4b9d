"""Every setting in force, and where it comes from: a line of ``config.yaml``, a variable, or the default. Secrets are never told."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from digest.config.reading import SECRETS, load
from digest.model import Frozen
from digest.problems import line_of, parse_yaml

DEFAULT = "default"
_SPEAKING = re.compile(r"(?i)([?&][^=&]*(?:key|token|secret|pass|sig|auth)[^=&]*=)[^&#]+")
_LOGIN = re.compile(r"://[^/@\s]*@")


class Setting(Frozen):
    """One value. ``origin`` is ``config.yaml:LINE``, the name of a variable, or ``default``."""

    key: str
    value: str
    origin: str


def effective(workspace: Path) -> tuple[Setting, ...]:
    """All settings in the order of the documentation.

    Raises:
        ConfigError: ``config.yaml`` is wrong.
    """
    config = load(workspace)
    data, tree, _ = parse_yaml("config.yaml", (workspace / "config.yaml").read_text(encoding="utf-8"))
    variables = {name.upper(): (name, value) for name, value in os.environ.items()}
    found = []
    for path, value in _leaves(config, ()):
        key = ".".join(map(str, path))
        if path[0] in SECRETS:
            name = SECRETS[str(path[0])]
            found.append(Setting(key=key, value="not set" if value is None else "set", origin=name if value is not None else DEFAULT))
            continue
        origin = _variable(path, variables) or (f"config.yaml:{line_of(tree, path)}" if _stands(data, path) else DEFAULT)
        found.append(Setting(key=key, value=_shown(value), origin=origin))
    return tuple(found)


def _leaves(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            yield from _leaves(getattr(value, name), (*path, field.alias or name))
    elif isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(inner, (*path, str(name)))
    elif isinstance(value, Sequence) and not isinstance(value, str) and any(isinstance(one, BaseModel) for one in value):
        for at, inner in enumerate(value):
            yield from _leaves(inner, (*path, at))
    else:
        yield path, value


def _shown(value: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case SecretStr():
            return "set"
        case Enum():
            return str(value.value)
        case str() | Path():
            return _SPEAKING.sub(r"\1…", _LOGIN.sub("://…@", str(value))) or "(empty)"
        case Mapping() | Sequence() | frozenset():
            return ", ".join(map(_shown, value)) or "(none)"
    return str(value)


def _variable(path: tuple[str | int, ...], variables: Mapping[str, tuple[str, str]]) -> str:
    """The variable that a value comes from; the most particular one wins."""
    for length in range(len(path), 0, -1):
        found = variables.get("DIGEST_" + "__".join(str(step).upper() for step in path[:length]))
        if found is None:
            continue
        name, text = found
        if length == len(path):
            return name
        try:  # a whole section as JSON
            inner = json.loads(text)
        except ValueError:
            continue
        if isinstance(inner, list) or _stands(inner, path[length:]):
            return name
    return ""


def _stands(data: Any, path: tuple[str | int, ...]) -> bool:
    here = data
    for step in path:
        if isinstance(here, Mapping):
            keys = {str(key): key for key in here}
            if str(step) not in keys:
                return False
            here = here[keys[str(step)]]
        elif isinstance(here, list) and isinstance(step, int) and step < len(here):
            here = here[step]
        else:
            return False
    return True
