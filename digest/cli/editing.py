"""The editor's desk by commands: changing a draft."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.base import HERE, Commands, Folder, Issue, Json, app, fail, open_, print_json, write_private

if TYPE_CHECKING:
    from digest.desk.edits import Edited
    from digest.workspace import Workspace

edit_app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Change a draft before it leaves: order, pins, exclusions, teasers, a note, subject; each change can be taken back.",
)
app.add_typer(edit_app, name="edit")

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


def text_from(given: str, file: Path | None) -> str:
    """A text as it was typed, or what a file holds."""
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

    text = text_from(words, file)
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

    text = text_from(words, file)
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

    text = text_from("", file)
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

    text = text_from("", file) if file is not None else ""
    with open_(workspace) as opened:
        found = edits.diff(opened, context.obj, text)
    print_json([one.model_dump() for one in found]) if as_json else show_desk.differences(found)
