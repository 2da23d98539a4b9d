"""Requests that come together are written together, and none pays for another."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from digest.errors import BusyError, StoreError
from digest.web.together import Together


def test_those_who_come_while_one_is_written_are_written_at_once():
    batches, begun, may_go_on = [], threading.Event(), threading.Event()

    def work(asked):
        batches.append(list(asked))
        begun.set()
        assert may_go_on.wait(10)
        return [one * 10 for one in asked]

    together = Together(work)
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(together.do, 0)
        assert begun.wait(10)
        others = [pool.submit(together.do, n) for n in range(1, 6)]
        while len(together._waiting) < 5:
            pass
        may_go_on.set()
        assert [one.result(10) for one in (first, *others)] == [0, 10, 20, 30, 40, 50]
    assert batches[0] == [0] and sorted(batches[1]) == [1, 2, 3, 4, 5] and len(batches) == 2


def test_one_that_fails_fails_alone():
    tried, begun, may_go_on = [], threading.Event(), threading.Event()

    def work(asked):
        tried.append(list(asked))
        begun.set()
        assert may_go_on.wait(10)
        if "bad" in asked:
            raise ValueError("no such reader")
        return list(asked)

    together = Together(work)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(together.do, "first")
        assert begun.wait(10)
        others = {name: pool.submit(together.do, name) for name in ("good", "bad")}
        while len(together._waiting) < 2:
            pass
        may_go_on.set()
        assert first.result(10) == "first" and others["good"].result(10) == "good"
        with pytest.raises(ValueError, match="no such reader"):
            others["bad"].result(10)
    assert len(tried) == 4  # the first, both together, and each by itself


def test_alone_it_is_one_call_whose_error_is_its_own():
    with pytest.raises(ZeroDivisionError):
        Together(lambda asked: [1 // one for one in asked]).do(0)


def test_where_the_database_fails_all_who_wait_are_told_at_once():
    tried, begun, may_go_on = [], threading.Event(), threading.Event()

    def work(asked):
        tried.append(list(asked))
        begun.set()
        assert may_go_on.wait(10)
        raise BusyError("the database is busy")

    together = Together(work)
    with ThreadPoolExecutor(21) as pool:
        asked = [pool.submit(together.do, 0)]
        assert begun.wait(10)
        asked += [pool.submit(together.do, n) for n in range(1, 21)]
        while len(together._waiting) < 20:
            pass
        may_go_on.set()
        assert [type(one.exception(10)) for one in asked] == [BusyError] * 21
    assert [len(some) for some in tried] == [1, 20]


def test_whose_turn_does_not_come_in_time_is_told_so_and_never_written():
    written, begun, may_go_on = [], threading.Event(), threading.Event()

    def work(asked):
        written.extend(asked)
        begun.set()
        assert may_go_on.wait(10)
        return list(asked)

    together = Together(work, turn_s=0.01)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(together.do, "first")
        assert begun.wait(10)
        with pytest.raises(StoreError, match="try again"):
            together.do("late")
        may_go_on.set()
        assert first.result(10) == "first" and together.do("next") == "next"
    assert written == ["first", "next"]
