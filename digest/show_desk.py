"""How the desk's data looks on a terminal 80 columns wide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os.path import commonprefix
from zoneinfo import ZoneInfo

from rich.markup import escape

from digest.desk.cautions import Caution
from digest.desk.compare import Approvals, Comparison, IssueFigures
from digest.desk.compare import Difference as Differs
from digest.desk.editions import EditionLine, EditionTable
from digest.desk.edits import Difference, Edited, Told
from digest.desk.impact import Impact, InterestImpact
from digest.desk.pieces import PieceLine
from digest.desk.share import Shared
from digest.edits import Conflict
from digest.show import err, out


def _short(text: str, width: int) -> str:
    return escape(text if len(text) <= width else text[: width - 1] + "…")


def _count(n: int, word: str, many: str | None = None) -> str:
    return f"{n:,} {word if n == 1 else many or word + 's'}"


# --- edits ---------------------------------------------------------------------------------------------------------------


def pieces(now: Edited, rows: Sequence[PieceLine], cautions: Sequence[Caution]) -> None:
    """What holds for an issue, and its pieces in their order."""
    out.print(
        f"[bold]{now.issue}[/bold], version {now.version}" + ("" if now.may_edit else ": it is going out, nothing is edited any more")
    )
    out.print(f"[dim]{'':>3} {'readers':>7}  title, and what was changed[/dim]")
    for row in rows:
        marks = [
            f"pinned{_under(row.pinned)}" if row.pinned is not None else "",
            f"excluded{_under(row.excluded)}" if row.excluded is not None else "",
            "rewritten" if row.rewritten else "",
        ]
        told = ", ".join(filter(None, marks))
        out.print(f"{row.place:>3} {row.readers:>7,}  {_short(row.title, 66 - len(told))}" + (f"  [yellow]{told}[/yellow]" if told else ""))
        out.print(f"[dim]{'':>13}{_short(row.id, 66)}[/dim]")
    own = now.edits
    for name, text in (("subject", own.subject), ("preheader", own.preheader), ("note", own.note)):
        if text:
            out.print(f"{name:>11}  {escape(text)}")
    for interest, text in own.intros.items():
        out.print(f"{'under ' + interest:>11}  {escape(text)}")
    _cautions(cautions)
    if now.undo:
        out.print(f"Last: {escape(now.undo)}")


def _under(interests: Sequence[str]) -> str:
    return f" under {', '.join(interests)}" if interests else ""


def _cautions(cautions: Iterable[Caution]) -> None:
    for one in cautions:
        out.print(f"[yellow]caution:[/yellow] {escape(one.text)}")


def edited(now: Edited, *, approved: bool) -> None:
    """What was done, in one line, and what follows."""
    out.print(f"{now.issue} is at version {now.version}. Last: {escape(now.undo) if now.undo else 'nothing; it is as it was drafted'}")
    if approved:
        out.print(
            f"It had been approved: `digest compare {now.issue} --approved` tells what differs; it is approved anew before it leaves."
        )


def conflict(error: Conflict) -> None:
    """Both texts, on stderr, so that none is lost."""
    if error.mine is not None:
        err.print(f"  theirs  {escape(_value(error.theirs))}")
        err.print(f"  yours   {escape(_value(error.mine.value))}")


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key}: {inner}" for key, inner in value.items() if inner is not None and key != "seq")
    return "as by itself" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def steps(name: str, told: Sequence[Told], zone: str) -> None:
    """One step a line; what was taken back is said so."""
    out.print(f"[bold]{name}[/bold]; times in {zone}")
    for one in told:
        gone = "" if one.holds or one.step.op != "edit" else " [dim](taken back)[/dim]"
        at = one.step.at.astimezone(ZoneInfo(zone))
        out.print(f"{one.step.version:>4}  {at:%m-%d %H:%M}  [dim]{escape(one.step.who)}[/dim] {escape(one.text)}{gone}")
    if not told:
        out.print("Nobody has changed anything.")


def differences(found: Sequence[Difference]) -> None:
    """What differs, target by target."""
    for one in found:
        out.print(f"[bold]{escape(one.target)}[/bold]")
        out.print(f"[red]- {escape(one.old)}[/red]" if one.old else "[dim]- as by itself[/dim]")
        out.print(f"[green]+ {escape(one.new)}[/green]" if one.new else "[dim]+ as by itself[/dim]")
    if not found:
        out.print("Nothing differs.")


# --- editions ------------------------------------------------------------------------------------------------------------


def editions(table: EditionTable, lines: Sequence[EditionLine], most: int) -> None:
    """One edition a line, with its warnings below it."""
    who = "imagined readers, for there are none yet" if table.imagined else _count(table.readers, "reader")
    nothing = f"; nothing for {table.nothing_for:,}" if table.nothing_for else ""
    out.print(f"[bold]{table.issue}[/bold]: {_count(len(lines), 'edition')} for {who}{nothing}")
    out.print(f"[dim]{'edition':<10} {'readers':>8} {'teasers':>7} {'KB':>4}  what it is[/dim]")
    subjects = [one.subject for one in lines if one.subject]
    same = commonprefix(subjects).rfind(" ") + 1 if len(set(subjects)) > 1 else 0  # the newsletter's name tells them not apart
    for one in lines[:most]:
        told = ", ".join(filter(None, (*one.roles, one.name if one.name not in one.roles else "", one.form, one.language)))
        said = _short(told or one.subject[same:], 46)
        out.print(f"{one.id:<10} {one.readers:>8,} {one.teasers:>7} {one.html_bytes / 1024:>4.0f}  {said}")
        for warning in one.warnings:
            out.print(f"{'':>10} [yellow]{escape(warning)}[/yellow]")
    if len(lines) > most:
        out.print(f"and {len(lines) - most:,} more; --all shows them")
    _cautions(table.cautions)


# --- comparing -----------------------------------------------------------------------------------------------------------


def since_approval(name: str, found: Sequence[Differs] | None, standing: Approvals, zone: str) -> None:
    """What differs from what was approved last, and how approval stands."""
    if found is None or standing.last is None:
        out.print(f"{name} has never been approved{' by all it needs' if standing.needed > 1 else ''}.")
    else:
        at = standing.last.at.astimezone(ZoneInfo(zone))
        out.print(f"[bold]{name}[/bold] was approved last by {escape(standing.last.who)} at {at:%Y-%m-%d %H:%M} ({zone})")
        for one in found:
            out.print("  " + escape(one.text).replace("\n", "\n    "))
            for line in one.new.split("\n")[2:42] if one.kind == "template" else ():
                colour = {"+": "green", "-": "red"}.get(line[:1], "dim")
                out.print(f"    [{colour}]{escape(line)}[/{colour}]")
        if not found:
            out.print("  Nothing differs from that.")
    names = f" ({', '.join(escape(one.who) for one in standing.given)})" if standing.given else ""
    out.print(f"As it is now: {len(standing.given)} of {_count(standing.needed, 'approval')}{names}.")


def compared(found: Comparison) -> None:
    """Two issues side by side."""
    here, there = found.issue, found.previous
    names = (here.issue, there.issue if there else "(the first)")
    out.print(f"[bold]{'':<26} {names[0]:>24} {names[1]:>24}[/bold]")
    rows = [("state", "state"), ("pieces", "pieces"), ("readers", "readers"), ("editions", "editions"), ("nothing for", "nothing_for")]
    for label, field in (*rows, ("teasers per email", "mean_teasers"), ("largest email, bytes", "largest_html_bytes")):
        out.print(f"{label:<26} {_of(here, field):>24} {_of(there, field):>24}")
    for interest in dict.fromkeys((*here.pieces_by_interest, *(there.pieces_by_interest if there else ()))):
        counts = [str(one.pieces_by_interest.get(interest, "-")) if one else "" for one in (here, there)]
        out.print(f"  {_short(interest, 24):<24} {counts[0]:>24} {counts[1]:>24}")
    for one in filter(None, (here, there)):
        out.print(f"subject of most readers, {one.issue}:\n  {escape(one.subject)}")


def _of(one: IssueFigures | None, field: str) -> str:
    value = getattr(one, field) if one else ""
    return f"{value:,}" if isinstance(value, int) else str(value)


# --- rules ---------------------------------------------------------------------------------------------------------------


def impact(found: Impact, months: int) -> None:
    """What a changed list would change: interest by interest, then piece by piece."""
    out.print(f"Of the last {months} months {_count(found.pieces, 'piece')}; {_count(found.readers, 'active reader')} with interests.")
    for one in found.interests:
        if one.change != "same" or one.gained or one.lost:
            _interest(one)
    for piece in found.changed:
        out.print(f"  {_short(piece.title, 50):<50} {piece.before:>7,} → {piece.after:<7,} [dim]+{piece.gained:,} -{piece.lost:,}[/dim]")
    out.print(f"{found.gaining:,} readers would have got a piece more, {found.losing:,} one less.")
    if found.choices_lost:
        out.print(f"[yellow]{_count(found.choices_lost, 'choice')} would point to an interest that is gone.[/yellow]")


def _interest(one: InterestImpact) -> None:
    out.print(f"[bold]{escape(one.id)}[/bold] ({one.change}, {_count(one.readers, 'reader')}): {one.before} pieces, then {one.after}")
    for sign, colour, refs in (("+", "green", one.gained), ("-", "red", one.lost)):
        for ref in refs:
            out.print(f"  [{colour}]{sign}[/{colour}] {_short(ref.title, 60)} [dim]{_short(ref.why, 60)}[/dim]")


# --- links ---------------------------------------------------------------------------------------------------------------


def shared(links: Sequence[Shared], zone: str) -> None:
    """Links with their ends."""
    for one in links:
        until = one.expires_at.astimezone(ZoneInfo(zone))
        out.print(
            f"{one.issue}{f', edition {one.edition}' if one.edition else ''}, by {escape(one.who)}, until {until:%Y-%m-%d %H:%M} ({zone})"
        )
        out.print(f"  {one.url}")
        out.print(f"  [dim]take it back: digest share --revoke {one.id}[/dim]")
    if not links:
        out.print("No link works now.")
