"""Logging in by another service, by OpenID Connect."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from digest.accounts import Role
from digest.model import Frozen


def _issuer(url: str) -> str:
    local = re.match(r"^http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/|$)", url)
    if not (local or re.match(r"^https://[^/\s?#@]+(/[^\s?#]*)?$", url)):
        raise ValueError(f'"{url}" must be an address that begins with https:// and has no ? or #, exactly as the provider writes it')
    return url


def _domain(text: str) -> str:
    if not re.match(r"^[a-z0-9-]+(\.[a-z0-9-]+)+$", text.lower()):
        raise ValueError(f'"{text}" is not a domain; write it like example.org')
    return text.lower()


class Oidc(Frozen):
    """A provider that people may log in by.

    Nobody gets in by it who has no account here, unless ``roles`` names their subject, or ``provision`` is the role that everybody
    gets whose verified address is of one of ``email_domains``. ``secret_file`` holds the client's secret, unless the environment does.
    """

    issuer: Annotated[str, AfterValidator(_issuer)]
    client_id: Annotated[str, Field(min_length=1, max_length=500)]
    label: Annotated[str, Field(min_length=1, max_length=60)] = "your organisation"
    secret_file: str = ""
    email_domains: tuple[Annotated[str, AfterValidator(_domain)], ...] = ()
    roles: dict[Annotated[str, Field(min_length=1, max_length=255)], Role] = {}
    provision: Role | None = None
    timeout_s: Annotated[float, Field(gt=0, le=30)] = 10

    @model_validator(mode="after")
    def _whose(self) -> Oidc:
        if self.provision is not None and not self.email_domains:
            raise ValueError("provision would let in whoever the provider knows; name the domains of their addresses in email_domains")
        return self


class Login(Frozen):
    """How people may log in, beside name and password."""

    oidc: Oidc | None = None
