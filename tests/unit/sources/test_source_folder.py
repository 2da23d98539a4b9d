from datetime import UTC, datetime

import pytest

from digest import config
from digest.errors import SourceError
from digest.model import Audience, Evidence
from digest.sources import Context, folder, read

FULL = """---
title: Gut bacteria that can worsen MS symptoms
published: 2026-05-01
url: https://example.org/summaries/gut
tags: [Gut, symptoms]
audience: [patients, Clinicians]
evidence: laboratory
journal: Small
doi: https://doi.org/10.1002/SMLL.1
pmid: 123
authors: [Ada Lovelace, "Grace Hopper"]
image: {src: https://example.org/a.png, alt: A gut}
language: en-GB
weight: 3
highlight: yes
notice: {kind: correction, at: 2026-06-01, text: The dose was wrong.}
---
## What they found
They *found* [this](https://example.org). And a <b>second</b> thing.

- one
- two

## Limits
Small study. It was done in eleven mice, none of them human. Third.
"""


def make_harvest(tmp_path, files, **changes):
    (tmp_path / "summaries").mkdir(exist_ok=True)
    for name, content in files.items():
        path = tmp_path / "summaries" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    source = config.FolderSource(**{"name": "ours", "kind": "folder", "path": "summaries/"} | changes)
    context = Context(tmp_path, "Europe/London", config.Fetch(), datetime(2026, 5, 1, tzinfo=UTC))
    return read(source, context), folder.examine(source, context)


def front(**changes):
    values = {"title": "A title", "published": "2026-05-01", "url": "https://example.org/a"} | changes
    lines = "".join(f"{key}: {value}\n" for key, value in values.items() if value is not None)
    return f"---\n{lines}---\nBody text that is long enough to be one.\n"


def test_a_whole_file(tmp_path):
    harvest, problems = make_harvest(tmp_path, {"2026/gut.md": FULL}, tags=["MS"])
    (summary,) = harvest.summaries
    assert problems == []
    assert summary.identifiers == ("doi:10.1002/smll.1", "pmid:123", "url:https://example.org/summaries/gut", "source:ours:2026/gut")
    assert summary.published_at == datetime(2026, 4, 30, 23, tzinfo=UTC)
    assert summary.takeaway == "They found this. And a second thing."
    assert [s.heading for s in summary.sections] == ["What they found", "Limits"]
    assert summary.sections[0].text == "They found this. And a second thing.\n\n• one\n\n• two"
    assert summary.limits == "Small study. It was done in eleven mice, none of them human."
    assert summary.tags == ("ms", "gut", "symptoms") and summary.audience == (Audience.PATIENTS, Audience.CLINICIANS)
    assert summary.evidence is Evidence.LABORATORY and summary.image.alt == "A gut" and summary.highlight
    assert summary.notice.kind == "correction" and summary.authors == ("Ada Lovelace", "Grace Hopper")


@pytest.mark.parametrize(
    ("changes", "line", "text"),
    [
        ({"title": None}, 2, "title: is missing"),
        ({"title": ""}, 2, "title: is missing"),
        ({"title": '" "'}, 2, "title: is empty"),
        ({"published": None}, 2, "published: is missing"),
        ({"published": "2026-13-01"}, 3, "not a day of the calendar"),
        ({"published": "[1]"}, 3, "must be a date"),
        ({"url": None}, 2, "url: is missing"),
        ({"url": "javascript:alert(1)"}, 4, "must begin with https://"),
        ({"url": "https://u:p@example.org/"}, 4, "user name or password"),
        ({"evidence": "labratory"}, 5, "not one of laboratory, animal, review"),
        ({"audience": "doctors"}, 5, "not one of patients"),
        ({"tag": "x"}, 5, "unknown key; did you mean tags?"),
        ({"doi": "10.1002"}, 5, "not a DOI"),
        ({"pmid": "PMC12"}, 5, "not a PubMed number"),
        ({"image": "{src: 'http://example.org/a.png', alt: x}"}, 5, "must begin with https://"),
        ({"image": "{src: 'https://example.org/a.png'}"}, 5, "image.alt: is missing"),
        ({"notice": "{kind: oops, at: 2026-05-01, text: x}"}, 5, "not one of correction, retraction"),
        ({"weight": "heavy"}, 5, "weight: "),
        ({"language": "English please"}, 5, "not a language"),
        ({"title": "[x"}, 3, "not valid YAML"),
        ({"title": "a\ntitle: b"}, 3, "stands twice"),
    ],
)
def test_a_mistake_is_refused_with_its_line_and_the_others_go_on(tmp_path, changes, line, text):
    harvest, problems = make_harvest(tmp_path, {"bad.md": front(**changes), "good.md": front(url="https://example.org/good")})
    assert [s.id for s in harvest.summaries] == ["url:https://example.org/good"]
    (refusal,) = harvest.refused
    assert text in refusal.reason and refusal.ref == f"summaries/bad.md:{line}"
    assert [str(p) for p in problems] == [f"{refusal.ref}: {refusal.reason}"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"---\ntitle: caf\xe9\n---\n", "not UTF-8 (byte 0xe9)"),
        ("no front matter", "must begin with a line ---"),
        ("---\ntitle: x\n", "has no end"),
        ("---\n- a\n---\n", "must hold keys"),
        ("---\n---\n", "must hold keys"),
        ("", "must begin"),
        (b"x" * (2 * 1024 * 1024), "larger than"),
    ],
)
def test_files_that_are_no_summaries(tmp_path, content, text):
    harvest, problems = make_harvest(tmp_path, {"bad.md": content})
    assert text in harvest.refused[0].reason and text in str(problems[0])


def test_all_mistakes_of_all_files_are_listed(tmp_path):
    _, problems = make_harvest(tmp_path, {"a.md": front(title=None, evidence="x"), "b.md": front(published=None, url=None)})
    assert len(problems) == 4


def test_two_files_on_one_piece(tmp_path):
    harvest, problems = make_harvest(tmp_path, {"a.md": front(), "b.md": front(url="http://EXAMPLE.org/a/?utm_source=x")})
    assert len(harvest.summaries) == 1 and "same url as summaries/a.md" in str(problems[0])


def test_windows_files_readmes_and_hidden_files(tmp_path):
    files = {"a.md": b"\xef\xbb\xbf" + front().replace("\n", "\r\n").encode(), "README.md": "hello", ".draft.md": "x", "note.txt": "x"}
    harvest, problems = make_harvest(tmp_path, files)
    assert len(harvest.summaries) == 1 and problems == []


def test_instants_with_an_offset_and_dates_in_words(tmp_path):
    files = {"a.md": front(published="2026-05-01T09:00:00+02:00"), "b.md": front(published="May 1, 2026", url="https://example.org/b")}
    harvest, _ = make_harvest(tmp_path, files)
    assert [s.published_at.hour for s in harvest.summaries] == [7, 23]


def test_a_missing_folder_is_an_error_and_an_empty_one_a_warning(tmp_path):
    harvest, problems = make_harvest(tmp_path, {})
    assert "no .md files" in harvest.warning and problems[0].severity == "warning"
    with pytest.raises(SourceError, match="no such folder"):
        make_harvest(tmp_path, {}, path="elsewhere")


def test_a_title_alone_is_taken_with_a_warning(tmp_path):
    harvest, problems = make_harvest(tmp_path, {"a.md": front().split("Body")[0]})
    assert harvest.summaries[0].takeaway == "" and problems[0].severity == "warning"
