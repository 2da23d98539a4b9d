"""Webhooks on both databases against a real server that fails, is slow, hangs, redirects, breaks off, is gone."""

import json
import random
import re
import threading
import time
from collections import Counter
from datetime import date, timedelta

import pytest
from sqlalchemy import update
from standardwebhooks.webhooks import Webhook

from digest import dispatch, doctor, issue, jobs, join, keys, life, operate, readers, readiness, retention, schedule, suppress
from digest.config import Hooks
from digest.errors import HookError
from digest.events import Suppression
from digest.hooks import keeping, telling
from digest.hooks.attempt import WAITS_S
from digest.hooks.kinds import KINDS
from digest.hooks.post import post
from digest.model import DeliveryState, Status
from digest.store import holding, hooks, mails, now, people, suppressions
from digest.store import schema as t
from digest.workspace import open_workspace
from tests.support.feedback import add_people, bare_workspace
from tests.support.hooks import add_hook, let_pass, receiving, wait_for, written
from tests.support.make import CONFIG, REPOSITORY, make_workspace, write_summary

DAY_S = 86_400


@pytest.fixture
def receiver():
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def letter(tmp_path, receiver, on_both):
    with open_workspace(bare_workspace(tmp_path / "w", receiver.config + "editors: [ed@example.org]\n")) as opened:
        yield opened


def hook_of(opened, hid):
    (found,) = [one for one in keeping.every(opened) if one.hid == hid]
    return found


def leave(opened, row, how="page"):
    """One event of one reader. Returns their id."""
    with opened.store.read() as tx:
        sid = tx.execute(t.subscriber.select().where(t.subscriber.c.id == row)).one().sid
    assert readers.leave(opened, sid, how)
    return sid


# --- what is told --------------------------------------------------------------------------------------------------------


def kinds(opened):
    return [row.kind for row in written(opened)]


def through_an_issue(opened, name):
    """Drafted, looked at, paused and let go on, sent; then sent again for what was held."""
    jobs.prepare(opened, "monthly")
    schedule.ask(opened, name)
    readiness.approve(opened, name)
    operate.pause(opened, name, "a look")
    operate.pause(opened, name, "again")
    operate.resume(opened, name)
    dispatch.send(opened, name)
    with opened.store.write() as tx:
        tx.execute(update(t.delivery).values(state=DeliveryState.HELD.value))
    with opened.store.write() as tx:
        holding.reopen(tx, issue.find(tx, name).id)
    dispatch.send(opened, name)


OF_AN_ISSUE = """issue.drafted issue.in_review issue.approved issue.paused issue.resumed issue.sending issue.finished
    issue.sending issue.finished_with_held""".split()


def through_a_reader(opened, ana, ben):
    """One who changes, pauses, leaves, comes back and is erased; and what others say of them and of the other."""
    with opened.store.read() as tx:
        sid = {row.id: row.sid for row in tx.execute(t.subscriber.select())}
    readers.change(opened, sid[ana], lambda one: one.model_copy(update={"language": "de"}), "test")
    readers.change(opened, sid[ana], lambda one: one, "nothing")
    readers.change(opened, sid[ana], lambda one: one.model_copy(update={"status": Status.PAUSED}), "test")
    readers.change(opened, sid[ana], lambda one: one.model_copy(update={"status": Status.ACTIVE}), "test")
    readers.leave(opened, sid[ana], "page")
    readers.leave(opened, sid[ana], "page")
    readers.come_back(opened, sid[ana])
    with opened.store.write() as tx:
        index = people.address_indexes(tx, [ana, ben])
        suppressions.put(tx, index[ana], Suppression("bounce", now(tx), "test"))
        suppressions.put(tx, index[ana], Suppression("bounce", now(tx), "test"))
        suppressions.leave(tx, ben, now(tx), "the provider: unsubscribe", Status.UNSUBSCRIBED)
    suppress.add(opened, "nobody@example.org")
    suppress.add(opened, "r1@example.org")
    readers.erase(opened, sid[ana])


OF_A_READER = """reader.changed reader.paused reader.changed reader.left reader.joined reader.bounced reader.left
    reader.suppressed reader.suppressed reader.forgotten""".split()


def test_every_kind_is_told_by_the_step_that_does_it(tmp_path, receiver):
    """One issue, then others, and one reader, then others, through everything that can become of them."""
    rule = CONFIG.replace('monthly: {day: 1, at: "09:00", approval: automatic}', 'monthly: {day: 1, at: "09:00", approval: required}')
    folder = make_workspace(tmp_path / "w", config=rule + receiver.config)
    write_summary(folder, "one", "2026-04-15", "gut")
    may = {"issue": "monthly-2026-05-01", "cadence": "monthly", "local_date": "2026-05-01"}
    with open_workspace(folder, date(2026, 5, 1)) as opened:
        hid = add_hook(opened, receiver.url(), "*")
        ana, ben = add_people(opened, 2)
        with opened.store.write() as tx:
            tx.execute(t.follows.insert(), [{"subscriber_id": row, "interest": "gut", "position": 0} for row in (ana, ben)])
        through_an_issue(opened, may["issue"])
        assert kinds(opened) == ["reader.joined"] * 2 + OF_AN_ISSUE
        told = [json.loads(one.data) for one in written(opened)]
        assert told[-1]["counts"]["held"] == 2 and told[-3]["counts"]["accepted"] == 2 and told[-1]["counts"]["planned"] == 2
        assert {key: told[-1][key] for key in may} == may
    with open_workspace(folder, date(2026, 6, 1)) as opened:
        jobs.prepare(opened, "monthly")
        operate.cancel(opened, "monthly-2026-06-01")
    with open_workspace(folder, date(2026, 7, 1)) as opened:
        jobs.prepare(opened, "monthly")
        assert life.expire(opened, "monthly-2026-07-01", "test") is not None
        through_a_reader(opened, ana, ben)
        assert kinds(opened)[11:] == ["issue.drafted", "issue.cancelled", "issue.drafted", "issue.expired", *OF_A_READER]
        assert set(kinds(opened)) == set(KINDS)
        done = telling.hand_over(opened)
        assert done == telling.Told(delivered=len(written(opened)))
    bodies = [json.loads(body) for _, body, _ in receiver.got]
    assert [one["type"] for one in bodies] == [row.kind for row in written(opened)]
    assert all(set(one) == {"type", "timestamp", "data"} for one in bodies)
    assert all("@" not in body.decode() and b"gut" not in body for _, body, _ in receiver.got)
    assert all(id.endswith(f"_{hid}") for id in receiver.ids())


def test_joining_by_a_confirmation_is_told_once_and_only_then(letter, receiver):
    add_hook(letter, receiver.url(), "reader.joined")
    join.apply(letter, join.Application(email="ana@example.org", interests=("gut",), cadence="monthly", consent="I agree"))
    join.work(letter)
    assert kinds(letter) == []
    with letter.store.write() as tx:
        mail = mails.claim(tx, letter.store.vault, timedelta(seconds=9))
    sid = join.confirm(letter, mail.body["about"])
    assert join.confirm(letter, mail.body["about"]) == sid
    assert [(row.kind, json.loads(row.data)) for row in written(letter)] == [("reader.joined", {"reader": sid})]


def test_each_hook_is_told_what_it_asked_for_and_each_event_has_an_id_of_its_own(letter, receiver):
    (row,) = add_people(letter, 1)
    wants = {"/all": "*", "/readers": "reader.*", "/left": "reader.left", "/issues": "issue.*", "/joined": "reader.joined"}
    hids = {path: add_hook(letter, receiver.url(path), topic) for path, topic in wants.items()}
    keeping.disable(letter, add_hook(letter, receiver.url("/off"), "*"))
    leave(letter, row)
    assert telling.hand_over(letter) == telling.Told(delivered=3)
    assert Counter(path for path, _, _ in receiver.got) == {"/all": 1, "/readers": 1, "/left": 1}
    ids = {path: receiver.ids(path)[0] for path in ("/all", "/readers", "/left")}
    assert len(set(ids.values())) == 3 and len({id.rpartition("_")[0] for id in ids.values()}) == 1
    assert all(id.endswith(hids[path]) for path, id in ids.items())


def test_what_is_undone_is_not_told(letter, receiver):
    (row,) = add_people(letter, 1)
    add_hook(letter, receiver.url(), "*")
    with pytest.raises(RuntimeError), letter.store.write() as tx:
        people.set_status(tx, row, Status.ACTIVE, Status.UNSUBSCRIBED, now(tx))
        raise RuntimeError("the step fails after it wrote the event")
    assert written(letter) == []


def test_a_reader_is_an_id_unless_the_hook_was_made_with_addresses_and_an_erased_one_is_nobody(letter, receiver):
    rows = add_people(letter, 2)
    add_hook(letter, receiver.url("/plain"), "reader.*")
    add_hook(letter, receiver.url("/full"), "reader.*", with_addresses=True)
    leave(letter, rows[0])
    gone = leave(letter, rows[1])
    assert all("@" not in row.data for row in written(letter))  # not kept while it waits, either
    readers.erase(letter, gone)
    telling.hand_over(letter)
    told: dict[str, list[str | None]] = {}
    for path, body, _ in receiver.got:
        told.setdefault(path, []).append(json.loads(body)["data"].get("address", "-"))
    assert told == {"/plain": ["-"] * 4, "/full": ["r0@example.org", None, None, None]}
    assert b"r1@example.org" not in b"".join(body for _, body, _ in receiver.got)
    with letter.store.read() as tx:
        kept = [row.detail for row in tx.execute(t.audit.select()) if row.action == "hooks.add"]
    assert [json.loads(one)["with_addresses"] for one in kept] == [False, True]


# --- signed --------------------------------------------------------------------------------------------------------------


def test_signatures_check_also_while_the_secret_is_replaced_and_no_longer(letter, receiver):
    (row,) = add_people(letter, 1)
    made, old = keeping.add(letter, receiver.url(), ("*",))
    _, new, _ = keeping.rotate(letter, made.hid)
    leave(letter, row)
    telling.hand_over(letter)
    _, body, sent = receiver.got[0]
    assert [Webhook(one).verify(body, sent)["type"] for one in (new, old)] == ["reader.left"] * 2
    let_pass(letter, DAY_S + 60)
    assert keeping.send_test(letter, made.hid).status == 204
    _, body, sent = receiver.got[1]
    assert Webhook(new).verify(body, sent)["type"] == "hook.test" and sent["webhook-signature"].count("v1,") == 1


def test_secrets_and_addresses_lie_sealed_and_survive_a_new_key(letter, receiver, on_both):
    made, secret = keeping.add(letter, receiver.url("/hook?key=hush"), ("*",))
    with letter.store.read() as tx:
        raw = tx.execute(t.hook.select()).one()
    assert all(word not in bytes(raw.secret) + bytes(raw.url) for word in (secret.encode(), b"hush"))
    keys.rotate(letter)
    assert keeping.send_test(letter, made.hid[:3]).status == 204
    path, body, sent = receiver.got[0]
    assert path == "/hook?key=hush" and Webhook(secret).verify(body, sent)
    assert "hush" not in keeping.place(hook_of(letter, made.hid))
    with letter.store.read() as tx:
        assert all("hush" not in row.detail for row in tx.execute(t.audit.select()))


def test_the_guide_names_every_event_and_its_code_checks_what_it_shows(monkeypatch):
    guide = (REPOSITORY / "docs" / "webhooks.md").read_text(encoding="utf-8")
    assert all(f"`{kind}`" in guide for kind in (*KINDS, "hook.test"))
    code = re.search(r"```python\n(.*?)```", guide, re.DOTALL)[1]
    example = re.search(r"webhook-id: (\S+)\nwebhook-timestamp: (\d+)\nwebhook-signature: (\S+)\n\n(.*?)```", guide, re.DOTALL)
    sent = {"webhook-id": example[1], "webhook-timestamp": example[2], "webhook-signature": example[3]}
    body = example[4].replace("\n", "").encode()
    names: dict[str, object] = {}
    exec(code, names)  # it is our own guide's
    secret = re.search(r"whsec_[A-Za-z0-9+/]{32}", guide)[0]
    monkeypatch.setattr(time, "time", lambda: float(example[2]) + 10)
    assert names["is_ours"](secret, sent, body)
    assert not names["is_ours"](secret, sent, body + b" ") and not names["is_ours"](secret, {**sent, "webhook-id": "msg_2"}, body)
    monkeypatch.setattr(time, "time", lambda: float(example[2]) + 301)
    assert not names["is_ours"](secret, sent, body)


# --- receivers that fail -------------------------------------------------------------------------------------------------

FAULTS = {
    500: "500",
    503: "503",
    400: "400",
    302: "redirects are not followed",
    "close": "broke off",
    "lost": "broke off",
    "hang": "no answer within 1 s",
    "drip": "no answer within 1 s",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_not_taken_comes_again_under_the_same_id(tmp_path, receiver, fault):
    settings = receiver.config.replace("timeout_s: 10", "timeout_s: 1") if fault in ("hang", "drip") else receiver.config
    folder = bare_workspace(tmp_path / "w", settings)
    with open_workspace(folder) as letter:
        (row,) = add_people(letter, 1)
        add_hook(letter, receiver.url(), "*")
        receiver.behave["/hook"], receiver.headers = fault, {"Location": receiver.url("/elsewhere")}
        leave(letter, row)
        assert telling.hand_over(letter) == telling.Told(put_off=1)
        (waits,) = written(letter)
        assert (waits.state, waits.attempts) == ("waiting", 1) and FAULTS[fault] in waits.reason
        assert WAITS_S[0] - 5 < (waits.next_at - waits.state_at).total_seconds() <= WAITS_S[0] * 1.2
        assert telling.hand_over(letter) == telling.Told()  # it waits
    (folder / "config.yaml").write_text(CONFIG + receiver.config, encoding="utf-8")
    with open_workspace(folder) as letter:
        receiver.behave["/hook"] = 204
        let_pass(letter, WAITS_S[0] * 1.3)
        assert telling.hand_over(letter) == telling.Told(delivered=1)
    assert len(set(receiver.ids())) == 1
    assert all(path == "/hook" for path, _, _ in receiver.got)  # nobody went elsewhere


def test_an_endless_answer_is_not_read(tmp_path, receiver):
    with open_workspace(bare_workspace(tmp_path / "w", receiver.config)) as letter:
        (row,) = add_people(letter, 1)
        add_hook(letter, receiver.url(), "*")
        receiver.behave["/hook"] = "endless"
        leave(letter, row)
        assert telling.hand_over(letter) == telling.Told(delivered=1)


def test_retry_after_is_kept_to(tmp_path, receiver):
    with open_workspace(bare_workspace(tmp_path / "w", receiver.config)) as letter:
        (row,) = add_people(letter, 1)
        add_hook(letter, receiver.url(), "*")
        receiver.behave["/hook"], receiver.headers = 429, {"Retry-After": "3600"}
        leave(letter, row)
        telling.hand_over(letter)
        (waits,) = written(letter)
        assert 3600 - 5 < (waits.next_at - waits.state_at).total_seconds() <= 3600 * 1.2


def test_a_hook_that_hangs_holds_up_nobody_else(tmp_path, receiver):
    """The good one has all its events while the bad one still hangs; and the bad one is asked once, then rests."""
    with open_workspace(bare_workspace(tmp_path / "w", receiver.config.replace("timeout_s: 10", "timeout_s: 30"))) as letter:
        rows = add_people(letter, 5)
        add_hook(letter, receiver.url("/bad"), "*")
        add_hook(letter, receiver.url("/good"), "*")
        receiver.behave["/bad"] = "hang"
        for row in rows:
            leave(letter, row)
        working = threading.Thread(target=telling.hand_over, args=(letter,))
        working.start()
        wait_for(lambda: len(receiver.ids("/good")) == 5 and receiver.ids("/bad"))
        assert working.is_alive() and len(receiver.ids("/bad")) == 1
        receiver.done.set()  # lets go
        working.join(20)
        states = Counter((row.state, row.attempts) for row in written(letter))
        assert states == {("delivered", 1): 5, ("waiting", 1): 1, ("waiting", 0): 4}
        assert telling.hand_over(letter) == telling.Told()  # it rests


def test_410_disables_at_once_tells_the_editors_and_what_waits_comes_when_it_is_enabled(letter, receiver):
    rows = add_people(letter, 3)
    hid = add_hook(letter, receiver.url(), "*")
    receiver.behave["/hook"] = 410
    leave(letter, rows[0])
    leave(letter, rows[1])
    assert telling.hand_over(letter) == telling.Told(put_off=1, disabled=1)
    found = hook_of(letter, hid)
    assert found.disabled_at and "410" in found.disabled_why and found.waiting == 2
    leave(letter, rows[2])  # not kept for it
    letters = [file.read_text() for file in (letter.path / "var" / "outbox" / "editors").glob("*.eml")]
    assert len(letters) == 1 and f"Webhook {hid} is disabled" in letters[0] and f"digest hooks enable {hid}" in letters[0]
    assert any(one.about == "webhooks" and hid in one.text for one in doctor.examine_all(letter.path))
    receiver.behave["/hook"] = 204
    keeping.enable(letter, hid)
    assert telling.hand_over(letter) == telling.Told(delivered=2)
    with letter.store.read() as tx:
        actions = [row.action for row in tx.execute(t.audit.select()) if row.action.startswith("hooks.")]
    assert actions == ["hooks.add", "hooks.disable", "hooks.enable"]


def test_three_days_of_nothing_but_failures_disable_and_one_success_in_between_does_not(letter, receiver):
    rows = add_people(letter, 2)
    hid = add_hook(letter, receiver.url(), "*")
    receiver.behave["/hook"] = 500
    leave(letter, rows[0])
    telling.hand_over(letter)
    assert any("does nothing but fail" in one.text for one in doctor.examine_all(letter.path))
    let_pass(letter, 2 * DAY_S)
    receiver.behave["/hook"] = 204
    assert telling.hand_over(letter) == telling.Told(delivered=1)
    receiver.behave["/hook"] = 500
    leave(letter, rows[1])
    telling.hand_over(letter)
    let_pass(letter, 2 * DAY_S)
    assert telling.hand_over(letter) == telling.Told(put_off=1)
    let_pass(letter, DAY_S + 60)
    assert telling.hand_over(letter) == telling.Told(put_off=1, disabled=1)
    assert "for 3 days it did nothing but fail" in hook_of(letter, hid).disabled_why


def test_one_event_that_is_never_taken_is_given_up_and_listed_and_the_others_go_on(tmp_path, receiver):
    """A receiver that cannot read one body, and takes all others."""
    with open_workspace(bare_workspace(tmp_path / "w", receiver.config)) as letter:
        rows = add_people(letter, 12)
        hid = add_hook(letter, receiver.url("/bad"), "reader.*")
        receiver.behave["/bad"] = 400
        leave(letter, rows[0])
        for turn in range(len(WAITS_S) + 1):
            telling.hand_over(letter)
            let_pass(letter, DAY_S * 1.3)
            receiver.behave["/bad"] = 204
            leave(letter, rows[turn + 1])
            with letter.store.write() as tx:  # the first one waits, the new one goes
                first = update(t.hook_event).where(t.hook_event.c.attempts > 0, t.hook_event.c.state == "waiting")
                tx.execute(first.values(next_at=now(tx) + timedelta(days=1)))
            assert telling.hand_over(letter) == telling.Told(delivered=1), turn
            receiver.behave["/bad"] = 400
            let_pass(letter, DAY_S * 1.3)
        (failed,) = keeping.deliveries(letter, hid, failing=True)
        assert (failed.state, failed.attempts, failed.status) == ("failed", len(WAITS_S) + 1, 400)
        assert hook_of(letter, hid).given_up == 1 and hook_of(letter, hid).disabled_at is None


# --- where it may go -----------------------------------------------------------------------------------------------------


def test_private_addresses_are_refused_whatever_the_name_and_nothing_is_sent(receiver):
    for resolved in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1"):
        both = ["93.184.215.14", resolved]
        answer = post("https://rebound.example.org/", {}, b"{}", Hooks(timeout_s=5), resolve=lambda *_, found=both: found)
        assert answer.status is None and "private network" in answer.trouble and "hooks.allow" in answer.trouble
    assert post(receiver.url(), {}, b"{}", Hooks(timeout_s=5)).status is None
    assert receiver.got == []


def test_an_address_that_config_allows_no_longer_is_not_told(tmp_path, receiver):
    folder = bare_workspace(tmp_path / "w", receiver.config)
    with open_workspace(folder) as letter:
        (row,) = add_people(letter, 1)
        hid = add_hook(letter, receiver.url(), "*")
        leave(letter, row)
    (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    with open_workspace(folder) as letter:
        assert telling.hand_over(letter) == telling.Told(put_off=1)
        assert "hooks.allow" in keeping.deliveries(letter, hid)[0].reason
        with pytest.raises(HookError, match="hooks.allow"):
            add_hook(letter, receiver.url(), "*")
    assert receiver.got == []


# --- who hands over ------------------------------------------------------------------------------------------------------


def test_two_processes_share_the_work_and_nothing_goes_twice(letter, receiver, on_both):
    rows = add_people(letter, 20)
    add_hook(letter, receiver.url(), "reader.left")
    add_hook(letter, receiver.url("/other"), "reader.left")
    for row in rows:
        leave(letter, row)

    def work():
        with open_workspace(letter.path) as own:
            told.append(telling.hand_over(own))

    told = []
    threads = [threading.Thread(target=work) for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert sum(told, telling.Told()) == telling.Told(delivered=40)
    assert Counter(Counter(receiver.ids() + receiver.ids("/other")).values()) == {1: 40}


def test_a_process_that_came_back_late_settles_nothing_that_another_has_in_hand(letter, receiver):
    (row,) = add_people(letter, 1)
    add_hook(letter, receiver.url(), "*")
    leave(letter, row)
    with letter.store.read() as tx:
        (hook,) = hooks.due(tx)
    claims = []
    for _ in range(2):
        with letter.store.write(together=True) as tx:
            claims.append(hooks.claim(tx, letter.store.vault, hook, timedelta(seconds=30)))
        let_pass(letter, 31)
    late, current = claims
    with letter.store.write(together=True) as tx:
        hooks.failed(tx, late, 500, "late", 20)
    assert written(letter)[0].state == "inflight"
    with letter.store.write(together=True) as tx:
        hooks.delivered(tx, late, 204)  # but what the receiver has, it has
        hooks.failed(tx, current, 500, "it answered 500", 20)
    assert written(letter)[0].state == "delivered"


def test_a_removed_hook_takes_what_waited_with_it(letter, receiver):
    (row,) = add_people(letter, 1)
    hid = add_hook(letter, receiver.url(), "*")
    leave(letter, row)
    assert keeping.remove(letter, hid).waiting == 1
    assert keeping.every(letter) == [] and written(letter) == []
    for act in (keeping.remove, keeping.enable, keeping.disable, keeping.rotate, keeping.send_test):
        with pytest.raises(HookError, match="no webhook"):
            act(letter, hid)


def test_what_was_told_is_pruned_and_what_waits_is_not(letter, receiver):
    rows = add_people(letter, 3)
    good, bad = add_hook(letter, receiver.url(), "*"), add_hook(letter, receiver.url("/bad"), "*")
    off = add_hook(letter, receiver.url("/off"), "*")
    receiver.behave["/bad"] = 500
    for row in rows:
        leave(letter, row)
    keeping.disable(letter, off)
    telling.hand_over(letter)
    let_pass(letter, 31 * DAY_S)
    assert retention.prune(letter, dry_run=True).hooks == 6 and len(written(letter)) == 9
    assert retention.prune(letter).hooks == 6
    assert {row.hid for row in written(letter)} == {bad} != {good}


def test_a_serving_process_tells_by_itself(tmp_path, receiver):
    from digest import clockwork

    folder = bare_workspace(tmp_path / "w", receiver.config)
    with open_workspace(folder) as letter:
        (row,) = add_people(letter, 1)
        add_hook(letter, receiver.url(), "*")
        leave(letter, row)
    with clockwork.running(folder):
        wait_for(lambda: receiver.ids())
    assert json.loads(receiver.got[0][1])["type"] == "reader.left"


def test_chance_is_an_argument(tmp_path, receiver):
    """The same jitter again: what a report of a fault needs."""
    waits = []
    for n in range(2):
        with open_workspace(bare_workspace(tmp_path / f"w{n}", receiver.config)) as letter:
            (row,) = add_people(letter, 1)
            add_hook(letter, receiver.url(), "*")
            receiver.behave["/hook"] = 500
            leave(letter, row)
            telling.hand_over(letter, rng=random.Random(7))
            (one,) = written(letter)
            waits.append(round((one.next_at - one.state_at).total_seconds(), 1))
    assert abs(waits[0] - waits[1]) < 0.5
