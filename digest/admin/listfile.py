"""``interests.yaml`` changed in place: only the words that change; comments, order and layout of all the rest stay as written.

Pure, on text. Places come from the syntax tree's marks, as the parser itself reads them. A writer that reads YAML and writes it
anew (ruamel.yaml was considered) has one indentation for a whole file and moves comments when items move, and would be one
more package to trust with what people wrote. Whoever calls these checks the outcome: what is read from the new text must be
what was meant, and where a file is written in a way that these do not understand (anchors, tabs), nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import yaml

from digest.errors import ConfigError
from digest.interests import FILE

_BEHIND = ("id", "label", "labels", "description", "match", "was")  # where a new key goes: behind the last of these


class Found(NamedTuple):
    """An interest in the syntax tree: its own node, the list it stands in, and the node of the parent it is written under."""

    node: yaml.MappingNode
    items: yaml.SequenceNode
    parent: yaml.MappingNode | None


class Unwritable(ConfigError):
    """The file is written in a way that cannot be changed in place."""

    def __init__(self, why: str) -> None:
        super().__init__(f"{FILE}: {why}; make the change by hand, then `digest interests use-file`. Nothing was changed")


def flow(value: Any) -> str:
    """A value on one line, quoted where it must be."""
    written: str = yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, sort_keys=False, width=2**31)
    return written.strip()[1:-1]


def set_key(text: str, id: str, key: str, value: Any) -> str:
    """Give a key of an interest a value; None takes the key away."""
    node = find(text, id).node
    pair = _pair(node, key)
    if pair is None:
        return text if value is None else _insert_key(text, node, key, flow(value))
    name, old = pair
    if value is None:
        return _drop_key(text, node, name, old)
    return text[: name.end_mark.index] + f": {flow(value)}" + text[_end(text, old) :]


def rename(text: str, id: str, new: str) -> str:
    """Give an interest another id, also where others name it as parent or successor."""
    places = [_value_of(find(text, id).node, "id")]
    for found in _all(_tree(text)):
        for key in ("parent", "successor"):
            pair = _pair(found.node, key)
            if pair is not None and isinstance(pair[1], yaml.ScalarNode) and pair[1].value == id:
                places.append(pair[1])
    for node in sorted(places, key=lambda one: -one.start_mark.index):
        text = text[: node.start_mark.index] + flow(new) + text[node.end_mark.index :]
    return text


def add(text: str, entry: Mapping[str, Any], parent: str | None) -> str:
    """Write a new interest behind the last one under ``parent``, or at the end of the list."""
    lines = [f"{key}: {flow(value)}" for key, value in entry.items()]
    return _paste(text, "\n".join(lines), "", "{" + ", ".join(lines) + "}", parent)


def move(text: str, id: str, parent: str | None) -> str:
    """Take an interest with all below it, and the comment right above it, to the end of another parent's children."""
    found = find(text, id)
    start, end = found.node.start_mark.index, _end(text, found.node)
    body, single = text[start:end], flow(_data(text, id))
    comment = ""
    if not found.items.flow_style:
        if found.node.flow_style:
            body = text[start : _line_end(text, end)]  # with a remark behind it
        else:
            body = _unindented(text[start : _line_end(text, end)], found.node.start_mark.column)
        comment = _unindented(text[_above(text, found) : _line_start(text, _dash(text, found))], _column(text, _dash(text, found)))
    return _paste(remove(text, id), body, comment, single, parent)


def remove(text: str, id: str) -> str:
    """Take an interest out with all below it, and the comment right above it."""
    found = find(text, id)
    alone = len(found.items.value) == 1
    if alone and found.parent is not None:
        pair = _pair(found.parent, "children")
        assert pair is not None
        return _drop_key(text, found.parent, *pair)
    if alone:
        raise Unwritable("it would have no interest left")
    if found.items.flow_style:
        return _cut_of_flow(text, found.items.value, found.items.value.index(found.node))
    return text[: _above(text, found)] + text[_line_end(text, _end(text, found.node)) :].removeprefix(_break(text))


# --- finding -------------------------------------------------------------------------------------------------------------


def find(text: str, id: str) -> Found:
    """Where an interest stands.

    Raises:
        Unwritable: it does not stand there in so many words.
    """
    met = [one for one in _all(_tree(text)) if _value_of(one.node, "id").value == id]
    if len(met) != 1:
        raise Unwritable(f'"{id}" cannot be found in it')
    return met[0]


def _tree(text: str) -> yaml.SequenceNode:
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        named = any(isinstance(token, yaml.AnchorToken | yaml.AliasToken) for token in yaml.scan(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise Unwritable("is not valid YAML") from error
    if named:
        raise Unwritable("uses anchors (& and *)")
    if not isinstance(tree, yaml.SequenceNode):
        raise Unwritable("is no list")
    return tree


def _all(items: yaml.SequenceNode, parent: yaml.MappingNode | None = None) -> Iterator[Found]:
    for node in items.value:
        if not isinstance(node, yaml.MappingNode):
            raise Unwritable("holds an item that is no interest")
        yield Found(node, items, parent)
        pair = _pair(node, "children")
        if pair is not None and isinstance(pair[1], yaml.SequenceNode):
            yield from _all(pair[1], node)


def _pair(node: yaml.MappingNode, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    return next(((name, value) for name, value in node.value if name.value == key), None)


def _value_of(node: yaml.MappingNode, key: str) -> yaml.ScalarNode:
    pair = _pair(node, key)
    if pair is None or not isinstance(pair[1], yaml.ScalarNode):
        raise Unwritable(f"an interest in it has no {key}")
    return pair[1]


def _data(text: str, id: str) -> Any:
    """An interest as plain data, with what is written below it."""

    def search(items: Any) -> Any:
        for item in items or ():
            if str(item.get("id")) == id:
                return item
            if (inner := search(item.get("children"))) is not None:
                return inner
        return None

    return search(yaml.safe_load(text))


# --- places --------------------------------------------------------------------------------------------------------------


def _end(text: str, node: yaml.Node) -> int:
    """Where a node's last word ends; a block's own mark stands before whatever comes next."""
    if isinstance(node, yaml.ScalarNode):
        end: int = node.end_mark.index
        return len(text[:end].rstrip()) if node.style in ("|", ">") or not node.value else end
    assert isinstance(node, yaml.CollectionNode)
    if node.flow_style:
        return int(node.end_mark.index)
    last = node.value[-1][1] if isinstance(node, yaml.MappingNode) else node.value[-1]
    return _end(text, last)


def _line_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _line_end(text: str, at: int) -> int:
    """Behind the last character of the line, before what breaks it."""
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    return end - 1 if text[end - 1 : end] == "\r" else end


def _break(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _column(text: str, at: int) -> int:
    return at - _line_start(text, at)


def _dash(text: str, found: Found) -> int:
    """Where the dash before an item of a block list stands."""
    at = len(text[: found.node.start_mark.index].rstrip(" ")) - 1
    if text[at : at + 1] != "-" or text[_line_start(text, at) : at].strip(" "):
        raise Unwritable("an item does not begin on the line of its dash")
    return at


def _above(text: str, found: Found) -> int:
    """Where an item begins with the comment that stands right above it, at its own depth.

    What stands above the very first item belongs to the whole list.
    """
    dash = _dash(text, found)
    start, indent = _line_start(text, dash), " " * _column(text, dash)
    if found.items.value[0] is found.node:
        return start
    while start > 0:
        before = _line_start(text, start - 1)
        if not text[before:start].startswith(f"{indent}#"):
            break
        start = before
    return start


def _unindented(text: str, columns: int) -> str:
    """Lines moved to the left; the first one may be there already."""
    lines = text.splitlines()
    if any(line[:columns].strip(" ") for line in lines[1:]):
        raise Unwritable("lines of one interest do not stand under each other")
    return "\n".join([lines[0].lstrip(" "), *(line[columns:] for line in lines[1:])]) if lines else ""


# --- writing -------------------------------------------------------------------------------------------------------------


def _insert_key(text: str, node: yaml.MappingNode, key: str, written: str) -> str:
    """A new key, behind the last of those that it follows well."""
    behind = [value for name, value in node.value if name.value in _BEHIND] or [node.value[0][1]]
    end = _end(text, behind[-1])
    if node.flow_style:
        return text[:end] + f", {key}: {written}" + text[end:]
    end = _line_end(text, end)
    return text[:end] + _break(text) + " " * node.start_mark.column + f"{key}: {written}" + text[end:]


def _drop_key(text: str, node: yaml.MappingNode, name: yaml.Node, value: yaml.Node) -> str:
    place = next(n for n, (key, _) in enumerate(node.value) if key is name)
    if node.flow_style:
        start, end = name.start_mark.index, _end(text, value)
        if place > 0:
            start = _end(text, node.value[place - 1][1])
        elif len(node.value) > 1:
            end = node.value[1][0].start_mark.index
        return text[:start] + text[end:]
    if place == 0:
        raise Unwritable("an interest begins with the key that is to go")
    start = _line_start(text, name.start_mark.index)
    return text[:start] + text[_line_end(text, _end(text, value)) :].removeprefix(_break(text))


def _cut_of_flow(text: str, items: list[yaml.Node], place: int) -> str:
    if place > 0:
        return text[: _end(text, items[place - 1])] + text[_end(text, items[place]) :]
    return text[: items[0].start_mark.index] + text[items[1].start_mark.index :]


def _paste(text: str, body: str, comment: str, single: str, parent: str | None) -> str:
    """Write an item behind the last one under ``parent``: ``body`` in a block list, ``single`` within brackets."""
    if parent is None:
        return _append(text, _tree(text), body, comment, single)
    node = find(text, parent).node
    pair = _pair(node, "children")
    if pair is not None and isinstance(pair[1], yaml.SequenceNode) and pair[1].value:
        return _append(text, pair[1], body, comment, single)
    if pair is not None:
        text = _drop_key(text, node, *pair)
        node = find(text, parent).node
    if node.flow_style:
        end = _end(text, node.value[-1][1])
        return text[:end] + f", children: [{single}]" + text[end:]
    end = _line_end(text, _end(text, node))
    column = node.start_mark.column
    written = _item(body, comment, column + 2)
    return text[:end] + _break(text) + (f"{' ' * column}children:\n{written}").replace("\n", _break(text)) + text[end:]


def _append(text: str, items: yaml.SequenceNode, body: str, comment: str, single: str) -> str:
    if items.flow_style:
        end = _end(text, items.value[-1])
        return text[:end] + f", {single}" + text[end:]
    end = _line_end(text, _end(text, items))
    gap = "\n\n" if items.start_mark.column == 0 else "\n"
    return text[:end] + (gap + _item(body, comment, items.start_mark.column)).replace("\n", _break(text)) + text[end:]


def _item(body: str, comment: str, column: int) -> str:
    pad = " " * column
    lines = [f"{pad}{line}".rstrip() for line in comment.splitlines()]
    first, *rest = body.splitlines()
    return "\n".join([*lines, f"{pad}- {first}", *(f"{pad}  {line}".rstrip() for line in rest)])
