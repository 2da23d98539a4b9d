"""Real sources through the whole program: a saved page of the first user's site, and a feed over HTTP."""

import http.server
import json
import threading

import pytest

from tests.support.make import CONFIG, REPOSITORY, write_summary

SEED = REPOSITORY.parent / "shared" / "seed-page.txt"


@pytest.mark.skipif(not SEED.exists(), reason="../shared/seed-page.txt is not beside this checkout")
def test_the_first_users_page_gives_seven_summaries_and_keeps_the_future_one(letter):
    page = f"  - {{name: site, kind: text, path: {SEED}, url: https://site.example.org/nanodrugs, published: 2026-04-20, tags: [gut]}}\n"
    (letter.folder / "config.yaml").write_text(CONFIG.replace("cadences:", page + "cadences:"), encoding="utf-8")
    (letter.folder / "subscribers" / "people.csv").write_text("email,interests\nana@example.org,gut\n", encoding="utf-8")
    report = json.loads(letter.types("gather", "--json", "--on", "2026-05-01").stdout)
    [ours, site] = report["sources"]
    assert (site["new"], site["refused"], site["error"]) == (7, 0, None)
    assert letter.types("run", "monthly", "--on", "2026-05-01").returncode == 0
    fates = {row["published_at"][:10]: row for row in coverage(letter, "monthly-2026-05-01")}
    assert [row["fate"] for day, row in fates.items() if day >= "2026-12"] == ["future"]
    letter.types("run", "monthly", "--on", "2026-12-01")
    assert "gut bacteria" not in shown(letter, "monthly-2026-12-01")
    letter.types("run", "monthly", "--on", "2027-01-01")
    assert "Learn how certain gut bacteria can worsen MS symptoms" in shown(letter, "monthly-2027-01-01")
    assert "daily li" not in shown(letter, "monthly-2027-01-01").replace("daily life", "")


def coverage(person, issue):
    return json.loads(person.types("coverage", issue, "--json").stdout)["summaries"]


def shown(person, issue):
    return " ".join(
        " ".join(file.read_text(encoding="utf-8").split()) for file in (person.folder / "var/outbox" / issue).glob("view/*.txt")
    )


FEED = """<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0"><channel><title>Feed</title><link>https://feed.example.org/</link>
<item><title>From the feed =?utf-8?q?x=0ABcc=3A_evil=40x.test?= &amp;lt;b&amp;gt;</title><link>https://feed.example.org/1</link>
<pubDate>Mon, 20 Apr 2026 10:00:00 +0000</pubDate><category>gut</category>
<description>&lt;p&gt;Plain words.&lt;script&gt;alert(1)&lt;/script&gt;&lt;/p&gt;</description></item>
<item><title>Without a date</title><link>https://feed.example.org/2</link></item>
</channel></rss>
"""


class Feeds(http.server.BaseHTTPRequestHandler):
    """``/good`` is a feed with an ETag, ``/html`` a page, ``/bomb`` an entity bomb."""

    asked: list[tuple[str, int]] = []

    def do_GET(self):
        bodies = {"/good": FEED, "/html": "<html><body><h1>Not a feed</h1></body></html>", "/bomb": bomb()}
        if self.path == "/good" and self.headers.get("If-None-Match") == '"1"':
            self.answer(304, b"")
        else:
            self.answer(200, bodies[self.path].encode())

    def answer(self, status, body):
        self.asked.append((self.path, status))
        self.send_response(status)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Type", "application/rss+xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def bomb():
    lines = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    body = '<rss version="2.0"><channel><item><title>&e11;</title></item></channel></rss>'
    return f'<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY e0 "lol">{lines}]>{body}'


@pytest.fixture
def feeds():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Feeds)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Feeds.asked.clear()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_feed_is_gathered_and_two_broken_ones_are_told_of(letter, feeds):
    lines = "".join(f"  - {{name: {name}, kind: feed, url: http://{feeds}/{name}}}\n" for name in ("good", "html", "bomb"))
    text = CONFIG.replace("cadences:", lines + "cadences:") + f'fetch: {{allow: ["{feeds}"]}}\n'
    (letter.folder / "config.yaml").write_text(text, encoding="utf-8")
    (letter.folder / "subscribers" / "people.csv").write_text("email,interests\nana@example.org,gut\n", encoding="utf-8")
    write_summary(letter.folder, "bacteria")
    ran = letter.types("run", "monthly", "--on", "2026-05-01")
    assert ran.returncode == 0, ran.stderr
    status = json.loads(letter.types("status", "--json").stdout)
    health = {source["name"]: source for source in status["sources"]}
    assert health["good"]["taken"] == 1 and health["good"]["refused"] == 1
    assert health["html"]["failures"] == 1 and "HTML" in health["html"]["error"]
    assert health["bomb"]["failures"] == 1 or health["bomb"]["taken"] == 0
    [message] = (letter.folder / "var/outbox/monthly-2026-05-01").glob("*.eml")
    raw = message.read_bytes()
    assert b"\nBcc:" not in raw and b"alert(1)" not in raw
    assert "From the feed" in shown(letter, "monthly-2026-05-01")


def test_a_feed_that_has_not_changed_is_not_sent_again(letter, feeds):
    text = (
        CONFIG.replace("cadences:", f"  - {{name: good, kind: feed, url: http://{feeds}/good}}\ncadences:")
        + f'fetch: {{allow: ["{feeds}"]}}\n'
    )
    (letter.folder / "config.yaml").write_text(text, encoding="utf-8")
    letter.types("gather")
    again = letter.types("gather")
    assert "not modified" in again.stdout
    assert Feeds.asked == [("/good", 200), ("/good", 304)]


def test_an_address_inside_the_network_is_refused(letter, feeds):
    text = CONFIG.replace("cadences:", f"  - {{name: inside, kind: feed, url: 'http://{feeds}/good?key=canary'}}\ncadences:")
    (letter.folder / "config.yaml").write_text(text, encoding="utf-8")
    said = letter.types("gather")
    assert Feeds.asked == []
    assert "inside" in said.stdout and "canary" not in said.stdout + said.stderr
