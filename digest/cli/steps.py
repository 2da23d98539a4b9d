"""From sources to emails: a command for each step, and one for all."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from digest.cli.base import HERE, Cadence, DryRun, Folder, Issue, Json, On, app, count, open_, print_json, tell_hooks

Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="With queue: procrastinate: wait until the workers have done it.")]


@app.command()
def init(folder: Annotated[Path, typer.Argument(metavar="DIR", help="An empty or new folder.")]) -> None:
    """Make a new workspace that runs as it is."""
    from digest import skeleton

    names = skeleton.write(folder)
    typer.echo(
        f"Made {folder} with {', '.join(names)}.\nNext: cd {folder}, then `digest check`, then `digest run monthly --on 2026-05-01`."
    )


@app.command()
def check(workspace: Folder = HERE, as_json: Json = False) -> None:
    """Validate everything that a person edits; list all problems with file and line."""
    from digest.check import check as check_all

    problems = check_all(workspace)
    if as_json:
        print_json([problem.model_dump() for problem in problems])
    for problem in () if as_json else problems:
        typer.echo(str(problem))
    errors = sum(problem.severity == "error" for problem in problems)
    if not as_json:
        typer.echo(f"{count(errors, 'error')}, {count(len(problems) - errors, 'warning')}." if problems else "Everything is in order.")
    if errors:
        raise typer.Exit(1)


@app.command()
def gather(workspace: Folder = HERE, on: On = None, as_json: Json = False, dry_run: DryRun = False) -> None:
    """Read all sources; keep what is new or changed."""
    from digest import show
    from digest.gather import gather as gather_all

    with open_(workspace, on) as opened, opened.store.alone():
        report = gather_all(opened, show.note, dry_run=dry_run)
    print_json(show.gathered_json(report)) if as_json else show.gathered(report, dry_run)
    if report.sources and all(source.error for source in report.sources):
        raise typer.Exit(1)


@app.command()
def draft(
    cadence: Cadence,
    workspace: Folder = HERE,
    on: On = None,
    again: Annotated[bool, typer.Option("--again", help="Draft anew, with what is known now; voids an approval.")] = False,
    as_json: Json = False,
) -> None:
    """Draft the cadence's issue due last: freeze which summaries it has."""
    from digest import issue, show

    with open_(workspace, on) as opened, opened.store.alone():
        report = issue.draft(opened, cadence, again=again)
    print_json(report.model_dump(mode="json")) if as_json else show.drafted(report)


@app.command()
def approve(
    name: Issue,
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who approves; the account at this machine unless given.")] = "",
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Approve an issue as it is now; any later change voids the approval."""
    from digest import approval, issue, readiness

    with open_(workspace) as opened, opened.store.alone():
        content_hash = readiness.approve(opened, name, by=by)
        with opened.store.read() as tx:
            row = issue.find(tx, name)
            given, needed = len(approval.given(tx, row, content_hash)), approval.needed(opened, row.cadence)
    if as_json:
        print_json({"issue": name, "content_hash": content_hash, "approvals": given, "needed": needed})
        return
    typer.echo(f"Approved {name}, content {content_hash[:12]}.")
    if given < needed:
        typer.echo(f"That is {given} of {needed}: another person approves it before it leaves.")


@app.command()
def send(
    name: Issue,
    workspace: Folder = HERE,
    on: On = None,
    as_json: Json = False,
    dry_run: DryRun = False,
    test: Annotated[
        str | None, typer.Option("--test", metavar="ADDRESS", help="Send one message to this address only, marked as a test.")
    ] = None,
    reader: Annotated[str | None, typer.Option("--as", metavar="ADDRESS", help="With --test: this reader's edition.")] = None,
    edition: Annotated[
        str, typer.Option("--edition", metavar="WHICH", help="With --test: largest, smallest, an id, imagined:gut+diet;large.")
    ] = "",
    wait: Wait = True,
) -> None:
    """Plan an issue if need be and hand over whatever is ready; safe to repeat."""
    from digest import dispatch, explain, operate, show

    if reader is not None and test is None:
        raise typer.BadParameter("--as goes with --test")
    if edition and (test is None or reader is not None):
        raise typer.BadParameter("--edition goes with --test, and not with --as")
    with open_(workspace, on) as opened:
        if test is not None:
            if edition:
                from digest import review
                from digest.desk import looking

                now = review.ready(opened, name)
                subject = operate.send_test_of(opened, now, looking.find(opened, now, edition).selection, test)
            else:
                subject = operate.send_test(opened, name, test, reader)
            print_json({"issue": name, "subject": subject}) if as_json else typer.echo(
                f'Sent "{subject}" as a test; the ledger was not touched.'
            )
            return
        if dry_run:
            report = explain.forecast_report(opened, name)
            print_json(report) if as_json else show.forecast(report)
            return
        with show.progress() as progress:
            if opened.config.queue == "procrastinate":
                from digest.worker import hand_in

                sent = hand_in(opened, name, progress, wait=wait)
            else:
                with opened.store.alone():
                    sent = dispatch.send(opened, name, progress)
            tell_hooks(opened)
    print_json(sent.model_dump(mode="json")) if as_json else show.sent(sent)


@app.command()
def run(
    cadence: Cadence,
    workspace: Folder = HERE,
    on: On = None,
    as_json: Json = False,
    dry_run: DryRun = False,
    wait: Wait = True,
) -> None:
    """The main job: gather, draft, compose, dispatch, report."""
    from digest import jobs, show

    if dry_run:
        from digest import rehearsal
        from digest.scratch import scratch

        with scratch(workspace, on) as copy, show.progress() as progress:
            tried = rehearsal.rehearse(copy, cadence, progress)
        print_json(tried.model_dump(mode="json")) if as_json else show.rehearsed(tried)
        return
    with open_(workspace, on) as opened, show.progress() as progress:
        if opened.config.queue == "procrastinate":
            from digest.worker import hand_in

            with opened.store.alone():
                prepared = jobs.prepare(opened, cadence, progress)
            report = jobs.send(prepared, lambda name: hand_in(opened, name, progress, wait=wait))
        else:
            with opened.store.alone():
                report = jobs.run(opened, cadence, progress)
        tell_hooks(opened)
    print_json(report.model_dump(mode="json")) if as_json else show.ran(report)
