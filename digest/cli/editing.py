"""The editor's desk by commands: changing a draft, looking at its editions, comparing, sharing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.base import HERE, Commands, Folder, Issue, Json, On, app, fail, interests_app, open_, print_json, write_private

if TYPE_CHECKING:
    from digest.desk.edits import Edited
    from digest.workspace import Workspace

edit_app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Change a draft before it leaves: order, pins, exclusions, teasers, a note, subject; each change can be taken back.",
)
edition_app = typer.Typer(
    cls=Commands, no_args_is_help=True, rich_markup_mode=None, help="See every distinct edition of an issue, or one reader's."
)
app.add_typer(edit_app, name="edit")
app.add_typer(edition_app, name="edition")

Piece = Annotated[str, typer.Argument(help="A piece: its id, DOI, link or file name; `list` shows them.")]
Under = Annotated[list[str] | None, typer.Option("--interest", metavar="ID", help="Only for this interest; may be given several times.")]
Seen = Annotated[
    int | None, typer.Option("--seen", metavar="N", help="The version you looked at: refused if somebody changed the same since.")
]
Words = Annotated[str, typer.Argument(help="Without it, as by itself.")]
From = Annotated[Path | None, typer.Option("--file", metavar="FILE", help="Take the text from a file; - is stdin.")]


@edit_app.callback()
def _edit(context: typer.Context, name: Issue) -> None:
    context.obj = name


@edition_app.callback()
def _edition(context: typer.Context, name: Issue) -> None:
    context.obj = name


def _text(given: str, file: Path | None) -> str:
    if file is None:
        return given
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file} cannot be read: {error}")


def _do(context: typer.Context, workspace: Path, as_json: bool, step: Callable[[Workspace, str], Edited]) -> None:
    """Take one step and say what holds; where somebody was faster, show both texts."""
    from digest import issue, show_desk
    from digest.edits import Conflict
    from digest.model import IssueState

    with open_(workspace) as opened:
        try:
            now = step(opened, context.obj)
        except Conflict as error:
            typer.secho("error: ", fg="red", bold=True, err=True, nl=False)
            typer.echo(str(error), err=True)
            show_desk.conflict(error)
            raise typer.Exit(1) from error
        with opened.store.read() as tx:
            approved = issue.find(tx, now.issue).state is IssueState.APPROVED
    print_json(now.model_dump(mode="json")) if as_json else show_desk.edited(now, approved=approved)


@edit_app.command("list")
def edit_list(context: typer.Context, workspace: Folder = HERE, as_json: Json = False) -> None:
    """The pieces in their order with what was changed, and who would get each."""
    from digest import show_desk
    from digest.desk import edits
    from digest.desk.editions import Editions
    from digest.desk.pieces import pieces

    with open_(workspace) as opened:
        kept = Editions()
        table = kept.table(opened, context.obj)
        rows = pieces(opened, kept.ready(opened, context.obj), table.readers_of, table.left_out)
        now = edits.edited(opened, context.obj)
    if as_json:
        told = {"pieces": [row.model_dump(mode="json") for row in rows], "cautions": [one.model_dump() for one in table.cautions]}
        print_json({**now.model_dump(mode="json"), **told})
        return
    show_desk.pieces(now, rows, table.cautions)


@edit_app.command("log")
def edit_log(context: typer.Context, workspace: Folder = HERE, as_json: Json = False) -> None:
    """Every step: when, who, what, and whether it holds."""
    from digest import show_desk
    from digest.desk import edits

    with open_(workspace) as opened:
        told = edits.steps(opened, context.obj)
        print_json([one.model_dump(mode="json") for one in told]) if as_json else show_desk.steps(context.obj, told, opened.zone)


@edit_app.command()
def pin(
    context: typer.Context, piece: Piece, interest: Under = None, seen: Seen = None, workspace: Folder = HERE, as_json: Json = False
) -> None:
    """Let a piece stand first and never fall out for length; with --interest: let that interest take it for this issue."""
    from digest.desk import edits

    _do(context, workspace, as_json, lambda opened, name: edits.pin(opened, name, piece, tuple(interest or ()), seen=seen))


@edit_app.command()
def unpin(context: typer.Context, piece: Piece, seen: Seen = None, workspace: Folder = HERE, as_json: Json = False) -> None:
    """Take a pin back."""
    from digest.desk import edits

    _do(context, workspace, as_json, lambda opened, name: edits.unpin(opened, name, piece, seen=seen))


@edit_app.command()
def exclude(
    context: typer.Context, piece: Piece, interest: Under = None, seen: Seen = None, workspace: Folder = HERE, as_json: Json = False
) -> None:
    """Leave a piece out of this issue for good; with --interest: only from under that one."""
    from digest.desk import edits

    _do(context, workspace, as_json, lambda opened, name: edits.exclude(opened, name, piece, tuple(interest or ()), seen=seen))


@edit_app.command()
def include(context: typer.Context, piece: Piece, seen: Seen = None, workspace: Folder = HERE, as_json: Json = False) -> None:
    """Take an exclusion back."""
    from digest.desk import edits

    _do(context, workspace, as_json, lambda opened, name: edits.include(opened, name, piece, seen=seen))


@edit_app.command()
def move(
    context: typer.Context,
    piece: Piece,
    before: Annotated[str, typer.Option(metavar="PIECE", help="Put it before this one.")] = "",
    after: Annotated[str, typer.Option(metavar="PIECE", help="Put it after this one.")] = "",
    to: Annotated[int, typer.Option(metavar="PLACE", help="Put it in this place: 1 is the first, -1 the last.")] = 0,
    seen: Seen = None,
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Put a piece in another place."""
    from digest.desk import edits

    _do(context, workspace, as_json, lambda opened, name: edits.move(opened, name, piece, before=before, after=after, to=to, seen=seen))


@edit_app.command()
def order(
    context: typer.Context,
    pieces: Annotated[list[str] | None, typer.Argument(help="Pieces in their order; without any, as by itself.")] = None,
    seen: Seen = None,
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Put the pieces in an order; those that are not named come after."""
    from digest.desk import edits

    _do(context, workspace, as_json, lambda opened, name: edits.reorder(opened, name, pieces or (), seen=seen))


@edit_app.command()
def title(
    context: typer.Context,
    piece: Piece,
    words: Words = "",
    seen: Seen = None,
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Retitle a piece for this issue; who gets it stays as it is."""
    from digest.desk import edits

    _do(context, workspace, as_json, lambda opened, name: edits.teaser(opened, name, piece, title=words or None, seen=seen))


@edit_app.command()
def teaser(
    context: typer.Context,
    piece: Piece,
    words: Words = "",
    seen: Seen = None,
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Rewrite a piece's takeaway for this issue; its limits and evidence stay the source's."""
    from digest.desk import edits

    _do(context, workspace, as_json, lambda opened, name: edits.teaser(opened, name, piece, takeaway=words or None, seen=seen))


@edit_app.command()
def note(
    context: typer.Context,
    words: Words = "",
    file: From = None,
    seen: Seen = None,
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Put a note on top of every email, in Markdown."""
    from digest.desk import edits

    text = _text(words, file)
    _do(context, workspace, as_json, lambda opened, name: edits.note(opened, name, text, seen=seen))


@edit_app.command()
def subject(context: typer.Context, words: Words = "", seen: Seen = None, workspace: Folder = HERE, as_json: Json = False) -> None:
    """Give every email with teasers this subject."""
    from digest.desk import edits

    _do(context, workspace, as_json, lambda opened, name: edits.subject(opened, name, words, seen=seen))


@edit_app.command()
def preheader(context: typer.Context, words: Words = "", seen: Seen = None, workspace: Folder = HERE, as_json: Json = False) -> None:
    """Give every email with teasers this preheader."""
    from digest.desk import edits

    _do(context, workspace, as_json, lambda opened, name: edits.preheader(opened, name, words, seen=seen))


@edit_app.command()
def intro(
    context: typer.Context,
    interest: Annotated[str, typer.Argument(help="An interest's id.")],
    words: Words = "",
    file: From = None,
    seen: Seen = None,
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Put words under an interest's heading, in Markdown."""
    from digest.desk import edits

    text = _text(words, file)
    _do(context, workspace, as_json, lambda opened, name: edits.intro(opened, name, interest, text, seen=seen))


@edit_app.command()
def undo(context: typer.Context, seen: Seen = None, workspace: Folder = HERE, as_json: Json = False) -> None:
    """Take the last step back, whoever made it."""
    from digest.desk import edits

    _do(context, workspace, as_json, lambda opened, name: edits.undo(opened, name, seen=seen))


@edit_app.command()
def redo(context: typer.Context, seen: Seen = None, workspace: Folder = HERE, as_json: Json = False) -> None:
    """Do again what was taken back last."""
    from digest.desk import edits

    _do(context, workspace, as_json, lambda opened, name: edits.redo(opened, name, seen=seen))


@edit_app.command("export")
def edit_export(
    context: typer.Context,
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Write it there, instead of printing it.")] = None,
    workspace: Folder = HERE,
) -> None:
    """What holds, as YAML."""
    from digest.desk import edits

    with open_(workspace) as opened:
        text = edits.export(opened, context.obj)
    typer.echo(text, nl=False) if to is None else write_private(to, text)


@edit_app.command("import")
def edit_import(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="As `export` writes it; - is stdin.")],
    seen: Seen = None,
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Make what holds equal to a YAML file, in one step."""
    from digest.desk import edits

    text = _text("", file)
    _do(context, workspace, as_json, lambda opened, name: edits.import_(opened, name, text, seen=seen))


@edit_app.command("diff")
def edit_diff(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="What importing it would change; without it, all edits.")] = None,
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """What differs from an issue that nobody edited, or would from what holds."""
    from digest import show_desk
    from digest.desk import edits

    text = _text("", file) if file is not None else ""
    with open_(workspace) as opened:
        found = edits.diff(opened, context.obj, text)
    print_json([one.model_dump() for one in found]) if as_json else show_desk.differences(found)


# --- editions ------------------------------------------------------------------------------------------------------------


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
    edition: Annotated[str, typer.Option("--edition", metavar="WHICH", help="largest, smallest, most-readers, or an id of `list`.")] = "",
    reader: Annotated[str, typer.Option("--as", metavar="ADDRESS", help="This reader's.")] = "",
    interests: Annotated[str, typer.Option("--interests", metavar="A,B", help="Of somebody who follows these, in this order.")] = "",
    to: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write HTML, text and .eml there, instead of printing.")] = None,
    form: Annotated[str, typer.Option(metavar="text|html|eml", help="What to print.")] = "text",
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """One edition as it would leave, with links of nobody's."""
    from digest.desk import editions

    if sum(map(bool, (edition, reader, interests))) > 1:
        raise typer.BadParameter("--edition, --as and --interests exclude each other")
    if form not in ("text", "html", "eml"):
        raise typer.BadParameter(f'"{form}" is none of text, html, eml')
    with open_(workspace) as opened:
        kept, name = editions.Editions(), context.obj
        ready = kept.ready(opened, name)
        if reader:
            looked = editions.of_reader(opened, ready, reader)
        elif interests:
            looked = editions.of_imagined(ready, [one.strip() for one in interests.split(",") if one.strip()])
        else:
            looked = kept.find(opened, name, edition or "imagined-reader")
        shown = editions.page(opened, ready, looked)
        files = editions.write(shown, to) if to is not None else ()
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
        found = impact.impact_of_text(opened, _text("", file), months)
    print_json(found.model_dump(mode="json")) if as_json else show_desk.impact(found, months)
