"""Feeds over HTTP, parsed in the limited child, against a real server in a thread (conftest.py)."""

import gzip
import json
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from digest import config
from digest.errors import SourceError
from digest.sources import feedpool, read

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


PAGE = (b"<rss/>", "https://example.org/f", "")


@pytest.fixture
def pool(tmp_path):
    """A pool of one process, whose child may be changed: ``reduce`` of feedchild replaced by what a test gives."""
    made = []

    def make(reduce="", within_s=30.0, begin=""):
        script = tmp_path / f"child{len(made)}.py"
        lines = [f"import sys; sys.path.insert(0, {str(feedpool.CHILD.parent)!r})", begin, "import feedchild, os, json, time"]
        lines += (
            [f"WARM = feedchild.WARM\ndef bad(content, url, type):\n    if content == WARM: return {{}}\n    {reduce}"] if reduce else []
        )
        lines += ["feedchild.reduce = bad"] if reduce else []
        script.write_text("\n".join([*lines, "feedchild.main()"]))
        made.append(feedpool.Pool(script, within_s, most=1))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_the_child_cannot_take_more_memory_than_its_limit(pool):
    greedy = pool("return bytearray(10**9) and {} if content == b'greedy' else {'said': content.decode()}")
    for _ in range(3):
        with pytest.raises(feedpool.NotParsed, match="MemoryError"):
            greedy.parse(b"greedy", "https://example.org/f", "")
        assert greedy.parse(b"modest", "https://example.org/f", "") == {"said": "modest"}, "the next feed pays for nothing"


def test_a_child_that_hangs_is_ended_with_all_it_started(pool, tmp_path):
    note = tmp_path / "pid"
    # What forks is one process, what parses another: both have to go. The pid goes out through the answer's pipe only.
    sleepy = pool("time.sleep(60)", within_s=1.5, begin=f"open({str(note)!r}, 'w').write(str(__import__('os').getpid()))")
    with pytest.raises(feedpool.TooSlow):
        sleepy.parse(*PAGE)
    group = int(note.read_text())
    with pytest.raises(ProcessLookupError):
        for _ in range(100):  # the kernel may take a moment
            os.killpg(group, 0)
            time.sleep(0.05)
    with pytest.raises(feedpool.TooSlow):
        sleepy.parse(*PAGE)  # by a new process


def test_the_child_sees_no_secrets(pool, monkeypatch):
    monkeypatch.setenv("DIGEST_SECRET_KEY", "hush")
    assert "hush" not in json.dumps(pool("return dict(os.environ)").parse(*PAGE))


def test_a_feed_leaves_nothing_behind_for_the_next(pool):
    told = pool("feedchild.seen = getattr(feedchild, 'seen', 0) + 1; return {'seen': feedchild.seen}")
    assert [told.parse(*PAGE)["seen"] for _ in range(3)] == [1, 1, 1]


def test_what_parses_cannot_write_into_the_answers_of_another(pool):
    """A parser that is taken over finds its parent's input and output closed, and no file it could fill."""
    liar = pool("os.write(1, b'\\0' * 100); return {'read': os.read(0, 10).decode(), 'files': len(os.listdir('/proc/self/fd'))}")
    for _ in range(2):
        assert liar.parse(*PAGE)["read"] == ""


def test_a_process_that_ends_is_replaced(pool):
    mortal = pool("os.kill(os.getppid(), 9); time.sleep(9)")
    for _ in range(2):
        with pytest.raises(feedpool.NotParsed, match="ended"):
            mortal.parse(*PAGE)


def test_what_dies_of_its_limit_says_so(pool):
    with pytest.raises(feedpool.NotParsed, match="signal 24"):
        pool("import resource; resource.setrlimit(resource.RLIMIT_CPU, (1, 9))\n    while True: pass").parse(*PAGE)


def test_many_at_once_get_their_own_answers():
    shared = feedpool.Pool(most=2)
    feeds = [RSS.replace(">a<", f">piece {n}<").encode() for n in range(24)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda feed: shared.parse(feed, "https://example.org/f", ""), feeds))
    shared.close()
    assert [one["entries"][0]["title"]["value"] for one in found] == [f"piece {n}" for n in range(24)]


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
