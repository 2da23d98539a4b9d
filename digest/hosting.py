"""What a provider keeps of an issue while it goes out: made before the first batch, removed after the last one.

Its name is written down before the provider is asked, so that no crash leaves behind what nobody knows of.
"""

from __future__ import annotations

import secrets

from digest.model import DeliveryState as S
from digest.providers import Hosted, Hosting, Provider, hosting_of
from digest.readiness import Ready
from digest.store import hosted, outcomes
from digest.workspace import Workspace


def begin(workspace: Workspace, provider: Provider, ready: Ready) -> None:
    """Have the provider keep the issue, if it works that way and there is something to hand over.

    Raises:
        DigestError: it cannot, or not now; nothing was handed over.
    """
    hosting = hosting_of(provider)
    if hosting is None:
        return
    with workspace.store.write() as tx:
        if not outcomes.counts(tx, ready.row.id)[S.READY]:
            return
        known = hosted.of(tx, ready.row.id, provider.name)
        kept = known or Hosted(f"digest-{secrets.token_hex(16)}")
        hosted.put(tx, ready.row.id, provider.name, kept)
    made = hosting.host(ready.compiled, kept, fresh=known is None)
    if made != kept:
        with workspace.store.write() as tx:
            hosted.put(tx, ready.row.id, provider.name, made)


def clear(workspace: Workspace, provider: Provider) -> None:
    """Remove what the provider still keeps of issues that are done. What cannot be removed now is tried again next time."""
    if not isinstance(provider, Hosting):
        return
    with workspace.store.read() as tx:
        left = hosted.left_over(tx, provider.name)
    for issue, kept in left.items():
        if provider.unhost(kept):
            with workspace.store.write() as tx:
                hosted.forget(tx, issue)
