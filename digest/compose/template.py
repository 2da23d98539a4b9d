"""The editors' templates: sandboxed Jinja2 that reports every name it does not know, with file and line."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Mapping
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from digest.compose import markers
from digest.compose.teaser import wrap

Note = tuple[str, int, str]  # file, line, what is wrong


class PartTag(Extension):
    """``{% part teaser %}…{% endpart %}``: marks what is kept, left out and ordered for each reader."""

    tags = {"part"}

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        value = parser.parse_expression()
        body = parser.parse_statements(("name:endpart",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_mark", [value]), [], [], body).set_lineno(line)

    def _mark(self, value: Any, caller: Callable[[], str]) -> str:
        name = value.get("part") if isinstance(value, Mapping) else None
        if not name:
            if not isinstance(value, Undefined):
                raise jinja2.TemplateRuntimeError("part needs a teaser, section, notice, highlights or overflow")
            return caller()
        html = bool(self.environment.autoescape)
        text = markers.begin(name, html=html) + str(caller()) + markers.end(html=html)
        return Markup(text) if html else text  # the caller's text is escaped already


class Environment(ImmutableSandboxedEnvironment):
    """A dict's fields are its keys and nothing else; ``notes`` collects what was not known."""

    notes: list[Note]
    parsed: dict[tuple[str, str], nodes.Template]  # by name and text, each to be compiled once: compiling changes it

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        found = self.parsed.pop((name or "", source), None)
        return super()._parse(source, name, filename) if found is None else found

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, dict):
            return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, dict):
            return obj[argument] if argument in obj else self.undefined(obj=obj, name=argument)
        return super().getitem(obj, argument)


def environment(sources: Mapping[str, str], *, html: bool, notes: list[Note]) -> Environment:
    """Templates from ``sources`` (name below ``templates/`` → text). An unknown name goes to ``notes`` and shows nothing."""

    def load(name: str) -> tuple[str, str, Callable[[], bool]] | None:
        return (sources[name], f"templates/{name}", lambda: True) if name in sources else None

    class Unknown(Undefined):
        """Notes the place at which it is used for anything but asking whether it is there."""

        def _note(self, *_args: Any, **_more: Any) -> Any:
            note = (*place(), _sentence(self._undefined_obj, str(self._undefined_name), self._undefined_hint))
            if note not in notes:
                notes.append(note)
            return self

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return self._note()

        def __str__(self) -> str:
            self._note()
            return ""

        def __iter__(self) -> Any:
            self._note()
            return iter(())

        def __len__(self) -> int:
            self._note()
            return 0

        def __bool__(self) -> bool:
            self._note()
            return False

        __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _note
        __hash__ = Undefined.__hash__
        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _note
        __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pos__ = __neg__ = __pow__ = __rpow__ = _note
        __call__ = __getitem__ = _note

    made = Environment(
        loader=jinja2.FunctionLoader(load),
        autoescape=html,
        undefined=Unknown,
        extensions=[PartTag],
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    made.filters["wrap"] = lambda text, width=72, indent="": wrap(str(text), width, indent)
    made.filters["rule"] = _rule
    made.notes = notes
    made.parsed = {}
    return made


def _rule(text: str, stroke: str = "-") -> str:
    """A line as long as the longest of ``text``: what stands below a heading in plain text."""
    return stroke[:1] * min(max((len(line) for line in str(text).split("\n")), default=0), 72)


def place(traceback: Any = None) -> tuple[str, int]:
    """File and line of the innermost template at work, or of the innermost one in ``traceback``; ``("templates", 0)`` if none."""
    found = ("templates", 0)
    if traceback is not None:
        while traceback is not None:
            code = traceback.tb_frame.f_code
            if code.co_filename.startswith("templates/"):
                template = traceback.tb_frame.f_globals.get("__jinja_template__")
                line = template.get_corresponding_lineno(traceback.tb_lineno) if template is not None else traceback.tb_lineno
                found = (code.co_filename, line)
            traceback = traceback.tb_next
        return found
    frame: Any = sys._getframe(1)
    while frame is not None:
        template = frame.f_globals.get("__jinja_template__")
        if template is not None:
            return template.filename or "templates", template.get_corresponding_lineno(frame.f_lineno)
        frame = frame.f_back
    return found


def _sentence(owner: Any, name: str, hint: str | None) -> str:
    if hint:
        return hint
    known = [str(key) for key in owner] if isinstance(owner, dict) else []
    near = difflib.get_close_matches(name, known, 1)
    advice = f"; did you mean {near[0]}?" if near else f"; known here: {', '.join(sorted(known))}" if known else ""
    return f"'{name}' is undefined{advice}"
