"""Builders with defaults: a test names only what it is about."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from digest.interests import Interests
from digest.model import Interest, Rule, Summary, identifiers

CONFIG = """\
newsletter:
  name: Test Letter
  url: https://letter.example.org
  timezone: Europe/London
  postal_address: "Test Letter, 1 Example Street, Exampleton"
sender: {from: "Test Letter <letter@letter.example.org>", reply_to: editors@letter.example.org}
sources:
  - {name: ours, kind: folder, path: summaries/}
cadences:
  monthly: {day: 1, at: "09:00", approval: automatic}
  weekly: {weekday: friday, at: "07:30", approval: automatic}
"""

INTERESTS = """\
- id: gut
  label: Gut and diet
  match: {tag: gut}
  children:
    - {id: diet, label: Diet, match: {tag: diet}}
- {id: vision, label: Vision, match: {tag: vision}}
"""

REPOSITORY = Path(__file__).parent.parent.parent


def at(text: str) -> datetime:
    """An instant in UTC from ``2026-05-01`` or ``2026-05-01T09:00``."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def make_summary(id: str = "a", **values: Any) -> Summary:
    """A summary of source ``ours``, known by its file's name."""
    given: dict[str, Any] = {
        "title": f"Piece {id}",
        "published_at": at("2026-04-15"),
        "url": f"https://letter.example.org/{id}",
        "source": "ours",
        "takeaway": "What was found.",
    } | values
    keys = identifiers(doi=given.get("doi", ""), url=given["url"], source=given["source"], source_id=id)
    return Summary(**{"identifiers": keys, **given})


def make_interest(id: str = "gut", **values: Any) -> Interest:
    """An interest that takes the tag of its own name."""
    return Interest(**{"id": id, "label": id.title(), "match": Rule(tag=(id,)), **values})


def make_interests(*interests: Interest) -> Interests:
    """An interest list."""
    return Interests(all=interests)


def write_summary(workspace: Path, name: str, published: str = "2026-04-15", tags: str = "gut", **front: Any) -> Path:
    """A summary file as an editor writes it."""
    lines = {
        "title": f"Piece {name}",
        "published": published,
        "url": f"https://letter.example.org/{name}",
        "takeaway": f"What {name} found.",
        "tags": f"[{tags}]",
        **front,
    }
    body = "\n".join(f"{key}: {value}" for key, value in lines.items())
    file = workspace / "summaries" / f"{name}.md"
    file.write_text(f"---\n{body}\n---\n## What they found\nSomething.\n\n## Limits\nSmall.\n", encoding="utf-8")
    return file


def make_workspace(folder: Path, *, config: str = CONFIG, interests: str = INTERESTS, subscribers: str = "") -> Path:
    """A workspace with this repository's templates and nothing to read yet."""
    import shutil

    (folder / "summaries").mkdir(parents=True)
    (folder / "subscribers").mkdir()
    (folder / "config.yaml").write_text(config, encoding="utf-8")
    (folder / "subscribers" / "interests.yaml").write_text(interests, encoding="utf-8")
    if subscribers:
        (folder / "subscribers" / "people.csv").write_text(subscribers, encoding="utf-8")
    shutil.copytree(REPOSITORY / "templates", folder / "templates")
    return folder
