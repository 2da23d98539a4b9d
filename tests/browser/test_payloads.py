"""Five hundred payloads in every field of a summary: none runs in a mail, on the desk, in the web copy, or in the admin.

And in a page, a feed and a text that somebody looks at before it becomes a source.
"""

import email
import email.policy
import http.server
import threading
from html import escape

import pytest
from selectolax.lexbor import LexborHTMLParser

from digest import dispatch, issue
from digest.interests import load
from digest.model import Evidence, Image, Notice, Section
from digest.store import catalogue, now, people
from digest.subscribe import import_file
from digest.web.admin import picking
from digest.workspace import open_workspace
from tests.support.desk import NAME, ON, sitting
from tests.support.make import CONFIG, at, make_summary, make_workspace
from tests.support.pages_server import running
from tests.support.payloads import payloads
from tests.support.site import link, links, serving
from tests.support.staff import Browser, add

EACH, GROUPS = 5, 10  # payloads in one field, interests that part the summaries
ROOMY = "selection: {max_teasers: 60, max_per_interest: 60, max_html_kb: 100}\n"
ISSUE = f"/issues/{NAME}"


def poisoned(n, some):
    """A summary with payloads wherever it has text."""
    bad = " ".join(some)
    return make_summary(
        f"p{n}",
        title=bad,
        takeaway=bad,
        limits=bad,
        sections=(Section(heading=bad, text=bad),),
        journal=bad[:110],
        authors=(bad,),
        tags=(f"t{n % GROUPS}", bad),
        url=f"https://letter.example.org/{n}?q={some[0]}",
        image=Image(src=f"https://letter.example.org/{n}.png?{some[1]}", alt=bad),
        evidence=Evidence.TRIAL,
        language="en",
        published_at=at("2026-04-15"),
        notice=Notice(kind="correction", at=at("2026-04-20"), text=bad) if n % 5 == 0 else None,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    interests = "".join(f'- {{id: t{n}, label: "Group {n} <img src=x onerror=ran({n})>", match: {{tag: t{n}}}}}\n' for n in range(GROUPS))
    people = "email,name,interests,cadence\n" + "".join(f"r{n}@example.org,R,t{n},monthly\n" for n in range(GROUPS))
    made = make_workspace(tmp_path_factory.mktemp("payloads") / "w", config=CONFIG + ROOMY, interests=interests, subscribers=people)
    every = payloads()
    assert len(every) == len(set(every)) == 500
    with open_workspace(made, ON) as workspace, workspace.store.alone():
        import_file(workspace, made / "subscribers/people.csv", load(made))
        with workspace.store.write() as tx:
            for n, start in enumerate(range(0, len(every), EACH)):
                some = every[start : start + EACH]
                catalogue.take(tx, poisoned(n, some + some[:1] * 2), now(tx), ["ours"])
        issue.draft(workspace, "monthly")
    return made


@pytest.fixture
def watched(browser):
    """A page, and what ran in any frame of it."""
    ran = []
    context = browser.new_context()
    context.expose_binding("ran", lambda _, *numbers: ran.append(numbers))
    context.on("dialog", lambda dialog: (ran.append("dialog"), dialog.dismiss()))
    yield context.new_page(), ran
    context.close()


def test_the_payloads_run_where_nothing_keeps_them_from_it(watched):
    """The control: as a page of their own without a policy, most kinds of them do."""
    body = "".join(f"<div>{payload}</div>" for payload in payloads() if "autofocus" not in payload).encode()

    class Open(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    page, ran = watched
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Open) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page.goto(f"http://127.0.0.1:{server.server_address[1]}/")
        page.wait_for_timeout(500)
        server.shutdown()
    assert len(ran) > 20


def test_none_runs_in_a_mail_on_the_desk_in_the_web_copy_or_in_the_admin(folder, watched):
    page, ran = watched
    with sitting(folder) as desk:
        page.goto(desk.opened.url)
        seen = ""
        for n in range(GROUPS):
            page.goto(f"{desk.url}{ISSUE}/editions/imagined:t{n}")
            frame = page.locator("iframe#mail").element_handle().content_frame()
            frame.wait_for_load_state()
            seen += frame.content()
            page.mouse.move(400, 500)
        assert seen.count("ran(") > 500  # they are there, as text
        for path in ("", "/edit", "/why", "/checks", "/compare", "/share", "/editions/imagined:t0?view=html"):
            page.goto(f"{desk.url}{ISSUE}{path}")
            page.wait_for_timeout(50)
        page.goto(f"{desk.url}{ISSUE}/editions/imagined:t0?program=outlook&scheme=forced")
        page.locator("iframe#mail").element_handle().content_frame().wait_for_load_state()
        assert ran == []
    with open_workspace(folder, ON) as workspace, workspace.store.alone():
        dispatch.send(workspace, NAME)
    mails = [
        email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in (folder / f"var/outbox/{NAME}").glob("*.eml")
    ]
    assert len(mails) == GROUPS
    with serving(folder) as site:
        for mail in mails:
            page.goto(site.url + link(mail, "/w/"))
            page.wait_for_timeout(20)
            assert not [one for one in links(mail) if one.lower().startswith("javascript")]
        page.goto(site.url + "/archive")
        session = Browser(site).enter(add(site, "nora"))
        page.context.add_cookies([{"name": "digest", "value": session.cookies["digest"], "url": site.url}])
        with open_workspace(folder, ON) as workspace, workspace.store.read() as tx:
            reader = next(people.everyone(tx, workspace.store.vault)).subscriber.id
        places = (
            "interests",
            "interests/about/t0",
            "sources",
            "sources/about/ours",
            f"issues/about/{NAME}",
            f"readers/about/{reader}",
            f"readers/about/{reader}/why/{NAME}",
        )
        told = ""
        for path in (*(f"/admin/{place}" for place in places), *(f"/desk{ISSUE}{part}" for part in ("", "/edit", "/why"))):
            assert page.goto(site.url + path).status == 200, path
            told += page.content()
            page.wait_for_timeout(50)
        assert told.count("ran(") > 500
        page.goto(f"{site.url}/desk{ISSUE}/editions/imagined:t0")  # framed from the same address here, kept apart by the sandbox
        frame = page.locator("iframe#mail").element_handle().content_frame()
        frame.wait_for_load_state()
        assert "ran(" in frame.content() and frame.evaluate("self.origin") == "null"
        # Opened as a file, with scripts allowed and no policy: what the mail is made of keeps them out by itself.
        for mail in mails:
            page.set_content(mail.get_body(("html",)).get_content())
            page.mouse.move(200, 300)
            page.wait_for_timeout(50)
    assert ran == []


PAGES = 2  # that share the payloads


def listed(some):
    """A page that lists pieces with payloads as their markup, in their attributes and as their words."""
    pieces = "".join(
        f'<li class="{escape(bad)}" id="{escape(bad)}"><b>Piece {n} {escape(bad)}</b> <i>2026-04-{n % 28 + 1:02}</i>'
        f'<a href="/{n}?{escape(bad)}">More</a></li>'
        for n, bad in enumerate(some)
    )
    raw = "".join(f"<div>{bad}</div>" for bad in some)
    return f"<html><head><title>{some[0]}</title></head><body><ul>{pieces}</ul>{raw}</body></html>"


def test_none_runs_where_a_new_source_is_looked_at_and_picked(tmp_path, watched):
    page, ran = watched
    every = payloads()
    html, xml, plain = ({"Content-Type": f"{kind}; charset=utf-8"} for kind in ("text/html", "text/xml", "text/plain"))
    items = "".join(
        f"<item><title>{escape(bad)}</title><link>https://e.example.org/{n}?{n}</link><description>{escape(bad)}</description>"
        f"<pubDate>{'Wed, 01 Apr 2026 00:00:00 GMT' if n % 9 else escape(bad)}</pubDate></item>"
        for n, bad in enumerate(every)
    )
    with running() as server:
        for n in range(PAGES):
            server.answers[f"/{n}"] = (200, html, listed(every[n::PAGES]))
        server.answers["/feed"] = (200, xml, f"<?xml version='1.0'?><rss version='2.0'><channel><title>x</title>{items}</channel></rss>")
        server.answers["/text"] = (200, plain, "Take away.\n" + "".join(f"5/1/2026\nA teaser {bad}\nRead More\n" for bad in every[:200]))
        folder = make_workspace(tmp_path / "w", config=CONFIG + f"fetch: {{allow: ['{server.allow[0]}']}}\n")
        with serving(folder) as site:
            session = Browser(site).enter(add(site, "nora"))
            page.context.add_cookies([{"name": "digest", "value": session.cookies["digest"], "url": site.url}])
            told = ""
            for path in (*(f"/{n}" for n in range(PAGES)), "/feed", "/text"):
                page.goto(site.url + "/admin/sources/new")
                page.get_by_label("Address").fill(server.url(path))
                page.get_by_role("button", name="Look", exact=True).click()
                page.get_by_role("heading", name="What would be gathered").wait_for()
                told += page.content()
                if path in ("/feed", "/text"):
                    continue
                frame = page.locator("#shown-page").element_handle().content_frame()
                frame.get_by_text("Piece 3").first.click()
                frame.locator("[data-part=title]").first.wait_for()
                assert frame.evaluate("self.origin") == "null" and "ran(" in frame.locator("main").inner_text()
                page.mouse.move(400, 500)
            assert told.count("ran(") > 250  # they are there, as text
            assert ran == []
    # Without any policy, and with scripts allowed: what the frame is made of keeps them out by itself.
    page.goto("about:blank")
    page.set_content("".join(f"<div>{picking.bare(LexborHTMLParser(bad))}</div>" for bad in every))
    page.mouse.move(200, 300)
    page.wait_for_timeout(300)
    assert ran == [] and page.locator("[data-at]").count() > 40
