"""Looking at an issue before it leaves: checks and pictures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.base import HERE, Folder, Issue, Json, app, count, open_, print_json

if TYPE_CHECKING:
    from digest.review import Report


@app.command()
def lint(
    name: Annotated[str | None, typer.Argument(help="An issue, e.g. monthly-2026-05-01.")] = None,
    workspace: Folder = HERE,
    as_json: Json = False,
    sarif: Annotated[bool, typer.Option("--sarif", help="Print SARIF 2.1.0, which code hosts show.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Every distinct edition, not only the usual ones.")] = False,
    fetch: Annotated[bool, typer.Option("--fetch", help="Ask each linked address once whether it answers.")] = False,
    spelling: Annotated[bool, typer.Option("--spelling", help="Look words up in hunspell or aspell.")] = False,
    spam: Annotated[bool, typer.Option("--spam/--no-spam", help="Ask SpamAssassin where it is installed; takes seconds.")] = True,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 on warnings that nobody accepted, too.")] = False,
    advice: Annotated[bool, typer.Option("--advice", help="Show advice too, which is only counted else.")] = False,
    accept: Annotated[
        str | None, typer.Option("--accept", metavar="RULE", help="Let this rule's warnings pass; goes with --because.")
    ] = None,
    because: Annotated[str, typer.Option("--because", metavar="WORDS", help="Why they may pass; recorded.")] = "",
    rules: Annotated[bool, typer.Option("--rules", help="List all rules instead.")] = False,
) -> None:
    """Check an issue before it leaves: links, contrast, headings, size, headers; exit 1 on errors."""
    from digest import review

    if rules:
        from digest.lint.page import markdown

        listed = [{"id": r.id, "level": r.level, "reason": r.reason, "source": r.source, "example": r.example} for r in review.ALL_RULES]
        print_json(listed) if as_json else typer.echo(markdown(review.ALL_RULES))
        return
    if name is None:
        raise typer.BadParameter("name an issue, e.g. monthly-2026-05-01, or ask for --rules")
    with open_(workspace) as opened:
        report = review.check(opened, name, every=every, fetch=fetch, spelling=spelling, spam=spam)
        if accept is not None:
            passed = review.accept(opened, report, accept, because)
            typer.echo(f"Let {count(passed, 'warning')} of {accept} pass in {name}: {because.strip()}", err=as_json or sarif)
            report = review.recalled(opened, report)
    if sarif:
        from digest import __version__
        from digest.lint import sarif as form

        print_json(form.log(name, report.findings, review.ALL_RULES, __version__))
    elif as_json:
        print_json(review.as_json(report))
    else:
        _show(report, advice)
    from digest.lint.rule import Level

    if report.count(Level.ERROR) or (strict and report.count(Level.WARNING)):
        raise typer.Exit(1)


def _show(report: Report, advice: bool) -> None:
    from digest.lint.rule import Level

    for finding in report.findings:
        if finding.accepted or (finding.level is Level.ADVICE and not advice):
            continue
        places = f' in "{finding.place}"' if finding.place else ""
        shown = f" [{'; '.join(finding.editions[:2])}{'; …' if len(finding.editions) > 2 else ''}]" if finding.editions else ""
        typer.echo(f"{finding.level.value}: {finding.rule}: {finding.text}{places}{shown}")
    for rule, why in report.skipped:
        typer.echo(f"not checked: {rule}: {why}")
    tally = [count(report.count(Level.ERROR), "error"), count(report.count(Level.WARNING), "warning")]
    passed = report.count(Level.WARNING, accepted=True)
    tally += [f"{passed} accepted"] if passed else []
    hint = "" if advice or not report.count(Level.ADVICE) else " (--advice shows it)"
    told = f"{count(report.count(Level.ADVICE), 'piece')} of advice{hint}"
    typer.echo(f"{report.issue}: {', '.join(tally)}, {told}; {count(len(report.editions), 'edition')} looked at.")


_ASKED = "largest, smallest, most-readers, imagined-reader, the id of an edition, or somebody imagined: imagined:gut+diet;large."


@app.command()
def screenshot(
    name: Issue,
    edition: Annotated[str, typer.Option("--edition", metavar="WHICH", help=_ASKED)] = "imagined-reader",
    reader: Annotated[str, typer.Option("--as", metavar="ADDRESS", help="This reader's edition, instead.")] = "",
    width: Annotated[list[int] | None, typer.Option(metavar="PX", min=200, max=3000, help="May be given several times; else all.")] = None,
    scheme: Annotated[list[str] | None, typer.Option(metavar="light|dark|forced", help="forced: recoloured by the program.")] = None,
    simulate: Annotated[str | None, typer.Option(metavar="gmail|gmail-bare|outlook", help="As this program would change it.")] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="A PDF too.")] = False,
    to: Annotated[Path | None, typer.Option("--to", metavar="DIR", help="Where to write; var/screenshots/ISSUE unless given.")] = None,
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Take pictures of an edition at 320, 375, 600 and 1200 px, light and dark, with the system's Chromium."""
    from digest import review, screenshot
    from digest.desk import looking
    from digest.lint import simulate as programs

    schemes = tuple(scheme or ("light", "dark"))
    if unknown := [one for one in schemes if one not in screenshot.SCHEMES]:
        raise typer.BadParameter(f'"{unknown[0]}" is none of light, dark, forced')
    if simulate is not None and simulate not in programs.PROGRAMS:
        raise typer.BadParameter(f'"{simulate}" is none of {", ".join(programs.PROGRAMS)}')
    with open_(workspace) as opened:
        now = review.ready(opened, name)
        looked = looking.find(opened, now, edition, reader)
        html = review.letters(opened, now, [looked])[0].html
    if simulate is not None:
        html = programs.simulate(html, simulate).marked
    folder = to or workspace / "var" / "screenshots" / name
    stem = f"{review.selection_id(looked.selection)}{'-' + simulate if simulate else ''}"
    widths = tuple(width or screenshot.WIDTHS)
    files = screenshot.write(html, folder, stem, widths=widths, schemes=schemes, pdf=pdf)
    if as_json:
        print_json({"issue": name, "edition": looked.name, "files": [str(file) for file in files]})
        return
    for file in files:
        typer.echo(os.fspath(file))
