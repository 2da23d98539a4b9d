"""Pictures of figures: SVG written here, for screens light and dark, readable in print and without colours.

Every series has a dash of its own besides its colour, and its name stands at its line's end. What a picture shows stands in the
table beside it (``digest.admin.reports``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

from digest.model import Frozen

WIDTH, HEIGHT = 760, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 176, 40, 44
_DASHES = ("", "7 4", "2 4", "10 4 2 4", "4 2", "12 5")
# Told apart by people with any kind of colour vision (Okabe and Ito), each at 4.5:1 or more on its ground.
_LIGHT = ("#0060a8", "#9a4a00", "#00664a", "#a0327a", "#5a4fb0", "#505050")
_DARK = ("#7cc4ff", "#f2b368", "#5fd3a8", "#f09cd0", "#b9b0ff", "#c8c8c8")


class Series(Frozen):
    """One line, or one kind of bar; None where there is nothing to show."""

    name: str
    values: tuple[float | None, ...]


class Chart(Frozen):
    """``labels`` stand along the bottom, one for each value; for ``rows`` at the left, and of the series the first is drawn."""

    kind: str  # lines | bars (upright, for what follows in time) | rows (lying, for what has names)
    labels: tuple[str, ...]
    series: tuple[Series, ...]


def svg(chart: Chart, title: str, description: str) -> str:
    """The picture. The first six series are drawn: more cannot be told apart."""
    series = chart.series[: len(_LIGHT)]
    top = _nice(max((value for one in series for value in one.values if value is not None), default=0))
    height = HEIGHT
    if chart.kind == "rows":
        title = f"{title}: {series[0].name}"
        parts, height = [_rows(chart.labels, series[0], top)], _TOP + 30 * len(chart.labels) + 16
    elif chart.kind == "bars":
        parts = [_frame(top, chart.labels, _middle), _bars(chart.labels, series, top)]
    else:
        parts = [_frame(top, chart.labels, _x), _lines(chart.labels, series, top)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
        f'aria-label="{escape(title)}. {escape(description)}">\n<title>{escape(title)}</title>\n'
        f"<desc>{escape(description)}</desc>\n<style>{_style()}</style>\n"
        f'<rect class="ground" width="{WIDTH}" height="{height}"/>\n<text class="head" x="{_LEFT}" y="24">{escape(title)}</text>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _style() -> str:
    light = "".join(f".s{n}{{stroke:{colour};fill:{colour}}}" for n, colour in enumerate(_LIGHT))
    dark = "".join(f".s{n}{{stroke:{colour};fill:{colour}}}" for n, colour in enumerate(_DARK))
    return (
        "text{font:14px system-ui,sans-serif;fill:#1d1d1d}.head{font-weight:600;font-size:16px}.ground{fill:#fff}"
        ".grid{stroke:#d0d0d0;stroke-width:1}.axis{stroke:#595959;stroke-width:1}.line{fill:none;stroke-width:2.5}.name{stroke:none}"
        f"{light}@media (prefers-color-scheme:dark){{text{{fill:#ececec}}.ground{{fill:#161616}}.grid{{stroke:#3c3c3c}}"
        f".axis{{stroke:#a0a0a0}}{dark}}}.line{{fill:none}}text.name{{stroke:none}}"
    )


def _nice(highest: float) -> float:
    """A round number that nothing stands above."""
    if highest <= 4:
        return 4
    step = 10 ** math.floor(math.log10(highest))
    return next(float(step * factor) for factor in (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10) if step * factor >= highest)


def _number(value: float) -> str:
    """Short, with a thin space between thousands."""
    if value >= 10_000_000:
        return f"{value / 1_000_000:g}M"
    return f"{value:,.0f}".replace(",", "\u202f") if value == int(value) else f"{value:g}"


def _x(place: int, count: int) -> float:
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * (place / (count - 1) if count > 1 else 0.5)


def _y(value: float, top: float) -> float:
    return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * value / top


def _middle(place: int, count: int) -> float:
    """Where the middle of a bar's room is."""
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * (place + 0.5) / max(1, count)


def _frame(top: float, labels: Sequence[str], place_of: Callable[[int, int], float]) -> str:
    lines = []
    for part in range(5):
        y = _y(top * part / 4, top)
        lines.append(f'<line class="{"grid" if part else "axis"}" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        lines.append(f'<text x="{_LEFT - 8}" y="{y + 5:.1f}" text-anchor="end">{_number(top * part / 4)}</text>')
    widest = max((len(label) for label in labels), default=1)
    every = max(1, math.ceil(len(labels) * (widest * 8 + 12) / (WIDTH - _LEFT - _RIGHT)))
    for place, label in enumerate(labels):
        if (len(labels) - 1 - place) % every == 0:
            x = place_of(place, len(labels))
            lines.append(f'<text x="{x:.1f}" y="{HEIGHT - _BOTTOM + 22}" text-anchor="middle">{escape(label)}</text>')
    return "\n".join(lines)


def _lines(labels: Sequence[str], series: Sequence[Series], top: float) -> str:
    drawn, ends = [], []
    for number, one in enumerate(series):
        points: list[str] = []
        runs = [points]
        for place, value in enumerate(one.values):
            if value is None:
                points = []
                runs.append(points)
            else:
                points.append(f"{_x(place, len(labels)):.1f},{_y(value, top):.1f}")
        dash = f' stroke-dasharray="{_DASHES[number]}"' if _DASHES[number] else ""
        for run in runs:
            if len(run) == 1:
                x, y = run[0].split(",")
                drawn.append(f'<circle class="s{number}" cx="{x}" cy="{y}" r="3.5"/>')
            elif run:
                drawn.append(f'<polyline class="line s{number}"{dash} points="{" ".join(run)}"/>')
        last = next((value for value in reversed(one.values) if value is not None), None)
        ends.append((number, one, last))
    return "\n".join(drawn + _names(ends, top))


def _names(ends: Sequence[tuple[int, Series, float | None]], top: float) -> list[str]:
    """Each name at its line's end, moved apart where two would stand on each other; a stroke of the line's own dash before it."""
    placed: list[str] = []
    free = float(HEIGHT)
    for number, one, last in sorted(ends, key=lambda end: (end[2] or 0, -end[0])):
        y = min(_y(last or 0, top) + 5, free)
        free = y - 19
        dash = f' stroke-dasharray="{_DASHES[number]}"' if _DASHES[number] else ""
        x = WIDTH - _RIGHT
        placed.append(f'<line class="line s{number}"{dash} x1="{x + 8}" x2="{x + 34}" y1="{y - 5:.1f}" y2="{y - 5:.1f}"/>')
        words = one.name if len(one.name) < 19 else one.name[:17] + "…"
        placed.append(f'<text class="name" x="{x + 40}" y="{y:.1f}">{escape(words)}</text>')
    return placed


def _rows(labels: Sequence[str], one: Series, top: float) -> str:
    """Lying bars, each with its name before it and its number behind it."""
    left, room = 220, WIDTH - 220 - 90
    drawn = []
    for place, (label, value) in enumerate(zip(labels, one.values, strict=True)):
        y = _TOP + 30 * place
        words = label if len(label) < 27 else label[:25] + "…"
        drawn.append(f'<text x="{left - 10}" y="{y + 20}" text-anchor="end">{escape(words)}</text>')
        if value is None:
            drawn.append(f'<text x="{left + 6}" y="{y + 20}">not shown</text>')
            continue
        drawn.append(f'<rect class="s0" x="{left}" y="{y + 5}" width="{room * value / top:.1f}" height="20"/>')
        drawn.append(f'<text x="{left + room * value / top + 8:.1f}" y="{y + 20}">{_number(value)}</text>')
    return "\n".join(drawn)


def _bars(labels: Sequence[str], series: Sequence[Series], top: float) -> str:
    """Bars beside each other; the labels are those of the frame."""
    room = (WIDTH - _LEFT - _RIGHT) / max(1, len(labels))
    wide = max(2.0, min(28.0, room * 0.8 / max(1, len(series))))
    drawn = []
    for number, one in enumerate(series):
        for place, value in enumerate(one.values):
            if value is None:
                continue
            x = _middle(place, len(labels)) + (number - len(series) / 2) * wide
            y = _y(value, top)
            drawn.append(f'<rect class="s{number}" x="{x:.1f}" y="{y:.1f}" width="{wide - 1:.1f}" height="{HEIGHT - _BOTTOM - y:.1f}"/>')
        y = _TOP + 14 + number * 22
        drawn.append(f'<rect class="s{number}" x="{WIDTH - _RIGHT + 12}" y="{y - 11}" width="14" height="14"/>')
        words = one.name if len(one.name) < 19 else one.name[:17] + "…"
        drawn.append(f'<text class="name" x="{WIDTH - _RIGHT + 34}" y="{y + 1}">{escape(words)}</text>')
    return "\n".join(drawn)
