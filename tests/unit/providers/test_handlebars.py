"""The stand-in's renderer does what SendGrid's page shows, and refuses everything else."""

from __future__ import annotations

import pytest

from tests.support.handlebars import NotDocumented, parse, render

PERSON = {"user": {"profile": {"male": True}, "story": [{"male": True, "date": "1", "item": "shoes"}, {"item": "shirt"}]}}


@pytest.mark.parametrize(
    ("template", "data", "wanted"),
    [
        ("Hello {{firstName}}", {"firstName": "Ben & \"'`=<>"}, "Hello Ben &amp; &quot;&#x27;&#x60;&#x3D;&lt;&gt;"),
        ("Hello {{user.profile.firstName}}", PERSON, "Hello "),
        ("Hello {{{firstName}}}", {"firstName": "<b>{{firstName}}</b>"}, "Hello <b>{{firstName}}</b>"),
        ("{{#if user.profile.male}}Sir{{else if user.profile.female}}Madame{{else}}Customer{{/if}}", PERSON, "Sir"),
        ("{{#if a}}A{{else if b}}B{{else}}C{{/if}}.", {"b": True}, "B."),
        ("{{#if a}}A{{else if b}}B{{else}}C{{/if}}.", {"b": ""}, "C."),
        ("{{#unless user.active}}late{{/unless}}", {"user": {"active": False}}, "late"),
        ("{{#each user.story}}{{#if this.male}}{{this.date}}{{else if this.item}}{{this.item}}{{/if}} {{/each}}", PERSON, "1 shirt "),
        ("{ } {a}", {}, "{ } {a}"),
    ],
)
def test_what_the_page_shows(template, data, wanted):
    assert render(template, data) == wanted


def test_a_name_from_outside_of_a_list_is_rendered_or_nothing():
    template, data = "{{#each a}}{{{@root.b}}}{{{this.b}}}{{{b}}}.{{/each}}", {"a": [{}, {"b": "2"}], "b": "<1>"}
    assert (render(template, data), render(template, data, knows_root=False)) == ("<1>.<1>22.", ".22.")


@pytest.mark.parametrize(
    "template",
    [
        "{{#equals a b}}x{{/equals}}",
        "{{#each a}}{{#each this.b}}x{{/each}}{{/each}}",
        "{{@root.a}}",
        "{{#if @root.a}}x{{/if}}",
        "{{{@index}}}",
        "{{{@root}}}",
        "{{../a}}",
        "{{a b}}",
        "{{~a}}",
        "{{!-- x --}}",
        "{{> part}}",
        "{{{{raw}}}}",
        "{{}}",
        "{{#if a}}x",
        "{{#if a}}x{{/each}}",
        "{{/if}}",
        "{{else}}",
        "{{#if a}}x{{else}}y{{else}}z{{/if}}",
        "\\{{a}}",
        "{{a}}}",
        "{{{a}}}}",
        "x{{{{a}}",
        "a }} b",
        "x\n{{#if a}}\ny{{/if}}",
        "{{#if a}}y\n{{/if}}\nx",
        "{{#if a}}x\n{{else}}\ny{{/if}}",
    ],
)
def test_what_it_does_not_show_is_refused(template):
    with pytest.raises(NotDocumented):
        parse(template)


@pytest.mark.parametrize("data", [{}, {"a": []}, {"a": "x"}])
def test_a_list_that_is_not_there_breaks_the_message(data):
    with pytest.raises(NotDocumented):
        render("{{#each a}}x{{/each}}", data)
