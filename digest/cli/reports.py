"""Reports: how the list, the issues, the interests and the sources do."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from digest.cli.base import HERE, Folder, Json, On, app, open_, parse_date, print_json, write_private


@app.command()
def report(
    name: Annotated[str, typer.Argument(help="readers, interests, joins, deliveries, domains, pieces or sources.")],
    since: Annotated[
        date | None, typer.Option("--since", metavar="DATE", parser=parse_date, help="From the month of this date; else the last twelve.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV, safe to open in a spreadsheet.")] = False,
    as_svg: Annotated[bool, typer.Option("--svg", help="As a picture.")] = False,
    as_html: Annotated[bool, typer.Option("--html", help="As a page with picture and table.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file, readable by you alone; else to stdout.")
    ] = None,
    workspace: Folder = HERE,
    on: On = None,
    as_json: Json = False,
) -> None:
    """How the list, the issues, the interests and the sources do; nobody is followed about."""
    from digest import show_lists
    from digest.admin import reports

    if as_csv + as_svg + as_html + as_json > 1:
        raise typer.BadParameter("choose one of --csv, --svg, --html, --json")
    with open_(workspace, on) as opened:
        found = reports.report(opened, name, since)
        language = opened.config.newsletter.language
    if as_json:
        print_json(found.model_dump(mode="json", exclude={"picture"}))
    elif as_csv or as_svg or as_html:
        text = reports.as_csv(found) if as_csv else reports.as_svg(found) if as_svg else reports.as_page(found, language)
        typer.echo(text, nl=False) if output is None else write_private(output, text)
    else:
        show_lists.report(found)
