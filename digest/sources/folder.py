"""Markdown files with YAML front matter: the newsletter's own summaries (DESIGN section 12).

``examine`` finds everything that is wrong, for ``digest check``; ``read`` takes what is right, by the same code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from digest import config
from digest.errors import SourceError
from digest.model import Harvest, Refusal, Section, Summary
from digest.problems import Problem, explain, line_of, parse_yaml
from digest.sources import Context, entry, words
from digest.sources.front import FrontMatter

MAX_BYTES = 1024 * 1024


class _Loader(yaml.SafeLoader):
    """YAML whose dates stay text: our own reader knows the source's zone, and says what is wrong with a bad one."""

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        """The value, where an escape such as ``\\ud800`` cannot stand for half a character."""
        value = super().construct_scalar(node)
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace") if isinstance(value, str) else value


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True)
class File:
    """One file as read: a summary, or what is wrong with it."""

    name: str
    summary: Summary | None
    problems: tuple[Problem, ...]


def read(source: config.FolderSource, context: Context) -> Harvest:
    """The summaries of the folder; a file with a mistake is refused with its line, the others go on.

    Raises:
        SourceError: there is no such folder, or it cannot be listed.
    """
    collected = entry.Collected()
    files = _files(source, context)
    for file in files:
        errors = [problem for problem in file.problems if problem.severity == "error"]
        if file.summary is not None and not errors:
            collected.summaries.append(file.summary)
        else:
            collected.refused.append(_refusal(errors))
    return collected.harvest(warning="" if files else f"{source.path}: no .md files in this folder")


def _refusal(errors: list[Problem]) -> Refusal:
    place = f"{errors[0].file}:{errors[0].line}" if errors[0].line else errors[0].file
    return Refusal(ref=place, reason="; ".join(problem.text for problem in errors))


def examine(source: config.FolderSource, context: Context) -> list[Problem]:
    """Everything that is wrong in every file, for ``digest check``; a missing folder is a problem too."""
    try:
        files = _files(source, context)
    except SourceError as error:
        return [Problem(file=source.path.as_posix(), text=str(error))]
    if not files:
        return [Problem(file=source.path.as_posix(), text="no .md files in this folder", severity="warning")]
    return [problem for file in files for problem in file.problems]


def _files(source: config.FolderSource, context: Context) -> list[File]:
    """Every Markdown file of the folder and the folders in it, in the order of their names. A README is not a summary."""
    folder = context.workspace / source.path
    if not folder.is_dir():
        raise SourceError(f"{source.path}: no such folder; path counts from the workspace")
    try:
        paths = sorted(
            path
            for path in folder.rglob("*.md")
            if path.is_file() and path.name.lower() != "readme.md" and not any(p.startswith(".") for p in path.relative_to(folder).parts)
        )
    except OSError as error:
        raise SourceError(f"{source.path} cannot be read: {error.strerror}") from error
    base = context.workspace if folder.is_relative_to(context.workspace) else folder.parent
    return _without_doubles([_file(path, path.relative_to(base).as_posix(), path.relative_to(folder), source, context) for path in paths])


def _without_doubles(files: list[File]) -> list[File]:
    """The same files, where one that tells of the same piece as an earlier one has that as a problem."""
    owners: dict[str, str] = {}
    found = []
    for file in files:
        names = file.summary.identifiers if file.summary else ()
        same = next((name for name in names if name in owners), None)
        if same is None:
            owners.update(dict.fromkeys(names, file.name))
        else:
            kind = {"doi": "DOI", "pmid": "PubMed number"}.get(same.partition(":")[0], "url")
            text = f"has the same {kind} as {owners[same]}, so both would be one summary; give it its own, or remove one of them"
            file = File(file.name, None, (*file.problems, Problem(file=file.name, text=text)))
        found.append(file)
    return found


def _file(path: Path, name: str, inside: Path, source: config.FolderSource, context: Context) -> File:
    text, problem = _load(path, name)
    if problem:
        return File(name, None, (problem,))
    front, body, problem = _halves(name, text)
    if problem:
        return File(name, None, (problem,))
    data, tree, problems = parse_yaml(name, front, _Loader)
    if problems:
        return File(name, None, problems)
    if not isinstance(data, dict):
        return File(name, None, (Problem(file=name, line=2, text="the front matter must hold keys such as title: and published:"),))
    data = {key: value for key, value in data.items() if value is not None}
    zone = source.timezone or context.timezone
    try:
        matter = FrontMatter.model_validate(data, context={"zone": zone, "date_order": source.date_order})
    except ValidationError as error:
        return File(name, None, explain(name, tree, data, error, FrontMatter))
    try:
        summary = _summary(matter, sections(body), inside.with_suffix("").as_posix(), source)
    except entry.Unfit as error:
        return File(name, None, (Problem(file=name, text=str(error)),))
    return File(name, summary, tuple(_hints(name, tree, summary)))


def _load(path: Path, name: str) -> tuple[str, Problem | None]:
    try:
        if path.stat().st_size > MAX_BYTES:
            return "", Problem(file=name, text=f"is larger than {MAX_BYTES // 1024} KiB: not a summary")
        content = path.read_bytes()
    except OSError as error:
        return "", Problem(file=name, text=f"cannot be read: {error.strerror}")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n"), None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return "", Problem(
            file=name, line=line, text=f"is not UTF-8 (byte 0x{content[error.start]:02x}); save the file with the encoding UTF-8"
        )


def _halves(name: str, text: str) -> tuple[str, str, Problem | None]:
    """The front matter, padded so that its lines count as in the file, and the body."""
    lines = text.split("\n")
    if lines[0].rstrip() != "---":
        return "", "", Problem(file=name, line=1, text="must begin with a line --- and the front matter: title, published and url")
    for index, line in enumerate(lines[1:], 1):
        if line.rstrip() in ("---", "..."):
            return "\n" + "\n".join(lines[1:index]), "\n".join(lines[index + 1 :]), None
    return "", "", Problem(file=name, line=1, text="the front matter has no end: close it with a second line ---")


def _hints(name: str, tree: yaml.Node | None, summary: Summary) -> list[Problem]:
    if summary.takeaway:
        return []
    text = "has neither takeaway nor text, so its teaser is a title alone"
    return [Problem(file=name, line=line_of(tree, ("title",)), text=text, severity="warning")]


def sections(body: str) -> tuple[Section, ...]:
    """The parts of a Markdown text under its headings of the first two levels, as plain paragraphs."""
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark").enable("table")
    tokens = markdown.parse(body)
    starts = [i for i, token in enumerate(tokens) if token.type == "heading_open" and token.level == 0 and token.tag in ("h1", "h2")]
    found = []
    for begin, end in zip([0, *starts], [*starts, len(tokens)], strict=True):
        part = tokens[begin:end]
        heading = ""
        if part and begin in starts:
            heading = words.plain_line(markdown.renderer.render(part[:3], markdown.options, {}), markup=True)
            part = part[3:]
        text = words.html_to_text(markdown.renderer.render(part, markdown.options, {}))
        if text:
            found.append(Section(heading=heading or "Summary", text=text))
    return tuple(found)


_LIMITS = re.compile(r"^(?:the |what are the |study )?(?:limits|limitations|caveats)\b", re.I)


def _summary(matter: FrontMatter, parts: tuple[Section, ...], source_id: str, source: config.FolderSource) -> Summary:
    limits = next((part.text for part in parts if _LIMITS.match(part.heading)), "")
    body = next((part.text for part in parts if not _LIMITS.match(part.heading)), "")
    draft = entry.Draft(
        title=matter.title,
        url=matter.url,
        published_at=matter.published,
        source_id=source_id,
        takeaway=matter.takeaway or entry.takeaway_of(body),
        sections=parts,
        limits=matter.limits or entry.takeaway_of(limits),
        tags=matter.tags,
        authors=matter.authors,
        journal=matter.journal,
        doi=matter.doi,
        pmid=matter.pmid,
        evidence=matter.evidence,
        language=matter.language,
    )
    return entry.finish(draft, source).model_copy(
        update={
            "audience": matter.audience or source.audience,
            "image": matter.image.model() if matter.image else None,
            "weight": matter.weight,
            "highlight": matter.highlight,
            "hold": matter.hold,
            "illustration": matter.illustration,
            "notice": matter.notice.model() if matter.notice else None,
        }
    )
