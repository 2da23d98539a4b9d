"""The provider against the stand-in: every way an exchange can go wrong, and what is known afterwards (RELIABILITY R9)."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from digest.config import SendGridSettings
from digest.errors import ProviderUnusable
from digest.providers import sendgrid as sendgrid_provider
from digest.providers.sendgrid import Scheduled, SendGrid
from tests.support.make import REPOSITORY
from tests.support.sendgrid_parcels import make_parcel
from tests.support.sendgrid_server import ACCEPTED, REFUSED, Server
from tests.support.sendgrid_stand_in import KEY, StandIn

PARCELS = [make_parcel(n) for n in range(3)]


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    stand_in = StandIn(tmp_path / "journal.jsonl", stall_s=0.6)
    server = Server(stand_in)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
    stand_in.close()


def provider(url: str, *, key: str = KEY, timeout_s: float = 20, **options) -> SendGrid:
    calls = options.pop("settings", {})
    return SendGrid(SendGridSettings(base_url=url, **calls), SecretStr(key), timeout_s=timeout_s, **options)


def stand_in_of(server: Server) -> StandIn:
    return server.RequestHandlerClass.stand_in


def outcomes(handover):
    return Counter(receipt.outcome for receipt in handover.receipts)


def journal(server: Server) -> list[dict]:
    return [json.loads(line) for line in stand_in_of(server).journal.read_text().splitlines()]


# What each fault must be taken for. Everything that was accepted is accepted or uncertain; what is uncertain may have been.
EXPECTED = {
    "reset-before-body": "uncertain",  # the answer never came, and by then the body had been written into the socket
    "reset-mid-body": "uncertain",
    "reset-after": "uncertain",
    "eof-before": "uncertain",
    "eof-after": "uncertain",
    "stall-before": "uncertain",
    "stall-after": "uncertain",
    "half-status": "uncertain",
    "head-cut": "uncertain",
    "nonsense-after": "uncertain",
    "drip": "uncertain",
    "200-after": "uncertain",
    "408-after": "uncertain",
    **{f"{status}-{when}": "uncertain" for status in (500, 502, 503, 504) for when in ("before", "after")},
    "202-garbage": "accepted",
    "202-cut": "accepted",
    "202-bare": "accepted",
    "endless": "accepted",
    **dict.fromkeys(("429", "429-bare", "429-nonsense", "401", "403", "413", "400-nonsense", "redirect"), "deferred"),
}


def test_every_fault_of_the_stand_in_is_tried():
    assert EXPECTED.keys() == ACCEPTED | REFUSED


@pytest.mark.parametrize("fault", sorted(EXPECTED))
def test_a_fault_is_what_it_is_taken_for_and_never_accepts_twice(server, fault):
    stand_in = stand_in_of(server)
    stand_in.script.append(fault)
    # Short only where no answer is to come, so that a slow machine cannot turn one outcome into another.
    timeout_s = 0.4 if fault == "drip" or fault.startswith("stall") else 20
    handover = provider(server.url, timeout_s=timeout_s).hand_over("monthly-2026-05-01", "a1", PARCELS)
    (outcome,) = outcomes(handover)
    assert {receipt.did for receipt in handover.receipts} == {parcel.did for parcel in PARCELS}
    assert outcome in ("uncertain", "deferred") if fault == "reset-before-body" else outcome == EXPECTED[fault]
    assert stand_in.calls == 1  # never tried again, never followed
    assert len(journal(server)) == (3 if fault in ACCEPTED else 0)
    if fault in ACCEPTED:
        assert outcome in ("accepted", "uncertain")
    assert handover.trouble == (outcome == "uncertain" or (fault == "reset-before-body"))
    assert bool(handover.stop) == (fault in ("401", "403", "redirect"))
    assert handover.split == (fault in ("413", "400-nonsense"))
    assert "@" not in repr([handover.stop, *(receipt.reason for receipt in handover.receipts)])


def test_the_wait_after_429_is_the_one_asked_for(server):
    stand_in_of(server).script.extend(["429", "429-bare", "429-nonsense"])
    sendgrid = provider(server.url)
    waits = [sendgrid.hand_over("i", "a1", PARCELS).retry_after_s for _ in range(3)]
    assert 5 <= waits[0] <= 8 and waits[1:] == [60, 60]


def test_a_server_error_may_be_taken_for_a_refusal_by_the_operators_word(server):
    stand_in_of(server).script.append("503-before")
    handover = provider(server.url, settings={"server_errors": "not_sent"}).hand_over("i", "a1", PARCELS)
    assert outcomes(handover) == {"deferred": 3} and handover.trouble


def test_accepted_means_accepted(server):
    handover = provider(server.url).hand_over("monthly-2026-05-01", "a1", PARCELS)
    assert outcomes(handover) == {"accepted": 3} and handover.code == "202"
    assert [(line["did"], line["aid"]) for line in journal(server)] == [(parcel.did, "a1") for parcel in PARCELS]
    assert {receipt.ref for receipt in handover.receipts} == {handover.ref} == {journal(server)[0]["ref"]}
    assert all(receipt.bytes and receipt.sha256 for receipt in handover.receipts)


def test_nobody_listening_is_not_sent():
    with socket.socket() as held:  # bound, and deaf
        held.bind(("127.0.0.1", 0))
        handover = provider(f"http://127.0.0.1:{held.getsockname()[1]}").hand_over("i", "a1", PARCELS)
    assert outcomes(handover) == {"deferred": 3} and handover.trouble and "refused" in handover.receipts[0].reason


def test_a_name_that_cannot_be_looked_up_is_not_sent(monkeypatch):
    def fail(*_args, **_more):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    handover = provider("https://sendgrid.invalid").hand_over("i", "a1", PARCELS)
    assert outcomes(handover) == {"deferred": 3} and handover.trouble and "looked up" in handover.receipts[0].reason


def test_a_peer_that_does_not_speak_tls_is_not_sent(server):
    handover = provider(server.url.replace("http:", "https:")).hand_over("i", "a1", PARCELS)
    assert outcomes(handover) == {"deferred": 3} and handover.trouble and "TLS" in handover.receipts[0].reason
    assert journal(server) == []


def test_a_peer_that_never_finishes_the_handshake_is_not_sent():
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"https://127.0.0.1:{deaf.getsockname()[1]}"
        handover = provider(url, timeout_s=0.2).hand_over("i", "a1", PARCELS)
    assert outcomes(handover) == {"deferred": 3} and handover.trouble


def test_a_proxy_that_gives_no_tunnel_is_not_sent_and_sees_no_key(server, monkeypatch):
    monkeypatch.setenv("https_proxy", server.url)
    monkeypatch.delenv("no_proxy", raising=False)
    asked = []
    monkeypatch.setattr(
        server.RequestHandlerClass, "do_CONNECT", lambda self: (asked.append(str(self.headers)), self.send_error(407)), raising=False
    )
    handover = provider("https://sendgrid.invalid").hand_over("i", "a1", PARCELS)
    assert outcomes(handover) == {"deferred": 3} and handover.trouble
    assert len(asked) == 1 and KEY not in asked[0]


def test_time_that_is_up_before_the_body_sends_nothing(server, monkeypatch):
    """A machine that was suspended while it connected: its lease may be over, so nothing may leave."""
    from digest.providers import sendgrid_http

    clock = iter([0.0, 0.1, *[1e6] * 100])
    monkeypatch.setattr(sendgrid_http, "_seconds", lambda: next(clock))
    handover = provider(server.url).hand_over("i", "a1", PARCELS)
    assert outcomes(handover) == {"deferred": 3} and journal(server) == []


def test_over_tls_with_a_certificate_that_fits_and_one_that_does_not(server, tmp_path):
    certificate, key = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    url = server.url.replace("http:", "https:")
    distrusted = provider(url, timeout_s=5).hand_over("i", "a1", PARCELS)
    assert outcomes(distrusted) == {"deferred": 3} and "certificate" in distrusted.receipts[0].reason and journal(server) == []
    trusting = provider(url, timeout_s=5, context=ssl.create_default_context(cafile=str(certificate)))
    assert outcomes(trusting.hand_over("i", "a1", PARCELS)) == {"accepted": 3}
    stand_in_of(server).script.append("reset-after")
    assert outcomes(trusting.hand_over("i", "a2", PARCELS)) == {"uncertain": 3}


def make_certificate(folder):
    from datetime import UTC, datetime, timedelta
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    at = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), at - timedelta(1), at + timedelta(1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    (folder / "cert.pem").write_bytes(pem)
    no_password = serialization.NoEncryption()
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_password),
    )
    return folder / "cert.pem", folder / "key.pem"


def test_a_wrong_key_stops_and_sends_nothing(server):
    handover = provider(server.url, key="SG.wrong").hand_over("i", "a1", PARCELS)
    assert outcomes(handover) == {"deferred": 3} and "SENDGRID_API_KEY" in handover.stop and "SG." not in handover.stop
    assert journal(server) == []


def test_one_refused_address_among_many_is_found_by_halving_and_costs_nobody_else_the_mail(server):
    parcels = [make_parcel(n) for n in range(64)]
    stand_in = stand_in_of(server)
    stand_in.bad = frozenset({"reader37@example.org"})
    sendgrid, final, queue = provider(server.url, timeout_s=5), {}, [parcels]
    while queue:
        part = queue.pop()
        handover = sendgrid.hand_over("i", f"a{len(queue)}-{len(final)}", part)
        if handover.split:
            queue += [part[: len(part) // 2], part[len(part) // 2 :]]
            continue
        final |= {receipt.did: receipt for receipt in handover.receipts}
    rejected = [receipt for receipt in final.values() if receipt.outcome == "rejected"]
    assert [receipt.did for receipt in rejected] == [parcels[37].did] and "valid address" in rejected[0].reason
    assert "reader37" not in rejected[0].reason
    assert Counter(line["did"] for line in journal(server)) == {parcel.did: 1 for parcel in parcels if parcel is not parcels[37]}
    assert stand_in.calls <= 1 + 2 * 6


def test_calls_at_the_same_time_do_not_mix(server):
    stand_in = stand_in_of(server)
    sendgrid = provider(server.url, timeout_s=20, settings={"calls": 8})
    assert sendgrid.lanes == 8
    stand_in.faults = {"429": 0.2, "reset-after": 0.2, "503-before": 0.1}
    batches = [[make_parcel(lane * 10 + n) for n in range(10)] for lane in range(40)]
    with ThreadPoolExecutor(8) as pool:
        handovers = list(pool.map(lambda lane: sendgrid.hand_over("i", f"a{lane}", batches[lane]), range(40)))
    taken = {line["did"]: line["aid"] for line in journal(server)}
    assert len(taken) == len(journal(server)) and stand_in.calls == 40
    for lane, (batch, handover) in enumerate(zip(batches, handovers, strict=True)):
        assert [receipt.did for receipt in handover.receipts] == [parcel.did for parcel in batch]
        (outcome,) = outcomes(handover)
        assert {taken.get(parcel.did) for parcel in batch} <= ({f"a{lane}"} if outcome == "accepted" else {None, f"a{lane}"})
        assert not (outcome == "deferred" and batch[0].did in taken)


def test_neither_the_key_nor_an_address_is_logged(server, caplog):
    caplog.set_level(logging.DEBUG)
    stand_in_of(server).script.extend(["", "400-nonsense"])
    sendgrid = provider(server.url)
    logging.getLogger().setLevel(logging.DEBUG)
    for _ in range(2):
        sendgrid.hand_over("i", "a1", PARCELS)
    assert KEY not in caplog.text and "@example.org" not in caplog.text


def test_it_is_a_provider_that_sends_and_knows_nothing_more(server):
    sendgrid = provider(server.url, timeout_s=60)
    assert sendgrid.sends and sendgrid.one_edition and sendgrid.longest_s >= 120
    assert sendgrid.look_up("i", ["1"]) == {} and sendgrid.finish("i", "t") is None
    assert not sendgrid.hand_over("i", "a1", []).receipts
    sendgrid.close()
    dry = provider(server.url, sandbox=True)
    assert not dry.sends and outcomes(dry.hand_over("i", "a1", PARCELS)) == {"accepted": 3} and journal(server) == []


def test_a_send_that_got_no_answer_can_be_cancelled_for_certain(server):
    stand_in = stand_in_of(server)
    stand_in.script.append("reset-after")
    sendgrid = provider(server.url, cancel=True)
    handover = sendgrid.hand_over("i", "a1", PARCELS)
    scheduled = Scheduled.of(handover.ref)
    assert outcomes(handover) == {"uncertain": 3} and scheduled and not scheduled.message_id
    assert len(stand_in.sent()) == 3
    assert sendgrid.void(scheduled.batch_id, scheduled.send_at)
    assert sendgrid.void(scheduled.batch_id, scheduled.send_at)  # was cancelled before: said again
    assert stand_in.sent() == []
    accepted = sendgrid.hand_over("i", "a2", PARCELS, batch_id=sendgrid.create_batch())
    assert outcomes(accepted) == {"accepted": 3} and Scheduled.of(accepted.ref).message_id
    assert len(stand_in.sent()) == 3 and len({line["batch_id"] for line in journal(server) if "batch_id" in line}) == 2


def test_a_cancellation_that_is_late_or_not_confirmed_proves_nothing(server, monkeypatch):
    sendgrid = provider(server.url, cancel=True)
    scheduled = Scheduled.of(sendgrid.hand_over("i", "a1", PARCELS).ref)
    assert not sendgrid.void("unknown", scheduled.send_at)
    with monkeypatch.context() as later:
        later.setattr(sendgrid_provider, "time", SimpleNamespace(time=lambda: scheduled.send_at - 599.0))
        assert not sendgrid.void(scheduled.batch_id, scheduled.send_at)
    with monkeypatch.context() as slow:  # confirmed, but too late to be sure
        clock = iter([scheduled.send_at - 601.0])
        slow.setattr(sendgrid_provider, "time", SimpleNamespace(time=lambda: next(clock, scheduled.send_at - 599.0)))
        assert not sendgrid.void(scheduled.batch_id, scheduled.send_at)
    assert not provider("http://127.0.0.1:9", cancel=True).void(scheduled.batch_id, scheduled.send_at)


def test_a_clock_that_is_behind_makes_no_cancellation_certain(server, monkeypatch):
    """What was set for a moment that is past at SendGrid's left at once, whatever our clock says."""
    monkeypatch.setattr(sendgrid_provider, "time", SimpleNamespace(time=lambda: time.time() - 1200))
    sendgrid = provider(server.url, cancel=True)
    scheduled = Scheduled.of(sendgrid.hand_over("i", "a1", PARCELS).ref)
    assert not sendgrid.void(scheduled.batch_id, scheduled.send_at)
    assert not sendgrid.void(scheduled.batch_id, scheduled.send_at)  # nor where it was cancelled before
    assert len(stand_in_of(server).sent()) == 3


def test_without_a_batch_id_nothing_is_sent(server):
    assert outcomes(provider("http://127.0.0.1:9", cancel=True).hand_over("i", "a1", PARCELS)) == {"deferred": 3}
    wrong = provider(server.url, cancel=True, key="SG.wrong")
    assert "SENDGRID_API_KEY" in wrong.hand_over("i", "a1", PARCELS).stop
    with pytest.raises(ProviderUnusable):
        wrong.create_batch()
    assert journal(server) == []


@pytest.mark.skipif(os.name != "posix", reason="uses SIGKILL")
def test_the_stand_in_as_a_process_keeps_what_it_took(tmp_path):
    command = [sys.executable, "-m", "tests.support.sendgrid_server", "--journal", str(tmp_path / "j"), "--leash", "--fault", "429=0.3"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        port = process.stdout.readline().split()[1]
        sendgrid = provider(f"http://127.0.0.1:{port}", timeout_s=20)
        handed = [sendgrid.hand_over("i", f"a{n}", [make_parcel(n)]).receipts[0] for n in range(10)]
        process.send_signal(signal.SIGKILL)
    taken = [json.loads(line)["did"] for line in (tmp_path / "j").read_text().splitlines()]
    assert taken == [receipt.did for receipt in handed if receipt.outcome == "accepted"] and len(taken) < 10
