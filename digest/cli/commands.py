"""All commands, and running one of them."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from digest import __version__
from digest.cli import WIDTH
from digest.cli.base import BY, app, fail
from digest.errors import DigestError

# `digest --help` lists the commands in the order in which these are imported.
# isort: off
from digest.cli import steps
from digest.cli import questions
from digest.cli import timing
from digest.cli import previewing
from digest.cli import looking
from digest.cli import editing
from digest.cli import editions
from digest.cli import operating
from digest.cli import replaying
from digest.cli import people
from digest.cli import lists
from digest.cli import segments
from digest.cli import sources
from digest.cli import reports
from digest.cli import feedback
from digest.cli import storing
from digest.cli import care
from digest.cli import mailing
from digest.cli import accounts
from digest.cli import keys
from digest.cli import auditing
from digest.cli import hooking
# isort: on

__all__ = [
    "accounts",
    "app",
    "auditing",
    "care",
    "editing",
    "editions",
    "feedback",
    "help_text",
    "hooking",
    "keys",
    "lists",
    "looking",
    "mailing",
    "main",
    "operating",
    "replaying",
    "people",
    "previewing",
    "questions",
    "reports",
    "segments",
    "sources",
    "steps",
    "storing",
    "timing",
]


def main() -> None:
    """Run the command line; a ``DigestError`` is one line on stderr and exit 1."""
    try:
        app()
    except DigestError as error:
        fail(str(error))
    except BrokenPipeError:  # e.g. `digest subscribers export | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"digest {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")] = False,
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who is at work, for the records; else the account.")] = "",
) -> None:
    if by:
        if len(by) > 40 or not by.isprintable() or "@" in by or not by.strip():
            raise typer.BadParameter("--by takes a name of at most 40 characters, no address")
    BY.set(by.strip())


def help_text() -> str:
    """What ``digest --help`` prints at 80 columns or more; ``digest/cli/help.txt`` holds it (`make help-text`)."""
    command = typer.main.get_command(app)
    with command.make_context("digest", [], resilient_parsing=True, terminal_width=WIDTH - 2) as context:
        return context.get_help() + "\n"
