"""Personalised messages composed per second on one core, against the naive pipeline and against joining bytes and nothing else.

    python -m benchmarks.compose_speed --seed 1 --seconds 3

An issue of 50 summaries; a reader gets nine, in about 50 KB of MIME. Four ways, one after another in one process, in turns so
that a busy machine slows all of them alike; the median turn counts.

- ``digest``: from an edition and a reader's own values (name, address, three signed links) to the bytes of the message.
- ``naive``: what one would write for each reader: Jinja2 → mjml-python → premailer → ``EmailMessage``, with the templates of
  this repository, environments and templates loaded once, and premailer's defaults.
- ``join``: ``b"".join`` of the same message's pieces, made beforehand, and nothing else.
- ``worst``: every message of an edition of its own, selected anew: the parts joined, then the message.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

from digest import compose
from digest.compose import CompiledIssue, Edition, Envelope, Reader, make_edition, make_message, sample, view
from digest.compose.edition import lines_of
from digest.compose.message import slots_of
from digest.compose.render import read_templates
from digest.compose.template import environment
from digest.compose.view import Lines
from digest.model import Evidence, Interest, Placed, SelectedSection, Selection, Summary
from tests.support.make import REPOSITORY

TEMPLATES = REPOSITORY / "templates"
INTERESTS = tuple(Interest(id=f"i{n}", label=f"Interest number {n}", description="What it has to do with it.") for n in range(6))
_FIRST = ("Ana", "Ben", "Carla", "Dai", "Elena", "Femi", "Grace", "Hiro", "Jo", "Inés")  # one in ten is not ASCII
_LAST = [
    f"{start}{end}" for start in ("Adam", "Bren", "Cart", "Dors", "Fisch", "Had", "Kell", "Mor", "Sand") for end in ("er", "ey", "s", "ton")
]
_WORDS = "fatigue walking sleep diet memory balance treatment trial people year dose scan rest nerve relapse".split()


def summaries(count: int, draw: random.Random) -> tuple[Summary, ...]:
    """As long as real ones."""

    def words(n: int) -> str:
        return " ".join(draw.choice(_WORDS) for _ in range(n)).capitalize()

    return tuple(
        Summary(
            identifiers=(f"doi:10.1000/{n}",),
            title=words(11),
            published_at=datetime(2026, 4, 2 + n % 28, tzinfo=UTC),
            url=f"https://example.org/summaries/{n}-{draw.randrange(10**9)}",
            source="ours",
            takeaway=f"{words(26)}.",
            limits=f"{words(18)}.",
            evidence=draw.choice(list(Evidence)),
            journal="Journal of Samples",
        )
        for n in range(count)
    )


def selection(pieces: Sequence[Summary], draw: random.Random, teasers: int) -> Selection:
    """So many of them under three interests."""
    chosen = draw.sample([piece.id for piece in pieces], teasers)
    ids = draw.sample([interest.id for interest in INTERESTS], 4)
    return Selection(
        sections=tuple(
            SelectedSection(interest=ids[n], teasers=tuple(Placed(summary=id, also_in=(ids[3],)) for id in chosen[n::3])) for n in range(3)
        )
    )


def readers(draw: random.Random, count: int) -> list[tuple[Reader, Envelope]]:
    """Names and links as they are."""
    found = []
    for n in range(count):
        did, leave = draw.randbytes(16).hex(), draw.randbytes(20).hex()[:39]
        base = "https://digest.example.org"
        reader = Reader(
            f"reader{n}@example.org",
            f"{draw.choice(_FIRST)} {draw.choice(_LAST)}",
            f"{base}/u/{leave}",
            f"{base}/p/{leave}",
            f"{base}/w/{leave}",
            f"mailto:leave@example.org?subject={leave}",
        )
        sender = sample.LOOK.sender
        found.append(
            (
                reader,
                Envelope(
                    f"<{did}@example.org>",
                    "Fri, 01 May 2026 09:00:00 +0000",
                    sender,
                    sample.LOOK.reply_to,
                    "monthly.example.org",
                    "m:d:b:x",
                ),
            )
        )
    return found


def naive(pieces: Sequence[Summary]) -> Callable[[Selection, Lines, Reader, Envelope, str], bytes]:
    """One reader's email by the usual means; all that does not differ between readers is made once."""
    import mjml
    import premailer

    sources = read_templates(TEMPLATES)
    catalogue = view.Catalogue.of(sample.LOOK, sample.SLOT, pieces, INTERESTS)
    common = view.common(sample.LOOK, sample.SLOT)
    html_template = environment(sources, html=True, notes=[]).get_template(view.HTML)
    text_template = environment(sources, html=False, notes=[]).get_template(view.TEXT)

    def one(chosen: Selection, lines: Lines, reader: Reader, envelope: Envelope, subject: str) -> bytes:
        own = {
            "greeting": f"Hello {reader.name},",
            "unsubscribe_url": reader.unsubscribe_url,
            "preferences_url": reader.preferences_url,
            "web_url": reader.web_url,
        }
        markup = html_template.render(**common, **view.selection_data(catalogue, chosen, lines, own, html=True))
        html = premailer.Premailer(mjml.mjml2html(markup), disable_validation=True, allow_network=False).transform()
        text = text_template.render(**common, **view.selection_data(catalogue, chosen, lines, own, html=False))
        message = EmailMessage()
        message["From"], message["Reply-To"], message["Subject"] = envelope.sender, envelope.reply_to, subject
        message["To"], message["Date"], message["Message-ID"] = reader.email, envelope.date, envelope.message_id
        message["List-Unsubscribe"] = f"<{reader.unsubscribe_url}>, <{reader.unsubscribe_mailto}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message.set_content(text, cte="quoted-printable")
        message.add_alternative(html, subtype="html", cte="quoted-printable")
        return bytes(message)

    return one


def pieces_of(edition: Edition, reader: Reader, raw: bytes) -> list[bytes]:
    """A message cut into the fixed stretches and the values between them, as many as there really are."""
    marks = sorted({value.encode() for value in slots_of(edition, reader).values() if value})
    found, rest = [], raw
    while True:
        at, mark = min(((rest.find(mark), mark) for mark in marks if mark in rest), default=(-1, b""))
        if at < 0:
            return [*found, rest]
        found += [rest[:at], mark]
        rest = rest[at + len(mark) :]


def rate(work: Callable[[int], Any], seconds: float) -> float:
    """Calls per second of processor time."""
    work(0)
    began, n = time.process_time(), 0
    while (spent := time.process_time() - began) < seconds:
        for _ in range(8):
            work(n)
            n += 1
    return n / spent


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each way, over all turns")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--summaries", type=int, default=50)
    parser.add_argument("--teasers", type=int, default=9)
    given = parser.parse_args()
    draw = random.Random(given.seed)
    pieces = summaries(given.summaries, draw)
    compiled: CompiledIssue = compose.compile_issue(TEMPLATES, sample.LOOK, sample.SLOT, pieces, INTERESTS)
    common = [make_edition(compiled, selection(pieces, draw, given.teasers)) for _ in range(20)]
    people = readers(draw, 1000)
    different = [selection(pieces, draw, given.teasers) for _ in range(20_000)]
    prepared = [pieces_of(common[n % 20], people[n][0], make_message(common[n % 20], *people[n])) for n in range(200)]
    render = naive(pieces)
    chosen = different[:20]
    lines = [lines_of(compiled, one) for one in chosen]
    subjects = [make_edition(compiled, one).subject for one in chosen]
    ways: dict[str, Callable[[int], Any]] = {
        "digest": lambda n: make_message(common[n % 1000 // 50], *people[n % 1000]),
        "join": lambda n: b"".join(prepared[n % 200]),
        "worst": lambda n: make_message(make_edition(compiled, different[n % 20_000]), *people[n % 1000]),
        "naive": lambda n: render(chosen[n % 20], lines[n % 20], *people[n % 1000], subjects[n % 20]),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(given.turns):
        for name, work in ways.items():
            rates[name].append(rate(work, given.seconds / given.turns))
    per_s = {name: statistics.median(found) for name, found in rates.items()}
    sizes = [len(ways["digest"](n)) for n in range(0, 1000, 50)]
    print(  # noqa: T201
        json.dumps(
            {
                "seed": given.seed,
                "summaries": given.summaries,
                "teasers": given.teasers,
                "mean_bytes": round(statistics.mean(sizes)),
                "naive_bytes": len(ways["naive"](0)),
                "per_s": {name: round(value, 1) for name, value in per_s.items()},
                "against_naive": round(per_s["digest"] / per_s["naive"]),
                "against_join": round(per_s["digest"] / per_s["join"], 3),
                "worst_costs": round(per_s["digest"] / per_s["worst"], 2),
            }
        )
    )


if __name__ == "__main__":
    main()
