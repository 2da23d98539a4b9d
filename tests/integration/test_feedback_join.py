"""R12: events repeated, shuffled, lost and split at random end in what the set of them means, bit for bit."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from digest import feedback
from digest.workspace import open_workspace
from tests.support.feedback import add_attempt, add_delivery, add_issue, add_people, bare_workspace, body, dump, told
from tests.support.feedback_oracle import World, dress, expected, make_events, make_world

NIGHTLY = os.environ.get("DIGEST_TEST_EXAMPLES") == "nightly"
SEEDS = range(200 if NIGHTLY else 8)


def storm(events: list[dict[str, Any]], rng: Random, lost: float, most: int = 46) -> list[dict[str, Any]]:
    """Each event 1 to ``most`` times, every copy under an id of its own; shuffled, and a part of the copies lost."""
    copies = [{**event, "sg_event_id": f"{rng.getrandbits(120):x}"} for event in events for _ in range(rng.randint(1, most))]
    rng.shuffle(copies)
    return [copy for copy in copies if rng.random() >= lost]


def portions(events: list[dict[str, Any]], rng: Random) -> Iterable[list[dict[str, Any]]]:
    start = 0
    while start < len(events):
        end = start + rng.randint(1, 400)
        yield events[start:end]
        start = end


def bed(tmp_path, seed: int, people: int = 16):
    return open_workspace(bare_workspace(tmp_path / f"w{seed}"))


@pytest.mark.parametrize("lost", [0.05, 0.3])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_outcome_is_the_oracles_whatever_way_the_events_come(tmp_path, seed, lost):
    rng = Random(f"{seed}/{lost}")
    with bed(tmp_path, seed) as workspace:
        world = make_world(workspace, rng, 30 if NIGHTLY else 16)
        events = [dress(event, rng) for event in make_events(world, rng)]
        arrived = storm(events, rng, lost)
        for portion in portions(arrived, rng):
            feedback.take_webhook(workspace.store, "sendgrid", body(portion))
            if rng.random() < 0.3:
                feedback.apply(workspace)
        feedback.apply(workspace)
        found = dump(workspace)
        assert found == expected(world, arrived), f"seed {seed}, lost {lost}"
        again = feedback.apply(workspace)
        assert (again.bodies, again.joined, again.suppressed, again.accepted_by_sibling) == (0, 0, 0, 0)
        assert dump(workspace) == found
        lone = {event.get("did", "") for event in arrived} - {row.did for row in world.rows}
        assert {event.did for event in feedback.unknown(workspace)} == lone


# --- what must fail: two joins that look right ---------------------------------------------------------------------------


def keyed_on_event_id(world: World, arrived: list[dict[str, Any]]) -> dict[str, Any]:
    """A join that takes what has a new ``sg_event_id`` for a new event: three repeats of one soft bounce suppress a reader."""
    person = {row.did: row.subscriber for row in world.rows}
    counted: dict[int, int] = {}
    outcome = expected(world, arrived)
    for event in {event["sg_event_id"]: event for event in arrived}.values():
        if event["event"] == "bounce" and event["status"] in ("5.2.2", "4.2.2") and event.get("did") in person:
            row = person[event["did"]]
            index, consent = world.people[row]
            if consent is None or event["timestamp"] > consent.timestamp():
                counted[row] = counted.get(row, 0) + 1
                if counted[row] >= 3:
                    outcome["suppressed"].setdefault(index, ("bounce", datetime.fromtimestamp(event["timestamp"], UTC), "soft bounces"))
    return outcome


def last_one_wins(world: World, arrived: list[Mapping[str, Any]]) -> dict[str, Any]:
    """A join that writes each event's time as it comes."""
    outcome = expected(world, arrived)
    place = {"delivered": 2, "bounce": 3, "dropped": 4, "spamreport": 5}
    for event in arrived:
        if event.get("did") in outcome["deliveries"] and event["event"] in place:
            row = list(outcome["deliveries"][event["did"]])
            row[place[event["event"]]] = datetime.fromtimestamp(event["timestamp"], UTC)
            outcome["deliveries"][event["did"]] = tuple(row)
    return outcome


@pytest.mark.parametrize("bad", [keyed_on_event_id, last_one_wins])
def test_a_join_that_is_known_to_be_wrong_is_found_out(tmp_path, bad):
    """If these pass the comparison, the storm has gone mild and the test above proves nothing."""
    rng = Random("control")
    with bed(tmp_path, 0) as workspace:
        world = make_world(workspace, rng, 40)
        arrived = storm([dress(event, rng) for event in make_events(world, rng)], rng, 0.05)
        assert bad(world, arrived) != expected(world, arrived)


def test_a_storm_is_applied_fast_enough(tmp_path):
    """The floor is far below what was measured (see docs): a slow machine must not fail, a quadratic join must."""
    rng = Random(12)
    people = 4000 if NIGHTLY else 400
    with bed(tmp_path, 12) as workspace:
        issue = add_issue(workspace)
        attempts = [add_attempt(workspace, issue, 200) for _ in range(people // 200)]
        rows = add_people(workspace, people)
        from digest.model import DeliveryState as S

        dids = [
            (add_delivery(workspace, issue, row, S.ACCEPTED, attempts[n // 200][0]), attempts[n // 200][1]) for n, row in enumerate(rows)
        ]
        events = [told(did, aid, kind, rng=rng) for did, aid in dids for kind in ("processed", "delivered", "open", "deferred")]
        arrived = storm(events, rng, 0.05, most=5)
        begun = time.perf_counter()
        for start in range(0, len(arrived), 700):
            feedback.take_webhook(workspace.store, "sendgrid", body(arrived[start : start + 700]))
        report = feedback.apply(workspace)
        rate = len(arrived) / (time.perf_counter() - begun)
        print(f"{len(arrived)} events, {report.joined} different, {rate:.0f}/s")  # noqa: T201
        assert report.joined == report.events <= len(events)
        assert rate > 1000
