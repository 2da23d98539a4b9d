"""How sources look on a terminal: how each does, what one gave, what another would."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from rich.markup import escape

from digest.show import new_table, out, plural

if TYPE_CHECKING:
    from digest.admin.source_trial import Tried
    from digest.admin.sources import About, Line

_LISTED = 30


def day(at: datetime, zone: str) -> str:
    """A date as the newsletter counts it: what appeared at its midnight is of that day."""
    return f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d}"


def sources(lines: Sequence[Line], zone: str) -> None:
    """One line a source, and below what there is to do."""
    if not lines:
        out.print("There is no source in config.yaml yet; `digest sources try URL --add NAME` adds one.")
        return
    table = new_table("source", "kind", "last read (UTC)", "pieces", "newest", "silent", "health", numbers=("pieces", "silent"))
    for line in lines:
        read = f"{line.read_at:%Y-%m-%d %H:%M}" if line.read_at else "never"
        newest = day(line.published_at, zone) if line.published_at else ""
        silent = "" if line.silent_days is None else f"{line.silent_days} d"
        word = "well" if line.well else "[yellow]look[/yellow]"
        table.add_row(line.name, line.kind, read, str(line.pieces), newest, silent, word)
    out.print(table)
    for line in lines:
        _signs(line)


def _signs(line: Line) -> None:
    for sign in line.signs:
        out.print(f"[yellow]{line.name}[/yellow]: {escape(sign.text)}\n  {escape(sign.advice)}")


def about(found: About, zone: str) -> None:
    """One source at length."""
    line = found.line
    out.print(f"[bold]{line.name}[/bold] ({line.kind}) {escape(line.place)}")
    read = f"{line.read_at:%Y-%m-%d %H:%M} UTC: {line.result}" if line.read_at else "never"
    out.print(f"last read {read}; {plural(line.pieces, 'piece')} in all")
    if line.silent_days is not None:
        usual = "" if line.usual_days is None else f"; usually {line.usual_days:g} between pieces, unusual from {line.limit_days:g} on"
        out.print(f"days since its newest piece: {line.silent_days}{usual}")
    _signs(line)
    if found.items:
        out.print("\nlast pieces")
        for item in found.items:
            out.print(f"  {day(item.published_at, zone)}  {escape(item.title)}")
    if found.refused:
        out.print("\nrefused the last time")
        for ref, why in found.refused:
            out.print(f"  {escape(ref)}: {escape(why)}")
    if found.readings:
        out.print()
        table = new_table(
            "read (UTC)", "by", "taken", "new", "changed", "refused", "result", numbers=("taken", "new", "changed", "refused")
        )
        for one in found.readings:
            counts = [str(n) for n in (one.taken, one.new, one.changed, one.refused)] if one.result == "read" else [""] * 4
            table.add_row(f"{one.at:%Y-%m-%d %H:%M}", escape(one.who), *counts, escape(one.result + (f": {one.said}" if one.said else "")))
        out.print(table)


def tried(found: Tried, text: str, zone: str) -> None:
    """What would be gathered, and the lines to add."""
    said = {"feed": "a feed", "page": "a web page", "text": "plain text: the saved text of a page", "json": "an API"}[found.kind]
    out.print(f"{escape(found.page.url.partition('?')[0])} is {said}.")
    for feed in found.feeds:
        out.print(f"[yellow]It names a feed, which is safer than its markup:[/yellow] digest sources try '{escape(feed.url)}'")
    if len(found.proposals) > 1:
        out.print("Repeated on it:")
        for one in found.proposals:
            chosen = "*" if one.layout == found.layout else " "
            out.print(f" {chosen} --item '{escape(one.layout.item)}': {one.complete} of {one.pieces} whole, e.g. “{escape(one.sample)}”")
    if found.problem:
        out.print(f"[yellow]{escape(found.problem)}[/yellow]")
    if found.source is not None:
        out.print(f"Would gather {plural(len(found.harvest.summaries), 'piece')}, and refuse {len(found.harvest.refused)}:")
    for piece in found.harvest.summaries[:_LISTED]:
        out.print(f"  {day(piece.published_at, zone)}  {escape(piece.title)}")
        if piece.takeaway:
            out.print(f"              [dim]{escape(piece.takeaway)}[/dim]")
    if len(found.harvest.summaries) > _LISTED:
        out.print(f"  and {len(found.harvest.summaries) - _LISTED} more (--json has all)")
    for refusal in found.harvest.refused[:_LISTED]:
        out.print(f"  [yellow]refused[/yellow] {escape(refusal.ref)}: {escape(refusal.reason)}")
    if found.kind == "text":
        out.print("A full summary in a text is dated by when it is saved; set published: in config.yaml to date it.")
    if found.harvest.warning:
        out.print(f"[yellow]{escape(found.harvest.warning)}[/yellow]")
    if text:
        out.print(f"\nIn config.yaml:\n\nsources:\n{escape(text)}")


def tried_json(found: Tried, added: bool) -> dict[str, Any]:
    """The documented JSON of ``digest sources try``."""
    return {
        "url": found.page.url,
        "kind": found.kind,
        "feeds": [feed._asdict() for feed in found.feeds],
        "proposals": [one.model_dump(mode="json") for one in found.proposals],
        "source": found.entry or None,
        "gathered": [
            piece.model_dump(mode="json", include={"title", "published_at", "url", "takeaway"}) for piece in found.harvest.summaries
        ],
        "refused": [refusal.model_dump() for refusal in found.harvest.refused],
        "warning": found.harvest.warning or None,
        "problem": found.problem or None,
        "added": added,
    }
