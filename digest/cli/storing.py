"""When one machine is not enough: workers, and moving the database."""

from __future__ import annotations

from typing import Annotated

import typer

from digest.cli.base import BY, HERE, Folder, Json, On, app, count, print_json


@app.command()
def worker(
    workspace: Folder = HERE,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, max=64, help="How many issues or parts of one at the same time.")] = 1,
    on: On = None,
) -> None:
    """Hand over what is to be sent, beside any number of other workers; ends when told to (SIGTERM), with nothing half done."""
    import os

    os.umask(0o077)
    from digest import show
    from digest.worker import Worker

    at_work = Worker(workspace, concurrency, on, show.note)
    show.note(f"Worker {at_work.name} is at work; Ctrl-C ends it.")
    at_work.run()
    show.note(f"Worker {at_work.name} has ended.")


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

    moved = move_store(workspace, source, target, acting=BY.get())
    if as_json:
        print_json([table._asdict() for table in moved])
        return
    for table in moved:
        typer.echo(f"{table.table:<20} {table.rows:>10}  {table.sha256[:16]}")
    typer.echo(f"Moved {count(sum(table.rows for table in moved), 'row')}, all of them found again. Now set store.url in config.yaml.")
