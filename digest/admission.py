"""How many requests with an address are let in: by network and in all, counted in the database for all processes at once.

Up to half of a budget everybody is let in alike. Beyond it a proof of work is let in by a budget of its own, ten times as
large, and what is left is for those who have none: people without JavaScript.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from sqlalchemy import Connection

from digest.config import Budgets
from digest.errors import DigestError
from digest.proof import Solved
from digest.store import budgets
from digest.vault import Vault

PROVEN = 10  # how many times as many are let in who prove some work
_TIGHT = 0.5


class Asker(NamedTuple):
    """Who asks, as far as we want to know: the network, coarsely, and the proof of work they brought, if any."""

    network: str
    solved: Solved | None = None


class TooMany(DigestError):
    """A budget is spent: nothing was taken in; ask again after so many seconds."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("too many requests with an address are coming in; pages.budgets sets how many are taken in an hour")
        self.retry_after_s = retry_after_s


def tight(tx: Connection, vault: Vault, network: str) -> bool:
    """Whether more than half of a budget that counts for this network is used."""
    return budgets.used(tx, ("all", _name(vault, network))) > _TIGHT


def let_in(tx: Connection, vault: Vault, limits: Budgets, asker: Asker) -> None:
    """Count one request. It is counted only if the transaction goes through: with what was asked for or not at all.

    Raises:
        TooMany: it is over budget; what was written here must be undone.
    """
    own = _name(vault, asker.network)
    if asker.solved and tight(tx, vault, asker.network) and budgets.spend(tx, asker.solved.mark, asker.solved.until):
        large = {f"proven {own}": limits.network_per_hour * PROVEN, "proven all": limits.all_per_hour * PROVEN}
        if not budgets.take(tx, large):
            return
    if wait_s := budgets.take(tx, {own: limits.network_per_hour, "all": limits.all_per_hour}):
        raise TooMany(math.ceil(wait_s))


def _name(vault: Vault, network: str) -> str:
    return vault.index(f"network\n{network}").hex()
