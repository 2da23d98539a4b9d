from urllib.parse import parse_qsl

from hypothesis import given
from hypothesis import strategies as st

from digest.web.desk.view import MEDIA, NARROWEST, PROGRAMS, SCHEMES, VIEWS, WIDEST, View, changed, view_of

views = st.builds(
    View,
    view=st.sampled_from(sorted(VIEWS)),
    width=st.integers(NARROWEST, WIDEST),
    scheme=st.sampled_from(sorted(SCHEMES)),
    images=st.booleans(),
    program=st.sampled_from(sorted(PROGRAMS)),
    media=st.sampled_from(sorted(MEDIA)),
)


@given(views)
def test_an_address_says_the_whole_view(view):
    assert view_of(dict(parse_qsl(view.query))) == view


@given(st.dictionaries(st.sampled_from(["view", "width", "scheme", "images", "program", "media", "x"]), st.text(max_size=12)))
def test_whatever_an_address_says_gives_a_view_that_can_be_shown(query):
    view = view_of(query)
    assert NARROWEST <= view.width <= WIDEST
    assert view.view in VIEWS and view.scheme in SCHEMES and view.program in PROGRAMS and view.media in MEDIA


def test_the_scheme_is_the_views_and_not_the_browsers():
    html = "<head><style>@media (prefers-color-scheme: dark) and (max-width: 9px) { p { color: red } }</style></head><body></body>"
    dark, light = (changed(html, View(scheme=scheme)) for scheme in ("dark", "light"))
    assert "@media (min-width: 0px) and (max-width: 9px)" in dark and "color-scheme:only dark" in dark
    assert "@media (max-width: 0px) and (max-width: 9px)" in light and "color-scheme:only light" in light


def test_on_paper_the_rules_for_paper_hold():
    html = (
        "<html><head><style>@media print { p { color: black } } @media only screen { p { color: red } }</style></head><body></body></html>"
    )
    paper = changed(html, View(media="print"))
    assert "@media all { p { color: black } }" in paper and "@media not all { p { color: red } }" in paper
