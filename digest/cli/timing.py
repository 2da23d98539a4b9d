"""When issues appear, and how each came to where it is."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import typer

from digest.cli.base import HERE, Folder, Issue, Json, On, app, open_, parse_date, print_json


@app.command()
def calendar(
    workspace: Folder = HERE,
    on: On = None,
    until: Annotated[
        date | None, typer.Option("--until", metavar="DATE", parser=parse_date, help="Up to this date, instead of the next twelve.")
    ] = None,
    as_json: Json = False,
) -> None:
    """The next issues of every cadence: window, hours, deadlines, and what each would have today."""
    from digest import outlook, show_calendar

    with open_(workspace, on) as opened:
        rows = outlook.upcoming(opened, until)
        print_json([row.model_dump(mode="json") for row in rows]) if as_json else show_calendar.upcoming(rows, opened.zone)


@app.command()
def history(name: Issue, workspace: Folder = HERE, as_json: Json = False) -> None:
    """Every move of an issue: when, who, from which state to which."""
    from digest import life, show_calendar

    with open_(workspace) as opened:
        moves = life.history(opened, name)
        print_json([move.model_dump(mode="json") for move in moves]) if as_json else show_calendar.history(name, moves, opened.zone)


@app.command()
def review(name: Issue, workspace: Folder = HERE) -> None:
    """Ask the editors to look at a draft: it is in review, and each gets a letter (editors: in config.yaml)."""
    from digest import schedule

    with open_(workspace) as opened, opened.store.alone():
        told = schedule.ask(opened, name)
    typer.echo(f"{name} is in review; {told or 'nobody was told: see editors: in config.yaml, or they had been before'}.")
