"""`digest lint` from the outside: what it says, what it stops, what is recorded; templates known to be bad are caught."""

from __future__ import annotations

import json
import re
import shutil
import threading
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from digest import interests, issue, jobs, lint, readiness, review
from digest.compose import compile_issue, sample
from digest.config import Fetch
from digest.errors import IssueError
from digest.gather import gather
from digest.lint import Level, edges
from digest.lint.editions import STOPPING, errors, letter, sheets
from digest.lint.page import markdown
from digest.review import ALL_RULES
from digest.store import holding
from digest.subscribe import import_file
from digest.workspace import open_workspace
from tests.support.compose import TEMPLATES
from tests.support.letter import HTML, make_letter
from tests.support.make import CONFIG, REPOSITORY, make_workspace, write_summary
from tests.support.person import Person

ISSUE = "monthly-2026-05-01"
PEOPLE = "email,interests,cadence\nana@example.org,gut,monthly\nben@example.org,gut;vision,monthly\n"
APPROVED = CONFIG.replace("approval: automatic", "approval: required")
FAINT = ("parts/styles.mjml.j2", 'color="#1b2a30"', 'color="#b9c2c5"')


@pytest.fixture
def person(tmp_path):
    """Two readers, three pieces, an issue that an editor approves."""
    folder = make_workspace(tmp_path / "letter", config=APPROVED, subscribers=PEOPLE)
    for name, tags in (("one", "gut"), ("two", "vision"), ("three", "gut")):
        write_summary(folder, name, tags=tags)
    return Person(folder)


def drafted(opened, *, again=False):
    gather(opened)
    return issue.draft(opened, "monthly", again=again)


def change(folder, file, old, new):
    path = folder / "templates" / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_the_demo_has_no_error_in_any_edition(tmp_path):
    for name in ("config.yaml", "templates", "subscribers", "summaries"):
        source = REPOSITORY / name
        shutil.copytree(source, tmp_path / name) if source.is_dir() else shutil.copy(source, tmp_path / name)
    with open_workspace(tmp_path, date(2026, 5, 1)) as opened:
        jobs.first_subscribers(opened)
        drafted(opened)
        report = review.check(opened, ISSUE, every=True, spam=False)
    assert len(report.editions) >= 20 and report.count(Level.ERROR) == 0 and report.count(Level.ADVICE) > 0
    # One edition holds pieces that are harder than most, which is what the rule is for.
    assert {one.rule for one in report.findings if one.level is Level.WARNING} <= {"reading-level"}


def test_an_editor_s_week_by_commands(person):
    write_summary(person.folder, "four", title="Piece one")  # two links that read the same
    with open_workspace(person.folder, date(2026, 5, 1)) as opened:
        drafted(opened)
        change(person.folder, *FAINT)
        with pytest.raises(IssueError, match=f"not approved: .*contrast.*digest lint {ISSUE}"):
            readiness.approve(opened, ISSUE)
    said = person.types("lint", ISSUE, "--no-spam")
    assert said.returncode == 1 and "error: contrast: #b9c2c5 on #ffffff has a contrast of 1.8:1" in said.stdout
    change(person.folder, FAINT[0], FAINT[2], FAINT[1])
    with open_workspace(person.folder) as opened:
        assert review.check(opened, ISSUE, spam=False).count(Level.WARNING) == 2
    done = person.types("lint", ISSUE, "--no-spam", "--strict", "--accept", "link-same-words", "--because", "so be it", "--sarif")
    results = json.loads(done.stdout)["runs"][0]["results"]
    assert done.returncode == 0 and [one["ruleId"] for one in results if "suppressions" in one] == ["link-same-words"] * 2
    with open_workspace(person.folder, date(2026, 5, 1)) as opened:
        assert readiness.approve(opened, ISSUE)


def test_an_automatic_issue_waits_with_an_error_of_the_whole_letter(person):
    (person.folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    change(person.folder, *FAINT)
    with open_workspace(person.folder, date(2026, 5, 1)) as opened:
        report = jobs.run(opened, "monthly")
        assert report.sent is None and "contrast" in report.waits
        assert not list(person.folder.glob("var/outbox/**/*.eml"))
        change(person.folder, FAINT[0], FAINT[2], FAINT[1])
        assert jobs.run(opened, "monthly").sent.status.accepted == 2


def test_one_bad_piece_does_not_keep_an_automatic_issue_from_everybody(person):
    (person.folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    write_summary(person.folder, "four", url="https://intranet.local/four")
    with open_workspace(person.folder, date(2026, 5, 1)) as opened:
        assert jobs.run(opened, "monthly").sent.status.accepted == 2
        report = review.check(opened, ISSUE, spam=False)
    assert [one.rule for one in report.findings if one.blocks] == ["link-syntax"]


def test_a_warning_is_accepted_with_a_word_and_recorded(person):
    write_summary(person.folder, "four", title="Piece one")  # two links that read the same
    with open_workspace(person.folder, date(2026, 5, 1)) as opened:
        drafted(opened)
        report = review.check(opened, ISSUE, spam=False)
        assert [one.rule for one in report.findings if one.level is Level.WARNING] == ["link-same-words"] * 2
        for rule, word in (("link-same-words", " "), ("contrast", "so"), ("nonsense", "so"), ("link-vague", "so")):
            with pytest.raises(IssueError):
                review.accept(opened, report, rule, word)
        assert review.accept(opened, report, "link-same-words", "they belong together") == 2
        report = review.check(opened, ISSUE, spam=False)
        assert (report.count(Level.WARNING), report.count(Level.WARNING, accepted=True)) == (0, 2)
        with opened.store.read() as tx:
            ((_, who, what, detail),) = holding.decisions(tx, ISSUE)
        assert who and what == "accept warning" and json.loads(detail)["word"] == "they belong together"
        write_summary(person.folder, "five", title="Piece two")  # a new fault is not covered by the old word
        drafted(opened, again=True)
        assert review.check(opened, ISSUE, spam=False).count(Level.WARNING) == 2


def test_it_works_without_a_single_reader(tmp_path):
    folder = make_workspace(tmp_path / "letter", config=APPROVED)
    write_summary(folder, "one")
    with open_workspace(folder, date(2026, 5, 1)) as opened:
        drafted(opened)
        report = review.check(opened, ISSUE, spam=False)
    assert report.editions == ("imagined reader",) and not report.count(Level.ERROR)


def test_what_nobody_follows_is_looked_at_too(person):
    write_summary(person.folder, "lonely", tags="other", url="https://intranet.local/lonely")
    with open_workspace(person.folder, date(2026, 5, 1)) as opened:
        drafted(opened)
        (found,) = [one for one in review.check(opened, ISSUE, spam=False).findings if one.rule == "link-syntax"]
    assert found.editions == ("sheet 1",)


def test_an_edition_is_found_by_its_role_or_its_id(person):
    with open_workspace(person.folder, date(2026, 5, 1)) as opened:
        import_file(opened, person.folder / "subscribers" / "people.csv", interests.load(person.folder))
        drafted(opened)
        now = review.ready(opened, ISSUE)
        real = review.editions(opened, now)
        assert [one.readers for one in real] == [1, 1]
        largest, smallest = (review.find_edition(opened, now, which) for which in ("largest", "smallest"))
        assert len(largest.selection.teasers) == 3 and len(smallest.selection.teasers) == 2
        assert review.find_edition(opened, now, real[1].name[:6]).selection == real[1].selection
        assert review.find_edition(opened, now, "imagined-reader").selection == largest.selection
        with pytest.raises(IssueError, match="has no edition"):
            review.find_edition(opened, now, "huge")


def test_the_rules_are_listed(person):
    listed = json.loads(person.types("lint", "--rules", "--json").stdout)
    assert {one["id"] for one in listed} == {rule.id for rule in ALL_RULES}


def test_the_page_of_rules_is_the_rules():
    page = (REPOSITORY / "docs" / "lint.md").read_text("utf-8")
    begin, end = "<!-- rules -->\n", "<!-- end of rules -->"
    assert page.partition(begin)[2].partition(end)[0].strip() == markdown(ALL_RULES).strip(), "renew it with `digest lint --rules`"
    assert all(f"`{rule}`" in page for rule in STOPPING)
    assert STOPPING <= {rule.id for rule in lint.RULES if rule.level is Level.ERROR}


# --- templates known to be bad -------------------------------------------------------------------------------------------

BAD = {
    "contrast": FAINT,
    "contrast in dark": ("parts/styles.mjml.j2", ".text div, .text p, .h3 { color: #eef3f4", ".text div, .text p, .h3 { color: #2a3438"),
    "heading-order": ("parts/section.mjml.j2", "h2", "h4"),
    "heading-first": ("parts/header.mjml.j2", "h1", "p"),
    "link-vague": ("parts/teaser.mjml.j2", "{{ say.read() }} {{ mark.aside(teaser.title, teaser.lang, teaser.dir) }}</a>", "Read more</a>"),
    "image-alt": ("parts/teaser.mjml.j2", ' alt="{{ teaser.image.alt }}"', ""),
    "footer-address": ("parts/footer.mjml.j2", "{{ line }}", "Somewhere"),
    "footer-unsubscribe": ("parts/footer.mjml.j2", "{{ say.unsubscribe() }}", ""),
    "text-size": ("parts/styles.mjml.j2", ".small { font-size: 16px", ".small { font-size: 11px"),
    "active-content": ("parts/styles.mjml.j2", "<mj-raw>\n  <meta", "<mj-raw>\n  <style data-premailer='ignore'>@import url(https://fonts.example.org/a.css);</style><meta"),
    "remains": ("parts/header.mjml.j2", "{{ newsletter.tagline }}", "[[first_name]]"),
    "link-underline": ("parts/styles.mjml.j2", "text-decoration: underline", "text-decoration: none"),
    "client-support": ("parts/header.mjml.j2", ' class="issue">', ' class="issue" style="display:flex">'),
    "subject-length": ("phrases.txt.j2", "{{ newsletter.name }}, {{ issue.month }}: {{ first }}", "News"),
}  # fmt: skip


@pytest.fixture(scope="module")
def summaries():
    return {summary.id: summary for summary in sample.summaries()}


def found_in(templates, summaries):
    compiled = compile_issue(templates, sample.LOOK, sample.SLOT, tuple(summaries.values()), sample.INTERESTS)
    made = [letter(compiled, sheet, summaries, 80 * 1024, "monthly") for sheet in sheets(compiled)]
    return compiled, lint.check(made)


def test_our_own_templates_are_clean(summaries):
    compiled, findings = found_in(TEMPLATES, summaries)
    assert [one for one in findings if one.level is not lint.Level.ADVICE] == []
    assert errors(compiled, summaries, 80 * 1024, "monthly") == ()


@pytest.mark.parametrize("name", BAD)
def test_a_bad_template_is_caught(tmp_path, summaries, name):
    shutil.copytree(TEMPLATES, tmp_path / "templates")
    change(tmp_path, *BAD[name])
    _, findings = found_in(tmp_path / "templates", summaries)
    assert name.split()[0] in {one.rule for one in findings}


# --- what asks others ----------------------------------------------------------------------------------------------------


class Pages(BaseHTTPRequestHandler):
    """/good answers, /gone does not; everything asked for is remembered."""

    asked: list[str]

    def do_GET(self):
        self.asked.append(self.path)
        self.send_response(200 if self.path == "/good" else 404)
        self.end_headers()
        self.wfile.write(b"a page")

    def log_message(self, *_):
        pass


@pytest.fixture
def pages():
    handler = type("Handler", (Pages,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}", handler.asked
    server.shutdown()
    server.server_close()
    thread.join()


def test_each_link_is_asked_once_politely_and_dead_ones_are_told(pages):
    place, asked = pages
    html = "".join(f'<a href="http://{place}/{name}">{name}</a>' for name in ("good", "gone", "good#part"))
    hrefs = edges.addresses([make_letter(html=html), make_letter(html=html)], "https://letter.example.org")
    pauses: list[float] = []
    found = list(edges.dead_links(hrefs, Fetch(allow=(place,)), sleep=pauses.append))
    assert asked == ["/good", "/gone"] and len(pauses) == 1 and 0 < pauses[0] <= 1
    assert [one.place for one in found] == [f"http://{place}/gone"] and "404" in found[0].text


def test_a_picture_that_is_missing_is_told(pages):
    place, _ = pages
    letter = make_letter(html=f'<img src="http://{place}/gone.png" alt=""><img src="http://{place}/good" alt=""><img src="data:x" alt="">')
    asked = edges.pictures([letter, letter])
    assert asked == [f"http://{place}/gone.png", f"http://{place}/good"]
    (found,) = edges.dead_links(asked, Fetch(allow=(place,)), sleep=lambda _: None)
    assert found.place == f"http://{place}/gone.png" and "404" in found.text


def test_a_link_into_the_own_network_is_not_asked(pages):
    place, asked = pages
    (found,) = edges.dead_links([f"http://{place}/good"], Fetch())
    assert asked == [] and "fetch.allow" in found.text


def test_the_reader_s_own_links_are_not_asked():
    assert edges.addresses([make_letter()], "https://letter.example.org") == ["https://letter.example.org/one"]


@pytest.mark.skipif(shutil.which("spamassassin") is None, reason="SpamAssassin is not installed")
def test_spamassassin_tells_a_good_letter_from_a_bad_one():
    good = make_letter(html=re.sub("<img[^>]*>", "", HTML))
    assert list(edges.spam_score(good)) == []
    bad = make_letter(
        headers={
            "Subject": "FREE MONEY!!! VIAGRA",
            "Date": "Fri, 01 May 2020 09:00:00 +0000",
            "From": "FREE <a@1.invalid>",
            "Message-ID": "",
        },
        html="<img src='http://1.2.3.4/a.png'>",
        text="XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X",
    )
    (found,) = edges.spam_score(bad)
    assert "SpamAssassin gives" in found.text and "GTUBE" in found.place


@pytest.mark.skipif(shutil.which("hunspell") is None, reason="hunspell is not installed")
def test_misspelt_words_are_told():
    piece = lint.Piece("A recieve of teh post", "Walking is good.", "en")
    (found,) = edges.misspelt([make_letter(pieces=(piece,))], "en-GB")
    assert found.place == "recieve, teh"
    written = ["See [the lisst](https://example.org/qqxz) anb https://example.org/zzqx more"]
    (found,) = edges.misspelt([make_letter(headers={"Subject": "Teh digest"}, preheader="Wat is new")], "en-GB", written)
    assert {"Teh", "Wat", "lisst", "anb"} <= set(found.place.split(", ")) and "qqxz" not in found.place and "zzqx" not in found.place
    with pytest.raises(edges.Skipped, match="no dictionary"):
        list(edges.misspelt([make_letter(pieces=(piece,))], "xx"))


def test_what_is_not_installed_is_said(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    for ask in (lambda: list(edges.spam_score(make_letter())), lambda: list(edges.misspelt([make_letter()], "en"))):
        with pytest.raises(edges.Skipped, match="apt-get install"):
            ask()
