"""Web pages and JSON APIs over HTTP, page after page."""

import json
from datetime import UTC, datetime

import pytest

from digest import config
from digest.errors import SourceError
from digest.model import Evidence
from digest.sources import read

CARD = "<article><h2>{0} <b>x</b></h2><time datetime='2026-05-01'>May</time><p>About {0}.</p><a href='/{0}?utm_source=l'>more</a></article>"


def listing(*names, following=""):
    link = f"<a class=next href='{following}'>older</a>" if following else ""
    return "<!doctype html><meta charset=utf-8><main>" + "".join(CARD.format(name) for name in names) + link + "</main>"


def read_page(server, tmp_path, **changes):
    usual = {
        "name": "site",
        "kind": "page",
        "url": server.url("/list"),
        "item": "article",
        "title": "h2",
        "takeaway": "p",
        "next": "a.next",
    }
    context = {key: changes.pop(key) for key in ("etag",) if key in changes}
    return read(config.PageSource(**usual | changes), server.context(tmp_path, **context))


def test_a_listing_over_several_pages(server, tmp_path):
    server.answers |= {
        "/list": (200, {"ETag": '"1"'}, listing("a", "b", following="?p=2")),
        "/list?p=2": (200, {}, listing("c", following="/list#top")),
    }
    harvest = read_page(server, tmp_path)
    assert [s.title for s in harvest.summaries] == ["a x", "b x", "c x"]
    first = harvest.summaries[0]
    assert (first.takeaway, first.published_at) == ("About a.", datetime(2026, 5, 1, tzinfo=UTC))
    assert first.identifiers == (f"url:https://127.0.0.1:{server.port}/a",)
    assert len(server.requests) == 2 and harvest.warning == "" and harvest.etag == '"1"'


def test_no_more_pages_than_asked_for(server, tmp_path):
    for n in range(9):
        server.answers[f"/list{n or ''}"] = (200, {}, listing(f"a{n}", following=f"/list{n + 1}"))
    assert len(read_page(server, tmp_path, pages=3).summaries) == 3


def test_a_later_page_that_fails_loses_nothing(server, tmp_path):
    server.answers["/list"] = (200, {"ETag": '"1"'}, listing("a", following="/gone"))
    harvest = read_page(server, tmp_path)
    assert len(harvest.summaries) == 1 and "page 2" in harvest.warning and "404" in harvest.warning and harvest.etag == ""


def test_a_next_page_inside_is_not_read(server, tmp_path):
    server.answers["/list"] = (200, {}, listing("a", following="http://169.254.169.254/"))
    assert "private network" in read_page(server, tmp_path).warning


def test_an_item_that_cannot_be_taken(server, tmp_path):
    bad = "<article><h2>T</h2><time>{0}</time><a href='{1}'>x</a></article>"
    items = [("", "/x"), ("soon", "/x"), ("May 1, 2026", "mailto:x"), ("May 1, 2026", "")]
    server.answers["/list"] = (200, {}, listing("a") + "".join(bad.format(*item) for item in items))
    harvest = read_page(server, tmp_path)
    assert len(harvest.summaries) == 1
    assert [r.reason.split(";")[0][:20] for r in harvest.refused] == [
        "has no date, so no i",
        '"soon" names no year',
        'its link "mailto:x" ',
        "has no link",
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"item": "section"}, 'item: "section" matches nothing'),
        ({"title": "h3"}, 'title: "h3" matches nothing'),
        ({"link": "a.more"}, 'link: "a.more" matches nothing'),
        ({"date": ".when"}, 'date: ".when" matches nothing'),
        ({"item": "article["}, "item: .* is not a CSS selector"),
        ({"title": ":nope("}, "title: .* is not a CSS selector"),
        ({"next": "a..b"}, "next: .* is not a CSS selector"),
        ({"takeaway": ">>"}, "takeaway: .* is not a CSS selector"),
    ],
)
def test_a_selector_that_is_wrong_is_named(server, tmp_path, changes, reason):
    server.answers["/list"] = (200, {}, listing("a"))
    with pytest.raises(SourceError, match=reason):
        read_page(server, tmp_path, **changes)


def test_a_takeaway_that_is_nowhere_is_a_warning(server, tmp_path):
    server.answers["/list"] = (200, {}, listing("a"))
    harvest = read_page(server, tmp_path, takeaway=".lead")
    assert len(harvest.summaries) == 1 and 'takeaway: ".lead"' in harvest.warning


def test_an_item_may_be_the_link_itself_and_a_base_counts(server, tmp_path):
    html = "<base href='/deep/'><a class=i href=x><span>T</span> <time>1 May 2026</time></a>"
    server.answers["/list"] = (200, {"Content-Type": "text/html; charset=utf-8"}, html)
    harvest = read_page(server, tmp_path, item="a.i", title="span", takeaway=None)
    assert harvest.summaries[0].url == server.url("/deep/x")


@pytest.mark.parametrize(("body", "reason"), [("", "is empty"), ("<div>" * 3000, "nests")])
def test_pages_that_are_not_read(server, tmp_path, body, reason):
    server.answers["/list"] = (200, {}, body)
    with pytest.raises(SourceError, match=reason):
        read_page(server, tmp_path)


def test_an_unchanged_page(server, tmp_path):
    server.answers["/list"] = (304, {}, b"")
    assert read_page(server, tmp_path, etag='"1"').unchanged


# --- JSON APIs ---------------------------------------------------------------------------------------------------------

FIELDS = {
    "id": "id",
    "title": "title.rendered",
    "published": "date",
    "url": "links.0.href",
    "body": "content",
    "tags": "tags.name",
    "evidence": "study",
    "doi": "doi",
    "authors": "authors",
}


def post(n, **changes):
    usual = {
        "id": n,
        "title": {"rendered": f"Post {n} &amp; <em>more</em>"},
        "date": "2026-05-01T00:00:00",
        "links": [{"href": f"/{n}"}],
        "content": "<p>The first sentence of the whole post. Then more.</p>",
        "tags": [{"name": "Gut Bugs"}, {"slug": "x"}],
        "study": "trial",
        "doi": f"10.1002/x.{n}",
        "authors": "Ada; Grace",
    }
    return usual | changes


def read_json(server, tmp_path, **changes):
    usual = {"name": "api", "kind": "json", "url": server.url("/posts"), "items": "data.posts", "fields": FIELDS}
    return read(config.JsonSource(**usual | changes), server.context(tmp_path))


def answer(*posts, **more):
    return (200, {"Content-Type": "application/json"}, json.dumps({"data": {"posts": list(posts)}} | more))


def test_fields_by_path(server, tmp_path):
    server.answers["/posts"] = answer(post(1), post(2, date=1777593600, study="lab work"), post(3, date="1777593600000", study=None))
    harvest = read_json(server, tmp_path)
    first = harvest.summaries[0]
    assert (first.title, first.takeaway, first.tags) == ("Post 1 & more", "The first sentence of the whole post.", ("gut-bugs",))
    assert first.identifiers == ("doi:10.1002/x.1", f"url:https://127.0.0.1:{server.port}/1", "source:api:1")
    assert first.evidence is Evidence.TRIAL and first.authors == ("Ada", "Grace")
    assert {s.published_at for s in harvest.summaries} == {datetime(2026, 5, 1, tzinfo=UTC)}
    assert [s.evidence for s in harvest.summaries[1:]] == [None, None] and '"lab work"' in harvest.warning


def test_pages_by_address_end_at_a_loop(server, tmp_path):
    server.answers |= {"/posts": answer(post(1), next="/posts?p=2"), "/posts?p=2": answer(post(2), next=server.url("/posts"))}
    assert len(read_json(server, tmp_path, next="next").summaries) == 2
    assert len(server.requests) == 2


def test_pages_by_number_end_with_the_posts_or_a_400(server, tmp_path):
    url = server.url("/posts?per=1&page=9")
    server.answers |= {f"/posts?per=1&page={n}": answer(post(n)) for n in (1, 2)} | {"/posts?per=1&page=3": (400, {}, b"{}")}
    harvest = read_json(server, tmp_path, url=url, page_param="page")
    assert len(harvest.summaries) == 2 and harvest.warning == ""
    server.answers["/posts?per=1&page=3"] = answer()
    assert len(read_json(server, tmp_path, url=url, page_param="page").summaries) == 2
    server.answers["/posts?per=1&page=3"] = (500, {}, b"")
    assert "page 3" in read_json(server, tmp_path, url=url, page_param="page").warning


def test_an_api_that_ignores_the_page_number_is_read_twice_at_most(server, tmp_path):
    server.answers |= {f"/posts?page={n}": answer(post(1)) for n in range(1, 9)}
    assert len(read_json(server, tmp_path, page_param="page", pages=8).summaries) == 1
    assert len(server.requests) == 2


def test_a_bad_item_is_refused(server, tmp_path):
    server.answers["/posts"] = answer(post(1), "x", post(2, date=None), post(3, links=[]), post(4, date=True), post(5, title={}))
    harvest = read_json(server, tmp_path)
    assert len(harvest.summaries) == 1
    assert [r.reason.split(",")[0] for r in harvest.refused] == [
        "is not an object",
        "has no date",
        "has no link",
        "has no date",
        "has no title",
    ]


@pytest.mark.parametrize(
    ("body", "changes", "reason"),
    [
        ("<html>", {}, "not JSON but a web page"),
        ("{", {}, "is not JSON"),
        ("", {}, "is not JSON"),
        ('{"data": {}}', {}, r'items: "data.posts" is not a list; it has data'),
        ('{"a": 1}', {"items": ""}, "items is not set"),
        ('{"data": {"posts": [{"name": 1}]}}', {}, r'fields.title: "title.rendered" is in none of the 1 items; the first has name'),
    ],
)
def test_what_makes_the_whole_source_fail(server, tmp_path, body, changes, reason):
    server.answers["/posts"] = (200, {}, body)
    with pytest.raises(SourceError, match=reason):
        read_json(server, tmp_path, **changes)
