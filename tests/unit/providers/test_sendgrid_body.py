"""Request bodies: within every limit, nothing of a person but To, each reader's message exact."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from digest.compose import html_of, text_of
from digest.errors import DigestError
from digest.providers import sendgrid_body
from digest.providers.sendgrid_body import build
from tests.support import sendgrid_rules
from tests.support.sendgrid_parcels import EDITION, elsewhere, make_edition, make_parcel

AID = "f" * 32
NASTY = st.text(
    st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from('=?\r\n\x85\u2028<>"@\\,;:-dgh0🧑\u200d')),
    max_size=120,
)


def tag_of(body, slot_value):
    return next(tag for tag, value in body["personalizations"][0]["substitutions"].items() if value == slot_value)


@given(st.lists(NASTY, min_size=1, max_size=5), NASTY)
@example(["=?utf-8?q?a=0ABcc=3A_x=40y.z?="], "=?utf-8?q?a=0AReply-To=3A_evil=40x.test?=")
@example(["Doe, Jane; PhD", "", "<%asm_group_unsubscribe_url%>", "-name-", "👩\u200d🔬" * 300], "{{name}} [unsubscribe] %name%")
def test_any_name_and_title_is_within_the_rules_and_comes_out_exact(names, title):
    edition = make_edition(subject=f"News {title}", title=title.replace("\ud800", ""))
    parcels = [make_parcel(n, edition=edition, name=name) for n, name in enumerate(names)]
    request = build(AID, parcels)
    assert [one.parcel for one in request.going] == parcels and not request.aside
    assert sendgrid_rules.refusals(request.body) == []
    for parcel, one, rendered in zip(parcels, request.going, sendgrid_rules.render(request.body), strict=True):
        assert rendered.html == html_of(edition, parcel.reader)
        assert rendered.text == text_of(edition, parcel.reader)
        assert one.bytes >= len(rendered.html.encode()) + len(rendered.text.encode())
        assert rendered.arguments == {"did": parcel.did, "aid": AID}
    assert request.bytes == len(request.text().encode())


@pytest.mark.skipif(sendgrid_rules.schema_validator() is None, reason="no ../shared/sendgrid-openapi or no jsonschema here")
@given(NASTY)
def test_a_body_is_as_the_providers_own_description_has_it(name):
    assert sendgrid_rules.schema_errors(build(AID, [make_parcel(name=name), make_parcel(1, mailto=False)]).body) == []


def test_a_name_or_title_that_holds_a_tag_only_makes_the_tags_others():
    plain = build(AID, [make_parcel()]).body
    tag = tag_of(plain, "Hello Ana,")
    parcel = make_parcel(name=tag.upper())
    request = build(AID, [parcel])
    assert tag not in request.body["personalizations"][0]["substitutions"]
    (rendered,) = sendgrid_rules.render(request.body)
    assert (rendered.html, rendered.text) == (html_of(EDITION, parcel.reader), text_of(EDITION, parcel.reader))


def test_html_and_text_have_tags_of_their_own_and_only_html_is_escaped():
    given = build(AID, [make_parcel(name="<b>")]).body["personalizations"][0]["substitutions"]
    assert sorted(value for value in given.values() if "Hello" in value) == ["Hello &lt;b&gt;,", "Hello <b>,"]
    assert len(given) == 8 and len({len(tag) for tag in given}) == 1


def test_nothing_of_a_person_or_an_issue_is_in_what_is_kept_for_good():
    body = build(AID, [make_parcel(n, name=f"Reader {n}") for n in range(3)]).body
    assert not body.keys() & {"categories", "asm", "custom_args", "headers", "template_id", "ip_pool_name", "batch_id", "send_at"}
    for n, person in enumerate(body["personalizations"]):
        assert person.keys() == {"to", "headers", "substitutions", "custom_args"}
        assert person["custom_args"] == {"did": f"{n:032x}", "aid": AID}
        assert not {"Reader", f"reader{n}@", "@example.org"} & set(json.dumps(person["headers"]).split())
        assert f"reader{n}" not in json.dumps(person["headers"])


def test_the_header_fields_are_those_of_the_other_providers():
    headers = build(AID, [make_parcel(5)]).body["personalizations"][0]["headers"]
    assert headers["List-Unsubscribe"] == (
        f"<https://letter.example.org/u/{'a' * 40}5?a=1&b=2>, <mailto:leave@letter.example.org?subject=5>"
    )
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert headers["Message-ID"] == f"<{5:032x}@letter.example.org>"
    assert headers["List-Id"].endswith("<monthly.letter.example.org>") and headers["List-Id"].isascii()
    assert headers["Precedence"] == "bulk" and headers["Auto-Submitted"] == "auto-generated"
    assert headers["X-Auto-Response-Suppress"] == "OOF, AutoReply" and headers["Feedback-ID"] == "a1:m:news:digest"
    assert "Date" not in headers


def test_everything_that_watches_or_adds_is_off():
    body = build(AID, [make_parcel()]).body
    assert {name: setting["enable"] for name, setting in body["tracking_settings"].items()} == dict.fromkeys(
        ("click_tracking", "open_tracking", "subscription_tracking", "ganalytics"), False
    )
    assert body["tracking_settings"]["click_tracking"]["enable_text"] is False
    assert body["mail_settings"] == {"sandbox_mode": {"enable": False}, "footer": {"enable": False}}
    assert [part["type"] for part in body["content"]] == ["text/plain", "text/html"]


def test_a_comma_or_semicolon_never_stands_in_a_recipients_name():
    to = build(AID, [make_parcel(name="Doe, Jane; PhD"), make_parcel(1, name=",;")]).body["personalizations"]
    assert to[0]["to"] == [{"email": "reader0@example.org", "name": "Doe Jane PhD"}]
    assert to[1]["to"] == [{"email": "reader1@example.org"}]


def test_what_cannot_be_expressed_is_rejected_alone_and_says_why_without_the_address():
    bad = replace(make_parcel(1), reader=make_parcel(1).reader._replace(unsubscribe_url="http://plain.example/u"))
    parcels = [make_parcel(0), make_parcel(2, email="secret-person"), bad, make_parcel(3), replace(make_parcel(4), did="a b")]
    request = build(AID, parcels)
    assert [one.parcel.did for one in request.going] == [parcels[0].did, parcels[3].did]
    assert {one.did: one.outcome for one in request.aside} == dict.fromkeys((parcels[1].did, bad.did, "a b"), "rejected")
    assert all(one.reason and "secret" not in one.reason and "plain.example" not in one.reason for one in request.aside)


def test_an_address_with_other_letters_before_the_at_is_rejected_alone():
    """SendGrid's documents say nothing of such addresses, and a call is refused whole for one it does not like."""
    request = build(AID, [make_parcel(0), make_parcel(1, email="anä@example.org")])
    (aside,) = request.aside
    assert (aside.outcome, "SMTPUTF8" in aside.reason, "anä" in aside.reason) == ("rejected", True, False) and len(request.going) == 1


def test_the_same_address_twice_goes_in_two_requests():
    request = build(AID, [make_parcel(0, email="Ana@example.org"), make_parcel(1, email="ana@EXAMPLE.org"), make_parcel(2)])
    assert [one.parcel.did for one in request.going] == [f"{n:032x}" for n in (0, 2)]
    assert [(one.did, one.outcome) for one in request.aside] == [(f"{1:032x}", "deferred")]


def test_another_edition_or_sender_goes_in_another_request():
    other = make_parcel(1, edition=make_edition(title="other"))
    same = make_parcel(3, edition=make_edition())
    request = build(AID, [make_parcel(0), other, elsewhere(make_parcel(2), "x@letter.example.org"), same])
    assert [one.parcel.did for one in request.going] == [f"{n:032x}" for n in (0, 3)]
    assert {one.outcome for one in request.aside} == {"deferred"}


def test_a_thousand_readers_and_no_more_in_one_request():
    request = build(AID, [make_parcel(n) for n in range(1001)])
    assert len(request.going) == 1000 and [one.outcome for one in request.aside] == ["deferred"]
    assert sendgrid_rules.refusals(request.body) == []
    assert not request.too_large and request.bytes == len(request.text().encode())


def test_what_is_too_large_is_known_beforehand(monkeypatch):
    monkeypatch.setattr(sendgrid_body, "MAX_REQUEST_BYTES", 5000)
    assert not build(AID, [make_parcel()]).too_large
    assert build(AID, [make_parcel(n) for n in range(9)]).too_large


def test_a_reader_whose_own_values_are_over_the_limit_is_rejected(monkeypatch):
    monkeypatch.setattr(sendgrid_body, "MAX_SUBSTITUTION_BYTES", 700)
    request = build(AID, [make_parcel(0), make_parcel(1, name="🧑\u200d🔬" * 40)])
    assert [one.parcel.did for one in request.going] == [f"{0:032x}"]
    assert [one.outcome for one in request.aside] == ["rejected"]


@pytest.mark.parametrize("change", [{"subject": "\u202e"}, {"newsletter": "x"}])
def test_what_all_share_and_cannot_be_sent_is_an_error_about_all(change):
    parcel = make_parcel(edition=replace(EDITION, **change))
    if "newsletter" in change:
        parcel = replace(parcel, envelope=parcel.envelope._replace(list_id="not a list id"))
    with pytest.raises((DigestError, ValueError)):
        build(AID, [parcel])


def test_it_is_written_without_blanks_and_in_utf_8_and_says_the_same():
    request = build(AID, [make_parcel(name="Bjørn 🧑\u200d🔬"), make_parcel(1)])
    text = request.text(batch_id="b1", send_at=1)
    compact = json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
    assert text == compact and "Bjørn 🧑\u200d🔬" in text and "\\u" not in text
    assert json.loads(text) == request.body | {"batch_id": "b1", "send_at": 1}
    assert [one.to for one in request.going] == [person["to"][0] for person in request.body["personalizations"]]


def test_half_a_character_stops_before_anything_leaves():
    with pytest.raises(ValueError, match="surrogates"):
        build(AID, [make_parcel(edition=make_edition(title="\ud800"))])


def test_handing_over_again_gives_the_same_fingerprint():
    first, again = build(AID, [make_parcel(), make_parcel(1)]), build("e" * 32, [make_parcel(1), make_parcel()])
    assert [one.sha256 for one in first.going] == [one.sha256 for one in reversed(again.going)]
    assert first.going[0].sha256 != first.going[1].sha256
