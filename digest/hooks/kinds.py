"""What can be told, and how one says what one wants to be told. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType

from digest.errors import HookError

# Each kind of event and what it means.
KINDS: Mapping[str, str] = MappingProxyType(
    {
        "issue.drafted": "an issue was drafted, or is a draft again",
        "issue.in_review": "the editors were asked to look at it",
        "issue.approved": "it was approved, by as many people as it needs",
        "issue.sending": "everything is planned, and it goes out (or goes on after it was finished)",
        "issue.paused": "it was paused, by a person or by itself",
        "issue.resumed": "it may go on",
        "issue.finished": "nothing of it is open any more",
        "issue.finished_with_held": "the same, and of some hand-overs the outcome was never learnt",
        "issue.cancelled": "nothing more of it leaves",
        "issue.expired": "it was not sent in time and given up",
        "reader.joined": "somebody confirmed, came back, or was brought in by a file as active",
        "reader.changed": "they chose something else, or their pause is over",
        "reader.paused": "they are paused",
        "reader.left": "they ended their subscription, here or through the mail provider",
        "reader.bounced": "their address is suppressed because mail came back",
        "reader.suppressed": "their address is suppressed for another reason",
        "reader.forgotten": "they were erased: forget them, too",
    }
)
TEST = "hook.test"
TOPICS = (*KINDS, "issue.*", "reader.*", "*")


def read_topics(text: str) -> tuple[str, ...]:
    """What a hook wants to be told, from words parted by commas or blanks.

    Raises:
        HookError: a word is none of `TOPICS`, or there is none.
    """
    words = tuple(dict.fromkeys(text.replace(",", " ").split()))
    for word in words:
        if word not in TOPICS:
            near = difflib.get_close_matches(word, TOPICS, 1)
            advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(TOPICS)}"
            raise HookError(f'there is no event "{word[:60]}"; {advice}')
    if not words:
        raise HookError("say which events the hook is told of, such as issue.* or reader.joined,reader.left")
    return words
