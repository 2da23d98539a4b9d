"""Every fault of RELIABILITY R9 that an SMTP server can have, at every phase, and what each means for a message."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import trustme
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from digest.providers.smtp import Smtp
from digest.providers.smtp_connection import Access, Connection, Letter, Times
from tests.support.make import REPOSITORY
from tests.support.smtp_parcels import AID, SENDER, message_of, parcel, settings
from tests.support.smtp_server import SmtpServer

SHORT = Times(connect=5, reply=0.5, data=0.5, block=5, dot=0.5, before_dot=20, quit=0.5)
CALM = Times(connect=20, reply=20, data=20, block=20, dot=20, before_dot=60, quit=2)
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority, tmp_path_factory):
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return file


def context(authority, *names):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(made)
    return made


@pytest.fixture
def hand():
    """Hand parcels to a server with some settings; everything is closed afterwards."""
    opened = []

    def call(server, *parcels, times=CALM, password=None, aid=AID, smtp=None, **values):
        if smtp is None:
            secret = SecretStr(password) if password else None
            smtp = Smtp(settings(server.port, **values), secret, SENDER, times=times)
            opened.append(smtp)
        return smtp.hand_over("monthly-2026-05-01", aid, parcels or (parcel(),))

    yield call
    for smtp in opened:
        smtp.close()


def outcomes(handover):
    return [receipt.outcome for receipt in handover.receipts]


def check(server, handover, parcels):
    """What must hold whatever went wrong."""
    taken = Counter(server.dids())
    assert not server.wrongs
    assert [receipt.did for receipt in handover.receipts] == [one.did for one in parcels]
    assert max(taken.values(), default=0) <= 1
    for one, receipt in zip(parcels, handover.receipts, strict=True):
        if receipt.outcome in ("rejected", "deferred"):
            assert one.did not in taken
        if receipt.outcome == "accepted":
            assert taken[one.did] == 1
    whole = {one.did: message_of(one) for one in parcels}
    assert all(found.message == whole[found.did] for found in server.accepted)
    shown = handover.stop + "".join(receipt.reason + receipt.code + receipt.ref for receipt in handover.receipts)
    assert "@" not in shown and "reader" not in shown and PASSWORD not in shown


def test_a_message_arrives_as_it_was_made(hand):
    with SmtpServer() as server:
        handover = hand(server)
        check(server, handover, [parcel()])
    (receipt,) = handover.receipts
    assert (receipt.outcome, receipt.code, receipt.ref) == ("accepted", "250 2.0.0", "Ok: queued as 4XyZ12abc")
    assert receipt.bytes == len(message_of(parcel())) and len(receipt.sha256) == 64
    assert (handover.stop, handover.trouble, handover.code, handover.ref) == ("", False, "250 2.0.0", "Ok: queued as 4XyZ12abc")
    (taken,) = server.accepted
    assert taken.mail == f"FROM:<letter@letter.example.org> SIZE={receipt.bytes} RET=HDRS ENVID={AID}"
    assert taken.rcpt == "TO:<reader1@example.org> NOTIFY=FAILURE,DELAY"


@pytest.mark.parametrize("offers", [(), ("PIPELINING",), ("DSN",), ("SIZE",)])
def test_only_what_is_offered_is_used(hand, offers):
    with SmtpServer(offers=offers) as server:
        assert outcomes(hand(server)) == ["accepted"]
    (taken,) = server.accepted
    assert ("SIZE=" in taken.mail, "ENVID=" in taken.mail, "NOTIFY=" in taken.rcpt) == ("SIZE" in offers, "DSN" in offers, "DSN" in offers)


def test_bounces_come_back_to_the_delivery_they_are_about(hand):
    with SmtpServer() as server:
        hand(server, parcel(7), envelope_sender="bounce@in.example.org", verp=True)
    assert server.accepted[0].mail.startswith(f"FROM:<bounce+{7:032x}@in.example.org>")
    assert server.accepted[0].rcpt.endswith("NOTIFY=SUCCESS,FAILURE,DELAY")


BROKEN = ("drop", "reset", "half", "silence", "garbage", "endless", "wrong")
BEFORE_THE_DOT = [
    *(f"{step}:{action}" for step in ("greeting", "ehlo", "mail", "rcpt", "data") for action in BROKEN),
    *(f"{step}:reply=421 4.3.2 shutting down" for step in ("greeting", "ehlo", "mail", "rcpt", "data")),
    "greeting:reply=554 5.7.1 no mail from you",
    "ehlo:reply=502 5.5.1 what",
    "ehlo:drip",
    "rcpt:drip",
    "mail:reply=354 go",
    "rcpt:reply=354 go",
    "data:reply=250 ok",
    "mail:twice",
    "rcpt:twice",
    "data:twice",
    "body:speak=552 5.3.4 too large",
    "body:speak=421 4.4.2 timeout",
    "body:speak=nonsense",
]


@pytest.mark.parametrize("offers", [("PIPELINING", "DSN"), ()], ids=["pipelining", "one by one"])
@pytest.mark.parametrize("fault", BEFORE_THE_DOT)
def test_a_fault_before_the_final_dot_is_known_not_to_be_sent(hand, fault, offers):
    times = SHORT if fault.endswith(("silence", "drip")) else CALM
    with SmtpServer([fault], offers=(*offers, "X" * 40), drip_s=0.1) as server:
        handover = hand(server, times=times)
        check(server, handover, [parcel()])
    assert outcomes(handover) == ["deferred"] and handover.trouble and not handover.stop
    assert not server.accepted


def test_a_connection_lost_in_the_middle_of_a_large_message_is_known_not_to_be_sent(hand):
    large = parcel(size=30_000_000)  # more than the buffers of both sides hold
    for action in ("drop", "reset"):
        with SmtpServer([f"body:{action}"]) as server:
            handover = hand(server, large)
            check(server, handover, [large])
        assert outcomes(handover) == ["deferred"] and handover.trouble


def scripted(*answers, pause=None):
    """A server that answers so, whatever it hears. Returns its port, what it heard, and the thread to join."""
    listener = socket.create_server(("127.0.0.1", 0))
    heard = []

    def talk():
        with listener, listener.accept()[0] as link:
            link.sendall(b"220 hi\r\n")
            for answer in answers:
                heard.append(link.recv(4096))
                link.sendall(answer)
            heard.append(link.recv(4096) if pause is None else b"")
            if pause:
                pause.wait(30)

    thread = threading.Thread(target=talk)
    thread.start()
    return listener.getsockname()[1], heard, thread


def test_a_server_that_stops_reading_is_known_not_to_be_sent():
    done = threading.Event()
    port, _, thread = scripted(b"250 hi\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", pause=done)
    smtp = Smtp(settings(port), None, SENDER, times=Times(block=0.5, before_dot=20))
    handover = smtp.hand_over("i", AID, [parcel(size=30_000_000)])
    done.set()
    thread.join()
    assert outcomes(handover) == ["deferred"] and handover.trouble
    assert handover.receipts[0].reason == "the server was too slow"


AFTER_THE_DOT = [f"dot:{taken}{action}" for taken in ("", "accept-") for action in (*BROKEN, "reply=354 more")]


@pytest.mark.parametrize("fault", [*AFTER_THE_DOT, "dot:accept-drip"])
def test_a_fault_after_the_final_dot_is_uncertain_and_nothing_is_sent_twice(hand, fault):
    times = SHORT if fault.endswith(("silence", "drip")) else CALM
    with SmtpServer([fault], drip_s=0.1) as server:
        handover = hand(server, times=times)
        check(server, handover, [parcel()])
        assert len(server.accepted) == ("accept" in fault)
    assert outcomes(handover) == ["uncertain"] and handover.trouble and not handover.stop


def test_a_connection_lost_in_the_middle_of_a_small_message_is_never_taken_for_a_refusal(hand):
    for action in ("drop", "reset"):
        with SmtpServer([f"body:{action}"]) as server:
            handover = hand(server, parcel(size=5000))  # all of it may be in our machine's buffer when the server goes
            check(server, handover, [parcel(size=5000)])
        assert outcomes(handover)[0] in ("deferred", "uncertain") and handover.trouble


@pytest.mark.parametrize(
    ("fault", "outcome", "trouble", "code"),
    [
        ("mail:reply=451 4.3.0 queue file write error", "deferred", True, "451 4.3.0"),
        ("mail:reply=452 4.3.1 Insufficient system storage", "deferred", True, "452 4.3.1"),
        ("mail:reply=552 5.3.4 too large", "rejected", False, "552 5.3.4"),
        ("rcpt:reply=450 4.2.0 reader1@example.org greylisted", "deferred", False, "450 4.2.0"),
        ("rcpt:reply=452 Insufficient storage", "deferred", False, "452"),
        ("rcpt:reply=550 5.1.1 <reader1@example.org>: User unknown", "rejected", False, "550 5.1.1"),
        ("rcpt:reply=550 no", "rejected", False, "550"),
        ("rcpt:reply=501 5.1.3 bad syntax", "rejected", False, "501 5.1.3"),
        ("rcpt:reply=550 5.7.1 no such user reader1", "rejected", False, "550 5.7.1"),
        ("rcpt:reply=554 5.7.1 <reader1@example.org>: Relay access denied", "deferred", False, "554 5.7.1"),
        ("data:reply=451 4.3.5 server error", "deferred", True, "451 4.3.5"),
        ("data:reply=554 5.5.0 no", "rejected", False, "554 5.5.0"),
        ("dot:reply=452 4.3.1 no room", "deferred", True, "452 4.3.1"),
        ("dot:reply=451 4.7.1 later, reader1@example.org", "deferred", False, "451 4.7.1"),
        ("dot:reply=421 4.3.2 shutting down", "deferred", True, "421 4.3.2"),
        ("dot:reply=554 Transaction failed", "rejected", False, "554"),
        ("dot:reply=554 5.6.0 content", "rejected", False, "554 5.6.0"),
        ("dot:reply=552 5.3.4 too large", "rejected", False, "552 5.3.4"),
        ("dot:reply=550 5.7.26 unauthenticated", "deferred", False, "550 5.7.26"),
    ],
)
@pytest.mark.parametrize("offers", [("PIPELINING",), ()], ids=["pipelining", "one by one"])
def test_a_refusal_is_taken_at_its_word(hand, fault, outcome, trouble, code, offers):
    with SmtpServer([f"{fault}*1"], offers=offers) as server:
        parcels = [parcel(1), parcel(2)]
        handover = hand(server, *parcels)
        check(server, handover, parcels)
        assert outcomes(handover) == [outcome, "accepted"]
    assert (handover.receipts[0].code, handover.trouble, handover.stop) == (code, trouble, "")
    assert server.connections == (2 if code.startswith("421") else 1)


def test_one_refused_address_among_many_good_ones(hand):
    with SmtpServer(["rcpt:reply=550 5.1.1 unknown*1+49"]) as server:
        parcels = [parcel(n) for n in range(100)]
        handover = hand(server, *parcels, batch=100)
        check(server, handover, parcels)
    assert [n for n, outcome in enumerate(outcomes(handover)) if outcome != "accepted"] == [49]
    assert server.connections == 1


def test_data_accepted_although_the_reader_was_refused():
    port, heard, thread = scripted(b"250-hi\r\n250 PIPELINING\r\n", b"250 ok\r\n550 5.1.1 no\r\n354 go\r\n")
    (receipt,) = Smtp(settings(port), None, SENDER, times=CALM).hand_over("i", AID, [parcel()]).receipts
    thread.join()
    assert receipt.outcome == "rejected" and heard[-1] == b""  # hung up, without a dot


def test_a_message_that_cannot_be_made_is_refused_alone(hand):
    parcels = [parcel(1), parcel(2, email="jürgen@example.org"), parcel(3, email="a\r\nRCPT TO:<x@example.org>"), parcel(4)]
    with SmtpServer() as server:
        handover = hand(server, *parcels)
        assert not server.wrongs and server.dids() == [parcels[0].did, parcels[3].did]
    assert outcomes(handover) == ["accepted", "rejected", "rejected", "accepted"]
    assert "SMTPUTF8" in handover.receipts[1].reason and "jürgen" not in str(handover)


# --- connections ---------------------------------------------------------------------------------------------------------


def test_nobody_listens(hand):
    with SmtpServer() as server:
        pass
    handover = hand(server, parcel(1), parcel(2))
    assert outcomes(handover) == ["deferred", "deferred"] and handover.trouble
    assert handover.receipts[0].reason == f"the mail server 127.0.0.1:{server.port} cannot be reached: Connection refused"


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 70 + ".example.org"])
def test_no_such_host(host):
    handover = Smtp(settings(25, host=host), None, SENDER, times=CALM).hand_over("i", AID, [parcel()])
    assert outcomes(handover) == ["deferred"] and handover.trouble and "cannot be reached" in handover.receipts[0].reason


def test_a_connection_carries_many_messages_and_a_broken_one_none(hand):
    with SmtpServer(["dot:accept-drop*1+1"]) as server:
        smtp = Smtp(settings(server.port), None, SENDER, times=CALM)
        found = [outcomes(hand(server, parcel(n), smtp=smtp))[0] for n in range(4)]
        smtp.close()
        assert found == ["accepted", "uncertain", "accepted", "accepted"]
        assert server.connections == 2 and len(set(server.dids())) == 4


@pytest.mark.parametrize("fault", ["mail:reply=421 4.7.0 too many messages in this session*1+2", "mail:drop*1+2", "mail:reset*1+2"])
def test_a_session_that_ends_between_messages_costs_nothing(hand, fault):
    with SmtpServer([fault]) as server:
        parcels = [parcel(n) for n in range(5)]
        handover = hand(server, *parcels, batch=5)
        check(server, handover, parcels)
    assert outcomes(handover) == ["accepted"] * 5 and server.connections == 2 and not handover.trouble


def test_a_server_that_went_away_meanwhile(hand):
    with SmtpServer() as server:
        smtp = Smtp(settings(server.port), None, SENDER, times=CALM)
        assert outcomes(hand(server, parcel(1), smtp=smtp)) == ["accepted"]
        port = server.port
    with SmtpServer(port=port) as server:
        assert outcomes(hand(server, parcel(2), smtp=smtp)) == ["accepted"]
        smtp.close()


def test_an_idle_connection_is_not_trusted(hand):
    with SmtpServer() as server:
        smtp = Smtp(settings(server.port), None, SENDER, times=Times(idle=0))
        hand(server, parcel(1), smtp=smtp)
        hand(server, parcel(2), smtp=smtp)
        smtp.close()
        assert server.connections == 2 and len(server.accepted) == 2


def test_a_second_answer_to_the_dot_is_not_taken_for_the_next_messages(hand):
    with SmtpServer(["dot:twice*1", "mail:reply=450 4.1.8 later*1+1"]) as server:
        parcels = [parcel(1), parcel(2), parcel(3)]
        smtp = Smtp(settings(server.port), None, SENDER, times=CALM)
        found = [hand(server, one, smtp=smtp) for one in parcels]
        smtp.close()
    assert [outcomes(one)[0] for one in found] == ["accepted", "deferred", "accepted"]
    assert server.dids() == [parcels[0].did, parcels[2].did]


def test_the_rest_of_a_batch_waits_when_the_server_is_gone(hand):
    with SmtpServer(["mail:drop"]) as server:
        parcels = [parcel(n) for n in range(20)]
        handover = hand(server, *parcels)
        assert outcomes(handover) == ["deferred"] * 20 and server.connections == 2


def test_one_message_that_kills_the_session_does_not_take_the_others_along(hand):
    with SmtpServer(["data:drop*1+3"]) as server:
        parcels = [parcel(n) for n in range(8)]
        handover = hand(server, *parcels)
        check(server, handover, parcels)
    assert Counter(outcomes(handover)) == {"accepted": 7, "deferred": 1}


def test_each_thread_has_a_connection_of_its_own(hand):
    with SmtpServer() as server:
        smtp = Smtp(settings(server.port, connections=8), None, SENDER, times=CALM)
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda n: smtp.hand_over("i", f"{n:032x}", [parcel(n)]), range(200)))
        smtp.close()
        assert [outcomes(one)[0] for one in found] == ["accepted"] * 200
        assert sorted(server.dids()) == sorted(parcel(n).did for n in range(200))
        assert server.connections <= 8 and not server.wrongs
        assert all(f"ENVID={one.did}" in one.mail for one in server.accepted)  # no thread's words in another's transaction


def test_after_closing_no_connection_is_kept(hand):
    with SmtpServer() as server:
        smtp = Smtp(settings(server.port), None, SENDER, times=CALM)
        smtp.close()
        hand(server, parcel(1), smtp=smtp)
        assert server.commands[-1] == "QUIT"


# --- our own fault -------------------------------------------------------------------------------------------------------


def test_refused_by_policy_again_and_again_ends_the_run(hand):
    with SmtpServer(["rcpt:reply=554 5.7.1 Relay access denied"]) as server:
        smtp = Smtp(settings(server.port), None, SENDER, times=CALM)
        found = [hand(server, parcel(n), smtp=smtp) for n in range(4)]
        smtp.close()
    assert [bool(one.stop) for one in found] == [False, False, True, True]
    assert all(outcomes(one) == ["deferred"] for one in found)
    assert "554 5.7.1" in found[2].stop


def test_one_mailbox_with_a_policy_of_its_own_does_not_end_it(hand):
    with SmtpServer(["rcpt:reply=550 5.7.1 not you*2", "rcpt:reply=550 5.7.1 not you*2+1"]) as server:
        smtp = Smtp(settings(server.port), None, SENDER, times=CALM)
        found = [hand(server, parcel(n), smtp=smtp) for n in range(6)]
        smtp.close()
    assert not any(one.stop for one in found) and Counter(outcomes(one)[0] for one in found) == {"deferred": 4, "accepted": 2}


def test_a_server_that_wants_a_login_ends_the_run(hand):
    with SmtpServer(["mail:reply=530 5.7.0 Authentication required"]) as server:
        handover = hand(server, parcel(1), parcel(2))
    assert outcomes(handover) == ["deferred", "deferred"] and "wants TLS or a login" in handover.stop


# --- TLS and login -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("offers", [("PIPELINING", "DSN"), ("AUTH LOGIN",), ("AUTH=LOGIN PLAIN",)])
def test_encrypted_and_logged_in(hand, authority, ca_file, security, offers):
    tls = context(authority, "127.0.0.1")
    with SmtpServer(tls=tls, implicit=security == "tls", login=("ana", PASSWORD), offers=offers) as server:
        handover = hand(server, parcel(1), parcel(2), security=security, ca_file=ca_file, username="ana", password=PASSWORD)
        check(server, handover, [parcel(1), parcel(2)])
    assert outcomes(handover) == ["accepted"] * 2 and server.connections == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("wrong", ["another name", "another authority", "public authorities only"])
def test_a_certificate_that_does_not_fit_ends_the_run_before_anything_is_said(hand, authority, ca_file, security, wrong):
    name = "mail.example.org" if wrong == "another name" else "127.0.0.1"
    tls = context(trustme.CA() if wrong == "another authority" else authority, name)
    with SmtpServer(tls=tls, implicit=security == "tls", login=("ana", PASSWORD)) as server:
        trusted = None if wrong == "public authorities only" else ca_file
        handover = hand(server, parcel(1), parcel(2), security=security, ca_file=trusted, username="ana", password=PASSWORD)
        check(server, handover, [parcel(1), parcel(2)])
    assert outcomes(handover) == ["deferred"] * 2 and "certificate" in handover.stop and not handover.trouble
    assert not any(command.startswith(("AUTH", "MAIL")) for command in server.commands)


def test_a_certificate_that_is_changed_meanwhile(hand, authority, ca_file):
    with SmtpServer(tls=context(authority, "127.0.0.1")) as server:
        smtp = Smtp(settings(server.port, security="starttls", ca_file=ca_file), None, SENDER, times=Times(idle=0))
        assert outcomes(hand(server, parcel(1), smtp=smtp)) == ["accepted"]
        server.tls = context(trustme.CA(), "127.0.0.1")
        assert "certificate" in hand(server, parcel(2), smtp=smtp).stop


def test_no_fall_back_to_plain_text(hand):
    with SmtpServer(login=("ana", PASSWORD)) as server:
        handover = hand(server, security="starttls", username="ana", password=PASSWORD)
        assert [command.split()[0] for command in server.commands] == ["EHLO"]
    assert outcomes(handover) == ["deferred"] and "does not offer STARTTLS" in handover.stop


@pytest.mark.parametrize(
    ("fault", "stops"),
    [
        ("starttls:reply=454 4.7.0 TLS not available", False),
        ("starttls:reply=502 5.5.1 no", True),
        ("starttls:drop", False),
        ("starttls:silence", False),
        ("starttls:garbage", False),
        ("tls:alert", False),
        ("tls:drop", False),
        ("tls:silence", False),
        ("tls:inject", False),
    ],
)
def test_tls_that_does_not_come_about(hand, authority, ca_file, fault, stops):
    with SmtpServer([fault], tls=context(authority, "127.0.0.1")) as server:
        handover = hand(server, security="starttls", ca_file=ca_file, times=SHORT)
        check(server, handover, [parcel()])
        assert not any(command.startswith("MAIL") for command in server.commands)
    assert outcomes(handover) == ["deferred"] and bool(handover.stop) is stops and handover.trouble is not stops


def test_old_tls_is_refused(hand, authority, ca_file):
    tls = context(authority, "127.0.0.1")
    with pytest.warns(DeprecationWarning):
        tls.minimum_version = ssl.TLSVersion.TLSv1
        tls.maximum_version = ssl.TLSVersion.TLSv1_1
    tls.set_ciphers("ALL:@SECLEVEL=0")
    with SmtpServer(tls=tls) as server:
        handover = hand(server, security="starttls", ca_file=ca_file)
    assert outcomes(handover) == ["deferred"] and "no TLS with the server" in handover.receipts[0].reason


@pytest.mark.parametrize(
    ("fault", "stops"),
    [
        ("auth:reply=535 5.7.8 bad", True),
        ("auth:reply=504 5.5.4 mechanism", True),
        ("auth:reply=334 more", True),
        ("auth:reply=454 4.7.0 later", False),
        ("auth:reply=421 4.7.0 bye", False),
        ("auth:drop", False),
        ("auth:silence", False),
        ("auth:garbage", False),
    ],
)
def test_a_login_that_fails(hand, authority, ca_file, fault, stops):
    with SmtpServer([fault], tls=context(authority, "127.0.0.1"), login=("ana", PASSWORD)) as server:
        handover = hand(server, security="starttls", ca_file=ca_file, username="ana", password=PASSWORD, times=SHORT)
        check(server, handover, [parcel()])
    assert outcomes(handover) == ["deferred"] and bool(handover.stop) is stops and handover.trouble is not stops


def test_a_wrong_password_and_an_unknown_way_to_log_in(hand):
    with SmtpServer(login=("ana", PASSWORD)) as server:
        handover = hand(server, username="ana", password="wrong")
        assert "refused the login (535 5.7.8)" in handover.stop and "DIGEST_SMTP_PASSWORD" in handover.stop
    with SmtpServer(login=("ana", PASSWORD), offers=("AUTH CRAM-MD5",)) as server:
        assert "no way to log in" in hand(server, username="ana", password=PASSWORD).stop


def test_without_tls_a_password_goes_to_this_machine_only(hand, monkeypatch):
    with SmtpServer(login=("ana", PASSWORD)) as server:
        assert outcomes(hand(server, username="ana", password=PASSWORD)) == ["accepted"]
        monkeypatch.setattr("digest.providers.smtp_wire.Wire.is_loopback", lambda _: False)
        handover = hand(server, username="ana", password=PASSWORD)
    assert outcomes(handover) == ["deferred"] and "would be readable" in handover.stop
    assert sum(command.startswith("AUTH") for command in server.commands) == 1


@pytest.mark.parametrize(
    "fault", ["mail:drop", "data:reset", "dot:accept-drop", "dot:accept-half", "dot:silence", "body:speak=421 4.3.2 bye"]
)
def test_the_evidence_is_the_same_over_tls(hand, authority, ca_file, fault):
    with SmtpServer([fault], tls=context(authority, "127.0.0.1")) as server:
        handover = hand(server, security="starttls", ca_file=ca_file, times=Times(dot=0.5))
        check(server, handover, [parcel()])
    assert outcomes(handover) == ["uncertain" if fault.startswith("dot") else "deferred"]


# --- bytes ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def line():
    """A session, and the server at its other end."""
    with SmtpServer() as server:
        turn = threading.Lock()
        with turn:
            opened = Connection(Access(settings(server.port), "", "letter.example.org", None, CALM), time.monotonic() + 60, turn)
            yield opened, server
            opened.leave()


ODD = st.sampled_from([b"", b".", b"..", b"...", b".x", b" .", b"RCPT TO:<x@y.example>"])
LINES = st.lists(st.one_of(ODD, st.binary(max_size=60)), max_size=30)


@given(LINES)
@example([b"."])
@example([b".", b"", b"."])
@example([b"", b"."])
@example([b"a", b".", b"MAIL FROM:<x@y.example>"])
def test_any_lines_arrive_as_they_were(line, lines):
    connection, server = line
    message = b"".join(one.replace(b"\r", b"").replace(b"\n", b"") + b"\r\n" for one in lines) or b"\r\n"
    verdict = connection.deliver(Letter("l@x.example", "a@y.example", message, "e+=", "NEVER"), time.monotonic() + 60)
    assert verdict.outcome == "accepted" and server.accepted[-1].message == message
    assert not server.wrongs


# --- the server as a process of its own ----------------------------------------------------------------------------------


def test_the_journal_is_written_before_the_answer(tmp_path):
    journal = tmp_path / "journal"
    command = [
        sys.executable,
        "-m",
        "tests.support.smtp_server",
        "--journal",
        str(journal),
        "--fault",
        "dot:accept-drop@0.2",
        "--seed",
        "3",
    ]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        port = int(process.stdout.readline().split()[1])
        smtp = Smtp(settings(port), None, SENDER, times=CALM)
        receipts = {n: smtp.hand_over("i", AID, [parcel(n)]).receipts[0] for n in range(50)}
        smtp.close()
        process.stdin.close()
    written = [json.loads(line) for line in journal.read_text().splitlines()]
    assert sorted(entry["did"] for entry in written) == sorted(parcel(n).did for n in range(50))
    assert {entry["sha256"] for entry in written} == {receipt.sha256 for receipt in receipts.values()}
    assert Counter(receipt.outcome for receipt in receipts.values()).keys() == {"accepted", "uncertain"}
