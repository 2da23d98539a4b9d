"""Feeds from bytes to a Harvest, without HTTP and without the child (``feedchild.reduce`` runs here)."""

import json
import warnings
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest import config
from digest.errors import SourceError
from digest.sources import Context, charset, entry, feed, feedchild, fetch, jsonfeed

SOURCE = config.FeedSource(name="news", kind="feed", url="https://example.org/dir/feed", tags=("ms",), language="en")
CONTEXT = Context(Path(), "UTC", config.Fetch(), datetime(2026, 5, 1, tzinfo=UTC))
ITEM = "<title>A</title><link>https://example.org/a</link><pubDate>Fri, 01 May 2026 00:00:00 GMT</pubDate>"


def harvest_of(content, content_type="application/rss+xml", **page):
    content = content.encode() if isinstance(content, str) else content
    document = fetch.Page(200, SOURCE.url, content, content_type, **page)
    if feed.is_json(document):
        return jsonfeed.harvest(document, SOURCE, CONTEXT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parsed = json.loads(json.dumps(feedchild.reduce(content, SOURCE.url, content_type)))
    return feed.harvest(document, parsed, SOURCE, CONTEXT)


def rss(*items, head=""):
    return f"<?xml version='1.0'?><rss version='2.0' {head}><channel>" + "".join(f"<item>{i}</item>" for i in items) + "</channel></rss>"


def only(harvest):
    (summary,) = harvest.summaries
    return summary


FORMATS = {
    "rss 0.91": f"<rss version='0.91'><channel><title>c</title><item>{ITEM}</item></channel></rss>",
    "rss 0.92": f"<rss version='0.92'><channel><title>c</title><item>{ITEM}</item></channel></rss>",
    "rss 2.0": rss(ITEM),
    "rdf 0.90": "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns='http://my.netscape.com/rdf/simple/0.9/'"
    f" xmlns:dc='http://purl.org/dc/elements/1.1/'><channel><title>c</title></channel><item>{ITEM}</item></rdf:RDF>",
    "rdf 1.0": "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns='http://purl.org/rss/1.0/'"
    " xmlns:dc='http://purl.org/dc/elements/1.1/'><item rdf:about='https://example.org/a'><title>A</title><link>https://example.org/a</link>"
    "<dc:date>2026-05-01T00:00:00Z</dc:date></item></rdf:RDF>",
    "atom 1.0": "<feed xmlns='http://www.w3.org/2005/Atom'><entry><title>A</title><id>urn:1</id><link href='/a'/>"
    "<published>2026-05-01T00:00:00Z</published><updated>2026-05-02T00:00:00Z</updated></entry></feed>",
    "json 1.0": '{"version":"https://jsonfeed.org/version/1","items":[{"id":"1","url":"/a","title":"A","date_published":"2026-05-01"}]}',
    "json 1.1": '\ufeff{"version":"https://jsonfeed.org/version/1.1","items":[{"id":7,"external_url":"https://example.org/a","content_text":"A",'
    '"date_modified":"2026-05-01T00:00:00Z","authors":[{"name":"Ada"}],"tags":["Gut Bugs"]}]}',
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_piece(name):
    summary = only(harvest_of(FORMATS[name]))
    assert (summary.title, summary.url, summary.id) == ("A", "https://example.org/a", "url:https://example.org/a")
    assert summary.published_at == datetime(2026, 5, 1, tzinfo=UTC)
    assert "ms" in summary.tags and summary.language == "en"


def test_everything_an_entry_can_say():
    head = "xmlns:dc='http://purl.org/dc/elements/1.1/' xmlns:prism='http://prismstandard.org/namespaces/basic/2.0/'"
    body = "&lt;p&gt;The first sentence is long enough. Another &lt;b&gt;one&lt;/b&gt;.&lt;/p&gt;&lt;script&gt;alert(1)&lt;/script&gt;"
    extra = (
        f"<description>{body}</description><category> Gut Bugs </category><dc:creator>Ada &amp;amp; Co</dc:creator>"
        "<prism:publicationName>Small</prism:publicationName><guid>https://pubmed.ncbi.nlm.nih.gov/38000001/</guid>"
    )
    item = f"{ITEM}{extra}<dc:identifier>doi:10.1002/SMLL.1</dc:identifier>"
    summary = only(harvest_of(rss(item, head=head)))
    assert summary.identifiers[:3] == ("doi:10.1002/smll.1", "pmid:38000001", "url:https://example.org/a")
    assert summary.takeaway == "The first sentence is long enough."
    assert summary.sections[0].text == "The first sentence is long enough. Another one."
    assert (summary.journal, summary.authors, summary.tags) == ("Small", ("Ada & Co",), ("ms", "gut-bugs"))


@pytest.mark.parametrize(
    ("extra", "doi"),
    [
        ("<prism:doi>10.1002/x.1</prism:doi>", "10.1002/x.1"),
        ("<guid>https://doi.org/10.1002/X.2</guid>", "10.1002/x.2"),
        ("<guid isPermaLink='false'>doi:10.1002/x.3</guid>", "10.1002/x.3"),
        ("<dc:identifier>10.1002/x.4</dc:identifier>", "10.1002/x.4"),
        ("<dc:identifier>isbn:10</dc:identifier>", ""),
    ],
)
def test_where_a_doi_is_found(extra, doi):
    head = "xmlns:dc='http://purl.org/dc/elements/1.1/' xmlns:prism='http://prismstandard.org/namespaces/basic/2.0/'"
    assert only(harvest_of(rss(ITEM + extra, head=head))).doi == doi


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("AT&amp;amp;T &lt;b&gt;bold&lt;/b&gt;", "AT&T bold"),
        ("p &lt; 0.05", "p < 0.05"),
        ("=?utf-8?q?a=0ABcc=3A_x?=", "= ?utf-8?q?a=0ABcc=3A_x?="),
        ("a\n  b&#x2028;c&#x202e;d", "a b cd"),
        ("CO&lt;sub&gt;2&lt;/sub&gt;", "CO2"),
    ],
)
def test_titles_are_one_clean_line(title, shown):
    assert only(harvest_of(rss(ITEM.replace("<title>A", f"<title>{title}")))).title == shown


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("<title>A</title><pubDate>2026-05-01</pubDate>", "has no link"),
        ("<title>A</title><link>https://example.org/a</link>", "has no date"),
        ("<title>A</title><link>https://example.org/a</link><pubDate>May 2026</pubDate>", "names no day"),
        ("<link>https://example.org/a</link><pubDate>2026-05-01</pubDate>", "has no title"),
        ("<title>A</title><link>javascript:alert(1)</link><pubDate>2026-05-01</pubDate>", "must begin with https"),
        ("<title>A</title><link>https://u:p@example.org/</link><pubDate>2026-05-01</pubDate>", "user name or password"),
        ("<title>A</title><link>https://example.org:x/</link><pubDate>2026-05-01</pubDate>", "is not an address"),
        ("<title>B</title><link>https://example.org/good</link><pubDate>2026-05-01</pubDate>", "has the same url"),
    ],
)
def test_an_entry_that_cannot_be_taken_is_refused_and_the_others_go_on(item, reason):
    harvest = harvest_of(rss(ITEM.replace("/a<", "/good<"), item))
    assert only(harvest).url == "https://example.org/good"
    (refusal,) = harvest.refused
    assert reason in refusal.reason and refusal.ref and "u:p@" not in refusal.reason


def test_a_title_is_made_of_the_text_where_there_is_none():
    body = "<description>Only a text here. And more.</description>"
    assert only(harvest_of(rss(ITEM.replace("<title>A</title>", body)))).title == "Only a text here."


def test_an_entry_that_comes_twice_is_kept_once():
    assert len(harvest_of(rss(ITEM, ITEM)).summaries) == 1


def test_a_link_that_several_pieces_share_names_none_of_them():
    items = [f"<title>{n}</title><link>https://example.org/log#{n}</link><guid>tag:{n}</guid><pubDate>2026-05-01</pubDate>" for n in (1, 2)]
    harvest = harvest_of(rss(*items))
    assert [s.identifiers for s in harvest.summaries] == [("source:news:tag:1",), ("source:news:tag:2",)]


def test_a_truncated_feed_is_salvaged_without_its_last_entry_and_without_validators():
    whole = rss(ITEM, ITEM.replace("/a<", "/b<").replace("A", "B"), ITEM.replace("/a<", "/cut-here<").replace("A", "C"))
    harvest = harvest_of(whole[: whole.index("cut-here") + 3], etag='"1"', truncated=True)
    assert [s.title for s in harvest.summaries] == ["A", "B"]
    assert harvest.salvaged == 2 and "broke off" in harvest.warning and harvest.etag == ""
    assert "breaks off inside this entry" in harvest.refused[0].reason


@given(st.integers(0, 100_000))
def test_a_feed_cut_anywhere_never_gives_an_entry_that_is_not_in_it(position):
    items = [ITEM.replace("/a<", f"/entry-{n}<").replace(">A<", f">Title {n}<") for n in range(4)]
    whole = rss(*items)
    try:
        harvest = harvest_of(whole[: position % len(whole)])
    except SourceError:
        return
    allowed = {(f"https://example.org/entry-{n}", f"Title {n}") for n in range(4)}
    assert {(s.url, s.title) for s in harvest.summaries} <= allowed


@given(st.binary(max_size=300))
def test_any_bytes_are_a_harvest_or_a_source_error(content):
    try:
        harvest_of(content, "")
    except SourceError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"<html><p>hi", "web page .HTML., not a feed; look"),
        (
            b"<!DOCTYPE html><link rel='alternate' type='application/rss+xml' href='/f.xml?key=1'>",
            "names its feed: https://example.org/f.xml$",
        ),
        (b"just words", "not a feed"),
        (b"<?xml version='1.0' encoding='\xff\xfe'?><rss/>", "too mangled"),
        (b"<svg/>", "not a feed"),
        (b'{"a": 1}', "no JSON Feed"),
        (b"[1]", "no JSON Feed"),
        (b"{", "is not JSON"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"n": ' + b"9" * 5000 + b"}", "is not JSON"),
    ],
)
def test_what_is_no_feed_says_what_it_is(content, reason):
    with pytest.raises(SourceError, match=reason):
        harvest_of(content, "")


def test_json_feed_items_are_refused_one_by_one():
    items = [
        1,
        {},
        {"url": "https://example.org/a", "title": "A"},
        {"url": "https://example.org/b", "title": "B", "date_published": "2026-05-01"},
    ]
    harvest = harvest_of(json.dumps({"version": "https://jsonfeed.org/version/1.1", "items": items}))
    assert only(harvest).title == "B"
    assert [r.reason.split(",")[0] for r in harvest.refused] == ["is not an object", "has no link", "has no date_published"]


@pytest.mark.parametrize("sent", ["application/xml; charset=utf-8", "text/xml", "application/xml; charset=nonsense", ""])
def test_a_wrong_charset_is_seen_through(sent):
    content = rss(ITEM.replace(">A<", ">déjà vu<")).replace("version='1.0'", "version='1.0' encoding='utf-8'", 1).encode("windows-1252")
    harvest = harvest_of(content, sent)
    assert only(harvest).title == "déjà vu" and harvest.warning == ""


@pytest.mark.parametrize(
    ("content", "content_type", "text"),
    [
        ("é".encode("latin-1"), "text/html; charset=iso-8859-1", "é"),
        ("é".encode(), "text/html; charset=iso-8859-1", "é"),
        ("“é”".encode("windows-1252"), "text/html; charset=latin-1", "“é”"),
        ("<meta charset='shift_jis'>神経".encode("shift_jis"), "", "<meta charset='shift_jis'>神経"),
        ("é".encode("utf-16"), "text/html; charset=utf-8", "é"),
        ("é".encode(), "text/html; charset=base64", "é"),
        (b"\x81\x8d", "text/html; charset=utf-8", None),
        (b"", "", ""),
    ],
)
def test_decoding_web_pages(content, content_type, text):
    found = charset.decode(content, content_type)
    assert isinstance(found, str) if text is None else found == text


@given(st.text(max_size=200))
def test_links_are_absolute_web_addresses_or_unfit(text):
    try:
        url = entry.web_url(text, "https://example.org/dir/")
    except entry.Unfit:
        return
    assert url.lower().startswith(("http://", "https://")) and url.isascii() and not set(url) & set(' \r\n\t<>"')
