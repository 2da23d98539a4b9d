"""The public archive and its feeds: everybody's, whole, kept by caches, and readable by our own sources."""

import json
import re
from datetime import UTC, date, datetime
from xml.etree import ElementTree

import feedparser
import pytest

from digest import archive, gather, jobs
from digest.config import FeedSource, Fetch
from digest.desk import edits
from digest.interests import load
from digest.sources import Context, feed
from digest.web import archives
from digest.workspace import open_workspace
from tests.support.make import CONFIG, make_workspace, write_summary
from tests.support.site import Site, serving

ENDINGS = ("xml", "atom", "json")
TITLE = '"Fish & <chips>: Größe und دراسة"'


@pytest.fixture(scope="module")
def site(tmp_path_factory, stored):
    folder = make_workspace(tmp_path_factory.mktemp("archive") / "w", config=CONFIG + stored)
    write_summary(folder, "one", "2026-04-10", "gut", title=f"'{TITLE}'", limits="'Only 12 <people> & mice.'", evidence="trial")
    write_summary(folder, "two", "2026-04-11", "vision", doi="10.1000/two")
    write_summary(folder, "secret", "2026-04-12", "gut", hold="true")
    write_summary(folder, "later", "2026-05-20", "gut")
    with serving(folder) as site:
        site.add("ana@example.org", interests=("gut",))
        with open_workspace(folder, date(2026, 5, 1)) as workspace, workspace.store.alone():
            jobs.run(workspace, "monthly")
        yield site


def test_issues_by_date_and_pieces_by_subject(site):
    assert "1 May 2026" in site.get("/archive?lang=en").text or "May 1, 2026" in site.get("/archive?lang=en").text
    issue = site.get("/archive/issues/monthly-2026-05-01").text
    assert re.findall(r'<h2[^>]*><a href="https://letter.example.org/(\w+)"', issue) == ["two", "one"]
    subject = site.get("/archive/subjects/gut?lang=de")
    assert re.findall(r'<h2[^>]*><a href="https://letter.example.org/(\w+)"', subject.text) == ["one"]
    assert "Klinische Studie · 10. April 2026" in subject.text and '<html lang="de"' in subject.text
    assert 'property="og:title"' in subject.text and 'type="application/rss+xml" href="/feeds/gut.xml"' in subject.text
    for path in (
        "/archive/issues/monthly-2026-06-01",
        "/archive/issues/x",
        "/archive/subjects/nothing",
        "/feeds/nothing.xml",
        "/feeds/gut.pdf",
        "/feed.pdf",
    ):
        assert site.get(path).status == 404, path


def test_what_the_editor_left_out_of_its_only_issue_is_not_in_the_archive(tmp_path, on_both):
    folder = make_workspace(tmp_path / "w")
    write_summary(folder, "kept", "2026-04-10", "gut")
    write_summary(folder, "struck", "2026-04-28", "gut")
    write_summary(folder, "elsewhere", "2026-04-12", "gut")
    with open_workspace(folder, date(2026, 5, 1)) as workspace, workspace.store.alone():
        Site(folder, 0).add("ana@example.org", interests=("gut",))
        Site(folder, 0).add("ben@example.org", interests=("gut",), cadence="weekly")
        jobs.prepare(workspace, "monthly")
        for piece, under in (("struck", ()), ("elsewhere", ("vision",))):
            edits.exclude(workspace, "monthly-2026-05-01", piece, under)
        jobs.run(workspace, "monthly")
        lists = load(folder)
        kept = archive.load(workspace, lists)
        assert [[piece.title for piece in pieces] for _, pieces in kept.issues] == [["Piece elsewhere", "Piece kept"]]
        assert [piece.title for piece in kept.about("gut")] == ["Piece elsewhere", "Piece kept"]
        assert not archive.found(kept, "struck") and archive.found(kept, "kept")
        jobs.run(workspace, "weekly")  # another issue has it
        kept = archive.load(workspace, lists, kept)
        assert {slot.cadence: "Piece struck" in [piece.title for piece in pieces] for slot, pieces in kept.issues} == {
            "monthly": False,
            "weekly": True,
        }
        assert archive.found(kept, "struck")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("fish CHIPS", ["one"]),
        ("größ", ["one"]),
        ("دراسة", ["one"]),
        ("two found", ["two"]),
        ("people mice", ["one"]),
        ("fish two", []),
        ("hips", []),
    ],
)
def test_the_search_finds_whole_beginnings_of_words_and_says_nothing_in_an_address(site, words, found):
    answer = site.post("/archive", {"words": words, "lang": "en"})
    assert answer.status == 200 and answer.headers["cache-control"] == "no-store"
    assert re.findall(r'<h2[^>]*><a href="https://letter.example.org/(\w+)"', answer.text) == found
    assert ("Nothing found." in answer.text) == (not found)
    assert site.post("/archive", {"words": "<script>%_'"}).text.count("<script>") == 0


def source(site, path):
    return FeedSource(name="back", kind="feed", url=f"{site.url}{path}")


@pytest.mark.parametrize("path", [f"{base}.{ending}" for base in ("/feed", "/feeds/gut") for ending in ENDINGS])
def test_our_own_sources_read_back_what_the_feeds_say(site, path):
    context = Context(
        workspace=site.folder, timezone="Europe/London", now=datetime.now(UTC), fetch=Fetch(allow=(f"127.0.0.1:{site.port}",))
    )
    harvest = feed.read(source(site, path), context)
    assert not harvest.refused and not harvest.warning
    got = {piece.url.rpartition("/")[2]: piece for piece in harvest.summaries}
    assert sorted(got) == (["one"] if "gut" in path else ["one", "two"])
    one = got["one"]
    assert (one.title, one.takeaway, one.tags) == (TITLE.strip("'"), "What one found.", ("gut",))
    assert one.published_at.date() == date(2026, 4, 9) or one.published_at.date() == date(2026, 4, 10)
    assert "Only 12 <people> & mice." in "".join(section.text for section in one.sections) or path.endswith("json")


@pytest.mark.parametrize("ending", ENDINGS)
def test_feeds_are_valid_to_others(site, ending):
    answer = site.get(f"/feed.{ending}")
    if ending == "json":
        said = json.loads(answer.body)
        assert said["version"].endswith("/1.1") and all(
            {"id", "url", "date_published", "content_text"} <= item.keys() for item in said["items"]
        )
        return
    ElementTree.fromstring(answer.body)
    parsed = feedparser.parse(answer.body)
    assert not parsed.bozo and parsed.version == {"xml": "rss20", "atom": "atom10"}[ending]
    assert [entry.link.rpartition("/")[2] for entry in parsed.entries] == ["two", "one"]
    assert len({entry.id for entry in parsed.entries}) == 2


@pytest.mark.parametrize(
    "path",
    [
        "/archive",
        "/archive/subjects/gut",
        "/archive/issues/monthly-2026-05-01",
        "/sitemap.xml",
        "/robots.txt",
        *(f"/feed.{e}" for e in ENDINGS),
    ],
)
def test_public_pages_are_kept_and_asked_for_again_cheaply(site, path):
    first = site.get(path)
    assert first.status == 200 and first.headers["cache-control"] == "public, max-age=60" and first.headers["x-robots-tag"] == "all"
    again = site.get(path, If_None_Match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"") and again.headers["etag"] == first.headers["etag"]
    assert site.get(path, If_None_Match='"other"').status == 200
    assert "set-cookie" not in first.headers and "ana" not in first.text.lower().replace("analy", "")
    if "last-modified" in first.headers:
        assert site.get(path, If_Modified_Since=first.headers["last-modified"]).status == 304
        assert site.get(path, If_Modified_Since="Thu, 01 Jan 1970 00:00:00 GMT").status == 200
        assert site.get(path, If_Modified_Since="nonsense").status == 200
        # What the tag says counts more than the date.
        assert site.get(path, If_None_Match='"other"', If_Modified_Since=first.headers["last-modified"]).status == 200


@pytest.mark.parametrize("path", ["/", "/archive", "/archive/subjects/gut", "/archive/issues/monthly-2026-05-01"])
def test_a_page_that_is_shared_shows_our_own_picture(site, path):
    page = site.get(path).text
    picture = re.search(r'property="og:image" content="https://letter.example.org(/[^"]+)"', page)[1]
    answer = site.get(picture)
    assert answer.headers["content-type"] == "image/png" and answer.body.startswith(b"\x89PNG") and len(answer.body) < 50_000
    assert {"og:title", "og:description", "og:url"} <= set(re.findall(r'property="([^"]+)"', page))


def test_crawlers_are_told_what_is_public(site):
    robots, sitemap = site.get("/robots.txt").text, site.get("/sitemap.xml").text
    assert "Disallow: /w/" in robots and "Sitemap: https://letter.example.org/sitemap.xml" in robots
    assert "https://letter.example.org/archive/subjects/gut" in sitemap and "/w/" not in sitemap


def test_nothing_held_back_or_unsent_is_anywhere(site):
    for path in ("/archive", "/archive/subjects/gut", "/archive/issues/monthly-2026-05-01", *(f"/feed.{ending}" for ending in ENDINGS)):
        assert not re.search(r"letter\.example\.org/(secret|later)\b", site.get(path).text), path


def test_a_later_retraction_is_told_first_in_pages_and_feeds(site, monkeypatch):
    before = site.get("/feeds/vision.json")
    write_summary(
        site.folder, "two", "2026-04-11", "vision", doi="10.1000/two", notice="{kind: retraction, at: 2026-05-09, text: Wrong & withdrawn.}"
    )
    with site.open() as workspace, workspace.store.alone():
        gather.gather(workspace)
    monkeypatch.setattr(archives, "_FRESH_S", 0.0)  # it is kept for a minute
    after = json.loads(site.get("/feeds/vision.json").body)
    assert "Retracted" not in before.text
    assert after["items"][0]["content_text"].startswith("Retracted on May 9, 2026: Wrong & withdrawn.")
    assert "Retracted on May 9, 2026." in site.get("/archive/subjects/vision?lang=en").text
