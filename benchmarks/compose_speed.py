"""Personalised messages composed per second on one core, against the naive pipeline and against joining bytes and nothing else.

    python -m benchmarks.compose_speed --seed 1 --seconds 3

An issue of 50 summaries; a reader gets nine, in about 63 KB of MIME. The ways take turns of a fraction of a second, in one process and
by its processor time, and each ratio is the median over the turns of what two neighbours in a turn gave: a busy machine slows both.

- ``digest``: from an edition and a reader's own values (name, address, three signed links) to the bytes of the message.
- ``signed``: the same from an id, a name and an address: the three links are signed as well. ``links``: signing them and nothing else.
- ``join``: ``b"".join`` of the same messages' pieces, in the same order, made beforehand, and nothing else. Fixed pieces are shared
  between messages as an edition shares them, so that both find as much of them in the processor's cache.
- ``worst``: every message of an edition of its own, selected anew: the parts joined, then the message.
- ``naive``: what one would write for each reader: Jinja2 → mjml-python → premailer → ``EmailMessage``, with the templates of
  this repository, environments and templates loaded once, and premailer's defaults.

One reader in ten has a name that is not ASCII. The last line is JSON.
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
from types import SimpleNamespace
from typing import Any

from digest import compose
from digest.addressing import slots
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


def pieces_of(edition: Edition, reader: Reader, raw: bytes, shared: dict[bytes, bytes]) -> list[bytes]:
    """A message cut into the fixed stretches and the values between them, as many as there really are; equal ones are one object."""
    marks = sorted({value.encode() for value in slots_of(edition, reader).values() if value})
    found, rest = [], raw
    while True:
        at, mark = min(((rest.find(mark), mark) for mark in marks if mark in rest), default=(-1, b""))
        if at < 0:
            return [shared.setdefault(piece, piece) for piece in (*found, rest)]
        found += [rest[:at], mark]
        rest = rest[at + len(mark) :]


def rate(work: Callable[[int], Any], seconds: float, start: int) -> tuple[float, int]:
    """Calls per second of processor time, beginning with number ``start``; and the number of the next."""
    n, began = start, time.process_time()
    while (spent := time.process_time() - began) < seconds:
        for _ in range(4):
            work(n)
            n += 1
    return (n - start) / spent, n


def take_turns(ways: dict[str, Callable[[int], Any]], seconds: float, turns: int) -> dict[str, list[float]]:
    """The rates of each way, turn by turn; the first turn does not count."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    at = dict.fromkeys(ways, 0)
    for turn in range(turns + 1):
        for name, work in ways.items():
            found, at[name] = rate(work, seconds / turns, at[name])
            if turn:
                rates[name].append(found)
    return rates


def ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """The median of what the turns gave."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def signer() -> Callable[[str, str], Reader]:
    """What makes a reader's values of an id and an address, links signed, as a run does."""
    key = {1: bytes(range(32))}
    workspace: Any = SimpleNamespace(
        config=SimpleNamespace(
            newsletter=SimpleNamespace(url="https://digest.example.org"), sender=SimpleNamespace(unsubscribe_mailbox="leave@example.org")
        ),
        store=SimpleNamespace(vault=SimpleNamespace(link_keys=key)),
    )
    return lambda did, email: slots(workspace, did, did, email, "Carla Fischer", "Fri, 01 May 2026 09:00:00 +0000")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each way, over all turns")
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--summaries", type=int, default=50)
    parser.add_argument("--teasers", type=int, default=9)
    given = parser.parse_args()
    draw = random.Random(given.seed)
    pieces = summaries(given.summaries, draw)
    compiled: CompiledIssue = compose.compile_issue(TEMPLATES, sample.LOOK, sample.SLOT, pieces, INTERESTS)
    common = [make_edition(compiled, selection(pieces, draw, given.teasers)) for _ in range(20)]
    people = readers(draw, 1000)
    different = [selection(pieces, draw, given.teasers) for _ in range(2000)]
    shared: dict[bytes, bytes] = {}
    prepared = [pieces_of(common[n // 50], people[n][0], make_message(common[n // 50], *people[n]), shared) for n in range(1000)]
    render, sign = naive(pieces), signer()
    dids = [draw.randbytes(16).hex() for _ in range(1000)]
    chosen = different[:20]
    lines = [lines_of(compiled, one) for one in chosen]
    subjects = [make_edition(compiled, one).subject for one in chosen]
    ways: dict[str, Callable[[int], Any]] = {
        "digest": lambda n: make_message(common[n % 1000 // 50], *people[n % 1000]),
        "join": lambda n: b"".join(prepared[n % 1000]),
        "signed": lambda n: make_message(common[n % 1000 // 50], sign(dids[n % 1000], people[n % 1000][0].email), people[n % 1000][1]),
        "links": lambda n: sign(dids[n % 1000], people[n % 1000][0].email),
        "worst": lambda n: make_message(make_edition(compiled, different[n % 2000]), *people[n % 1000]),
        "naive": lambda n: render(chosen[n % 20], lines[n % 20], *people[n % 1000], subjects[n % 20]),
    }
    rates = take_turns(ways, given.seconds, given.turns)
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
                "against_naive": round(ratio(rates["digest"], rates["naive"])),
                "against_join": round(ratio(rates["digest"], rates["join"]), 3),
                "signed_against_join": round(ratio(rates["signed"], rates["join"]), 3),
                "links_against_join": round(ratio(rates["links"], rates["join"]), 3),
                "worst_costs": round(ratio(rates["digest"], rates["worst"]), 2),
            }
        )
    )


if __name__ == "__main__":
    main()
