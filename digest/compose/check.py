"""What is wrong with a workspace's templates, every mistake with its file and line (``digest check``)."""

from __future__ import annotations

import re
from pathlib import Path

from digest.compose import sample
from digest.compose.compiled import compile_sources
from digest.compose.languages import available
from digest.compose.render import read_templates
from digest.errors import RenderError
from digest.problems import Problem


def check_templates(templates: Path) -> list[Problem]:
    """Compile a small issue with one of everything; an empty list says that real ones will compile too."""
    try:
        sources = read_templates(templates)
        spoken = available(sources, sample.LOOK.language)
        compile_sources(sources, sample.LOOK, sample.SLOT, sample.summaries(), sample.INTERESTS, spoken)
    except RenderError as error:
        return [problem_of(line) for line in str(error).split("\n")]
    return []


def problem_of(line: str) -> Problem:
    """A line of a `RenderError` taken apart: file, line, text."""
    found = re.match(r"(templates(?:/[^:]+)?)(?::(\d+))?: (.*)", line)
    if found is None:
        return Problem(file="templates", text=line)
    return Problem(file=found.group(1), line=int(found.group(2) or 0), text=found.group(3))
