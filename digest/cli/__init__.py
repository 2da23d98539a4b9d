"""One command a step: parse, one call, print. Results go to stdout, progress to stderr.

Exit 0 done, 1 failed, 2 wrong usage. Whatever is heavy is imported by the command that needs it.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from digest import __version__
from digest.cli.base import app, fail
from digest.errors import DigestError

# `digest --help` lists the commands in the order in which these are imported.
# isort: off
from digest.cli import steps
from digest.cli import questions
from digest.cli import operating
from digest.cli import people
from digest.cli import feedback
from digest.cli import mailing
# isort: on

__all__ = ["app", "feedback", "mailing", "main", "operating", "people", "questions", "steps"]


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
) -> None:
    pass
