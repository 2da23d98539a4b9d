"""Looking at an issue on the editor's own machine."""

from __future__ import annotations

from typing import Annotated

import typer

from digest.cli.base import HERE, Folder, On, app, open_


@app.command()
def preview(
    which: Annotated[str, typer.Argument(metavar="[ISSUE|CADENCE]", help="An issue or a cadence; without one, all of them.")] = "",
    workspace: Folder = HERE,
    on: On = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where the desk listens; 0 takes any that is free.")] = 8025,
    browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the browser.")] = True,
) -> None:
    """Open the editor's desk in a browser, on this machine alone; it renews as files are saved. Ctrl-C ends it."""
    import asyncio
    import contextlib
    import webbrowser

    from digest.web.desk import preview as desk

    def opened(open_desk: desk.Preview) -> None:
        typer.echo(open_desk.url)
        typer.echo("The address holds a key: whoever has it may do at the desk what you may. Ctrl-C ends it.", err=True)
        if browser:
            webbrowser.open(open_desk.url)

    with open_(workspace, on) as at_work, contextlib.suppress(KeyboardInterrupt):
        asyncio.run(desk.serve(at_work, which, on, port, opened))
