"""At least once: cut at every boundary, and in random scripts of failures and crashes, each event reaches each hook that wants it.

``DIGEST_TEST_EXAMPLES=nightly`` tries more scripts. The control settles an event before it is handed over, and must be caught.
"""

import os
import random
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from digest import readers
from digest.hooks import keeping, telling
from digest.hooks.post import Answer
from digest.model import Status
from digest.store import hooks, now
from digest.store import schema as t
from digest.workspace import open_workspace
from tests.support.crash import Cut, Knife
from tests.support.feedback import add_people, bare_workspace
from tests.support.hooks import Memory, add_hook, let_pass, written

NIGHTLY = os.environ.get("DIGEST_TEST_EXAMPLES") == "nightly"
URLS = ("https://one.example.org/", "https://two.example.org/", "https://three.example.org/")
TOPICS = {URLS[0]: ("*",), URLS[1]: ("reader.left",), URLS[2]: ("reader.*", "reader.left")}
HOUR_S = 3600


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = bare_workspace(tmp_path_factory.mktemp("hooks") / "w")
    with open_workspace(made) as opened:
        add_people(opened, 12)
    return made


def begin(opened):
    """As new: nobody left, no hook but ours. Returns the readers' ids and the hooks' ids by address."""
    with opened.store.write() as tx:
        for table in (t.hook_event, t.hook_topic, t.hook, t.consent):
            tx.execute(table.delete())
        tx.execute(update(t.subscriber).values(status=Status.ACTIVE.value))
        sids = [row.sid for row in tx.execute(t.subscriber.select().order_by(t.subscriber.c.id))]
    return sids, {url: add_hook(opened, url, *topics) for url, topics in TOPICS.items()}


def process(folder, patch, knife, work):
    """A process that does ``work`` and is cut where the knife says. Whether it came to its end."""
    with patch.context() as inner, open_workspace(folder) as opened, knife.over(inner):
        try:
            work(opened)
        except Cut:
            return False
    return True


def to_the_end(opened, memory):
    """Every receiver answers again, leases run out, waits pass."""
    memory.script.clear()
    for hook in keeping.every(opened):
        if hook.disabled_at:
            keeping.enable(opened, hook.hid)
    for _ in range(12):
        with opened.store.write() as tx:
            long_ago = now(tx) - timedelta(seconds=1)
            tx.execute(update(t.hook_event).where(t.hook_event.c.state != "delivered").values(next_at=long_ago))
            tx.execute(update(t.hook).values(rest_until=None))
        telling.hand_over(opened, out=memory)
        if all(row.state == "delivered" for row in written(opened)):
            return


def wrong(opened, memory, left, hids):
    """What is wrong with what the receivers got, by what the ledger of readers says happened."""
    rows = written(opened)
    found = [f"{row.kind} of {row.hid} is {row.state}" for row in rows if row.state != "delivered"]
    ids = Counter(f"msg_{row.event}_{row.hid}" for row in rows)
    found += [f"{id} stands for {n} rows" for id, n in ids.items() if n > 1]
    for url, hid in hids.items():
        wanted = {f"msg_{row.event}_{row.hid}" for row in rows if row.hid == hid}
        got = {id for at, id in memory.taken if at == url}
        found += [f"{url} never got {id}" for id in wanted - got] + [f"{url} got {id} that is not its own" for id in got - wanted]
    found += [f"{id} came with {len(bodies)} different bodies" for id, bodies in memory.bodies.items() if len(bodies) > 1]
    told = Counter((row.hid, row.data) for row in rows)
    found += [f"{hid} is told of {data} {n} times" for (hid, data), n in told.items() if n > 1]
    if left is not None:
        counts = Counter(row.hid for row in rows)
        found += [f"{hid} was to be told {len(left)} times, not {counts[hid]}" for hid in hids.values() if counts[hid] != len(left)]
    return found


def who_left(opened):
    with opened.store.read() as tx:
        gone = t.subscriber.select().where(t.subscriber.c.status == Status.UNSUBSCRIBED.value)
        return [row.sid for row in tx.execute(gone)]


# --- one cut, everywhere -------------------------------------------------------------------------------------------------


def cuts(folder, patch):
    """A process in which two readers leave and all hooks are told, one of them in vain at first, cut at each boundary in turn; on a
    push only where something lasts: a cut anywhere else leaves what one before it leaves.
    """
    at = 0
    while True:
        at += 1
        with open_workspace(folder) as opened:
            sids, hids = begin(opened)
        knife = Knife(at, only_lasting=not NIGHTLY)
        memory = Memory({URLS[1]: ["lost"]}, knife.boundary)

        def work(opened, sids=sids, memory=memory):
            for sid in sids[:2]:
                readers.leave(opened, sid, "page")
            telling.hand_over(opened, out=memory, rng=random.Random(1))

        ended = process(folder, patch, knife, work)
        memory._boundary = lambda *_, **__: None
        with open_workspace(folder) as opened:
            left = who_left(opened)
            to_the_end(opened, memory)
            yield knife, memory, wrong(opened, memory, left, hids)
        if ended:
            return


def test_a_crash_anywhere_loses_no_event_and_what_went_out_twice_bears_one_id(folder, monkeypatch):
    names, twice = [], set()
    for knife, memory, faults in cuts(folder, monkeypatch):
        assert not faults, (knife.at, knife.passed[-1:], faults)
        names = knife.passed
        if knife.cut and knife.passed[-1] == "call: returned":
            again = [n for (url, _), n in memory.taken.items() if url != URLS[1]]  # that one's first answer is lost, come what may
            assert max(memory.taken.values()) == 2
            twice |= {knife.at} if max(again) == 2 else set()  # it had it, we did not know, and it came again
    assert {"leave: committed", "_one: committed", "call: returned", "_settle: committed"} <= set(names)
    assert twice and len(names) > (60 if NIGHTLY else 15), len(names)


def settled_first(workspace, hook, out, rng):
    """What must never be: an event is done before it is handed over."""
    lease = timedelta(seconds=40)
    with workspace.store.write(together=True) as tx:
        due = hooks.claim(tx, workspace.store.vault, hook, lease)
    if due is None:
        return telling.Told(), False
    with workspace.store.write(together=True) as tx:
        hooks.delivered(tx, due, 204)
    out(due.url, {"webhook-id": f"msg_{due.event}_{due.hid}"}, b"")
    return telling.Told(delivered=1), True


def test_control_settling_before_the_hand_over_loses_events(folder, monkeypatch):
    monkeypatch.setattr(telling, "_one", settled_first)
    found = next((faults for _, _, faults in cuts(folder, monkeypatch) if faults), [])
    assert any("never got" in fault for fault in found)


def test_control_an_event_written_after_the_step_is_lost(folder, monkeypatch):
    """In a transaction of its own a crash in between loses it: nobody would ever know."""
    real, leave = hooks.reader_event, readers.leave

    def leave_then_tell(opened, sid, how):
        later = []
        monkeypatch.setattr(hooks, "reader_event", lambda tx, *what: later.append(what))
        leave(opened, sid, how)
        with opened.store.write() as tx:
            real(tx, *later[0])

    monkeypatch.setattr(readers, "leave", leave_then_tell)
    found = next((faults for _, _, faults in cuts(folder, monkeypatch) if faults), [])
    assert any("was to be told" in fault for fault in found)


# --- random scripts ------------------------------------------------------------------------------------------------------

ANSWERS = st.sampled_from([204, 204, 500, 400, 302, None, "lost", 410])
STEPS = st.one_of(
    st.just(("leave", 0)),
    st.tuples(st.just("round"), st.just(0)),
    st.tuples(st.just("cut"), st.integers(1, 30)),
    st.tuples(st.just("pass"), st.sampled_from([1, 30, 400, 2 * HOUR_S])),
    st.tuples(st.just("enable"), st.integers(0, 2)),
)


@settings(max_examples=300 if NIGHTLY else 12)
@given(st.lists(STEPS, min_size=3, max_size=12), st.fixed_dictionaries({url: st.lists(ANSWERS, max_size=6) for url in URLS}), st.integers())
def test_whatever_fails_each_event_reaches_each_hook_that_was_told_of_it(folder, script, answers, seed):
    chance, patch = random.Random(seed), pytest.MonkeyPatch()
    with open_workspace(folder) as opened:
        sids, hids = begin(opened)
        memory = Memory(answers)
        leaving = iter(sids)
        for what, n in [*script, ("leave", 0), ("round", 0)]:
            match what:
                case "leave":
                    if (sid := next(leaving, None)) is not None:
                        readers.leave(opened, sid, "page")
                case "round":
                    telling.hand_over(opened, out=memory, rng=chance)
                case "cut":
                    knife = Knife(n)
                    memory._boundary = knife.boundary
                    process(folder, patch, knife, lambda one: telling.hand_over(one, out=memory, rng=chance))
                    memory._boundary = lambda *_, **__: None
                case "pass":
                    let_pass(opened, n)
                case "enable":
                    keeping.enable(opened, list(hids.values())[n])
        to_the_end(opened, memory)
        # While a hook is disabled nothing is kept for it: so how many each is told depends on the script, and is not asked here.
        assert wrong(opened, memory, None, hids) == []


def test_control_an_answer_taken_for_granted_is_caught(folder):
    """The judge sees what a hook never got."""
    with open_workspace(folder) as opened:
        sids, hids = begin(opened)
        readers.leave(opened, sids[0], "page")
        telling.hand_over(opened, out=lambda *_: Answer(204))
        assert len(wrong(opened, Memory(), None, hids)) == 3
