"""A source added to ``config.yaml``: behind the last one, with every comment and line of the rest as it was.

The outcome is read back before it counts: the same data with one source more, and a configuration that loads. The file is
replaced whole; whoever edited it meanwhile is told of, and nothing is overwritten.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from digest import audit, wholefile
from digest.admin.listfile import flow
from digest.config import Config, read_config
from digest.errors import ConfigError
from digest.problems import parse_yaml
from digest.workspace import Workspace

FILE = "config.yaml"
_SHORT = 100  # characters up to which a source stands on one line


class Conflict(ConfigError):
    """Somebody edited the file meanwhile."""


def read(workspace: Path) -> str:
    """The file as it is, line ends and all.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return (workspace / FILE).read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{FILE}: cannot be read: {error}") from error


def mark(text: str) -> str:
    """What a page was shown for: the same only while the file is."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def writable(workspace: Path) -> bool:
    """Whether this program may replace the file."""
    target = (workspace / FILE).resolve()
    return os.access(target, os.W_OK) and os.access(target.parent, os.W_OK)


def shown(entry: Mapping[str, Any], column: int = 2) -> str:
    """A source as it stands in the file."""
    pad, line = " " * column, f"- {flow(dict(entry))}"
    if len(line) <= _SHORT:
        return pad + line
    first, *rest = [f"{key}: {flow(value)}" for key, value in entry.items()]
    return "\n".join([f"{pad}- {first}", *(f"{pad}  {one}" for one in rest)])


# --- pure ----------------------------------------------------------------------------------------------------------------


def append(text: str, entry: Mapping[str, Any]) -> str:
    """The file's text with one source more.

    Raises:
        ConfigError: it is written in a way that cannot be changed in place.
    """
    data, tree, problems = parse_yaml(FILE, text)
    if problems:
        raise ConfigError("\n".join(str(problem) for problem in problems))
    if not isinstance(tree, yaml.MappingNode) or tree.flow_style:
        raise _unwritable("is not written as lines of keys")
    line_break = "\r\n" if "\r\n" in text else "\n"
    new = _append(text, tree, entry, line_break)
    after, _, problems = parse_yaml(FILE, new)
    if problems or after != {**data, "sources": [*(data.get("sources") or []), dict(entry)]}:
        raise _unwritable("is written in a way that cannot be changed in place")
    return new


def _append(text: str, tree: yaml.MappingNode, entry: Mapping[str, Any], line_break: str) -> str:
    value = next((value for key, value in tree.value if key.value == "sources"), None)
    if value is None:
        end = len(text.rstrip())
        return _lines(text[:end], ["sources:", shown(entry)], line_break) + (text[end:] or line_break)
    if isinstance(value, yaml.SequenceNode) and value.value and not value.flow_style:
        end = _line_end(text, _end(text, value))
        return _lines(text[:end], [shown(entry, value.start_mark.column)], line_break) + text[end:]
    if isinstance(value, yaml.SequenceNode) and value.value:
        end = _end(text, value.value[-1])
        return f"{text[:end]}, {flow(dict(entry))}{text[end:]}"
    if isinstance(value, yaml.SequenceNode) or value.value in ("", "null", "~"):
        start, end = value.start_mark.index, value.end_mark.index
        before = text[:start].rstrip(" ")
        line = _line_end(text, end)  # a remark behind it stays on its line
        return _lines(before + text[end:line].rstrip(), [shown(entry)], line_break) + text[line:]
    raise _unwritable("has sources: that are no list")


def _lines(before: str, more: list[str], line_break: str) -> str:
    return before + "".join(line_break + line for one in more for line in one.split("\n"))


def _end(text: str, node: yaml.Node) -> int:
    """Where a node's last word ends; a block's own mark stands before whatever comes next."""
    if isinstance(node, yaml.ScalarNode) or (isinstance(node, yaml.CollectionNode) and node.flow_style):
        end: int = node.end_mark.index
        return len(text[:end].rstrip())
    assert isinstance(node, yaml.CollectionNode)
    last = node.value[-1]
    return _end(text, last[1] if isinstance(last, tuple) else last)


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    return end - 1 if text[end - 1 : end] == "\r" else end


def _unwritable(why: str) -> ConfigError:
    return ConfigError(f"{FILE} {why}; add the source by hand. Nothing was changed")


# --- acting --------------------------------------------------------------------------------------------------------------


def add(workspace: Workspace, entry: Mapping[str, Any], seen: str, saved: bytes | None = None) -> Config:
    """Add a source to the file and record who did. ``seen`` is the `mark` of the file that it was shown for.

    ``saved``, for a source of kind text, is put where its ``path`` says, unless something is there already.

    Raises:
        Conflict: the file was edited meanwhile.
        ConfigError: the name is taken, the outcome would not load, or the file cannot be written; nothing was changed.
    """
    with _alone(workspace.path):
        text = read(workspace.path)
        if mark(text) != seen:
            raise Conflict(f"{FILE} was edited meanwhile; look at it again. Nothing was changed")
        new = append(text, entry)
        made, problems = read_config(new)
        if made is None:
            raise ConfigError("\n".join(str(problem) for problem in problems) + "; nothing was changed")
        if all(source.name != entry["name"] for source in made.sources):
            raise ConfigError(f"DIGEST_SOURCES in the environment stands over what {FILE} says; add the source there. Nothing was changed")
        if saved is not None:
            _save(workspace.path / entry["path"], saved, entry["path"])
        audit.note(workspace, "sources.add", entry["name"], kind=entry["kind"])  # before: no change goes unrecorded
        try:
            _put(workspace.path / FILE, new)
        except ConfigError:
            audit.note(workspace, "sources.not_added", entry["name"], why="the file cannot be written")
            raise
    return made


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Nobody else of this program changes the file meanwhile."""
    (path / "var").mkdir(mode=0o700, exist_ok=True)
    with (path / "var" / "config.lock").open("a+") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _save(file: Path, content: bytes, said: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("xb") as out:
            out.write(content)
    except FileExistsError as error:
        raise ConfigError(f"{said} is there already; take another name. Nothing was changed") from error
    except OSError as error:
        raise ConfigError(f"{said} cannot be written: {error.strerror}. Nothing was changed") from error


def _put(file: Path, text: str) -> None:
    try:
        wholefile.put(file, text)
    except OSError as error:
        raise ConfigError(f"{FILE} cannot be written: {error.strerror}; it is as it was") from error
