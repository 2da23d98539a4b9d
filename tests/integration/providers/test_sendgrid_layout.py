"""`mode: template` by itself: template and data, rendered, are byte for byte what we compose, and the data says little.

Rendered is with what SendGrid's page about Handlebars shows and one name more (`tests.support.handlebars`).
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.compose import CompiledIssue, compile_issue, html_of, make_edition, slots_of, text_of
from digest.compose.clean import clean
from digest.compose.parts import Part
from digest.compose.teaser import cut
from digest.errors import RenderError
from digest.model import Selection
from digest.providers.sendgrid_layout import make_layout
from digest.providers.sendgrid_lines import Fragments
from tests.support import handlebars
from tests.support.compose import INTERESTS, LOOK, NAMES, SLOT, TEMPLATES, ids, random_selection, reader, summaries
from tests.support.looks import LOOKS, TWICE, changed, moved, only


@pytest.fixture(scope="module")
def compiled():
    return compile_issue(TEMPLATES, LOOK, SLOT, summaries(), INTERESTS)


def differing(compiled: CompiledIssue, selections: list[Selection], names=NAMES) -> list[tuple[int, str]]:
    """Which of the selections the template shows in another way than we compose them, and where."""
    layout, found = make_layout(compiled), []
    for n, selection in enumerate(selections):
        edition, person = make_edition(compiled, selection), reader(names[n % len(names)])
        data = layout.data(layout.skeleton(edition), slots_of(edition, person))
        shown = {
            "data": (json.loads(json.dumps(data)), data),
            "subject": (handlebars.render(layout.subject, data), edition.subject),
            "html": (handlebars.render(layout.html, data), html_of(edition, person)),
            "plain": (handlebars.render(layout.plain, data), text_of(edition, person)),
        }
        found += [(n, where) for where, (theirs, ours) in shown.items() if theirs != ours]
    return found


# --- the same bytes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_any_selection(compiled, seed):
    source = random.Random(seed)
    assert differing(compiled, [random_selection(source) for _ in range(60)]) == []


@pytest.mark.parametrize("look", LOOKS)
def test_any_look(compiled, look):
    source = random.Random(look)
    assert differing(LOOKS[look](compiled), [random_selection(source) for _ in range(25)]) == []


ODD = st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from("{}\\@<>&\"'%#-!=? \u00a0\u00ad\u200d🧑é")), max_size=60)


@settings(max_examples=60)
@given(ODD, ODD, ODD, st.integers(0, 10**9))
def test_any_text_at_all(compiled, raw, title, label, seed):
    label = cut(clean(label), 60) or "x"
    known = compiled.known
    titles = {id: clean(title) if n % 3 == 0 else one for n, (id, one) in enumerate(known.titles.items())}
    labels = {id: label if id == "gut" else one for id, one in known.labels.items()}

    def odd(_: str, part: Part) -> Part:
        return Part(tuple(piece if n % 2 else raw + piece + raw[::-1] for n, piece in enumerate(part.pieces)))

    made = replace(changed(compiled, odd, odd), known=replace(known, titles=titles, labels=labels))
    source = random.Random(seed)
    assert differing(made, [random_selection(source) for _ in range(4)], ("", clean(raw), label)) == []


REFUSED: dict[str, Callable[[CompiledIssue], CompiledIssue]] = {
    "groups elsewhere in text": lambda it: moved(it, "overflow", text=False),
    "why in other places": lambda it: changed(it, TWICE),
    "a preheader too long": lambda it: changed(it, preheader_more=("Also: ", "SECOND", "x" * 40, "THIRD", ".")),
    "names twice": lambda it: changed(it, why=("", "INTEREST", " ", "INTEREST", "")),
    "a word as long as a line": lambda it: replace(it, known=replace(it.known, labels={**it.known.labels, "gut": "x" * 70})),
}


@pytest.mark.parametrize("look", REFUSED)
def test_a_look_that_one_template_cannot_show_says_so_and_names_the_other_mode(compiled, look):
    with pytest.raises(RenderError, match="mode: grouped"):
        make_layout(REFUSED[look](compiled))


# --- what the data tells -----------------------------------------------------------------------------------------------------


def test_the_data_names_no_interest_and_no_piece_outside_of_the_subject(compiled):
    layout, source = make_layout(compiled), random.Random(8)
    for _ in range(40):
        edition = make_edition(compiled, random_selection(source))
        data = layout.data(layout.skeleton(edition), slots_of(edition, reader()))
        title = data.pop("s", "") or data.pop("subject", "")  # the mail's own, which 255 characters of template cannot hold
        assert title in edition.subject and (title or data["q"])
        beside = json.dumps(data, ensure_ascii=False)
        named = [
            *(one.label for one in INTERESTS),
            *(one.id for one in INTERESTS),
            *(one.title for one in summaries() if len(one.title) > 30),
        ]
        assert not [word for word in named if word in beside]


def test_each_part_stands_in_the_template_once(compiled):
    layout = make_layout(compiled)
    for content, document in ((layout.html, compiled.html), (layout.plain, compiled.text)):
        for name, part in document.parts.items():
            fixed = max((piece for piece in part.pieces[::2] if "{{" not in piece and "}}" not in piece), key=len, default="")
            if len(fixed) > 200:
                assert content.count(fixed.strip("{}\\")) == 1, name


def test_a_subject_that_names_no_piece_stands_in_the_template(compiled):
    made = changed(compiled, subject=("News & more",))
    layout, source = make_layout(made), random.Random(2)
    assert layout.subject.startswith("{{#if q}}") and len(layout.subject) <= 255
    assert differing(made, [Selection(notices=(ids()[3],)), *(random_selection(source) for _ in range(20))]) == []
    edition = make_edition(made, random_selection(source))
    assert not {"subject", "s"} & layout.data(layout.skeleton(edition), slots_of(edition, reader())).keys()
    with pytest.raises(RenderError, match="subject"):
        layout.skeleton(replace(edition, subject="Another"))


def test_a_subject_of_the_editors_own_stands_in_the_template(compiled):
    made = replace(compiled, known=replace(compiled.known, subject="What we learnt in May", preheader="All of it"))
    source = random.Random(3)
    assert differing(made, [Selection(notices=(ids()[3],)), *(random_selection(source) for _ in range(10))]) == []
    data = data_of(made, Selection(highlights=(ids()[0],)))
    assert not {"subject", "s"} & data.keys() and data["a0"] == 1


def test_a_subject_that_is_put_together_in_another_way_travels_whole(compiled):
    layout = make_layout(compiled)
    edition = replace(make_edition(compiled, Selection(highlights=(ids()[0],))), subject="Another")
    data = layout.data(layout.skeleton(edition), slots_of(edition, reader()))
    assert data["subject"] == "Another" == handlebars.render(layout.subject, data)


# --- the reader's links --------------------------------------------------------------------------------------------------------

HOST = "https://digest.example.org"
READER = reader()._replace(unsubscribe_url=f"{HOST}/u/{'a' * 43}")
ELSEWHERE = READER._replace(
    unsubscribe_url="https://x.org/u/1?a=1&b=2", preferences_url="https://x.org/p/2?a=1&b=2", web_url="https://x.org/3"
)
SHOWN = Selection(highlights=tuple(ids()[:3]), left_out=(ids()[4],))


def data_of(compiled, selection, person=READER):
    layout, edition = make_layout(compiled), make_edition(compiled, selection)
    return layout.data(layout.skeleton(edition), slots_of(edition, person))


def rendered(compiled, selection, person, **options):
    """HTML and text by the template, and those that we compose."""
    layout, edition = make_layout(compiled), make_edition(compiled, selection)
    data = layout.data(layout.skeleton(edition), slots_of(edition, person))
    made = [handlebars.render(one, data, **options) for one in (layout.html, layout.plain)]
    return made, [html_of(edition, person), text_of(edition, person)]


def test_each_link_is_in_the_data_once_and_how_they_begin_is_not(compiled):
    text = json.dumps(data_of(compiled, SHOWN))
    assert [text.count(one * 43) for one in "abc"] == [1, 1, 1 + 1]  # the web copy's once more, for what did not fit
    assert HOST not in text and len(text) < 700


def test_without_the_one_name_that_is_not_documented_only_the_teasers_links_are_cut(compiled):
    """A stand-in that takes `@root` for nothing, as SendGrid might: what matters most is whole."""
    made, ours = rendered(compiled, SHOWN, READER, knows_root=False)
    for shown, meant in zip(made, ours, strict=True):
        cut_links = meant.replace(f"/p/{'b' * 43}/{SLOT.name}/", f"/p//{SLOT.name}/")
        assert shown == cut_links != meant and shown.count(f"{HOST}/p//{SLOT.name}/") == 3
        assert {READER.unsubscribe_url, READER.preferences_url, READER.web_url} <= set(re.findall(r"https://[^\s\"<]+", shown))


@pytest.mark.parametrize("slot", ["UNSUBSCRIBE", "WEB", "GREETING"])
@pytest.mark.parametrize("kind", ["teaser", "section"])
def test_no_link_to_leave_depends_on_it_wherever_a_look_has_it(compiled, slot, kind):
    add = only(kind, lambda pieces: (*pieces, slot, " \n"))
    look = changed(compiled, add, add)
    source = random.Random(slot + kind)
    for person in (READER, ELSEWHERE):
        made, ours = rendered(look, random_selection(source), person, knows_root=False)
        token = person.preferences_url.removeprefix(f"{HOST}/p/")
        assert made == [one.replace(f"/p/{token}/{SLOT.name}/", f"/p//{SLOT.name}/") for one in ours]


@pytest.mark.parametrize("look", LOOKS)
def test_links_that_begin_in_another_way_travel_whole_and_need_nothing_from_outside(compiled, look):
    source = random.Random(look)
    for _ in range(5):
        made, ours = rendered(LOOKS[look](compiled), random_selection(source), ELSEWHERE, knows_root=False)
        assert made == ours


def test_a_web_site_whose_address_cannot_stand_in_a_template_is_not_in_it(compiled):
    made = replace(compiled, look=replace(LOOK, url="https://digest.example.org/{{x}}"))
    assert "@root" in make_layout(compiled).html and "@root" not in make_layout(made).html
    shown, ours = rendered(made, SHOWN, READER, knows_root=False)
    assert shown == ours


def test_a_line_of_more_pieces_than_there_are_places_is_refused():
    table = Fragments("ab", in_text=False)
    table.add_pieces(["x"])
    assert table.flags("x", ["x"]) == ("b0",)
    with pytest.raises(RenderError, match="mode: grouped"):
        table.flags("xy", ["x", "y"])


def test_an_item_begins_only_where_the_order_of_the_template_asks_for_it(compiled):
    flags = [[name for name in item if name.islower()] for item in data_of(compiled, SHOWN)["p"]]
    assert flags == [["g1"], ["h0", "t0", "f0"], ["t1", "f0"], ["t2", "f0", "o0"]]
