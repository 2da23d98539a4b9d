"""Tokens as they come in an address."""

from __future__ import annotations

from fastapi import Request

from digest import tokens
from digest.web.look import workspace_of


def read(request: Request, purpose: tokens.Purpose, token: str) -> tokens.Token:
    """What a token says; looks for keys that were added since the process started.

    Raises:
        LinkError: mangled, for another purpose, or not ours.
    """
    vault = workspace_of(request).store.vault
    vault.has(tokens.key_number(token))
    return tokens.read(purpose, token, vault.link_keys)
