"""The people who make the newsletter: who may log in to the desk and the admin, and what they may do there."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

import typer

from digest.cli.base import HERE, Commands, Folder, Json, app, count, open_, print_json
from digest.errors import AccountError

people_app = typer.Typer(
    cls=Commands, no_args_is_help=True, rich_markup_mode=None, help="Who may log in to the desk and the admin, and do what."
)
app.add_typer(people_app, name="people")

Name = Annotated[str, typer.Argument(help="The name they log in with.")]
OneTime = Annotated[bool, typer.Option("--one-time", help="Make a password up and print it; they must change it when they log in.")]
_ROLES = "viewer, editor, approver or admin"


def _new_password(one_time: bool) -> str:
    """A made-up one, or from the terminal, or the first line of stdin; never from the command line, which others can see."""
    from digest import passwords

    if one_time:
        return passwords.made_up()
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    typed = getpass.getpass("Password: ")
    if getpass.getpass("The same again: ") != typed:
        raise AccountError("the two are not the same; nothing was changed")
    return typed


@people_app.command("add")
def people_add(
    name: Name,
    role: Annotated[str, typer.Option("--role", metavar="ROLE", help=f"{_ROLES}; a higher one may do all that a lower one may.")],
    workspace: Folder = HERE,
    one_time: OneTime = False,
) -> None:
    """Let somebody log in; asks for their password, or reads it from stdin."""
    from digest import staff
    from digest.accounts import ABOUT, read_role

    try:
        wanted = read_role(role)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    with open_(workspace) as opened:
        password = _new_password(one_time)
        made = staff.add(opened, name, wanted, password, must_change=one_time)
    typer.echo(f"{made.name} may log in at /admin as {made.role}: {ABOUT[made.role]}.")
    if one_time:
        typer.echo(f"Password for the first log-in: {password}")


@people_app.command("list")
def people_list(workspace: Folder = HERE, as_json: Json = False) -> None:
    """Who may log in, in which role, with a second factor or not."""
    from digest import staff

    with open_(workspace) as opened:
        everybody = staff.everybody(opened)
    if as_json:
        print_json([one.model_dump(mode="json") for one in everybody])
        return
    for one in everybody:
        last = f"last here {one.signed_in_at:%Y-%m-%d %H:%M} UTC" if one.signed_in_at else "never here"
        words = [one.role.value, "second factor" if one.second_factor else "password only", last]
        words += ["disabled"] if one.disabled_at else ["one-time password"] if one.must_change else []
        typer.echo(f"{one.name:<20} {', '.join(words)}")
    typer.echo(f"{count(len(everybody), 'person', 'people')}." if everybody else "Nobody yet: `digest people add NAME --role admin`.")


@people_app.command("role")
def people_role(name: Name, role: Annotated[str, typer.Argument(metavar="ROLE", help=f"{_ROLES}.")], workspace: Folder = HERE) -> None:
    """Give somebody another role; open sessions go on with it."""
    from digest import staff
    from digest.accounts import ABOUT, read_role

    try:
        wanted = read_role(role)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    with open_(workspace) as opened:
        now = staff.set_role(opened, name, wanted)
    typer.echo(f"{now.name} is {now.role} now: {ABOUT[now.role]}.")


@people_app.command("password")
def people_password(name: Name, workspace: Folder = HERE, one_time: OneTime = False) -> None:
    """Give somebody another password; ends their sessions."""
    from digest import staff

    with open_(workspace) as opened:
        password = _new_password(one_time)
        ended = staff.set_password(opened, name, password, must_change=one_time)
    typer.echo(f"Changed; {count(ended, 'session')} ended.")
    if one_time:
        typer.echo(f"Password for the next log-in: {password}")


@people_app.command("totp")
def people_totp(
    name: Name,
    workspace: Folder = HERE,
    off: Annotated[bool, typer.Option("--off", help="Ask for the password alone again, e.g. after the device was lost.")] = False,
    codes: Annotated[bool, typer.Option("--codes", help="New recovery codes in the place of the old ones.")] = False,
) -> None:
    """Set up a second factor: an authenticator app whose codes are asked for at log-in (TOTP, RFC 6238)."""
    from digest import staff, totp

    with open_(workspace) as opened:
        if off:
            had = staff.turn_off(opened, name)
            typer.echo("The password alone is enough now." if had else "There was no second factor.")
            return
        if codes:
            _tell(staff.new_codes(opened, name))
            return
        staff.sessions(opened, name)  # nobody of that name is told before anything is shown
        secret = staff.new_secret()
        address = totp.address(secret, opened.config.newsletter.name, name.strip().lower())
        typer.echo(f"In the authenticator app, scan this or type the key {_grouped(totp.written(secret))}.")
        if sys.stdout.isatty():
            import segno

            segno.make(address, error="m").terminal(out=sys.stdout, compact=True)
        typer.echo(address)
        sys.stdout.flush()
        typer.echo("The code that the app shows now: ", nl=False, err=True)
        _tell(staff.turn_on(opened, name, secret, sys.stdin.readline().strip()))


def _grouped(text: str) -> str:
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def _tell(codes: tuple[str, ...]) -> None:
    typer.echo("Recovery codes, each good for one log-in without the app. They are shown only now: write them down.")
    for one in codes:
        typer.echo(f"  {one}")


@people_app.command("elsewhere")
def people_elsewhere(
    name: Name,
    workspace: Folder = HERE,
    email: Annotated[
        str, typer.Option("--email", metavar="ADDRESS", help="Link whoever has this address over there, once; - reads it from stdin.")
    ] = "",
    off: Annotated[bool, typer.Option("--off", help="Their password alone again; ends their sessions.")] = False,
) -> None:
    """Whether and how somebody logs in by another service (login.oidc)."""
    from digest import identities

    with open_(workspace) as opened:
        if off:
            typer.echo("Undone; their sessions have ended." if identities.unlink(opened, name) else "There was no link.")
            return
        if email:
            identities.expect(opened, name, sys.stdin.readline().strip() if email == "-" else email)
        found = identities.of(opened, name)
    if found is None:
        typer.echo("By password alone.")
    elif found.issuer:
        typer.echo(f"Linked to {found.issuer} since {found.at:%Y-%m-%d %H:%M} UTC.")
    else:
        typer.echo(f"Waits since {found.at:%Y-%m-%d %H:%M} UTC for somebody with the address that was given.")


@people_app.command("disable")
def people_disable(
    name: Name, workspace: Folder = HERE, undo: Annotated[bool, typer.Option("--undo", help="Let them log in again.")] = False
) -> None:
    """Let somebody log in no more, and end their sessions; the name stays, for the audit log."""
    from digest import staff

    with open_(workspace) as opened:
        if undo:
            staff.enable(opened, name)
            typer.echo("They may log in again.")
            return
        ended = staff.disable(opened, name)
    typer.echo(f"They may log in no more; {count(ended, 'session')} ended.")


@people_app.command("sessions")
def people_sessions(name: Name, workspace: Folder = HERE, as_json: Json = False) -> None:
    """Where somebody is logged in: since when, last used, from which network, with which browser."""
    from digest import staff

    with open_(workspace) as opened:
        rows = staff.sessions(opened, name)
    if as_json:
        print_json([{key: value for key, value in row._asdict().items() if key not in ("person", "wrong_codes")} for row in rows])
        return
    for row in rows:
        typer.echo(f"{row.sid[:8]}  since {row.made_at:%Y-%m-%d %H:%M}  used {row.seen_at:%Y-%m-%d %H:%M}  {row.network}  {row.browser}")
    typer.echo(f"{count(len(rows), 'session')}.")


@people_app.command("revoke")
def people_revoke(
    name: Name,
    session: Annotated[str, typer.Argument(metavar="[SESSION]", help="Only this one: its id or the beginning of it.")] = "",
    workspace: Folder = HERE,
) -> None:
    """End somebody's sessions; they have to log in again."""
    from digest import staff

    with open_(workspace) as opened:
        ended = staff.revoke(opened, name, session)
    typer.echo(f"{count(ended, 'session')} ended.")
