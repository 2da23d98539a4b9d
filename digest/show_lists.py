"""How changes of the interest lists, reports and pages of readers look on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape

from digest.show import new_table, out, plural

if TYPE_CHECKING:
    from digest.admin.effects import Effects, InterestEffect
    from digest.admin.interest_lists import Difference
    from digest.admin.reports import Report
    from digest.admin.tree import Tree
    from digest.store.lists import Move

_LISTED = 8  # pieces named one by one


def tree(found: Tree, overlap: bool) -> None:
    """The tree; with ``overlap`` the pairs instead."""
    if overlap:
        table = new_table("interest", "and", "follow both", "of the smaller", numbers=("follow both", "of the smaller"))
        for pair in found.overlaps:
            table.add_row(pair.one, pair.other, str(pair.both), f"{pair.percent} %")
        out.print(table)
        out.print(f"{plural(len(found.overlaps), 'pair')} of interests; pairs that fewer than ten readers follow are not shown.")
        return
    months = [month[2:] for month in found.months]
    table = new_table("interest", "readers", "pieces", *months, "", numbers=("readers", "pieces", *months))
    for line in found.lines:
        words = [*(["retired"] if line.retired else []), *([f"→ {line.successor}"] if line.successor else [])]
        words += [f"[yellow]{line.dead}[/yellow]"] if line.dead else []
        counts = [str(count) if count else "·" for count in line.months]
        table.add_row("  " * line.depth + line.id, str(line.readers), str(line.pieces), *counts, ", ".join(words))
    out.print(table)
    for id, count in found.orphans.items():
        out.print(
            f"[yellow]{plural(count, 'reader')} follow {escape(id)}, which the lists do not have (`digest interests compare`)[/yellow]"
        )


def effects(shown: Effects) -> None:
    """What a change would do."""
    out.print(f"[bold]{escape(shown.what)}[/bold]")
    for one in shown.interests:
        _interest(one)
    if not shown.interests:
        out.print("  no piece of the last year comes or goes")
    out.print(f"  {plural(shown.followers, 'reader')} follow what this is about" + (f", {shown.both} of them both" if shown.both else ""))
    out.print(f"  {shown.changed} have their choices written anew; nobody loses one")
    if shown.gaining:
        out.print(
            f"  {shown.gaining} would have followed more pieces of the last year; {shown.had} have had some of these, "
            f"{shown.again} would get one again"
        )
    for name in shown.voids:
        out.print(f"[yellow]  the approval of {escape(name)} will be void if this changes it: look again[/yellow]")
    for note in shown.notes:
        out.print(f"[yellow]  {escape(note)}[/yellow]")


def _interest(one: InterestEffect) -> None:
    more, fewer = len(one.gained), len(one.lost)
    said = f"{more} more, {fewer} fewer than now" if more or fewer else "the same as now"
    out.print(f"  {one.id} ({escape(one.label)}): {plural(one.after, 'piece')} of the last year; {said}")
    for sign, pieces in (("+", one.gained), ("-", one.lost)):
        for piece in pieces[:_LISTED]:
            out.print(f"    {sign} {escape(piece.title)} [dim]{escape(piece.why)}[/dim]")
        if len(pieces) > _LISTED:
            out.print(f"    {sign} and {len(pieces) - _LISTED} more (--json has all)")


def history(rows: Sequence[Move]) -> None:
    """The changes, the newest first."""
    if not rows:
        out.print("The lists have not been changed by a command yet.")
        return
    table = new_table("no.", "when (UTC)", "who", "readers", "state", "what", numbers=("no.", "readers"))
    for row in rows:
        readers = "" if row.readers is None else str(row.readers)
        table.add_row(str(row.id), f"{row.at:%Y-%m-%d %H:%M}", escape(row.who), readers, row.state, escape(row.what))
    out.print(table)


def difference(found: Difference) -> None:
    """The file beside the database."""
    if found.unfinished:
        out.print(f'[yellow]The change "{escape(found.unfinished)}" was cut short, and the file has been edited since.[/yellow]')
    for line in found.lines:
        out.print(escape(line))
    for id, count in found.orphans.items():
        out.print(f"[yellow]{plural(count, 'reader')} follow {escape(id)}, which the file does not have[/yellow]")
    if found.same:
        out.print("The file is what the database has.")
        return
    for word, ids in (("only in the file", found.only_file), ("only in the database", found.only_database), ("changed", found.changed)):
        if ids:
            out.print(f"{word}: {', '.join(ids)}")
    out.print("Choose: `digest interests use-file` or `digest interests use-database`. Nothing is merged by guess.")


def report(found: Report) -> None:
    """A report's table."""
    out.print(f"[bold]{escape(found.title)}[/bold]")
    # A column for each of many interests would not fit: then each has a line, and beside it the months that do.
    wide = len(found.columns) > 8 and found.columns[0] == "month"
    columns, rows = found.columns, found.rows
    if wide:
        fit = max(1, (out.width - max(map(len, columns))) // 7)
        months = found.rows[-fit:]
        rows = tuple((column, *(row[n] for row in months)) for n, column in enumerate(columns) if n)
        columns = ("", *(str(row[0])[2:] for row in months))
    table = new_table(*columns, numbers=[column for n, column in enumerate(columns) if n and all(not _worded(row[n]) for row in rows)])
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    out.print(table)
    if found.note:
        out.print(found.note)


def _worded(cell: str | int | float) -> bool:
    return isinstance(cell, str) and not cell.startswith("<")
