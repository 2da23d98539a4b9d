"""From clicks in a page, or from none, to selectors that gather exactly its pieces: on pages as sites lay them out."""

from datetime import UTC, datetime
from html import escape
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from digest import config
from digest.sources import Context, fetch, pick
from digest.sources.layout import MOST_ELEMENTS, Layout, elements, is_date, places
from digest.sources.page import are_cut, harvest
from digest.sources.text import whole
from tests.support.listings import FOOT, HEAD, MENU, SEED, listings, seed_page

URL = "https://site.example.org/news"
SHAPES = {one.name: one for one in listings()}
MARKS = {"title": "t", "date": "d", "link": "l"}
ROLES = [("title",), ("link",), ("title", "date"), ("date", "title", "link")]


def gathered(html, layout, order="mdy"):
    given = {key: value for key, value in layout.model_dump().items() if value}
    source = config.PageSource(name="x", kind="page", url=URL, date_order=order, **given)
    context = Context(Path(), "UTC", config.Fetch(), datetime(2026, 5, 1, tzinfo=UTC))
    return harvest(fetch.Page(200, URL, html.encode(), "text/html; charset=utf-8"), source, context)


def pieces(html, layout):
    found = gathered(html, layout).summaries
    return [(one.title, f"{one.published_at:%Y-%m-%d}", one.url.removeprefix("https://site.example.org")) for one in found]


def clicks(html, roles, nth):
    """Where somebody clicks who means these parts of that piece; ``nth`` may name another piece for each part."""
    every = elements(LexborHTMLParser(html))
    which = nth if isinstance(nth, dict) else dict.fromkeys(roles, nth)
    return {role: [n for n, node in enumerate(every) if MARKS[role] in node.attributes][which[role]] for role in roles}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("roles", ROLES, ids=" ".join)
def test_a_click_on_parts_of_one_piece_gathers_all_of_them_whichever_piece_it_is(name, roles):
    page = SHAPES[name]
    for nth in (0, 2, len(page.pieces) - 1):
        found = pick.propose(LexborHTMLParser(page.html), clicks(page.html, roles, nth))
        assert pieces(page.html, found.layout) == page.pieces
        assert found.complete == len(page.pieces)


@pytest.mark.parametrize("name", SHAPES)
def test_clicks_on_parts_of_several_pieces_are_understood(name):
    page = SHAPES[name]
    found = pick.propose(LexborHTMLParser(page.html), clicks(page.html, MARKS, {"title": 0, "date": 3, "link": 1}))
    assert pieces(page.html, found.layout) == page.pieces


@pytest.mark.parametrize("name", SHAPES)
def test_comments_and_line_breaks_between_the_elements_change_nothing(name):
    page = SHAPES[name]
    html = page.html.replace("<", "<!-- <b>no</b> -->\n<").replace("<!-- <b>no</b> -->\n<!doctype", "<!doctype", 1)
    found = pick.propose(LexborHTMLParser(html), clicks(html, ("title", "date"), 1))
    assert pieces(html, found.layout) == page.pieces
    assert pieces(html, pick.repeated(LexborHTMLParser(html))[0].layout) == page.pieces


@pytest.mark.parametrize("name", SHAPES)
def test_without_a_click_the_likeliest_of_what_is_repeated_is_what_the_page_lists(name):
    page = SHAPES[name]
    found = pick.repeated(LexborHTMLParser(page.html))
    assert pieces(page.html, found[0].layout) == page.pieces
    assert found[0].sample == page.pieces[0][0]


@pytest.mark.skipif(not SEED.exists(), reason="the first user's page is not beside this checkout (../shared/seed-page.txt): NOT TRIED")
def test_the_first_users_page():
    page = seed_page()
    whole_titles = [(whole(title), date, path) for title, date, path in page.pieces]
    assert len(whole_titles) == 6 and whole_titles[0][0].endswith("daily…")  # and no half word as the site cut it
    assert pieces(page.html, pick.repeated(LexborHTMLParser(page.html))[0].layout) == whole_titles
    for roles in ROLES:
        for nth in (0, 3, 5):
            found = pick.propose(LexborHTMLParser(page.html), clicks(page.html, roles, nth))
            assert pieces(page.html, found.layout) == whole_titles


WORDS = st.text("abcdefghij éü", min_size=1, max_size=12).map(str.strip).filter(bool)
TITLES = st.lists(st.tuples(WORDS, WORDS, WORDS).map(" ".join), min_size=2, max_size=7, unique=True)
WRAPPERS = st.sampled_from(
    [
        '<li><b t>{t}</b> <i d>{d}</i> <a l href="{u}">More</a></li>',
        '<div class="n{k}"><h3><a t l href="{u}">{t}</a></h3><p><span>by us</span><time d datetime="{d}">then</time></p></div>',
        '<h3 t>{t}</h3><p d>{d}</p><p><a l href="{u}">More</a> of it</p>',
        '<section><div><div><span d>{d}</span></div></div><div><strong t>{t}</strong><a l href="{u}">→</a></div></section>',
    ]
)


@given(TITLES, WRAPPERS, st.sampled_from([("title", "date"), ("title", "date", "link")]), st.integers(0, 6))
def test_whatever_the_pieces_say_each_click_gathers_all(titles, wrapper, roles, nth):
    expected = [(title, f"2026-04-{n + 1:02}", f"/p/{n}") for n, title in enumerate(titles)]
    body = "".join(wrapper.format(t=escape(t), d=d, u=u, k=n) for n, (t, d, u) in enumerate(expected))
    html = f"{HEAD}{MENU}<main>{'<ul>' + body + '</ul>' if wrapper.startswith('<li') else body}</main>{FOOT}"
    found = pick.propose(LexborHTMLParser(html), clicks(html, roles, nth % len(titles)))
    assert pieces(html, found.layout) == [(" ".join(t.split()), d, u) for t, d, u in expected]


def test_days_first_are_dates_too():
    body = "".join(f"<li><b>A title number {n}</b> <i>{13 + n}/4/2026</i> <a href=/{n}>More</a></li>" for n in range(4))
    [found, *_] = pick.repeated(LexborHTMLParser(f"{HEAD}<ul>{body}</ul>{FOOT}"))
    assert found.complete == 4 and len(gathered(f"{HEAD}<ul>{body}</ul>", found.layout, "dmy").summaries) == 4


@pytest.mark.parametrize(
    "clicked, says",
    [({}, "click the title"), ({"title": 10_000}, "not on the page"), ({"title": -1}, "not on the page"), ({"link": 1}, "no link")],
)
def test_clicks_that_mean_nothing_say_what_to_click(clicked, says):
    with pytest.raises(pick.NoLayout, match=says):
        pick.propose(LexborHTMLParser(SHAPES["cards"].html), clicked)


def test_what_stands_alone_is_no_listing():
    html = f"{HEAD}<main><h1>One page</h1><p>With one text.</p></main></body></html>"
    parsed = LexborHTMLParser(html)
    with pytest.raises(pick.NoLayout, match="nothing else on the page is like that"):
        pick.propose(parsed, {"title": next(n for n, node in enumerate(elements(parsed)) if node.tag == "h1")})
    assert pick.repeated(parsed) == []


def test_a_page_beyond_all_measure_is_not_worked_out():
    parsed = LexborHTMLParser("<ul>" + "<li>x" * MOST_ELEMENTS)
    assert pick.repeated(parsed) == []
    with pytest.raises(pick.NoLayout, match="too large"):
        pick.propose(parsed, {"title": 4})


def test_a_long_list_is():
    rows = "".join(f"<li><b>A title number {n}</b> <i>2026-04-01</i> <a href=/{n}>More</a>" for n in range(1500))
    [found] = pick.repeated(LexborHTMLParser(f"<ul>{rows}</ul>"))
    assert (found.pieces, found.complete) == (1500, 1500)


def test_control_a_menu_has_no_dates_and_is_not_taken_for_the_listing():
    [best, *rest] = pick.repeated(LexborHTMLParser(f"{HEAD}{MENU}{FOOT}"))
    assert best.complete == 0 and best.layout.date == ""
    assert all(one.complete for one in pick.repeated(LexborHTMLParser(SHAPES["cards"].html)))


def test_what_somebody_left_out_is_found_beside_what_they_said():
    parsed = LexborHTMLParser(SHAPES["nested cards"].html)
    layout = pick.complete(parsed, Layout(item="div.tile", takeaway="div.meta"))
    assert pieces(SHAPES["nested cards"].html, layout) == SHAPES["nested cards"].pieces and layout.takeaway == "div.meta"
    assert pick.complete(parsed, Layout(item="div.nowhere")) == Layout(item="div.nowhere")


@pytest.mark.parametrize("name", SHAPES)
def test_the_places_of_the_parts_are_those_of_the_page(name):
    page = SHAPES[name]
    parsed = LexborHTMLParser(page.html)
    found = places(parsed, pick.repeated(parsed)[0].layout)
    every = elements(parsed)
    assert [every[at].text(deep=True).strip() for at in found["title"]] == [title for title, _, _ in page.pieces]
    assert len(found["link"]) == len(found["date"]) == len(page.pieces)


@pytest.mark.parametrize("text", ["5/1/2026", "25/12/2026", "May 1, 2026", "2026-05-01T09:00:00Z"])
def test_dates(text):
    assert is_date(text)


@pytest.mark.parametrize("text", ["", "5 min read", "May 2026", "Study 12 of 2026 people", "20260501" * 9])
def test_no_dates(text):
    assert not is_date(text)


@given(st.lists(st.text("ab ", min_size=1, max_size=120), max_size=12))
def test_titles_are_taken_for_cut_only_where_most_are_of_one_length_of_about_100(titles):
    lengths = [len(title) for title in titles]
    common = max((lengths.count(length) for length in lengths if 90 <= length <= 110), default=0)
    assert are_cut(titles) == (common >= 3 and common >= 0.8 * len(titles))
    assert are_cut(["x" * 100] * 3 + titles[:0])
