"""An editor's Markdown in an email: a few known elements, well formed whatever was written, and the same words as text."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.compose.markers import unguard
from digest.compose.rich import bare, rich

MARKDOWN = st.lists(
    st.sampled_from(
        [
            "a",
            "**b**",
            "*c*",
            "[d](https://e.org/x?a=1&b=2)",
            "\n",
            "\n\n",
            "- ",
            "1. ",
            "> ",
            "# ",
            "`",
            "```",
            "<b>",
            "</p>",
            "&amp;",
            "&lt;",
        ]
        + [
            "![alt](https://e.org/p.png)",
            "\\",
            "  \n",
            "@@WEB@@",
            "{{ x }}",
            "<!--digest:teaser:0-->",
            "<mj-raw>",
            "سؤال",
            "\u202e",
            "\u00a0",
            "-->",
        ]
    ),
    max_size=30,
).map(" ".join)
KNOWN = {"p", "h2", "ul", "ol", "li", "strong", "em", "a", "br"}


def test_what_it_makes():
    made = rich("Dear *all*,\nsee **[our page](http://example.org/é)**.\n\n## More\n\n- one\n- two\n\n![A map](https://e.org/m.png)")
    assert unguard(made.html) == (
        '<p class="p">Dear <em>all</em>, see <a class="inline" href="https://example.org/%C3%A9"><strong>our page</strong></a>.</p>'
        '<h2 class="h3">More</h2><ul class="list"><li class="item">one</li><li class="item">two</li></ul><p class="p">A map</p>'
    )
    assert made.text == "Dear all, see our page.\n\nour page:\nhttps://example.org/%C3%A9\n\nMore\n\n- one\n- two\n\nA map"


def test_what_runs_the_other_way_says_so():
    made = rich("دراسة جديدة\n\nplain", "ltr", "en")
    assert '<p dir="rtl" lang="en" class="p other-rtl">' in made.html and '<p lang="en" class="p">plain' in made.html
    assert '<p dir="ltr" class="p other-ltr">plain' in rich("plain", "rtl").html


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "/relative", "mailto:a@example.org", "https://u:p@e.org/"])
def test_a_link_that_an_email_may_not_have_is_refused_or_stays_text(url):
    try:
        made = rich(f"[x]({url})")
    except ValueError:
        return
    assert "href" not in made.html


@settings(max_examples=30)
@given(MARKDOWN)
def test_whatever_is_written_is_well_formed_and_known(text):
    made = rich(text)
    html = unguard(made.html)
    tree = ElementTree.fromstring(f"<x>{html}</x>")
    assert {element.tag for element in tree.iter()} - {"x"} <= KNOWN
    assert all(set(element.attrib) <= {"class", "href", "dir", "lang"} for element in tree.iter())
    assert all(re.match(r"https://", element.attrib["href"]) for element in tree.iter("a"))
    assert bare(html).startswith("".join("".join(tree.itertext()).split())[:20])
    assert "@@" not in made.html and "@@" not in made.text and "<!--" not in made.html and "\u202e" not in made.text
