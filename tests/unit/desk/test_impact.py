"""What a changed list would change, against the plainest count of it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from digest.desk.impact import impact
from digest.select import catalogue
from tests.support.make import make_interest, make_interests, make_summary

TAGS = ("gut", "diet", "vision", "sleep")
PIECES = st.lists(st.lists(st.sampled_from(TAGS), unique=True), max_size=5).map(
    lambda tags: [make_summary(f"p{n}", tags=tuple(own)) for n, own in enumerate(tags)]
)
LISTS = st.lists(st.sampled_from(TAGS), unique=True).flatmap(
    lambda ids: st.tuples(*[st.none() | st.just(ids[0]) for _ in ids]).map(
        lambda parents: make_interests(
            *(make_interest(id, parent=parent if n else None) for n, (id, parent) in enumerate(zip(ids, parents, strict=True)))
        )
    )
)
READERS = st.lists(st.lists(st.sampled_from((*TAGS, "unknown")), unique=True, min_size=1), max_size=6)


def gets(pieces, lists, reader):
    follows = catalogue(pieces, lists).follows
    return {piece.id for piece in pieces if follows[piece.id] & set(reader)}


@settings(max_examples=20)
@given(PIECES, LISTS, LISTS, READERS)
def test_it_counts_what_asking_each_reader_would(pieces, before, after, readers):
    found = impact(pieces, before, after, iter(readers))
    both = [(gets(pieces, before, reader), gets(pieces, after, reader)) for reader in readers]
    assert (found.pieces, found.readers) == (len(pieces), len(readers))
    assert found.gaining == sum(bool(new - old) for old, new in both)
    assert found.losing == sum(bool(old - new) for old, new in both)
    told = {one.id: (one.before, one.after, one.gained, one.lost) for one in found.changed}
    for piece in pieces:
        counts = tuple(
            sum(test) for test in zip(*[(piece.id in o, piece.id in n, piece.id in n - o, piece.id in o - n) for o, n in both], strict=True)
        )
        assert told.get(piece.id, counts) == counts and (piece.id in told) == bool(counts and (counts[2] or counts[3]))


def test_each_interest_says_what_it_gains_and_loses_and_why():
    pieces = [make_summary("a", tags=("gut",)), make_summary("b", tags=("diet",), title="About diet")]
    before = make_interests(make_interest("gut"), make_interest("vision"))
    after = make_interests(make_interest("gut"), make_interest("diet", parent="gut"))
    found = impact(pieces, before, after, [("gut",), ("vision", "gut"), ("vision",)])
    gut, vision, diet = found.interests
    assert [(one.id, one.change, one.readers, one.before, one.after) for one in (gut, vision, diet)] == [
        ("gut", "same", 2, 1, 2),
        ("vision", "removed", 2, 0, 0),
        ("diet", "new", 0, 0, 1),
    ]
    assert [(ref.title, ref.why) for ref in gut.gained] == [("About diet", "Diet, tag diet")] and not gut.lost
    assert (found.gaining, found.losing, found.choices_lost) == (2, 0, 2)
