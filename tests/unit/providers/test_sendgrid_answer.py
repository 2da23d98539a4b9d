"""What each answer of SendGrid's means: refused only where that is beyond doubt."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from digest.config import DeliverySettings, SendGridSettings
from digest.errors import ConfigError
from digest.providers import make
from digest.providers.sendgrid import Scheduled, SendGrid
from digest.providers.sendgrid_answer import errors_of, read_answer
from digest.providers.sendgrid_http import Answer

NOW = 1_777_622_400.0


def answer(status, *errors, **headers):
    body = json.dumps({"errors": [{"field": field, "message": message, "help": None} for field, message in errors]}).encode()
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body if errors else b"")


def read(status, *errors, readers=3, secrets=(), **headers):
    return read_answer(answer(status, *errors, **headers), readers, secrets, now=NOW)


def test_202_is_accepted_and_names_the_request():
    verdict = read(202, x_message_id="14c5d75ce93.dfd.64b469_-")
    assert (verdict.outcome, verdict.code, verdict.ref, verdict.trouble) == ("accepted", "202", "14c5d75ce93.dfd.64b469_-", False)
    assert read(202).outcome == read(202, x_message_id="<b>\r\n").outcome == "accepted"
    assert read(202, x_message_id="<b>\r\n").ref == ""


@pytest.mark.parametrize("status", [100, 103, 200, 201, 204, 299, 402, 408, 409, 418, 425, 451, 499, 500, 502, 503, 504, 520, 999])
def test_what_is_no_refusal_beyond_doubt_may_have_been_taken(status):
    verdict = read(status)
    assert verdict.outcome == "uncertain" and verdict.trouble and not verdict.split and not verdict.stop


def test_a_server_error_is_not_sent_only_where_the_operator_says_so():
    verdict = read_answer(answer(503), 3, (), not_sent_on_5xx=True)
    assert verdict.outcome == "deferred" and verdict.trouble


def test_200_is_taken_only_in_sandbox_mode():
    assert read_answer(answer(200), 3, (), sandbox=True).code == "200 sandbox"


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refused_batch_is_split_and_a_refused_parcel_rejected(status):
    refused = read(status, ("personalizations.2.to.0.email", "Does not contain a valid address."))
    assert refused.split and not refused.stop and refused.outcome == "deferred"
    alone = read(status, ("personalizations.0.to.0.email", "Does not contain a valid address."), readers=1)
    assert alone.outcome == "rejected" and not alone.split and alone.code == str(status)


def test_a_refusal_of_what_all_share_is_not_searched_for_among_readers():
    ours = read(400, ("from.email", "Does not contain a valid address."))
    assert ours.stop and not ours.split and "from.email" in ours.stop
    edition = read(400, ("content.0.value", "The content value must be a string at least one character in length."))
    assert edition.outcome == "rejected" and not edition.split and not edition.stop
    both = read(400, ("content.0.value", "x"), ("personalizations.1.to", "y"))
    assert both.split


def test_a_reason_holds_no_address_name_or_link():
    message = "first duplicate instance of [Ana.Secret@example.org] in x, see https://x.example/u/token for Ana Secret (Secretary)"
    verdict = read(400, ("personalizations.0", message), readers=1, secrets=("Ana Secret", "ana.secret@example.org"))
    assert "duplicate instance" in verdict.reason and "Secretary" in verdict.reason
    assert not any(word in verdict.reason for word in ("Ana", "@", "https", "token"))


def test_a_refused_key_stops_and_says_which():
    assert "SENDGRID_API_KEY" in read(401, (None, "authorization required")).stop
    forbidden = read(403, ("from", "The from address does not match a verified Sender Identity."))
    assert "SENDGRID_API_KEY" in forbidden.stop and "verified sender" in forbidden.stop and "Sender Identity" in forbidden.stop
    assert forbidden.outcome == "deferred"


@pytest.mark.parametrize("status", [301, 302, 307, 308, 404, 405, 406, 411, 414, 415, 431])
def test_what_is_not_sendgrid_stops(status):
    assert "base_url" in read(status).stop and read(status).outcome == "deferred"


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, 60),
        ({"x_ratelimit_reset": str(int(NOW) + 7)}, 7),
        ({"x_ratelimit_reset": str(int(NOW) - 1)}, 60),
        ({"x_ratelimit_reset": str(int(NOW) + 90_000)}, 60),
        ({"x_ratelimit_reset": "soon"}, 60),
        ({"x_ratelimit_reset": "9" * 5000}, 60),
        ({"x_ratelimit_reset": "1000000030", "date": "Sun, 09 Sep 2001 01:46:40 GMT"}, 30),
        ({"x_ratelimit_reset": str(int(NOW) + 7), "date": "nonsense"}, 7),
    ],
)
def test_429_waits_until_the_reset(headers, wait):
    verdict = read(429, **headers)
    assert (verdict.outcome, verdict.retry_after_s, verdict.trouble) == ("deferred", wait, False)


@given(
    st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.text() | st.integers(),
            lambda x: st.lists(x) | st.dictionaries(st.sampled_from(["errors", "field", "message"]), x),
        ).map(lambda x: json.dumps(x).encode()),
    ),
    st.integers(100, 999),
)
def test_no_body_breaks_the_reading(body, status):
    assert read_answer(Answer(status, {}, body), 2, ("Ana",)).outcome in ("accepted", "rejected", "deferred", "uncertain")
    assert all(isinstance(field, str) and isinstance(message, str) for field, message in errors_of(body))


def test_a_body_nested_without_end_is_no_reason_given():
    assert errors_of(b"[" * 100_000) == []


def test_ref_of_a_send_that_can_be_cancelled():
    assert Scheduled.of(str(Scheduled("b1", 17, "x-1"))) == Scheduled("b1", 17, "x-1")
    assert Scheduled.of("b1@17") == Scheduled("b1", 17) and Scheduled.of("14c5d75ce93") is None


@pytest.mark.parametrize("key", [None, SecretStr(""), SecretStr("SG.a b"), SecretStr("SG.a\n")])
def test_no_key_is_an_error_of_configuration(key, monkeypatch):
    monkeypatch.setenv("SENDGRID_API_KEY", "SG.from-the-environment")
    with pytest.raises(ConfigError, match="SENDGRID_API_KEY"):
        SendGrid(SendGridSettings(), key)


def test_the_key_never_crosses_a_network_in_the_open():
    with pytest.raises(ConfigError, match="https"):
        SendGrid(SendGridSettings(base_url="http://api.sendgrid.com"), SecretStr("SG.x"))


@pytest.mark.parametrize("field", ["template_id", "content", "subject", "content.0.value"])
def test_what_a_template_is_to_blame_for_costs_no_reader_the_mail(field):
    body = f'{{"errors": [{{"message": "no", "field": "{field}"}}]}}'.encode()
    verdict = read_answer(Answer(400, {}, body), 3, [], templated=True)
    assert (verdict.outcome, verdict.split) == ("deferred", False) and "template" in verdict.stop


def test_a_send_that_can_still_be_cancelled_outlives_the_template_and_is_refused():
    given = {"provider": "sendgrid", "uncertain": "cancel_resend", "sendgrid": {"mode": "template"}}
    with pytest.raises(ConfigError, match="mode: grouped"):
        make(SimpleNamespace(delivery=DeliverySettings.model_validate(given)), Path("."))
