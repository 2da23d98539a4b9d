"""How the calendar and an issue's history look on a terminal 80 columns wide."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from zoneinfo import ZoneInfo

from rich.markup import escape

from digest.life import Moved
from digest.outlook import Upcoming
from digest.show import out


def upcoming(rows: Sequence[Upcoming], zone: str) -> None:
    """A table for each cadence; what all its issues share stands above it."""
    if not rows:
        out.print("No issue falls due by then.")
    for number, (cadence, group) in enumerate(groupby(rows, key=lambda row: row.cadence)):
        lines = list(group)
        if number:
            out.print()
        readers = f"{lines[0].readers} reader{'' if lines[0].readers == 1 else 's'} today"
        rule = "an editor approves" if lines[0].approve_by else "leaves by itself"
        own = " at each reader's own hour" if lines[0].last_due_at > lines[0].due_at else ""
        out.print(f"[bold]{escape(cadence)}[/bold]: {readers}, {rule}{own}; times in {zone}")
        out.print(f"[dim]{'due':<21} {'UTC':>11}  {'draft':<10}  {'approve by':<10}  {'summaries after':<15} has[/dim]")
        for row in lines:
            out.print(_line(row, ZoneInfo(zone)))


def _line(row: Upcoming, zone: ZoneInfo) -> str:
    due = row.due_at.astimezone(zone)
    hour = row.at if row.last_due_at > row.due_at else f"{due:%H:%M}"
    approve = f"{row.approve_by.astimezone(zone):%d %b %H:%M}" if row.approve_by else "-"
    window = f"{row.opens_after.astimezone(zone):%d %b %H:%M}"
    state = f" {row.state.replace('_', ' ')}" if row.state else ""
    # The day of the week tells whether a rule means what its writer meant.
    return (
        f"{row.local_date:%a} {row.local_date} {hour}  {row.due_at:%d %b %H:%M}"
        f" {row.draft_at.astimezone(zone):%d %b %H:%M}  {approve:<12} {window:<14} {row.summaries:>4}{state}"
    )


def history(name: str, moves: Sequence[Moved], zone: str) -> None:
    """One move a line."""
    out.print(f"[bold]{name}[/bold]; times in {zone}")
    for move in moves:
        way = f"{move.old} → {move.new}" if move.old else move.new
        detail = f": {escape(move.detail)}" if move.detail else ""
        out.print(f"{move.at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}  {way.replace('_', ' ')}  [dim]{escape(move.who)}[/dim]{detail}")
    if not moves:
        out.print("Its moves were not recorded: it was drafted by an earlier version.")
