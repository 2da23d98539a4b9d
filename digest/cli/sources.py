"""Where summaries come from: how each source does, reading one now, trying another and adding it."""

from __future__ import annotations

from typing import Annotated

import typer

from digest.cli.base import HERE, Commands, Folder, Json, On, app, open_, print_json

sources_app = typer.Typer(cls=Commands, no_args_is_help=True, rich_markup_mode=None, help="Where summaries come from, and how each does.")
app.add_typer(sources_app, name="sources")

Name = Annotated[str, typer.Argument(help="A source of config.yaml.")]


@sources_app.command("list")
def sources_list(workspace: Folder = HERE, on: On = None, as_json: Json = False) -> None:
    """How each source does: last read, newest piece, silent for longer than usual, change of markup suspected."""
    from digest import show_sources
    from digest.admin import sources

    with open_(workspace, on) as opened:
        lines = sources.lines(opened)
    print_json([line.model_dump(mode="json") for line in lines]) if as_json else show_sources.sources(lines, opened.zone)


@sources_app.command("show")
def sources_show(name: Name, workspace: Folder = HERE, on: On = None, as_json: Json = False) -> None:
    """One source: its last readings and pieces, and what was refused and why."""
    from digest import show_sources
    from digest.admin import sources

    with open_(workspace, on) as opened:
        found = sources.about(opened, name)
    if not as_json:
        show_sources.about(found, opened.zone)
        return
    print_json(
        {
            **found.line.model_dump(mode="json"),
            "items": [item.model_dump(mode="json") for item in found.items],
            "refusals": [{"ref": ref, "reason": why} for ref, why in found.refused],
            "readings": [{**one._asdict(), "at": one.at.isoformat()} for one in found.readings],
        }
    )


@sources_app.command("fetch")
def sources_fetch(name: Name, workspace: Folder = HERE, on: On = None, as_json: Json = False) -> None:
    """Read one source now; keep what is new or changed."""
    from digest import show
    from digest.admin import sources
    from digest.gather import GatherReport

    with open_(workspace, on) as opened:
        report = GatherReport(sources=(sources.fetch(opened, name),))
    print_json(show.gathered_json(report)) if as_json else show.gathered(report, False)
    if report.sources[0].error:
        raise typer.Exit(1)


@sources_app.command("try")
def sources_try(
    url: Annotated[str, typer.Argument(help="The address of a feed, of a page, or of a page's text.")],
    kind: Annotated[str, typer.Option("--as", metavar="feed|page|text", help="Read it as this; else by what is in it.")] = "",
    item: Annotated[str, typer.Option(metavar="CSS", help="Of a page: one element for each piece; else what seems to be.")] = "",
    title: Annotated[str, typer.Option(metavar="CSS", help="The title within it.")] = "",
    link: Annotated[str, typer.Option(metavar="CSS", help="The link within it.")] = "",
    date: Annotated[str, typer.Option(metavar="CSS", help="The date within it.")] = "",
    takeaway: Annotated[str, typer.Option(metavar="CSS", help="The line for the teaser within it.")] = "",
    with_following: Annotated[bool, typer.Option("--with-following", help="A piece goes on, beside its item, up to the next one.")] = False,
    date_order: Annotated[str, typer.Option(metavar="mdy|dmy", help="How 5/1/2026 is meant; else by what can be read.")] = "",
    add: Annotated[str, typer.Option("--add", metavar="NAME", help="Add it to config.yaml under this name.")] = "",
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """See what an address would give before it is a source; add it."""
    from digest import show_sources
    from digest.admin import source_trial, sourcefile
    from digest.sources.layout import Layout

    if kind not in ("", "feed", "page", "text"):
        raise typer.BadParameter(f'--as takes feed, page or text, not "{kind}"')
    if date_order not in ("", "mdy", "dmy"):
        raise typer.BadParameter(f'--date-order takes mdy or dmy, not "{date_order}"')
    if (title or link or date or takeaway) and not item:
        raise typer.BadParameter("name the element of each piece too: --item CSS")
    layout = None
    if item:
        layout = Layout(item=item, title=title, link=link, date=date, takeaway=takeaway, with_following=with_following)
    with open_(workspace) as opened:
        seen = sourcefile.mark(sourcefile.read(opened.path))
        page = source_trial.get(opened, url)
        found = source_trial.look(
            opened,
            page,
            kind=kind or ("page" if item else None),  # type: ignore[arg-type]
            layout=layout,
            name=add,
            date_order=date_order or None,  # type: ignore[arg-type]
        )
        if add:
            source_trial.add(opened, found, seen)
    text = sourcefile.shown(found.entry) if found.source is not None else ""
    print_json(show_sources.tried_json(found, bool(add))) if as_json else show_sources.tried(found, "" if add else text, opened.zone)
    if add and not as_json:
        typer.echo(f"Added {add} to config.yaml; `digest sources fetch {add}` reads it now.")
    if found.problem:
        raise typer.Exit(1)
