"""Outgoing webhooks: which hosts they may reach besides public ones, and how long each may take."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from digest.model import Frozen


class Hooks(Frozen):
    """``allow`` names hosts (``host`` or ``host:port``) inside one's own network, which may also be told by http; everybody else
    by https and on a public address. One hand-over takes at most ``timeout_s`` in all.
    """

    allow: tuple[str, ...] = ()
    timeout_s: Annotated[float, Field(ge=0.1, le=60)] = 10
