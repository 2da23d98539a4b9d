"""The suppression list as people work with it: look, add, take off, bring in, take along. Every change is recorded."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from digest import audit, csvfile
from digest.addresses import Address, masked, parse
from digest.errors import ConfigError, DigestError
from digest.events import RANK, Suppression
from digest.model import Frozen, Instant
from digest.problems import Problem
from digest.store import now, suppressions
from digest.vault import Vault
from digest.workspace import Workspace

REASONS = tuple(RANK)  # complaint, request, operator, bounce
COLUMNS = ("email", "reason")
_BATCH = 500


class Line(Frozen):
    """A suppressed address. ``email`` is empty where only its hash is left: nobody can tell whose it is."""

    email: str
    reason: str
    source: str
    at: Instant
    status: str


def listing(workspace: Workspace, *, addresses: bool = False) -> list[Line]:
    """The list, the newest first; addresses are masked unless asked for."""
    with workspace.store.read() as tx:
        return [
            Line(
                email=entry.email if addresses or not entry.email else masked(entry.email),
                reason=entry.suppression.reason,
                source=entry.suppression.source,
                at=entry.suppression.at,
                status=entry.status,
            )
            for entry in suppressions.entries(tx, workspace.store.vault)
        ]


def add(workspace: Workspace, email: str, reason: str = "operator", who: str = "operator") -> bool:
    """Never write to that address again. Returns whether it was free before.

    Raises:
        ConfigError: no address, or no such reason.
    """
    address = _address(email)
    if reason not in REASONS:
        raise ConfigError(f'--reason: "{reason}" is not one of {", ".join(REASONS)}')
    with workspace.store.write() as tx:
        index, at = workspace.store.vault.index(address.key), now(tx)
        suppressions.record(tx, who, "suppression added", index.hex(), reason)
        audit.record(tx, workspace, "suppressions.add", index.hex(), reason=reason)
        return suppressions.put(tx, index, Suppression(reason, at, who))


def remove(workspace: Workspace, email: str, *, force: bool = False, who: str = "operator") -> Suppression:
    """Allow an address again; what providers told of it up to now counts no more. Returns why it was suppressed.

    A subscriber whose subscription ended with a complaint stays ended: only their own new consent brings them back.

    Raises:
        ConfigError: no address.
        DigestError: it is not on the list, or is for a complaint and ``force`` is not set.
    """
    address = _address(email)
    with workspace.store.write() as tx:
        index = workspace.store.vault.index(address.key)
        found = suppressions.find(tx, index)
        if found is None:
            raise DigestError("that address is not on the suppression list")
        if found.reason == "complaint" and not force:
            raise DigestError(
                "somebody at that address reported the newsletter as spam; writing to them again harms every other reader's mail. "
                "If the person asked for it in writing, say --force; they must then confirm their subscription anew"
            )
        suppressions.drop(tx, index)
        suppressions.record(tx, who, suppressions.REMOVED, index.hex(), found.reason)
        audit.record(tx, workspace, "suppressions.remove", index.hex(), reason=found.reason, force=force)
    return found


def _address(text: str) -> Address:
    try:
        return parse(text)
    except ValueError as error:
        raise ConfigError(f"the address {error}") from error


class Import(Frozen):
    """What an import did, or with ``dry_run`` would do."""

    new: int = 0
    known: int = 0
    refused: int = 0
    problems: tuple[Problem, ...] = ()
    dry_run: bool = False


def import_file(workspace: Workspace, file: Path, *, dry_run: bool = False, who: str = "operator") -> Import:
    """Bring in a CSV file with the columns ``email`` and, if wanted, ``reason``. Good lines are taken, bad ones listed.

    An import only ever adds: it takes nobody off and replaces no stronger reason.

    Raises:
        ConfigError: the file as a whole cannot be used; nothing was imported.
    """
    counted = {"new": 0, "known": 0, "refused": 0}
    problems: list[Problem] = []
    for batch in csvfile.batches(_read(file), _BATCH):
        with workspace.store.write() as tx:
            at = now(tx)
            for item in batch:
                if isinstance(item, Problem):
                    problems.append(item)
                    counted["refused"] += item.severity == "error"
                    continue
                counted["new" if _put(tx, workspace.store.vault, item, file.name, at, dry_run) else "known"] += 1
    if not dry_run:
        with workspace.store.write() as tx:
            suppressions.record(tx, who, "suppressions imported", file.name[:200], f"{counted['new']} new, {counted['known']} known")
            audit.record(tx, workspace, "suppressions.import", "", **counted)
    return Import(**counted, problems=tuple(problems), dry_run=dry_run)


def _put(tx: Connection, vault: Vault, item: tuple[Address, str], source: str, at: datetime, dry_run: bool) -> bool:
    address, reason = item
    index = vault.index(address.key)
    if dry_run:
        return suppressions.find(tx, index) is None
    return suppressions.put(tx, index, Suppression(reason, at, f"import of {source[:200]}"))


def _read(file: Path) -> Iterator[tuple[Address, str] | Problem]:
    met: dict[str, int] = {}
    for line in csvfile.read(file, file.name, COLUMNS):
        yield line if isinstance(line, Problem) else _entry(line, file.name, met)


def _entry(line: csvfile.Line, name: str, met: dict[str, int]) -> tuple[Address, str] | Problem:
    reason = line.cells.get("reason", "").lower() or "operator"
    if reason not in REASONS:
        return Problem(file=name, line=line.number, text=f"reason: not one of {', '.join(REASONS)}")
    try:
        address = parse(line.cells["email"])
    except ValueError as error:
        return Problem(file=name, line=line.number, text=f"email: {error}")
    first = met.setdefault(address.key, line.number)
    if first != line.number:
        return Problem(file=name, line=line.number, severity="warning", text=f"the same address as line {first}; that one counts")
    return address, reason


def export_rows(workspace: Workspace) -> tuple[list[list[str]], int]:
    """Header and lines of a file that imports again, and how many entries could not be written: only their hash is left."""
    rows, nameless = [list(COLUMNS)], 0
    with workspace.store.read() as tx:
        for entry in suppressions.entries(tx, workspace.store.vault):
            if not entry.email:
                nameless += 1
                continue
            rows.append([csvfile.safe(entry.email), entry.suppression.reason])
    return rows, nameless
