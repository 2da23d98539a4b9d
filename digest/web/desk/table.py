"""What lies on the desk: issues composed as they are now, kept until something they are made of changes, and the last good one."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from digest import config, interests
from digest.calendar import end_of_day
from digest.compose.check import problem_of
from digest.compose.render import read_templates
from digest.config import FolderSource, TextSource
from digest.errors import ConfigError, DigestError, RenderError
from digest.issue import compiled_of, is_frozen
from digest.problems import Problem
from digest.readiness import Ready
from digest.review import Report
from digest.store import catalogue, edits, fingerprint, issues, people
from digest.web.desk.draft import Draft, Saved, draft_of, in_one_language, saved
from digest.web.desk.lines import Lines, lines_of
from digest.workspace import Workspace

CONFIG = "config.yaml"
_KEPT = 6  # issues that are kept composed; each takes a few megabytes
_READERS = 200  # people picked by address that are remembered, by a key that says nothing
AROUND = 3  # lines shown before and after the one that is wrong

NOTHING = "it cannot be composed, and no earlier state is known here; mend what is named"

Kept = TypeVar("Kept")


class Recent(Generic[Kept]):
    """A few values by name, those used last."""

    def __init__(self, most: int) -> None:
        self._most, self._kept = most, OrderedDict[str, Kept]()
        self._lock = threading.Lock()

    def get(self, name: str) -> Kept | None:
        """The value, if it is still kept."""
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
            return self._kept.get(name)

    def put(self, name: str, value: Kept) -> None:
        """Keep it; the one that was used longest ago goes."""
        with self._lock:
            self._kept[name] = value
            self._kept.move_to_end(name)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)


@dataclass(frozen=True)
class Wrong:
    """A mistake in a file, with the lines around it: their numbers, texts, and whether it is the one."""

    problem: Problem
    lines: tuple[tuple[int, str, bool], ...] = ()


@dataclass(frozen=True)
class Composed:
    """An issue as it is now. ``wrong`` is not empty where it cannot be composed: then ``ready`` is the last good one, or None.

    ``stamp`` changes whenever anything it is made of does.
    """

    draft: Draft
    ready: Ready | None
    stamp: str
    wrong: tuple[Wrong, ...] = ()


class Asked(NamedTuple):
    """What the checks said with others asked, too: which of them (``links``, ``spelling``, ``spam``), of which state of the issue."""

    stamp: str
    others: tuple[str, ...]
    report: Report


class Table:
    """One workspace on a desk. ``live``: what the folders hold counts at once, as on the editor's own machine. ``web``: who
    sits there has logged in, and is not the account that the server runs under.

    Any thread may ask; what is dear to work out is worked out once.
    """

    def __init__(self, workspace: Workspace, *, live: bool, web: bool = False, on: date | None = None) -> None:
        self.opened, self._on, self.live, self.web = workspace, on, live, web
        self._config: tuple[int, config.Config] = (_changed_at(workspace.path / CONFIG), workspace.config)
        self._files: tuple[str, Saved] = ("", Saved())
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._whole, self._quick = Recent[Composed](_KEPT), Recent[Composed](_KEPT)
        self._good = Recent[Ready](_KEPT)
        self._editions = Recent[tuple[str, Lines]](_KEPT)
        self._readers = Recent[str](_READERS)
        self._asked = Recent[Asked](_KEPT)
        self.config_wrong: tuple[Wrong, ...] = ()
        self.last_looked_at = ""

    # --- what everything is made of --------------------------------------------------------------------------------------

    def workspace(self, who: str = "") -> Workspace:
        """The workspace as its configuration is now, acting as of now, or of the date the desk was opened for."""
        opened = self.opened
        stamp = _changed_at(opened.path / CONFIG)
        with self._lock:
            if stamp != self._config[0]:
                try:
                    self._config, self.config_wrong = (stamp, config.load(opened.path)), ()
                except ConfigError as error:
                    self._config = (stamp, self._config[1])
                    self.config_wrong = tuple(_wrong(_of_config(line), opened.path) for line in str(error).split("\n"))
            current = self._config[1]
        zone, clock = current.newsletter.timezone, datetime.now(UTC)
        return replace(
            opened,
            config=current,
            on=self._on or clock.astimezone(ZoneInfo(zone)).date(),
            at=end_of_day(self._on, zone) if self._on else clock,
            who=who or opened.who,
            web=self.web,
        )

    def _stamp(self, workspace: Workspace, name: str) -> str:
        """Of everything that an issue is made of."""
        parts = [name, str(self._config[0]), _of_files([workspace.path / interests.FILE]), _of_folder(workspace.path / "templates", "*.j2")]
        if self.live:
            parts.append(self._of_saved(workspace))
        with workspace.store.read() as tx:
            row = issues.named(tx, name)
            parts += [
                repr(row and row._replace(drafted_at=row.due_at)),
                str(catalogue.highest_seq(tx)),
                str(edits.version(tx, row.id) if row is not None else 0),
                repr(people.languages_used(tx, row.cadence if row is not None else name[:-11])),
            ]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    @staticmethod
    def _of_saved(workspace: Workspace) -> str:
        folders = [source for source in workspace.config.sources if isinstance(source, FolderSource | TextSource)]
        return "\0".join(_of_folder(workspace.path / source.path, "*") for source in folders)

    def _saved(self, workspace: Workspace) -> Saved | None:
        if not self.live:
            return None
        stamp = f"{self._config[0]} {self._of_saved(workspace)}"
        with self._lock:
            if self._files[0] != stamp:
                self._files = (stamp, saved(workspace))
            return self._files[1]

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """One at a time for each issue: the second finds what the first worked out."""
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            yield

    # --- what is shown ---------------------------------------------------------------------------------------------------

    def composed(self, name: str) -> Composed:
        """The issue in all its languages."""
        self.last_looked_at = name
        return self._composed(name, self._whole, lambda draft: draft.material)

    def quickly(self, name: str) -> Composed:
        """The issue in the newsletter's own language at least: what somebody who has just saved a file waits for."""
        self.last_looked_at = name
        workspace = self.workspace()
        kept = self._whole.get(name)
        if kept is not None and kept.stamp == self._stamp(workspace, name):
            return kept
        return self._composed(name, self._quick, lambda draft: in_one_language(draft.material))

    def _composed(self, name: str, shelf: Recent[Composed], which: Callable[[Draft], object]) -> Composed:
        with self._alone(name):
            workspace = self.workspace()
            stamp = self._stamp(workspace, name)
            for one in (self._whole, self._quick):  # what is wrong in one language is wrong in all
                kept = one.get(name)
                if kept is not None and kept.stamp == stamp and (one is shelf or kept.wrong):
                    return kept
            made = self._compose(workspace, name, stamp, quick=shelf is self._quick)
            shelf.put(name, made)
            return made

    def _compose(self, workspace: Workspace, name: str, stamp: str, *, quick: bool) -> Composed:
        files = self._saved(workspace)
        try:
            draft = draft_of(workspace, name, files)
        except ConfigError as error:
            good = self._good.get(name)
            if good is None:
                raise
            wrong = tuple(_wrong(problem_of_config(line), workspace.path) for line in str(error).split("\n"))
            return Composed(Draft(good.row, good.material, ""), good, stamp, wrong)
        material = in_one_language(draft.material) if quick and not is_frozen(draft.row) else draft.material
        try:
            compiled = compiled_of(workspace, draft.row, material)
        except RenderError as error:
            wrong = tuple(_wrong(problem_of(line), workspace.path) for line in str(error).split("\n"))
            return Composed(draft, self._good.get(name), stamp, wrong)
        ready = Ready(draft.row, material, compiled)
        self._good.put(name, ready)
        return Composed(draft, ready, stamp)

    def lines(self, name: str) -> Lines:
        """Every distinct edition of the issue as it is now; of the last good one where it is wrong."""
        composed = self.composed(name)
        if composed.ready is None:
            raise RenderError(NOTHING)
        workspace = self.workspace()
        with workspace.store.read() as tx:
            stamp = f"{composed.stamp} {fingerprint.of_readers(tx, composed.ready.row.cadence)}"
        with self._alone(f"editions of {name}"):
            kept = self._editions.get(name)
            if kept is not None and (kept[0] == stamp or composed.wrong):
                return kept[1]
            found = lines_of(workspace, composed.ready)
            self._editions.put(name, (stamp, found))
            return found

    def last_lines(self, name: str) -> Lines | None:
        """The same as it was worked out last, whatever has changed since."""
        kept = self._editions.get(name)
        return kept[1] if kept is not None else None

    # --- what others were asked ------------------------------------------------------------------------------------------

    def keep_asked(self, asked: Asked) -> str:
        """A key for what others said: asking takes long, and a word about it is about what was shown."""
        key = secrets.token_hex(8)
        self._asked.put(key, asked)
        return key

    def asked(self, key: str) -> Asked | None:
        """What was kept under a key."""
        return self._asked.get(key)

    # --- people picked by address ----------------------------------------------------------------------------------------

    def pick(self, address: str) -> str:
        """A key for an address: it stands in addresses of pages, and tells nothing."""
        key = secrets.token_hex(8)
        self._readers.put(key, address)
        return key

    def picked(self, key: str) -> str | None:
        """The address that was picked under a key."""
        return self._readers.get(key)


def _changed_at(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def _of_files(files: Sequence[Path]) -> str:
    found = []
    for file in files:
        try:
            state = file.stat()
            found.append(f"{file} {state.st_mtime_ns} {state.st_size} {state.st_ino}")
        except OSError:
            found.append(f"{file} -")
    return "\n".join(found)


def _of_folder(folder: Path, pattern: str) -> str:
    if folder.is_file():
        return _of_files([folder])
    with os.scandir(folder) if folder.is_dir() else _nothing() as entries:
        plain = all(not entry.is_dir() for entry in entries)
    files = folder.glob(pattern) if plain else folder.rglob(pattern)
    return _of_files(sorted(files))


@contextmanager
def _nothing() -> Iterator[Iterator[os.DirEntry[str]]]:
    yield iter(())


def problem_of_config(line: str) -> Problem:
    """A line such as ``subscribers/interests.yaml:3: …`` taken apart."""
    found = re.match(r"([^:\s]+\.(?:ya?ml|j2|md|csv))(?::(\d+))?: (.*)", line)
    if found is None:
        return Problem(file="", text=line)
    return Problem(file=found[1], line=int(found[2] or 0), text=found[3])


def _of_config(line: str) -> Problem:
    found = problem_of_config(line)  # which names the file itself where it knows the line
    return found if found.file else Problem(file=CONFIG, text=line)


def _wrong(problem: Problem, workspace: Path) -> Wrong:
    """The mistake with the lines around it, as the file has them now."""
    if not problem.line and not (problem := problem_of_config(f"{problem.file}: {problem.text}" if problem.file else problem.text)).line:
        return Wrong(problem)
    try:
        if problem.file not in (CONFIG, interests.FILE) and not problem.file.startswith("templates/"):
            return Wrong(problem)  # an error may quote what somebody else wrote; no file is opened for it
        if problem.file.startswith("templates/"):
            text = read_templates(workspace / "templates").get(problem.file.removeprefix("templates/"), "")
        else:
            text = (workspace / problem.file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, DigestError):
        return Wrong(problem)
    lines = text.split("\n")
    first, last = max(1, problem.line - AROUND), min(len(lines), problem.line + AROUND)
    return Wrong(problem, tuple((n, lines[n - 1], n == problem.line) for n in range(first, last + 1)))
