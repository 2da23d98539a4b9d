"""Bounce messages are understood whoever wrote them, and hostile ones cost little."""

import base64
import time
import tracemalloc
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.bounces import READ_BYTES, parse
from tests.support import bounce_corpus as corpus
from tests.support.bounce_corpus import AID, DID, make
from tests.support.make import at

EXCHANGE = make(corpus.EXCHANGE, report=base64.b64encode(corpus.EXCHANGE_REPORT.encode()).decode())

KNOWN = {
    "postfix": (make(corpus.POSTFIX), ("bounce", DID, AID, "hard", "5.1.1")),
    "exim": (make(corpus.EXIM), ("bounce", DID, "", "hard", "5.2.1")),
    "qmail": (make(corpus.QMAIL), ("bounce", DID, "", "hard", "5.1.1")),
    "exchange": (EXCHANGE, ("bounce", DID, "", "hard", "5.1.10")),
    "gmail": (make(corpus.GMAIL), ("bounce", DID, "", "soft", "5.2.2")),
    "sendgrid relay": (make(corpus.SENDGRID_RELAY), ("bounce", DID, "", "blocked", "5.7.1")),
    "old exim": (make(corpus.OLD_EXIM), ("bounce", DID, "", "soft", "4.2.2")),
    "delayed": (make(corpus.DELAYED), ("deferred", DID, AID, "", "4.4.1")),
    "delivered": (make(corpus.DELIVERED), ("delivered", DID, AID, "", "2.0.0")),
    "expired at the relay": (make(corpus.EXPIRED_AT_RELAY), ("bounce", DID, AID, "soft", "4.4.1")),
    "envelope id only": (make(corpus.ONLY_ENVELOPE_ID), ("bounce", "", AID, "hard", "5.1.1")),
    "nobody's": (make(corpus.NOBODYS), ("bounce", "", "", "hard", "5.1.1")),
    "complaint": (make(corpus.ARF), ("complaint", DID, "", "", "")),
}
OTHERS = ("OUT_OF_OFFICE", "VACATION_WITHOUT_A_WORD", "A_LETTER", "READ_RECEIPT", "NOT_SPAM")


@pytest.mark.parametrize("name", KNOWN)
def test_a_bounce_is_understood(name):
    raw, meant = KNOWN[name]
    assert parse(raw)[:5] == meant
    assert parse(raw.replace(b"\r\n", b"\n"))[:5] == meant  # as a pipe or an mbox has it
    assert parse(b"From MAILER-DAEMON Fri May  1 09:00:00 2026\n" + raw)[:5] == meant


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_bounce_is_left_alone(name):
    assert parse(make(getattr(corpus, name))) is None


def test_the_date_is_the_messages_own():
    assert parse(make(corpus.GMAIL)).at == at("2026-05-01T09:04")
    for date in ("", "yesterday", "Fri, 99 May 2026 99:00:00 +9999", "Fri, 01 May 99999999999 00:00:00 +0000", "\xff" * 9):
        assert (
            parse(make(corpus.GMAIL.replace("Fri, 01 May 2026 02:04:00 -0700 (PDT)\n    Content", date + "\n    Content"))).kind == "bounce"
        )


def test_the_envelopes_token_counts_before_what_the_text_says():
    other = "9" * 32
    raw = make(corpus.POSTFIX).replace(b"Message-ID: <" + DID.encode(), b"Message-ID: <" + other.encode())
    assert parse(raw).did == DID


def test_an_address_in_the_text_is_nobodys_id():
    raw = make(corpus.QMAIL).replace(b"Message-ID: <" + DID.encode(), b"Message-ID: <reader")
    assert parse(raw) is None


def test_only_what_a_mail_system_says_counts_without_a_report():
    person = make(corpus.QMAIL).replace(b"Return-Path: <>", b"Return-Path: <x@example.org>", 1).replace(b"MAILER-DAEMON@", b"reader@")
    assert parse(person) is None


# --- hostile ones --------------------------------------------------------------------------------------------------------


def nested(depth, leaf=b"Content-Type: message/delivery-status\n\nAction: failed\n"):
    head = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (n, n) for n in range(depth))
    return head + leaf


HOSTILE = {
    "empty": b"",
    "nothing but line ends": b"\n" * 1_000_000,
    "nothing but NULs": b"\0" * 1_000_000,
    "50 MB of one letter": b"x" * 50_000_000,
    "one endless header": b"Subject: " + b"a" * 1_000_000,
    "endless folding": b"Subject: a\n" + b" \n" * 500_000,
    "many headers": b"A: b\n" * 500_000,
    "many boundaries": b'Content-Type: multipart/mixed; boundary="b"\n\n' + b"--b\n\n" * 200_000,
    "deep nesting": nested(20_000),
    "the same boundary inside itself": b'Content-Type: multipart/mixed; boundary="b"\n\n--b\n' * 5000,
    "an empty boundary": b'Content-Type: multipart/report; boundary=""\n\n--\n\nx',
    "boundary of line ends": b'Content-Type: multipart/report; boundary="\n"\n\n--\n\nx',
    "broken base64": b"Content-Type: message/delivery-status\nContent-Transfer-Encoding: base64\n\nA",
    "base64 of everything": b"Content-Type: message/delivery-status\nContent-Transfer-Encoding: base64\n\n" + b"QWN0aW9uOg" * 20_000,
    "many recipients": b"Content-Type: message/delivery-status\n\n" + b"Action: failed\nStatus: 5.1.1\n\n" * 50_000,
    "endless digits": b"Content-Type: message/delivery-status\n\nAction: failed\nStatus: " + b"5.1." * 50_000,
    "eight bits": bytes(range(256)) * 2000,
    "spaces before a boundary": b"Content-Type: multipart/mixed;" + b" " * 100_000 + b'boundary="b"\n\n--b\n',
    "a phrase that nearly fits": b"From: mailer-daemon@x\n\n" + b"user is unknow " * 20_000 + b"message-id:" + b" " * 200_000,
    "references without end": b"Return-Path: <>\nReferences: " + b"<" * 500_000 + b"\n\nundeliverable",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_message_costs_little(name):
    begun = time.perf_counter()
    parse(HOSTILE[name])
    assert time.perf_counter() - begun < 2


def test_memory_is_bounded_whatever_comes():
    raw = make(corpus.POSTFIX)[:-20] + b"x" * 50_000_000
    tracemalloc.start()
    try:
        assert parse(raw).did == DID
        assert tracemalloc.get_traced_memory()[1] < 20 * READ_BYTES
    finally:
        tracemalloc.stop()


@given(st.sampled_from(sorted(KNOWN)), st.randoms(use_true_random=False))
def test_a_mutilated_bounce_raises_nothing(name, random: Random):
    raw = bytearray(KNOWN[name][0])
    for _ in range(random.randint(1, 30)):
        place = random.randrange(len(raw))
        what = random.randrange(4)
        if what == 0:
            raw[place] = random.randrange(256)
        elif what == 1:
            del raw[place : place + random.randint(1, 200)]
        elif what == 2:
            raw[place:place] = raw[random.randrange(len(raw)) :][:300]
        else:
            raw[place:place] = random.choice([b"\r\n", b"\n\n", b"--", b"\0", b": ", b"\xff", b"boundary="])
        raw = raw or bytearray(b"x")
    found = parse(bytes(raw))
    assert found is None or (found.did == "" or len(found.did) == 32)


@given(st.binary(max_size=2000))
def test_any_bytes_at_all_raise_nothing(raw):
    parse(raw)
