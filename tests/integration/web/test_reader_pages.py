"""What a reader does with the links they have: change, pause, leave, come back, take their data, be erased; and who may do which."""

import json
import os
import re
from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest
from sqlalchemy import select

from digest import jobs, readers
from digest.model import Status
from digest.store import schema as t
from digest.workspace import open_workspace
from tests.support.site import link, make_site_folder, serving

FORM = {"interest": ["gut", "vision"], "cadence": "monthly", "language": "en"}


def address_of(n=[0]):  # noqa: B006
    n[0] += 1
    return f"r{n[0]}@example.org"


@pytest.fixture
def ana(site):
    return site.add(address_of(), interests=("gut", "vision", "diet"), audience=("patients",))


def prefs(site, reader, age=timedelta(days=2)):
    return f"/p/{site.token('preferences', reader.id, age)}"


def leave(site, reader):
    return f"/u/{site.token('unsubscribe', reader.id)}"


# --- preferences ---------------------------------------------------------------------------------------------------------


def test_everything_that_can_be_chosen_is_kept(site, ana):
    until = (datetime.now(UTC) + timedelta(days=40)).date()
    chosen = {
        **FORM,
        "interest": ["vision", "gut"],
        "fewer": ["gut"],
        "cadence": "weekly",
        "language": "de",
        "audience": ["clinicians", "caregivers"],
        "name": "  Ana B. ",
        "plain_text": "yes",
        "large_print": "yes",
        "max_teasers": "5",
        "pause": "yes",
        "pause_until": until.isoformat(),
        "catch_up": "yes",
    }
    answer = site.post(prefs(site, ana), chosen)
    assert answer.status == 303 and answer.headers["location"].endswith("?saved=all")
    now = site.reader(ana.email)
    assert now.interests == ("gut", "vision")  # in the order they had
    assert (now.fewer, now.cadence, now.language, now.name) == (("gut",), "weekly", "de", "Ana B.")
    assert (now.plain_text, now.large_print, now.max_teasers) == (True, True, 5)
    assert (now.status, now.paused_until, now.catch_up) == (Status.PAUSED, until, True)
    assert set(now.audience) == {"caregivers", "clinicians"}
    page = site.get(answer.headers["location"]).text
    assert 'name="plain_text" value="yes" checked' in page and f'value="{until}"' in page
    site.post(prefs(site, ana), FORM)
    now = site.reader(ana.email)
    assert (now.status, now.paused_until, now.catch_up, now.plain_text, now.max_teasers) == (Status.ACTIVE, None, False, False, None)


def test_the_order_changes_by_buttons_and_the_whole_form_is_kept_with_it(site, ana):
    every = {**FORM, "interest": ["gut", "diet", "vision"], "name": "Kept"}
    site.post(prefs(site, ana), {**every, "move": "up:vision"})
    assert site.reader(ana.email).interests == ("vision", "gut", "diet")
    site.post(prefs(site, ana), {**every, "move": "down:gut"})
    assert site.reader(ana.email).interests == ("vision", "diet", "gut")
    site.post(prefs(site, ana), {**every, "move": "up:vision"})
    assert site.reader(ana.email).interests == ("vision", "diet", "gut")
    assert site.reader(ana.email).name == "Kept"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"interest": []}, "interest"),
        ({"cadence": "hourly"}, "cadence"),
        ({"name": "x" * 201}, "name"),
        ({"pause": "yes", "pause_until": "soon"}, "pause_until"),
        ({"pause": "yes", "pause_until": "2020-01-01"}, "pause_until"),
        ({"pause": "yes", "pause_until": "2999-01-01"}, "pause_until"),
    ],
)
def test_a_mistake_is_told_beside_its_field_and_nothing_is_changed(site, ana, fields, field):
    answer = site.post(prefs(site, ana), {**FORM, "plain_text": "yes", **fields})
    assert answer.status == 422 and f'id="error-{field}"' in answer.text
    assert 'name="plain_text" value="yes" checked' in answer.text
    assert site.reader(ana.email) == ana


def test_no_page_shows_the_address_and_no_link_names_it_or_a_subject(site, ana):
    for path in (prefs(site, ana), leave(site, ana), prefs(site, ana, timedelta()) + "/erase"):
        page = site.get(path)
        assert ana.email not in page.text
        assert not [one for one in re.findall(r'(?:href|action|src|hx-post)="([^"]*)"', page.text) if "gut" in one or "@" in one]


def test_looking_changes_nothing_whatever_looks(site, ana):
    every = [prefs(site, ana), leave(site, ana), prefs(site, ana, timedelta()) + "/erase", prefs(site, ana) + "?saved=all"]
    for path in every:
        for method in ("GET", "HEAD", "GET", "OPTIONS", "PUT", "DELETE"):
            site.ask(method, path)
    assert site.reader(ana.email) == ana


# --- leaving -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded"),
        (
            b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
    ],
)
def test_one_click_as_rfc_8058_has_it(site, ana, body, kind):
    for _ in range(2):  # a token never burns
        answer = site.ask("POST", leave(site, ana), body, Content_Type=kind)
        assert answer.status == 200 and "location" not in answer.headers and "set-cookie" not in answer.headers
    assert site.reader(ana.email).status is Status.UNSUBSCRIBED


@pytest.mark.parametrize("body", [b"", b"List-Unsubscribe=one-click", b"x=1", b"List-Unsubscribe=One-Click&x=1", b"--\xff"])
def test_any_other_body_leaves_nobody(site, ana, body):
    assert site.ask("POST", leave(site, ana), body, Content_Type="application/x-www-form-urlencoded").status == 200
    assert site.reader(ana.email) == ana


def test_people_leave_with_one_button_say_why_if_they_like_and_undo_it_there(site, ana):
    left = site.post(leave(site, ana), {"do": "leave", "what": "all"})
    assert "You have left" in left.text and site.reader(ana.email).status is Status.UNSUBSCRIBED
    undo = re.search(r'name="undo" value="([^"]+)"', left.text)[1]
    assert "Thank you" in site.post(leave(site, ana), {"do": "reason", "reason": "too_many", "undo": undo}).text
    with site.open() as workspace:
        said = [line["detail"] for line in readers.data_of(workspace, ana.id)["consent"] if line["kind"] == "reason"]
    assert said == [{"reason": "too_many"}]
    assert "All is as before" in site.post(leave(site, ana), {"do": "undo", "undo": undo}).text
    assert site.reader(ana.email) == ana


def test_one_subject_stops_and_comes_back_to_its_place(site, ana):
    stopped = site.post(leave(site, ana), {"do": "stop", "what": "vision"})
    assert site.reader(ana.email).interests == ("gut", "diet")
    fields = dict(re.findall(r'name="(undo|dropped|place|less)" value="([^"]+)"', stopped.text))
    site.post(leave(site, ana), {"do": "undo", **fields})
    assert site.reader(ana.email).interests == ("gut", "vision", "diet") and not site.reader(ana.email).fewer
    site.post(prefs(site, ana), {**FORM, "interest": ["gut", "vision", "diet"], "fewer": ["vision"]})
    stopped = site.post(leave(site, ana), {"do": "stop", "what": "vision"})
    fields = dict(re.findall(r'name="(undo|dropped|place|less)" value="([^"]+)"', stopped.text))
    site.post(leave(site, ana), {"do": "undo", **fields})
    assert (site.reader(ana.email).interests, site.reader(ana.email).fewer) == (("gut", "vision", "diet"), ("vision",))


@pytest.mark.parametrize("what", [{}, {"what": ""}, {"what": "nothing"}])
def test_to_stop_one_subject_without_saying_which_ends_nothing(site, ana, what):
    answer = site.post(leave(site, ana), {"do": "stop", **what})
    assert answer.status == 422 and 'id="error-what"' in answer.text and "Choose the subject that should stop." in answer.text
    assert site.reader(ana.email) == ana


def test_the_last_subject_does_not_stop_alone(site):
    one = site.add(address_of(), interests=("gut",))
    assert site.post(leave(site, one), {"do": "stop", "what": "gut"}).status == 422
    assert site.reader(one.email) == one


def test_the_link_in_the_email_brings_nobody_back(site, ana):
    site.post(leave(site, ana), {"do": "leave"})
    other = site.add(address_of())
    late = site.token("undo", ana.id, timedelta(hours=2))
    for undo in ("", "nonsense", late, site.token("undo", other.id), site.token("unsubscribe", ana.id)):
        answer = site.post(leave(site, ana), {"do": "undo", "undo": undo})
        assert "time for undoing is over" in answer.text
    site.post(prefs(site, ana, timedelta()), FORM)
    assert site.reader(ana.email).status is Status.UNSUBSCRIBED


def test_a_paused_reader_who_undoes_is_paused_again(site):
    paused = site.add(address_of(), status=Status.PAUSED, paused_until=date(2030, 1, 1))
    left = site.post(leave(site, paused), {"do": "leave"})
    undo = re.search(r'name="undo" value="([^"]+)"', left.text)[1]
    site.post(leave(site, paused), {"do": "undo", "undo": undo})
    assert site.reader(paused.email).status is Status.PAUSED


# --- data and erasure ----------------------------------------------------------------------------------------------------


def test_data_and_erasure_need_a_link_that_was_mailed_just_now(site, ana):
    old, fresh = prefs(site, ana), prefs(site, ana, timedelta())
    assert "my-data" not in str(site.post(old + "/data").headers)
    assert "first mail you a new link" in site.post(old + "/erase").text
    assert site.reader(ana.email) == ana
    before = len(site.mails(0))
    assert site.post(old + "/link").status == 303
    site.settled()
    mailed = site.mails(before + 1)[-1]
    assert ana.email in str(mailed["To"])
    data = json.loads(site.post(link(mailed, "/p/") + "/data").body)
    assert data["subscriber"]["email"] == ana.email and data["subscriber"]["interests"] == ["gut", "vision", "diet"]
    assert "are gone" in site.post(fresh + "/erase").text
    with site.open() as workspace, workspace.store.read() as tx:
        row = tx.execute(select(t.subscriber).where(t.subscriber.c.sid == ana.id)).mappings().one()
        assert workspace.store.vault.open(row["address"], "address") == ""
        assert row["status"] == "erased"
        assert not tx.execute(select(t.follows).where(t.follows.c.subscriber_id == row["id"])).all()
        told = select(t.consent).where(t.consent.c.subscriber_id == row["id"], t.consent.c.detail.is_not(None))
        assert not tx.execute(told).all()


def test_an_erased_reader_s_links_are_as_good_as_any_lost_one_and_they_may_join_again(site, ana):
    with site.open() as workspace:
        readers.erase(workspace, ana.id)
    gone = [site.get(path) for path in (prefs(site, ana), leave(site, ana), "/p/nonsense", f"/u/{'A' * 39}")]
    assert {answer.status for answer in gone} == {404}
    assert len({without_stamp(answer.text) for answer in gone}) == 1
    assert site.ask("POST", leave(site, ana), b"List-Unsubscribe=One-Click").status == 200
    site.post("/subscribe", {"email": ana.email, "interest": "gut", "cadence": "monthly", "stamp": site.stamp()})
    site.settled()
    site.post(link(site.mails()[-1], "/c/"))
    assert site.reader(ana.email).id != ana.id


def without_stamp(text):
    """A page without the stamp of its form and the address of its language links, which are the visitor's own."""
    return re.sub(r'(name="stamp" value=)"[^"]+"', r"\1", text)


@pytest.mark.parametrize("path", ["/p//monthly-2026-05-01/3", "/p/monthly-2026-05-01/3", "/p/"])
def test_a_link_that_came_without_its_token_says_what_to_do_and_does_nothing(site, ana, path):
    """SendGrid would make such links of a template if it did not know `@root`."""
    seen = set()
    for code, said in (("en", "missing"), ("de", "fehlt"), ("es", "falta"), ("fr", "manque"), ("ar", "مفقود")):
        answer = site.get(path, Accept_Language=code)
        (heading,) = re.findall("<h1>(.*?)</h1>", answer.text)
        assert answer.status == 404 and said in heading and 'action="/links"' in answer.text
        seen.add(heading)
    english = site.get(path)
    assert "nothing has been changed" in english.text and "at the end of the same email" in english.text
    assert len(seen) == 5 and site.ask("HEAD", path).status == 404
    assert site.ask("POST", path, b"interest=gut&do=less").status in (404, 405)
    assert site.reader(ana.email) == ana


# --- tokens --------------------------------------------------------------------------------------------------------------


def test_each_kind_of_token_opens_its_own_route_and_no_other(site, ana):
    """The authorisation matrix: kind × route × method; a refusal is always the same page."""
    routes = {"unsubscribe": "/u/{}", "preferences": "/p/{}", "confirm": "/c/{}", "never": "/n/{}"}
    more = ["/p/{}/data", "/p/{}/erase", "/p/{}/link", "/p/{}/monthly-2026-05-01/0"]
    pages = set()
    for kind in ("unsubscribe", "preferences", "confirm", "never", "web", "undo", "form"):
        token = site.token(kind, ana.id)
        for own, route in [*routes.items(), *[("preferences", one) for one in more]]:
            if own == kind:
                continue
            answer = site.get(route.format(token))
            if answer.status == 405:  # only to be posted to
                answer = site.post(route.format(token))
            else:
                posted = site.post(route.format(token))
                assert posted.status == 404
            assert answer.status == 404, (kind, route)
            pages.add(without_stamp(answer.text))
    assert len(pages) == 1
    assert site.reader(ana.email) == ana


def test_a_link_older_than_its_days_is_refused_with_the_way_to_a_new_one(site, ana):
    assert site.get(prefs(site, ana, timedelta(days=179))).status == 200
    old = site.get(prefs(site, ana, timedelta(days=181)))
    assert old.status == 404 and "new link" in old.text
    assert site.get(leave(site, ana)).status == 200  # this one never ends


def test_changed_and_drawn_tokens_open_nothing(site, ana):
    random, token = Random(7), site.token("unsubscribe", ana.id)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for _ in range(20_000 if os.environ.get("DIGEST_TEST_EXAMPLES") == "nightly" else 300):
        at = random.randrange(len(token))
        changed = token[:at] + random.choice(letters) + token[at + 1 :]
        drawn = "".join(random.choices(letters, k=random.choice((1, 38, 39, 40, 44, 400))))
        for one in {changed, drawn} - {token}:
            assert site.ask("POST", f"/u/{one}", b"List-Unsubscribe=One-Click").status == 404
    for odd in ("%00", "%ff%fe", "..%2f..", "a" * 3000, "%F0%9F%98%80", "'%3B--", token + "%3D", token + "A", token[:-1]):
        assert site.get(f"/u/{odd}").status in (404, 400), odd
    assert site.reader(ana.email) == ana


def test_a_token_of_another_workspace_is_no_token_here(site, ana, tmp_path):
    with serving(make_site_folder(tmp_path / "other")) as other:
        foreign = other.token("unsubscribe", ana.id)
    assert site.ask("POST", f"/u/{foreign}", b"List-Unsubscribe=One-Click").status == 404


# --- what is planned by it -----------------------------------------------------------------------------------------------


def outbox(folder, issue="monthly-2026-05-01"):
    import email
    import email.policy

    found = {}
    for file in (folder / "var" / "outbox" / issue).glob("*.eml"):
        message = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
        found[message["To"].addresses[0].addr_spec] = message
    return found


def test_what_readers_chose_is_what_they_get(tmp_path):
    from tests.support.make import write_summary

    folder = make_site_folder(tmp_path / "w")
    write_summary(folder, "three", "2026-04-17", "gut")
    write_summary(folder, "four", "2026-04-18", "gut")
    with serving(folder) as site:
        site.add("plain@example.org", plain_text=True)
        site.add("large@example.org", large_print=True)
        site.add("usual@example.org")
        site.add("short@example.org", interests=("gut", "vision"), max_teasers=1)
        site.add("fewer@example.org", interests=("gut", "vision"), fewer=("gut",))
        site.add("away@example.org", status=Status.PAUSED, paused_until=date(2026, 6, 15), catch_up=True)
        back = site.add("back@example.org", status=Status.PAUSED, paused_until=date(2026, 5, 1))
        with open_workspace(folder, date(2026, 5, 1)) as workspace, workspace.store.alone():
            jobs.run(workspace, "monthly")
        sent = outbox(folder)
        assert set(sent) == {f"{name}@example.org" for name in ("plain", "large", "usual", "short", "fewer", "back")}
        assert site.reader(back.email).status is Status.ACTIVE
        plain = sent["plain@example.org"]
        assert plain.get_content_type() == "text/plain" and "Piece four" in plain.get_content()
        usual, large = (sent[f"{name}@example.org"].get_body(("html",)).get_content() for name in ("usual", "large"))
        sizes = [{int(px) for px in re.findall(r"font-size: ?(\d+)px", html)} - {0, 1} for html in (usual, large)]
        assert min(sizes[1]) >= 21 and max(sizes[1]) >= 42 and min(sizes[0]) >= 16

        def count(name):
            return len(re.findall(r"<h3", sent[f"{name}@example.org"].get_body(("html",)).get_content()))

        assert (count("usual"), count("short"), count("fewer")) == (3, 1, 2)
        # A teaser's own link leads to the page for its subject; only the button there does something.
        path = next(one for one in links_of(sent["usual@example.org"]) if "/monthly-2026-05-01/" in one)
        assert "Fewer about Gut and diet" in site.get(path).text and not site.reader("usual@example.org").fewer
        assert site.post(path, {"interest": "gut", "do": "less"}).status == 200
        assert site.reader("usual@example.org").fewer == ("gut",)
        site.post(path, {"interest": "gut", "do": "all"})
        assert not site.reader("usual@example.org").fewer
        assert site.get(path[:-1] + "999").status == 404
        # The pause ends: what was missed is listed in a mail of its own.
        with site.open() as workspace:
            with workspace.store.write() as tx:
                tx.exec_driver_sql("UPDATE subscriber SET paused_at = '2026-04-20 00:00:00' WHERE status = 'paused'")
            readers.end_pauses(workspace, date(2026, 6, 15))
        assert site.post("/links", {"email": "usual@example.org", "stamp": site.stamp()}).status == 303
        site.settled()
        missed = next(mail for mail in site.mails(2) if "away@" in str(mail["To"]))
        text = missed.get_body(("plain",)).get_content()
        assert "While you were away" in text and "Piece four" in text and "Piece two" not in text and "Limits:" in text


def links_of(message):
    from tests.support.site import links

    return links(message)
