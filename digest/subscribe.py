"""Subscriber files: read them with every mistake told by line, bring them in, write them out.

An import never revives an unsubscribed or suppressed address and never lowers a consent record.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from digest import audit, csvfile
from digest.addresses import Address, parse
from digest.config import time_zone
from digest.interests import Interests
from digest.model import Audience, Frozen, Status, Subscriber
from digest.problems import Problem
from digest.store import now, people
from digest.vault import Vault
from digest.workspace import Workspace

COLUMNS = ("email", "name", "interests", "cadence", "language", "audience", "status", "consent_at", "consent_source", "zone")
_LONGEST_NAME = 200
_BATCH = 500


class Row(NamedTuple):
    """One good line of a subscriber file. ``given`` are the columns that hold something."""

    line: int
    address: Address
    subscriber: Subscriber
    given: frozenset[str]


class Import(Frozen):
    """What an import did, or with ``dry_run`` would do. ``kept`` counts addresses that stay as they are on purpose."""

    new: int = 0
    changed: int = 0
    same: int = 0
    kept: int = 0
    refused: int = 0
    problems: tuple[Problem, ...] = ()
    dry_run: bool = False


class Terms(NamedTuple):
    """What the cells of a subscriber file may name."""

    interests: frozenset[str]
    cadences: tuple[str, ...]
    zone: str
    was: Mapping[str, str] = {}  # old ids of interests, and what they are today


def terms(workspace: Workspace, interests: Interests) -> Terms:
    """The interests and cadences of a workspace."""
    was = {old: interest.id for interest in interests.all for old in interest.was}
    return Terms(frozenset(interest.id for interest in interests.all), tuple(workspace.config.cadences), workspace.zone, was)


def read_file(file: Path, name: str, allowed: Terms, shape: csvfile.Shape | None = None) -> Iterator[Row | Problem]:
    """Each line of a subscriber file, good or bad. ``name`` is what problems call the file.

    Raises:
        ConfigError: the file cannot be read at all, is in another encoding, or has no ``email`` column.
    """
    return read_lines(csvfile.read(file, name, COLUMNS, shape), name, allowed)


def read_lines(lines: Iterable[csvfile.Line | Problem], name: str, allowed: Terms) -> Iterator[Row | Problem]:
    """The same from lines that are read already."""
    met: dict[str, int] = {}
    for line in lines:
        row = line if isinstance(line, Problem) else _row(line.cells, name, line.number, allowed)
        if isinstance(row, Row) and met.setdefault(row.address.key, row.line) != row.line:
            same = f"the same address as line {met[row.address.key]}; that one counts"
            row = Problem(file=name, line=row.line, severity="warning", text=same)
        yield row


def _row(cells: Mapping[str, str], name: str, line: int, allowed: Terms) -> Row | Problem:
    given = frozenset(column for column, value in cells.items() if value)

    def problem(text: str) -> Problem:
        return Problem(file=name, line=line, text=text)

    try:
        address = parse(cells["email"])
    except ValueError as error:
        return problem(f"email: {error}")
    try:
        subscriber = Subscriber(
            id="",
            email=address.spelling,
            name=clean_name(cells.get("name", "")),
            interests=_interests(cells.get("interests", ""), allowed),
            cadence=_one_of("cadence", cells.get("cadence") or next(iter(allowed.cadences), "monthly"), allowed.cadences),
            language=cells.get("language", ""),
            audience=tuple(Audience(_one_of("audience", word, [a.value for a in Audience])) for word in _words(cells.get("audience", ""))),
            status=Status(_one_of("status", cells.get("status") or "active", [s.value for s in Status if s is not Status.ERASED])),
            consent_at=_instant(cells.get("consent_at", ""), allowed.zone),
            consent_source=cells.get("consent_source", ""),
            zone=_zone(cells.get("zone", "")),
        )
    except ValueError as error:
        return problem(str(error))
    return Row(line, address, subscriber, given)


def _words(cell: str) -> list[str]:
    return list(dict.fromkeys(word.strip().lower() for word in cell.split(";") if word.strip()))


def clean_name(text: str) -> str:
    """A name that can stand in an email, or empty.

    Raises:
        ValueError: too long, or with control characters; the text does not repeat it.
    """
    if re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", text):
        raise ValueError("name: holds a line break or a control character")
    if len(text) > _LONGEST_NAME:
        raise ValueError(f"name: is longer than {_LONGEST_NAME} characters")
    return text


def _zone(text: str) -> str:
    if not text:
        return ""
    try:
        return time_zone(text)
    except ValueError as error:
        raise ValueError(f"zone: {error}") from error


def _interests(cell: str, allowed: Terms) -> tuple[str, ...]:
    words = dict.fromkeys(allowed.was.get(word, word) for word in _words(cell))
    return tuple(_one_of("interests", word, sorted(allowed.interests)) for word in words)


def _one_of(column: str, word: str, known: Sequence[str]) -> str:
    if word in known or not known:  # no list: it could not be read, and `digest check` says so itself
        return word
    near = difflib.get_close_matches(word, known, 1)
    raise ValueError(f'{column}: "{word}" is not one of {", ".join(known)}' + (f"; did you mean {near[0]}?" if near else ""))


def _instant(text: str, zone: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f'consent_at: "{text}" is not a date or time such as 2026-03-01 or 2026-03-01T09:30:00+00:00') from error
    if moment.tzinfo is None:
        moment = datetime.combine(moment.date(), moment.time() or time(), tzinfo=ZoneInfo(zone))
    return moment.astimezone(UTC)


def import_file(
    workspace: Workspace,
    file: Path,
    interests: Interests,
    *,
    encoding: str | None = None,
    delimiter: str = ",",
    columns: Mapping[str, str] | None = None,
    dry_run: bool = False,
) -> Import:
    """Bring a subscriber file in; good lines are taken, bad ones listed, and importing it again changes nothing.

    ``columns`` gives the file's own heading for some of ours; then what is neither is passed over.

    Raises:
        ConfigError: the file as a whole is no subscriber file; nothing was imported.
    """
    name = _shown(file, workspace.path)
    shape = csvfile.Shape(encoding, delimiter, columns or {})
    return _bring_in(workspace, read_file(file, name, terms(workspace, interests), shape), name, dry_run)


def import_rows(workspace: Workspace, rows: Iterable[Mapping[str, str]], interests: Interests, *, dry_run: bool = False) -> Import:
    """The same for rows that came in another way than in a file, each with cells by `COLUMNS`. Problems count them from 1."""
    lines = (csvfile.Line(number, {column: cell.strip() for column, cell in row.items()}) for number, row in enumerate(rows, 1))
    return _bring_in(workspace, read_lines(lines, "rows", terms(workspace, interests)), "rows", dry_run)


def _bring_in(workspace: Workspace, items: Iterable[Row | Problem], name: str, dry_run: bool) -> Import:
    counted = dict.fromkeys(("new", "changed", "same", "kept", "refused"), 0)
    problems = []
    for batch in csvfile.batches(items, _BATCH):
        with workspace.store.write() as tx:
            for item in batch:
                if isinstance(item, Problem):
                    problems.append(item)
                    counted["refused"] += 1
                    continue
                what, note = _take(tx, workspace.store.vault, item, now(tx), dry_run)
                counted[what] += 1
                if note:
                    problems.append(Problem(file=name, line=item.line, severity="warning", text=note))
    if not dry_run:
        audit.note(workspace, "readers.import", "", **counted)
    return Import(**counted, problems=tuple(problems), dry_run=dry_run)


def _shown(file: Path, workspace: Path) -> str:
    try:
        return str(file.resolve().relative_to(workspace.resolve()))
    except ValueError:
        return file.name


def _take(tx: Connection, vault: Vault, row: Row, at: datetime, dry_run: bool) -> tuple[str, str]:
    """What a line does to the list, and a word about what was not done."""
    person = people.find(tx, vault, row.address)
    if person is None:
        if people.is_suppressed(tx, vault, row.address):
            return "kept", "this address is suppressed; it stays so"
        if not dry_run:
            people.add(tx, vault, row.address, row.subscriber, at)
        return "new", ""
    merged, note = merge(person.subscriber, row.subscriber, row.given)
    if merged == person.subscriber:
        return ("kept" if note else "same"), note
    if not dry_run:
        people.change(tx, vault, person.row, merged, at)
    return "changed", note


def merge(old: Subscriber, new: Subscriber, given: frozenset[str]) -> tuple[Subscriber, str]:
    """An existing subscriber with the particulars that a file gives; empty cells change nothing.

    A status is taken over only where it asks for less mail, or where a pending one comes with consent.
    """
    values: dict[str, object] = {
        column: getattr(new, column) for column in ("name", "interests", "cadence", "zone", "language", "audience") if column in given
    }
    note = ""
    if new.consent_at and (old.consent_at is None or new.consent_at > old.consent_at):
        values |= {"consent_at": new.consent_at, "consent_source": new.consent_source}
    if old.status in (Status.UNSUBSCRIBED, Status.SUPPRESSED) and new.status is not old.status:
        note = f"this address is {old.status}; an import does not revive it"
    elif old.status in (Status.PENDING, Status.PAUSED) and new.status is Status.ACTIVE:
        if "consent_at" in values:
            values["status"] = new.status
        elif "status" in given or old.status is Status.PENDING:
            word = "has not confirmed yet" if old.status is Status.PENDING else "is paused"
            note = f"this address {word}; only a newer consent_at makes it active"
    elif "status" in given:
        values["status"] = new.status
    return old.model_copy(update=values), note


def export_rows(subscribers: Iterable[Subscriber]) -> Iterator[list[str]]:
    """Header and lines of a subscriber file that imports again, safe to open in a spreadsheet."""
    yield list(COLUMNS)
    for one in subscribers:
        cells = [
            one.email,
            one.name,
            ";".join(one.interests),
            one.cadence,
            one.language,
            ";".join(one.audience),
            one.status.value,
            one.consent_at.isoformat() if one.consent_at else "",
            one.consent_source,
            one.zone,
        ]
        yield [csvfile.safe(cell) for cell in cells]


def problem_rows(report: Import) -> Iterator[list[str]]:
    """Header and lines of a report of what an import did not take, or took with a word, safe to open in a spreadsheet."""
    yield ["line", "taken", "why"]
    for problem in report.problems:
        yield [str(problem.line), "no" if problem.severity == "error" else "in part", csvfile.safe(problem.text)]
