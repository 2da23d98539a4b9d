"""What renders templates, called in this process: documents of one job know nothing of each other."""

from digest.compose.child import answer

COUNTING = "{% set seen = namespace(n=0) %}{% macro next() %}{% set seen.n = seen.n + 1 %}{{ seen.n }}{% endmacro %}"


def job(templates, *names):
    return {"templates": templates, "common": {}, "documents": [{"template": name, "data": {}} for name in names], "phrases": []}


def test_what_an_imported_file_counts_begins_anew_with_each_document():
    templates = {"count.txt.j2": COUNTING, "a.txt.j2": "{% import 'count.txt.j2' as c %}{{ c.next() }}{{ c.next() }}"}
    assert answer(job(templates, "a.txt.j2", "a.txt.j2"))["documents"] == ["12", "12"]


def test_a_mistake_in_one_document_is_told_once_and_with_its_place():
    found = answer(job({"a.txt.j2": "\n{{ nothing }}"}, "a.txt.j2", "a.txt.j2"))
    assert [tuple(note[:2]) for note in found["notes"]] == [("templates/a.txt.j2", 2)] and not found["documents"]
