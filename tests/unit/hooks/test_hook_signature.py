"""Signatures, checked by the standard's own library and by a vector that was published for it."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from digest.hooks.signature import headers, new_secret, sign

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_published_vector():
    signed = sign([SECRET], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.text(max_size=200), st.text("abcdef0123456789_", min_size=1))
def test_the_standards_own_library_accepts_what_is_signed_and_nothing_else(text, id):
    secret, body = new_secret(), text.encode()
    sent = headers([secret], id, int(time.time()), body)
    assert Webhook(secret).verify(body, sent, json_parse=False) is None
    for other in ({**sent, "webhook-id": id + "x"}, {**sent, "webhook-timestamp": str(int(time.time()) - 60)}):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, other, json_parse=False)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body + b" ", sent, json_parse=False)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(body, sent, json_parse=False)


def test_while_a_secret_is_replaced_either_checks():
    new, old, body = new_secret(), new_secret(), b"{}"
    sent = headers([new, old], "msg_1", int(time.time()), body)
    assert sent["webhook-signature"].count("v1,") == 2
    assert [Webhook(one).verify(body, sent) for one in (new, old)] == [{}, {}]


def test_secrets_are_drawn_and_as_long_as_the_standard_asks():
    import base64

    made = {new_secret() for _ in range(50)}
    assert len(made) == 50 and all(24 <= len(base64.b64decode(one.removeprefix("whsec_"))) <= 64 for one in made)
