"""Outgoing webhooks: other programs that are told what becomes of issues and readers."""

from __future__ import annotations

from typing import Annotated

import typer

from digest.cli.base import HERE, Commands, Folder, Json, app, count, open_, print_json

hooks_app = typer.Typer(
    cls=Commands, no_args_is_help=True, rich_markup_mode=None, help="Webhooks: other programs that are told of issues and readers."
)
app.add_typer(hooks_app, name="hooks")

Hid = Annotated[str, typer.Argument(metavar="ID", help="Its id, or the beginning of it.")]


@hooks_app.command("add")
def hooks_add(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where events are posted to: https, on a public host.")],
    events: Annotated[str, typer.Option("--events", metavar="LIST", help="Of what: issue.*,reader.joined and so on, or * for all.")],
    workspace: Folder = HERE,
    with_addresses: Annotated[
        bool, typer.Option("--with-addresses", help="Also tell the address of each reader: whoever receives it learns who reads.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Tell a program what happens from now on; prints the secret that signs, once."""
    from digest.hooks import keeping
    from digest.hooks.kinds import read_topics

    with open_(workspace) as opened:
        made, secret = keeping.add(opened, url, read_topics(events), with_addresses=with_addresses)
    if as_json:
        print_json({"id": made.hid, "secret": secret})
        return
    typer.echo(f"Webhook {made.hid} is told of {keeping.topics(made)}.")
    if with_addresses:
        typer.echo("It is told readers' addresses: whoever runs the receiver learns who reads this newsletter.")
    _tell_secret(secret)
    typer.echo(f"Try it: digest hooks test {made.hid}")


def _tell_secret(secret: str) -> None:
    typer.echo("Its secret, which the receiver checks signatures with; it is shown only now:")
    typer.echo(f"  {secret}")


@hooks_app.command("list")
def hooks_list(workspace: Folder = HERE, as_json: Json = False) -> None:
    """All webhooks: where they lead, what they are told of, how they do."""
    from digest.hooks import keeping

    with open_(workspace) as opened:
        found = keeping.every(opened)
    if as_json:
        print_json([{"id": one.hid, **one._asdict(), "url": keeping.place(one)} for one in found])
        return
    for one in found:
        words = [f"{one.waiting} waiting"]
        words += [f"{one.given_up} given up"] if one.given_up else []
        words += ["with addresses"] if one.with_addresses else []
        if one.disabled_at:
            words.append(f"disabled since {one.disabled_at:%Y-%m-%d %H:%M} UTC: {one.disabled_why}")
        elif one.failing_since:
            words.append(f"failing since {one.failing_since:%Y-%m-%d %H:%M} UTC")
        typer.echo(f"{one.hid}  {keeping.place(one)}")
        typer.echo(f"          {keeping.topics(one)}; {', '.join(words)}")
    typer.echo(f"{count(len(found), 'webhook')}." if found else "No webhook yet: `digest hooks add URL --events LIST`.")


@hooks_app.command("test")
def hooks_test(hid: Hid, workspace: Folder = HERE) -> None:
    """Hand over one event of the kind hook.test, once and now."""
    from digest.cli.base import fail
    from digest.hooks import keeping

    with open_(workspace) as opened:
        answer = keeping.send_test(opened, hid)
    if answer.status is None or not 200 <= answer.status < 300:
        fail(f"the test failed: {keeping.said(answer)}")
    typer.echo(f"Handed over: {keeping.said(answer)}.")


@hooks_app.command("remove")
def hooks_remove(hid: Hid, workspace: Folder = HERE) -> None:
    """Take a webhook away, and what waits for it."""
    from digest.hooks import keeping

    with open_(workspace) as opened:
        gone = keeping.remove(opened, hid)
    typer.echo(f"Webhook {gone.hid} is gone, and {count(gone.waiting, 'event')} that waited for it.")


@hooks_app.command("enable")
def hooks_enable(hid: Hid, workspace: Folder = HERE) -> None:
    """Tell a webhook again that was disabled; what waits is handed over first."""
    from digest.hooks import keeping

    with open_(workspace) as opened:
        one = keeping.enable(opened, hid)
    typer.echo(f"Webhook {one.hid} is told again; {count(one.waiting, 'event')} waiting.")


@hooks_app.command("disable")
def hooks_disable(hid: Hid, workspace: Folder = HERE) -> None:
    """Tell a webhook nothing more until it is enabled; what waits stays, what happens meanwhile is not kept for it."""
    from digest.hooks import keeping

    with open_(workspace) as opened:
        one = keeping.disable(opened, hid)
    typer.echo(f"Webhook {one.hid} is told nothing more; {count(one.waiting, 'event')} waiting.")


@hooks_app.command("rotate")
def hooks_rotate(hid: Hid, workspace: Folder = HERE, as_json: Json = False) -> None:
    """Give a webhook a new secret; the one before signs, too, for a day."""
    from digest.hooks import keeping

    with open_(workspace) as opened:
        one, secret, until = keeping.rotate(opened, hid)
    if as_json:
        print_json({"id": one.hid, "secret": secret, "old_until": until})
        return
    _tell_secret(secret)
    typer.echo(f"Until {until:%Y-%m-%d %H:%M} UTC events carry two signatures, of the new secret and of the one before.")


@hooks_app.command("deliveries")
def hooks_deliveries(
    hid: Annotated[str, typer.Argument(metavar="[ID]", help="Only this webhook's.")] = "",
    workspace: Folder = HERE,
    failed: Annotated[bool, typer.Option("--failed", help="Only what was tried in vain, given up or not.")] = False,
    most: Annotated[int, typer.Option("--most", min=1, max=10_000, help="How many, the newest first.")] = 50,
    as_json: Json = False,
) -> None:
    """What webhooks were told lately, and what became of it."""
    from digest.hooks import keeping

    with open_(workspace) as opened:
        found = keeping.deliveries(opened, hid, failing=failed, most=most)
    if as_json:
        print_json([one._asdict() for one in found])
        return
    for one in found:
        words = [keeping.STATES[one.state], count(one.attempts, "attempt")]
        words += [one.reason] if one.reason else []
        words += [f"again at {one.next_at:%m-%d %H:%M} UTC"] if one.state == "waiting" and one.attempts else []
        typer.echo(f"{one.at:%Y-%m-%d %H:%M}  {one.hid}  {one.kind:<26} {', '.join(words)}")
    typer.echo(f"{count(len(found), 'event')}.")


@hooks_app.command("send")
def hooks_send(workspace: Folder = HERE, as_json: Json = False) -> None:
    """Hand over what waits; `digest serve` does so by itself, `run` and `send` at their end."""
    from digest.hooks import telling

    with open_(workspace) as opened:
        told = telling.hand_over(opened)
    if as_json:
        print_json(told.model_dump(mode="json"))
        return
    typer.echo(f"{count(told.delivered, 'event')} handed over, {told.put_off} put off, {told.given_up} given up.")
    if told.disabled:
        typer.echo(f"{count(told.disabled, 'webhook')} disabled; `digest hooks list` says why.")
