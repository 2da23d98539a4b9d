"""The web copy and the page with what was left out, as the links in a real email lead there."""

import email
import email.policy
import html as html_module
import re
from datetime import date

import pytest

from digest import jobs
from digest.model import Selection
from digest.store import outcomes, people
from digest.workspace import open_workspace
from tests.support.make import CONFIG, make_workspace, write_summary
from tests.support.site import links, serving

PIECES = [f"p{n}" for n in range(6)]


@pytest.fixture(scope="module")
def site(tmp_path_factory, stored):
    folder = make_workspace(tmp_path_factory.mktemp("copy") / "w", config=CONFIG + stored + "selection: {max_teasers: 4}\n")
    for n, name in enumerate(PIECES):
        write_summary(folder, name, f"2026-04-{10 + n}", "gut", limits=f"Limit of {name} & <few>.")
    with serving(folder) as site:
        site.add("ana@example.org", name="Ana Private", language="de")
        site.add("plain@example.org", name="Ben", plain_text=True)
        site.add("gone@example.org", name="Cy")
        with open_workspace(folder, date(2026, 5, 1)) as workspace, workspace.store.alone():
            jobs.run(workspace, "monthly")
        yield site


def message(site, address):
    files = [file for file in (site.folder / "var/outbox/monthly-2026-05-01").glob("*.eml") if f"{address}>" in file.read_text()]
    assert len(files) == 1
    return email.message_from_bytes(files[0].read_bytes(), policy=email.policy.default)


def selection(site, address):
    with site.open() as workspace, workspace.store.read() as tx:
        from digest.addresses import parse
        from digest.store import issues

        person = people.find(tx, workspace.store.vault, parse(address))
        issue = issues.named(tx, "monthly-2026-05-01")
        return Selection.model_validate_json(outcomes.delivery_of(tx, issue.id, person.row).selection)


def text(source):
    """The words of a page, in order."""
    body = re.sub(r"<(style|title)\b.*?</\1>|<!--.*?-->", " ", source, flags=re.S)
    return " ".join(html_module.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def paths(site, address):
    found = [one for one in links(message(site, address)) if one.startswith("/w/")]
    return next(one for one in found if one.endswith("/more")), next(one for one in found if not one.endswith("/more"))


def test_the_copy_says_what_the_email_said_without_the_name(site):
    sent = message(site, "ana@example.org").get_body(("html",)).get_content()
    answer = site.get(paths(site, "ana@example.org")[1])
    assert answer.status == 200
    assert text(answer.text) == text(sent).replace(" Ana Private,", ",")
    assert "Ana Private" in sent and "Ana" not in answer.text and "ana@example.org" not in answer.text
    kept = [one for one in re.findall(r'href="([^"]+)"', sent) if "/u/" in one or "/p/" in one]
    assert kept and all(one in answer.text for one in kept)


def test_the_copy_is_kept_from_caches_and_crawlers_and_runs_nothing(site):
    answer = site.get(paths(site, "ana@example.org")[1])
    assert answer.headers["cache-control"] == "no-store" and answer.headers["x-robots-tag"] == "noindex"
    assert '<meta name="robots" content="noindex" />' in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"] and "script" not in answer.headers["content-security-policy"]


def test_the_overflow_page_lists_exactly_what_was_left_out(site):
    more, copy = paths(site, "ana@example.org")
    answer = site.get(more)
    left = [piece.removeprefix("url:https://letter.example.org/") for piece in selection(site, "ana@example.org").left_out]
    assert len(left) == 2 and answer.status == 200
    listed = re.findall(r"<h2[^>]*><a href=\"https://letter.example.org/(\w+)\"", answer.text)
    assert listed == left
    assert f'href="{copy}"' in answer.text and all(f"Limit of {name} &amp; &lt;few&gt;." in answer.text for name in left)


def test_a_plain_text_reader_may_look_at_the_page(site):
    sent = message(site, "plain@example.org").get_content()
    path = re.search(r"https://letter\.example\.org(/w/\S+?)(/more)?\s", sent)[1]
    answer = site.get(path)
    assert answer.status == 200 and all(f"Piece {name}" in answer.text for name in re.findall(r"^Piece (\w+)$", sent, re.M))


def test_other_links_and_erased_readers_get_the_friendly_page(site):
    reader = site.reader("gone@example.org")
    more, copy = paths(site, "gone@example.org")
    assert site.get(copy).status == 200
    from digest import readers

    with site.open() as workspace:
        readers.erase(workspace, reader.id)
    for path in (copy, more, f"/w/{site.token('web', 'ab' * 16)}", f"/w/{site.token('unsubscribe', reader.id)}", "/w/x", "/w/x/more"):
        answer = site.get(path)
        assert answer.status == 404 and 'action="/links"' in answer.text, path


def test_a_later_retraction_and_correction_stand_on_top_and_at_the_piece(site):
    more, copy = paths(site, "ana@example.org")
    before = site.get(copy).text
    chosen = selection(site, "ana@example.org")
    name = {id: id.rpartition("/")[2] for id in (*chosen.teasers, *chosen.left_out)}
    wrong, late = chosen.teasers[1], chosen.left_out[0]
    for id, kind in ((wrong, "retraction"), (late, "correction")):
        day = f"2026-04-{10 + int(name[id][1:])}"
        notice = f"{{kind: {kind}, at: 2026-05-09, text: The {kind} of <b>{name[id]}</b>.}}"
        write_summary(site.folder, name[id], day, "gut", limits=f"Limit of {name[id]} & <few>.", notice=notice)
    from digest.gather import gather

    with site.open() as workspace, workspace.store.alone():
        gather(workspace)
    after = site.get(copy).text
    note = f"The retraction of &lt;b&gt;{name[wrong]}&lt;/b&gt;."
    assert note not in before and after.count(note) == 1
    top = after.index('href="#piece-')
    assert top < after.index("<h1") < after.index('id="piece-') < after.index(note) < after.index(f"Piece {name[wrong]}</h3>")
    assert "Zurückgezogen am 9. Mai 2026" in after
    page = site.get(more).text
    assert f"The correction of &lt;b&gt;{name[late]}&lt;/b&gt;." in page and page.count('class="changed"') == 1
    assert "The correction" not in after
