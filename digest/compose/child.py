"""The limited process in which editors' templates run; started by `render`, never imported by the rest.

It loads everything, and forks for each job: the fork does that one and ends, so no job meets what another left behind. A fork reads
its limits (one line of JSON) and its job (JSON) from stdin and writes its answer as JSON to stdout. Before a template runs, it has
given up memory, processor time, writing files and, by allowing no further file descriptor, every file and every socket.
"""

from __future__ import annotations

import difflib
import gc
import json
import os
import re
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import jinja2
from mjml import mjml2html

from digest.compose import inline, markers
from digest.compose.template import Environment, Note, environment, place

PHRASES = "phrases.txt.j2"
# None of these may reach a reader. Text from outside cannot cause it: `markers.guard` parts its characters.
_REMAINS = {
    "<mj-": "an element that MJML does not know",
    "{{": "template code",
    "{%": "template code",
    "\\u{": "a character that mrml cannot write",
}
_FORBIDDEN = {"<mj-include": "mj-include is not allowed; use {% include %}", "<mj-html-attributes": "mj-html-attributes is not supported"}


class OutOfTime(BaseException):
    """The processor time is used up; raised wherever a template is at that moment."""


class Wrong(Exception):
    """A note about one template that ends the work on it."""

    def __init__(self, *notes: Note) -> None:
        super().__init__(*notes)
        self.notes = notes


def main(door: int) -> None:
    """For each job that comes through a socket, as three descriptors for a fork's standard streams, answer with the fork's exit code
    in four bytes. Ends when whoever started it has gone, or does not need it any more.
    """
    _warm_up()
    gc.freeze()  # forks share what is loaded, and do not go through it again
    with socket.socket(fileno=door) as asks:
        while (received := socket.recv_fds(asks, 1, 3))[0]:
            child = os.fork()
            if not child:
                asks.close()
                _end_with(received[1])
            for descriptor in received[1]:
                os.close(descriptor)
            asks.sendall(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]).to_bytes(4, "big", signed=True))


def _end_with(streams: Sequence[int]) -> NoReturn:
    """Do the one job of a fork. It ends at once: an editor waits, and taking everything loaded apart again takes 40 ms."""
    code = 1
    try:
        for descriptor, stream in enumerate(streams):
            os.dup2(stream, descriptor)
            os.close(stream)
        _work()
        sys.stdout.flush()
        code = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _work() -> None:
    """Read the job and write the answer; whatever goes wrong in a template is part of it."""
    limits = json.loads(sys.stdin.buffer.readline())
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, limits["output_bytes"])
    _limit(resource.RLIMIT_CPU, limits["cpu_s"], more=2)  # two seconds to say where it was
    try:
        _limit(resource.RLIMIT_AS, limits["memory_bytes"])
    except ValueError:
        if sys.platform == "linux":  # macOS does not know this limit
            raise
    signal.signal(signal.SIGXCPU, _out_of_time)
    job = json.load(sys.stdin.buffer)
    _limit(resource.RLIMIT_NOFILE, 3)
    json.dump(answer(job), sys.stdout)


def _limit(what: int, value: int, *, more: int = 0) -> None:
    """Lower a limit; one that is lower already stays. ``more`` is what the hard limit has above the soft one."""
    hard = resource.getrlimit(what)[1]
    allowed = value + more if hard == resource.RLIM_INFINITY else min(value + more, hard)
    resource.setrlimit(what, (min(value, allowed), allowed))


def _out_of_time(_signal: int, _frame: object) -> None:
    raise OutOfTime


_STYLE = "p { color: red; } a:hover { color: red; } @media (width: 1px) { p { margin: 0 !important; } } :root { top: 0; }"
_WARM_UP = {
    PHRASES: "{% macro m(n) %}{{ 'x' ~ n|round|tojson }}{% endmacro %}",
    "a.mjml.j2": "{% import 'phrases.txt.j2' as s %}<mjml><mj-head><mj-style>"
    + _STYLE
    + "</mj-style></mj-head><mj-body>{{ s.m(1.5) }}</mj-body></mjml>",
    "b.txt.j2": "{% for x in 'ab'|batch(1) %}{{ x|first|wrap|rule }}{{ loop.index|pprint }}{{ 'a.org'|urlize }}{% endfor %}",
    "c.mjml.j2": "<mjml><mj-body>\n<mj-text></mj-body></mjml>",
    "d.txt.j2": "{{ 1 / 0 }}{{ unknown }}",
}


def _warm_up() -> None:
    """Render a little of everything, mistakes included, so that what is loaded on first use is loaded: nothing can be opened later."""
    documents = [{"template": name, "data": {}} for name in _WARM_UP if name != PHRASES]
    answer({"templates": _WARM_UP, "common": {}, "documents": documents, "phrases": [["m", 1]]})
    answer({"templates": {"e.txt.j2": "{% if %}"}, "common": {}, "documents": [], "phrases": []})


def answer(job: Mapping[str, Any]) -> dict[str, Any]:
    """Render what the job asks for.

    Args:
        job: ``templates`` (name → text), ``common`` (data of every template), ``documents`` (a list of ``template`` and
            ``data``) and ``phrases`` (a list of macro name and arguments).
    Returns:
        ``documents`` and ``phrases`` in the order asked for (empty if anything is wrong), ``notes`` (file, line, what is wrong).
    """
    notes: list[Note] = []
    found: dict[str, Any] = {"documents": [], "phrases": [], "notes": notes}
    made = {html: environment(job["templates"], html=html, notes=notes) for html in (True, False)}
    try:
        notes += syntax_notes(job["templates"], made)
        if not notes:
            found["phrases"] = _guarded(notes, lambda: _phrases(job, made[False])) or []
            found["documents"] = [_guarded(notes, lambda d=document: _document(job, d, made)) for document in job["documents"]]
    except OutOfTime as error:
        notes.append((*place(error.__traceback__), "takes too long; is there a loop in a loop?"))
    if notes:
        found |= {"documents": [], "phrases": [], "notes": list(dict.fromkeys(notes))}
    return found


def _guarded(notes: list[Note], step: Any) -> Any:
    try:
        return step()
    except Wrong as error:
        notes.extend(note for note in error.notes if note not in notes)
    except jinja2.TemplateNotFound as error:
        notes.append((*place(error.__traceback__), f"templates/{error.name} is not there"))
    except jinja2.exceptions.SecurityError as error:
        notes.append((*place(error.__traceback__), f"not allowed in a template: {error}"))
    except MemoryError as error:
        notes.append((*place(error.__traceback__), "needs more memory than a template may have"))
    except RecursionError as error:
        notes.append((*place(error.__traceback__), "includes or calls itself without end"))
    except Exception as error:  # whatever an editor's expression may raise: a TypeError, a ZeroDivisionError, …
        notes.append((*place(error.__traceback__), f"{type(error).__name__}: {error}"[:300]))
    return None


def syntax_notes(templates: Mapping[str, str], environments: Mapping[bool, Environment]) -> list[Note]:
    """Everything that is wrong with the templates as written, one note for each file at most, and elements never allowed.

    What the environments will need is left parsed there.
    """
    notes: list[Note] = []
    for name, text in sorted(templates.items()):
        made = environments[".mjml" in name]
        try:
            made.parsed[name, text] = made.parse(text, name, f"templates/{name}")
        except jinja2.TemplateSyntaxError as error:
            notes.append((f"templates/{name}", error.lineno, str(error.message)))
        for line, content in enumerate(text.split("\n"), start=1):
            notes += [(f"templates/{name}", line, why) for tag, why in _FORBIDDEN.items() if tag in content.lower()]
    return notes


def _phrases(job: Mapping[str, Any], made: Environment) -> list[str]:
    if not job["phrases"]:
        return []
    module = made.get_template(PHRASES).make_module(dict(job["common"]))
    missing = dict.fromkeys(name for name, *_ in job["phrases"] if not hasattr(module, name))
    if missing:
        raise Wrong(*((f"templates/{PHRASES}", 0, f"has no {{% macro {name}(…) %}}") for name in missing))
    return [" ".join(str(getattr(module, name)(*arguments)).split(" ")).strip() for name, *arguments in job["phrases"]]


def _document(job: Mapping[str, Any], document: Mapping[str, Any], environments: Mapping[bool, Environment]) -> str:
    name, html = document["template"], ".mjml" in document["template"]
    made = environments[html]
    # Compiled templates are kept for the next document, for compiling them took most of the time; what they keep for
    # themselves (the module that an import without context gives) begins anew.
    for template in made.cache.values() if made.cache is not None else ():
        template._module = None
    text = made.get_template(name).render({**job["common"], **document["data"]})
    if made.notes:
        return ""
    return _html(made, job["templates"], name, text) if html else _without_remains(text, name, job["templates"])


def _html(made: Environment, templates: Mapping[str, str], name: str, source: str) -> str:
    # No raw character beyond ASCII reaches mrml, which would print some of them as \u{…} in attributes.
    source = source.encode("ascii", "xmlcharrefreplace").decode("ascii")
    try:
        if _unclosed(source):
            raise ValueError("")  # mrml lets some of them pass and puts the rest of the email in the wrong place
        html = mjml2html(source, fonts={})
    except ValueError as error:
        raise Wrong(_mjml_note(str(error), source, name, templates)) from error
    return _without_remains(inline.inline(html), name, templates)


def _without_remains(text: str, name: str, templates: Mapping[str, str]) -> str:
    for remains, why in _REMAINS.items():
        at = text.find(remains)
        if at >= 0:
            snippet = text[at : at + 40].split("\n")[0]
            written = re.match(r"<[\w-]+|\S+", snippet)  # what follows an element's name is no longer what the template has
            raise Wrong((*_nearest(written[0] if written else snippet, name, templates), f"{why} is left in the result: {snippet}"))
    return text


def _mjml_note(message: str, source: str, name: str, templates: Mapping[str, str]) -> Note:
    """mrml says at most a position in what was rendered; find the line of a template that it comes from, and the part it is in."""
    position = re.search(r"position (\d+):", message)
    reason = re.sub(r"\s*(?:at|in)? ?position \d+:\d+", "", message)
    unclosed = _unclosed(source)
    if unclosed is not None:
        reason, at = unclosed
    elif position is not None:
        at = min(int(position.group(1)), len(source) - 1)
    else:
        return (f"templates/{name}", 0, f"not valid MJML: {reason}")
    line = source[source.rfind("\n", 0, at) + 1 : (source.find("\n", at) + 1 or len(source) + 1) - 1]
    marks = list(markers.HTML_MARK.finditer(source, 0, at))
    inside = f", in the {marks[-1].group(1)} part" if marks and marks[-1].group(1) else ""
    return (*_nearest(line, name, templates), f"not valid MJML: {reason}{inside}, near {line.strip()[:80]}")


_TAG = re.compile(r"<!--.*?-->|<(style|mj-style)\b.*?</\1>|<(/?)([a-z][a-z0-9-]*)((?:\"[^\"]*\"|'[^']*'|[^>\"'])*?)(/?)>", re.S | re.I)
_VOID = {"br", "img", "hr", "meta", "link", "input", "wbr", "col", "area", "base", "embed", "source"}


_UNQUOTED = re.compile(r"<[a-z][\w-]*(?:\s+[\w:-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*\s+[\w:-]+\s*=\s*(?![\"'\s])", re.I)


def _unclosed(source: str) -> tuple[str, int] | None:
    """The first tag that is not closed, closed without having been opened, or without quotation marks, and where it stands."""
    bare = _UNQUOTED.search(source)
    if bare is not None:
        return "an attribute without quotation marks", bare.start()
    opened: list[tuple[str, int]] = []
    for tag in _TAG.finditer(source):
        closes, name, closed = tag.group(2), (tag.group(3) or "").lower(), tag.group(5)
        if not name or closed or name in _VOID:
            continue
        if not closes:
            opened.append((name, tag.start()))
        elif opened and opened[-1][0] == name:
            opened.pop()
        elif any(name == other for other, _ in opened):
            return f"<{opened[-1][0]}> is not closed", opened[-1][1]
        else:
            return f"</{name}> closes nothing", tag.start()
    return (f"<{opened[-1][0]}> is not closed", opened[-1][1]) if opened else None


def _nearest(line: str, name: str, templates: Mapping[str, str]) -> tuple[str, int]:
    """The template line that most resembles ``line``; the whole of ``name`` if none does."""
    suffix = name.split(".", 1)[1]
    best, score = (f"templates/{name}", 0), 0.6
    for other, text in sorted(templates.items()):
        if not other.endswith(suffix):
            continue
        for number, candidate in enumerate(text.split("\n"), start=1):
            fixed = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "", candidate).strip()
            if len(fixed) < 4:
                continue
            alike = 1.0 if fixed == line.strip() or line.strip() in fixed else _likeness(fixed, line)
            if alike > score:
                best, score = (f"templates/{other}", number), alike
    return best


def _likeness(fixed: str, line: str) -> float:
    """How much of what is fixed in a template's line stands, in order, in a rendered one."""
    matcher = difflib.SequenceMatcher(None, fixed, line.strip()[:2000], autojunk=False)
    return sum(block.size for block in matcher.get_matching_blocks() if block.size > 2) / max(len(fixed), 1)
