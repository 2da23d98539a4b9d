"""What the SMTP provider says about settings that do not go together, and what it promises the dispatcher."""

import ssl
from dataclasses import replace

import pytest
from pydantic import SecretStr

from digest.compose.parts import Body, Piece, Run
from digest.errors import ConfigError
from digest.providers import Provider
from digest.providers.smtp import Smtp
from digest.providers.smtp_connection import TIMES, xtext
from tests.support.smtp_parcels import SENDER, parcel, settings


def smtp(password=None, sender=SENDER, folder=None, **values):
    return Smtp(
        settings(25, **values), SecretStr(password) if password is not None else None, sender, **({"folder": folder} if folder else {})
    )


def test_the_seam():
    made: Provider = smtp(connections=7, batch=3)
    assert (made.name, made.lanes, made.batch, made.one_edition, made.sends) == ("smtp", 7, 3, False, True)
    assert made.longest_s >= TIMES.before_dot + TIMES.dot >= 600
    assert made.look_up("i", ["a"]) == {} and made.finish("i", "t") is None
    made.close()


@pytest.mark.parametrize("password", [None, ""])
def test_a_user_without_a_password(password):
    with pytest.raises(ConfigError, match="DIGEST_SMTP_PASSWORD"):
        smtp(password, username="ana")


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_file_of_certificates_that_is_none(tmp_path, text):
    if text:
        (tmp_path / "ca.pem").write_text(text)
    with pytest.raises(ConfigError, match="ca_file: ca.pem is not a readable file"):
        smtp(security="tls", ca_file="ca.pem", folder=tmp_path)


def test_tls_is_verified_and_not_old():
    context = smtp(security="starttls")._access.tls
    assert context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname and context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_where_bounces_go():
    def sender(**values):
        return smtp(**values).letter("a", parcel(1)).sender

    assert sender() == "letter@letter.example.org"
    assert sender(envelope_sender="bounce@in.example.org") == "bounce@in.example.org"
    assert sender(verp=True) == f"letter+{1:032x}@letter.example.org"
    assert sender(verp=True, envelope_sender=f"{'b' * 31}@in.example.org").index("@") == 64
    with pytest.raises(ConfigError, match="more than 31 characters"):
        smtp(verp=True, envelope_sender=f"{'b' * 32}@in.example.org")
    with pytest.raises(ConfigError, match="cannot be used with smtp"):
        smtp(sender="Jürgen <jürgen@example.org>")


def test_a_reader_in_a_domain_with_other_letters():
    assert smtp().letter("a", parcel(email="ana@bücher.example")).recipient == "ana@xn--bcher-kva.example"


def test_a_reader_with_other_letters_before_the_at():
    letter = smtp(verp=True).letter("a", parcel(email="anä@example.org"))
    assert letter.utf8 and letter.recipient == "anä@example.org" and letter.sender.isascii()
    assert not smtp().letter("a", parcel(1)).utf8


def test_no_secret_is_shown():
    assert "hunter2" not in repr(smtp("hunter2", username="ana")._access)


@pytest.mark.parametrize(("value", "coded"), [("abc-1", "abc-1"), ("a+b=c", "a+2Bb+3Dc"), ("a b", "a+20b"), ("é", "+C3+A9")])
def test_xtext(value, coded):
    assert xtext(value) == coded


@pytest.mark.parametrize("raw", [b"x\ny\r\n", b"x\ry\r\n", b"\xff\r\n", b"x\n\r\r\n", b"no end", b".\r\n", b"a\r\n.b\r\n"])
@pytest.mark.parametrize("side", ["html", "text"])
def test_a_message_with_a_lone_line_end_or_a_dot_in_front_never_leaves(side, raw):
    good = parcel()
    body, spoilt = getattr(good.edition, side), Piece("x")
    spoilt.__dict__["wire"] = raw  # as if it had been encoded to that
    bad = replace(good, edition=replace(good.edition, **{side: Body([(Run((spoilt, *body.pieces[1:])), None)])}))
    (receipt,) = smtp().hand_over("i", "a", [bad]).receipts  # nobody listens: it is refused before that matters
    assert receipt.outcome == "rejected" and "malformed" in receipt.reason


@pytest.mark.parametrize("name", ["Ana", 'Ana "the" Reader'])  # made by the mould, and at length
def test_nor_does_one_whose_head_is_not_what_it_was(monkeypatch, name):
    monkeypatch.setattr("digest.compose.header.date_field", lambda date: f"Date: {date}\n\r\n")
    good = parcel()
    unseen = good.envelope._replace(date="Sat, 02 May 2026 09:00:00 +0100")  # no field of it is remembered
    (receipt,) = smtp().hand_over("i", "a", [replace(good, envelope=unseen, reader=good.reader._replace(name=name))]).receipts
    assert receipt.outcome == "rejected" and "malformed" in receipt.reason
