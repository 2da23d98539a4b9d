"""OpenID Connect, as far as it can be decided without asking anybody: the address to send a browser to, and whether an ID token counts.

Authorization code with PKCE (RFC 7636), state and nonce. An ID token is signed by RS256 or ES256 with a key that the provider
publishes, for us, by that issuer, for this very log-in; anything else is refused.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from digest.errors import AccountError, ConfigError
from digest.model import Frozen, Instant

ALGORITHMS = ("RS256", "ES256")
LASTS = timedelta(minutes=10)  # from the first step to the last
_SKEW = timedelta(seconds=60)  # two clocks may differ by so much
_RSA_BITS = 2048


class Refusal(AccountError):
    """What came back does not let anybody in. The text is for the log and never repeats what came."""


class UnknownKey(Refusal):
    """The token names a key that is not among these: the provider may have changed them."""


class Metadata(Frozen):
    """What a provider says of itself (OpenID Connect Discovery 1.0)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class Begun(Frozen):
    """A log-in under way, as the browser carries it, sealed. ``session``: who is logged in proves it again; empty for a log-in."""

    state: str
    nonce: str
    verifier: str
    to: str
    at: Instant
    session: str = ""


class Claims(Frozen):
    """Who it is, as the provider vouches for it. ``email`` only where the provider says that it is theirs."""

    issuer: str
    subject: str
    email: str = ""
    preferred: str = ""
    authenticated_at: Instant | None = None
    methods: tuple[str, ...] = ()

    @property
    def second_factor(self) -> bool:
        """Whether the provider asked for more than one factor (RFC 8176)."""
        return "mfa" in self.methods


def begin(to: str, at: datetime, session: str = "") -> Begun:
    """A log-in, or a proof of who is logged in, that begins now."""
    return Begun(
        state=secrets.token_urlsafe(32),
        nonce=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(48),
        to=to,
        at=at,
        session=session,
    )


def address(metadata: Metadata, begun: Begun, client_id: str, redirect_uri: str) -> str:
    """Where to send the browser."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(begun.verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "scope": "openid email profile",
        "state": begun.state,
        "nonce": begun.nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        **({"prompt": "login", "max_age": "0"} if begun.session else {}),
    }
    joint = "&" if "?" in metadata.authorization_endpoint else "?"
    return f"{metadata.authorization_endpoint}{joint}{urlencode(asked)}"


def check_answer(begun: Begun | None, metadata: Metadata, state: str, issuer: str | None, at: datetime) -> Begun:
    """The log-in that an answer belongs to.

    Raises:
        Refusal: it belongs to none of this browser, came too late, or from another provider (RFC 9207).
    """
    if begun is None or not hmac.compare_digest(begun.state.encode(), state.encode()):
        raise Refusal("the answer belongs to no log-in of this browser")
    if not -_SKEW <= at - begun.at <= LASTS:
        raise Refusal("the answer came too late")
    if issuer is None and metadata.authorization_response_iss_parameter_supported:
        raise Refusal("the answer does not say which provider it is from")
    if issuer is not None and issuer != metadata.issuer:
        raise Refusal("the answer is from another provider")
    return begun


def read(token: str, keys: Sequence[Mapping[str, Any]], metadata: Metadata, client_id: str, begun: Begun) -> Claims:
    """Whom an ID token is about.

    Raises:
        UnknownKey: its key is not among these.
        Refusal: it does not count, for whatever reason.
        ConfigError: the library is missing.
    """
    jwt = library()
    try:
        header = jwt.get_unverified_header(token)
        algorithm = header.get("alg")
        if algorithm not in ALGORITHMS:
            raise Refusal("the token is signed in a way that does not count here; RS256 and ES256 do")
        key = _key(keys, header.get("kid"), algorithm)
        claims = jwt.decode(
            token,
            jwt.PyJWK(dict(key), algorithm=algorithm),
            algorithms=[algorithm],
            audience=client_id,
            issuer=metadata.issuer,
            leeway=_SKEW,
            options={"require": ["iss", "sub", "aud", "exp", "iat"]},
        )
    except jwt.PyJWTError as error:
        raise Refusal(f"the token does not count: {type(error).__name__}") from error
    audience = claims["aud"]
    if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != client_id:
        raise Refusal("the token is for several parties, and not given to us")
    if claims.get("azp", client_id) != client_id:
        raise Refusal("the token was given to somebody else")
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), begun.nonce.encode()):
        raise Refusal("the token is not for this log-in")
    found = _claims(claims, metadata.issuer)
    if begun.session and (found.authenticated_at is None or found.authenticated_at < begun.at - _SKEW):
        raise Refusal("the provider did not ask again who it is")
    return found


def library() -> Any:
    """PyJWT.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import jwt
    except ImportError as error:
        raise ConfigError("login.oidc: needs a package that is not installed; run: pip install 'digestpress[oidc]'") from error
    return jwt


def _key(keys: Sequence[Mapping[str, Any]], id: object, algorithm: str) -> Mapping[str, Any]:
    """The one key that can have signed it. A key that says what else it is for, or is too short, is none."""
    kind = {"RS256": "RSA", "ES256": "EC"}[algorithm]
    fits = [
        key
        for key in keys
        if key.get("kty") == kind
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and (id is None or key.get("kid") == id)
        and (kind != "EC" or key.get("crv") == "P-256")
    ]
    if len(fits) != 1:
        raise UnknownKey("the token's key is not among those that the provider publishes")
    if kind == "RSA" and len(_octets(fits[0].get("n"))) * 8 < _RSA_BITS:
        raise Refusal(f"the provider's key is shorter than {_RSA_BITS} bits")
    return fits[0]


def _octets(text: object) -> bytes:
    try:
        return base64.urlsafe_b64decode(str(text) + "==").lstrip(b"\0")
    except ValueError:
        return b""


def _claims(claims: Mapping[str, Any], issuer: str) -> Claims:
    subject, email, when, methods = claims["sub"], claims.get("email"), claims.get("auth_time"), claims.get("amr")
    if not isinstance(subject, str) or not 1 <= len(subject) <= 255:
        raise Refusal("the token names nobody")
    theirs = claims.get("email_verified") in (True, "true") and isinstance(email, str) and len(email) <= 320
    good = isinstance(when, int | float) and not isinstance(when, bool) and 0 < when < 2**33
    return Claims(
        issuer=issuer,
        subject=subject,
        email=email if theirs and isinstance(email, str) else "",
        preferred=str(claims.get("preferred_username") or "")[:200],
        authenticated_at=datetime.fromtimestamp(when, UTC) if good and isinstance(when, int | float) else None,
        methods=tuple(str(one)[:40] for one in methods[:20]) if isinstance(methods, list) else (),
    )


def carried(begun: Begun) -> str:
    """A log-in under way as text, to be sealed."""
    return json.dumps(begun.model_dump(mode="json"))
