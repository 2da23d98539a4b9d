"""The lines of an edition: subject, preheader, counts, why a teaser is there."""

from __future__ import annotations

import pytest

from digest.compose import phrases
from digest.compose.look import look_of
from digest.compose.parts import Part
from digest.compose.phrases import Known, Phrases
from digest.compose.teaser import clusters
from digest.config import load
from digest.errors import RenderError
from digest.model import Placed, SelectedSection, Selection
from tests.support.make import CONFIG

WORDS = {
    "greeting": "Hello @@NAME@@,",
    "intro": "@@SUMMARIES@@ in @@INTERESTS@@.",
    "why": "You follow @@INTEREST@@.",
    "also": "Also in @@INTERESTS@@.",
    "subject": "Letter, May 2026: @@FIRST@@",
    "preheader_one": "@@TAKEAWAY@@",
    "preheader_two": "Also: @@SECOND@@.",
    "preheader_more": "Also: @@SECOND@@, and @@THIRD@@.",
    "preheader_notices": "What has changed: @@TITLE@@.",
    "intro_highlights": "Nothing new; our picks.",
    "intro_notices": "We put something right.",
    "picked": "Picked by us.",
    "subject_notices": "Letter, May 2026: a correction",
    "preheader_end": "Short summaries in plain words, with limits.",
}


def given(name: str, *arguments: object) -> str:
    if name.startswith(("count_", "overflow")):
        return f"{arguments[0]} {name.removeprefix('count_')}"
    return "Hello," if arguments == ("",) else WORDS[name]


ASKED = phrases.calls(30, 5)
PHRASES = Phrases.of(ASKED, [given(*call) for call in ASKED])
TITLES = {"a": "Gut bacteria that can worsen the symptoms of many people", "b": "B", "c": "C", "d": "A very long title " * 20}
KNOWN = Known(
    TITLES,
    {"a": "", "b": "It helped.", "c": "Found. " * 60, "d": ""},
    {"gut": "Gut", "diet": "Diet", "sleep": "Sleep", "x": "X", "y": "Y"},
    "en",
)


def select(*ids: str, also: tuple[str, ...] = ()) -> Selection:
    return Selection(sections=(SelectedSection(interest="gut", teasers=tuple(Placed(summary=id, also_in=also) for id in ids)),))


def test_the_subject_names_the_first_piece_within_sixty():
    assert phrases.subject(PHRASES, KNOWN, select("b")) == "Letter, May 2026: B"
    subject = phrases.subject(PHRASES, KNOWN, select("a", "b"))
    assert subject == "Letter, May 2026: Gut bacteria that can worsen the symptoms…"
    assert len(clusters(subject)) <= phrases.SUBJECT


def test_the_subject_of_nothing_but_notices():
    assert phrases.subject(PHRASES, KNOWN, Selection(notices=("a",))) == "Letter, May 2026: a correction"


@pytest.mark.parametrize("ids", [("a",), ("b",), ("c",), ("a", "b"), ("b", "c"), ("b", "d"), ("b", "c", "d"), ("d", "c", "b", "a")])
def test_the_preheader_has_the_right_length_and_leaves_the_first_title_to_the_subject(ids):
    preheader = phrases.lines(PHRASES, KNOWN, select(*ids)).preheader
    assert phrases.PREHEADER_MIN <= len(clusters(preheader)) <= phrases.PREHEADER_MAX
    assert TITLES["a"] not in preheader or ids[0] != "a"


def test_why_names_the_section_and_at_most_three_others():
    lines = phrases.lines(PHRASES, KNOWN, select("a", also=("diet", "sleep", "x", "y")))
    assert lines.why == {"a": "You follow Gut. Also in Diet, Sleep, and X."}
    assert phrases.lines(PHRASES, KNOWN, Selection(highlights=("a",))).why == {"a": "Picked by us."}


def test_counts():
    selection = select("a", "b").model_copy(update={"left_out": ("c",)})
    lines = phrases.lines(PHRASES, KNOWN, selection)
    assert (lines.intro, lines.overflow) == ("2 summaries in 1 interests.", "1 overflow")


@pytest.mark.parametrize("name", ["A" * 500, "& " * 300, "🧑\u200d🔬" * 300, "e" + "\u0301" * 4000])
def test_no_name_outgrows_its_slot(name):
    greeting = PHRASES.greeting(name)
    assert len(greeting.replace("&", "&amp;").encode()) <= phrases.NAME_BYTES + len("Hello ,")


def test_a_slot_that_nothing_fills_is_refused():
    texts = ["Hello @@NAME@@ @@WEB@@," if call == ASKED[0] else given(*call) for call in ASKED]
    with pytest.raises(RenderError, match="greeting uses @@WEB@@"):
        Phrases.of(ASKED, texts)


def test_parts_keep_pieces_in_order():
    assert Part.of("a @@WHY@@ b").pieces == ("a ", "WHY", " b")


def test_the_look_holds_what_readers_see_and_no_secret(tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG)
    look = look_of(load(tmp_path))
    assert (look.name, look.dir, look.host, look.list_domain) == ("Test Letter", "ltr", "letter.example.org", "letter.example.org")
    assert not [field for field in vars(look) if "key" in field or "password" in field]
