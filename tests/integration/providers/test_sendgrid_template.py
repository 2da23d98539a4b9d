"""`mode: template`: what SendGrid would make of template and data is, byte for byte, what we compose ourselves.

The stand-in renders with nothing but what SendGrid's page about Handlebars shows.
"""

from __future__ import annotations

import json
import random
import threading
from dataclasses import replace

import pytest
from pydantic import SecretStr

from digest.compose import compile_issue, html_of, make_edition, text_of
from digest.config import SendGridSettings
from digest.errors import ProviderUnusable, RenderError
from digest.providers import Hosted, Parcel, sendgrid_layout
from digest.providers.sendgrid import SendGrid
from tests.support.compose import INTERESTS, LOOK, NAMES, SLOT, TEMPLATES, envelope, random_selection, reader, summaries
from tests.support.sendgrid_server import Server
from tests.support.sendgrid_stand_in import KEY, StandIn

HOSTED = Hosted("digest-0123")


@pytest.fixture(scope="module")
def compiled():
    return compile_issue(TEMPLATES, LOOK, SLOT, summaries(), INTERESTS)


@pytest.fixture
def stand_in(tmp_path):
    stand_in = StandIn(tmp_path / "journal", stall_s=0.2)
    server = Server(stand_in)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    stand_in.url = server.url
    yield stand_in
    server.shutdown()
    thread.join()
    server.server_close()
    stand_in.close()


def make(stand_in, **settings):
    return SendGrid(SendGridSettings(base_url=stand_in.url, mode="template", batch=1000, **settings), SecretStr(KEY), timeout_s=2)


def parcels_of(compiled, count, seed=1):
    source = random.Random(seed)
    editions = [make_edition(compiled, random_selection(source)) for _ in range(count)]
    return [
        Parcel(f"{n:032x}", edition, reader(NAMES[n % len(NAMES)], f"reader{n}@example.org"), envelope())
        for n, edition in enumerate(editions)
    ]


# --- the same bytes --------------------------------------------------------------------------------------------------------


def test_every_reader_of_one_request_gets_their_own_selection(stand_in, compiled):
    sendgrid = make(stand_in)
    sendgrid.host(compiled, HOSTED, fresh=True)
    parcels = parcels_of(compiled, 60)
    handover = sendgrid.hand_over("monthly-2026-05-01", "a1", parcels)
    assert [receipt.outcome for receipt in handover.receipts] == ["accepted"] * 60, handover
    assert stand_in.calls == 1 and len({parcel.edition.content_hash for parcel in parcels}) > 50
    for parcel, message in zip(parcels, stand_in.messages, strict=True):
        assert (message.email, message.arguments) == (parcel.reader.email, {"did": parcel.did, "aid": "a1"})
        assert message.subject == parcel.edition.subject
        assert message.html == html_of(parcel.edition, parcel.reader)
        assert message.text == text_of(parcel.edition, parcel.reader)
        assert message.headers["List-Unsubscribe"].startswith(f"<{parcel.reader.unsubscribe_url}>")
    (body,) = stand_in.bodies
    assert set(body) == {"from", "reply_to", "template_id", "personalizations", "mail_settings", "tracking_settings"}
    assert not any(setting["enable"] for setting in body["tracking_settings"].values())
    assert len({receipt.sha256 for receipt in handover.receipts}) == 60 and all(receipt.bytes for receipt in handover.receipts)


def test_more_than_a_mebibyte_is_refused_before_any_call(stand_in, compiled, monkeypatch):
    monkeypatch.setattr(sendgrid_layout, "MAX_CONTENT_BYTES", 50_000)
    with pytest.raises(RenderError, match=r"HTML takes [\d,]+ bytes .*mode: grouped"):
        make(stand_in).host(compiled, HOSTED, fresh=True)
    assert stand_in.template_calls == []


# --- making, finding, removing -------------------------------------------------------------------------------------------------


def test_made_once_and_found_again(stand_in, compiled):
    made = make(stand_in).host(compiled, HOSTED, fresh=True)
    assert stand_in.template_calls == ["POST /v3/templates", f"POST /v3/templates/{made.id}/versions"]
    (kept,) = stand_in.templates.kept.values()
    assert kept["name"] == HOSTED.name and kept["generation"] == "dynamic"
    assert kept["versions"][0]["generate_plain_content"] is False
    assert make(stand_in).host(compiled, made, fresh=False) == made
    assert stand_in.templates.made == 1


def test_another_content_makes_another_template(stand_in, compiled):
    first = make(stand_in).host(compiled, HOSTED, fresh=True)
    other = compile_issue(TEMPLATES, replace(LOOK, tagline="Another"), SLOT, summaries(), INTERESTS)
    second = make(stand_in).host(other, first, fresh=False)
    assert list(stand_in.templates.kept) == [second.id] and second.id != first.id


@pytest.mark.parametrize("where", [0, 1])
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("500", "run the same command again"),
        ("503-after", "run the same command again"),
        ("reset-after", "run the same command again"),
        ("429", "asks to wait"),
        ("401", "SENDGRID_API_KEY"),
        ("403", "needs Templates"),
        ("400", "mode: grouped"),
        ("413", "mode: grouped"),
    ],
)
def test_what_goes_wrong_while_it_is_made_leaves_nothing_behind(stand_in, compiled, fault, said, where):
    stand_in.template_script.extend(["", fault][1 - where :])
    with pytest.raises(ProviderUnusable, match=said):
        make(stand_in).host(compiled, HOSTED, fresh=True)
    made = make(stand_in).host(compiled, HOSTED, fresh=False)  # its id was never learnt
    assert list(stand_in.templates.kept) == [made.id]
    assert make(stand_in).unhost(made) and not stand_in.templates.kept


def test_orphans_are_found_on_a_later_page(stand_in, compiled):
    for n in range(5):
        stand_in.templates.answer("POST", "/v3/templates", json.dumps({"name": f"other{n}", "generation": "dynamic"}).encode())
    stand_in.template_script.append("503-after")
    with pytest.raises(ProviderUnusable):
        make(stand_in).host(compiled, HOSTED, fresh=True)
    stand_in.templates.page = 2
    assert make(stand_in).unhost(HOSTED)
    assert [one["name"] for one in stand_in.templates.kept.values()] == [f"other{n}" for n in range(5)]


def test_an_account_that_is_full_says_so(stand_in, compiled):
    stand_in.templates.most = 0
    with pytest.raises(ProviderUnusable, match="limit of templates"):
        make(stand_in).host(compiled, HOSTED, fresh=True)


def test_what_sendgrid_changes_is_not_sent(stand_in, compiled, monkeypatch):
    answer = stand_in.templates.answer

    def tidy(method, path, raw):
        status, body = answer(method, path, raw)
        return status, {**body, "html_content": body["html_content"].replace("\n", "")} if "versions" in path else body

    monkeypatch.setattr(stand_in.templates, "answer", tidy)
    with pytest.raises(ProviderUnusable, match="html_content.*grouped"):
        make(stand_in).host(compiled, HOSTED, fresh=True)
    assert not stand_in.templates.kept


def test_one_that_cannot_be_removed_now_is_told(stand_in, compiled):
    made = make(stand_in).host(compiled, HOSTED, fresh=True)
    stand_in.template_script.extend(["", "503"])
    assert not make(stand_in).unhost(made) and stand_in.templates.kept
    assert make(stand_in).unhost(made) and not stand_in.templates.kept


# --- handing over ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def hosting(stand_in, compiled):
    sendgrid = make(stand_in)
    sendgrid.made = sendgrid.host(compiled, HOSTED, fresh=True)
    return sendgrid


def test_a_bad_address_is_halved_out(stand_in, compiled, hosting):
    stand_in.bad = frozenset({"reader2@example.org"})
    parcels = parcels_of(compiled, 4)
    assert hosting.hand_over("i", "a1", parcels).split
    assert [one.outcome for one in hosting.hand_over("i", "a1", parcels[:2]).receipts] == ["accepted"] * 2
    assert [one.outcome for one in hosting.hand_over("i", "a1", parcels[2:3]).receipts] == ["rejected"]


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("said", ["template_id", "nothing"])
def test_a_template_that_vanished_costs_nobody_the_mail(stand_in, compiled, hosting, said, count):
    stand_in.templates.kept.clear()
    if said == "nothing":
        stand_in.script.append("400-nonsense")
    handover = hosting.hand_over("i", "a1", parcels_of(compiled, count))
    assert {one.outcome for one in handover.receipts} == {"deferred"} and not handover.split
    assert "run the same command again" in handover.stop
    again = make(stand_in)
    assert again.host(compiled, hosting.made, fresh=False).id != hosting.made.id
    assert [one.outcome for one in again.hand_over("i", "a2", parcels_of(compiled, count)).receipts] == ["accepted"] * count


@pytest.mark.parametrize("fault", ["503-after", "reset-after", "eof-before"])
def test_an_answer_that_is_lost_is_uncertain(stand_in, compiled, hosting, fault):
    stand_in.script.append(fault)
    assert {one.outcome for one in hosting.hand_over("i", "a1", parcels_of(compiled, 3)).receipts} == {"uncertain"}


def in_groups(sendgrid, parcels):
    """As the dispatcher does: what goes together goes in one call."""
    groups = {}
    for parcel in parcels:
        groups.setdefault(sendgrid.together(parcel.edition), []).append(parcel)
    return [receipt for n, group in enumerate(groups.values()) for receipt in sendgrid.hand_over("i", f"a{n}", group).receipts]


def test_who_chose_plain_text_large_print_or_another_language_gets_that(stand_in, hosting):
    spoken = compile_issue(TEMPLATES, LOOK, SLOT, summaries(), INTERESTS, ("de",))
    source = random.Random(5)
    chosen = [{}, {"form": "large"}, {}, {"form": "plain"}, {"language": "de"}, {"form": "large"}, {}, {"language": "de", "form": "plain"}]
    editions = [make_edition(spoken, random_selection(source).model_copy(update=how)) for how in [*chosen, {}, {}]]
    parcels = [Parcel(f"{n:x}", edition, reader("Ana", f"r{n}@example.org"), envelope()) for n, edition in enumerate(editions)]
    assert {one.outcome for one in in_groups(hosting, parcels)} == {"accepted"}
    got = {message.email: message for message in stand_in.messages}
    for parcel in parcels:
        message = got[parcel.reader.email]
        assert message.subject == parcel.edition.subject and message.text == text_of(parcel.edition, parcel.reader)
        assert message.html == ("" if parcel.edition.plain_text else html_of(parcel.edition, parcel.reader))
    assert sum("template_id" in body for body in stand_in.bodies) < len(parcels) - 5


@pytest.mark.parametrize("first", ["", "large"])
def test_what_does_not_go_together_is_put_off(stand_in, compiled, hosting, first):
    source = random.Random(7)
    forms = [first, "large", "", first]
    editions = [make_edition(compiled, random_selection(source).model_copy(update={"form": form})) for form in forms[:3]]
    parcels = [
        Parcel(f"{n:x}", edition, reader("Ana", f"r{n}@example.org"), envelope()) for n, edition in enumerate([*editions, editions[0]])
    ]
    said = {one.did: one.outcome for one in hosting.hand_over("i", "a1", parcels).receipts}
    alike = {parcel.did for parcel in parcels if hosting.together(parcel.edition) == hosting.together(parcels[0].edition)}
    assert {did for did, outcome in said.items() if outcome == "accepted"} == alike and len(alike) in (2, 3)
    assert {said[did] for did in said.keys() - alike} == {"deferred"}


def test_a_refusal_of_one_that_goes_without_the_template_is_read_as_such(stand_in, compiled, hosting):
    edition = make_edition(compiled, random_selection(random.Random(6)).model_copy(update={"form": "large"}))
    stand_in.bad = frozenset({"ana@example.org"})
    stand_in.templates.kept.clear()  # not what is wrong with it
    (receipt,) = hosting.hand_over("i", "a1", [Parcel("1", edition, reader(), envelope())]).receipts
    assert receipt.outcome == "rejected"


def test_a_single_test_message_needs_no_template(stand_in, compiled):
    (parcel,) = parcels_of(compiled, 1)
    assert make(stand_in).hand_over("test-i", "a", [parcel]).receipts[0].outcome == "accepted"
    assert stand_in.template_calls == [] and stand_in.messages[0].html == html_of(parcel.edition, parcel.reader)
