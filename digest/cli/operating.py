"""While an issue is going out: pause, resume, cancel, decide."""

from __future__ import annotations

from typing import Annotated

import typer

from digest.cli.base import HERE, Folder, Issue, Json, app, count, open_, print_json


@app.command()
def pause(
    name: Issue, reason: Annotated[str, typer.Option(help="Why, for whoever asks.")] = "paused by hand", workspace: Folder = HERE
) -> None:
    """Hand over nothing more of an issue until it is resumed; works while it is being sent."""
    from digest import operate

    with open_(workspace) as opened:
        operate.pause(opened, name, reason)
    typer.echo(f"{name} is paused; `digest resume {name}`, then `digest send {name}` lets it go on.")


@app.command()
def resume(name: Issue, workspace: Folder = HERE) -> None:
    """Let a paused issue go on."""
    from digest import operate

    with open_(workspace) as opened:
        operate.resume(opened, name)
    typer.echo(f"{name} may go on: `digest send {name}`.")


@app.command()
def cancel(name: Issue, workspace: Folder = HERE) -> None:
    """Hand over nothing more of an issue, ever; what has left stays as it is."""
    from digest import operate

    with open_(workspace) as opened:
        left = operate.cancel(opened, name)
    typer.echo(f"{name} is cancelled; {count(left, 'message')} will not be sent.")


@app.command()
def held(
    name: Annotated[str | None, typer.Argument(help="An issue; without one, all.")] = None,
    treat_as_sent: Annotated[
        list[str] | None, typer.Option(metavar="DID", help="Settle this one as sent; may be given several times.")
    ] = None,
    send_again: Annotated[list[str] | None, typer.Option(metavar="DID", help="Send this one again; may be given several times.")] = None,
    everything: Annotated[
        str | None, typer.Option("--all", metavar="sent|again", help="Settle all of the issue: as sent, or send again.")
    ] = None,
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """List the hand-overs whose outcome was never learnt, and decide them; every decision is recorded."""
    from digest import operate, show

    if everything not in (None, "sent", "again"):
        raise typer.BadParameter(f'--all takes sent or again, not "{everything}"')
    deciding = bool(everything or treat_as_sent or send_again)
    if deciding and name is None:
        raise typer.BadParameter("name the issue whose deliveries you decide")
    with open_(workspace) as opened:
        if deciding and name is not None:
            with opened.store.alone():
                done = operate.decide(opened, name, treat_as_sent, sent=True) if treat_as_sent else 0
                done += operate.decide(opened, name, send_again, sent=False) if send_again else 0
                done += operate.decide(opened, name, None, sent=everything == "sent") if everything else 0
            typer.echo(f"Decided {count(done, 'delivery', 'deliveries')}; `digest send {name}` hands over what is to go again.")
            return
        rows = operate.held(opened, name)
    print_json([row.model_dump(mode="json") for row in rows]) if as_json else show.held(rows)
