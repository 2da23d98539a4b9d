"""An old issue again, from what was frozen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from digest.cli.base import HERE, Folder, Issue, Json, app, count, fail, open_, print_json


@app.command()
def replay(
    name: Issue,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write the messages to, each as DID.eml.")],
    reader: Annotated[
        str | None, typer.Option("--reader", metavar="ADDRESS", help="Only this reader's message; - reads it from stdin.")
    ] = None,
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Make the messages of an old issue again and compare each with what left; exit 1 if one is not the same."""
    import sys

    from digest import audit
    from digest import replay as again

    if reader == "-":
        reader = sys.stdin.readline().strip()
    found = {"same": 0, "changed": 0, "unknown": 0, "unmade": 0}
    with open_(workspace) as opened:
        made = iter([again.one(opened, name, address=reader)]) if reader else again.every(opened, name)
        try:
            output.mkdir(mode=0o700, parents=True, exist_ok=True)
            for message in made:
                if isinstance(message, again.Unmade):
                    found["unmade"] += 1
                    continue
                found[message.likeness] += 1
                (output / f"{message.did}.eml").write_bytes(message.content)
        except OSError as error:
            fail(f"{output} cannot be written: {error.strerror}")
        audit.note(opened, "issue.replay", name, **found)
    if as_json:
        print_json({"issue": name, **found})
    else:
        typer.echo(f"{name}: {count(found['same'], 'message')} byte for byte as they left.")
        if found["unknown"]:
            typer.echo(f"{count(found['unknown'], 'message')} made again; the provider takes no whole messages, so no hash was kept.")
        if found["changed"]:
            typer.echo(
                f"{count(found['changed'], 'message')} not the same: the reader's address or name, or the sender, has changed since."
            )
        if found["unmade"]:
            typer.echo(f"{count(found['unmade'], 'message')} cannot be made: the reader was erased.")
    if found["changed"]:
        raise typer.Exit(1)
