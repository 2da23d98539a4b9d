"""Every text that pages and service mails ask a catalogue for, found where it stands."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator

from jinja2.ext import babel_extract

from tests.support.make import REPOSITORY

_KEYWORDS = {"t": None, "tn": (1, 2)}


def calls(source: str) -> Iterator[tuple[int, tuple[str, ...] | None]]:
    """Line and texts of every call of ``t`` or ``tn`` in Python, those inside f-strings too; None where a text is not written out.

    Babel reads Python token by token, and up to 3.11 an f-string is one token, calls and all; so the tree is read instead.
    """
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
        if name in _KEYWORDS:
            given = node.args[: 2 if name == "tn" else 1]
            said = tuple(one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str))
            yield node.lineno, said if given and len(said) == len(given) else None


@functools.cache
def asked() -> tuple[tuple[str, int, tuple[str, ...] | None], ...]:
    """File, line and texts of every such call in the program's Python."""
    sources = ((file, file.read_text(encoding="utf-8")) for file in sorted((REPOSITORY / "digest").rglob("*.py")))
    asking = [(file, source) for file, source in sources if re.search(r"\btn?\(", source)]  # to parse all takes a second
    return tuple((str(file.relative_to(REPOSITORY)), *call) for file, source in asking for call in calls(source))


def texts() -> dict[str, tuple[str, ...]]:
    """Message id → its English forms: one, or two where a number decides."""
    found: dict[str, tuple[str, ...]] = {}
    found.update({said[0]: said for _, _, said in asked() if said})
    for file in sorted((REPOSITORY / "digest/web/pages").glob("*.j2")):
        with file.open("rb") as opened:
            for _, function, said, _ in babel_extract(opened, list(_KEYWORDS), [], {}):
                forms = said if isinstance(said, tuple) else (said,)
                forms = tuple(form for form in forms if isinstance(form, str))[: 2 if function == "tn" else 1]
                if forms:
                    found[forms[0]] = forms
    return found


def fields(text: str) -> set[str]:
    """The names in braces."""
    return set(re.findall(r"\{(\w+)\}", text))
