"""CSV files as people make them: read line by line, with every line that cannot be read told; written safe for spreadsheets."""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from digest.errors import ConfigError
from digest.problems import Problem

# A spreadsheet takes a cell that begins so for a formula; the wide forms, too.
_FORMULA = r"[=+\-@＝＋－＠\t\r]"
_Item = TypeVar("_Item")


class Line(NamedTuple):
    """One line: where it begins, counted from 1, and its cells by column, without surrounding blanks."""

    number: int
    cells: dict[str, str]


class Shape(NamedTuple):
    """How somebody else's file is read: ``columns`` gives the file's own heading for some of ours (none: even
    one of our name is passed over), and what is neither is passed over."""

    encoding: str | None = None
    delimiter: str = ","
    columns: Mapping[str, str] = {}


def read(file: Path, name: str, columns: Sequence[str], shape: Shape | None = None) -> Iterator[Line | Problem]:
    """Each line of a file whose header names some of ``columns``, ``email`` among them. ``name`` is what problems call the file.

    Raises:
        ConfigError: the file cannot be read at all, is in another encoding, or has another header.
    """
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read: {error.strerror}") from error
    shape = shape or Shape()
    reader = csv.reader(io.StringIO(_decode(raw, name, shape.encoding), newline=""), strict=True, delimiter=shape.delimiter)
    try:
        header = [cell.strip().lower() for cell in next(reader, [])]
    except csv.Error as error:
        raise ConfigError(f"{name}:1: not CSV: {error}") from error
    if shape.columns:
        header = _mapped(header, name, columns, shape.columns)
    _check_header([column for column in header if column], name, columns, shape.delimiter)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            open_quote = "a quote that opens here is never closed; nothing from this line on was read"
            yield Problem(file=name, line=line, text=open_quote if "unexpected end" in str(error) else f"not CSV: {error}")
            continue
        if len(cells) > len(header):
            yield Problem(file=name, line=line, text=f"has {len(cells)} cells, the header {len(header)}; put a cell with a comma in quotes")
        elif any(cell.strip() for cell in cells):
            yield Line(line, {column: _plain(cell) for column, cell in zip(header, cells, strict=False) if column})


def safe(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula; ``read`` gives it back as it was."""
    return f"'{cell}" if re.match(_FORMULA, cell.lstrip(" ")) else cell


def batches(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """The items in lists of at most ``size``: one transaction each."""
    batch: list[_Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _plain(cell: str) -> str:
    cell = cell.strip()
    return cell[1:] if re.match("'" + _FORMULA, cell) else cell


def _decode(raw: bytes, name: str, encoding: str | None) -> str:
    try:
        return raw.decode(encoding or "utf-8-sig").removeprefix("\ufeff")
    except LookupError as error:
        raise ConfigError(f'{name}: "{encoding}" is not an encoding; for example utf-8 or cp1252') from error
    except UnicodeDecodeError as error:
        from charset_normalizer import from_bytes

        best = from_bytes(raw).best()
        guess = f"it looks like {best.encoding}; if that is right, say --encoding {best.encoding}, else" if best else "please"
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{name}:{line}: not {encoding or 'UTF-8'}; {guess} save the file as UTF-8. Nothing was imported") from error


def _mapped(header: Sequence[str], name: str, columns: Sequence[str], wanted: Mapping[str, str]) -> list[str]:
    """The header in our words; empty for what is passed over."""
    ours: dict[str, str] = {}
    for column, theirs in wanted.items():
        if column not in columns:
            raise ConfigError(f'{name}: "{column}" is no column of ours; known: {", ".join(columns)}')
        if not theirs.strip():
            continue
        if theirs.strip().lower() not in header:
            raise ConfigError(f'{name}:1: has no column "{theirs}"; it has: {", ".join(header)}')
        if ours.setdefault(theirs.strip().lower(), column) != column:
            raise ConfigError(f'{name}: the column "{theirs}" is named for two of ours')
    return [ours.get(cell, cell if cell in columns and cell not in wanted else "") for cell in header]


def _check_header(header: Sequence[str], name: str, columns: Sequence[str], delimiter: str) -> None:
    if len(header) == 1 and ";" in header[0] and delimiter != ";":
        raise ConfigError(f"{name}:1: the columns are separated by semicolons; save the file with commas, or say --delimiter ';'")
    if "email" not in header:
        raise ConfigError(f"{name}:1: the first line must name the columns, email among them (all: {','.join(columns)})")
    for column in header:
        if column not in columns:
            near = difflib.get_close_matches(column, columns, 1)
            raise ConfigError(
                f'{name}:1: unknown column "{column}"' + (f"; did you mean {near[0]}?" if near else f"; known: {', '.join(columns)}")
            )
    twice = {column for column in header if header.count(column) > 1}
    if twice:
        raise ConfigError(f"{name}:1: the column {', '.join(sorted(twice))} stands twice")
