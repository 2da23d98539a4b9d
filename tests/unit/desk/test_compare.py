"""What differs between two snapshots of an issue, in words."""

from digest.desk.compare import differences
from digest.edits import Edits, Rewritten

BASE = {
    "pieces": {"a": {"title": "One", "seq": 1}, "b": {"title": "Two", "seq": 2}},
    "carried": {},
    "notices": {},
    "edits": Edits().model_dump(mode="json"),
    "interests": {"gut": {"id": "gut", "label": "Gut", "match": {"tag": ["gut"]}}},
    "rules": {"max_teasers": 12},
    "languages": [],
    "look": {"name": "Letter"},
    "templates": {"digest.mjml.j2": "a\nb\nc\n", "old.j2": "x"},
}


def texts(new):
    return [one.text for one in differences(BASE, {**BASE, **new})]


def test_nothing_differs_from_itself():
    assert texts({}) == []


def test_pieces_and_rules_and_lists():
    assert texts({"pieces": {"a": {"title": "One", "seq": 9}, "c": {"title": "Three", "seq": 3}}}) == [
        'piece "One" has been changed by its source',
        'piece "Two" is gone',
        'piece "Three" is new',
    ]
    assert texts({"rules": {"max_teasers": 5}}) == ["selection: max_teasers was 12, is 5"]
    assert texts({"look": {"name": "Paper"}}) == ["newsletter: name was Letter, is Paper"]
    assert texts({"languages": ["de"]}) == ["languages readers chose: de, were none"]
    assert texts({"interests": {"gut": {**BASE["interests"]["gut"], "match": {"tag": ["x"]}}, "eyes": {}}}) == [
        "interest gut: match is another",
        "interest eyes is new",
    ]


def test_edits_speak_of_titles():
    edits = Edits(pin={"a": ()}, teasers={"b": Rewritten(title="New", seq=2)}, subject="Hello").model_dump(mode="json")
    assert texts({"edits": edits}) == ['pinned "One"', "subject: Hello", 'rewrote "Two": title "New"']


def test_templates_show_their_lines():
    found = differences(BASE, {**BASE, "templates": {"digest.mjml.j2": "a\nB\nc\n", "new.j2": "y"}})
    assert [one.text for one in found] == [
        "templates/digest.mjml.j2 differs in 2 lines",
        "templates/new.j2 is new",
        "templates/old.j2 is gone",
    ]
    assert "-b\n+B" in found[0].new
