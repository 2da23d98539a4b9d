"""What all commands share: the app, the options, and how things are opened and printed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from digest.workspace import Workspace


class Commands(TyperGroup):
    """A group whose help tells the whole first sentence of each command; plain help would cut it short."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list of commands."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(1000)) for name, command in found if command and not command.hidden])


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: no frames between a screen reader and the words
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Newsletters that differ for every reader: gather, select, compose, dispatch.",
)
interests_app = typer.Typer(cls=Commands, no_args_is_help=True, rich_markup_mode=None, help="The interest lists: what people can follow.")
subscribers_app = typer.Typer(cls=Commands, no_args_is_help=True, rich_markup_mode=None, help="The people who read the newsletter.")
app.add_typer(interests_app, name="interests")
app.add_typer(subscribers_app, name="subscribers")

Folder = Annotated[
    Path, typer.Option("--workspace", "-w", metavar="DIR", envvar="DIGEST_WORKSPACE", help="The workspace: the folder with config.yaml.")
]


def parse_date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f'"{text}" is not a date; write it as YYYY-MM-DD, e.g. 2026-05-01') from error


On = Annotated[
    date | None, typer.Option("--on", metavar="DATE", parser=parse_date, help="Act as of this date (YYYY-MM-DD) with what is known now.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would happen; change nothing.")]
Cadence = Annotated[str, typer.Argument(help="A cadence of config.yaml, e.g. monthly.")]
Issue = Annotated[str, typer.Argument(help="An issue, e.g. monthly-2026-05-01.")]
HERE = Path(".")
BY: ContextVar[str] = ContextVar("BY", default="")  # who is at work, where --by says so; else the account


def fail(text: str) -> NoReturn:
    """One line on stderr, and exit 1."""
    typer.secho("error: ", fg="red", bold=True, err=True, nl=False)
    typer.echo(text, err=True)
    sys.exit(1)


@contextmanager
def open_(folder: Path, on: date | None = None) -> Iterator[Workspace]:
    """The workspace, for the length of a command. What it writes there is its owner's alone: it is about people's health."""
    os.umask(0o077)
    from digest.workspace import open_workspace

    with open_workspace(folder, on, acting=BY.get()) as workspace:
        yield workspace


def write_private(file: Path, text: str) -> None:
    """Write a file that its owner alone can read, also where it was there before."""
    with private(file) as out:
        out.write(text)


@contextmanager
def private(file: Path) -> Iterator[TextIO]:
    """The same, for what is written bit by bit."""
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8", newline="") as out:
            os.fchmod(out.fileno(), 0o600)
            yield out
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror}")


def print_json(value: Any) -> None:
    """The result for other programs."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def count(n: int, word: str, many: str | None = None) -> str:
    """``1 line``, ``2 lines``."""
    return f"{n} {word}" if n == 1 else f"{n} {many or word + 's'}"


def tell_hooks(workspace: Workspace) -> None:
    """Hand over to webhooks what a command brought about. That it cannot be is no failure of the command: it waits."""
    from digest.hooks import telling

    if why := telling.after_a_step(workspace):
        typer.echo(f"webhooks: not told yet: {why}", err=True)
