"""The brake: an issue pauses by itself when too much of it comes back.

Many addresses that are gone, or a refusal of what we are or say, tell the large mailbox providers that this sender does not
mind its list; going on costs every other reader's mail (EMAIL section 10). The operator looks, and resumes; what had been
seen until then does not pause it again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sqlalchemy import Connection

from digest.config import Brake
from digest.store import holding, returns
from digest.store.returns import Return
from digest.verdict import is_policy

log = logging.getLogger(__name__)

LEAST_HARD = 3  # of a list of ten one dead address is a tenth, and no sign of anything


def too_many_gone(rule: Brake, gone: int, planned: int) -> bool:
    """Whether so many dead addresses among the first messages of an issue are too many."""
    return gone >= LEAST_HARD and gone * 100 > rule.hard_percent * min(rule.first, planned)


def check(tx: Connection, issue: int, rule: Brake, fresh: Sequence[Return]) -> bool:
    """Pause the issue if what came back of it, ``fresh`` among it and written already, asks for that; recorded.

    Only what was handed over since the issue began, or was last resumed, counts. Returns whether it was paused now.
    """
    going = returns.going_out(tx, issue) if fresh else None
    if going is None:
        return False
    why = _refused(tx, issue, going, rule, fresh) or _gone(tx, issue, going, rule, fresh)
    if not why:
        return False
    holding.pause(tx, issue, why)
    holding.record(tx, "the brake", "pause", going.name, why)
    log.error("an issue was paused", extra={"action": "brake", "issue": going.name, "why": why})
    return True


def _refused(tx: Connection, issue: int, going: returns.Going, rule: Brake, fresh: Sequence[Return]) -> str:
    if not rule.policy_refusals or not any(is_policy(one.kind, one.code) for one in fresh):
        return ""
    codes = {one.did: one.code for one in returns.blocked(tx, issue, going.since) if is_policy(one.kind, one.code)}
    if len(codes) < rule.policy_refusals:
        return ""
    code = next(filter(None, codes.values()), "no code")
    many = "a message was" if len(codes) == 1 else f"{len(codes)} messages were"
    return f"{many} refused by policy ({code}), for what we are or say and not for the reader: find out why before more goes out"


def _gone(tx: Connection, issue: int, going: returns.Going, rule: Brake, fresh: Sequence[Return]) -> str:
    hard = {one.did for one in fresh if one.kind == "hard"}
    if not hard:
        return ""
    early = returns.first_handed_over(tx, issue, going.since, rule.first)
    if not hard & early:
        return ""
    gone = returns.gone(tx, early)
    if not too_many_gone(rule, gone, going.planned):
        return ""
    return f"{gone} of the first {len(early)} messages came back because the address is gone: look at where this list comes from"
