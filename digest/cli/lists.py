"""Changing the interest lists: shown first, then made, recorded, and taken back if need be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.base import HERE, DryRun, Folder, Json, On, interests_app, open_, print_json, write_private
from digest.errors import ConfigError

if TYPE_CHECKING:
    from digest.admin.interest_moves import Lists, Proposal
    from digest.workspace import Workspace

Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]
Id = Annotated[str, typer.Argument(help="An interest's id.")]
Under = Annotated[str | None, typer.Option("--parent", help="Under which interest; else at the top.")]
RuleText = Annotated[str, typer.Option("--rule", help="A rule as in interests.yaml: '{tag: gut}'.")]


def _settle(opened: Workspace, proposal: Proposal, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Show what would happen, ask, do it."""
    from digest import show_lists
    from digest.admin import interest_lists

    shown = interest_lists.show(opened, proposal)
    if not as_json:
        show_lists.effects(shown)
    if dry_run:
        print_json(shown.model_dump(mode="json")) if as_json else typer.echo("Nothing was changed.")
        return
    if not yes and not typer.confirm("Do this?"):
        typer.echo("Nothing was changed.")
        raise typer.Exit(1)
    made = interest_lists.make(opened, proposal, shown)
    if as_json:
        print_json({**shown.model_dump(mode="json"), **made.model_dump(mode="json")})
    else:
        typer.echo(f"Done: {made.what}. The choices of {made.readers} readers were written. `digest interests undo` takes it back.")


def _change(workspace: Path, change: Callable[[Lists], Proposal], *, dry_run: bool, yes: bool, as_json: bool) -> None:
    from digest.admin import interest_lists

    with open_(workspace) as opened:
        _settle(opened, interest_lists.propose(opened, change), dry_run=dry_run, yes=yes, as_json=as_json)


@interests_app.command("tree")
def interests_tree(
    months: Annotated[int, typer.Option(min=1, max=60, help="How many months back.")] = 6,
    dead: Annotated[int, typer.Option("--dead", min=1, max=60, help="Dead is what had no piece for so many months.")] = 6,
    overlap: Annotated[bool, typer.Option("--overlap", help="Which interests are followed together.")] = False,
    workspace: Folder = HERE,
    on: On = None,
    as_json: Json = False,
) -> None:
    """The tree with readers, pieces by month, and what is dead."""
    from digest import show_lists
    from digest.admin import tree

    with open_(workspace, on) as opened:
        found = tree.tree(opened, months, dead)
    print_json(found.model_dump(mode="json")) if as_json else show_lists.tree(found, overlap)


@interests_app.command("create")
def interests_create(
    id: Id,
    label: Annotated[str, typer.Option("--label", help="What readers see.")],
    rule: Annotated[str, typer.Option("--rule", help="A rule as in interests.yaml: '{tag: gut}'.")] = "",
    parent: Under = None,
    description: Annotated[str, typer.Option("--description", help="One line that says what somebody will get.")] = "",
    workspace: Folder = HERE,
    yes: Yes = False,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """A new interest."""
    from digest.admin import interest_moves as moves
    from digest.model import Rule

    new = moves.parse_rule(rule) if rule else Rule()
    _change(
        workspace,
        lambda lists: moves.create(lists, id, label, new, parent=parent, description=description),
        dry_run=dry_run,
        yes=yes,
        as_json=as_json,
    )


@interests_app.command("rule")
def interests_rule(
    id: Id, rule: RuleText, workspace: Folder = HERE, yes: Yes = False, as_json: Json = False, dry_run: DryRun = False
) -> None:
    """Give an interest another rule; which pieces come and go is shown first."""
    from digest.admin import interest_moves as moves

    new = moves.parse_rule(rule)
    _change(workspace, lambda lists: moves.rule(lists, id, new), dry_run=dry_run, yes=yes, as_json=as_json)


@interests_app.command("label")
def interests_label(
    id: Id,
    text: Annotated[str, typer.Argument(help="The label; empty, with --language, takes a translation away.")],
    language: Annotated[str, typer.Option("--language", help="Of which language, e.g. de; else the newsletter's own.")] = "",
    workspace: Folder = HERE,
    yes: Yes = False,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Another label, or its translation."""
    from digest.admin import interest_moves as moves

    _change(workspace, lambda lists: moves.label(lists, id, text, language), dry_run=dry_run, yes=yes, as_json=as_json)


@interests_app.command("rename")
def interests_rename(
    id: Id,
    new_id: Annotated[str, typer.Argument(help="The new id.")],
    workspace: Folder = HERE,
    yes: Yes = False,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Another id; the old one goes on meaning the same."""
    from digest.admin import interest_moves as moves

    _change(workspace, lambda lists: moves.rename(lists, id, new_id), dry_run=dry_run, yes=yes, as_json=as_json)


@interests_app.command("move")
def interests_move(
    id: Id, parent: Under = None, workspace: Folder = HERE, yes: Yes = False, as_json: Json = False, dry_run: DryRun = False
) -> None:
    """Another place in the tree; who followed what it stood under follows it by itself then."""
    from digest.admin import interest_moves as moves

    _change(workspace, lambda lists: moves.move(lists, id, parent), dry_run=dry_run, yes=yes, as_json=as_json)


@interests_app.command("merge")
def interests_merge(
    id: Id,
    into: Annotated[str, typer.Argument(help="The interest that stays, and takes what either took.")],
    workspace: Folder = HERE,
    yes: Yes = False,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Make one interest of two; whoever followed either follows it."""
    from digest.admin import interest_moves as moves

    _change(workspace, lambda lists: moves.merge(lists, id, into), dry_run=dry_run, yes=yes, as_json=as_json)


@interests_app.command("split")
def interests_split(
    id: Id,
    part: Annotated[
        list[str], typer.Option("--part", metavar="ID=RULE", help="A part: its id and rule, 'diet={tag: diet}'; again for each.")
    ],
    label: Annotated[list[str] | None, typer.Option("--label", metavar="ID=LABEL", help="A part's label; else its id.")] = None,
    workspace: Folder = HERE,
    yes: Yes = False,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Split parts off an interest, which keeps the rest; whoever followed it follows every part too."""
    from digest.admin import interest_moves as moves

    labels = dict(_pair(text, "--label") for text in label or ())
    rules = [(name, moves.parse_rule(text)) for name, text in (_pair(text, "--part") for text in part)]
    if strange := set(labels) - {name for name, _ in rules}:
        raise typer.BadParameter(f"--label names {', '.join(sorted(strange))}, which is no --part")
    parts = [(name, labels.get(name, name.replace("-", " ").capitalize()), rule) for name, rule in rules]
    _change(workspace, lambda lists: moves.split(lists, id, parts), dry_run=dry_run, yes=yes, as_json=as_json)


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, rest = text.partition("=")
    if not equals or not name.strip() or not rest.strip():
        raise typer.BadParameter(f'{option} takes ID=…, not "{text}"')
    return name.strip(), rest.strip()


@interests_app.command("retire")
def interests_retire(
    id: Id,
    successor: Annotated[str | None, typer.Option("--successor", help="What is named in its place.")] = None,
    workspace: Folder = HERE,
    yes: Yes = False,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Offer an interest to nobody new; who follows it goes on getting what it takes."""
    from digest.admin import interest_moves as moves

    _change(workspace, lambda lists: moves.retire(lists, id, successor), dry_run=dry_run, yes=yes, as_json=as_json)


@interests_app.command("undo")
def interests_undo(workspace: Folder = HERE, yes: Yes = False, as_json: Json = False, dry_run: DryRun = False) -> None:
    """Take the last change back; readers have again what they chose before it, and keep what they chose since."""
    from digest.admin import interest_lists

    with open_(workspace) as opened:
        _settle(opened, interest_lists.undo(opened), dry_run=dry_run, yes=yes, as_json=as_json)


@interests_app.command("history")
def interests_history(workspace: Folder = HERE, as_json: Json = False) -> None:
    """Every change of the lists: when, who, what, whose choices."""
    from digest import show_lists
    from digest.admin import interest_lists

    with open_(workspace) as opened:
        rows = interest_lists.history(opened)
    if as_json:
        print_json([{**row._asdict(), "steps": row.steps.model_dump(mode="json")} for row in rows])
    else:
        show_lists.history(rows)


@interests_app.command("compare")
def interests_compare(workspace: Folder = HERE, as_json: Json = False) -> None:
    """The file beside what the database has; exit 1 where they differ."""
    from digest import show_lists
    from digest.admin import interest_lists

    with open_(workspace) as opened:
        found = interest_lists.compare(opened)
    print_json(found.model_dump(mode="json")) if as_json else show_lists.difference(found)
    if not found.same:
        raise typer.Exit(1)


@interests_app.command("use-file")
def interests_use_file(workspace: Folder = HERE, yes: Yes = False, as_json: Json = False, dry_run: DryRun = False) -> None:
    """The file counts, as somebody edited it by hand; refused where readers follow what it has no more."""
    from digest.admin import interest_lists

    with open_(workspace) as opened:
        _settle(opened, interest_lists.use_file(opened), dry_run=dry_run, yes=yes, as_json=as_json)


@interests_app.command("use-database")
def interests_use_database(workspace: Folder = HERE, yes: Yes = False, as_json: Json = False, dry_run: DryRun = False) -> None:
    """What the database has is written over the file."""
    from digest.admin import interest_lists

    with open_(workspace) as opened:
        _settle(opened, interest_lists.use_database(opened), dry_run=dry_run, yes=yes, as_json=as_json)


@interests_app.command("import")
def interests_import(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Interest lists in YAML.")],
    workspace: Folder = HERE,
    yes: Yes = False,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Take other lists in the place of these, whole."""
    from digest.admin import interest_lists

    try:
        text = file.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file.name}: cannot be read: {error}") from error
    with open_(workspace) as opened:
        interest_lists.load(opened)
        _settle(opened, interest_lists.use_file(opened, text), dry_run=dry_run, yes=yes, as_json=as_json)


@interests_app.command("export")
def interests_export(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file; else to stdout.")] = None,
    workspace: Folder = HERE,
) -> None:
    """Write the lists as the file that they are."""
    from digest import unfinished

    text = unfinished.read(workspace)
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_private(output, text)
