"""Whether anything changed that decides what a cadence's readers get: a few sums over the tables, much cheaper than choosing anew."""

from __future__ import annotations

import hashlib

from sqlalchemy import BigInteger, Column, ColumnElement, Connection, cast, func, select

from digest.store import schema as t

_MODULUS = 65537


def of_readers(tx: Connection, cadence: str) -> str:
    """Another one means that somebody joined, left, chose otherwise, or was given something. Two sums of ids for every way of
    choosing tell sets of readers apart.
    """
    c, f = t.subscriber.c, t.follows.c
    ways = (c.status, c.audience, c.max_teasers, c.plain_text, c.large_print, c.language)
    follows = (f.interest, f.position, f.fewer)
    queries = [
        select(*ways, *_sums(c.id), func.max(c.status_at), func.max(c.cadence_at)).where(c.cadence == cadence).group_by(*ways),
        select(*follows, *_sums(f.subscriber_id)).group_by(*follows),  # of all cadences: cheaper than to sort them apart
        select(func.count(), func.max(t.suppression.c.at)),
        select(t.issue.c.id, t.issue.c.state, t.issue.c.planned),
        select(func.max(t.delivery.c.id)),
    ]
    found = [sorted(map(str, tx.execute(query).all())) for query in queries]
    return hashlib.sha256(repr(found).encode()).hexdigest()


def _sums(column: Column[int]) -> tuple[ColumnElement[int], ...]:
    row = cast(column, BigInteger)
    return func.count(), func.sum(row), func.sum((row % _MODULUS) * (row % _MODULUS))
