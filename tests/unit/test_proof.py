"""The puzzle for browsers: what solves it, and what does not."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest import proof

KEYS = {1: bytes(range(32)), 2: bytes(32)}
AT = datetime(2026, 5, 1, tzinfo=UTC)
# Made by PyPI's altcha 2.3.0 (create_challenge_v1) with the key that KEYS[1] gives for proofs.
ALTCHA = {
    "algorithm": "SHA-256",
    "challenge": "b9d43b35e4d5bd6c16b6029b6e75a30f5cbc458f4c720f86a489820a3495414f",
    "number": 1234,
    "salt": "00112233445566778899aabb?expires=2000000000&",
    "signature": "75eb8f959d9214697c5f1064c4ef8e56d388aa7a7dc36244552b51e699f78d41",
}


def coded(said):
    return base64.b64encode(json.dumps(said).encode()).decode()


def solved(puzzle):
    number = next(n for n in range(puzzle["maxnumber"] + 1) if proof._hash(puzzle["salt"], n) == puzzle["challenge"])
    return {**{key: puzzle[key] for key in ("algorithm", "challenge", "salt", "signature")}, "number": number}


def test_what_altcha_made_is_checked_and_known_by_its_challenge():
    assert proof.check(coded(ALTCHA), KEYS, AT) == (ALTCHA["challenge"], datetime.fromtimestamp(2_000_000_000, UTC))


def test_a_puzzle_of_ours_can_be_solved_for_two_hours_and_with_every_key_that_is_kept(monkeypatch):
    monkeypatch.setattr(proof, "MOST", 500)
    puzzle = proof.puzzle({1: KEYS[1]}, AT)
    answer = coded(solved(puzzle))
    assert proof.check(answer, KEYS, AT).until == AT + proof.KEPT
    assert proof.check(answer, KEYS, AT + proof.KEPT) and not proof.check(answer, KEYS, AT + proof.KEPT + timedelta(seconds=1))
    assert not proof.check(answer, {2: KEYS[2]}, AT)


@pytest.mark.parametrize(
    "changed",
    [
        {"number": 1235},
        {"number": -1},
        {"number": proof.MOST + 1},
        {"number": True},
        {"number": "1234"},
        {"salt": "00112233445566778899aabb?expires=2000000001&"},
        # Digits that move over the border give the same hash: the & at the end of the salt prevents it.
        {"salt": "00112233445566778899aabb?expires=2000000000&1", "number": 234},
        {"salt": "00112233445566778899aabb?expires=20000000001", "number": 234},
        {"signature": "0" * 64},
        {"signature": "ä"},
        {"challenge": 5},
        {"salt": None},
    ],
)
def test_nothing_else_is_a_solution(changed):
    assert proof.check(coded({**ALTCHA, **changed}), KEYS, AT) is None


@given(st.one_of(st.text(max_size=200), st.recursive(st.integers() | st.text() | st.none(), st.lists).map(coded)))
def test_no_nonsense_is_a_solution_or_a_fault(text):
    assert proof.check(text, KEYS, AT) is None
