"""Checks that ask somebody else: SpamAssassin, a spelling program, the servers that links lead to. Each says why it was left out."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from urllib.parse import urlsplit

from digest.config import Fetch
from digest.errors import SourceError
from digest.lint.letter import Letter
from digest.lint.rule import Found, Level, rule

SPAM_TIMEOUT_S = 120
SPELL_TIMEOUT_S = 30
PAUSE_S = 1.0  # between two questions to one server
MOST_WORDS = 40


class Skipped(Exception):
    """The check could not be made; the text says why, and what would let it."""


def _nothing(letter: Letter) -> Iterator[Found]:
    """These rules look elsewhere, see their functions below."""
    return iter(())


spam = rule(
    "spam-score",
    Level.WARNING,
    reason="At 5 points and more many servers put a letter with the spam; ours should have next to none.",
    source="SpamAssassin, by its own rules, without asking the network",
    example="a subject in capitals, pictures without text, a way out that is missing",
)(_nothing)

spelling = rule(
    "spelling",
    Level.ADVICE,
    reason="A misspelt word stops readers who read slowly, and makes a health letter look careless.",
    source="hunspell or aspell with the dictionary of the newsletter's language",
    example="recieve",
    file="summaries",
)(_nothing)

dead = rule(
    "link-dead",
    Level.WARNING,
    reason="A link that ends in an error wastes the strength it took to get there.",
    source="each address asked once, through the guard against private networks, servers one after another",
    example="an address that answers 404",
    file="summaries",
)(_nothing)

RULES = (spam, spelling, dead)


def spam_score(letter: Letter, *, most: float = 5.0) -> Iterator[Found]:
    """What SpamAssassin holds against the message, from 3 points on a warning.

    Raises:
        Skipped: it is not installed, or gave no answer.
    """
    program = shutil.which("spamassassin")
    if program is None:
        raise Skipped("SpamAssassin is not installed (Debian: apt-get install spamassassin)")
    try:
        done = subprocess.run([program, "-L", "-t"], input=letter.message, capture_output=True, timeout=SPAM_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Skipped(f"SpamAssassin gave no answer: {type(error).__name__}") from error
    said = done.stdout.decode("utf-8", "replace")
    found = re.search(r"\(?(-?[\d.]+) points?, +([\d.]+) required\)?", said) or re.search(r"score=(-?[\d.]+) required=([\d.]+)", said)
    if found is None:
        raise Skipped("SpamAssassin gave no score; run `spamassassin -L -t < a message` to see why")
    score = float(found.group(1))
    if score >= min(3.0, most):
        tests = set(re.findall(r"^[\s*]*(-?\d+(?:\.\d+)?)\s+([A-Z][A-Z0-9_]{3,})", said, re.M))
        worst = sorted(tests, key=lambda test: -float(test[0]))[:5]
        yield Found(f"SpamAssassin gives {score:g} points; {most:g} count as spam", ", ".join(f"{name} {points}" for points, name in worst))


def misspelt(letters: Sequence[Letter], language: str, written: Iterable[str] = ()) -> Iterator[Found]:
    """Words of the pieces, the subjects and preheaders, and of what editors have ``written`` for the issue that the dictionary lacks,
    each once.

    Raises:
        Skipped: no program, or no dictionary of that language.
    """
    pieces = (f"{piece.title}\n{piece.text}" for letter in letters for piece in letter.pieces)
    heads = (f"{letter.subject}\n{letter.preheader}" for letter in letters if _root(letter.language) == _root(language))
    text = "\n".join(dict.fromkeys((*pieces, *heads, *(re.sub(r"\]\([^)]*\)|https?://\S+", " ", one) for one in written))))
    words = sorted(
        {word for word in re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)*", text) if not word.isupper() and not re.search(r".[A-Z]", word)}
    )
    code = language.replace("-", "_")
    for program, arguments in (("hunspell", ["-l", "-i", "utf-8", "-d", code]), ("aspell", ["list", f"--lang={code}", "--encoding=utf-8"])):
        if (path := shutil.which(program)) is None:
            continue
        try:
            done = subprocess.run(
                [path, *arguments], input="\n".join(words), capture_output=True, text=True, timeout=SPELL_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Skipped(f"{program} gave no answer: {type(error).__name__}") from error
        if done.returncode:
            raise Skipped(f"{program} has no dictionary for {language} (Debian: apt-get install hunspell-{language.lower()})")
        unknown = sorted(set(done.stdout.split()))
        if unknown:
            yield Found(f"the dictionary of {language} lacks {len(unknown)} words", ", ".join(unknown[:MOST_WORDS]))
        return
    raise Skipped("neither hunspell nor aspell is installed (Debian: apt-get install hunspell)")


def _root(language: str) -> str:
    """``en`` of ``en-GB``."""
    return language.replace("_", "-").partition("-")[0].lower()


def addresses(letters: Iterable[Letter], own: str) -> list[str]:
    """The web addresses that the letters link to, each once; not the reader's own below ``own``, which are imagined here."""
    found = dict.fromkeys(link.href.partition("#")[0] for letter in letters for link in letter.links)
    mine = tuple(f"{own.rstrip('/')}/{page}/" for page in ("u", "p", "w"))
    return [href for href in found if href.startswith(("http://", "https://")) and not href.startswith(mine)]


def pictures(letters: Iterable[Letter]) -> list[str]:
    """The addresses that the letters show pictures from, each once."""
    found = dict.fromkeys((image.get("src") or "").strip() for letter in letters for image in letter.elements("img"))
    return [src for src in found if src.startswith(("http://", "https://"))]


def dead_links(
    hrefs: Sequence[str], fetch: Fetch, *, pause_s: float = PAUSE_S, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Found]:
    """Ask each address once, with a pause between two of one server; tell those that do not answer as a page does."""
    from digest.sources.fetch import get

    asked: dict[str, float] = {}
    for href in hrefs:
        host = urlsplit(href).netloc
        if host in asked:
            sleep(max(0.0, asked[host] + pause_s - time.monotonic()))
        try:
            get(href, fetch)
        except SourceError as error:
            yield Found(str(error), href[:100])
        asked[host] = time.monotonic()
