"""The subject of an issue's dynamic template: 255 characters, which cannot hold the titles of an issue.

The words that all editions share stand in the template. A title that the subject names travels with the reader, as it does in the email
itself; where it names none, nothing travels.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from digest.compose import CompiledIssue, Edition, phrases
from digest.compose.clean import clean_header
from digest.errors import RenderError
from digest.model import Selection
from digest.providers.sendgrid_lines import GROUPED

MAX_SUBJECT = 255  # characters of a version's subject


@functools.lru_cache(512)
def cleaned(subject: str) -> str:
    """As it may stand in a header. A title is the first of many readers' emails."""
    return clean_header(subject)


class Subject(NamedTuple):
    """``text`` is the version's. The usual subject is what stands ``before`` and ``after`` a title, or ``before`` alone where it is
    ``fixed``; ``notices`` is that of an email without teasers. All empty where every subject travels whole.
    """

    text: str
    before: str = ""
    after: str = ""
    notices: str = ""
    fixed: bool = False

    @classmethod
    def of(cls, compiled: CompiledIssue) -> Subject:
        """That of an issue."""
        known, pieces = compiled.known, compiled.phrases.words["subject"][0].pieces
        notices = phrases.subject(compiled.phrases, known, Selection())
        if known.subject or len(pieces) == 1:
            usual = phrases.subject(compiled.phrases, known, Selection(highlights=(next(iter(compiled.numbers)),)))
            made = cls(f"{{{{#if q}}}}{notices}{{{{else}}}}{usual}{{{{/if}}}}", usual, "", notices, True)
        else:
            before, after = pieces[0], pieces[-1]
            usual = f"{before}{{{{{{s}}}}}}{after}"
            text = f"{{{{#if subject}}}}{{{{{{subject}}}}}}{{{{else}}}}{{{{#if q}}}}{notices}{{{{else}}}}{usual}{{{{/if}}}}{{{{/if}}}}"
            made = cls(text, before, after, notices)
        if len(made.text) > MAX_SUBJECT or re.search(r"[\\{}]", made.before + made.after + made.notices):
            return cls("{{{subject}}}")
        return made

    def data(self, edition: Edition) -> dict[str, str | int]:
        """What a request says of an edition's subject.

        Raises:
            RenderError: the template's is another one, for everybody.
        """
        subject = cleaned(edition.subject)
        if not (self.before or self.after or self.notices):
            return {"subject": subject}
        if subject == self.notices and not edition.selection.teasers:
            return {"q": 1}
        if self.fixed:
            if subject != self.before:
                raise RenderError(f"the subject of this edition is not the issue's; {GROUPED}")
            return {}
        title = subject.removeprefix(self.before).removesuffix(self.after)
        return {"s": title} if title and subject == f"{self.before}{title}{self.after}" else {"subject": subject}
