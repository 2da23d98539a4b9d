"""The list of readers."""

from __future__ import annotations

import contextlib
import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.base import HERE, DryRun, Folder, Json, open_, print_json, private, subscribers_app
from digest.errors import DigestError

if TYPE_CHECKING:
    from digest.admin.segments import Filter
    from digest.workspace import Workspace


@subscribers_app.command("import")
def subscribers_import(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a header row; only email is required.")],
    workspace: Folder = HERE,
    encoding: Annotated[str | None, typer.Option(help="The file's encoding, where it is not UTF-8.")] = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="OURS=THEIRS", help="What the file calls a column, e.g. email=E-Mail; all others are passed over."),
    ] = None,
    delimiter: Annotated[str, typer.Option(help="What stands between the cells.")] = ",",
    report_file: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write each line that was not taken, and why, as CSV.")
    ] = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Bring a subscriber file in. Never revives who left, never lowers a consent record."""
    from digest import interests, show
    from digest.subscribe import import_file, problem_rows

    if len(delimiter) != 1:
        raise typer.BadParameter("--delimiter takes one character")
    columns = dict(_pair(text) for text in column or ())
    with open_(workspace) as opened, opened.store.alone():
        lists = interests.load(workspace)
        report = import_file(opened, file, lists, encoding=encoding, delimiter=delimiter, columns=columns, dry_run=dry_run)
    if report_file is not None:
        with private(report_file) as out:
            csv.writer(out, lineterminator="\r\n").writerows(problem_rows(report))
    print_json(report.model_dump(mode="json")) if as_json else show.imported(report)
    if any(problem.severity == "error" for problem in report.problems):
        raise typer.Exit(1)


def _pair(text: str) -> tuple[str, str]:
    ours, equals, theirs = text.partition("=")
    if not equals or not ours.strip() or not theirs.strip():
        raise typer.BadParameter(f'--map takes OURS=THEIRS, not "{text}"')
    return ours.strip().lower(), theirs.strip()


Segment = Annotated[str | None, typer.Option("--segment", metavar="NAME", help="A saved filter (`digest segments list`).")]
Following = Annotated[list[str] | None, typer.Option("--interest", metavar="ID", help="Who follows it; several: any of them.")]
OfCadence = Annotated[str, typer.Option("--cadence", help="Who gets the issues of this cadence.")]
OfStatus = Annotated[str, typer.Option("--status", help="active, pending, paused, unsubscribed or suppressed.")]
OfSource = Annotated[str | None, typer.Option("--source", help="Whose consent came from there, in the words it was recorded with.")]
OfLanguage = Annotated[str | None, typer.Option("--language", help="Who chose this language.")]
Older = Annotated[int | None, typer.Option("--consent-older", metavar="DAYS", min=0, help="Whose consent is older than so many days.")]
Newer = Annotated[int | None, typer.Option("--consent-newer", metavar="DAYS", min=0, help="Whose consent is of the last so many days.")]


def filter_of(
    opened: Workspace,
    segment: str | None,
    interest: list[str] | None,
    cadence: str,
    status: str,
    source: str | None,
    language: str | None,
    older: int | None,
    newer: int | None,
) -> Filter:
    """The saved filter, narrowed by what else is given."""
    from digest import interests
    from digest.admin import segments
    from digest.model import Status

    known = [one.value for one in Status if one is not Status.ERASED]
    if status and status not in known:
        raise typer.BadParameter(f'--status takes one of {", ".join(known)}, not "{status}"')
    base = segments.find(opened, segment) if segment else segments.Filter()
    given = {
        "interests": tuple(interest or ()),
        "cadence": cadence,
        "status": Status(status) if status else None,
        "source": source,
        "language": language,
        "consent_older_days": older,
        "consent_newer_days": newer,
    }
    empty = {"interests": (), "cadence": ""}  # elsewhere an empty word means those who have none
    narrowed = base.model_copy(update={key: value for key, value in given.items() if value != empty.get(key)})
    return segments.check(narrowed, interests.load(opened.path), tuple(opened.config.cadences))


@subscribers_app.command("export")
def subscribers_export(
    address: Annotated[str | None, typer.Argument(metavar="[ADDRESS]", help="Everything about this person only, as `show` does.")] = None,
    workspace: Folder = HERE,
    file: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file, readable by you alone; else to stdout.")] = None,
    segment: Segment = None,
    as_json: Json = False,
) -> None:
    """Write all subscribers as a file that imports again. It holds health data: keep it safe."""
    from digest import audit
    from digest.admin import segments
    from digest.subscribe import export_rows

    if address is not None:
        subscribers_show(address, workspace)
        return
    with open_(workspace) as opened:
        audit.note(opened, "readers.export", segment or "")
        chosen = segments.everyone(opened, segments.find(opened, segment) if segment else segments.Filter())
        with private(file) if file else contextlib.nullcontext(sys.stdout) as out:
            if as_json:
                started = False
                for place, one in enumerate(chosen):
                    out.write(("[\n" if place == 0 else ",\n") + json.dumps(one.model_dump(mode="json"), indent=2, ensure_ascii=False))
                    started = True
                out.write("\n]\n" if started else "[]\n")
            else:
                csv.writer(out, lineterminator="\r\n").writerows(export_rows(chosen))


@subscribers_app.command("list")
def subscribers_list(
    workspace: Folder = HERE,
    segment: Segment = None,
    interest: Following = None,
    cadence: OfCadence = "",
    status: OfStatus = "",
    source: OfSource = None,
    language: OfLanguage = None,
    older: Older = None,
    newer: Newer = None,
    limit: Annotated[int | None, typer.Option(min=1, max=1000, help="A page of so many; else all.")] = None,
    after: Annotated[int, typer.Option(min=0, help="Go on behind this row, which the page before named.")] = 0,
    addresses: Annotated[bool, typer.Option("--addresses", help="Spell the addresses out.")] = False,
    as_json: Json = False,
) -> None:
    """Everybody on the list, or who fits a filter; addresses are masked unless asked for."""
    from digest import audit, show
    from digest.addresses import masked
    from digest.admin import segments
    from digest.model import Subscriber

    def shown(one: Subscriber) -> Subscriber:
        return one if addresses else one.model_copy(update={"email": masked(one.email), "name": ""})

    with open_(workspace) as opened:
        chosen = filter_of(opened, segment, interest, cadence, status, source, language, older, newer)
        if limit is None:
            rows = [shown(one) for one in segments.everyone(opened, chosen)]
            on = None
        else:
            found = segments.page(opened, chosen, after, limit)
            rows, on = [shown(person.subscriber) for person in found.readers], found.next
        if addresses:
            audit.note(opened, "readers.list", "", readers=len(rows))
    data = [row.model_dump(mode="json") for row in rows]
    if as_json:
        print_json(data if limit is None else {"readers": data, "next": on})
        return
    show.subscribers(rows)
    if on is not None:
        typer.echo(f"More may follow: go on with --after {on}.")


Person = Annotated[
    str, typer.Argument(metavar="ADDRESS", help="Their address or id, or - to read it from stdin; it never stands in a log.")
]


def _address(text: str) -> str:
    return sys.stdin.readline().strip() if text == "-" else text


@subscribers_app.command("show")
def subscribers_show(address: Person, workspace: Folder = HERE) -> None:
    """Print everything kept about one person, as JSON: what they chose, agreed to, and were sent."""
    from digest import audit, readers

    with open_(workspace) as opened:
        who = _address(address)
        try:
            found = readers.data_of_address(opened, who) if "@" in who else readers.data_of(opened, who)
        except ValueError as error:
            raise DigestError(f"the address {error}") from error
        if found is not None:
            audit.note(opened, "readers.show", found["subscriber"]["id"])
    if found is None:
        raise DigestError("nobody on the list has that address or id")
    print_json(found)


@subscribers_app.command("forget")
def subscribers_forget(address: Person, workspace: Folder = HERE) -> None:
    """Erase one person: address, name, choices, requests. The ledger's sums stay; only their own new sign-up brings them back."""
    from digest import readers

    with open_(workspace) as opened:
        try:
            known = readers.forget_address(opened, _address(address))
        except ValueError as error:
            raise DigestError(f"the address {error}") from error
    typer.echo("Erased." if known else "Nobody on the list has that address; what anybody had asked for at it is gone.")
