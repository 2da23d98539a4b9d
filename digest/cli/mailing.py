"""Sign-ups and the mails that answer them, without a serving process."""

from __future__ import annotations

import typer

from digest.cli.base import HERE, Folder, Json, app, count, open_, print_json


@app.command()
def mail(workspace: Folder = HERE, as_json: Json = False) -> None:
    """Work on sign-ups and send the mails that wait to leave; `digest serve` does the same by itself."""
    from digest import join, readers
    from digest import mail as queue
    from digest.store import mails

    with open_(workspace) as opened:
        asked = join.work(opened)
        readers.tidy(opened)
        sent = queue.send(opened)
        with opened.store.read() as tx:
            states = mails.counts(tx)
    if as_json:
        print_json({"signups": asked, **sent.model_dump(mode="json"), "states": states})
    else:
        typer.echo(
            f"Worked on {count(asked, 'request')}; {count(sent.accepted, 'mail')} accepted, {sent.put_off} put off, {sent.failed} failed."
        )
        if uncertain := states.get("uncertain", 0):
            typer.echo(f"{count(uncertain, 'mail')} whose outcome was never learnt; whoever misses one asks again.")
    if sent.stop:
        typer.echo(f"error: {sent.stop}", err=True)
        raise typer.Exit(1)


keys_app = typer.Typer(no_args_is_help=True, help="The secrets that addresses are sealed and links are signed with.")
app.add_typer(keys_app, name="keys")


@keys_app.command("rotate")
def keys_rotate(workspace: Folder = HERE, as_json: Json = False) -> None:
    """Begin a new secret and seal everything anew with it; others may go on serving and sending."""
    from digest import keys

    with open_(workspace) as opened:
        done = keys.rotate(opened)
    if as_json:
        print_json(done.model_dump(mode="json"))
        return
    typer.echo(f"Secret number {done.number} seals and signs from now on; {count(done.sealed, 'value')} sealed anew.")
    typer.echo("Keep a copy of all secrets apart from the database; old ones still check the links in old emails.")
