"""Nothing lost and nothing twice through any history of changed cadences, against a world simulated day by day."""

from datetime import timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from digest.carry import Candidate, Given, Ledger, Past, Piece, carried
from digest.model import Slot
from tests.support.make import at

STEP = {"weekly": 7, "monthly": 28, "quarterly": 84}
BEGIN = at("2026-01-01T09:00")


class World:
    """Days, summaries that arrive (some late), three cadences whose issues are drafted and sent, and one reader."""

    def __init__(self, changes, misses, late):
        self.changes, self.misses, self.late = dict(changes), misses, late
        self.pieces, self.arrived_on, self.issues, self.given = [], {}, {}, []
        self.offered = set()
        self.taken = {cadence: set() for cadence in STEP}
        self.cadence, self.joined_on, self.carry, self.changed_at = "monthly", 40, True, None

    def live(self, days):
        for day in range(days):
            now = BEGIN + timedelta(days=day)
            if day == self.joined_on:
                self.since = now
            if day % 3 == 0 or day in self.late:
                self.pieces.append(Piece(day, "ours", now - timedelta(hours=1) - timedelta(days=self.late.get(day, 0))))
            self.arrived_on[day] = day
            if self.changes.get(day, self.cadence) != self.cadence:
                self.cadence, self.changed_at = self.changes[day], now
            for cadence, step in STEP.items():
                if day and day % step == 0:
                    self.issue(cadence, day, now)

    def issue(self, cadence, day, now):
        slot = Slot(cadence=cadence, local_date=now.date(), opens_after=now - timedelta(days=STEP[cadence]), due_at=now)
        floor = BEGIN - timedelta(days=200)  # the cadence's first window holds everything there is
        members = {p.row for p in self.pieces if p.row not in self.taken[cadence] and floor < p.published_at <= now}
        self.taken[cadence] |= members
        number = len(self.issues)
        if cadence == self.cadence and day >= self.joined_on:
            ends = {name: {"ours": floor} for name in STEP}
            extra = (
                carried(
                    slot, frozenset(members), self.pieces, Ledger(self.issues, ends), self.given, Candidate(1, self.since, self.changed_at)
                )
                if self.carry
                else frozenset()
            )
            missed = day in self.misses
            self.given.append(Given(number, missed))
            if not missed:
                self.offered |= members | extra
        self.issues[number] = Past(cadence, now, frozenset(members))


CHANGES = st.dictionaries(st.integers(41, 330), st.sampled_from(list(STEP)), max_size=5)
MISSES = st.sets(st.integers(6, 48).map(lambda n: n * 7), max_size=4)
LATE = st.dictionaries(st.integers(0, 340), st.integers(1, 25), max_size=20)


def lost(world):
    """What came out and arrived since the reader joined, before their last issue, and was never offered to them."""
    if not any(not one.missed for one in world.given):
        return set()
    begun = next(world.issues[one.issue].due_at for one in world.given if not one.missed)
    until = max(world.issues[one.issue].due_at for one in world.given if not one.missed)
    return {
        p.row
        for p in world.pieces
        if p.published_at > world.since and p.published_at <= until and begun <= BEGIN + timedelta(days=world.arrived_on[p.row]) <= until
    } - world.offered


@given(CHANGES, MISSES, LATE)
@example({253: "quarterly", 281: "monthly"}, set(), {})  # away and back: an issue went out between
@example({41: "weekly", 100: "quarterly", 180: "weekly"}, {105, 112}, {90: 20})
def test_whoever_changes_cadence_is_offered_everything_that_came_out(changes, misses, late):
    world = World(changes, misses, late)
    world.live(350)
    assert not lost(world)


def test_without_carrying_something_is_lost():
    """The control: the same history, the rule left out."""
    world = World({100: "weekly"}, set(), {})
    world.carry = False
    world.live(350)
    assert lost(world)


@given(MISSES, LATE)
def test_who_stays_with_a_cadence_and_missed_nothing_is_carried_nothing(misses, late):
    world = World({}, set(), late)
    world.live(350)
    ends = {name: {} for name in STEP}
    slot = Slot(cadence="monthly", local_date=BEGIN.date(), opens_after=BEGIN, due_at=BEGIN + timedelta(days=400))
    assert not carried(slot, frozenset(), world.pieces, Ledger(world.issues, ends), world.given, Candidate(1, world.since))


@given(st.integers(41, 300), st.sampled_from(["weekly", "quarterly"]))
def test_what_came_out_before_the_reader_joined_is_not_poured_over_them(day, new):
    """Carried is only what the old cadence would still have brought."""
    world = World({day: new}, set(), {})
    world.live(350)
    joined = {p.row for p in world.pieces if p.published_at <= world.since}
    own = set().union(*(world.issues[one.issue].members for one in world.given))
    assert not (world.offered - own) & joined


def test_weekly_after_monthly_brings_what_lay_between():
    issues = {
        1: Past("monthly", at("2026-02-01T09:00"), frozenset({1})),
        2: Past("weekly", at("2026-01-30T07:30"), frozenset({1})),
        3: Past("weekly", at("2026-02-06T07:30"), frozenset({2})),
        4: Past("weekly", at("2026-02-13T07:30"), frozenset({3})),
    }
    pieces = [Piece(n, "ours", at(day)) for n, day in ((1, "2026-01-20"), (2, "2026-02-03"), (3, "2026-02-10"), (4, "2026-02-18"))]
    slot = Slot(cadence="weekly", local_date=at("2026-02-20").date(), opens_after=at("2026-02-13"), due_at=at("2026-02-20T07:30"))
    ledger = Ledger(issues, {"monthly": {"ours": at("2026-01-01")}})
    assert carried(slot, frozenset({4}), pieces, ledger, [Given(1, False)], Candidate(1, at("2025-12-01"))) == {2, 3}
    # A pause that ended on 10 February: what fell due before was not meant for this reader.
    assert carried(slot, frozenset({4}), pieces, ledger, [Given(1, False)], Candidate(1, at("2026-02-10T12:00"))) == {3}
    assert not carried(slot, frozenset({4}), pieces, ledger, [], Candidate(1, at("2025-12-01")))  # somebody new
