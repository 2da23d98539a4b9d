"""What became of one issue, in groups: by interest, by piece, what came back by reason and by domain. Counts, never who."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from digest import issue
from digest.model import Frozen, Selection
from digest.rates import domain_of
from digest.store import outcomes, people, returned
from digest.workspace import Workspace

HIDDEN = 10  # a domain with fewer persons may be one family's own
_PART = 500


class Taken(Frozen):
    """An interest or a piece, and how many readers have it in their emails, still to come or accepted."""

    id: str
    label: str
    readers: int


class Back(Frozen):
    """Messages that came back: ``kind`` (hard, soft, blocked) and ``code`` as `digest.verdict` has them."""

    kind: str
    code: str
    count: int


class Domain(Frozen):
    """Messages that came back from the mailboxes of a domain; those of small ones are counted together, under no name."""

    domain: str
    count: int


class Figures(Frozen):
    """All of it. ``interests`` and ``pieces`` are empty until the issue is planned."""

    interests: tuple[Taken, ...] = ()
    pieces: tuple[Taken, ...] = ()
    back: tuple[Back, ...] = ()
    domains: tuple[Domain, ...] = ()


def of(workspace: Workspace, name: str) -> Figures:
    """Look everything up.

    Raises:
        IssueError: there is no such issue.
    """
    with workspace.store.read() as tx:
        row = issue.find(tx, name)
        selections = outcomes.selections(tx, row.id) if row.planned is not None else []
        material = issue.material_of(tx, workspace, row)
        back = returned.by_reason(tx, row.id)
        readers = returned.readers(tx, row.id)
        addresses: list[str] = []
        for start in range(0, len(readers), _PART):
            found = people.particulars(tx, workspace.store.vault, readers[start : start + _PART])
            addresses += [address for _, address, _ in found.values() if address]
    labels = {one.id: one.label for one in material.interests.all}
    titles = {id: piece.title for id, piece in material.shown.items()}
    interests, pieces = by_interest_and_piece(selections)
    return Figures(
        interests=_taken(interests, labels),
        pieces=_taken(pieces, titles),
        back=tuple(Back(kind=kind, code=code, count=count) for kind, code, count in back),
        domains=by_domain(addresses),
    )


def by_interest_and_piece(selections: Iterable[tuple[str, int]]) -> tuple[dict[str, int], dict[str, int]]:
    """Pure: from each edition's selection (JSON) and its number of readers, the readers of each interest and of each piece."""
    interests: dict[str, int] = {}
    pieces: dict[str, int] = {}
    for body, count in selections:
        if not body:
            continue
        selection = Selection.model_validate_json(body)
        for section in selection.sections:
            interests[section.interest] = interests.get(section.interest, 0) + count
        for id in selection.teasers:
            pieces[id] = pieces.get(id, 0) + count
    return interests, pieces


def by_domain(addresses: Iterable[str]) -> tuple[Domain, ...]:
    """Pure: how many of these addresses lie in each domain, the most first; small groups together, last, under no name."""
    counted: dict[str, int] = {}
    for address in addresses:
        domain = domain_of(address)
        counted[domain] = counted.get(domain, 0) + 1
    shown = [Domain(domain=domain, count=count) for domain, count in counted.items() if count >= HIDDEN]
    shown.sort(key=lambda one: (-one.count, one.domain))
    rest = sum(count for count in counted.values() if count < HIDDEN)
    return (*shown, *([Domain(domain="", count=rest)] if rest else []))


def _taken(counted: Mapping[str, int], labels: Mapping[str, str]) -> tuple[Taken, ...]:
    ordered = sorted(counted.items(), key=lambda pair: (-pair[1], labels.get(pair[0], pair[0])))
    return tuple(Taken(id=id, label=labels.get(id, id), readers=count) for id, count in ordered)
