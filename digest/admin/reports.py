"""Reports: how the list, the issues, the interests and the sources do, as tables with a picture each.

Nobody is followed about: opens and clicks are not counted at all. Groups of fewer than ten persons are hidden where they would
tell of them. Months are those of UTC.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from html import escape

from digest import csvfile
from digest import interests as listed
from digest.admin import chart
from digest.admin.chart import Chart, Series
from digest.admin.source_health import silence
from digest.admin.tree import by_month
from digest.config import Config
from digest.errors import ConfigError
from digest.interests import Interests
from digest.model import Frozen, Status, Summary
from digest.store import catalogue, figures
from digest.store.catalogue import SourceState
from digest.store.figures import Change, DomainFigures, IssueFigures, Leave
from digest.workspace import Workspace

FEWEST = 10
HIDDEN = "<10"
Cell = str | int | float
_STATUSES = tuple(one.value for one in Status)


class Report(Frozen):
    """A table, in words that need no picture, and what is drawn of it. ``note`` says what a reader of it must know."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    picture: Chart
    note: str = ""


def shown(count: int) -> Cell:
    """A number of persons, hidden where it is so small that it would tell of them."""
    return count if count == 0 or count >= FEWEST else HIDDEN


def drawn(cell: Cell) -> float | None:
    """What a picture shows of a cell."""
    return None if isinstance(cell, str) else float(cell)


def months_from(since: date, until: date) -> tuple[str, ...]:
    """The months of two dates and all between, as ``YYYY-MM``."""
    first, last = since.year * 12 + since.month - 1, until.year * 12 + until.month - 1
    return tuple(f"{n // 12:04d}-{n % 12 + 1:02d}" for n in range(first, last + 1))


# --- pure: from figures to tables ----------------------------------------------------------------------------------------


def readers_report(changes: Sequence[Change], months: Sequence[str]) -> Report:
    """How many readers of each status there were at the end of each month."""
    stands: Counter[str] = Counter()
    pending = sorted(changes, key=lambda one: one.month)
    rows: list[tuple[Cell, ...]] = []
    for month in months:
        while pending and pending[0].month <= month:
            one = pending.pop(0)
            stands[one.new] += one.readers
            if one.old:
                stands[one.old] -= one.readers
        rows.append((month, *(stands[status] for status in _STATUSES)))
    used = [n for n, status in enumerate(_STATUSES) if any(row[n + 1] for row in rows)]
    table: list[tuple[Cell, ...]] = [(row[0], *(row[n + 1] for n in used)) for row in rows]
    return _over_months("readers", "Readers by status, at the end of each month", months, [_STATUSES[n] for n in used], table)


def interests_report(planned: Iterable[tuple[str, str, datetime, str, int]], interests: Interests, months: Sequence[str]) -> Report:
    """How many readers followed each interest, as each cadence's last issue of a month was planned."""
    last: dict[tuple[str, str], str] = {}
    counts: dict[str, Counter[str]] = {}
    for cadence, issue, due_at, text, count in planned:
        last[f"{due_at:%Y-%m}", cadence] = issue  # they come in order
        mine = counts.setdefault(issue, Counter())
        for id in interests.today(text.split(";")):
            mine[id] += count
    sums: dict[str, Counter[str]] = {month: Counter() for month in months}
    for (month, _), issue in last.items():
        if month in sums:
            sums[month] += counts[issue]
    ids = [one.id for one in interests.all]
    ids.sort(key=lambda id: -max((found[id] for found in sums.values()), default=0))
    table = tuple((month, *(shown(sums[month][id]) for id in ids)) for month in months)
    note = f"As each cadence's last issue of the month was planned. Groups under {FEWEST} are hidden."
    return _over_months("interests", "Readers who follow each interest", months, ids, table, note)


def joins_report(joined: Iterable[tuple[str, str, int]], left: Iterable[Leave], months: Sequence[str]) -> Report:
    """Who came and who left, by where from, by which way and why."""
    rows: list[tuple[Cell, ...]] = []
    came: Counter[str] = Counter()
    went: Counter[str] = Counter()
    lines: Counter[tuple[str, str, str]] = Counter()
    for month, source, count in joined:
        came[month] += count
        lines[month, "joined", source or "not recorded"] += count
    for one in left:
        went[one.month] += one.readers
        lines[one.month, "left", f"{one.how}: {one.reason}" if one.reason else one.how] += one.readers
    for month in months:
        for what in ("joined", "left"):
            total = (came if what == "joined" else went)[month]
            if not total:
                continue
            rows.append((month, what, "all", total))
            rows += [(month, what, words, shown(count)) for (m, w, words), count in sorted(lines.items()) if (m, w) == (month, what)]
    picture = Chart(
        kind="bars",
        labels=tuple(months),
        series=(
            Series(name="joined", values=tuple(map(float, (came[m] for m in months)))),
            Series(name="left", values=tuple(map(float, (went[m] for m in months)))),
        ),
    )
    return Report(
        name="joins",
        title="Readers who joined and left, by month",
        columns=("month", "what", "where from, or how and why", "readers"),
        rows=tuple(rows),
        picture=picture,
        note=f"Groups under {FEWEST} are hidden, the sums are not.",
    )


def deliveries_report(issues: Sequence[IssueFigures]) -> Report:
    """What became of each issue's messages."""
    states = [
        state
        for state in ("accepted", "failed", "held", "uncertain", "skipped", "quarantined", "expired", "ready")
        if any(one.states.get(state) for one in issues)
    ]
    rows = tuple((one.issue, *(one.states.get(state, 0) for state in states), one.delivered, one.bounced, one.complained) for one in issues)
    drawn_of = ("accepted", "failed")
    series = tuple(Series(name=state, values=tuple(float(one.states.get(state, 0)) for one in issues)) for state in drawn_of)
    series += (Series(name="bounced", values=tuple(float(one.bounced) for one in issues)),)
    return Report(
        name="deliveries",
        title="Messages of each issue",
        columns=("issue", *states, "said to be delivered", "bounced", "complained of"),
        rows=rows,
        picture=Chart(kind="bars", labels=tuple(f"{one.due_at:%m-%d}" for one in issues), series=series),
        note="Delivered is what the provider said later; not every provider does.",
    )


def domains_report(found: Sequence[DomainFigures]) -> Report:
    """By mail domain: what was taken, what bounced. Domains of few readers stand together."""
    large = sorted((one for one in found if one.readers >= FEWEST), key=lambda one: (-one.accepted, one.domain))
    small = [one for one in found if one.readers < FEWEST]
    rows: list[tuple[Cell, ...]] = [
        (one.domain, one.readers, one.accepted, one.bounced, _percent(one.bounced, one.accepted), one.complained) for one in large
    ]
    if small:
        readers = sum(one.readers for one in small)
        accepted, bounced = sum(one.accepted for one in small), sum(one.bounced for one in small)
        complained = sum(one.complained for one in small)
        sums = (readers, accepted, bounced, _percent(bounced, accepted), complained)
        rows.append(("all other domains", *(sums if readers >= FEWEST else (HIDDEN,) * 5)))
    top = rows[:12]
    return Report(
        name="domains",
        title="Messages by mail domain",
        columns=("domain", "readers", "accepted", "bounced", "bounced, %", "complained of"),
        rows=tuple(rows),
        picture=Chart(
            kind="rows",
            labels=tuple(str(row[0]) for row in top),
            series=(Series(name="bounced, %", values=tuple(drawn(row[4]) for row in top)),),
        ),
        note=f"Domains of fewer than {FEWEST} readers stand together.",
    )


def pieces_report(pieces: Sequence[Summary], interests: Interests, months: Sequence[str]) -> Report:
    """How many pieces stood under each interest, by the month they were published in."""
    counted = by_month(pieces, interests, months)
    ids = sorted((one.id for one in interests.all), key=lambda id: -sum(counted[id]))
    table: list[tuple[Cell, ...]] = [(month, *(counted[id][place] for id in ids)) for place, month in enumerate(months)]
    return _over_months("pieces", "Pieces under each interest, by month", months, ids, table, "A parent counts what its children take.")


def sources_report(
    states: Mapping[str, SourceState], pieces: Mapping[str, Sequence[datetime]], at: datetime, names: Sequence[str]
) -> Report:
    """How each source does, and whether it has been silent for longer than it usually is."""
    rows: list[tuple[Cell, ...]] = []
    silences = []
    for name in names:
        state = states.get(name)
        dates = [one for one in pieces.get(name, ()) if one <= at]
        quiet = silence(dates, at)
        silent: Cell = "" if quiet is None else quiet.days
        usual: Cell = "" if quiet is None or quiet.usual is None else quiet.usual
        if state is None:
            health = "never read"
        elif state.error:
            health = f"failed {state.failures} times in a row: {state.error}"
        elif quiet is not None and quiet.unusual:
            health = "silent for longer than usual"
        else:
            health = state.warning or "well"
        read = f"{state.read_well_at:%Y-%m-%d %H:%M}" if state and state.read_well_at else ""
        rows.append((name, state.kind if state else "", read, len(dates), state.refused if state else 0, silent, usual, health))
        silences.append(quiet.days if quiet is not None else None)
    return Report(
        name="sources",
        title="Sources and their health",
        columns=("source", "kind", "read well (UTC)", "pieces", "refused", "days silent", "usual gap, days", "health"),
        rows=tuple(rows),
        picture=Chart(kind="rows", labels=tuple(names), series=(Series(name="days silent", values=tuple(silences)),)),
        note="The usual gap is the median between two days on which it published something.",
    )


def _over_months(
    name: str, title: str, months: Sequence[str], columns: Sequence[str], table: Sequence[tuple[Cell, ...]], note: str = ""
) -> Report:
    """A table of months; the first six columns are drawn."""
    series = tuple(Series(name=column, values=tuple(drawn(row[n + 1]) for row in table)) for n, column in enumerate(columns[:6]))
    more = f" The picture shows the {len(series)} largest." if len(columns) > len(series) else ""
    picture = Chart(kind="lines", labels=tuple(months), series=series)
    return Report(name=name, title=title, columns=("month", *columns), rows=tuple(table), picture=picture, note=(note + more).strip())


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0


# --- reading -------------------------------------------------------------------------------------------------------------


def _readers(workspace: Workspace, since: datetime, months: Sequence[str]) -> Report:
    with workspace.store.read() as tx:
        return readers_report(figures.status_changes(tx), months)


def _interests(workspace: Workspace, since: datetime, months: Sequence[str]) -> Report:
    with workspace.store.read() as tx:
        return interests_report(figures.followers_by_issue(tx, since), listed.load(workspace.path), months)


def _joins(workspace: Workspace, since: datetime, months: Sequence[str]) -> Report:
    with workspace.store.read() as tx:
        return joins_report(figures.joins(tx), figures.leaves(tx, workspace.store.vault, since), months)


def _deliveries(workspace: Workspace, since: datetime, months: Sequence[str]) -> Report:
    with workspace.store.read() as tx:
        return deliveries_report(figures.deliveries(tx, since))


def _domains(workspace: Workspace, since: datetime, months: Sequence[str]) -> Report:
    with workspace.store.read() as tx:
        return domains_report(figures.domains(tx, workspace.store.vault, since))


def _pieces(workspace: Workspace, since: datetime, months: Sequence[str]) -> Report:
    with workspace.store.read() as tx:
        return pieces_report([stored.summary for stored in catalogue.load(tx)], listed.load(workspace.path), months)


def _sources(workspace: Workspace, since: datetime, months: Sequence[str]) -> Report:
    with workspace.store.read() as tx:
        pieces: dict[str, list[datetime]] = {}
        for stored in catalogue.load(tx):
            pieces.setdefault(stored.source, []).append(stored.summary.published_at)
        return sources_report(catalogue.sources(tx), pieces, workspace.at, _source_names(workspace.config))


def _source_names(config: Config) -> list[str]:
    return [source.name for source in config.sources]


REPORTS: Mapping[str, Callable[[Workspace, datetime, Sequence[str]], Report]] = {
    "readers": _readers,
    "interests": _interests,
    "joins": _joins,
    "deliveries": _deliveries,
    "domains": _domains,
    "pieces": _pieces,
    "sources": _sources,
}


def report(workspace: Workspace, name: str, since: date | None = None) -> Report:
    """The report of that name, from the month of ``since`` on; else of the last twelve.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in REPORTS:
        raise ConfigError(f'there is no report "{name}" ({", ".join(REPORTS)})')
    last = workspace.on.year * 12 + workspace.on.month - 1 - 11
    begins = (since or date(last // 12, last % 12 + 1, 1)).replace(day=1)
    months = months_from(begins, workspace.on)
    if not months:
        raise ConfigError(f"{begins} is later than {workspace.on}; name an earlier date")
    return REPORTS[name](workspace, datetime.combine(begins, time(), UTC), months)


# --- writing -------------------------------------------------------------------------------------------------------------


def as_csv(found: Report) -> str:
    """The table as CSV, safe to open in a spreadsheet."""
    out = io.StringIO()
    rows = [[csvfile.safe(cell) if isinstance(cell, str) else str(cell) for cell in row] for row in found.rows]
    csv.writer(out, lineterminator="\r\n").writerows([list(found.columns), *rows])
    return out.getvalue()


def as_svg(found: Report) -> str:
    """The picture; what it shows is said in words, too."""
    told = f"{found.note} All figures stand in the table of the report {found.name}.".strip()
    return chart.svg(found.picture, found.title, told)


def as_html(found: Report) -> str:
    """Picture and table, to be put into a page."""
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in found.columns)
    body = "".join(
        "<tr>"
        + "".join(f'<th scope="row">{escape(str(cell))}</th>' if n == 0 else f"<td>{escape(str(cell))}</td>" for n, cell in enumerate(row))
        + "</tr>"
        for row in found.rows
    )
    note = f"<p>{escape(found.note)}</p>" if found.note else ""
    return (
        '<figure class="report"><div class="wide" tabindex="0" role="region" '
        f'aria-label="{escape(found.title)}: picture">{as_svg(found)}</div>'
        f"<figcaption>{note}</figcaption></figure>"
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(found.title)}"><table><caption>{escape(found.title)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def as_page(found: Report, language: str) -> str:
    """The same as a page of its own, that needs nothing else."""
    style = (
        ":root{color-scheme:light dark}body{font:1.1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:1rem auto;padding:0 1rem}"
        "figure{margin:0}.wide{overflow-x:auto}table{border-collapse:collapse}caption{text-align:left;font-weight:600;padding:.5rem 0}"
        "th,td{padding:.3rem .7rem;text-align:right;border-bottom:1px solid #8888}th:first-child{text-align:left}"
    )
    return (
        f'<!doctype html><html lang="{escape(language)}"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(found.title)}</title><style>{style}</style><body><main><h1>{escape(found.title)}</h1>{as_html(found)}</main></body></html>\n"
    )
