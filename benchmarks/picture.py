"""Bars as SVG, light and dark: how much of its goal each figure reaches. No library, and the same figures give the same bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

ROW, LEFT, WIDTH, RIGHT = 30, 330, 330, 110
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1c1c1c }
  .back { fill: #ffffff } .met { fill: #1b6e4b } .short { fill: #b3541e } .goal { stroke: #1c1c1c; stroke-dasharray: 4 3 }
  @media (prefers-color-scheme: dark) {
    text { fill: #ececec } .back { fill: #16181a } .met { fill: #5cc796 } .short { fill: #f0955c } .goal { stroke: #ececec }
  }
"""


def bars(figures: Sequence[tuple[str, float, bool, str]]) -> str:
    """A bar for each (name, share of the goal, whether reached, why there is none). The scale is logarithmic, from 0.1 to 10."""
    height = ROW * len(figures) + 52
    total = LEFT + WIDTH + RIGHT
    goal = LEFT + _length(1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {height}" role="img" aria-labelledby="t">',
        '<title id="t">Each figure as a share of its goal: beyond the dashed line it is reached</title>',
        f"<style>{STYLE}</style>",
        f'<rect class="back" width="{total}" height="{height}"/>',
        f'<text x="{goal:.0f}" y="20" text-anchor="middle">goal</text>',
        f'<line class="goal" x1="{goal:.0f}" x2="{goal:.0f}" y1="26" y2="{height - 12}"/>',
    ]
    for at, (name, share, met, why) in enumerate(figures):
        top = 34 + ROW * at
        parts.append(f'<text x="{LEFT - 10}" y="{top + 15}" text-anchor="end">{escape(_short(name))}</text>')
        if share <= 0:
            parts.append(f'<text x="{LEFT}" y="{top + 15}">{escape(_short(why or "nothing", 40))}</text>')
            continue
        length = _length(share)
        word = f"{share:,.0f} times" if share >= 10 else f"{share:.2f} times"
        parts.append(f'<rect class="{"met" if met else "short"}" x="{LEFT}" y="{top}" width="{length:.1f}" height="20" rx="2"/>')
        parts.append(f'<text x="{LEFT + max(length, _length(1)) + 8:.0f}" y="{top + 15}">{word}{"" if met else ", short"}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _length(share: float) -> float:
    """Pixels: 0.1 and less of the goal have almost none, ten times it the whole width."""
    return WIDTH * (min(max(math.log10(share), -0.95), 1) + 1) / 2


def _short(text: str, most: int = 46) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
