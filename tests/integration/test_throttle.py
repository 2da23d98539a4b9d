"""The shared rate on a real database: threads and stores of their own, and the database's clock set by the test."""

import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from digest.pace import SharedThrottle
from digest.store import open_store, throttle

URL = "sqlite:///var/digest.db"


class Clock:
    """The database's clock, under the test's hand."""

    def __init__(self):
        self.at = datetime(2026, 5, 1, 9, tzinfo=UTC)

    def __call__(self, _):
        return self.at

    def seconds(self):
        return self.at.timestamp()


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(throttle, "now", made)
    return made


@pytest.fixture
def stores(tmp_path):
    made = [open_store(tmp_path, URL, None) for _ in range(4)]
    yield made
    for store in made:
        store.close()


def test_threads_over_stores_of_their_own_book_times_that_do_not_overlap(stores, clock):
    booked, lock = [], threading.Lock()

    def work(store, messages):
        for _ in range(25):
            with store.write() as tx:
                start = throttle.book(tx, messages, 10.0)
            with lock:
                booked.append((round(start, 3), messages))

    threads = [threading.Thread(target=work, args=(store, n + 1)) for n, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    booked.sort()
    assert booked[0][0] == -1.0 and len(booked) == 100
    assert all(abs(one + count / 10 - other) < 2e-3 for (one, count), (other, _) in pairwise(booked))


def test_several_that_wait_as_told_keep_the_rate_and_a_clock_set_back_does_not_stop_them(stores, clock):
    def booking(store):
        def book(messages):
            with store.write() as tx:
                return throttle.book(tx, messages, 10.0)

        return book

    members = [SharedThrottle(600, clock.seconds, booking(store)) for store in stores]
    begun, sent = clock.at, 0
    while clock.at < begun + timedelta(seconds=30):
        waits = [member.wait_s(3) for member in members]
        clock.at += timedelta(seconds=max(waits))
        sent += 12
    assert 280 <= sent <= 10 * ((clock.at - begun).total_seconds() + 2) + 12
    clock.at -= timedelta(days=1)
    with stores[0].write() as tx:
        assert throttle.book(tx, 1, 10.0) == -1.0


def test_a_domain_has_one_minute_for_all_and_is_forgotten_after_a_day(stores, clock):
    def take(store, count):
        with store.write() as tx:
            return throttle.take(tx, {"aa": count}, 10)["aa"]

    assert take(stores[0], 4) == (4, 60.0)
    clock.at += timedelta(seconds=20)
    assert take(stores[1], 9) == (6, 40.0) and take(stores[2], 1) == (0, 40.0)
    clock.at += timedelta(seconds=40)
    assert take(stores[3], 1) == (1, 60.0)
    clock.at += timedelta(days=2)
    with stores[0].write() as tx:
        throttle.book(tx, 1, 1.0)
        throttle.sweep(tx)
        assert tx.exec_driver_sql("SELECT scope FROM throttle").scalars().all() == ["all"]
