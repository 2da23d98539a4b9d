"""What people did: the audit log, checked and read; and which settings are in force."""

from __future__ import annotations

from typing import Annotated

import typer

from digest.cli.base import HERE, Commands, Folder, Json, app, count, open_, print_json

audit_app = typer.Typer(cls=Commands, no_args_is_help=True, rich_markup_mode=None, help="The log of who did what, which only grows.")
app.add_typer(audit_app, name="audit")


@audit_app.command("verify")
def audit_verify(
    workspace: Folder = HERE,
    anchor: Annotated[str, typer.Option("--anchor", metavar="N:HASH", help="An end of the log that you kept elsewhere.")] = "",
    as_json: Json = False,
) -> None:
    """Check that no record was changed, removed, added or moved; exit 1 where one was."""
    from digest import audit

    with open_(workspace) as opened:
        found = audit.verify(opened, anchor)
    if as_json:
        print_json({**found.model_dump(mode="json"), "anchor": found.anchor})
    else:
        for fault in found.faults:
            typer.echo(f"error: {fault}")
        word = f"{count(len(found.faults), 'fault')}" if found.faults else "all as they were written"
        typer.echo(f"{count(found.records, 'record')}: {word}.")
        if not found.faults and found.records:
            typer.echo(f"Keep this elsewhere to find later what was taken off the end: {found.anchor}")
    if found.faults:
        raise typer.Exit(1)


@audit_app.command("list")
def audit_list(
    workspace: Folder = HERE,
    who: Annotated[str, typer.Option("--who", metavar="NAME", help="Only what this person did.")] = "",
    action: Annotated[str, typer.Option("--action", metavar="ACTION", help="Only this; issue. takes all that begin so.")] = "",
    subject: Annotated[str, typer.Option("--subject", metavar="ID", help="Only what was done to this: an issue, a name, an id.")] = "",
    most: Annotated[int, typer.Option("--most", min=1, max=100_000, help="How many, the newest first.")] = 50,
    before: Annotated[int | None, typer.Option("--before", metavar="N", help="Only records before this number.")] = None,
    as_json: Json = False,
) -> None:
    """Who did what, the newest first."""
    from digest import audit

    with open_(workspace) as opened:
        rows = audit.page(opened, most, before, who, action, subject)
    if as_json:
        print_json([row.model_dump(mode="json") for row in rows])
        return
    for row in rows:
        detail = ", ".join(f"{key} {value}" for key, value in row.detail.items() if value not in ("", [], None))
        words = " ".join(filter(None, (row.action, row.subject, f"({detail})" if detail else "")))
        typer.echo(f"{row.seq:>6}  {row.at:%Y-%m-%d %H:%M:%S}  {row.who:<12} {words}")
    if not rows:
        typer.echo("Nothing.")


@audit_app.command("accept")
def audit_accept(
    because: Annotated[str, typer.Option("--because", metavar="WORDS", help="Why; recorded.")], workspace: Folder = HERE
) -> None:
    """After a backup was restored: let this machine's file begin anew where the log ends now."""
    from digest import audit

    with open_(workspace) as opened:
        audit.accept(opened, because)
    typer.echo("Recorded; this machine's file names the end of the log as it is now.")


@app.command("settings")
def settings(workspace: Folder = HERE, as_json: Json = False) -> None:
    """Every setting in force and where it comes from: a line of config.yaml, the environment, or the default."""
    from digest.config.origins import effective

    rows = effective(workspace)
    if as_json:
        print_json([row.model_dump(mode="json") for row in rows])
        return
    for row in rows:
        typer.echo(f"{row.key}: {row.value}  [{row.origin}]")
