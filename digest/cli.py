"""One command a step: parse, one call, print. Results go to stdout, progress to stderr.

Exit 0 done, 1 failed, 2 wrong usage. Whatever is heavy is imported by the command that needs it.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from digest import __version__
from digest.errors import DigestError

if TYPE_CHECKING:
    from digest.workspace import Workspace

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Newsletters that differ for every reader: gather, select, compose, dispatch.",
)
interests_app = typer.Typer(no_args_is_help=True, help="The interest lists: what people can follow.")
subscribers_app = typer.Typer(no_args_is_help=True, help="The people who read the newsletter.")
app.add_typer(interests_app, name="interests")
app.add_typer(subscribers_app, name="subscribers")

Folder = Annotated[
    Path, typer.Option("--workspace", "-w", metavar="DIR", envvar="DIGEST_WORKSPACE", help="The workspace: the folder with config.yaml.")
]


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f'"{text}" is not a date; write it as YYYY-MM-DD, e.g. 2026-05-01') from error


On = Annotated[
    date | None, typer.Option("--on", metavar="DATE", parser=_date, help="Act as of this date (YYYY-MM-DD) with what is known now.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would happen; change nothing.")]
Cadence = Annotated[str, typer.Argument(help="A cadence of config.yaml, e.g. monthly.")]
Issue = Annotated[str, typer.Argument(help="An issue, e.g. monthly-2026-05-01.")]
HERE = Path(".")


def main() -> None:
    """Run the command line; a ``DigestError`` is one line on stderr and exit 1."""
    try:
        app()
    except DigestError as error:
        _fail(str(error))
    except BrokenPipeError:  # e.g. `digest subscribers export | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _fail(text: str) -> NoReturn:
    typer.secho("error: ", fg="red", bold=True, err=True, nl=False)
    typer.echo(text, err=True)
    sys.exit(1)


@contextmanager
def _open(folder: Path, on: date | None = None) -> Iterator[Workspace]:
    from digest.workspace import open_workspace

    with open_workspace(folder, on) as workspace:
        yield workspace


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"digest {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")] = False,
) -> None:
    pass


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
        _print_json([problem.model_dump() for problem in problems])
    for problem in () if as_json else problems:
        typer.echo(str(problem))
    errors = sum(problem.severity == "error" for problem in problems)
    if not as_json:
        typer.echo(f"{_count(errors, 'error')}, {_count(len(problems) - errors, 'warning')}." if problems else "Everything is in order.")
    if errors:
        raise typer.Exit(1)


@app.command()
def gather(workspace: Folder = HERE, on: On = None, as_json: Json = False, dry_run: DryRun = False) -> None:
    """Read all sources; keep what is new or changed."""
    from digest import show
    from digest.gather import gather as gather_all

    with _open(workspace, on) as opened, opened.store.alone():
        report = gather_all(opened, show.note, dry_run=dry_run)
    _print_json(show.gathered_json(report)) if as_json else show.gathered(report, dry_run)
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

    with _open(workspace, on) as opened, opened.store.alone():
        report = issue.draft(opened, cadence, again=again)
    _print_json(report.model_dump(mode="json")) if as_json else show.drafted(report)


@app.command()
def approve(name: Issue, workspace: Folder = HERE, as_json: Json = False) -> None:
    """Approve an issue as it is now; any later change voids the approval."""
    from digest import issue

    with _open(workspace) as opened, opened.store.alone():
        content_hash = issue.approve(opened, name)
    _print_json({"issue": name, "content_hash": content_hash}) if as_json else typer.echo(f"Approved {name}, content {content_hash[:12]}.")


@app.command()
def send(name: Issue, workspace: Folder = HERE, on: On = None, as_json: Json = False, dry_run: DryRun = False) -> None:
    """Plan an issue if need be and hand over whatever is ready; safe to repeat."""
    from digest import dispatch, explain, show

    with _open(workspace, on) as opened:
        if dry_run:
            report = explain.forecast_report(opened, name)
            _print_json(report) if as_json else show.forecast(report)
            return
        with opened.store.alone(), show.progress() as progress:
            sent = dispatch.send(opened, name, progress)
    _print_json(sent.model_dump(mode="json")) if as_json else show.sent(sent)


@app.command()
def run(cadence: Cadence, workspace: Folder = HERE, on: On = None, as_json: Json = False) -> None:
    """The main job: gather, draft, compose, dispatch, report."""
    from digest import jobs, show

    with _open(workspace, on) as opened, opened.store.alone(), show.progress() as progress:
        report = jobs.run(opened, cadence, progress)
    _print_json(report.model_dump(mode="json")) if as_json else show.ran(report)


@app.command()
def status(
    name: Annotated[str | None, typer.Argument(help="An issue; without one, the whole workspace.")] = None,
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """How an issue stands; without one: sources, readers and issues."""
    from digest import dispatch, jobs, show

    with _open(workspace) as opened:
        if name is None:
            overview = jobs.overview(opened)
            _print_json(overview.model_dump(mode="json")) if as_json else show.overview(overview)
        else:
            report = dispatch.status(opened, name)
            _print_json(report.model_dump(mode="json")) if as_json else show.status(report)


@app.command()
def why(
    address: Annotated[str, typer.Argument(help="A subscriber's address.")], name: Issue, workspace: Folder = HERE, as_json: Json = False
) -> None:
    """For each summary of an issue: why this reader gets it or not."""
    from digest import explain, show

    with _open(workspace) as opened:
        report = explain.why(opened, address, name)
    _print_json(report.model_dump(mode="json")) if as_json else show.why(report)


@app.command()
def coverage(name: Issue, workspace: Folder = HERE, as_json: Json = False) -> None:
    """What became of each summary of an issue: sent to how many, or why not."""
    from digest import explain, show

    with _open(workspace) as opened:
        rows = explain.coverage(opened, name)
    _print_json({"summaries": [row.model_dump(mode="json") for row in rows]}) if as_json else show.coverage(name, rows, opened.zone)


@interests_app.command("list")
def interests_list(workspace: Folder = HERE, as_json: Json = False) -> None:
    """The tree of interests, with how many active readers follow each and how many summaries each takes."""
    from digest import explain, show

    with _open(workspace) as opened:
        rows = explain.interest_table(opened)
    _print_json([row.model_dump(mode="json") for row in rows]) if as_json else show.interests(rows)


@interests_app.command("test")
def interests_test(
    interest: Annotated[str | None, typer.Argument(help="One interest; without it, all.")] = None,
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Which gathered summaries each interest takes, and by which part of its rule."""
    from digest import explain, show

    with _open(workspace) as opened:
        rows = explain.interest_tests(opened, interest)
    _print_json([row.model_dump(mode="json") for row in rows]) if as_json else show.interest_tests(rows)


@subscribers_app.command("import")
def subscribers_import(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a header row; only email is required.")],
    workspace: Folder = HERE,
    encoding: Annotated[str | None, typer.Option(help="The file's encoding, where it is not UTF-8.")] = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Bring a subscriber file in. Never revives who left, never lowers a consent record."""
    from digest import interests, show
    from digest.subscribe import import_file

    with _open(workspace) as opened, opened.store.alone():
        report = import_file(opened, file, interests.load(workspace), encoding=encoding, dry_run=dry_run)
    _print_json(report.model_dump(mode="json")) if as_json else show.imported(report)
    if any(problem.severity == "error" for problem in report.problems):
        raise typer.Exit(1)


@subscribers_app.command("export")
def subscribers_export(
    workspace: Folder = HERE,
    file: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file, readable by you alone; else to stdout.")] = None,
    as_json: Json = False,
) -> None:
    """Write all subscribers as a file that imports again. It holds health data: keep it safe."""
    from digest.store import people
    from digest.subscribe import export_rows

    with _open(workspace) as opened, opened.store.read() as tx:
        everyone = (person.subscriber for person in people.everyone(tx, opened.store.vault))
        text = io.StringIO()
        if as_json:
            text.write(json.dumps([one.model_dump(mode="json") for one in everyone], indent=2, ensure_ascii=False) + "\n")
        else:
            csv.writer(text, lineterminator="\r\n").writerows(export_rows(everyone))
    if file is None:
        sys.stdout.write(text.getvalue())
        return
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8", newline="") as out:
        out.write(text.getvalue())


@subscribers_app.command("list")
def subscribers_list(
    workspace: Folder = HERE,
    addresses: Annotated[bool, typer.Option("--addresses", help="Spell the addresses out.")] = False,
    as_json: Json = False,
) -> None:
    """Everybody on the list; addresses are masked unless asked for."""
    from digest import show
    from digest.addresses import masked
    from digest.store import people

    with _open(workspace) as opened, opened.store.read() as tx:
        rows = [
            person.subscriber if addresses else person.subscriber.model_copy(update={"email": masked(person.subscriber.email), "name": ""})
            for person in people.everyone(tx, opened.store.vault)
        ]
    _print_json([row.model_dump(mode="json") for row in rows]) if as_json else show.subscribers(rows)


def _count(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"
