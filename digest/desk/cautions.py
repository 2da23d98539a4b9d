"""What an editor should know of a draft before it leaves that is no fault of the letter: sources that are down, rules that are gone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from sqlalchemy import Connection

from digest import interests, issue
from digest.issue import Material
from digest.model import Frozen, Rule
from digest.store import catalogue, people
from digest.store.issues import IssueRow
from digest.workspace import Workspace

CautionKind = Literal["source_down", "no_rule", "lost_rule", "gone_piece", "gone_interest", "newer_revision"]


class Caution(Frozen):
    """One of them: ``about`` is a source's name, an interest's or a piece's id; ``text`` says what is wrong and what to do."""

    kind: CautionKind
    about: str
    text: str


def cautions(workspace: Workspace, name: str, material: Material, followers: Mapping[str, int] | None = None) -> tuple[Caution, ...]:
    """All there are of an issue. ``followers`` of each interest are counted where they are not given."""
    with workspace.store.read() as tx:
        row = issue.find(tx, name)
        followers = people.count_by_interest(tx) if followers is None else followers
        return (
            *_sources(tx, workspace),
            *_rules(row, material, followers),
            *_followed(material, followers),
            *_edits(material),
            *(_revisions(tx, row, material) if not issue.is_frozen(row) else ()),
        )


def _sources(tx: Connection, workspace: Workspace) -> Iterator[Caution]:
    states = catalogue.sources(tx)
    for source in workspace.config.sources:
        state = states.get(source.name)
        if state is None:
            text = f"{source.name} has never been read; `digest gather` reads it"
        elif state.error:
            since = f"since {state.read_well_at:%Y-%m-%d %H:%M} UTC" if state.read_well_at else "ever"
            text = f"{source.name} could not be read {since} ({state.error}); what it brought before is used, what is newer is missing"
        else:
            continue
        yield Caution(kind="source_down", about=source.name, text=text)


def _rules(row: IssueRow, material: Material, followers: Mapping[str, int]) -> Iterator[Caution]:
    had = {one["id"] for one in row.frozen["interests"] if one["match"] != _NO_RULE or one["pin"]}
    for one in interests.empty_rules(material.interests):
        readers = _readers(followers.get(one.id, 0))
        if one.id in had:
            text = (
                f"{one.id} has lost its rule since the draft: nothing comes under it now; {readers}. Give it a match: in {interests.FILE}"
            )
            yield Caution(kind="lost_rule", about=one.id, text=text)
        else:
            text = f"{one.id} has no rule and nothing pinned: nothing can come under it; {readers}. Give it a match: in {interests.FILE}"
            yield Caution(kind="no_rule", about=one.id, text=text)


_NO_RULE = Rule().model_dump(mode="json", by_alias=True)


def _readers(count: int) -> str:
    return f"{count} active {'reader follows' if count == 1 else 'readers follow'} it"


def _followed(material: Material, followers: Mapping[str, int]) -> Iterator[Caution]:
    known = {one.id for one in material.interests.all}
    for id, count in sorted(followers.items()):
        if id not in known:
            text = f"{id} is no interest any more; {_readers(count)} in vain; `digest interests list` shows what there is"
            yield Caution(kind="gone_interest", about=id, text=text)


def _edits(material: Material) -> Iterator[Caution]:
    """What was edited and is there no longer, or is another text now."""
    own = material.edits
    here = {stored.summary.id: stored for stored in (*material.members, *material.carried)}
    for id in dict.fromkeys((*own.order, *own.pin, *own.exclude, *own.teasers)):
        if id not in here:
            yield Caution(kind="gone_piece", about=id, text=f"{id} was edited and is not in the issue any more; its edits do nothing")
    known = {one.id for one in material.interests.all}
    named = (*own.intros, *(interest for found in (own.pin, own.exclude) for only in found.values() for interest in only))
    for id in dict.fromkeys(named):
        if id not in known:
            yield Caution(kind="gone_interest", about=id, text=f"{id} is no interest any more; what was edited for it does nothing")
    for id, words in own.teasers.items():
        if id in here and words.seq != here[id].seq:
            text = f'the source has changed "{here[id].summary.title}" since its teaser was rewritten; look whether both still agree'
            yield Caution(kind="newer_revision", about=id, text=text)


def _revisions(tx: Connection, row: IssueRow, material: Material) -> Iterator[Caution]:
    newest = {stored.row: stored.seq for stored in catalogue.load(tx, rows=[stored.row for stored in material.members])}
    for stored in material.members:
        if newest.get(stored.row, stored.seq) != stored.seq:
            anew = f"`digest draft {row.cadence} --on {row.local_date} --again` takes it in"
            text = f'"{stored.summary.title}" has been changed by its source since the issue was drafted; {anew}'
            yield Caution(kind="newer_revision", about=stored.summary.id, text=text)
