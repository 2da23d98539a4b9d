"""Sources looked after: what is kept of each reading, what is said of it, and one tried at its address and added."""

import json
import os

import pytest
from typer.testing import CliRunner

from digest import audit
from digest.admin import source_trial, sourcefile, sources
from digest.cli.commands import app
from digest.config import load
from digest.errors import BusyError, ConfigError, SourceError
from digest.gather import gather
from digest.sources import fetch
from digest.sources.layout import Layout
from digest.sources.trial import kind_of, name_for
from digest.store import readings
from digest.workspace import open_workspace
from tests.support.listings import SEED, listings, seed_page
from tests.support.make import CONFIG, make_workspace, write_summary
from tests.support.pages_server import running

CARDS = listings()[0]
HTML = {"Content-Type": "text/html; charset=utf-8"}
PAGE = "  - {{name: site, kind: page, url: '{url}', item: article.card, title: h2, takeaway: p}}\n"
FEED = (
    "<?xml version='1.0'?><rss version='2.0'><channel><title>x</title><item><title>Piece</title><link>https://e.example.org/1</link>"
    "<pubDate>Wed, 01 Apr 2026 00:00:00 GMT</pubDate></item><item><title>No date</title><link>https://e.example.org/2</link></item></channel></rss>"
)


@pytest.fixture(scope="module")
def server():
    with running() as server:
        yield server


@pytest.fixture
def folder(tmp_path, server):
    server.answers.clear()
    server.answers["/news"] = (200, {**HTML, "ETag": '"1"'}, CARDS.html)
    config = CONFIG.replace("cadences:", PAGE.format(url=server.url("/news")) + "cadences:")
    made = make_workspace(tmp_path / "w", config=config + f"fetch: {{allow: ['{server.allow[0]}']}}  # ours\n")
    write_summary(made, "one")
    return made


def kept(workspace, name="site"):
    with workspace.store.read() as tx:
        return readings.newest(tx, name)


# --- readings ------------------------------------------------------------------------------------------------------------


def test_what_each_reading_gave_is_kept_the_newest_few_of_it(on_both, folder, server, monkeypatch):
    with open_workspace(folder, acting="ana") as workspace:
        assert [line.result for line in sources.lines(workspace)] == ["never read", "never read"]
        gather(workspace, dry_run=True)
        assert kept(workspace) == []
        gather(workspace)
        [first] = kept(workspace)
        assert (first.who, first.result, first.taken, first.new, first.refused) == ("ana", "read", 5, 5, 0)
        assert first.filled == {"takeaway": 5}
        server.answers["/news"] = (304, {}, b"")
        gather(workspace, only="site")
        server.answers["/news"] = (500, {}, b"")
        gather(workspace, only="site")
        server.answers["/news"] = (200, HTML, "<html><p>Laid out anew</p></html>")
        gather(workspace, only="site")
        assert [one.result for one in kept(workspace)] == ["nothing", "failed", "unchanged", "read"]
        assert "article.card" in kept(workspace)[0].said
        assert [one.result for one in kept(workspace, "ours")] == ["read"]  # by the first gathering alone
        [ours, site] = sources.lines(workspace)
        assert ours.well and [sign.kind for sign in site.signs] == ["nothing"]
        assert (site.pieces, site.taken, site.arrived_at is not None) == (5, 5, True)
        monkeypatch.setattr(readings, "KEPT", 3)
        gather(workspace, only="site")
        assert [one.result for one in kept(workspace)] == ["nothing", "nothing", "failed"]
        assert len(kept(workspace, "ours")) == 1


def test_one_source_at_length(on_both, folder, server):
    server.answers["/news"] = (200, HTML, CARDS.html.replace('datetime="2026-04-17"', 'datetime="soon"'))
    with open_workspace(folder) as workspace:
        report = sources.fetch(workspace, "site")
        assert (report.new, report.refused) == (4, 1)
        found = sources.about(workspace, "site")
        titles = [title for title, date, _ in CARDS.pieces if date != "2026-04-17"]
        assert [item.title for item in found.items] == titles and "soon" in found.refused[0][1]
        assert len(found.readings) == 1 and found.line.refused == 1
        assert found.line.place == server.url("/news")
        assert [one.action for one in audit.page(workspace) if one.subject == "site"] == ["sources.fetch"]
        for step in (sources.about, sources.fetch):
            with pytest.raises(ConfigError, match=r'no source "nope" in config.yaml \(ours, site\)'):
                step(workspace, "nope")
        with workspace.store.alone(), pytest.raises(BusyError):
            sources.fetch(workspace, "site")


def test_an_address_is_shown_without_what_may_be_a_key(folder, server):
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("/news'", "/news?key=secret'"))
    with open_workspace(folder) as workspace:
        assert sources.lines(workspace)[1].place == server.url("/news")


# --- trying --------------------------------------------------------------------------------------------------------------


def look(workspace, server, path, **changes):
    return source_trial.look(workspace, source_trial.get(workspace, server.url(path)), **changes)


def test_a_page_a_feed_a_json_feed_and_a_text_are_told_apart(folder, server):
    linked = CARDS.html.replace(
        "<head>", "<head><link rel=alternate type=application/rss+xml title='All <b>' href='/feed?k=1'><link rel=alternate href=/x>"
    )
    item = {"id": "1", "url": "https://e.example.org/1", "title": "P", "date_published": "2026-04-01T00:00:00Z"}
    json_feed = {"version": "https://jsonfeed.org/version/1.1", "title": "x", "items": [item]}
    server.answers |= {
        "/linked": (200, HTML, linked),
        "/feed?k=1": (200, {"Content-Type": "text/xml"}, FEED),
        "/j": (200, {}, json.dumps(json_feed)),
        "/api": (200, {}, "[]"),
        "/empty": (200, HTML, " "),
        "/picture": (200, {"Content-Type": "image/png"}, b"\x89PNG\0\0"),
        "/alone": (200, HTML, "<html><body><h1>One</h1><p>text</p>"),
    }
    with open_workspace(folder) as workspace:
        tried = look(workspace, server, "/linked")
        assert tried.kind == "page" and [tuple(feed) for feed in tried.feeds] == [("All <b>", server.url("/feed?k=1"))]
        assert [one.title for one in tried.harvest.summaries] == [title for title, _, _ in CARDS.pieces]
        assert tried.entry == {
            "name": "127-0-0-1",
            "kind": "page",
            "url": server.url("/linked"),
            "item": "article.card",
            "title": "h2",
            "takeaway": "p",
        }
        tried = look(workspace, server, "/feed?k=1")
        assert tried.kind == "feed" and len(tried.harvest.summaries) == 1 and "no date" in tried.harvest.refused[0].reason
        assert look(workspace, server, "/j").harvest.summaries[0].title == "P"
        assert "kind: json" in look(workspace, server, "/api").problem
        assert "lists no pieces" in look(workspace, server, "/alone").problem
        for path, says in (("/empty", "is empty"), ("/picture", "neither a page nor a feed"), ("/gone", "404")):
            with pytest.raises(SourceError, match=says):
                look(workspace, server, path)
        assert [one.detail["host"] for one in audit.page(workspace, action="sources.try")][0] == "127.0.0.1"


def test_days_that_come_first_are_found_out_and_can_be_said(folder, server):
    rows = "".join(f"<li><b>A title number {n}</b> <i>{12 + n}/4/2026</i> <a href=/{n}>More</a></li>" for n in range(4))
    server.answers["/dmy"] = (200, HTML, f"<html><ul>{rows}</ul>")
    with open_workspace(folder) as workspace:
        tried = look(workspace, server, "/dmy")
        assert tried.entry["date_order"] == "dmy" and len(tried.harvest.summaries) == 4
        assert len(look(workspace, server, "/dmy", date_order="mdy").harvest.refused) == 3


def test_wrong_selectors_are_said_and_nothing_is_added(folder, server):
    with open_workspace(folder) as workspace:
        for layout, says in (
            (Layout(item="article", title="h9"), "h9"),
            (Layout(item="li[", title="b"), "not a CSS selector"),
            (Layout(item="x"), "item and title"),
        ):
            tried = look(workspace, server, "/news", layout=layout)
            assert says in tried.problem
            with pytest.raises(ConfigError, match=r".+"):
                source_trial.add(workspace, tried, sourcefile.mark(sourcefile.read(folder)))
        assert "anywhere" not in (folder / "config.yaml").read_text() and len(load(folder).sources) == 2


@pytest.mark.skipif(not SEED.exists(), reason="the first user's page is not beside this checkout (../shared/seed-page.txt): NOT TRIED")
def test_the_first_users_page_as_text_and_as_a_page(folder, server):
    server.answers |= {"/seed.txt": (200, {"Content-Type": "text/plain"}, SEED.read_bytes()), "/seed": (200, HTML, seed_page().html)}
    with open_workspace(folder) as workspace:
        tried = look(workspace, server, "/seed.txt", name="saved-page")
        assert tried.kind == "text" and len(tried.harvest.summaries) == 7 and tried.harvest.refused == ()
        source_trial.add(workspace, tried, sourcefile.mark(sourcefile.read(folder)))
        assert (folder / "saved/saved-page.txt").read_bytes() == SEED.read_bytes()
        now = sources.current(workspace)
        assert sources.fetch(now, "saved-page").new == 7
        page = look(now, server, "/seed", name="live-page")
        assert [one.url.rpartition("/")[2] for one in page.harvest.summaries] == list("123456")
        source_trial.add(now, page, sourcefile.mark(sourcefile.read(folder)))
        assert sources.fetch(sources.current(workspace), "live-page").new == 6


@pytest.mark.parametrize(
    "url, says",
    [
        ("http://127.0.0.1:1/", "only 80 and 443"),
        ("http://127.0.0.1/", "loopback"),
        ("http://[::1]/", "loopback"),
        ("http://169.254.169.254/latest/meta-data", "link-local"),
        ("http://10.0.0.8/", "not a public address"),
        ("http://localhost/", "loopback"),
        ("file:///etc/passwd", "not an http or https address"),
        ("http://user:word@news.example.org/", "user names and passwords"),
        ("javascript:alert(1)", "not an http or https address"),
        ("  ", "give the address"),
        ("127.0.0.1", "loopback"),
    ],
)
def test_nothing_inside_the_network_is_looked_at(folder, url, says):
    with open_workspace(folder) as workspace, pytest.raises(SourceError, match=says):
        source_trial.get(workspace, url)


def test_nor_by_a_redirect_nor_what_is_too_large_or_too_slow(folder, server):
    server.answers |= {
        "/in": (302, {"Location": "http://127.0.0.1/"}, b""),
        "/round": (302, {"Location": "/round"}, b""),
        "/large": (200, HTML, b"x" * 2000),
        "/slow": lambda handler: handler.connection.settimeout(3) or handler.rfile.read(1),
    }
    text = (folder / "config.yaml").read_text().replace("fetch: {", "fetch: {max_bytes: 1024, timeout_s: 0.3, ")
    (folder / "config.yaml").write_text(text)
    with open_workspace(folder) as workspace:
        for path, says in (
            ("/in", "loopback"),
            ("/round", "redirects more than 3"),
            ("/large", "larger than"),
            ("/slow", "took longer than 0.3 s"),
        ):
            with pytest.raises(SourceError, match=says):
                source_trial.get(workspace, server.url(path))


# --- adding --------------------------------------------------------------------------------------------------------------


def test_adding_keeps_what_was_written_and_is_recorded(on_both, folder, server):
    (folder / "config.yaml").chmod(0o640)
    before = sourcefile.read(folder)
    with open_workspace(folder, acting="nora") as workspace:
        tried = look(workspace, server, "/news", name="clinic")
        source_trial.add(workspace, tried, sourcefile.mark(before))
        [record] = audit.page(workspace, action="sources.add")
        assert (record.who, record.subject, record.detail["kind"]) == ("nora", "clinic", "page")
        after = sourcefile.read(folder)
        assert after.replace(sourcefile.shown(tried.entry) + "\n", "") == before
        assert [source.name for source in load(folder).sources] == ["ours", "site", "clinic"]
        assert (folder / "config.yaml").stat().st_mode & 0o777 == 0o640
        assert [file.name for file in folder.glob(".config-*")] == []
        with pytest.raises(ConfigError, match='there is a source "clinic" already'):
            source_trial.add(sources.current(workspace), tried, sourcefile.mark(after))


def test_what_was_edited_meanwhile_is_not_written_over(folder, server):
    with open_workspace(folder) as workspace:
        tried, seen = look(workspace, server, "/news", name="clinic"), sourcefile.mark(sourcefile.read(folder))
        (folder / "config.yaml").write_text(sourcefile.read(folder) + "# by hand\n")
        with pytest.raises(sourcefile.Conflict, match="edited meanwhile"):
            source_trial.add(workspace, tried, seen)
        assert sourcefile.read(folder).endswith("# by hand\n") and "clinic" not in sourcefile.read(folder)
        assert audit.page(workspace, action="sources.add") == []


def test_a_source_that_the_environment_would_hide_is_refused(folder, server, monkeypatch):
    with open_workspace(folder) as workspace:
        tried, before = look(workspace, server, "/news", name="clinic"), sourcefile.read(folder)
        monkeypatch.setenv("DIGEST_SOURCES", "[]")
        with pytest.raises(ConfigError, match="DIGEST_SOURCES"):
            source_trial.add(workspace, tried, sourcefile.mark(before))
        assert sourcefile.read(folder) == before


def test_a_file_that_would_not_load_any_more_stays_as_it_is(folder, server):
    with open_workspace(folder) as workspace:
        tried, broken = look(workspace, server, "/news", name="clinic"), sourcefile.read(folder).replace("timezone:", "timezon:")
        (folder / "config.yaml").write_text(broken)
        with pytest.raises(ConfigError, match="timezon"):
            source_trial.add(workspace, tried, sourcefile.mark(broken))
        assert sourcefile.read(folder) == broken


def test_a_file_that_cannot_be_written_is_said_and_so_is_it_in_the_log(folder, server, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with open_workspace(folder) as workspace:
        tried, before = look(workspace, server, "/news", name="clinic"), sourcefile.read(folder)
        monkeypatch.setattr(os, "replace", full)
        with pytest.raises(ConfigError, match="No space left"):
            source_trial.add(workspace, tried, sourcefile.mark(before))
        monkeypatch.undo()
        assert sourcefile.read(folder) == before and list(folder.glob(".config-*")) == []
        assert [one.action for one in audit.page(workspace, action="sources.")][:2] == ["sources.not_added", "sources.add"]


def test_a_text_is_not_put_over_one_that_is_there(folder, server):
    server.answers["/page.txt"] = (200, {"Content-Type": "text/plain"}, "Take away.\n\n5/1/2026\nA teaser of it\nRead More\n")
    (folder / "saved").mkdir()
    (folder / "saved/mine.txt").write_text("mine")
    with open_workspace(folder) as workspace:
        tried = look(workspace, server, "/page.txt", name="mine")
        with pytest.raises(ConfigError, match="is there already"):
            source_trial.add(workspace, tried, sourcefile.mark(sourcefile.read(folder)))
    assert (folder / "saved/mine.txt").read_text() == "mine" and "mine" not in sourcefile.read(folder)


@pytest.mark.parametrize("name", ["Clinic", "a b", "../up", "x" * 64, "-x"])
def test_a_name_that_is_none(folder, server, name):
    with open_workspace(folder) as workspace:
        assert "is not a name" in look(workspace, server, "/news", name=name).problem


def test_names_and_kinds():
    assert name_for("https://www.Clinic.example.org/x", []) == "clinic-example-org"
    assert name_for("https://clinic.example.org/x", ["clinic-example-org", "clinic-example-org-2"]) == "clinic-example-org-3"
    for content, kind in (
        (b"<rss version='2.0'>", "feed"),
        (b"<feed xmlns='x'>", "feed"),
        (b"<div><p>x</p></div>", "page"),
        (b"words", "text"),
    ):
        assert kind_of(fetch.Page(200, "https://e.example.org", content)) == kind


@pytest.mark.parametrize(
    "words, code, says",
    [
        (("show", "nope"), 1, 'no source "nope"'),
        (("try", "http://10.0.0.1/"), 1, "not a public address"),
        (("try", "http://10.0.0.1/", "--as", "film"), 2, "feed, page or text"),
        (("try", "http://10.0.0.1/", "--date-order", "ymd"), 2, "mdy or dmy"),
        (("try", "http://10.0.0.1/", "--title", "b"), 2, "--item CSS"),
    ],
)
def test_commands_that_are_wrong_say_why(folder, words, code, says):
    ran = CliRunner().invoke(app, ["sources", *words, "--workspace", str(folder)])
    assert ran.exit_code == code and says in f"{ran.output} {ran.exception}"
