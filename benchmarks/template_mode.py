"""SendGrid's `mode: template` beside `mode: grouped` where every reader has another selection: bytes, requests, and equal mail.

    python -m benchmarks.template_mode [--readers 10000] [--teasers 9] [--summaries 50] [--seed 20261122]

One issue is compiled from the repository's templates; each reader gets their own draw of teasers under their own interests. The
same parcels go through the provider twice, into strict stand-ins for SendGrid on loopback: one edition a request, then
1000 readers a request with the issue's template, which is made before and removed after. Counted are requests and the bytes of
their bodies as they arrive, those of the Templates API with them. The stand-ins render every message, and each is compared with the
one of the other mode and with our own composition. Fails where one differs. The last line is JSON.

The template leaves once an issue, about 340 kB, so the ratio depends on how many readers share it: 10,000 are a small list for which
every reader has another selection. ``goal_from_readers`` says from how many on the bytes are a fiftieth; with fewer readers than that the
goal cannot be judged by ``bytes_ratio``, and the line before the last says so. ``reader_bytes`` is what a reader adds in each mode.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from digest.compose import CompiledIssue, Reader, compile_issue, html_of, make_edition, sample, text_of
from digest.config import SendGridSettings
from digest.model import Evidence, Interest, Placed, SelectedSection, Selection, Summary
from digest.providers import Hosted, Parcel
from digest.providers.sendgrid import SendGrid
from tests.support.compose import TEMPLATES, envelope
from tests.support.sendgrid_rules import Rendered
from tests.support.sendgrid_server import Server
from tests.support.sendgrid_stand_in import KEY, StandIn

INTERESTS = 30
GOAL = 50
STEP = 1000  # readers at a time: no more of their messages are held at once
WORDS = "walking rest gut vision balance memory fatigue trial diet nerve repair heat cold sleep exercise mood pain reading".split()


def main() -> int:
    """Run both modes and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--readers", type=int, default=10_000)
    parser.add_argument("--teasers", type=int, default=9)
    parser.add_argument("--summaries", type=int, default=50)
    parser.add_argument("--seed", type=int, default=20261122)
    given = parser.parse_args()
    source = random.Random(given.seed)
    summaries, interests = things(given.summaries, source)
    compiled = compile_issue(TEMPLATES, sample.LOOK, sample.SLOT, summaries, interests)
    say(f"{given.readers} readers, as many selections, {given.teasers} of {given.summaries} summaries, seed {given.seed}")
    differing, had = 0, set[Selection]()
    with ExitStack() as stack:
        modes = {mode: stack.enter_context(Mode.made(mode, compiled)) for mode in ("grouped", "template")}
        upload = modes["template"].stand_in.received
        for start in range(0, given.readers, STEP):
            parcels = different(compiled, range(start, min(given.readers, start + STEP)), given.teasers, source, had)
            mail = [mode.rendered(parcels) for mode in modes.values()]
            differing += sum(not same(parcel, *(one.get(parcel.did) for one in mail)) for parcel in parcels)
    for name, mode in modes.items():
        say(f"{name:9} {mode.stand_in.requests:6} requests {mode.stand_in.received:13,} bytes {mode.seconds:7.1f} s")
    grouped, template = (mode.stand_in for mode in modes.values())
    each = {"grouped": grouped.received / given.readers, "template": (template.received - upload) / given.readers}
    room = each["grouped"] / GOAL - each["template"]
    figures: dict[str, Any] = {
        "readers": given.readers,
        "teasers": given.teasers,
        "summaries": given.summaries,
        "seed": given.seed,
        **{f"{name}_{what}": value for name, mode in modes.items() for what, value in mode.figures.items()},
        "template_upload_bytes": upload,
        "reader_bytes": {name: round(value) for name, value in each.items()},
        "bytes_ratio": round(grouped.received / template.received, 1),
        "requests_ratio": round(grouped.requests / template.requests, 1),
        "goal_from_readers": math.ceil(upload / room) if room > 0 else None,
        "different_messages": differing,
    }
    say(f"1/{figures['bytes_ratio']} of the bytes, 1/{figures['requests_ratio']} of the requests, {differing} messages differ")
    say(judged(given.readers, figures["goal_from_readers"]))
    say(json.dumps(figures))
    return 1 if differing else 0


def judged(readers: int, needed: int | None) -> str:
    """What this run can say of the goal for bytes."""
    if needed is None:
        return f"1/{GOAL} of the bytes is not reached with any number of readers: a reader alone takes more"
    if readers < needed:
        return f"1/{GOAL} of the bytes is reached from {needed:,} readers on, who share the upload; {readers:,} are too few to judge it"
    return f"1/{GOAL} of the bytes is reached from {needed:,} readers on"


def things(count: int, source: random.Random) -> tuple[list[Summary], list[Interest]]:
    """Summaries as long as real ones, and interests."""

    def words(least: int, most: int) -> str:
        return " ".join(source.choices(WORDS, k=source.randint(least, most))).capitalize()

    summaries = [
        Summary(
            identifiers=(f"source:bench:{n}",),
            title=words(6, 12),
            published_at=datetime(2026, 4, 1 + n % 28, tzinfo=UTC),
            url=f"https://digest.example.org/summaries/{n}",
            source="bench",
            takeaway=f"{words(14, 24)}.",
            limits=f"{words(8, 14)}.",
            evidence=source.choice(list(Evidence)),
            journal=words(2, 4),
        )
        for n in range(count)
    ]
    return summaries, [Interest(id=f"interest{n}", label=f"{words(1, 3)} {n}") for n in range(INTERESTS)]


def different(compiled: CompiledIssue, numbers: Sequence[int], teasers: int, source: random.Random, had: set[Selection]) -> list[Parcel]:
    """A parcel for each reader, with a selection that nobody had before."""
    made, look = [], sample.LOOK
    for n in numbers:
        while (selection := draw(compiled, teasers, source)) in had:
            pass
        had.add(selection)
        # Tokens and Message-IDs as long as real ones.
        links = (f"{look.url}/{path}/{source.randbytes(32).hex()[:length]}" for path, length in (("u", 39), ("p", 44), ("w", 39)))
        letter = envelope(look)._replace(message_id=f"<{n:032x}@{look.list_domain}>")
        person = Reader(f"reader{n}@example.org", source.choice(("", "Ana", "Björn Ødegård")), *links)
        made.append(Parcel(f"{n:032x}", make_edition(compiled, selection), person, letter))
    return made


def draw(compiled: CompiledIssue, teasers: int, source: random.Random) -> Selection:
    """Some teasers under some interests, four in ten of which fit further ones, too."""
    shown = source.sample(list(compiled.numbers), teasers)
    follows = source.sample(list(compiled.section_numbers), 6)
    sections = []
    while shown:
        here, shown = shown[: (size := source.randint(1, 4))], shown[size:]
        interest = follows[len(sections) % 6] if len(sections) < 6 else None
        if interest is None:
            break
        others = [other for other in follows if other != interest]
        placed = tuple(Placed(summary=id, also_in=tuple(source.sample(others, source.choice((0, 0, 0, 1, 2))))) for id in here)
        sections.append(SelectedSection(interest=interest, teasers=placed))
    return Selection(sections=tuple(sections), left_out=tuple(shown))


class Mode:
    """One way to hand over, and its stand-in."""

    def __init__(self, name: str, stand_in: StandIn, url: str) -> None:
        settings = SendGridSettings.model_validate({"base_url": url, "mode": name, "batch": STEP})
        self.name, self.stand_in, self.seconds = name, stand_in, 0.0
        self.provider = SendGrid(settings, SecretStr(KEY))

    @classmethod
    @contextmanager
    def made(cls, name: str, compiled: CompiledIssue) -> Iterator[Mode]:
        """With the issue hosted, where the mode does that, and removed in the end."""
        with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as (stand_in, url):
            mode = cls(name, stand_in, url)
            hosted = mode.provider.host(compiled, Hosted("digest-benchmark"), fresh=True) if mode.provider.hosts else None
            yield mode
            if hosted is not None and not mode.provider.unhost(hosted):
                raise SystemExit("the template could not be removed")
            if left := len(stand_in.templates.kept):
                raise SystemExit(f"{left} templates are left behind")

    def rendered(self, parcels: list[Parcel]) -> dict[str, Rendered]:
        """Hand them over; the messages by did."""
        started_at = time.monotonic()
        step = STEP if self.provider.hosts else 1
        for start in range(0, len(parcels), step):
            handover = self.provider.hand_over("bench", f"a{parcels[start].did}", parcels[start : start + step])
            if {receipt.outcome for receipt in handover.receipts} != {"accepted"}:
                raise SystemExit(f"{self.name}: not accepted: {handover.stop or handover.receipts[0].reason}")
        self.seconds += time.monotonic() - started_at
        found = {one.arguments["did"]: one for one in self.stand_in.messages}
        self.stand_in.messages.clear()
        self.stand_in.bodies.clear()
        return found

    @property
    def figures(self) -> dict[str, int]:
        """Of all that arrived."""
        return {"requests": self.stand_in.requests, "bytes": self.stand_in.received}


@contextmanager
def served(folder: Path) -> Iterator[tuple[StandIn, str]]:
    """The stand-in, without the check against the provider's OpenAPI, which takes most of the time (the tests do it)."""
    stand_in = StandIn(folder / "journal", schema=False)
    server = Server(stand_in)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield stand_in, server.url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        stand_in.close()


def same(parcel: Parcel, grouped: Rendered | None, template: Rendered | None) -> bool:
    """Whether both modes gave the reader what we compose ourselves, header fields included."""
    if grouped is None or template is None:
        return False
    ours = (parcel.edition.subject, text_of(parcel.edition, parcel.reader), html_of(parcel.edition, parcel.reader))
    return all((one.subject, one.text, one.html) == ours for one in (grouped, template)) and grouped.headers == template.headers


def say(line: str) -> None:
    """Show a result."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
