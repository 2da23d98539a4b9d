"""Feeds over HTTP, parsed in the limited child, against a real server in a thread (conftest.py)."""

import gzip
import json
import random

import pytest

from digest import config
from digest.errors import SourceError
from digest.sources import fetch, read

ITEM = "<item><title>{0}</title><link>/{0}</link><pubDate>Fri, 01 May 2026 00:00:00 GMT</pubDate></item>"
RSS = "<?xml version='1.0'?><rss version='2.0'><channel>" + ITEM.format("a") + ITEM.format("b") + "</channel></rss>"
XML = {"Content-Type": "application/rss+xml"}


def read_feed(server, path, tmp_path, etag="", last_modified="", **changes):
    source = config.FeedSource(name="news", kind="feed", url=server.url(path))
    return read(source, server.context(tmp_path, etag, last_modified, **changes))


def test_a_feed_and_then_304(server, tmp_path):
    def answer(handler):
        if handler.headers.get("If-None-Match") == '"v1"' and handler.headers.get("If-Modified-Since") == "yesterday":
            return (304, {}, b"")
        return (200, XML | {"ETag": '"v1"', "Last-Modified": "yesterday"}, RSS)

    server.answers["/feed"] = answer
    first = read_feed(server, "/feed", tmp_path)
    assert [s.url for s in first.summaries] == [server.url("/a"), server.url("/b")] and first.warning == ""
    again = read_feed(server, "/feed", tmp_path, first.etag, first.last_modified)
    assert again.unchanged and again.summaries == () and (again.etag, again.last_modified) == ('"v1"', "yesterday")


def test_a_feed_cut_short_by_the_server_is_salvaged_and_read_whole_next_time(server, tmp_path):
    cut = RSS[: RSS.index("/b<") + 2]
    server.answers["/feed"] = (200, XML | {"ETag": '"v1"', "Content-Length": str(len(RSS)), "Connection": "close"}, cut)
    harvest = read_feed(server, "/feed", tmp_path)
    assert [s.title for s in harvest.summaries] == ["a"] and harvest.salvaged == 1 and harvest.etag == ""


def test_a_gzipped_feed_cut_short_is_salvaged_too(server, tmp_path):
    chance = random.Random(1)
    noise = "".join(f"<!-- {chance.random()} -->" for _ in range(3000))
    whole = gzip.compress(RSS.replace("</channel>", noise + "</channel>").encode())
    server.answers["/feed"] = (200, XML | {"Content-Encoding": "gzip"}, whole[: len(whole) // 2])
    harvest = read_feed(server, "/feed", tmp_path)
    assert len(harvest.summaries) == 2 and harvest.salvaged == 2 and "broke off" in harvest.warning


def test_html_for_a_feed(server, tmp_path):
    server.answers["/feed"] = (200, {}, "<!doctype html><html><body>Sorry</body></html>")
    with pytest.raises(SourceError, match="web page"):
        read_feed(server, "/feed", tmp_path)


def entities(levels):
    lines = ['<!ENTITY e0 "lol">', *(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, levels))]
    return "<?xml version='1.0'?><!DOCTYPE r [" + "".join(lines) + "]>" + RSS.partition("?>")[2].replace(">a<", f">&e{levels - 1};<", 1)


FLOOD = f"<?xml version='1.0'?><!DOCTYPE r [<!ENTITY e0 \"{'x' * 100_000}\">]>"
BOMBS = {
    "billion laughs": entities(10),
    "quadratic": FLOOD + RSS.partition("?>")[2].replace(">a<", f">{'&e0;' * 10_000}<", 1),
    "a hundred thousand deep": "<rss version='2.0'><channel>" + "<x>" * 100_000,
    "two hundred thousand entries": "<rss version='2.0'><channel>" + "<item/>" * 200_000 + "</channel></rss>",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_hurt_nobody(server, tmp_path, name):
    server.answers["/feed"] = (200, XML, BOMBS[name])
    try:
        harvest = read_feed(server, "/feed", tmp_path)
    except SourceError as error:
        assert "127.0.0.1" in str(error)
    else:
        assert harvest.warning
        assert all(len(s.title) < 2000 for s in harvest.summaries)


def test_the_child_cannot_take_more_memory_than_its_limit(tmp_path, monkeypatch):
    from digest.sources import feed

    greedy = tmp_path / "greedy.py"
    lines = [f"import sys; sys.path.insert(0, {str(feed.CHILD.parent)!r})", "import feedchild", "feedchild.limit()", "x = bytearray(10**9)"]
    greedy.write_text("\n".join(lines))
    monkeypatch.setattr(feed, "CHILD", greedy)
    with pytest.raises(SourceError, match="MemoryError"):
        feed.parse_in_child(fetch.Page(200, "https://example.org/f", b"<rss/>"))


def test_a_child_that_hangs_is_ended(tmp_path, monkeypatch):
    from digest.sources import feed

    sleepy = tmp_path / "sleepy.py"
    sleepy.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(feed, "CHILD", sleepy)
    monkeypatch.setattr(feed, "PARSE_S", 0.3)
    with pytest.raises(SourceError, match="took longer"):
        feed.parse_in_child(fetch.Page(200, "https://example.org/f", b"<rss/>"))


def test_the_child_sees_no_secrets(tmp_path, monkeypatch):
    from digest.sources import feed

    teller = tmp_path / "teller.py"
    teller.write_text("import json, os; print(json.dumps(dict(os.environ)))")
    monkeypatch.setattr(feed, "CHILD", teller)
    monkeypatch.setenv("DIGEST_SECRET_KEY", "hush")
    assert "hush" not in json.dumps(feed.parse_in_child(fetch.Page(200, "https://example.org/f", b"")))


def test_an_external_entity_is_neither_opened_nor_fetched(server, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("hush")
    server.answers["/entity"] = (200, {}, "hush")
    for target in (secret.as_uri(), server.url("/entity")):
        doctype = f"<?xml version='1.0'?><!DOCTYPE r [<!ENTITY x SYSTEM '{target}'><!ENTITY % p SYSTEM '{target}'> %p;]>"
        server.answers["/feed"] = (200, XML, doctype + RSS.partition("?>")[2].replace(">a<", ">a&x;<", 1))
        harvest = read_feed(server, "/feed", tmp_path)
        assert "hush" not in repr(harvest)
    assert {path for path, _ in server.requests} == {"/feed"}


def test_a_declared_charset_and_a_wrong_one(server, tmp_path):
    text = RSS.replace(">a<", ">déjà vu<")
    for sent, encoding in (
        ("application/xml; charset=iso-8859-1", "latin-1"),
        ("application/xml; charset=utf-8", "latin-1"),
        ("text/xml", "utf-16"),
    ):
        server.answers["/feed"] = (200, {"Content-Type": sent}, text.encode(encoding))
        assert read_feed(server, "/feed", tmp_path).summaries[0].title == "déjà vu"


def test_json_feed(server, tmp_path):
    items = [{"id": "1", "url": "/a", "title": "A", "content_html": "<p>One. Two.</p>", "date_published": "2026-05-01T00:00:00Z"}]
    server.answers["/feed"] = (200, {"ETag": '"j"'}, json.dumps({"version": "https://jsonfeed.org/version/1.1", "items": items}))
    harvest = read_feed(server, "/feed", tmp_path)
    assert harvest.summaries[0].url == server.url("/a") and harvest.etag == '"j"'


def test_many_feeds_at_once(server, tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    server.answers["/feed"] = (200, XML, RSS)
    with ThreadPoolExecutor(4) as pool:
        harvests = list(pool.map(lambda _: read_feed(server, "/feed", tmp_path), range(8)))
    assert all(len(h.summaries) == 2 for h in harvests)
