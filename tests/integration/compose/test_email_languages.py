"""An issue in every language of its readers: equal to the whole chain, within the sizes, one hash over all, content marked."""

import random
import re

import pytest

from digest.compose import CompiledIssue, compile_issue, html_of, make_edition, make_message, sample, text_of, view
from digest.compose.compiled import compile_sources
from digest.compose.edition import lines_of
from digest.compose.languages import sources_in
from digest.compose.markers import without_marks
from digest.compose.render import limits_for, read_templates, render
from digest.errors import RenderError
from digest.model import Placed, SelectedSection, Selection
from tests.support.compose import INTERESTS, LOOK, NAMES, SLOT, TEMPLATES, envelope, random_selection, reader, summaries
from tests.support.email_rules import check_message

CODES = ("ar", "de", "es", "fr")
NAMED = (INTERESTS[0].model_copy(update={"labels": {"de": "Darm & <Kost>"}}), *INTERESTS[1:])


@pytest.fixture(scope="module")
def many() -> CompiledIssue:
    return compile_issue(TEMPLATES, LOOK, SLOT, summaries(), NAMED, ("de-AT", "fr", "es", "ar", "it", "en", "nonsense!"))


def selections(code, count, seed=1):
    source = random.Random(seed)
    return [random_selection(source).model_copy(update={"language": code}) for _ in range(count)]


def test_there_is_one_for_each_language_that_has_words(many):
    assert tuple(many.others) == CODES
    assert [many.spoken(tag) for tag in ("de-CH", "ar", "en-GB", "it", "")] == ["de", "ar", "", "", ""]


@pytest.mark.parametrize("code", CODES)
def test_joined_editions_equal_the_whole_chain_in_every_language(many, code):
    look, chosen, source = LOOK.spoken_in(code), selections(code, 12), random.Random(2)
    catalogue = view.Catalogue.of(look, SLOT, summaries(), NAMED)
    people = [reader(source.choice(NAMES)) for _ in chosen]
    documents = []
    for selection, person in zip(chosen, people, strict=True):
        values = {
            "greeting": many.others[code].phrases.greeting(person.name),
            "unsubscribe_url": person.unsubscribe_url,
            "preferences_url": person.preferences_url,
            "web_url": person.web_url,
        }
        for name, is_html in ((view.HTML, True), (view.TEXT, False)):
            documents.append((name, view.selection_data(catalogue, selection, lines_of(many, selection), values, html=is_html)))
    sources = sources_in(read_templates(TEMPLATES), code)
    rendered = render(sources, view.common(look, SLOT), documents, [], limits_for(12 * len(chosen)))
    assert not rendered.problems
    for n, (selection, person) in enumerate(zip(chosen, people, strict=True)):
        edition = make_edition(many, selection)
        assert html_of(edition, person) == without_marks(rendered.documents[2 * n], html=True)
        assert text_of(edition, person) == without_marks(rendered.documents[2 * n + 1], html=False)


@pytest.mark.parametrize("code", CODES)
def test_sizes_hold_in_every_language(many, code):
    for selection in selections(code, 40, seed=3):
        edition = make_edition(many, selection)
        html = html_of(edition, reader("🧑" * 60))
        budget = many.frame_bytes + sum(many.section_bytes[section.interest] for section in selection.sections)
        budget += sum(many.teaser_bytes[id] + many.teaser_extra_bytes for id in selection.teasers)
        budget += sum(many.notice_bytes[id] for id in selection.notices)
        assert len(html.encode()) + html.count("\n") <= edition.html_bytes <= budget


@pytest.fixture(scope="module")
def plain() -> CompiledIssue:
    return compile_issue(TEMPLATES, sample.LOOK, sample.SLOT, sample.summaries(), sample.INTERESTS, CODES)


@pytest.mark.parametrize("code", CODES)
def test_the_message_keeps_every_rule(plain, code):
    ids = list(plain.numbers)
    sections = (SelectedSection(interest="gut", teasers=tuple(Placed(summary=id, also_in=("symptoms",)) for id in ids[:3])),)
    selection = Selection(sections=sections, left_out=(ids[6],), notices=(ids[3], ids[4]), highlights=(ids[5],), language=code)
    message = make_message(make_edition(plain, selection), reader(), envelope(sample.LOOK))
    assert check_message(message, base_url=sample.LOOK.url, postal_address="1 Sample Street") == []


def test_the_hash_covers_every_language_and_what_is_stored_is_whole(many):
    assert CompiledIssue.from_json(many.to_json()) == many
    sources = read_templates(TEMPLATES)
    sources["phrases.fr.txt.j2"] = sources["phrases.fr.txt.j2"].replace("Bonjour", "Salut")
    changed = compile_sources(sources, LOOK, SLOT, summaries(), NAMED, ("fr",))
    same = compile_sources(read_templates(TEMPLATES), LOOK, SLOT, summaries(), NAMED, ("fr",))
    assert changed.content_hash != same.content_hash != many.content_hash


def test_words_dates_and_direction_are_the_reader_s_and_content_is_marked(many):
    selection = next(one for one in selections("de", 50) if any(s.interest == "gut" for s in one.sections) and len(one.sections) > 1)
    html = html_of(make_edition(many, selection), reader())
    assert html.startswith('<!DOCTYPE html>\n<html lang="de" dir="ltr"') and "1. Mai 2026" in html
    assert re.search(r'<h2 class="h2"[^>]*>Darm &amp; &lt;Kost&gt;</h2>', html)  # translated: nothing to mark
    assert re.search(r'<h1 class="h1"[^>]* lang="en"', html) and re.search(r'<h3 class="h3"[^>]* lang="en"', html)
    assert "Guten Tag Ana," in html and "Hello" not in html
    right = html_of(make_edition(many, selection.model_copy(update={"language": "ar"})), reader())
    assert 'lang="ar" dir="rtl"' in right and re.search(r'<h3 class="h3 other-ltr"[^>]* lang="en" dir="ltr"', right)
    assert re.search(
        r'class="link" href="[^"]+/more"',
        html_of(make_edition(many, selection.model_copy(update={"left_out": selection.teasers})), reader()),
    )


def test_a_mistake_is_told_with_the_file_of_its_language():
    sources = read_templates(TEMPLATES)
    sources["phrases.es.txt.j2"] = sources["phrases.es.txt.j2"].replace("macro why(", "macro warum(")
    with pytest.raises(RenderError, match=r"templates/phrases\.es\.txt\.j2: has no .*why"):
        compile_sources(sources, LOOK, SLOT, summaries(), NAMED, ("es",))
    compile_sources(sources, LOOK, SLOT, summaries(), NAMED, ("de",))  # nobody reads it: it cannot hold up the issue
