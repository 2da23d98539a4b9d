"""Rates that several share: never more than allowed, and one alone gets all of it."""

import heapq
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from digest.pace import CHUNK_S, SharedDomains, SharedThrottle


class Row:
    """The database's row, with a clock that all look at."""

    def __init__(self, per_minute):
        self.per_second, self.now, self.booked, self.writes = per_minute / 60, 1000.0, 0.0, 0

    def __call__(self):
        return self.now

    def book(self, messages):
        self.writes += 1
        start = max(self.now - 1, self.booked)
        self.booked = start + messages / self.per_second
        return start - self.now


@given(st.integers(1, 6000), st.integers(1, 8), st.lists(st.tuples(st.integers(0, 7), st.integers(1, 50)), min_size=1, max_size=60))
def test_all_together_never_exceed_the_rate(per_minute, processes, asked):
    row = Row(per_minute)
    members = [SharedThrottle(per_minute, row, row.book) for _ in range(processes)]
    sent, free_at = [], [1000.0] * processes
    for who, messages in asked:
        who %= processes
        row.now = max(row.now, free_at[who])  # each is asked again once it may go; the clock never goes back
        free_at[who] = row.now + members[who].wait_s(messages)
        sent.append((free_at[who], messages))
    sent.sort()
    for first, (begun, _) in enumerate(sent):
        gone, biggest = 0, 0
        for when, messages in sent[first:]:
            gone, biggest = gone + messages, max(biggest, messages)
            # A second may have been saved up, a second be made up for; and the last batch may just have begun.
            assert gone - biggest <= per_minute / 60 * (when - begun + 2) + 1e-6


@given(st.integers(60, 60_000), st.integers(1, 100))
def test_one_alone_gets_the_full_rate(per_minute, batch):
    row = Row(per_minute)
    alone = SharedThrottle(per_minute, row, row.book)
    rounds = 200
    for _ in range(rounds):
        row.now += alone.wait_s(batch)
    due_s = rounds * batch / (per_minute / 60)
    assert due_s - 2 - CHUNK_S - 2 * batch / (per_minute / 60) <= row.now - 1000 <= due_s + 1e-6
    assert row.writes <= rounds and (batch > per_minute / 60 * CHUNK_S or row.writes <= 2 + due_s / CHUNK_S * 1.5)


@given(st.integers(2, 16), st.sampled_from([1, 5, 100]), st.sampled_from([0.02, 0.06, 0.4]), st.sampled_from([0.25, 0.8, 1.5, 4, 1000]))
def test_several_get_what_they_need_or_the_full_rate(processes, batch, call_s, times_the_need):
    """Once each booked a quarter of a second of all and lost what it did not use: eight that needed little got half of it."""
    need = processes * batch / call_s
    row = Row(round(60 * need * times_the_need))
    members = [SharedThrottle(round(row.per_second * 60), row, row.book) for _ in range(processes)]
    free, sent = [(1000 + n * call_s / processes, n) for n in range(processes)], 0
    while free[0][0] < 1030:
        row.now, who = heapq.heappop(free)
        waits = members[who].wait_s(batch)
        sent += batch if row.now + waits < 1030 else 0
        heapq.heappush(free, (row.now + waits + call_s, who))
    assert sent >= 0.9 * min(need, row.per_second) * 30
    assert row.writes <= (30 / max(call_s, 0.12) + 5) * processes


def test_what_was_booked_and_not_used_is_not_saved_up():
    row = Row(6000)
    one = SharedThrottle(6000, row, row.book)
    one.wait_s(1)
    row.now += 3600
    assert [one.wait_s(100) for _ in range(4)] == [0, 0, 1, 2]  # the second saved up, and the one that begins now


class Minutes:
    """What the database does for domains."""

    def __init__(self, per_minute):
        self.per_minute, self.now, self.rows, self.asked = per_minute, 1000.0, {}, 0

    def __call__(self):
        return self.now

    def take(self, wanted):
        self.asked += 1
        found = {}
        for domain, count in wanted.items():
            began, taken = self.rows.get(domain, (self.now, 0))
            began, taken = (self.now, 0) if self.now - began >= 60 else (began, taken)
            granted = max(0, min(count, self.per_minute - taken))
            self.rows[domain] = (began, taken + granted)
            found[domain] = (granted, began + 60 - self.now)
        return found


@given(
    st.integers(1, 100),
    st.lists(st.tuples(st.integers(0, 3), st.lists(st.sampled_from("ab"), min_size=1, max_size=20), st.floats(0, 30)), max_size=40),
)
def test_a_domain_gets_no_more_in_its_minute_than_its_share(per_minute, claims):
    row = Minutes(per_minute)
    members = [SharedDomains(per_minute, row, row.take) for _ in range(4)]
    sent = Counter()
    for who, domains, pause_s in claims:
        row.now += pause_s
        members[who].expect(domains)
        for domain in domains:
            wait = members[who].put_off_s(domain)
            assert wait <= 60.001
            if not wait:
                sent[domain, row.rows[domain][0]] += 1
    assert all(count <= per_minute for count in sent.values())


def test_one_alone_gets_the_whole_share_of_a_domain_and_asks_seldom():
    row = Minutes(100)
    alone = SharedDomains(100, row, row.take)
    waits = []
    for _ in range(300):
        alone.expect(["a"])
        waits.append(alone.put_off_s("a"))
    assert waits.count(0) == 100 and row.asked <= 22
    row.now += 60
    alone.expect(["a"])
    assert alone.put_off_s("a") == 0
