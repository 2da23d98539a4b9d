"""Join, by the page and by the API: what is taken in, what is mailed, and what nobody can find out."""

import json
import re
from datetime import date

import pytest

from digest import gather, jobs, join, readers
from digest.errors import StoreError
from digest.events import Suppression
from digest.model import Status
from digest.store import now, suppressions
from digest.workspace import open_workspace
from tests.support.site import link, links, make_site_folder, serving

GOOD = {"email": "new@example.org", "interest": ["gut"], "cadence": "monthly", "lang": "en"}


def applied(site, **fields):
    return site.post("/subscribe", {**GOOD, "stamp": site.stamp(), **fields})


def test_somebody_joins_confirms_and_has_what_they_chose(site):
    answer = applied(site, email="Nora@Example.org", name="Nora", interest=["diet", "vision"], audience=["patients"], cadence="weekly")
    assert (answer.status, answer.headers["location"]) == (303, "/subscribe/sent?lang=en")
    site.settled()
    assert not site.knows("nora@example.org")  # nothing before the button
    mail = site.mails()[-1]
    assert mail["To"].addresses[0].addr_spec == "Nora@example.org"
    path = link(mail, "/c/")
    for method in ("GET", "HEAD", "GET"):
        assert site.ask(method, path).status == 200
    assert not site.knows("nora@example.org")
    done = site.post(path)
    assert done.status == 200 and "/p/" in done.text
    reader = site.reader("nora@example.org")
    assert (reader.status, reader.interests, reader.cadence, reader.name) == (Status.ACTIVE, ("diet", "vision"), "weekly", "Nora")
    with site.open() as workspace:
        found = readers.data_of_address(workspace, "nora@example.org")
    record = next(line for line in found["consent"] if line["kind"] == "confirmed")
    assert record["text"].startswith("I agree that Test Letter sends me emails")
    assert record["detail"]["choices"]["interests"] == ["diet", "vision"]
    assert record["detail"]["network"] == "127.0.0.0/24"
    # The link does not burn, and does not do it again.
    assert site.post(site_leave(site, reader)).status == 200
    assert "confirmed already" in site.post(path).text
    assert site.reader("nora@example.org").status is Status.UNSUBSCRIBED


def site_leave(site, reader):
    with site.open() as workspace:
        readers.leave(workspace, reader.id, "test")
    return f"/u/{site.token('unsubscribe', reader.id)}"


def test_the_confirmation_mail_is_fit_for_everybody(site):
    applied(site, email="fit@example.org")
    site.settled()
    mail = site.mails()[-1]
    html, text = mail.get_body(("html",)).get_content(), mail.get_body(("plain",)).get_content()
    assert "Do you want this newsletter?" in html and "Do you want this newsletter?" in text
    assert link(mail, "/c/") in text and link(mail, "/n/") in text
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert link(mail, "/n/") in mail["List-Unsubscribe"]
    assert "Gut" not in html + text  # no subject stands in it
    assert '<html lang="en"' in html and "@@" not in html + text


def test_never_again_is_kept_by_hash_alone_and_asked_for_no_more(site):
    applied(site, email="victim@example.org")
    site.settled()
    path = link(site.mails()[-1], "/n/")
    assert site.get(path).status == 200
    before = len(site.mails())
    assert site.ask("POST", path, b"List-Unsubscribe=One-Click").body == b"done"
    applied(site, email="victim@example.org")
    site.settled()
    assert len(site.mails()) == before
    with site.open() as workspace, workspace.store.read() as tx:
        assert suppressions.find(tx, workspace.store.vault.index("victim@example.org")).reason == "request"


def test_one_address_is_mailed_once_a_day_however_often_it_is_typed(site):
    before = len(site.mails(0))
    for n in range(12):
        applied(site, email="Bombed@example.org" if n % 2 else "bombed@EXAMPLE.org")
    site.settled()
    assert len(site.mails()) == before + 1


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"email": ""}, "email", "Enter your email address"),
        ({"email": "no address"}, "email", "not an email address"),
        ({"interest": []}, "interest", "at least one subject"),
        ({"interest": ["nothing-of-ours"]}, "interest", "at least one subject"),
        ({"cadence": "hourly"}, "cadence", "how often"),
        ({"name": "N" * 250}, "name", "too long"),
    ],
)
def test_a_mistake_is_told_beside_its_field_and_nothing_typed_is_lost(site, fields, field, words):
    answer = applied(site, **{"name": "Nora & <Co>", **fields})
    assert answer.status == 422
    assert re.search(rf'id="error-{field}">.*{words}', answer.text)
    assert f'aria-describedby="error-{field}' in answer.text
    if "email" not in fields:
        assert 'value="new@example.org"' in answer.text
    if field != "name":
        assert "Nora &amp; &lt;Co&gt;" in answer.text
    if "interest" not in fields:
        assert re.search(r'value="gut" checked', answer.text)


@pytest.mark.parametrize("stamp", ["", "nonsense", "fresh", "old", "foreign"])
def test_a_form_that_is_too_fast_too_old_or_not_ours_is_shown_once_more(site, stamp):
    given = {"fresh": lambda: site.stamp(0), "old": lambda: site.stamp(90_000), "foreign": lambda: site.token("preferences", "00" * 16)}
    answer = applied(site, email="stamped@example.org", stamp=given.get(stamp, lambda: stamp)())
    assert answer.status == 422 and "once more" in answer.text and 'value="stamped@example.org"' in answer.text
    site.settled()
    assert not [mail for mail in site.mails(0) if "stamped" in mail["To"]]


def test_what_fills_in_the_field_for_machines_is_answered_like_anybody_and_forgotten(site):
    answer = applied(site, email="machine@example.org", website="https://spam.example")
    assert answer.status == 303
    site.settled()
    assert not [mail for mail in site.mails(0) if "machine" in mail["To"]]


def test_nobody_learns_who_is_on_the_list(site):
    """The oracle: equal status, headers and bytes for unknown, active, paused, left, suppressed and erased addresses."""
    states = {"unknown": None, "active": Status.ACTIVE, "paused": Status.PAUSED, "left": Status.UNSUBSCRIBED, "erased": None}
    for name, status in states.items():
        if status is not None:
            site.add(f"{name}@oracle.example.org", status=status)
    erased = site.add("erased@oracle.example.org")
    with site.open() as workspace:
        readers.erase(workspace, erased.id)
        with workspace.store.write() as tx:
            suppressions.put(tx, workspace.store.vault.index("suppressed@oracle.example.org"), Suppression("bounce", now(tx), "test"))
    seen = set()
    stamp = site.stamp()
    consent = json.loads(site.get("/api/interests").body)["consent_hash"]
    for name in (*states, "suppressed"):
        address = f"{name}@oracle.example.org"
        answers = [
            site.post("/subscribe", {**GOOD, "stamp": stamp, "email": address}),
            site.post("/links", {"email": address, "stamp": stamp}),
            site.ask(
                "POST",
                "/api/subscribe",
                json.dumps({"email": address, "interests": ["gut"], "consent_hash": consent}).encode(),
                Content_Type="application/json",
            ),
        ]
        for answer in answers:
            answer.headers.pop("date")
        seen.add(tuple((answer.status, tuple(sorted(answer.headers.items())), answer.body) for answer in answers))
    assert len(seen) == 1
    assert [status for status, _, _ in seen.pop()] == [303, 303, 202]
    site.settled()
    mailed = [str(mail["To"]) for mail in site.mails() if "oracle" in str(mail["To"])]
    # Only the owner of the address learns more: a confirmation or the links; the suppressed nothing.
    assert sorted(mailed) == sorted(
        [*["Ana <active@oracle.example.org>"] * 2, *["Ana <paused@oracle.example.org>"] * 2]
        + [f"{n}@oracle.example.org" for n in ("erased", "left", "unknown")]
    )


def test_what_was_taken_in_survives_the_process(tmp_path):
    """Acknowledged means durable: another process does the rest."""
    folder = make_site_folder(tmp_path / "w")
    with open_workspace(folder) as workspace:
        join.apply(workspace, join.Application(email="kept@example.org", interests=("gut",), cadence="monthly"))
    with serving(folder) as site:
        assert str(site.mails()[0]["To"]) == "kept@example.org"


def test_an_unconfirmed_request_is_let_go_and_its_link_leads_to_a_new_one(site):
    applied(site, email="late@example.org")
    site.settled()
    path = link(site.mails()[-1], "/c/")
    with site.open() as workspace:
        with workspace.store.write() as tx:
            tx.exec_driver_sql("UPDATE signup SET received_at = '2026-01-01 00:00:00'")
        assert readers.tidy(workspace).unconfirmed >= 1
    answer = site.post(path)
    assert answer.status == 404 and "mail you a new one" in answer.text
    assert not site.knows("late@example.org")


def test_the_preview_is_the_last_issue_by_the_choices_and_changes_nothing(tmp_path):
    folder = make_site_folder(tmp_path / "w")
    with open_workspace(folder, date(2026, 5, 1)) as workspace:
        gather.gather(workspace)
    with serving(folder) as site:
        assert "had nothing for these choices" in site.post("/preview", {"interest": "gut", "cadence": "monthly"}).text
        site.add()  # nothing has been sent yet; from here on the last issue is the one of May
        with open_workspace(folder, date(2026, 5, 1)) as workspace, workspace.store.alone():
            jobs.run(workspace, "monthly")
        asked = site.post("/preview", {"interest": ["gut"], "cadence": "monthly", "lang": "en"})
        assert "Piece one" in asked.text and "Piece two" not in asked.text and "ana@" not in asked.text
        both = site.post("/preview", {"interest": ["vision", "gut"], "cadence": "monthly", "lang": "en"})
        assert re.findall(r"<h3[^>]*>([^<]+)", both.text) == ["Piece two", "Piece one"]
    assert asked.status == 200 and "sandbox" in asked.headers["content-security-policy"]


def test_before_anything_is_chosen_the_frame_says_what_to_do(site):
    assert site.get("/preview").headers["content-security-policy"].endswith("frame-ancestors 'self'")
    assert "at least one subject" in site.post("/preview", {}).text


def test_the_api_says_what_can_be_chosen_and_takes_an_application(site):
    found = json.loads(site.get("/api/interests?lang=en").body)
    assert [one["id"] for one in found["interests"]] == ["gut", "diet", "vision"]
    body = {"email": "api@example.org", "interests": ["vision"], "consent_hash": found["consent_hash"]}

    def send(**more):
        return site.ask(
            "POST",
            "/api/subscribe",
            json.dumps({**body, **more}).encode(),
            Content_Type="application/json",
            Origin="https://www.example.org",
        )

    assert send().status == 202 and send().headers["access-control-allow-origin"] == "https://www.example.org"
    for wrong in ({"email": "x"}, {"interests": []}, {"interests": ["none"]}, {"consent_hash": "0"}, {"cadence": "hourly"}, {"secret": 1}):
        answer = send(**wrong)
        assert answer.status == 422 and b"api@example.org" not in answer.body
    site.settled()
    assert link(site.mails()[-1], "/c/")
    assert "/api/subscribe" in json.loads(site.get("/api/openapi.json").body)["paths"]


def test_only_named_origins_may_ask_the_api_from_a_browser_or_frame_the_form(site):
    assert site.ask("OPTIONS", "/api/subscribe", Origin="https://www.example.org").status == 204
    assert site.ask("OPTIONS", "/api/subscribe", Origin="https://evil.example").status == 403
    assert "access-control-allow-origin" not in site.get("/api/interests", Origin="https://evil.example").headers
    assert "access-control-allow-origin" not in site.get("/", Origin="https://www.example.org").headers
    assert site.get("/embed").headers["content-security-policy"].endswith("frame-ancestors https://www.example.org")
    assert site.get("/").headers["content-security-policy"].endswith("frame-ancestors 'none'")


def test_a_plain_form_of_another_site_leads_to_the_page_with_what_was_typed(site):
    answer = site.post("/subscribe", {"email": "typed@example.org", "interest": "vision"})
    assert answer.status == 422 and 'value="typed@example.org"' in answer.text and 'value="vision" checked' in answer.text


def test_a_broken_interest_file_is_told_as_a_moment_s_trouble(tmp_path):
    folder = make_site_folder(tmp_path / "w")
    with serving(folder) as site:
        (folder / "subscribers" / "interests.yaml").write_text("- nonsense", encoding="utf-8")
        assert site.get("/").status == 503
        assert site.get("/readyz").status == 200


def test_links_of_all_kinds_stand_below_the_newsletter_s_own_address(site):
    applied(site, email="below@example.org")
    site.settled()
    assert all(one.startswith("/") for one in links(site.mails()[-1]))


def test_the_control_that_must_fail(tmp_path):
    """A workspace whose database is away cannot open: the tests above do not pass by themselves."""
    folder = make_site_folder(tmp_path / "w")
    (folder / "var").mkdir()
    (folder / "var" / "digest.db").write_text("no database", encoding="utf-8")
    (folder / "var" / "secret.key").write_text("A" * 43 + "=\n", encoding="ascii")
    with pytest.raises(StoreError), open_workspace(folder):
        pass
