"""Every distinct edition of an issue, before anything is planned: how many readers, how large, with which faults.

`Editions` keeps what is dear to work out, for as long as nothing changes that it follows from: one for a process.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, TypeVar

from digest import compose, issue, review
from digest.compose.render import SUFFIX
from digest.compose.teaser import count
from digest.desk import looking
from digest.desk.cautions import Caution, cautions
from digest.errors import DigestError, IssueError
from digest.issue import Material
from digest.lint.editions import Looked
from digest.model import DeliveryState, Follower, Form, Frozen
from digest.readiness import Ready
from digest.store import fingerprint, outcomes, people
from digest.store.issues import IssueRow
from digest.workspace import Workspace

T = TypeVar("T")
Sort = Literal["readers", "largest", "smallest", "warnings"]
_KEPT = 4  # issues, of which each takes some megabytes
_LONG_SUBJECT = 78


class EditionLine(Frozen):
    """One edition. ``id`` is what `Editions.find` takes; ``roles`` are ``most readers``, ``largest``, ``smallest``,
    ``imagined reader``; ``name`` says what an imagined reader follows.
    """

    id: str
    name: str
    roles: tuple[str, ...]
    readers: int
    teasers: int
    notices: int
    left_out: int
    html_bytes: int
    subject: str
    preheader: str
    form: Form
    language: str
    warnings: tuple[str, ...]


class EditionTable(Frozen):
    """All editions of an issue, those of most readers first. ``imagined``: there are no readers, so these are of imagined ones.

    ``nothing_for`` readers get nothing. ``readers_of``: how many get each piece, by id; ``left_out``: the pieces that are left out
    of somebody's email for length. ``cautions`` are about the draft.
    """

    issue: str
    content_hash: str
    imagined: bool
    readers: int
    nothing_for: int
    lines: tuple[EditionLine, ...]
    readers_of: dict[str, int]
    left_out: frozenset[str]
    cautions: tuple[Caution, ...]

    def sorted(self, by: Sort = "readers") -> tuple[EditionLine, ...]:
        """The lines in another order."""
        match by:
            case "largest":
                return tuple(sorted(self.lines, key=lambda one: (-one.html_bytes, one.id)))
            case "smallest":
                return tuple(sorted(self.lines, key=lambda one: (one.html_bytes, one.id)))
            case "warnings":
                return tuple(sorted(self.lines, key=lambda one: (-len(one.warnings), -one.readers, one.id)))
        return self.lines


class _Composed(NamedTuple):
    key: str
    row: IssueRow
    material: Material
    compiled: compose.CompiledIssue


class _Listed(NamedTuple):
    key: tuple[str, str]
    followers: Mapping[str, int]
    table: EditionTable
    looked: Mapping[str, Looked]


class Editions:
    """Answers for one process, from several threads. Give it the workspace each time: its configuration may have changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: dict[str, threading.Lock] = {}
        self._composed: OrderedDict[str, _Composed] = OrderedDict()
        self._listed: OrderedDict[str, _Listed] = OrderedDict()

    def ready(self, workspace: Workspace, name: str) -> Ready:
        """The issue composed as it is now; composed again only where something it follows from has changed.

        Raises:
            IssueError: no such issue. RenderError: a template is wrong. ConfigError: the interest lists are.
        """
        with workspace.store.read() as tx:
            row = issue.find(tx, name)
            material = issue.material_of(tx, workspace, row)
        key = _key(workspace, material, frozen=issue.is_frozen(row))
        with self._turn(f"compose {name}"):  # two who ask at once wait for one to compose
            kept = self._composed.get(name)
            if kept is None or kept.key != key:
                kept = _Composed(key, row, material, issue.compiled_of(workspace, row, material))
                self._keep(self._composed, name, kept)
        return Ready(row, kept.material, kept.compiled)

    def table(self, workspace: Workspace, name: str) -> EditionTable:
        """Every distinct edition; without readers those of imagined ones: one who follows everything, and one for each interest."""
        return self._list(workspace, name).table

    def find(self, workspace: Workspace, name: str, wanted: str) -> Looked:
        """The edition of that role (``largest``, ``smallest``, ``most readers``, ``imagined reader``), id, or beginning of an id.

        Raises:
            IssueError: there is none.
        """
        listed, role = self._list(workspace, name), wanted.replace("-", " ").lower()
        lines = listed.table.lines
        found = [one for one in lines if role in one.roles] or (
            [one for one in lines if one.id.startswith(wanted.lower())] if len(wanted) >= 4 else []
        )
        if len(found) == 1:
            return listed.looked[found[0].id]
        roles = ", ".join(role for one in lines for role in one.roles) or "none, for nobody would get anything"
        raise IssueError(f'{name} has no edition "{wanted}" ({roles}, or an id of `digest edition {name} list`)')

    def _list(self, workspace: Workspace, name: str) -> _Listed:
        ready = self.ready(workspace, name)
        with workspace.store.read() as tx:
            key = (ready.material.content_hash(ready.compiled), fingerprint.of_readers(tx, ready.row.cadence))
        with self._turn(f"list {name}"):
            kept = self._listed.get(name)
            if kept is None or kept.key != key:
                with workspace.store.read() as tx:
                    followers = people.count_by_interest(tx)
                kept = _Listed(key, followers, *listed(workspace, ready))
                self._keep(self._listed, name, kept)
        # Cautions follow from more than these (a source may be down since): they are cheap, and looked for each time.
        now = cautions(workspace, name, ready.material, kept.followers)
        return kept._replace(table=kept.table.model_copy(update={"cautions": now}))

    def _turn(self, what: str) -> threading.Lock:
        with self._lock:
            return self._turns.setdefault(what, threading.Lock())

    def _keep(self, where: OrderedDict[str, T], name: str, value: T) -> None:
        with self._lock:
            where[name] = value
            where.move_to_end(name)
            while len(where) > _KEPT:
                where.popitem(last=False)


def _key(workspace: Workspace, material: Material, *, frozen: bool) -> str:
    """Another one means that the issue may compose otherwise."""
    members = [[stored.seq for stored in some] for some in (material.members, material.carried, material.notices)]
    basis = [material.frozen(), members, material.slot.model_dump(mode="json")]
    if not frozen:
        folder = workspace.path / "templates"
        files = [(str(file.relative_to(folder)), file.stat()) for file in sorted(folder.rglob(f"*{SUFFIX}"))]
        basis += [workspace.config.model_dump_json(), [(name, stat.st_mtime_ns, stat.st_size, stat.st_ino) for name, stat in files]]
    return hashlib.sha256(json.dumps(basis, sort_keys=True).encode()).hexdigest()


# --- the list ------------------------------------------------------------------------------------------------------------


def listed(workspace: Workspace, ready: Ready) -> tuple[EditionTable, dict[str, Looked]]:
    """Every distinct edition worked out now, without cautions, and each by its id."""
    found = review.counted(workspace, ready)
    real = review.named(found)
    nothing = sum(readers for body, readers in found if not body)
    if ready.row.planned is not None:
        with workspace.store.read() as tx:
            nothing = outcomes.counts(tx, ready.row.id)[DeliveryState.SKIPPED]
    everything = review.imagined(ready)
    looked = list(real) if real else list(_imagined(ready))
    if real and everything is not None and everything.selection not in {one.selection for one in real}:
        looked.append(everything)
    plain = [_line(ready, one) for one in looked]
    roles = _roles(plain, review.selection_id(everything.selection) if everything else "", real=bool(real))
    lines = [line.model_copy(update={"roles": roles[line.id]}) if line.id in roles else line for line in plain]
    readers_of: dict[str, int] = {}
    for one in real:
        for id in one.selection.teasers:
            readers_of[id] = readers_of.get(id, 0) + one.readers
    table = EditionTable(
        issue=ready.row.name,
        content_hash=ready.material.content_hash(ready.compiled),
        imagined=not real,
        readers=sum(one.readers for one in real),
        nothing_for=nothing,
        lines=tuple(lines),
        readers_of=readers_of,
        left_out=frozenset(id for one in real for id in one.selection.left_out),
        cautions=(),
    )
    return table, {line.id: one for line, one in zip(lines, looked, strict=True)}


def _imagined(ready: Ready) -> Iterator[Looked]:
    """Without readers: who follows everything, and who follows one interest alone; each selection once."""
    everything = review.imagined(ready)
    if everything is None:
        return
    seen = {everything.selection}
    yield everything
    for one in ready.material.interests.all:
        selection = looking.choose(ready, Follower(interests=(one.id,)))
        if not selection.empty and selection not in seen:
            seen.add(selection)
            yield Looked(f"follows {one.label}", 0, selection)


def _roles(lines: Sequence[EditionLine], everything: str, *, real: bool) -> dict[str, tuple[str, ...]]:
    """What each is called besides its id; ``everything`` is the imagined reader's."""
    roles: dict[str, list[str]] = {}
    sizes = {one.id: one.html_bytes for one in lines if one.readers or not real}
    if sizes:
        if real:
            roles.setdefault(lines[0].id, []).append("most readers")
        roles.setdefault(max(sizes, key=lambda id: sizes[id]), []).append("largest")
        roles.setdefault(min(sizes, key=lambda id: sizes[id]), []).append("smallest")
    if everything:
        roles.setdefault(everything, []).append(review.IMAGINED)
    return {id: tuple(found) for id, found in roles.items()}


def _line(ready: Ready, one: Looked) -> EditionLine:
    selection, budget = one.selection, ready.material.rules.max_html_kb * 1024
    warnings: list[str] = []
    subject, preheader, size = "", "", 0
    try:
        edition = compose.make_edition(ready.compiled, selection)
        subject, preheader, size = edition.subject, edition.preheader, edition.html_bytes
    except DigestError as error:
        warnings.append(f"cannot be composed, nobody would get it: {error}")
    if size > budget:
        warnings.append(f"larger than the {ready.material.rules.max_html_kb} KB it may have")
    elif size > 0.95 * budget:
        warnings.append(f"nearly as large as the {ready.material.rules.max_html_kb} KB it may have")
    if selection.left_out:
        warnings.append(f"{len(selection.left_out)} left out for length")
    if count(subject) > _LONG_SUBJECT:
        warnings.append(f"the subject has {count(subject)} characters")
    return EditionLine(
        id=review.selection_id(selection),
        name=one.name if not one.readers else "",
        roles=(),
        readers=one.readers,
        teasers=len(selection.teasers),
        notices=len(selection.notices),
        left_out=len(selection.left_out),
        html_bytes=size,
        subject=subject,
        preheader=preheader,
        form=selection.form,
        language=selection.language,
        warnings=tuple(warnings),
    )


# --- one reader's --------------------------------------------------------------------------------------------------------
