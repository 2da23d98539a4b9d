"""Rules about size."""

from __future__ import annotations

from collections.abc import Iterator

from digest.lint.letter import Letter
from digest.lint.rule import Found, Level, rule

CLIP_BYTES = 102 * 1024  # Gmail hides what follows; spamresource.com, 2022-01-12
STYLE_BYTES = 16 * 1024  # Gmail drops a <style> that is larger; caniemail.com, html-style


def html_bytes(letter: Letter) -> int:
    """The decoded HTML with line ends as they go over the wire."""
    return len(letter.html.encode()) + letter.html.count("\n")


def biggest(letter: Letter, count: int = 3) -> str:
    """The parts that weigh most, in words."""
    parts = sorted((letter.sizes or {}).items(), key=lambda part: -part[1])[:count]
    return "; ".join(f"{name[:50]} {size / 1024:.1f} KB" for name, size in parts)


@rule(
    "size-clip",
    Level.ERROR,
    reason="Gmail hides what lies beyond about 102 KB, and with it the unsubscribe link and the postal address.",
    source="spamresource.com, 2022-01-12, What is Gmail clipping",
    example="an HTML of 110 KB",
)
def size_clip(letter: Letter) -> Iterator[Found]:
    if (size := html_bytes(letter)) >= CLIP_BYTES:
        yield Found(f"the HTML has {size / 1024:.0f} KB; Gmail clips at {CLIP_BYTES // 1024} KB", biggest(letter))


@rule(
    "size-budget",
    Level.WARNING,
    reason="The budget leaves room below Gmail's line; what it holds back should never be used up.",
    source="selection.max_html_kb in config.yaml",
    example="an HTML of 90 KB where the budget is 80",
)
def size_budget(letter: Letter) -> Iterator[Found]:
    if letter.budget_bytes < (size := html_bytes(letter)) < CLIP_BYTES:
        yield Found(f"the HTML has {size / 1024:.0f} KB; the budget is {letter.budget_bytes // 1024} KB", biggest(letter))


@rule(
    "size-style",
    Level.WARNING,
    reason="Gmail drops a style sheet larger than 16 KB whole, and with it the layout for phones.",
    source="caniemail.com, html-style, note 1",
    example="a <style> of 20 KB",
    file="templates/parts/styles.mjml.j2",
)
def size_style(letter: Letter) -> Iterator[Found]:
    for _, sheet in letter.sheets:
        if (size := len(sheet.encode())) > STYLE_BYTES:
            yield Found(f"a style sheet has {size / 1024:.0f} KB; Gmail drops what is larger than {STYLE_BYTES // 1024} KB")


RULES = (size_clip, size_budget, size_style)
