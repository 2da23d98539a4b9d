"""How results look on a terminal: tables on stdout, progress on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:  # whoever has one of these to show has imported it
    from rich.progress import TaskID

    from digest.bench import Benched
    from digest.dispatch import SendReport, StatusReport
    from digest.explain import Covered, InterestLine, InterestTest, Why
    from digest.gather import GatherReport
    from digest.handover import Progress
    from digest.issue import DraftReport
    from digest.jobs import Overview, RunReport
    from digest.model import Subscriber
    from digest.operate import Held
    from digest.rehearsal import Rehearsed
    from digest.subscribe import Import

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False)


def note(text: str) -> None:
    """A word of progress."""
    err.print(f"[dim]{escape(text)}[/dim]")


_STAGES = {"gather": "gathering", "draft": "drafting", "plan": "choosing for each reader", "send": "handing over"}


@contextmanager
def progress() -> Iterator[Callable[[Progress], None]]:
    """A bar for each stage on a terminal; elsewhere a line when a stage begins."""
    from rich.progress import Progress as Bar

    with Bar(console=err, transient=True, disable=not err.is_terminal) as bar:
        tasks: dict[str, TaskID] = {}

        def report(step: Progress) -> None:
            stage = _STAGES.get(step.stage, step.stage)
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=step.total)
                if not err.is_terminal:
                    note(stage)
            bar.update(tasks[stage], completed=step.done, total=step.total)

        yield report


def new_table(*columns: str, numbers: Sequence[str] = ()) -> Table:
    """A table without lines; the columns among ``numbers`` stand to the right."""
    table = Table(box=None, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    return table


def plural(n: int, one: str, many: str | None = None) -> str:
    """``1 piece``, ``2 pieces``."""
    return f"{n} {one}" if n == 1 else f"{n} {many or one + 's'}"


def gathered_json(report: GatherReport) -> dict[str, Any]:
    """The documented JSON of ``digest gather``."""
    return {
        "new": report.new,
        "changed": report.changed,
        "refused": report.refused,
        "sources": [
            {
                **source.model_dump(mode="json", exclude={"refusals"}),
                "refused": source.refused,
                "refusals": [refusal.model_dump() for refusal in source.refusals],
                "error": source.error or None,
            }
            for source in report.sources
        ],
    }


def gathered(report: GatherReport, dry_run: bool = False) -> None:
    """What each source gave, and what was refused."""
    table = new_table("source", "new", "changed", "also at", "refused", "", numbers=("new", "changed", "also at", "refused"))
    for source in report.sources:
        word = source.error or source.warning or ("not modified" if source.unchanged else "")
        table.add_row(source.name, str(source.new), str(source.changed), str(source.also), str(source.refused), escape(word))
    out.print(table)
    _refusals(report)
    verb = "Would have gathered" if dry_run else "Gathered"
    out.print(f"{verb} {plural(report.new, 'new summary', 'new summaries')}, {report.changed} changed, {report.refused} refused.")


def _refusals(report: GatherReport) -> None:
    for source in report.sources:
        for refusal in source.refusals:
            out.print(f"  {escape(source.name)}: {escape(refusal.ref)}: {escape(refusal.reason)}")


def drafted(report: DraftReport) -> None:
    """A draft in a few lines, and what to do next."""
    word = f"is {report.state} already" if report.existed else "drafted"
    out.print(f"[bold]{report.issue}[/bold] {word}: {plural(report.members, 'summary', 'summaries')}")
    out.print(f"  window  after {report.opens_after:%Y-%m-%d %H:%M} up to {report.due_at:%Y-%m-%d %H:%M} UTC")
    out.print(f"  waiting {report.future} dated later, {report.held} held back, {report.archive} archive")
    out.print(f"  content {report.content_hash[:12]}")
    for name in report.unsent:
        out.print(f"[yellow]{name} is drafted and has not been sent; what it holds is in no later issue[/yellow]")
    for name in report.expired:
        out.print(f"[yellow]{name} was never sent and has expired; what it held is in this issue[/yellow]")
    if report.carried:
        out.print(f"  carried {report.carried} more, only for readers who changed to this cadence or missed an issue")
    if report.approval == "required" and report.state in ("drafted", "in_review"):
        out.print(f"Next: `digest approve {report.issue}`, then `digest send {report.issue}`.")
    elif report.state in ("drafted", "in_review", "approved"):
        out.print(f"Next: `digest send {report.issue}`.")


def forecast(report: Mapping[str, object]) -> None:
    """What a send would do."""
    out.print(
        f"{report['issue']} would go to {report['readers']} readers in {report['editions']} editions; nothing for {report['nothing_for']}."
    )
    out.print("Nothing was changed.")


def status(report: StatusReport) -> None:
    """The sum of states, and the reasons of what was not accepted."""
    head = f"[bold]{report.issue}[/bold] {report.state}"
    if report.state == "approved" and not report.approved:
        head += f" before, not as it is now: `digest compare {report.issue} --approved` tells why"
    if report.state == "finished" and report.held:
        head += f" with {report.held} held: `digest held {report.issue}` lists them"
    if report.paused:
        head += f", paused ({escape(report.paused)})"
    out.print(head)
    table = new_table("", "deliveries", numbers=("deliveries",))
    for name in ("planned", "accepted", "ready", "inflight", "uncertain", "held", "failed", "skipped", "quarantined", "expired"):
        if name == "planned" or getattr(report, name):
            table.add_row(name, str(getattr(report, name)))
    out.print(table)
    for reason, count in report.reasons.items():
        out.print(f"  {count} {escape(reason)}")
    for lease in report.leases:
        until = f"[red]stalled since {lease.lease_until:%H:%M} UTC[/red]" if lease.stalled else f"until {lease.lease_until:%H:%M} UTC"
        out.print(f"  {escape(lease.owner)} has {plural(lease.deliveries, 'delivery', 'deliveries')} in hand, {until}")
    if report.rate_per_minute and report.ready:
        left = f", about {plural(report.minutes_left, 'minute')} left" if report.minutes_left else ""
        out.print(f"{report.rate_per_minute} in the last minute{left}")
    if report.contradictions:
        out.print(f"[red]{plural(report.contradictions, 'contradiction')}: somebody may have got two copies[/red]")
    out.print(
        f"{plural(report.editions, 'edition')}, a message is {round(report.mean_bytes / 1024)} KB on average, "
        f"the largest HTML {round(report.largest_html_bytes / 1024)} KB; content {report.content_hash[:12]}"
    )


def sent(report: SendReport) -> None:
    """What a send did."""
    if report.finished_before:
        out.print(f"{report.status.issue} was finished before; nothing is left to hand over.")
    else:
        out.print(f"Handed over {report.handed_over}" + (f", settled {report.resolved} of an earlier run" if report.resolved else "") + ".")
    status(report.status)
    if report.waits:
        out.print(f"[yellow]{escape(report.waits)}[/yellow]")
    if report.open:
        out.print(f"Open {escape(report.open)} in a browser.")


def ran(report: RunReport) -> None:
    """The summary table of a run."""
    for done in report.imported:
        imported(done)
    if report.nothing_new and report.sent:
        out.print(
            f"There is nothing new: {report.sent.status.issue} is finished, {report.sent.status.accepted} messages; nothing was changed."
        )
        if report.sent.open:
            out.print(f"Open {escape(report.sent.open)} in a browser.")
        return
    for source in report.gathered.sources:
        if source.error or source.warning:
            out.print(f"[yellow]source {escape(source.name)}: {escape(source.error or source.warning)}[/yellow]")
    _refusals(report.gathered)
    table = new_table("step", "count", "", numbers=("count",))
    table.add_row(
        "gathered", str(report.gathered.new), f"new summaries; {report.gathered.changed} changed, {report.gathered.refused} refused"
    )
    table.add_row(
        "in the issue",
        str(report.draft.members),
        f"{report.draft.issue}; {report.draft.future} dated later, {report.draft.archive} archive",
    )
    if report.sent is not None:
        _sent_rows(table, report.sent)
    out.print(table)
    if report.waits:
        out.print(f"[yellow]{escape(report.waits)}[/yellow]")
    elif report.sent and report.sent.open:
        out.print(f"\nOpen [bold]{escape(report.sent.open)}[/bold] in a browser.")


def rehearsed(report: Rehearsed) -> None:
    """What a run would do."""
    for source in report.gathered.sources:
        if source.error or source.warning:
            out.print(f"[yellow]source {escape(source.name)}: {escape(source.error or source.warning)}[/yellow]")
    table = new_table("step", "count", "", numbers=("count",))
    table.add_row("would gather", str(report.gathered.new), f"new summaries; {report.gathered.changed} changed")
    table.add_row("in the issue", str(report.draft.members), f"{report.draft.issue}; {report.draft.future} dated later")
    if (stands := report.status) is not None:
        table.add_row("would plan" if stands.state == "sending" else "planned", str(stands.planned), f"readers, {stands.editions} editions")
        told = {"outbox": "written to the outbox", "smtp": "sent by smtp", "sendgrid": "sent by sendgrid"}[report.provider]
        table.add_row("messages", str(report.messages), f"would be {told}; {stands.accepted} were before")
        if report.kept_back:
            table.add_row("kept back", str(report.kept_back), "addresses that delivery.allow does not name")
        for reason, count in stands.reasons.items():
            table.add_row("", str(count), escape(reason))
        if report.rendered:
            sizes = f"{round(report.mean_bytes / 1024)} KB on average, the largest {round(report.largest_bytes / 1024)} KB"
            table.add_row("rendered", str(report.rendered), f"one message of each edition, {sizes}")
    out.print(table)
    if report.waits:
        out.print(f"[yellow]{escape(report.waits)}[/yellow]")
    out.print("Nothing was written and nothing sent.")


def benched(report: Benched) -> None:
    """How fast it is."""
    table = new_table("", "", "", numbers=())
    each = f"{round(report.mean_message_bytes / 1024)} KB each"
    taken = f"with the ledger, as for {report.provider}; {report.measured:,} measured"
    table.add_row("composed", f"{report.composed_per_s:,} a second", f"on one of {report.cores} processors, {each}")
    table.add_row("handed over", f"{report.handed_over_per_s:,} a second", taken)
    readers = f"{report.readers:,} readers, {report.editions:,} editions of {report.issue}"
    table.add_row("this list", _minutes(report.list_minutes), readers)
    table.add_row("", _minutes(report.limited_minutes), "with delivery.max_per_minute")
    html = f"{round(report.largest_html_bytes / 1024)} KB of HTML"
    share = f"{round(100 * report.largest_html_bytes / report.html_budget_bytes)} % of selection.max_html_kb"
    table.add_row("largest edition", html, f"{share}; the largest message {round(report.largest_message_bytes / 1024)} KB")
    out.print(table)
    out.print("Measured on a copy of the database; nothing was sent, and what a provider takes of it is the provider's.")


def _minutes(minutes: float) -> str:
    return "less than a minute" if minutes < 1 else f"{minutes:.0f} minutes"


def _sent_rows(table: Table, report: SendReport) -> None:
    stands = report.status
    table.add_row("planned", str(stands.planned), f"readers, {stands.state}")
    table.add_row("editions", str(stands.editions), f"largest {round(stands.largest_html_bytes / 1024)} KB of HTML")
    table.add_row("handed over", str(report.handed_over), f"{stands.accepted} accepted in all")
    for name in ("skipped", "failed", "held", "quarantined", "expired"):
        reasons = [f"{n} {reason.removeprefix(name + ': ')}" for reason, n in stands.reasons.items() if reason.startswith(name + ":")]
        if getattr(stands, name) or name == "skipped":
            table.add_row(name, str(getattr(stands, name)), escape(", ".join(reasons)))
    if stands.ready:
        table.add_row("still ready", str(stands.ready), escape(report.waits))


def held(rows: Sequence[Held]) -> None:
    """Uncertain hand-overs with all there is to go by."""
    if not rows:
        out.print("Nothing is held: of every hand-over the outcome is known.")
        return
    table = new_table("delivery", "issue", "reader", "handed over at (UTC)", "provider", "tries", "evidence", numbers=("tries",))
    for row in rows:
        at = f"{row.started_at:%Y-%m-%d %H:%M:%S}" if row.started_at else "-"
        table.add_row(row.did, row.issue, escape(row.reader), at, row.provider, str(row.attempts), escape(f"{row.evidence}; {row.reason}"))
    out.print(table)
    out.print(f"{plural(len(rows), 'delivery', 'deliveries')}. Decide with --treat-as-sent DID, --send-again DID or --all sent|again.")


def overview(report: Overview) -> None:
    """Sources, readers, issues."""
    table = new_table("source", "kind", "last read", "taken", "refused", "health", numbers=("taken", "refused"))
    for source in report.sources:
        if source.read_at is None:
            health = "never read"
        elif source.error:
            health = f"failed {plural(source.failures, 'time')} in a row: {source.error}"
        else:
            health = source.warning or "well"
        read = f"{source.read_at:%Y-%m-%d %H:%M}" if source.read_at else "-"
        table.add_row(source.name, source.kind, read, str(source.taken), str(source.refused), escape(health))
    out.print(table)
    for source in report.sources:
        for refusal in source.refusals:
            out.print(f"  {escape(source.name)}: {escape(refusal)}")
    people = ", ".join(f"{count} {word}" for word, count in sorted(report.subscribers.items())) or "none yet"
    out.print(f"\n{plural(report.summaries, 'summary', 'summaries')}; subscribers: {people}")
    for warning in report.warnings:
        out.print(f"[yellow]{escape(warning)}[/yellow]")
    for worker in report.workers:
        doing = f"at work on {escape(worker.doing)}" if worker.doing else "waiting for work"
        out.print(f"worker {escape(worker.name)}: " + (doing if worker.alive else f"[red]silent since {worker.beat_at:%H:%M} UTC[/red]"))
    if report.scheduler.heard_at:
        busy = f", busy since {report.scheduler.busy_since:%H:%M}" if report.scheduler.busy_since else ""
        out.print(f"scheduler: {report.scheduler.state}, last heard {report.scheduler.heard_at:%Y-%m-%d %H:%M:%S} UTC{busy}")
    for untold in report.scheduler.untold:
        out.print(f"[yellow]the editors could not be told: {escape(untold)}[/yellow]")
    if report.issues:
        out.print()
        lines = new_table("issue", "state", "planned", "accepted", "due (UTC)", numbers=("planned", "accepted"))
        for line in report.issues:
            lines.add_row(line.issue, line.state, str(line.planned), str(line.accepted), f"{line.due_at:%Y-%m-%d %H:%M}")
        out.print(lines)


def why(report: Why) -> None:
    """What one reader gets and why, and what not and why."""
    out.print(f"[bold]{report.issue}[/bold]: {report.state}" + (f" ({escape(report.reason)})" if report.reason else ""))
    for shown in (True, False):
        chosen = [verdict for verdict in report.verdicts if verdict.shown is shown]
        if chosen:
            out.print("\nin the email" if shown else "\nnot in the email")
        for verdict in chosen:
            out.print(f"  {escape(verdict.title)}\n    [dim]{escape(verdict.why)}[/dim]")


def coverage(name: str, rows: Sequence[Covered], zone: str) -> None:
    """Every summary of the range; dates are the newsletter's own."""
    table = new_table("published", "fate", "readers", "summary", numbers=("readers",))
    for row in rows:
        table.add_row(
            f"{row.published_at.astimezone(ZoneInfo(zone)):%Y-%m-%d}", row.fate.replace("_", " "), str(row.readers), escape(row.title)
        )
    out.print(table)
    out.print(f"{name}: {plural(len(rows), 'summary', 'summaries')} accounted for.")


def interests(rows: Sequence[InterestLine]) -> None:
    """The tree."""
    table = new_table("interest", "label", "followers", "summaries", numbers=("followers", "summaries"))
    for row in rows:
        table.add_row("  " * row.depth + row.id, escape(row.label), str(row.followers), str(row.takes))
    out.print(table)


def interest_tests(rows: Sequence[InterestTest]) -> None:
    """What each interest takes, and why."""
    for row in rows:
        through = f", {row.through_children} more through its children" if row.through_children else ""
        out.print(f"[bold]{row.id}[/bold] ({escape(row.label)}): {plural(len(row.takes), 'summary', 'summaries')}{through}")
        for taken in row.takes:
            out.print(f"  {escape(taken.title)}\n    [dim]{escape(taken.why)}[/dim]")


def imported(report: Import) -> None:
    """What an import did, and the lines it did not take."""
    for problem in report.problems:
        out.print(escape(str(problem)))
    verb = "Would import" if report.dry_run else "Imported"
    out.print(
        f"{verb} {plural(report.new, 'new subscriber')}, {report.changed} changed, {report.same} the same, "
        f"{report.kept} left as they are, {plural(report.refused, 'line')} not taken."
    )


def subscribers(rows: Sequence[Subscriber]) -> None:
    """Everybody in a table."""
    table = new_table("address", "status", "cadence", "interests", numbers=("interests",))
    for row in rows:
        table.add_row(escape(row.email), row.status.value, row.cadence, str(len(row.interests)))
    out.print(table)
    out.print(plural(len(rows), "subscriber"))
