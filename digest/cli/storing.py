"""The database itself: moving it."""

from __future__ import annotations

from typing import Annotated

import typer

from digest.cli.base import HERE, Folder, Json, app, count, print_json


@app.command("migrate-store")
def migrate_store(
    source: Annotated[str, typer.Argument(metavar="SRC", help="Where it is, e.g. sqlite:///var/digest.db")],
    target: Annotated[str, typer.Argument(metavar="DST", help="An empty database, e.g. postgresql://digest@db.example.org/digest")],
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Move the workspace's database to another one, in one transaction, checked by counts and hashes; the old one stays as it is."""
    import os

    os.umask(0o077)
    from digest.workspace import move_store

    moved = move_store(workspace, source, target)
    if as_json:
        print_json([table._asdict() for table in moved])
        return
    for table in moved:
        typer.echo(f"{table.table:<20} {table.rows:>10}  {table.sha256[:16]}")
    typer.echo(f"Moved {count(sum(table.rows for table in moved), 'row')}, all of them found again. Now set store.url in config.yaml.")
