"""An issue whose titles, labels and names try to be something else: slots, marks, tags, headers, template code."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime

from digest.compose import Envelope, Look, Reader, sample
from digest.model import Evidence, Image, Interest, Notice, Placed, SelectedSection, Selection, Summary
from tests.support.make import REPOSITORY

TEMPLATES = REPOSITORY / "templates"
SLOT = sample.SLOT
LOOK = replace(
    sample.LOOK, name='The "Quoted" & <Odd> Digest', postal_address="1 Example Street\nExampleton EX1 2MP", timezone="Europe/London"
)
NAMES = ("", "Ana", 'Ana <b> & "c"', "@@WEB@@", "{{ x }} -->", "سارة", "👩\u200d🔬" * 40, "=?utf-8?q?a=0ABcc=3A_x=40y.z?=", "no\u00a0break")
TITLES = (
    "Plain title",
    "Fish & chips <b>bold</b> \"quoted\" 'single'",
    "@@UNSUBSCRIBE@@ @@WHY@@ @@@@",
    "{{ secret }} {% raw %} {# c #} <mj-raw>x</mj-raw> \\u{a0} \\",
    "<!--digest:teaser:0--> --> <!--/digest-->",
    "No\u00a0break 👩\u200d👩\u200d👧 ❤\ufe0f e\u0301 soft\u00adhyphen",
    "دراسة جديدة عن التصلب المتعدد",
    "A title that goes on and on " * 9,
    "=?utf-8?q?a=0AReply-To=3A_evil=40x.test?=",
    "line\nbreak \x1c \x85 \u2028 \u202eoverride",
)
INTERESTS = (
    Interest(id="gut", label="Gut & <diet>"),
    Interest(id="treatment", label='"Treatments" @@WEB@@'),
    Interest(id="symptoms", label="علامات {{ x }}"),
    Interest(id="living", label="Living with it --> 👩\u200d🔬"),
)


def summaries() -> tuple[Summary, ...]:
    """One for each title, with one thing missing here and there, two of them with notices."""
    found = []
    for n, title in enumerate(TITLES):
        found.append(
            Summary(
                identifiers=(f"doi:10.1/--{n}-->@@",),
                title=title,
                published_at=datetime(2026, 4, 2 + n, 23, 30, tzinfo=UTC),
                url=f"http://example.org/{n}?a=1&b=@@WEB@@&c={{x}}",
                source="odd",
                takeaway="" if n == 4 else f"{title}. Found to be so. " * 3,
                limits="" if n % 3 == 0 else f"Only {n} people & <few> mice.",
                evidence=list(Evidence)[n] if n < len(Evidence) else None,
                journal="" if n == 5 else 'J. of "Odd" & Ends \\',
                image=Image(src="https://example.org/x y.jpg", alt='An "alt" \\ & <text> 👩\u200d🔬\u00a0@@WEB@@') if n == 1 else None,
                language="ar" if n == 6 else "",
                illustration=n == 2,
                notice=Notice(kind="correction" if n == 3 else "retraction", at=SLOT.due_at, text=title * 2) if n in (3, 5) else None,
            )
        )
    return tuple(found)


def ids() -> list[str]:
    """The ids of `summaries`, in their order."""
    return [summary.id for summary in summaries()]


def random_selection(source: random.Random) -> Selection:
    """Some sections of some teasers in any order, with or without notices, picks and what did not fit."""
    left = ids()
    source.shuffle(left)
    sections = []
    for interest in source.sample(INTERESTS, source.randint(0, len(INTERESTS))):
        taken = [left.pop() for _ in range(min(source.randint(1, 3), len(left)))]
        others = [other.id for other in INTERESTS if other.id != interest.id]
        teasers = tuple(Placed(summary=id, also_in=tuple(source.sample(others, source.randint(0, 3)))) for id in taken)
        if teasers:
            sections.append(SelectedSection(interest=interest.id, teasers=teasers))
    notices = tuple(source.sample([ids()[3], ids()[5]], source.randint(0, 2)))
    picks = tuple(left[: source.randint(0, 2)]) if not sections or source.random() < 0.3 else ()
    found = Selection(sections=tuple(sections), notices=notices, highlights=picks, left_out=tuple(left[: source.randint(0, 3)]))
    return random_selection(source) if found.empty else found


def reader(name: str = "Ana", email: str = "ana@example.org") -> Reader:
    """A reader with links of the usual length, one of them with an ampersand."""
    base = "https://digest.example.org"
    return Reader(
        email,
        name,
        f"{base}/u/{'a' * 43}?x=1&y=2",
        f"{base}/p/{'b' * 43}",
        f"{base}/w/{'c' * 43}",
        "mailto:unsubscribe@example.org?subject=abc",
    )


def envelope(look: Look = LOOK) -> Envelope:
    """What is fixed before the message is made."""
    return Envelope(
        "<0123456789.abc@example.org>",
        "Fri, 01 May 2026 09:00:00 +0100",
        look.sender,
        look.reply_to,
        "monthly.example.org",
        "a1:m:news:digest",
    )
