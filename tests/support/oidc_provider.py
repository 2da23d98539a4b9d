"""A small OpenID Connect provider over HTTP on loopback: lets in whoever it is told to, and lies where it is told to.

It signs with `cryptography` alone, so that what checks its tokens is not checked by itself. It is strict about what it is asked:
client, redirect address, PKCE, a code counts once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

CLIENT, SECRET = "digest", "s3cret & more"


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def number(value: int, length: int = 0) -> str:
    return b64(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


class Keys:
    """A pair of each kind, made once: RSA takes a while."""

    ours = rsa.generate_private_key(65537, 2048)
    short = rsa.generate_private_key(65537, 1024)
    strange = rsa.generate_private_key(65537, 2048)
    curve = ec.generate_private_key(ec.SECP256R1())


def public_rsa(key: Any, kid: str) -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    return {"kty": "RSA", "kid": kid, "use": "sig", "n": number(numbers.n), "e": number(numbers.e)}


def public_ec(key: Any, kid: str) -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "kid": kid, "x": number(numbers.x, 32), "y": number(numbers.y, 32)}


def signed(header: dict[str, Any], claims: dict[str, Any], key: Any) -> str:
    """A token, signed as its header says with a key of that kind; by ``HS256`` with a text."""
    head = b64(json.dumps(header).encode()) + "." + b64(json.dumps(claims).encode())
    match header["alg"]:
        case "none":
            return head + "."
        case "HS256":
            return head + "." + b64(hmac.new(key, head.encode(), hashlib.sha256).digest())
        case "ES256":
            r, s = decode_dss_signature(key.sign(head.encode(), ec.ECDSA(hashes.SHA256())))
            return head + "." + b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        case "RS512":
            return head + "." + b64(key.sign(head.encode(), padding.PKCS1v15(), hashes.SHA512()))
    return head + "." + b64(key.sign(head.encode(), padding.PKCS1v15(), hashes.SHA256()))


class Provider:
    """What it says and whom it lets in. ``claims`` go into every token; ``twist`` changes header and claims, or the whole token."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.reset()

    def reset(self) -> None:
        self.claims: dict[str, Any] = {"sub": "nora-17", "email": "nora@example.org", "email_verified": True}
        self.header: dict[str, Any] = {"alg": "RS256", "kid": "one"}
        self.key: Any = Keys.ours
        self.published = [public_rsa(Keys.ours, "one"), public_ec(Keys.curve, "two")]
        self.twist: Callable[[dict[str, Any], dict[str, Any]], str | None] = lambda header, claims: None
        self.described: dict[str, Any] = {}
        self.answer_as: dict[str, str] = {}  # more fields of the answer by the browser
        self.status = 200
        self.asked: list[dict[str, str]] = []  # what browsers came with
        self.posts = 0
        self._codes: dict[str, dict[str, str]] = {}

    def description(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": self.url + "/authorize?tenant=1",
            "token_endpoint": self.url + "/token",
            "jwks_uri": self.url + "/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            **self.described,
        }

    def authorize(self, query: str) -> str:
        """Where the browser is sent back to: nobody has to type anything here."""
        asked = dict(parse_qsl(query))
        assert asked["response_type"] == "code" and asked["client_id"] == CLIENT and "openid" in asked["scope"].split()
        assert asked["code_challenge_method"] == "S256" and len(asked["state"]) > 20 and len(asked["nonce"]) > 20
        self.asked.append(asked)
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        return asked["redirect_uri"] + "?" + urlencode({"code": code, "state": asked["state"], **self.answer_as})

    def token(self, fields: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        self.posts += 1
        if self.status != 200:
            return self.status, {"error": "server_error"}
        name, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        asked = self._codes.pop(fields.get("code", ""), None)
        challenge = b64(hashlib.sha256(fields.get("code_verifier", "").encode()).digest())
        if (unquote(name), unquote(secret)) != (CLIENT, SECRET):
            return 401, {"error": "invalid_client"}
        if asked is None or asked["code_challenge"] != challenge or asked["redirect_uri"] != fields["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"], **self.claims}
        if "max_age" in asked and "auth_time" not in claims:
            claims["auth_time"] = now
        header = dict(self.header)
        whole = self.twist(header, claims)
        return 200, {"token_type": "Bearer", "access_token": "unused", "id_token": whole or signed(header, claims, self.key)}


def pem(key: Any) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@contextmanager
def providing(host: str = "127.0.0.1") -> Iterator[Provider]:
    """A provider on a free port of this machine, until the block ends. As ``localhost`` it is another site to a browser."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            match parts.path:
                case "/.well-known/openid-configuration":
                    self._say(200, provider.description())
                case "/keys":
                    self._say(200, {"keys": provider.published})
                case "/authorize":
                    self.send_response(302)
                    self.send_header("Location", provider.authorize(parts.query))
                    self.end_headers()
                case _:
                    self._say(404, {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            fields = {name: values[0] for name, values in parse_qs(body).items()}
            self._say(*provider.token(fields, self.headers.get("Authorization", "")))

        def _say(self, status: int, found: dict[str, Any]) -> None:
            body = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    provider = Provider(f"http://{host}:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
