"""Renders the subset of Handlebars that SendGrid's page about it shows, and nothing more: everything else is an error.

Shown there: ``{{x}}`` (escaped), ``{{{x}}}`` (as it is), names with dots and ``this.``, ``{{#if}}``, ``{{else if}}``, ``{{else}}``,
``{{#unless}}`` and ``{{#each}}``. The page gives no example of an ``each`` in an ``each``, so that is refused. Nor does it say what
becomes of the blanks around a tag that stands alone on its line (the library takes them away, others do not): refused, too.
``{{{@root.x}}}``, a name from outside of an ``each``, is not shown either, but two people report that it works in what is sent
(github.com/sendgrid/docs/issues/6237): it is rendered, or with ``knows_root=False`` is nothing, as a name that is missing.
An empty list or a missing name behind ``each`` broke a whole message (github.com/sendgrid/sendgrid-nodejs/issues/1094).

Source: twilio.com/docs/sendgrid/for-developers/sending-email/using-handlebars.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_TAG = re.compile(r"\{\{\{(?P<raw>[^{}]*)\}\}\}|\{\{(?P<tag>[^{}]*)\}\}")
_PATH = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*)*")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;", "`": "&#x60;", "=": "&#x3D;"}


class NotDocumented(Exception):
    """The template uses what the page does not show, or is broken."""


@dataclass
class Text:
    """Text as it is."""

    text: str


@dataclass
class Value:
    """``{{path}}`` or ``{{{path}}}``."""

    path: tuple[str, ...]
    raw: bool


@dataclass
class Block:
    """``{{#kind path}}…{{else}}…{{/kind}}``; an ``else if`` is a block of its own inside ``other``."""

    kind: str
    path: tuple[str, ...]
    body: list[Node] = field(default_factory=list)
    other: list[Node] | None = None


Node = Text | Value | Block


def render(template: str, data: Mapping[str, Any], *, knows_root: bool = True) -> str:
    """The template with its data.

    Raises:
        NotDocumented: see above.
    """
    return "".join(_render(parse(template), data, data if knows_root else {}))


@functools.lru_cache(64)
def parse(template: str) -> Sequence[Node]:
    """The template as a tree."""
    root: list[Node] = []
    open_blocks: list[tuple[Block, int]] = []  # with how many an `{{/if}}` closes
    here, at = root, 0
    for tag in _TAG.finditer(template):
        _text(here, template[at : tag.start()], template, at, tag)
        at = tag.end()
        inside = tag["raw"] if tag["raw"] is not None else tag["tag"]
        words = inside.split()
        if inside != inside.strip() and not words:
            raise NotDocumented("an empty tag")
        if tag["raw"] is not None:
            from_root = words[:1] and words[0].startswith("@root.")
            here.append(Value(("@root", *_path([words[0][6:], *words[1:]])) if from_root else _path(words), raw=True))
        elif words[:1] and words[0] in ("#if", "#unless", "#each"):
            if words[0] == "#each" and any(block.kind == "each" for block, _ in open_blocks):
                raise NotDocumented("an each in an each")
            block = Block(words[0][1:], _path(words[1:]))
            here.append(block)
            open_blocks.append((block, 1))
            here = block.body
        elif words[:1] == ["else"]:
            if not open_blocks or open_blocks[-1][0].kind == "each" or open_blocks[-1][0].other is not None:
                raise NotDocumented("an else that belongs to nothing")
            block, count = open_blocks[-1]
            block.other = here = []
            if words[1:2] == ["if"]:
                inner = Block("if", _path(words[2:]))
                here.append(inner)
                open_blocks[-1] = (inner, count)
                open_blocks.insert(-1, (block, 0))
                here = inner.body
            elif words[1:]:
                raise NotDocumented(f"{{{{{inside}}}}}")
        elif words[:1] and words[0].startswith("/"):
            if not open_blocks or words != [f"/{open_blocks[-1][0].kind}"]:
                raise NotDocumented(f"{{{{{inside}}}}} closes nothing")
            open_blocks.pop()
            while open_blocks and open_blocks[-1][1] == 0:
                open_blocks.pop()
            here = _inside(open_blocks[-1][0]) if open_blocks else root
        else:
            here.append(Value(_path(words), raw=False))
    _text(here, template[at:], template, at, None)
    if open_blocks:
        raise NotDocumented(f"{{{{#{open_blocks[-1][0].kind}}}}} is not closed")
    _require_company(root, root=True)
    return root


def _inside(block: Block) -> list[Node]:
    return block.body if block.other is None else block.other


def _text(here: list[Node], text: str, template: str, at: int, tag: re.Match[str] | None) -> None:
    if "{{" in text or "}}" in text:
        raise NotDocumented(f"braces that are no tag: {text[:80]!r}")
    before = text[-1:] if tag else ""
    if before in ("{", "\\") and before or (at and text[:1] == "}"):
        raise NotDocumented(f"a brace or backslash touches a tag: {text[-40:]!r}")
    if text:
        here.append(Text(text))


def _path(words: Sequence[str]) -> tuple[str, ...]:
    if len(words) != 1 or not _PATH.fullmatch(words[0]):
        raise NotDocumented(f"not a name: {' '.join(words)!r}")
    return tuple(words[0].split("."))


def _require_company(nodes: Sequence[Node], *, root: bool = False) -> None:
    """No tag of a block stands alone on its line, for what becomes of that line is not said."""
    for n, node in enumerate(nodes):
        if not isinstance(node, Block):
            continue
        before = _ends_line(nodes[n - 1] if n else None, root)
        after = _begins_line(nodes[n + 1] if n + 1 < len(nodes) else None, root)
        bodies = [node.body, *([node.other] if node.other is not None else [])]
        if before and _begins_line(bodies[0][0] if bodies[0] else None, False):
            raise NotDocumented("a block begins alone on its line")
        if after and _ends_line(bodies[-1][-1] if bodies[-1] else None, False):
            raise NotDocumented("a block ends alone on its line")
        if len(bodies) == 2 and _ends_line(bodies[0][-1] if bodies[0] else None, False):
            if _begins_line(bodies[1][0] if bodies[1] else None, False):
                raise NotDocumented("an else stands alone on its line")
        for body in bodies:
            _require_company(body)


def _ends_line(node: Node | None, root: bool) -> bool:
    return root if node is None else isinstance(node, Text) and bool(re.search(r"\n[ \t]*$", node.text))


def _begins_line(node: Node | None, root: bool) -> bool:
    return root if node is None else isinstance(node, Text) and bool(re.match(r"[ \t]*\r?\n", node.text))


def _render(nodes: Sequence[Node], this: Any, root: Mapping[str, Any]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, Text):
            yield node.text
        elif isinstance(node, Value):
            found = _find(node.path[1:], root) if node.path[0] == "@root" else _find(node.path, this)
            if isinstance(found, bool) or not isinstance(found, (str, int, type(None))):
                raise NotDocumented(f"{'.'.join(node.path)} is no text")
            text = "" if found is None else str(found)
            yield text if node.raw else re.sub("[&<>\"'`=]", lambda one: _ESCAPES[one.group()], text)
        elif node.kind == "each":
            found = _find(node.path, this)
            if not isinstance(found, list) or not found:
                raise NotDocumented(f"each over {'.'.join(node.path)}, which is no list or empty")
            for item in found:
                yield from _render(node.body, item, root)
        else:
            yes = bool(_find(node.path, this)) == (node.kind == "if")
            yield from _render(node.body if yes else node.other or (), this, root)


def _find(path: tuple[str, ...], this: Any) -> Any:
    """What a name stands for; nothing where it is missing ("object failure")."""
    for name in path[1:] if path[0] == "this" else path:
        this = this.get(name) if isinstance(this, dict) else None
    return this
