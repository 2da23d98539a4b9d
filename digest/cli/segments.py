"""Saved filters of readers."""

from __future__ import annotations

from typing import Annotated

import typer

from digest.cli.base import HERE, Commands, Folder, Json, app, count, open_, print_json
from digest.cli.people import Following, Newer, OfCadence, OfLanguage, OfSource, OfStatus, Older, filter_of

segments_app = typer.Typer(cls=Commands, no_args_is_help=True, rich_markup_mode=None, help="Saved filters of readers.")
app.add_typer(segments_app, name="segments")

Name = Annotated[str, typer.Argument(help="Its name: small letters, digits, hyphens.")]


@segments_app.command("list")
def segments_list(workspace: Folder = HERE, as_json: Json = False) -> None:
    """The saved filters, and how many readers fit each."""
    from digest.admin import segments

    with open_(workspace) as opened:
        found = [(saved, filter, segments.count(opened, filter)) for saved, filter in segments.every(opened)]
    if as_json:
        print_json([{"name": one.name, "filter": filter.model_dump(mode="json"), "readers": n} for one, filter, n in found])
        return
    for saved, filter, readers in found:
        typer.echo(f"{saved.name}: {count(readers, 'reader')}; {filter.said()}")
    if not found:
        typer.echo("No filter is saved yet; `digest segments save NAME --interest ID` keeps one.")


@segments_app.command("save")
def segments_save(
    name: Name,
    interest: Following = None,
    cadence: OfCadence = "",
    status: OfStatus = "",
    source: OfSource = None,
    language: OfLanguage = None,
    older: Older = None,
    newer: Newer = None,
    workspace: Folder = HERE,
) -> None:
    """Keep a filter under a name; one that had it is replaced."""
    import re

    from digest.admin import segments

    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", name):
        raise typer.BadParameter(f'"{name}" is no name; take small letters, digits and hyphens')
    with open_(workspace) as opened:
        filter = filter_of(opened, None, interest, cadence, status, source, language, older, newer)
        segments.save(opened, name, filter)
        fit = segments.count(opened, filter)
    typer.echo(f"{name}: {count(fit, 'reader')}; {filter.said()}")


@segments_app.command("remove")
def segments_remove(name: Name, workspace: Folder = HERE) -> None:
    """Forget a saved filter; the readers stay as they are."""
    from digest.admin import segments

    with open_(workspace) as opened:
        segments.remove(opened, name)
    typer.echo(f"{name} is forgotten.")
