"""What is joined from parts equals, byte for byte, what the whole chain makes of the same selection."""

from __future__ import annotations

import json
import pickle
import random
import re
from email import message_from_bytes, policy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.compose import CompiledIssue, compile_issue, html_of, make_edition, make_message, text_of, view
from digest.compose.compiled import compile_sources
from digest.compose.edition import _join_any, lines_of
from digest.compose.markers import without_marks
from digest.compose.message import _make_any
from digest.compose.render import limits_for, read_templates, render
from digest.errors import RenderError
from digest.model import Placed, SelectedSection, Selection
from tests.support.compose import INTERESTS, LOOK, NAMES, SLOT, TEMPLATES, envelope, ids, random_selection, reader, summaries

BASE = "https://x.example"  # the usual one of the tests has links that want encoding
ORDINARY = reader("Ana")._replace(unsubscribe_url=f"{BASE}/u/1", preferences_url=f"{BASE}/p/1", web_url=f"{BASE}/w/1")


def whole(compiled: CompiledIssue, selections: list[Selection], names: list[str]) -> list[str]:
    """HTML and text of each selection in turn, rendered as if no part had been prepared."""
    catalogue = view.Catalogue.of(LOOK, SLOT, summaries(), INTERESTS)
    documents = []
    for selection, name in zip(selections, names, strict=True):
        person = reader(name)
        values = {
            "greeting": compiled.phrases.greeting(name),
            "unsubscribe_url": person.unsubscribe_url,
            "preferences_url": person.preferences_url,
            "web_url": person.web_url,
        }
        lines = lines_of(compiled, selection)
        documents += [(view.HTML, view.selection_data(catalogue, selection, lines, values, html=True))]
        documents += [(view.TEXT, view.selection_data(catalogue, selection, lines, values, html=False))]
    rendered = render(read_templates(TEMPLATES), view.common(LOOK, SLOT), documents, [], limits_for(12 * len(selections)))
    assert not rendered.problems
    return [without_marks(text, html=n % 2 == 0) for n, text in enumerate(rendered.documents)]


@pytest.mark.parametrize("seed", range(4))
def test_joined_editions_equal_the_whole_chain(compiled, seed):
    source = random.Random(seed)
    selections = [random_selection(source) for _ in range(25)]
    names = [source.choice(NAMES) for _ in selections]
    expected = whole(compiled, selections, names)
    for n, (selection, name) in enumerate(zip(selections, names, strict=True)):
        edition = make_edition(compiled, selection)
        assert html_of(edition, reader(name)) == expected[2 * n]
        assert text_of(edition, reader(name)) == expected[2 * n + 1]


def test_an_edition_looked_up_is_the_one_put_together_line_by_line(compiled):
    source = random.Random(7)
    selections = [random_selection(source) for _ in range(60)]
    selections += [one.model_copy(update={"notices": (), "highlights": ()}) for one in selections if one.sections]
    for selection in selections * 2:  # the second time from what was kept
        made, wanted = make_edition(compiled, selection), _join_any(compiled, selection)
        assert (made.subject, made.preheader, made.teasers) == (wanted.subject, wanted.preheader, wanted.teasers)
        assert (made.html.texts, made.text.texts) == (wanted.html.texts, wanted.text.texts)
        message = _make_any(made, ORDINARY, envelope())
        assert [make_message(made, ORDINARY, envelope()) for _ in range(3)] == [message] * 3


SHOWN = (
    Selection(sections=(SelectedSection(interest="gut", teasers=(Placed(summary=ids()[0]), Placed(summary=ids()[1]))),)),
    Selection(sections=(SelectedSection(interest="gut", teasers=(Placed(summary=ids()[0]),)),), left_out=(ids()[7],)),
    Selection(sections=(SelectedSection(interest="gut", teasers=(Placed(summary=ids()[0]),)),), highlights=(ids()[1],)),
    Selection(highlights=ids()[:2], left_out=ids()[7:9]),
    Selection(notices=(ids()[3],)),
)
FOOTER = '{% include "parts/footer.txt.j2" %}'


def says_nothing(macro):
    def change(sources):
        return re.sub(rf"(\{{% macro {macro}\(\w*\) %\}}).*?(\{{% endmacro %\}})", r"\1\2", sources["phrases.txt.j2"])

    return "phrases.txt.j2", change


def ends_in(part):
    def change(sources):
        text = sources["digest.txt.j2"].replace(FOOTER, "").replace("{{ issue.date }}", "{{ issue.date }}\n" + FOOTER)
        return text[: text.index("{% if overflow %}")].rstrip("\n") + "\n" + part

    return "digest.txt.j2", change


OTHER_TEMPLATES = {
    "no why": says_nothing("why"),
    "no picked": says_nothing("picked"),
    "no overflow": says_nothing("overflow"),
    "no intro": says_nothing("intro_highlights"),
    "ends in a line": ends_in("{% if overflow %}{% part overflow %}{{ overflow.text }}{% endpart %}{% endif %}"),
    "ends in nothing": ends_in("{% if overflow %}{% part overflow %}{% endpart %}{% endif %}"),
    "ends in a slot": ends_in("{% if overflow %}{% part overflow %}More:\n{% endpart %}{% endif %}Yours: {{ reader.web_url }}"),
    "ends in a line that may be empty": ends_in(
        "{% if overflow %}{% part overflow %}More:\n{% endpart %}{% endif %}Bye {{ edition.intro }}"
    ),
}


@pytest.mark.parametrize("case", OTHER_TEMPLATES)
def test_a_message_is_what_its_edition_shows_however_templates_end_and_phrases_are_empty(case):
    name, change = OTHER_TEMPLATES[case]
    sources = read_templates(TEMPLATES)
    changed = {**sources, name: change(sources)}
    assert changed != sources
    compiled = compile_sources(changed, LOOK, SLOT, summaries(), INTERESTS)
    for selection in SHOWN:
        for form in ("", "plain", "large"):
            edition = make_edition(compiled, selection.model_copy(update={"form": form}))
            messages = {make_message(edition, ORDINARY, envelope()) for _ in range(3)} | {_make_any(edition, ORDINARY, envelope())}
            (raw,) = messages
            parsed = message_from_bytes(raw, policy=policy.default)
            shown = [part.get_content().replace("\r\n", "\n").rstrip("\n") for part in parsed.walk() if not part.is_multipart()]
            sides = [text_of(edition, ORDINARY)] if form == "plain" else [text_of(edition, ORDINARY), html_of(edition, ORDINARY)]
            assert shown == [side.rstrip("\n") for side in sides]


def test_a_stored_issue_with_a_line_where_it_is_not_filled_in_is_refused(compiled):
    """Drafted before that was found; it cannot be sent."""
    data = json.loads(compiled.to_json())
    data["html"]["parts"]["highlights:0"] = ["<p>", "INTRO", "</p>"]
    with pytest.raises(RenderError, match="edition.intro.*highlights part.*draft it again"):
        CompiledIssue.from_json(json.dumps(data))


ODD = st.text(st.one_of(st.characters(), st.sampled_from("@<>&\"'{}%#\\-!=? \u00a0\u00ad\u200d🧑é")), min_size=1, max_size=80)


@settings(max_examples=8)
@given(st.lists(ODD.filter(lambda text: text.strip()), min_size=4, max_size=4))
def test_any_text_at_all_keeps_them_equal(texts):
    title, takeaway, limits, journal = texts
    pieces = [
        summary.model_copy(update={"title": title, "takeaway": takeaway, "limits": limits, "journal": journal})
        for summary in summaries()[:3]
    ]
    compiled = compile_issue(TEMPLATES, LOOK, SLOT, pieces, INTERESTS)  # raises if its own trials differ
    assert {f"teaser:{n}" for n in range(3)} <= set(compiled.html.parts)


def test_order_of_the_input_changes_nothing(compiled):
    again = compile_issue(TEMPLATES, LOOK, SLOT, summaries()[::-1], INTERESTS[::-1])
    assert again.to_json() == compiled.to_json()
    assert again.content_hash == compiled.content_hash


def test_stored_and_pickled_issues_make_the_same_editions(compiled):
    selection = random_selection(random.Random(7))
    edition = make_edition(compiled, selection)
    for copy in (CompiledIssue.from_json(compiled.to_json()), pickle.loads(pickle.dumps(compiled))):
        assert copy.content_hash == compiled.content_hash
        assert make_edition(copy, selection) == edition


def test_any_change_of_words_changes_the_hash(compiled):
    sources = read_templates(TEMPLATES)
    sources["phrases.txt.j2"] = sources["phrases.txt.j2"].replace("Hello", "Dear")
    assert compile_sources(sources, LOOK, SLOT, summaries(), INTERESTS).content_hash != compiled.content_hash


def test_sizes_are_upper_bounds(compiled):
    source = random.Random(3)
    for _ in range(150):
        selection = random_selection(source)
        edition = make_edition(compiled, selection)
        html = html_of(edition, reader(source.choice(NAMES)))
        real = len(html.encode()) + html.count("\n")
        budget = compiled.frame_bytes
        budget += sum(compiled.section_bytes[section.interest] for section in selection.sections)
        budget += sum(compiled.teaser_bytes[id] + compiled.teaser_extra_bytes for id in selection.teasers)
        budget += sum(compiled.notice_bytes[id] for id in selection.notices)
        assert real <= edition.html_bytes <= budget


def test_an_edition_of_nothing_or_of_what_was_not_compiled_is_refused(compiled):
    unknown = Selection(sections=(SelectedSection(interest="gut", teasers=(Placed(summary="doi:10.9/none"),)),))
    elsewhere = Selection(sections=(SelectedSection(interest="nowhere", teasers=(Placed(summary=ids()[0]),)),))
    no_notice = Selection(notices=(ids()[0],))
    for selection in (Selection(), unknown, elsewhere, no_notice):
        with pytest.raises(RenderError):
            make_edition(compiled, selection)


def test_a_stored_issue_of_another_version_or_cut_short_is_refused(compiled):
    for text in (compiled.to_json().replace('"version":1', '"version":99'), compiled.to_json()[:-100], "{}", "[]"):
        with pytest.raises(RenderError):
            CompiledIssue.from_json(text)
