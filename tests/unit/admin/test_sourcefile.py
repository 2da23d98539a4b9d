"""A source written into the text of config.yaml: one source more, and nothing else."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from digest.admin.sourcefile import append, mark, shown
from digest.errors import ConfigError

ENTRY = {
    "name": "clinic",
    "kind": "page",
    "url": "https://clinic.example.org/news",
    "item": "li > a",
    "title": 'h2[lang="en"]',
    "date": "time",
}
FEED = {"name": "journal", "kind": "feed", "url": "https://journal.example.org/toc.xml"}
FILES = {
    "block": "sources:\n  - {name: ours, kind: folder, path: summaries/}  # ours\n  # more kinds\n\ncadences: {}  # end\n",
    "block without indent": "sources:\n- name: ours\n  kind: folder\n  path: s/\n# after\ncadences: {}\n",
    "nested": "sources:\n  - name: api\n    kind: json\n    fields:\n      title: t\n      url: u   # the link\ncadences: {}\n",
    "flow": "sources: [{name: ours, kind: folder, path: s/}]  # all\ncadences: {}\n",
    "empty flow": "sources: []   # none yet\ncadences: {}\n",
    "nothing": "sources:\n# to come\ncadences: {}\n",
    "nothing with a remark": "sources:   # to come\ncadences: {}\n",
    "null": "sources: null\ncadences: {}\n",
    "absent": "# a comment\ncadences: {}\n",
    "at the end": "cadences: {}\nsources:\n  - {name: ours, kind: folder, path: s/}",
    "a folded text": "sources:\n  - name: ours\n    kind: folder\n    path: >-\n      s/\n\ncadences: {}\n",
}


def parts(text):
    """Its lines without what is written before a remark: what must survive."""
    return [line.strip() for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("entry", [ENTRY, FEED], ids=["page", "feed"])
@pytest.mark.parametrize("line_break", ["\n", "\r\n"], ids=["unix", "windows"])
def test_one_source_more_and_every_remark_where_it_was(name, entry, line_break):
    old = FILES[name].replace("\n", line_break)
    new = append(old, entry)
    before, after = yaml.safe_load(old), yaml.safe_load(new)
    assert after == {**before, "sources": [*(before.get("sources") or []), entry]}
    assert [line.partition("#")[2] for line in new.splitlines() if "#" in line] == [
        line.partition("#")[2] for line in old.splitlines() if "#" in line
    ]
    if name not in ("flow", "empty flow", "null"):
        rest = iter(parts(new))
        assert all(line in rest for line in parts(old))  # every line is still there, in its order
    assert ("\r\n" in new) == (line_break == "\r\n") and "\n" not in new.replace("\r\n", "") or line_break == "\n"


VALUES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60)


@given(st.sampled_from(sorted(FILES)), VALUES, VALUES)
def test_whatever_stands_in_it(name, url, selector):
    entry = {"name": "x", "kind": "page", "url": url, "item": selector, "title": selector}
    try:
        new = append(FILES[name], entry)
    except ConfigError:  # refused, rather than written as something else
        return
    assert yaml.safe_load(new)["sources"][-1] == entry
    assert yaml.safe_load("sources:\n" + shown(entry))["sources"] == [entry]


@given(st.sampled_from(sorted(FILES)))
def test_twice_gives_two(name):
    twice = append(append(FILES[name], FEED), ENTRY)
    assert yaml.safe_load(twice)["sources"][-2:] == [FEED, ENTRY]


@pytest.mark.parametrize(
    "text",
    [
        "{sources: [], cadences: {}}",
        "sources: {name: x}\n",
        "sources: words\n",
        "- sources\n",
        "sources: [\n",
        "sources: []\nsources: []\n",
        "a: &x [{name: ours}]\nsources: *x\n",
    ],
)
def test_what_cannot_be_changed_in_place_is_refused(text):
    with pytest.raises(ConfigError):
        append(text, FEED)


def test_the_mark_is_that_of_the_text():
    assert mark("a") == mark("a") != mark("a ")
