import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest import config
from digest.errors import SourceError
from digest.sources import Context, read, text

SEED = Path(__file__).parents[4] / "shared" / "seed-page.txt"
TEASERS = [("5/1/2026", f"Teaser number {n} tells of a study that was done.") for n in range(6)]


def make_context(workspace):
    return Context(workspace, "UTC", config.Fetch(), datetime(2026, 5, 1, tzinfo=UTC))


def make_source(**changes):
    usual = {"name": "seed", "kind": "text", "path": "page.txt", "url": "https://example.org/a", "published": "2026-05-02"}
    return config.TextSource(**usual | changes)


def make_page(teasers, article=("Take away.", "Found this. More.", "People should care.", "Only mice. So careful.")):
    listed = "".join(f"{date}\n{line}\nRead More" for date, line in teasers)
    return "\n".join(article) + "\n" + listed + "Whether you read journals like Small (Weinheim) often or not.\nMore notice."


def harvest_of(tmp_path, content, **changes):
    (tmp_path / "page.txt").write_text(content, encoding="utf-8")
    return read(make_source(**changes), make_context(tmp_path))


def test_one_full_summary_and_its_teasers(tmp_path):
    harvest = harvest_of(tmp_path, make_page(TEASERS))
    full, *teasers = harvest.summaries
    assert harvest.refused == () and len(teasers) == 6
    assert full.identifiers == ("url:https://example.org/a", "source:seed:page")
    assert (full.takeaway, full.limits, full.journal, full.evidence) == ("Take away.", "Only mice.", "Small (Weinheim)", None)
    assert [s.heading for s in full.sections] == ["What they found", "Why it matters", "Limits"]
    assert full.published_at == datetime(2026, 5, 2, tzinfo=UTC)
    for teaser, (_, line) in zip(teasers, TEASERS, strict=True):
        assert teaser.title == line and teaser.takeaway == "" and teaser.journal == "" and teaser.sections == ()
        assert teaser.url == "https://example.org/a" and len(teaser.identifiers) == 1


@given(st.permutations(TEASERS), st.booleans())
def test_the_order_of_the_site_changes_no_identifier(order, glued):
    page = make_page(order) if glued else make_page(order).replace("Read More", "\nRead More\n")
    saved = text.split(page)
    assert {text.teaser_id(t.text) for t in saved.teasers} == {text.teaser_id(line) for _, line in TEASERS}
    assert [(t.date, t.text) for t in saved.teasers] == order
    assert len(saved.article) == 4 and saved.notice.startswith("Whether")


def test_a_corrected_date_is_the_same_teaser(tmp_path):
    before = harvest_of(tmp_path, make_page([("12/31/2026", "A teaser.")])).summaries[1]
    after = harvest_of(tmp_path, make_page([("12/31/2025", "A teaser.")])).summaries[1]
    assert before.identifiers == after.identifiers and before.published_at != after.published_at


@pytest.mark.parametrize(
    ("cut_by_the_site", "title"),
    [
        ("Learn how certain gut bacteria can worsen MS symptoms and what this means for treatment and daily li", "daily…"),
        ("Study found fewer hospital diagnoses of antibody-positive autoimmune encephalitis during COVID-19, b", "COVID-19…"),
        ("A short one without an end", "an end"),
        ("A sentence of about a hundred characters that the site did not have to cut because it ends by itself.", "by itself."),
        ("x" * 100, "x…"),
    ],
)
def test_titles_end_at_a_whole_word(cut_by_the_site, title):
    assert text.whole(cut_by_the_site).endswith(title)


@pytest.mark.parametrize(
    ("teasers", "reason"),
    [
        ([("13/45/2026", "Text.")], "not a day of the calendar"),
        ([("", "Text without a date.")], "no date above"),
        ([("5/1/2026", "")], "without a teaser"),
        ([("5/1/2026", "Same."), ("5/2/2026", "Same.")], "same teaser stands under"),
    ],
)
def test_a_bad_teaser_is_refused_with_its_line(tmp_path, teasers, reason):
    good = ("5/1/2026", "A good one.")
    harvest = harvest_of(tmp_path, make_page([good, *teasers]))
    assert "A good one." in [s.title for s in harvest.summaries]
    (refusal,) = harvest.refused
    assert reason in refusal.reason and refusal.ref.startswith("page.txt:")


def test_the_files_time_stands_in_for_a_missing_date(tmp_path):
    (tmp_path / "page.txt").write_text(make_page([]), encoding="utf-8")
    os.utime(tmp_path / "page.txt", (1777593600, 1777593600))
    (full,) = read(make_source(published=None), make_context(tmp_path)).summaries
    assert full.published_at == datetime(2026, 5, 1, tzinfo=UTC)


def test_a_folder_of_pages_shares_teasers_and_names_each_article_by_its_file(tmp_path):
    (tmp_path / "saved").mkdir()
    for name in ("a", "b"):
        (tmp_path / "saved" / f"{name}.txt").write_text(make_page(TEASERS, (f"Article {name}.",)), encoding="utf-8")
    (tmp_path / "saved" / "c.txt").write_text("", encoding="utf-8")
    harvest = read(make_source(path="saved"), make_context(tmp_path))
    assert len(harvest.summaries) == 8 and harvest.refused == ()
    assert "saved/c.txt is empty" in harvest.warning
    assert {s.id for s in harvest.summaries if s.takeaway} == {"source:seed:a", "source:seed:b"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"path": "none.txt"}, "no such file"),
        ({"journal": "("}, "not a regular expression"),
        ({"journal": "x"}, "needs one group"),
        ({"published": "soon"}, "published: "),
    ],
)
def test_what_makes_the_whole_source_fail(tmp_path, changes, reason):
    with pytest.raises(SourceError, match=reason):
        harvest_of(tmp_path, make_page([]), **changes)


def test_an_empty_file_and_an_empty_folder_say_so(tmp_path):
    with pytest.raises(SourceError, match="is empty"):
        harvest_of(tmp_path, " \n")
    (tmp_path / "saved").mkdir()
    with pytest.raises(SourceError, match="no .txt files"):
        read(make_source(path="saved"), make_context(tmp_path))


@pytest.mark.skipif(not SEED.exists(), reason="the first user's page (../shared/seed-page.txt) is not beside this clone")
def test_the_first_users_page():
    source = make_source(path=SEED.name)
    harvest = read(source, make_context(SEED.parent))
    full, *teasers = harvest.summaries
    assert len(teasers) == 6 and harvest.refused == ()
    assert full.title == "Tiny drug carriers (nanomedicines) that specifically target and 'retrain' immune cells…"
    assert full.journal == "Small (Weinheim an der Bergstrasse, Germany)"
    assert full.limits.startswith("Most evidence so far") and full.limits.endswith("people with MS.")
    assert teasers[0].published_at == datetime(2026, 12, 31, tzinfo=UTC)
    assert [t.published_at.month for t in teasers] == [12, 5, 5, 5, 3, 3]
    assert teasers[0].title.endswith("treatment and daily…")
    assert all(t.takeaway == "" and t.id.startswith("source:seed:") for t in teasers)
