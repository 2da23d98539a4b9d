"""What providers tell later: events, bounces, and the list of who must not be written to."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import Annotated

import typer

from digest.cli.base import HERE, Commands, DryRun, Folder, Json, app, count, open_, print_json, write_private
from digest.errors import DigestError

suppressions_app = typer.Typer(
    cls=Commands, no_args_is_help=True, rich_markup_mode=None, help="Who must not be written to, subscriber or not."
)
app.add_typer(suppressions_app, name="suppressions")

Address = Annotated[str, typer.Argument(help="An address; it never stands in a log or a file.")]
_TEMPORARY = 75  # EX_TEMPFAIL of sysexits.h: the mail server keeps the message and tries again


@app.command()
def reconcile(
    name: Annotated[str | None, typer.Argument(help="An issue; without one, all.")] = None, workspace: Folder = HERE, as_json: Json = False
) -> None:
    """Resolve what the provider's events can, and say what stays uncertain or held, and why."""
    from digest import feedback, retention

    with open_(workspace) as opened:
        found = feedback.reconcile(opened, name)
        lone = feedback.unknown(opened, 20) if found.applied.unknown else ()
        gone = retention.prune(opened)
    if as_json:
        told = {**found.model_dump(mode="json"), "unknown": [event.model_dump(mode="json") for event in lone]}
        print_json({**told, "pruned": gone.model_dump(mode="json", exclude={"dry_run"})})
        return
    done = found.applied
    typer.echo(
        f"Applied {count(done.joined, 'event')}: {done.accepted_by_event} accepted by their own, "
        f"{done.accepted_by_sibling} by a sibling's; {done.suppressed} suppressed, {done.left} left."
    )
    if done.paused:
        typer.echo(f"{count(done.paused, 'issue')} paused, too much came back; `digest status ISSUE` says why.")
    for one in found.unsure:
        started = f"{one.started_at:%Y-%m-%d %H:%M}" if one.started_at else "-"
        typer.echo(f"  {one.issue} {one.did} {one.state}, handed over {started}: {one.why}")
    advice = " `digest held` decides them." if found.unsure else ""
    typer.echo(f"{count(len(found.unsure), 'hand-over')} still uncertain or held.{advice}")
    if found.untraced:
        typer.echo(f"{found.untraced} accepted for a sibling's sake, nothing heard of them in 72 hours.")
    for odd in found.contradictions:
        typer.echo(f"  contradiction: {odd}")
    if done.unknown:
        typer.echo(f"{count(done.unknown, 'event')} of no delivery known here, or not readable; the newest:")
    for event in lone:
        typer.echo(f"  {event.recorded_at:%Y-%m-%d %H:%M} {event.kind} {event.did or '(no id of ours)'} {event.detail}")


@app.command()
def bounce(
    mailbox: Annotated[Path | None, typer.Option(metavar="PATH", help="A Maildir or an mbox file; else one message from stdin.")] = None,
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Take bounces and complaints in: one message from a mail server's pipe, or all of a mailbox."""
    from digest import feedback
    from digest.bounces import READ_BYTES

    if mailbox is None and sys.stdin.isatty():
        raise typer.BadParameter("give a message on stdin, or name a mailbox with --mailbox")
    try:
        with open_(workspace) as opened:
            if mailbox is not None:
                found = feedback.take_mailbox(opened, mailbox)
            else:
                raw = sys.stdin.buffer.read(READ_BYTES)
                while sys.stdin.buffer.read(1 << 16):  # a pipe that is not read to its end looks like a failure to its writer
                    pass
                taken = feedback.take_bounce(opened, raw)
                found = feedback.MailboxReport(taken=taken == "taken", known=taken == "known", no_bounce=taken == "no bounce")
            applied = feedback.apply(opened)
    except (DigestError, OSError) as error:
        if mailbox is not None:
            raise
        # Any other code would make the mail server return the message, and a returned bounce is thrown away.
        typer.echo(f"error: {error if isinstance(error, DigestError) else type(error).__name__}", err=True)
        raise typer.Exit(_TEMPORARY) from error
    if as_json:
        print_json({**found.model_dump(mode="json"), "applied": applied.model_dump(mode="json")})
        return
    typer.echo(
        f"Took {count(found.taken, 'bounce')}, {found.known} known before, {found.no_bounce} no bounces; {applied.suppressed} suppressed."
    )


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    scheduler: Annotated[bool, typer.Option("--scheduler/--no-scheduler", help="Gather, draft and send when it is time.")] = True,
    workspace: Folder = HERE,
) -> None:
    """Serve the subscriber pages, the API and webhooks, and do by itself what the calendar says, until it is stopped."""
    import contextlib
    import logging
    import signal

    import uvicorn

    from digest import clockwork
    from digest.web import webhooks
    from digest.web.app import make_app

    with open_(workspace) as opened:  # what is wrong with the configuration is told here, in one line
        webhooks.load_keys(opened.config.delivery.sendgrid.webhook_keys)
    typer.echo(f"Serving http://{host}:{port}; Ctrl-C ends it.", err=True)
    # No access log: an address line may hold what a person typed.
    # The web server hands the signal on when it has ended: the scheduler, too, is to finish what it has in hand.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    logging.getLogger("digest").setLevel(logging.INFO)
    with clockwork.running(workspace) if scheduler else contextlib.nullcontext():
        uvicorn.run(
            make_app(workspace),
            host=host,
            port=port,
            access_log=False,
            server_header=False,
            log_level="warning",
            timeout_keep_alive=5,
            timeout_graceful_shutdown=10,  # a page of the desk listens for as long as it is open
        )


@suppressions_app.command("list")
def suppressions_list(
    workspace: Folder = HERE,
    addresses: Annotated[bool, typer.Option("--addresses", help="Spell the addresses out.")] = False,
    as_json: Json = False,
) -> None:
    """Everything on the list. Of those who are no subscribers only a hash is kept: nobody can tell who they are."""
    from digest import suppress

    with open_(workspace) as opened:
        lines = suppress.listing(opened, addresses=addresses)
    if as_json:
        print_json([line.model_dump(mode="json") for line in lines])
        return
    for line in lines:
        typer.echo(f"{line.at:%Y-%m-%d %H:%M}  {line.reason:<10} {line.email or '(address not kept)'}  {line.source}")
    typer.echo(f"{count(len(lines), 'address', 'addresses')} suppressed.")


@suppressions_app.command("add")
def suppressions_add(
    address: Address,
    reason: Annotated[str, typer.Option(help="operator, request, bounce or complaint.")] = "operator",
    workspace: Folder = HERE,
) -> None:
    """Never write to an address again."""
    from digest import suppress

    with open_(workspace) as opened:
        new = suppress.add(opened, address, reason, opened.who)
    typer.echo("That address is suppressed." if new else "That address was suppressed already.")


@suppressions_app.command("remove")
def suppressions_remove(
    address: Address,
    force: Annotated[bool, typer.Option("--force", help="Although somebody there reported the newsletter as spam.")] = False,
    workspace: Folder = HERE,
) -> None:
    """Allow an address again; recorded. It brings no subscription back."""
    from digest import suppress

    with open_(workspace) as opened:
        was = suppress.remove(opened, address, force=force, who=opened.who)
    typer.echo(f"That address may be written to again; it was suppressed for: {was.reason}.")


@suppressions_app.command("import")
def suppressions_import(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV in UTF-8 with a header row: email, or email,reason.")],
    workspace: Folder = HERE,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Bring a list in. It only ever adds: nobody is taken off."""
    from digest import suppress

    with open_(workspace) as opened:
        report = suppress.import_file(opened, file, dry_run=dry_run, who=opened.who)
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        for problem in report.problems:
            typer.echo(str(problem))
        verb = "Would suppress" if dry_run else "Suppressed"
        addresses = count(report.new, "new address", "new addresses")
        typer.echo(f"{verb} {addresses}, {report.known} known before, {count(report.refused, 'line')} not taken.")
    if report.refused:
        raise typer.Exit(1)


@suppressions_app.command("export")
def suppressions_export(
    workspace: Folder = HERE,
    file: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file, readable by you alone; else to stdout.")] = None,
) -> None:
    """Write those on the list who are subscribers, as a file that imports again; of the others only a hash is left."""
    from digest import audit, suppress

    with open_(workspace) as opened:
        rows, nameless = suppress.export_rows(opened)
        audit.note(opened, "suppressions.export", "", addresses=len(rows) - 1)
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    if nameless:
        typer.echo(f"{count(nameless, 'entry', 'entries')} left out: only the hash of the address is kept.", err=True)
    if file is None:
        sys.stdout.write(text.getvalue())
        return
    write_private(file, text.getvalue())
