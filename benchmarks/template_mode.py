"""SendGrid's `mode: template` beside `mode: grouped` where every reader has another selection: bytes, requests, and equal mail.

    python -m benchmarks.template_mode [--readers 2000] [--teasers 9] [--summaries 50] [--seed 20261122]

One issue is compiled from the repository's templates; each reader gets their own draw of teasers under their own interests. The
same parcels go through the provider twice, into a strict stand-in for SendGrid on loopback: one edition a request, then
1000 readers a request with the issue's template, which is made before and removed after. Counted are requests and the bytes of
their bodies, those of the Templates API with them. The stand-in renders every message, and each is compared with the one of
the other mode and with our own composition. Fails where one differs. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pydantic import SecretStr

from digest.compose import CompiledIssue, Reader, compile_issue, html_of, make_edition, sample, text_of
from digest.config import SendGridSettings
from digest.model import Evidence, Interest, Placed, SelectedSection, Selection, Summary
from digest.providers import Hosted, Parcel
from digest.providers.sendgrid import SendGrid
from digest.providers.sendgrid_http import Line, as_json
from tests.support.compose import TEMPLATES, envelope
from tests.support.sendgrid_rules import Rendered
from tests.support.sendgrid_server import Server
from tests.support.sendgrid_stand_in import KEY, StandIn

INTERESTS = 30
WORDS = "walking rest gut vision balance memory fatigue trial diet nerve repair heat cold sleep exercise mood pain reading".split()


def main() -> int:
    """Run both modes and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--readers", type=int, default=2000)
    parser.add_argument("--teasers", type=int, default=9)
    parser.add_argument("--summaries", type=int, default=50)
    parser.add_argument("--seed", type=int, default=20261122)
    given = parser.parse_args()
    source = random.Random(given.seed)
    summaries, interests = things(given.summaries, source)
    compiled = compile_issue(TEMPLATES, sample.LOOK, sample.SLOT, summaries, interests)
    parcels = different(compiled, given.readers, given.teasers, source)
    say(f"{given.readers} readers, as many selections, {given.teasers} of {given.summaries} summaries, seed {given.seed}")
    taken: dict[str, dict[str, int | float]] = {}
    mail: dict[str, dict[str, Rendered]] = {}
    for mode in ("grouped", "template"):
        taken[mode], mail[mode] = through(mode, compiled, parcels)
        say(f"{mode:9} {taken[mode]['requests']:6} requests {taken[mode]['bytes']:13,} bytes {taken[mode]['seconds']:7.1f} s")
    differing = sum(not same(parcel, *(mail[mode].get(parcel.did) for mode in mail)) for parcel in parcels)
    figures: dict[str, Any] = {
        "readers": given.readers,
        "teasers": given.teasers,
        "summaries": given.summaries,
        "seed": given.seed,
        **{f"{mode}_{name}": value for mode, found in taken.items() for name, value in found.items() if name != "seconds"},
        "bytes_ratio": round(taken["grouped"]["bytes"] / taken["template"]["bytes"], 1),
        "requests_ratio": round(taken["grouped"]["requests"] / taken["template"]["requests"], 1),
        "different_messages": differing,
    }
    say(f"1/{figures['bytes_ratio']} of the bytes, 1/{figures['requests_ratio']} of the requests, {differing} messages differ")
    say(json.dumps(figures))
    return 1 if differing else 0


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


def different(compiled: CompiledIssue, readers: int, teasers: int, source: random.Random) -> list[Parcel]:
    """A parcel for each reader, no two with the same selection."""
    made: dict[Selection, Parcel] = {}
    while len(made) < readers:
        n = len(made)
        selection = draw(compiled, teasers, source)
        links = (f"https://digest.example.org/{path}/{source.randbytes(32).hex()[:44]}" for path in "upw")
        person = Reader(f"reader{n}@example.org", source.choice(("", "Ana", "Björn Ødegård")), *links)
        made[selection] = Parcel(f"{n:032x}", make_edition(compiled, selection), person, envelope(sample.LOOK))
    return list(made.values())


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


def through(mode: str, compiled: CompiledIssue, parcels: list[Parcel]) -> tuple[dict[str, int | float], dict[str, Rendered]]:
    """Hand all parcels over; what it took, and the rendered messages by did."""
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as (stand_in, url), counted() as count:
        settings = SendGridSettings.model_validate({"base_url": url, "mode": mode, "batch": 1000})
        provider = SendGrid(settings, SecretStr(KEY))
        started_at = time.monotonic()
        hosted = provider.host(compiled, Hosted("digest-benchmark"), fresh=True) if provider.hosts else None
        step = 1000 if provider.hosts else 1
        for start in range(0, len(parcels), step):
            handover = provider.hand_over("bench", f"a{start}", parcels[start : start + step])
            if {receipt.outcome for receipt in handover.receipts} != {"accepted"}:
                raise SystemExit(f"{mode}: not accepted: {handover.stop or handover.receipts[0].reason}")
        if hosted is not None and not provider.unhost(hosted):
            raise SystemExit("the template could not be removed")
        left = len(stand_in.templates.kept)
        if left:
            raise SystemExit(f"{left} templates are left behind")
        return {**count, "seconds": time.monotonic() - started_at}, {one.arguments["did"]: one for one in stand_in.messages}


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


@contextmanager
def counted() -> Iterator[dict[str, int]]:
    """Requests, and the bytes of their bodies as the package writes them."""
    count = {"requests": 0, "bytes": 0}
    call = Line.call

    def counting(self: Line, method: str, path: str, body: Any = None, query: Any = None) -> Any:
        count["requests"] += 1
        text = body if body is None or isinstance(body, str) else as_json(body)
        count["bytes"] += len((text or "").encode())
        return call(self, method, path, body, query)

    with patch.object(Line, "call", counting):
        yield count


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
