"""What the provider settles without a call, and what it makes of batch_ids it does not get."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from pydantic import SecretStr

from digest.config import SendGridSettings
from digest.errors import DeliveryDeferred
from digest.providers import Provider, sendgrid_body
from digest.providers.sendgrid import SendGrid
from digest.providers.sendgrid_http import Answer
from tests.support.sendgrid_parcels import EDITION, make_parcel


class Scripted:
    """Answers in turn, and what was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers, self.asked = list(answers), []

    def call(self, method, path, body=None):
        self.asked.append((method, path, body))
        return self.answers.pop(0)


def make(*answers: Answer, **options) -> SendGrid:
    provider = SendGrid(SendGridSettings(), SecretStr("SG.x"), **options)
    provider._line = Scripted(*answers)
    return provider


def test_it_has_the_shape_of_a_provider():
    provider: Provider = make()
    assert (provider.name, provider.batch, provider.lanes) == ("sendgrid", 200, 4)


def test_a_request_that_would_be_too_large_is_split_without_a_call(monkeypatch):
    monkeypatch.setattr(sendgrid_body, "MAX_REQUEST_BYTES", 3000)
    handover = make().hand_over("i", "a1", [make_parcel(0), make_parcel(1)])
    assert handover.split and {receipt.outcome for receipt in handover.receipts} == {"deferred"}
    monkeypatch.setattr(sendgrid_body, "MAX_REQUEST_BYTES", 30)
    alone = make().hand_over("i", "a1", [make_parcel()])
    assert not alone.split and alone.receipts[0].outcome == "rejected" and "larger" in alone.receipts[0].reason


def test_what_no_email_of_an_edition_can_have_stops_without_a_call():
    handover = make().hand_over("i", "a1", [make_parcel(edition=replace(EDITION, subject=""))] * 2)
    assert "subject" in handover.stop and [receipt.outcome for receipt in handover.receipts] == ["deferred"] * 2


def test_nobody_left_to_send_to_is_no_call():
    handover = make().hand_over("i", "a1", [make_parcel(email="nobody")])
    assert [receipt.outcome for receipt in handover.receipts] == ["rejected"] and not handover.stop


def test_what_was_set_aside_is_answered_for_beside_the_rest():
    provider = make(Answer(202, {"x-message-id": "m1"}))
    handover = provider.hand_over("i", "a1", [make_parcel(0, email="nobody"), make_parcel(1), make_parcel(2, email="reader1@example.org")])
    assert {receipt.did[-1]: receipt.outcome for receipt in handover.receipts} == {"0": "rejected", "1": "accepted", "2": "deferred"}
    ((method, path, body),) = provider._line.asked
    assert (method, path) == ("post", "mail/send") and len(json.loads(body)["personalizations"]) == 1


def test_alone_after_others_were_set_aside_it_is_the_culprit():
    provider = make(Answer(400, {}, b'{"errors": [{"message": "no", "field": null}]}'))
    handover = provider.hand_over("i", "a1", [make_parcel(0, email="nobody"), make_parcel(1)])
    assert not handover.split and [receipt.outcome for receipt in handover.receipts] == ["rejected", "rejected"]


@pytest.mark.parametrize(
    "answer", [Answer(503), Answer(201, {}, b"[]"), Answer(201, {}, b'{"batch_id": "a b"}'), Answer(200, {}, b'{"batch_id": "a"}')]
)
def test_no_batch_id_is_not_sent(answer):
    with pytest.raises(DeliveryDeferred):
        make(answer).create_batch()
    handover = make(answer, cancel=True).hand_over("i", "a1", [make_parcel()])
    assert handover.trouble and handover.receipts[0].outcome == "deferred"


@pytest.mark.parametrize("listed", [Answer(404), Answer(200, {}, b"{}"), Answer(200, {}, b'[{"batch_id": "b1", "status": "pause"}]')])
def test_a_cancellation_refused_is_believed_only_where_the_list_has_it(listed):
    assert not make(Answer(400), listed).void("b1", 10**11)
    cancelled = b'[{"batch_id": "b1", "status": "cancel"}]'
    assert make(Answer(400), Answer(200, {"date": "Sun, 22 Nov 2026 12:00:00 GMT"}, cancelled)).void("b1", 10**11)
    assert not make(Answer(400), Answer(200, {}, cancelled)).void("b1", 10**11)  # it does not say when
    assert not make(Answer(500)).void("b1", 10**11)
