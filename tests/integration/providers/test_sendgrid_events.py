"""The stand-in's events: signed so that the package's own check and an independent one accept them, lost and repeated as asked."""

from __future__ import annotations

import base64
import json
import random
import threading
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sendgrid.helpers.eventwebhook import EventWebhook

from tests.support.sendgrid_events import FATES, SIGNATURE, TIMESTAMP, Plan, Signer, Taken, bodies, events_of, stream
from tests.support.sendgrid_server import Server
from tests.support.sendgrid_stand_in import StandIn

TAKEN = [Taken(f"reader{n}@example.org", f"d{n}", "a1", "m" * 22, n) for n in range(200)]


def test_the_signature_is_the_one_the_package_checks():
    signer, body = Signer(), '[{"email": "é@example.org"}]\r\n'.encode()
    headers = signer.headers(body, timestamp=1_600_112_502)
    webhook = EventWebhook(signer.public_key)
    assert webhook.verify_signature(body.decode(), headers[SIGNATURE], headers[TIMESTAMP])
    assert not webhook.verify_signature(body.decode().strip(), headers[SIGNATURE], headers[TIMESTAMP])
    key = serialization.load_der_public_key(base64.b64decode(signer.public_key))
    key.verify(base64.b64decode(headers[SIGNATURE]), headers[TIMESTAMP].encode() + body, ec.ECDSA(hashes.SHA256()))
    with pytest.raises(InvalidSignature):
        key.verify(base64.b64decode(headers[SIGNATURE]), b"1" + body, ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize("fate", FATES)
def test_events_of_each_fate_have_the_documented_fields(fate):
    found = events_of(TAKEN[3], Plan(fates={fate: 1}), random.Random(1))
    for event in found:
        assert {"email", "timestamp", "event", "sg_event_id", "sg_message_id", "smtp-id", "did", "aid"} <= event.keys()
        assert event["sg_message_id"].startswith("m" * 22) and type(event["timestamp"]) is int
    last = found[-1]
    assert last["event"] == {"blocked": "bounce", "deferred": "delivered"}.get(fate, fate)
    if last["event"] == "bounce":
        assert last["type"] == fate and last["bounce_classification"]


def test_an_asynchronous_bounce_says_neither_message_nor_delivery():
    last = events_of(TAKEN[3], Plan(fates={"bounce": 1}, asynchronous=1), random.Random(1))[-1]
    assert not {"sg_message_id", "did", "aid"} & last.keys() and last["email"] == "reader3@example.org"


def test_events_are_lost_repeated_and_shuffled_by_the_seed():
    plan = Plan(fates={"delivered": 1}, repeat=5, shuffle=True, lose=0.3)
    found = stream(TAKEN, plan, random.Random(7))
    assert [event["did"] for event in found] == [event["did"] for event in stream(TAKEN, plan, random.Random(7))]
    times = Counter((event["did"], event["event"]) for event in found)
    assert 400 * 0.55 < len(times) < 400 * 0.85 and max(times.values()) == 5
    assert len({event["sg_event_id"] for event in found}) > len(times)  # some repeats come under another id
    assert [event["did"] for event in found] != sorted(event["did"] for event in found)
    assert sum((json.loads(body) for body in bodies(found, plan, random.Random(7))), []) == found


def test_events_are_posted_again_until_they_are_taken():
    got: list[tuple[dict[str, str], bytes]] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(503 if len(got) == 1 else 204)
            self.end_headers()

        def log_message(self, format, *args):
            pass

    webhook = HTTPServer(("127.0.0.1", 0), Webhook)
    thread = threading.Thread(target=webhook.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        stand_in = StandIn(taken=list(TAKEN))
        assert set(stand_in.emit(f"http://127.0.0.1:{webhook.server_port}/webhooks/sendgrid", Plan(most=100))) == {204}
    finally:
        webhook.shutdown()
        thread.join()
        webhook.server_close()
    assert got[0][1] == got[1][1]
    check = EventWebhook(stand_in.signer.public_key)
    assert all(check.verify_signature(body.decode(), headers[SIGNATURE], headers[TIMESTAMP]) for headers, body in got)
    assert Counter(event["event"] for _, body in got[1:] for event in json.loads(body)) == {"processed": 200, "delivered": 200}


def test_the_stand_in_is_steered_while_it_runs():
    stand_in, webhook = StandIn(taken=list(TAKEN)), StandIn()
    servers = [Server(stand_in), Server(webhook)]
    threads = [threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}) for server in servers]
    for thread in threads:
        thread.start()
    try:
        assert tell(f"{servers[0].url}/stand-in/script", ["reset-after", ""]) == 2
        assert list(stand_in.script) == ["reset-after", ""]
        statuses = tell(f"{servers[0].url}/stand-in/events", {"url": f"{servers[1].url}/stand-in/script", "most": 400})
        assert set(statuses) == {200} and len(webhook.script) == 400  # any address will do
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()


def tell(url, what):
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(what).encode())) as answer:
        return json.loads(answer.read())
