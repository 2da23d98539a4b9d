"""Looking after a workspace: what is kept, whether all is well, how fast it is."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from digest.cli.base import HERE, DryRun, Folder, Json, On, app, count, open_, print_json


@app.command()
def prune(workspace: Folder = HERE, as_json: Json = False, dry_run: DryRun = False) -> None:
    """Take away what has been kept long enough: events, failures of addresses, attempts, former choices, what webhooks were told."""
    from digest import retention

    with open_(workspace) as opened:
        done = retention.prune(opened, dry_run=dry_run)
    if as_json:
        print_json(done.model_dump(mode="json"))
        return
    verb = "Would take away" if dry_run else "Took away"
    typer.echo(
        f"{verb} {count(done.bodies, 'body', 'bodies')}, {count(done.events, 'event')}, {count(done.bounces, 'bounce')}, "
        f"{count(done.attempts, 'attempt')}, {count(done.choices, 'former choice')}, {count(done.hooks, 'event')} told to webhooks. "
        "What the ledger says stays as it is."
    )


@app.command()
def doctor(workspace: Folder = HERE, as_json: Json = False) -> None:
    """Look whether this machine and these settings can keep what is promised, and say what to do where not."""
    from digest import doctor

    os.umask(0o077)
    findings = doctor.examine_all(workspace)
    if as_json:
        print_json([one.model_dump() for one in findings])
    for one in () if as_json else findings:
        typer.echo(f"{one.level:<8}{one.about}: {one.text}" + (f". Do: {one.advice}" if one.advice else ""))
    if any(one.level == "error" for one in findings):
        raise typer.Exit(1)


@app.command()
def bench(
    cadence: Annotated[str | None, typer.Argument(help="A cadence of config.yaml; without one, that of the newest issue.")] = None,
    workspace: Folder = HERE,
    on: On = None,
    seconds: Annotated[float, typer.Option(min=0.1, max=600, help="How long to measure each of the two.")] = 5.0,
    as_json: Json = False,
) -> None:
    """Measure how fast this machine composes and would hand over this newsletter, on a copy of the database."""
    from digest import bench, show
    from digest.scratch import scratch

    os.umask(0o077)
    with scratch(workspace, on, beside=True) as copy:
        found = bench.bench(copy, cadence, seconds)
    print_json(found.model_dump(mode="json")) if as_json else show.benched(found)
