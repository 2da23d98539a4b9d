"""Listings as sites lay them out, each written by hand: what stands on the page, and what should be gathered from it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

SEED = Path(__file__).parents[3] / "shared" / "seed-page.txt"
HEAD = "<!doctype html><html lang=en><head><meta charset=utf-8><title>News</title></head><body>"
MENU = (
    "<header><nav><ul class=menu><li><a href=/>Home</a></li><li><a href=/about>About our centre</a></li>"
    "<li><a href=/give>Give</a></li></ul></nav></header>"
)
FOOT = (
    "<footer><div class=col><a href=/privacy>Privacy and cookies</a></div>"
    "<div class=col><a href=/contact>Contact the team</a></div></footer></body></html>"
)
PIECES = [
    (
        "Sleep and fatigue in early illness",
        "2026-05-01",
        "/n/sleep",
        "Short naps helped most of those who took part in the study of one clinic.",
    ),
    (
        "A blood test that may show relapse",
        "2026-04-17",
        "/n/blood",
        "The marker rose some weeks before symptoms came back in two of three people.",
    ),
    (
        "Walking aids compared in daily life",
        "2026-04-02",
        "/n/walking",
        "Sticks were used more often than frames, and people said they felt safer.",
    ),
    ("What heat does to sight", "2026-03-21", "/n/heat", "Vision blurred above a room temperature of twenty-six degrees and recovered."),
    (
        "Vitamin D: a review of trials",
        "2026-03-03",
        "/n/vitamin",
        "Nine trials together show no clear effect on how often relapses happened.",
    ),
]
MONTHS = "January February March April May June July August September October November December".split()


class Listing(NamedTuple):
    """A page, and of each piece what somebody would click: title, date and link as marks in the HTML (``data-t``, …)."""

    name: str
    html: str
    pieces: list[tuple[str, str, str]]  # title, date, path


def _slashed(date: str) -> str:
    year, month, day = (int(part) for part in date.split("-"))
    return f"{month}/{day}/{year}"


def _worded(date: str) -> str:
    year, month, day = (int(part) for part in date.split("-"))
    return f"{MONTHS[month - 1]} {day}, {year}"


def _page(body: str, menu: str = MENU) -> str:
    return f"{HEAD}{menu}<main>{body}</main>{FOOT}"


def listings() -> list[Listing]:
    """Every shape. ``T``, ``D`` and ``L`` mark the title, the date and the link of each piece."""
    expected = [(title, date, path) for title, date, path, _ in PIECES]
    cards = "".join(
        f'<article class="card post-{n}00"><h2><a T L href="{path}">{title}</a></h2>'
        f'<time D datetime="{date}">{_worded(date)}</time><p>{text}</p></article>'
        for n, (title, date, path, text) in enumerate(PIECES, 1)
    )
    rows = "<tr><th>Date<th>Title<th>Kind</tr>" + "".join(
        f'<tr><td D>{_slashed(date)}</td><td><a T L href="{path}">{title}</a></td><td>Study</td></tr>' for title, date, path, _ in PIECES
    )
    terms = "".join(
        f'<dt D>{_worded(date)}</dt><dd><a T L href="{path}">{title}</a></dd><dd>{text}</dd>' for title, date, path, text in PIECES
    )
    nested = "".join(
        '<div class="row">'
        + "".join(
            f'<div class="col"><div class="tile"><div class="inner"><div class="tile-title" T>{title}</div>'
            f'<div class="meta"><span D>{_worded(date)}</span>'
            f'<span>5 min read</span></div><div class="text">{text}</div><a L class="more" href="{path}">Read more</a></div></div></div>'
            for title, date, path, text in some
        )
        + "</div>"
        for some in (PIECES[:3], PIECES[3:])
    )
    bare = "<h1>News of our centre</h1>" + "".join(
        f'<h3 T>{title}</h3><p D>{_slashed(date)}</p><p>{text} <a L href="{path}">Read on</a></p>' for title, date, path, text in PIECES
    )
    before = "".join(
        f'<p D>{_worded(date)}</p><h4><a T L href="{path}">{title}</a></h4><p>{text}</p>' for title, date, path, text in PIECES
    )
    listed = (
        "<ul>" + "".join(f'<li><span D>{date}</span> <a T L href="{path}">{title}</a></li>' for title, date, path, _ in PIECES) + "</ul>"
    )
    whole = "".join(
        f'<a L class="css-1x9y2z" href="{path}"><div><span T>{title}</span></div>'
        f"<div><small D>{_worded(date)}</small></div><p>{text}</p></a>"
        for title, date, path, text in PIECES
    )
    months = "".join(
        f"<h2>{MONTHS[month - 1]}</h2><ul class=month>"
        + "".join(
            f'<li><b T>{title}</b> <i D>{_slashed(date)}</i> <a L href="{path}">More</a></li>'
            for title, date, path, _ in PIECES
            if int(date[5:7]) == month
        )
        + "</ul>"
        for month in (5, 4, 3)
    )
    shapes = {
        "cards": cards,
        "table rows": f"<table>{rows}</table>",
        "definition list": f"<dl>{terms}</dl>",
        "nested cards": nested,
        "headings and paragraphs without a wrapper": bare,
        "the date before the heading, without a wrapper": before,
        "a plain list with text dates": listed,
        "each card is a link": f'<section class="grid">{whole}</section>',
        "lists by month": months,
    }
    return [Listing(name, _page(body), expected) for name, body in shapes.items()]


def seed_page() -> Listing:
    """The first user's page as its site may have laid it out, rebuilt around the text that a crawler saved."""
    text = SEED.read_text(encoding="utf-8")
    head, _, rest = text.partition("12/31/2026\n")
    lines = ("12/31/2026\n" + rest).replace("Read More", "Read More\n").split("\n")
    teasers = []
    while len(lines) >= 3 and lines[2] == "Read More":
        date, line = lines[0], lines[1]
        teasers.append((line, date, f"/research/{len(teasers) + 1}"))
        lines = lines[3:]
    article = "".join(f"<p>{part}</p>" for part in head.strip().split("\n"))
    cards = "".join(
        f'<div class="summary-card"><div class="summary-date" D>{date}</div>'
        f'<p class="summary-text" T>{line}</p>\n<a L class="btn" href="{path}">Read More</a></div>'
        for line, date, path in teasers
    )
    notice = "".join(f"<p>{part}</p>" for part in lines if part)
    related = f'<section class="related"><div class="grid">{cards}</div></section>'
    body = f'<section class="article">{article}</section>{related}<section>{notice}</section>'
    expected = [
        (line, f"{date.split('/')[2]}-{int(date.split('/')[0]):02}-{int(date.split('/')[1]):02}", path) for line, date, path in teasers
    ]
    return Listing("the seed page", _page(body), expected)
