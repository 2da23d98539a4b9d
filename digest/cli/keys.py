"""Keys for programs that call the admin's API."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import typer

from digest.cli.base import HERE, Commands, Folder, Json, app, count, open_, parse_date, print_json

keys_app = typer.Typer(cls=Commands, no_args_is_help=True, rich_markup_mode=None, help="Keys for programs that call the admin's API.")
app.add_typer(keys_app, name="api-keys")

Name = Annotated[str, typer.Argument(help="What the key is called, in the audit log, too; stays taken for good.")]


@keys_app.command("add")
def keys_add(
    name: Name,
    scopes: Annotated[str, typer.Option("--scopes", metavar="SCOPES", help="What it may do, by commas; `digest api-keys scopes`.")],
    expires: Annotated[
        date | None, typer.Option("--expires", metavar="DATE", parser=parse_date, help="The last day on which it works; else for good.")
    ] = None,
    workspace: Folder = HERE,
) -> None:
    """Make a key; it is printed this once, alone on stdout."""
    from digest import api_keys

    with open_(workspace) as opened:
        made, token = api_keys.add(opened, name, scopes.split(","), expires)
    until = f"until {expires}" if expires else "until it is revoked"
    typer.echo(f"{made.name} may {', '.join(made.scopes)}, {until}. Keep this; it is shown only now:", err=True)
    typer.echo(token)


@keys_app.command("list")
def keys_list(workspace: Folder = HERE, as_json: Json = False) -> None:
    """Which keys there are, what each may do, when it was last used."""
    from digest import api_keys
    from digest.store import now

    with open_(workspace) as opened:
        found = api_keys.every(opened)
        with opened.store.read() as tx:
            at = now(tx)
    if as_json:
        print_json([{**one.model_dump(mode="json"), "prefix": one.prefix, "works": one.works(at)} for one in found])
        return
    for one in found:
        ends = f"{one.expires_at:%Y-%m-%d %H:%M} UTC" if one.expires_at else "it is revoked"
        stands = f"revoked {one.revoked_at:%Y-%m-%d}" if one.revoked_at else f"works until {ends}" if one.works(at) else f"expired {ends}"
        last = f"last used {one.used_date}" if one.used_date else "never used"
        typer.echo(f"{one.name:<20} {one.prefix}…  {stands}, {last}")
        typer.echo(f"    {', '.join(one.scopes)}")
    typer.echo(f"{count(len(found), 'key')}." if found else "None yet: `digest api-keys add NAME --scopes lists:read`.")


@keys_app.command("scopes")
def keys_scopes() -> None:
    """What a key can be allowed."""
    from digest.scopes import SCOPES

    for scope, about in SCOPES.items():
        typer.echo(f"{scope:<15} {about}")


@keys_app.command("revoke")
def keys_revoke(name: Name, workspace: Folder = HERE) -> None:
    """Take a key back: it opens nothing from now on."""
    from digest import api_keys

    with open_(workspace) as opened:
        worked = api_keys.revoke(opened, name)
    typer.echo("It opens nothing any more." if worked else "It was revoked before.")
