"""The sources' pages from outside: what is fetched and what is not, what the frame may do, what is asked before a file is changed."""

import html
import re
import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from digest import audit
from digest.accounts import Role
from digest.config import load
from digest.store import schema as t
from digest.web.admin import fetching
from tests.support.listings import listings
from tests.support.make import CONFIG, make_workspace, write_summary
from tests.support.pages_server import running
from tests.support.site import serving
from tests.support.staff import PASSWORD, Browser, add

CARDS = listings()[0]
HTML = {"Content-Type": "text/html; charset=utf-8"}


@pytest.fixture(scope="module")
def news():
    with running() as server:
        server.answers["/news"] = (200, HTML, CARDS.html)
        yield server


@pytest.fixture(scope="module")
def site(tmp_path_factory, news, stored):
    page = f"  - {{name: site, kind: page, url: '{news.url('/news')}', item: article.card, title: h2}}\n"
    config = CONFIG.replace("cadences:", page + "cadences:") + f"fetch: {{allow: ['{news.allow[0]}']}}\n" + stored
    folder = make_workspace(tmp_path_factory.mktemp("sources") / "w", config=config)
    write_summary(folder, "one")
    with serving(folder) as site:
        site.people = {role: add(site, f"the-{role.value}", role) for role in Role}
        yield site


@pytest.fixture
def admin(site):
    return Browser(site).enter(site.people[Role.ADMIN])


def fields(answer, form):
    """What the form of that id or action on a page would send, as it stands."""
    [body] = re.findall(rf'<form [^>]*(?:id="{form}"|action="{form}")[^>]*>(.*?)</form>', answer.text, re.S)
    found = {}
    for tag in re.findall(r"<input [^>]*>", body):
        name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and not ("checkbox" in tag and "checked" not in tag):
            found[name[1]] = html.unescape(value[1] if value else "")
    return found


def looked(admin, news, path="/news"):
    answer = admin.post("/admin/sources/new", {"url": news.url(path)})
    assert answer.status == 200, answer.text
    return answer


def told(site, action):
    with site.open() as workspace:
        return [one.subject for one in audit.page(workspace, 50, action=action)]


# --- health and fetching -------------------------------------------------------------------------------------------------


def test_every_source_in_a_line_and_one_at_length_for_a_viewer(site):
    viewer = Browser(site).enter(site.people[Role.VIEWER])
    page = viewer.get("/admin/sources")
    assert "it was never read" in page.text and "New source" not in page.text and "Sources</a>" in page.text
    about = viewer.get("/admin/sources/about/site")
    assert about.status == 200 and "Fetch now" not in about.text
    assert viewer.get("/admin/sources/about/nope").status == 404


def test_an_editor_fetches_one_and_sees_what_it_gave(site):
    editor = Browser(site).enter(site.people[Role.EDITOR])
    answer = editor.post("/admin/sources/about/site/fetch")
    assert (answer.status, answer.headers["location"]) == (303, "/admin/sources/about/site?done=fetch")
    page = editor.get(answer.headers["location"])
    assert "Read: 5 new, 0 changed, 0 known from elsewhere, 0 refused." in page.text
    assert all(title in page.text for title, _, _ in CARDS.pieces) and "the-editor" in page.text
    assert told(site, "sources.fetch") == ["site"]
    assert editor.post("/admin/sources/about/nope/fetch").status == 404
    assert "2026-05-01" in page.text and "2026-04-30" not in page.text  # midnight in London is of that day


def test_a_slow_server_keeps_no_page_waiting_and_a_second_press_joins_the_first(site, news, monkeypatch):
    go, asked = threading.Event(), []

    def slowly(_):
        asked.append(1)
        assert go.wait(20)
        return (200, HTML, CARDS.html)

    monkeypatch.setitem(news.answers, "/news", slowly)
    monkeypatch.setattr(fetching, "WAIT_S", 0.05)
    editor = Browser(site).enter(site.people[Role.EDITOR])
    for _ in range(2):
        assert editor.post("/admin/sources/about/site/fetch").status == 303
        page = editor.get("/admin/sources/about/site?done=fetch")
        assert "It is being read" in page.text and 'hx-trigger="load delay:2s"' in page.text and "Fetch now" not in page.text
    go.set()
    monkeypatch.setattr(fetching, "WAIT_S", 20)
    editor.post("/admin/sources/about/site/fetch")  # joins it, or reads once more if it was done already
    page = editor.get("/admin/sources/about/site?done=fetch")
    assert re.search(r"Read: \d new", page.text) and "Fetch now" in page.text and len(asked) <= 2


def test_what_goes_wrong_is_said_with_what_to_do(site, news, monkeypatch):
    editor = Browser(site).enter(site.people[Role.EDITOR])
    monkeypatch.setitem(news.answers, "/news", (404, {}, b""))
    editor.post("/admin/sources/about/site/fetch")
    page = editor.get("/admin/sources/about/site?done=fetch").text
    assert "could not be read" in page and "look up its new address" in page
    monkeypatch.setitem(news.answers, "/news", (200, HTML, "<html><body><p>Anew"))
    editor.post("/admin/sources/about/site/fetch")
    for path in ("/admin/sources/about/site", "/admin/sources"):
        page = editor.get(path).text
        assert "Change of markup suspected" in page and "matches nothing" in page
    with site.open() as workspace, workspace.store.alone():
        editor.post("/admin/sources/about/site/fetch")
    assert "another run is at work" in editor.get("/admin/sources/about/site?done=fetch").text
    monkeypatch.undo()
    editor.post("/admin/sources/about/site/fetch")
    assert "Change of markup" not in editor.get("/admin/sources").text


# --- looking -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:22/", "http://127.0.0.1/", "http://[::1]/", "http://169.254.169.254/", "file:///etc/passwd", ""]
)
def test_nothing_inside_the_network_is_looked_at(admin, url):
    answer = admin.post("/admin/sources/new", {"url": url})
    assert answer.status == 422 and 'role="alert"' in answer.text and "would be taken" not in answer.text


def test_what_would_be_gathered_is_seen_before_anything_is_added(site, admin, news):
    before = (site.folder / "config.yaml").read_bytes()
    answer = looked(admin, news)
    assert "5 pieces would be taken, 0 refused" in answer.text and "item: article.card" in answer.text
    assert all(title in answer.text for title, _, _ in CARDS.pieces)
    assert (site.folder / "config.yaml").read_bytes() == before
    assert "frame-src 'self'" in answer.headers["content-security-policy"]
    assert len(told(site, "sources.try")) >= 1


def test_the_frame_has_words_alone_and_may_reach_nothing(admin, news, monkeypatch):
    evil = "https://evil.example.org"
    bad = (
        f"<body onload=ran(1)><script>ran(2)</script><style>*{{background:url({evil})}}</style><article class=card data-at=7 id=x>"
        f"<h2 style='x' onclick=ran(3)><a href='{evil}/1' ping=x>Title</a></h2><time datetime=2026-05-01>May</time><img src={evil}/p>"
        "<iframe srcdoc='x'></iframe><form action=/admin/logout><button>x</button><input autofocus></form><svg><a href=x>y</a></svg>"
        f"<base href={evil}><link rel=stylesheet href={evil}/s><meta http-equiv=refresh content='0;url=/'>"
    )
    monkeypatch.setitem(news.answers, "/bad", (200, HTML, "<html>" + bad))
    answer = looked(admin, news, "/bad")
    frame = admin.get(f"/admin/sources/new/page/{fields(answer, 'pick')['token']}")
    policy = frame.headers["content-security-policy"]
    assert (
        "default-src 'none'" in policy
        and "sandbox allow-scripts;" in policy
        and "unsafe" not in policy
        and "allow-same-origin" not in policy
    )
    assert frame.headers["x-frame-options"] == "SAMEORIGIN" and frame.headers["cache-control"] == "no-store"
    body = frame.text.partition("<main>")[2].partition("</main>")[0]
    assert "Title" in body and "May" in body and "ran(" not in body and "evil" not in body and "=x" not in body
    assert (
        set(re.findall(r"<\w+ ([\w-]+)=", body)) == {"data-at"}
        and re.findall(r"<(?:script|style|img|svg|form|iframe|base|link|meta)", body) == []
    )
    assert 'sandbox="allow-scripts"' in answer.text and "allow-same-origin" not in answer.text


def test_clicks_a_choice_and_typed_selectors(admin, news):
    answer = looked(admin, news)
    given = fields(answer, "pick")
    frame = admin.get(f"/admin/sources/new/page/{given['token']}").text
    places = {text: int(at) for at, text in re.findall(r'data-at="(\d+)">([^<]+)<', frame)}
    clicked = admin.post("/admin/sources/new/pick", given | {"at_title": places[CARDS.pieces[2][0]], "at_date": places["April 2, 2026"]})
    assert "5 pieces would be taken" in clicked.text
    chosen = html.unescape(re.search(r'name="choose" value="([^"]*)"', answer.text)[1])
    assert "5 pieces would be taken" in admin.post("/admin/sources/new/pick", given | {"choose": chosen}).text
    typed = admin.post("/admin/sources/new/pick", given | {"item": "article", "title": "p", "date": "time", "link": "a"})
    assert "Short naps helped" in re.search(r'<p class="subject">(.*?)</p>', typed.text)[1] and "title: p" in typed.text
    for wrong, says in (
        ({"at_title": 99_999}, "not on the page"),
        ({"at_link": 0}, "no link there"),
        ({"item": "li["}, "not a CSS selector"),
        ({"item": "article", "title": "h9", "link": "a", "date": "time"}, "matches nothing"),
    ):
        answer = admin.post("/admin/sources/new/pick", given | wrong)
        assert answer.status == 200 and says in answer.text and "Add to config.yaml" not in answer.text, wrong
    assert admin.post("/admin/sources/new/pick", given | {"choose": "{"}).status == 422
    assert admin.post("/admin/sources/new/pick", given | {"at_title": "-1; DROP"}).status == 200


def test_a_kept_page_is_for_whoever_looked_and_for_an_hour(site, admin, news):
    given = fields(looked(admin, news), "pick")
    other = Browser(site).enter(add(site, f"other{datetime.now(UTC).microsecond}"))
    assert other.post("/admin/sources/new/pick", given | {"csrf": other.csrf}).status == 404
    assert other.get(f"/admin/sources/new/page/{given['token']}").status == 404
    for token in ("f" * 32, "../config.yaml", ""):
        assert admin.post("/admin/sources/new/pick", given | {"token": token}).status == 404


# --- adding --------------------------------------------------------------------------------------------------------------


def test_added_it_is_there_at_once_without_a_restart(site, admin, news):
    admin.post("/admin/sources/about/site/fetch")  # it has the same pieces
    given = fields(looked(admin, news), "add") | {"name": "clinic"}
    before = (site.folder / "config.yaml").read_text()
    stranger = admin.post("/admin/sources/new/add", given | {"csrf": "0" * 64})
    foreign = admin.post("/admin/sources/new/add", given, Origin="https://evil.example.org")
    editor = Browser(site).enter(site.people[Role.EDITOR])
    assert [stranger.status, foreign.status, editor.post("/admin/sources/new/add", given | {"csrf": editor.csrf}).status] == [403] * 3
    assert (site.folder / "config.yaml").read_text() == before
    answer = admin.post("/admin/sources/new/add", given)
    assert answer.headers["location"] == "/admin/sources/about/clinic?done=added"
    page = admin.get(answer.headers["location"])
    assert "It is added to config.yaml" in page.text
    assert (site.folder / "config.yaml").read_text() != before and load(site.folder).sources[-1].name == "clinic"
    assert told(site, "sources.add") == ["clinic"]
    admin.post("/admin/sources/about/clinic/fetch")
    assert "Read: 0 new, 0 changed, 5 known from elsewhere" in admin.get("/admin/sources/about/clinic?done=fetch").text
    again = admin.post("/admin/sources/new/add", given)
    assert again.status == 404  # the page is let go of once it is added


def test_what_stands_in_the_way_is_said_with_the_page_as_it_was(site, admin, news):
    given = fields(looked(admin, news), "add")
    taken = admin.post("/admin/sources/new/add", given | {"name": "site"})
    assert taken.status == 422 and "There is a source" in taken.text and 'value="site"' in taken.text
    assert admin.post("/admin/sources/new/add", given | {"name": "../x"}).status == 422
    with (site.folder / "config.yaml").open("a") as file:
        file.write("# by hand\n")
    conflict = admin.post("/admin/sources/new/add", given | {"name": "late"})
    assert conflict.status == 409 and "edited meanwhile" in conflict.text
    assert admin.post("/admin/sources/new/add", fields(conflict, "add")).status == 303  # seen anew
    assert "# by hand" in (site.folder / "config.yaml").read_text() and load(site.folder).sources[-1].name == "late"


def test_it_is_asked_whether_it_is_still_you(site, admin, news):
    given = fields(looked(admin, news), "add") | {"name": "asked"}
    with site.open() as workspace, workspace.store.write() as tx:
        tx.execute(update(t.session).values(fresh_at=datetime.now(UTC) - timedelta(minutes=30)))
    asked = admin.post("/admin/sources/new/add", given)
    assert asked.status == 200 and "Is it still you?" in asked.text and all(one.name != "asked" for one in load(site.folder).sources)
    kept = fields(asked, "/admin/sources/new/add")
    assert admin.post("/admin/sources/new/add", kept | {"again_password": PASSWORD}).status == 303
    assert load(site.folder).sources[-1].name == "asked"


def test_where_the_file_cannot_be_written_the_lines_are_shown_and_no_button(admin, news, monkeypatch):
    monkeypatch.setattr("digest.admin.sourcefile.os.access", lambda *_: False)
    answer = looked(admin, news)
    assert "add these lines by hand" in answer.text and "Add to config.yaml" not in answer.text and "item: article.card" in answer.text
