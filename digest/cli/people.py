"""The list of readers."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from digest.cli.base import HERE, DryRun, Folder, Json, open_, print_json, subscribers_app, write_private
from digest.errors import DigestError


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

    with open_(workspace) as opened, opened.store.alone():
        report = import_file(opened, file, interests.load(workspace), encoding=encoding, dry_run=dry_run)
    print_json(report.model_dump(mode="json")) if as_json else show.imported(report)
    if any(problem.severity == "error" for problem in report.problems):
        raise typer.Exit(1)


@subscribers_app.command("export")
def subscribers_export(
    address: Annotated[str | None, typer.Argument(metavar="[ADDRESS]", help="Everything about this person only, as `show` does.")] = None,
    workspace: Folder = HERE,
    file: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file, readable by you alone; else to stdout.")] = None,
    as_json: Json = False,
) -> None:
    """Write all subscribers as a file that imports again. It holds health data: keep it safe."""
    from digest import audit
    from digest.store import people
    from digest.subscribe import export_rows

    if address is not None:
        subscribers_show(address, workspace)
        return
    with open_(workspace) as opened:
        with opened.store.read() as tx:
            everyone = (person.subscriber for person in people.everyone(tx, opened.store.vault))
            text = io.StringIO()
            if as_json:
                text.write(json.dumps([one.model_dump(mode="json") for one in everyone], indent=2, ensure_ascii=False) + "\n")
            else:
                csv.writer(text, lineterminator="\r\n").writerows(export_rows(everyone))
        audit.note(opened, "readers.export", "")
    if file is None:
        sys.stdout.write(text.getvalue())
        return
    write_private(file, text.getvalue())


@subscribers_app.command("list")
def subscribers_list(
    workspace: Folder = HERE,
    addresses: Annotated[bool, typer.Option("--addresses", help="Spell the addresses out.")] = False,
    as_json: Json = False,
) -> None:
    """Everybody on the list; addresses are masked unless asked for."""
    from digest import audit, show
    from digest.addresses import masked
    from digest.store import people

    with open_(workspace) as opened:
        with opened.store.read() as tx:
            rows = [
                person.subscriber
                if addresses
                else person.subscriber.model_copy(update={"email": masked(person.subscriber.email), "name": ""})
                for person in people.everyone(tx, opened.store.vault)
            ]
        if addresses:
            audit.note(opened, "readers.list", "", readers=len(rows))
    print_json([row.model_dump(mode="json") for row in rows]) if as_json else show.subscribers(rows)


Person = Annotated[str, typer.Argument(metavar="ADDRESS", help="Their address, or - to read it from stdin; it never stands in a log.")]


def _address(text: str) -> str:
    return sys.stdin.readline().strip() if text == "-" else text


@subscribers_app.command("show")
def subscribers_show(address: Person, workspace: Folder = HERE) -> None:
    """Print everything kept about one person, as JSON: what they chose, agreed to, and were sent."""
    from digest import audit, readers

    with open_(workspace) as opened:
        try:
            found = readers.data_of_address(opened, _address(address))
        except ValueError as error:
            raise DigestError(f"the address {error}") from error
        if found is not None:
            audit.note(opened, "readers.show", found["subscriber"]["id"])
    if found is None:
        raise DigestError("nobody on the list has that address")
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
