"""The stand-in's events: in the shapes that SendGrid documents, signed as its webhook signs, repeated, shuffled and lost."""

from __future__ import annotations

import base64
import json
import random
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.error import HTTPError, URLError

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"
FATES = ("delivered", "bounce", "blocked", "dropped", "deferred", "spamreport", "unsubscribe")
Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Taken:
    """One accepted personalization, as far as events need it."""

    email: str
    did: str
    aid: str
    message_id: str  # X-Message-Id of its request
    number: int
    batch_id: str = ""
    send_at: int = 0


@dataclass(frozen=True)
class Plan:
    """What becomes of the accepted and of their events.

    ``fates`` weighs FATES; ``repeat`` is how often each event comes at most, ``lose`` the probability that one never comes,
    ``asynchronous`` that a bounce comes back by Return-Path (without sg_message_id and custom arguments).
    """

    fates: Mapping[str, float] = field(default_factory=lambda: {"delivered": 1.0})
    repeat: int = 1
    shuffle: bool = False
    lose: float = 0.0
    asynchronous: float = 0.0
    most: int = 500  # events in one POST; SendGrid goes by 768 kB


class Signer:
    """Signs as the webhook does: ECDSA on P-256 with SHA-256 over the timestamp and the raw body."""

    def __init__(self, key: ec.EllipticCurvePrivateKey | None = None) -> None:
        self._key = key or ec.generate_private_key(ec.SECP256R1())

    @property
    def public_key(self) -> str:
        """As the settings page shows it: base64 of the DER SubjectPublicKeyInfo."""
        der = self._key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(der).decode()

    @classmethod
    def of(cls, pem: bytes) -> Signer:
        """With the key of a PEM file."""
        key = serialization.load_pem_private_key(pem, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return cls(key)

    def headers(self, body: bytes, timestamp: int | None = None) -> dict[str, str]:
        """The two header fields of a POST, at Unix seconds ``timestamp``."""
        stamp = str(int(time.time()) if timestamp is None else timestamp)
        signature = self._key.sign(stamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        return {SIGNATURE: base64.b64encode(signature).decode(), TIMESTAMP: stamp}


def events_of(taken: Taken, plan: Plan, source: random.Random) -> list[Event]:
    """What happens to one accepted message, in order."""
    fate = source.choices(list(plan.fates), list(plan.fates.values()))[0]
    if fate == "dropped":
        return [_event(taken, "dropped", source, reason="Bounced Address", status="5.0.0")]
    found = [_event(taken, "processed", source, pool={"name": "stand-in", "id": 1}, send_at=taken.send_at)]
    if fate == "deferred":
        found.append(_event(taken, "deferred", source, response="400 try again later", attempt="1"))
    if fate in ("bounce", "blocked"):
        return [*found, _bounce(taken, fate, plan, source)]
    found.append(_event(taken, "delivered", source, response="250 OK", ip="192.0.2.1", tls=1))
    if fate in ("spamreport", "unsubscribe"):
        found.append(_event(taken, fate, source))
    return found


def _bounce(taken: Taken, kind: str, plan: Plan, source: random.Random) -> Event:
    hard = kind == "bounce"
    made = _event(
        taken,
        "bounce",
        source,
        type=kind,
        reason="550 5.1.1 The email account does not exist" if hard else "421 4.7.0 refused for now",
        status="5.1.1" if hard else "4.7.0",
        bounce_classification="Invalid Address" if hard else "Reputation",
        ip="192.0.2.1",
        tls=1,
    )
    if source.random() < plan.asynchronous:
        made = {key: value for key, value in made.items() if key not in ("sg_message_id", "smtp-id", "did", "aid")}
    return made


def _event(taken: Taken, kind: str, source: random.Random, **more: Any) -> Event:
    made: Event = {
        "email": taken.email,
        "timestamp": int(time.time()),
        "smtp-id": f"<{taken.did}@stand-in.example.org>",
        "event": kind,
        "sg_event_id": base64.urlsafe_b64encode(source.randbytes(16)).decode().rstrip("="),
        "sg_message_id": f"{taken.message_id}.recvd-5f4d-{taken.number:x}-0.0",
    }
    return {**made, "did": taken.did, "aid": taken.aid, **{key: value for key, value in more.items() if value != 0 or key == "tls"}}


def stream(accepted: Iterable[Taken], plan: Plan, source: random.Random) -> list[Event]:
    """The events of many, as they come in: lost, repeated (every other time under another sg_event_id), shuffled."""
    found: list[Event] = []
    for taken in accepted:
        for event in events_of(taken, plan, source):
            if source.random() < plan.lose:
                continue
            found.append(event)
            for _ in range(source.randint(1, plan.repeat) - 1):
                fresh = {"sg_event_id": base64.urlsafe_b64encode(source.randbytes(16)).decode().rstrip("=")}
                found.append({**event, **(fresh if source.random() < 0.5 else {})})
    if plan.shuffle:
        source.shuffle(found)
    return found


def bodies(events: Sequence[Event], plan: Plan, source: random.Random) -> Iterator[bytes]:
    """The events as bodies of POSTs, split anywhere; raw ones end with a line break."""
    start = 0
    while start < len(events):
        stop = start + source.randint(1, plan.most)
        yield json.dumps(events[start:stop], ensure_ascii=False).encode() + b"\r\n"
        start = stop


def post(url: str, body: bytes, signer: Signer, *, tries: int = 5) -> int:
    """One POST, tried again while the answer is not 2xx. Returns the last status, 0 where there was no answer."""
    status = 0
    for attempt in range(tries):
        time.sleep(0.05 * attempt)
        headers = {"Content-Type": "application/json", "User-Agent": "SendGrid Event API", **signer.headers(body)}
        request = urllib.request.Request(url, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except HTTPError as error:
            status = error.code
            error.close()
        except (URLError, OSError):
            status = 0
    return status
