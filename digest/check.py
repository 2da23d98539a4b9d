"""Validate everything that a person edits, and list all problems with file and line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from digest import config, interests, select, subscribe
from digest.config import Config, Fetch, FolderSource
from digest.errors import ConfigError, SourceError, StoreError
from digest.interests import Interests
from digest.model import Interest, Rule, Summary, loosen_rule
from digest.problems import Problem, line_of, parse_yaml


def check(workspace: Path) -> tuple[Problem, ...]:
    """Every problem in configuration, interests, templates, summaries and subscriber files; errors and warnings."""
    settings, problems = config.examine(workspace)
    problems += tuple(_webhook_keys(workspace, settings))
    lists, found = interests.examine(workspace)
    problems += found
    problems += tuple(_templates(workspace))
    summaries, found = _summaries(workspace, settings)
    problems += found
    if settings is not None and lists.all:
        problems += tuple(_idle_rules(workspace, settings, lists, summaries + _gathered(workspace, settings)))
    problems += tuple(_subscribers(workspace, settings, lists))
    return tuple(sorted(dict.fromkeys(problems), key=lambda p: (p.file, p.line, p.severity)))


def _webhook_keys(workspace: Path, settings: Config | None) -> Iterator[Problem]:
    """Keys that no event could ever be checked with."""
    if settings is None or not settings.delivery.sendgrid.webhook_keys:
        return
    from digest.web.webhooks import load_key

    _, tree, _ = parse_yaml("config.yaml", (workspace / "config.yaml").read_text(encoding="utf-8"))
    for place, text in enumerate(settings.delivery.sendgrid.webhook_keys, 1):
        try:
            load_key(text, place)
        except ConfigError as error:
            line = line_of(tree, ("delivery", "sendgrid", "webhook_keys", place - 1))
            yield Problem(file="config.yaml", line=line, text=str(error).removeprefix("config.yaml: "))


def _templates(workspace: Path) -> Sequence[Problem]:
    from digest.compose import check_templates

    return check_templates(workspace / "templates")


def _summaries(workspace: Path, settings: Config | None) -> tuple[tuple[Summary, ...], tuple[Problem, ...]]:
    """The folders' summaries and what is wrong in them; other kinds of source are read by `digest gather`.

    Where the configuration cannot be read, the usual folder is.
    """
    from digest.sources import Context, folder

    summaries: list[Summary] = []
    problems: list[Problem] = []
    usual = FolderSource(name="ours", kind="folder", path=Path("summaries")) if (workspace / "summaries").is_dir() else None
    sources = settings.sources if settings else (usual,)
    zone, fetch = (settings.newsletter.timezone, settings.fetch) if settings else ("UTC", Fetch())
    for source in sources:
        if isinstance(source, FolderSource):
            context = Context(workspace=workspace, timezone=zone, fetch=fetch, now=datetime.now(UTC))
            try:
                problems.extend(folder.examine(source, context))
                summaries.extend(folder.read(source, context).summaries)
            except SourceError as error:
                problems.append(Problem(file="config.yaml", text=f"source {source.name}: {error}"))
    return tuple(summaries), tuple(problems)


def _gathered(workspace: Path, settings: Config) -> tuple[Summary, ...]:
    """What was gathered before, from all sources; nothing where there is no database yet."""
    from sqlalchemy import make_url

    from digest.store import catalogue, open_store

    file = make_url(settings.store.url).database
    if not file or not (workspace / file).exists():
        return ()
    secret = settings.secret_key.get_secret_value() if settings.secret_key else None
    try:
        store = open_store(workspace, settings.store.url, secret)
    except StoreError:
        return ()  # every command that needs the database says what is wrong with it
    try:
        with store.read() as tx:
            return tuple(stored.summary for stored in catalogue.load(tx))
    finally:
        store.close()


def _idle_rules(workspace: Path, settings: Config, lists: Interests, summaries: Sequence[Summary]) -> Iterator[Problem]:
    """Warnings for rules, pins and exclusions that no summary answers to."""
    text = (workspace / interests.FILE).read_text(encoding="utf-8")
    data, tree, _ = parse_yaml(interests.FILE, text)
    lines = {item["id"]: line_of(tree, path) for item, path in _items(data, ())}
    sources = {source.name for source in settings.sources}

    def warn(interest: Interest, text: str) -> Problem:
        return Problem(file=interests.FILE, line=lines.get(interest.id, 0), severity="warning", text=f"{interest.id}: {text}")

    for interest in interests.empty_rules(lists):
        yield warn(interest, "has no rule and nothing pinned; it can never have news")
    for interest in lists.all:
        for key, value in _leaves(interest.match):
            if key == "source" and value not in sources:
                yield warn(interest, f'source: "{value}" is no source of config.yaml ({", ".join(sorted(sources)) or "none"})')
            elif summaries and not any(select.holds(Rule.model_validate(loosen_rule({key: value})), piece).takes for piece in summaries):
                yield warn(interest, f'{key}: "{value}" matches no summary known so far')
        for key, written in (("pin", interest.pin), ("exclude", interest.exclude)):
            for value in written:
                if summaries and not any(select.names(piece, [value]) for piece in summaries):
                    yield warn(interest, f'{key}: "{value}" names no summary known so far')


def _items(data: object, path: tuple[str | int, ...]) -> Iterator[tuple[dict[str, object], tuple[str | int, ...]]]:
    for number, item in enumerate(data if isinstance(data, list) else ()):
        if isinstance(item, dict) and "id" in item:
            yield item, (*path, number)
            yield from _items(item.get("children"), (*path, number, "children"))


def _leaves(rule: Rule) -> Iterator[tuple[str, str]]:
    for key in ("tag", "words", "source", "journal", "audience", "evidence"):
        for value in getattr(rule, key):
            yield key, str(value)
    for part in (*rule.any, *rule.all, *rule.none):
        yield from _leaves(part)


def _subscribers(workspace: Path, settings: Config | None, lists: Interests) -> Iterator[Problem]:
    cadences, zone = (tuple(settings.cadences), settings.newsletter.timezone) if settings else ((), "UTC")
    was = {old: interest.id for interest in lists.all for old in interest.was}
    allowed = subscribe.Terms(frozenset(interest.id for interest in lists.all), cadences, zone, was)
    for file in subscriber_files(workspace):
        try:
            for item in subscribe.read_file(file, f"subscribers/{file.name}", allowed):
                if isinstance(item, Problem):
                    yield item
        except ConfigError as error:
            yield from _as_problems(str(error))


def subscriber_files(workspace: Path) -> list[Path]:
    """The subscriber files that lie in the workspace."""
    return sorted((workspace / "subscribers").glob("*.csv"))


def _as_problems(text: str) -> Iterable[Problem]:
    place, _, rest = text.partition(": ")
    file, _, line = place.partition(":")
    yield Problem(file=file, line=int(line) if line.isdigit() else 0, text=rest)
