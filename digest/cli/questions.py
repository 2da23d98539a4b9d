"""How things stand, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from digest.cli.base import HERE, Folder, Issue, Json, app, interests_app, open_, print_json


@app.command()
def status(
    name: Annotated[str | None, typer.Argument(help="An issue; without one, the whole workspace.")] = None,
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """How an issue stands; without one: sources, readers and issues."""
    from digest import dispatch, jobs, show

    with open_(workspace) as opened:
        if name is None:
            overview = jobs.overview(opened)
            print_json(overview.model_dump(mode="json")) if as_json else show.overview(overview)
        else:
            report = dispatch.status(opened, name)
            if report.state == "approved":  # the state stays when what was approved has changed
                from digest.desk import compare

                report = report.model_copy(update={"approved": compare.holds(opened, name)})
            print_json(report.model_dump(mode="json")) if as_json else show.status(report)


@app.command()
def why(
    address: Annotated[str, typer.Argument(help="A subscriber's address.")], name: Issue, workspace: Folder = HERE, as_json: Json = False
) -> None:
    """For each summary of an issue: why this reader gets it or not."""
    from digest import explain, show

    with open_(workspace) as opened:
        report = explain.why(opened, address, name)
    print_json(report.model_dump(mode="json")) if as_json else show.why(report)


@app.command()
def coverage(name: Issue, workspace: Folder = HERE, as_json: Json = False) -> None:
    """What became of each summary of an issue: sent to how many, or why not."""
    from digest import explain, show

    with open_(workspace) as opened:
        rows = explain.coverage(opened, name)
    print_json({"summaries": [row.model_dump(mode="json") for row in rows]}) if as_json else show.coverage(name, rows, opened.zone)


@interests_app.command("list")
def interests_list(workspace: Folder = HERE, as_json: Json = False) -> None:
    """The tree of interests, with how many active readers follow each and how many summaries each takes."""
    from digest import explain, show

    with open_(workspace) as opened:
        rows = explain.interest_table(opened)
    print_json([row.model_dump(mode="json") for row in rows]) if as_json else show.interests(rows)


@interests_app.command("test")
def interests_test(
    interest: Annotated[str | None, typer.Argument(help="One interest; without it, all.")] = None,
    rule: Annotated[str, typer.Option("--rule", help="Try this rule in place of its own: '{tag: gut}'.")] = "",
    workspace: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Which gathered summaries each interest takes, and by which part of its rule."""
    from digest import explain, show

    if rule:
        if interest is None:
            raise typer.BadParameter("name the interest whose rule it would be")
        from digest import show_lists
        from digest.admin import interest_lists
        from digest.admin import interest_moves as moves

        new = moves.parse_rule(rule)
        with open_(workspace) as opened:
            shown = interest_lists.show(opened, interest_lists.propose(opened, lambda lists: moves.rule(lists, interest, new)))
        print_json(shown.model_dump(mode="json")) if as_json else show_lists.effects(shown)
        return

    with open_(workspace) as opened:
        rows = explain.interest_tests(opened, interest)
    print_json([row.model_dump(mode="json") for row in rows]) if as_json else show.interest_tests(rows)
