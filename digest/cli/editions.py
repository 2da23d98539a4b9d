"""The editor's desk by commands: every edition, comparing, sharing, what a rule would change."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from digest.cli.base import HERE, Commands, Folder, Issue, Json, On, app, interests_app, open_, print_json
from digest.cli.editing import text_from

edition_app = typer.Typer(
    cls=Commands, no_args_is_help=True, rich_markup_mode=None, help="See every distinct edition of an issue, or one reader's."
)
app.add_typer(edition_app, name="edition")


@edition_app.callback()
def _edition(context: typer.Context, name: Issue) -> None:
    context.obj = name


@edition_app.command("list")
def edition_list(
    context: typer.Context,
    sort: Annotated[str, typer.Option(metavar="readers|largest|smallest|warnings", help="Which come first.")] = "readers",
    every: Annotated[bool, typer.Option("--all", help="All of them, instead of the first 20.")] = False,
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Every distinct edition: readers, teasers, size, warnings; and what to know of the draft."""
    from typing import get_args

    from digest import show_desk
    from digest.desk.editions import Editions, Sort

    orders = get_args(Sort)
    if sort not in orders:
        raise typer.BadParameter(f'"{sort}" is none of {", ".join(orders)}')
    with open_(workspace) as opened:
        table = Editions().table(opened, context.obj)
    lines = table.sorted(next(one for one in orders if one == sort))
    if as_json:
        print_json({**table.model_dump(mode="json", exclude={"lines"}), "lines": [one.model_dump(mode="json") for one in lines]})
        return
    show_desk.editions(table, lines, len(lines) if every else 20)


@edition_app.command("show")
def edition_show(
    context: typer.Context,
    edition: Annotated[str, typer.Option("--edition", metavar="WHICH", help="A role, an id of `list`, or imagined:gut+diet;large.")] = "",
    reader: Annotated[str, typer.Option("--as", metavar="ADDRESS", help="This reader's.")] = "",
    interests: Annotated[str, typer.Option("--interests", metavar="A,B", help="Of somebody who follows these, in this order.")] = "",
    to: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write HTML, text and .eml there, instead of printing.")] = None,
    form: Annotated[str, typer.Option(metavar="text|html|eml", help="What to print.")] = "text",
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """One edition as it would leave, with links of nobody's."""
    from digest.desk import editions, looking

    if sum(map(bool, (edition, reader, interests))) > 1:
        raise typer.BadParameter("--edition, --as and --interests exclude each other")
    if form not in ("text", "html", "eml"):
        raise typer.BadParameter(f'"{form}" is none of text, html, eml')
    with open_(workspace) as opened:
        kept, name = editions.Editions(), context.obj
        ready = kept.ready(opened, name)
        if reader:
            looked = looking.of_reader(opened, ready, reader)
        elif interests:
            looked = looking.of_imagined(ready, [one.strip() for one in interests.split(",") if one.strip()])
        elif edition.startswith(f"{looking.IMAGINED}:"):
            looked = looking.find(opened, ready, edition)
        else:
            looked = kept.find(opened, name, edition or "imagined-reader")
        shown = looking.page(opened, ready, looked)
        files = looking.write(shown, to) if to is not None else ()
    if as_json:
        told = {"issue": name, "edition": looked.name, "readers": looked.readers, "subject": shown.subject, "preheader": shown.preheader}
        bodies = {} if to else {"html": shown.html, "text": shown.text, "eml": shown.eml.decode("ascii", "replace")}
        print_json({**told, **bodies, "files": [str(file) for file in files]})
    elif to is not None:
        for file in files:
            typer.echo(str(file))
    elif form == "text":
        typer.echo(f"Subject:   {shown.subject}\nPreheader: {shown.preheader}\n\n{shown.text}")
    else:
        typer.echo(shown.html if form == "html" else shown.eml.decode("ascii", "replace"))


# --- comparing, sharing, asking ------------------------------------------------------------------------------------------


@app.command()
def compare(
    name: Issue,
    other: Annotated[str, typer.Argument(help="Another issue; without it, the one before.")] = "",
    approved: Annotated[bool, typer.Option("--approved", help="With what was approved last, instead.")] = False,
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Set an issue beside the one before it, or beside what was approved of it last."""
    from digest import review, show_desk
    from digest.desk import compare

    if approved and other:
        raise typer.BadParameter("--approved looks at one issue alone")
    with open_(workspace) as opened:
        ready = review.ready(opened, name)
        if not approved:
            found = compare.with_previous(opened, ready, other)
            print_json(found.model_dump(mode="json")) if as_json else show_desk.compared(found)
            return
        standing, differing = compare.approvals(opened, ready), compare.since_approval(opened, ready)
        if as_json:
            listed = None if differing is None else [one.model_dump() for one in differing]
            print_json({"issue": name, **standing.model_dump(mode="json"), "differences": listed})
            return
        show_desk.since_approval(name, differing, standing, opened.zone)


@app.command()
def share(
    name: Annotated[str | None, typer.Argument(help="An issue, e.g. monthly-2026-05-01.")] = None,
    edition: Annotated[str, typer.Option("--edition", metavar="WHICH", help="Show this edition alone.")] = "",
    days: Annotated[int, typer.Option(min=1, max=60, help="How long the link works.")] = 7,
    listed: Annotated[bool, typer.Option("--list", help="Show the links that work.")] = False,
    revoke: Annotated[str, typer.Option("--revoke", metavar="ID", help="Take a link back.")] = "",
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Make a link that shows a draft, read-only, to somebody without an account; take it back."""
    from digest import show_desk
    from digest.desk import share

    with open_(workspace) as opened:
        if revoke:
            share.revoke(opened, revoke)
            typer.echo("Taken back: the link shows nothing any more.")
            return
        if name is None and not listed:
            raise typer.BadParameter("name an issue, or ask for --list")
        links = share.every(opened, name or "") if listed else (share.make(opened, name or "", days=days, edition=edition),)
        print_json([one.model_dump(mode="json") for one in links]) if as_json else show_desk.shared(links, opened.zone)


@interests_app.command("impact")
def interests_impact(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An edited interests.yaml; - is stdin.")],
    months: Annotated[int, typer.Option(min=1, max=120, help="Look at the pieces of so many months.")] = 12,
    workspace: Folder = HERE,
    on: On = None,
    as_json: Json = False,
) -> None:
    """What an edited list would change: pieces and readers gained or lost by each interest."""
    from digest import show_desk
    from digest.desk import impact

    with open_(workspace, on) as opened:
        found = impact.impact_of_text(opened, text_from("", file), months)
    print_json(found.model_dump(mode="json")) if as_json else show_desk.impact(found, months)
