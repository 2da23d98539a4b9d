"""Looking after a workspace: what is kept, whether all is well, how fast it is."""

from __future__ import annotations

import typer

from digest.cli.base import HERE, DryRun, Folder, Json, app, count, open_, print_json


@app.command()
def prune(workspace: Folder = HERE, as_json: Json = False, dry_run: DryRun = False) -> None:
    """Take away what has been kept long enough: events, failures of addresses, records of attempts."""
    from digest import retention

    with open_(workspace) as opened:
        done = retention.prune(opened, dry_run=dry_run)
    if as_json:
        print_json(done.model_dump(mode="json"))
        return
    verb = "Would take away" if dry_run else "Took away"
    typer.echo(
        f"{verb} {count(done.bodies, 'body', 'bodies')}, {count(done.events, 'event')}, {count(done.bounces, 'bounce')}, "
        f"{count(done.attempts, 'attempt')}. What the ledger says stays as it is."
    )
