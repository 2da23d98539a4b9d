"""The saved text of a page: one full summary, dated teasers that end with "Read More", a standing notice (DESIGN section 13).

The full summary's date is ``published`` from the configuration, else the time the file was last written: the text has none.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from digest import config
from digest.errors import SourceError
from digest.model import Harvest, Section
from digest.sources import Context, entry, words
from digest.sources.charset import decode
from digest.sources.dates import parse_date

MAX_BYTES = 5 * 1024 * 1024
CUT_AT = range(90, 111)  # characters: a teaser of about 100 without an end was cut by the site
_ENDED = re.compile(r"[.!?…。！？][\"'”’)\]]*$")
_DATE_LINE = re.compile(r"^\W*(?:\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4}|\d{1,2}\.? \w{3,12}\.? \d{4}|\w{3,12}\.? \d{1,2}, \d{4})\W*$")


@dataclass(frozen=True)
class Teaser:
    """A dated line of the listing; ``line`` counts from 1 in the file."""

    date: str
    text: str
    line: int


@dataclass(frozen=True)
class Saved:
    """The parts of a saved page. ``article`` holds its paragraphs, ``notice`` the text after the last teaser."""

    article: tuple[str, ...]
    teasers: tuple[Teaser, ...]
    notice: str


def read(source: config.TextSource, context: Context) -> Harvest:
    """The summaries of the file, or of every ``*.txt`` in the folder.

    Raises:
        SourceError: nothing there, not readable, or the configuration's ``journal`` or ``published`` cannot be used.
    """
    journal = _pattern(source)
    files = _files(source, context)
    collected, met, warnings = entry.Collected(), dict[str, str](), list[str]()
    for file in files:
        ref = _relative(file, context.workspace)
        try:
            saved = split(_load(file, ref), source.read_more)
        except SourceError as error:
            if len(files) == 1:
                raise
            warnings.append(str(error))
            continue
        _take_article(saved, file, ref, len(files) == 1, journal, source, context, collected)
        _take_teasers(saved, ref, met, source, context, collected)
    return collected.harvest(warning="; ".join(warnings))


def _files(source: config.TextSource, context: Context) -> list[Path]:
    path = context.workspace / source.path
    try:
        if path.is_dir():
            files = sorted(file for file in path.glob("*.txt") if file.is_file())
            if not files:
                raise SourceError(f"{source.path}: no .txt files in this folder")
            return files
        if path.is_file():
            return [path]
    except OSError as error:
        raise SourceError(f"{source.path} cannot be read: {error.strerror}") from error
    raise SourceError(f"{source.path}: no such file or folder; path counts from the workspace")


def _relative(file: Path, workspace: Path) -> str:
    return file.relative_to(workspace).as_posix() if file.is_relative_to(workspace) else file.name


def _load(file: Path, ref: str) -> str:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise SourceError(f"{ref} is larger than {MAX_BYTES // 1048576} MiB: not the text of a page")
        text = decode(file.read_bytes())
    except OSError as error:
        raise SourceError(f"{ref} cannot be read: {error.strerror}") from error
    if not text.strip():
        raise SourceError(f"{ref} is empty")
    return text


def _pattern(source: config.TextSource) -> re.Pattern[str]:
    try:
        pattern = re.compile(source.journal)
    except re.error as error:
        raise SourceError(f'journal: "{source.journal}" is not a regular expression ({error})') from error
    if pattern.groups != 1:
        raise SourceError(f'journal: "{source.journal}" needs one group in parentheses, around the name of the journal')
    return pattern


def split(text: str, read_more: str = "Read More") -> Saved:
    """Take a saved page apart. Each "Read More" closes a teaser, and what follows may be glued to it."""
    marker = re.escape(read_more.strip())
    blocks: list[tuple[int, list[str]]] = [(1, [])]
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        rest = line.strip()
        while match := re.match(rf"^{marker}", rest) or re.search(rf"(?:{marker})\s*$", rest):
            blocks[-1][1].append(rest[: match.start()])
            rest = rest[match.end() :].strip()
            blocks.append((number, []))
        blocks[-1][1].append(rest)
    *closed, (_, notice) = blocks
    article: list[str] = []
    teasers: list[Teaser] = []
    for position, (start, lines) in enumerate(closed):
        before, teaser = _teaser(start, lines)
        if position == 0:
            article = before
        elif any(before):  # text that no date stands above: kept, so that it is refused by name and not lost
            teasers.append(Teaser("", words.clean_line(" ".join(before)), start))
        teasers.append(teaser)
    if not closed:
        article, notice = notice, []
    return Saved(tuple(line for line in article if line), tuple(teasers), "\n".join(notice).strip())


def _teaser(start: int, lines: list[str]) -> tuple[list[str], Teaser]:
    """What stands before the last date line of a block, and the teaser it begins."""
    for index in range(len(lines) - 1, -1, -1):
        if _DATE_LINE.match(lines[index]):
            return lines[:index], Teaser(lines[index], words.clean_line(" ".join(lines[index + 1 :])), start + index)
    last = max((index for index, line in enumerate(lines) if line), default=0)
    return lines[:last], Teaser("", words.clean_line(" ".join(lines[last:])), start + last)


HEADINGS = ("What they found", "Why it matters", "Limits")


def parts_of(paragraphs: tuple[str, ...]) -> dict[str, str]:
    """An article's parts by the order the site gives them: takeaway, what they found, why it matters, limits.

    More than four: those between the first and the last two tell what was found. Fewer: the later parts are missing.
    """
    takeaway, *rest = paragraphs
    if len(rest) > 3:
        rest = ["\n\n".join(rest[:-2]), *rest[-2:]]
    return {"takeaway": takeaway} | dict(zip(HEADINGS, rest, strict=False))


def _take_article(
    saved: Saved,
    file: Path,
    ref: str,
    alone: bool,
    journal: re.Pattern[str],
    source: config.TextSource,
    context: Context,
    into: entry.Collected,
) -> None:
    if not saved.article:
        return
    parts = parts_of(saved.article)
    named = journal.search(saved.notice)
    limits = parts.get("Limits", "")
    draft = entry.Draft(
        title=source.title if source.title and alone else entry.title_of(parts["takeaway"]),
        url=source.url,
        published_at=_article_date(file, source, context),
        source_id=file.stem,
        takeaway=parts["takeaway"],
        sections=tuple(Section(heading=heading, text=parts[heading]) for heading in HEADINGS if heading in parts),
        limits=words.first_sentence(limits),
        journal=named.group(1) if named else "",
        shared_url=not alone,
    )
    try:
        into.take(entry.finish(draft, source))
    except entry.Unfit as error:
        into.refuse(ref, str(error))


def _article_date(file: Path, source: config.TextSource, context: Context) -> datetime:
    if source.published is None:
        return datetime.fromtimestamp(int(file.stat().st_mtime), UTC)
    try:
        return parse_date(source.published, source.timezone or context.timezone, source.date_order)
    except ValueError as error:
        raise SourceError(f"published: {error}") from error


def _take_teasers(saved: Saved, ref: str, met: dict[str, str], source: config.TextSource, context: Context, into: entry.Collected) -> None:
    for teaser in saved.teasers:
        place = f"{ref}:{teaser.line}"
        if not teaser.text and not teaser.date:
            continue
        try:
            key = teaser_id(teaser.text)
            if met.setdefault(key, teaser.date) != teaser.date:
                raise entry.Unfit(f"the same teaser stands under {met[key]} and {teaser.date}; the first counts")
            into.take(entry.finish(_teaser_draft(teaser, key, source, context), source))
        except ValueError as error:  # Unfit, and dates that cannot be read
            into.refuse(place, str(error))


def teaser_id(text: str) -> str:
    """What a teaser is known by: its words. Neither its place on the page nor its date, which the site may mend."""
    return hashlib.sha256(words.clean_line(text).casefold().encode()).hexdigest()[:16]


def _teaser_draft(teaser: Teaser, key: str, source: config.TextSource, context: Context) -> entry.Draft:
    if not teaser.text:
        raise entry.Unfit(f"a date ({teaser.date}) without a teaser under it")
    if not teaser.date:
        raise entry.Unfit(f'"{words.cut(teaser.text, 60)}" has no date above it')
    return entry.Draft(
        title=whole(teaser.text),
        url=source.teasers_url or source.url,
        published_at=parse_date(teaser.date, source.timezone or context.timezone, source.date_order),
        source_id=key,
        shared_url=True,
    )


def whole(text: str) -> str:
    """A teaser that the site cut in mid-word, cut back to the last whole word and given an ellipsis.

    It was cut if it is about 100 characters long and ends no sentence. Whether its last word is whole cannot be known
    then, so that one goes in any case.
    """
    if len(text) not in CUT_AT or _ENDED.search(text):
        return text
    head, _, _ = text.rpartition(" ")
    return words.end_with_ellipsis(head or text)
