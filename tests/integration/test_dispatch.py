"""Dispatch through the ledger with a provider that does what it is told."""

import contextlib
import shutil
import sqlite3
import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import update

from digest import dispatch, entries, issue, operate, pace
from digest.errors import ConfigError, DeliveryDeferred, IssueError, IssueWaits, ProviderUnusable, StoreError
from digest.model import DeliveryState as S
from digest.model import IssueState
from digest.providers import Handover, Receipt
from digest.store import holding, ledger, now, outcomes, schema
from digest.workspace import open_workspace
from tests.support.carrier import Carrier, accept
from tests.support.drafted import draft_issue
from tests.support.make import CONFIG

ISSUE, ON = "monthly-2026-05-01", date(2026, 5, 1)
READERS = 9

pytestmark = pytest.mark.usefixtures("on_both")


@pytest.fixture
def folder(tmp_path):
    people = "email,interests\n" + "".join(f"r{n}@example.org,{'gut' if n % 3 else 'vision'}\n" for n in range(READERS))
    return draft_issue(tmp_path / "letter", people, {"bacteria": "gut", "eyes": "vision"}, ON)


def opened(folder):
    return open_workspace(folder, ON)


@pytest.fixture
def send(folder, monkeypatch):
    """Send with a carrier; returns the report."""

    def run(carrier, config=None):
        monkeypatch.setattr(dispatch, "make", lambda *_: carrier)
        monkeypatch.setattr(operate, "make", lambda *_: carrier)
        if config:
            (folder / "config.yaml").write_text(CONFIG + config, encoding="utf-8")
        with opened(folder) as workspace:
            return dispatch.send(workspace, ISSUE)

    return run


def lapse(folder):
    """The leases of whoever died end. With a file nobody waits for that: the lock tells that they are gone."""
    with opened(folder) as workspace, workspace.store.write() as tx:
        tx.execute(update(schema.delivery).values(lease_until=now(tx) - timedelta(seconds=1)))


def counts(folder):
    with opened(folder) as workspace:
        stands = dispatch.status(workspace, ISSUE)
        assert stands.sum_is_right
        return {state.value: getattr(stands, state.value) for state in S if state is not S.PLANNED and getattr(stands, state.value)}


def receipts(parcels, outcome, reason=""):
    return [Receipt(parcel.did, outcome, reason) for parcel in parcels]


def test_everybody_gets_one_message_over_several_lanes(send):
    carrier = Carrier(lanes=3, batch=1)
    report = send(carrier)
    assert report.status.state == "finished" and report.handed_over == READERS
    assert len(carrier.taken) == len(set(carrier.taken)) == READERS
    assert carrier.closed == 1
    assert len({aid for aid, _ in carrier.calls}) == READERS


def test_a_batch_is_of_one_edition_where_the_provider_wants_it(send):
    carrier = Carrier(batch=100, one_edition=True)
    send(carrier)
    assert sorted(len(parcels) for _, parcels in carrier.calls) == [3, 6]
    assert all(len({parcel.edition.subject for parcel in parcels}) == 1 for _, parcels in carrier.calls)


def test_a_lost_reply_is_held_and_listed_never_sent_again_by_itself(send, folder):
    first = send(Carrier(lambda aid, parcels: Handover(receipts(parcels, "uncertain", "the reply was lost")), batch=100))
    assert first.status.state == "finished" and first.status.held == READERS
    assert send(Carrier()).finished_before
    with opened(folder) as workspace:
        rows = operate.held(workspace, ISSUE)
    assert len(rows) == READERS and all(row.started_at and row.attempt and row.attempts == 1 for row in rows)
    assert all("@example.org" in row.reader and "…" in row.reader for row in rows)


def test_an_operator_settles_what_is_held_and_it_is_recorded(send, folder):
    send(Carrier(lambda aid, parcels: Handover(receipts(parcels, "uncertain")), batch=100))
    with opened(folder) as workspace:
        dids = [row.did for row in operate.held(workspace)]
        assert operate.decide(workspace, ISSUE, dids[:2], sent=False) == 2
        assert operate.decide(workspace, ISSUE, None, sent=True) == READERS - 2
        with pytest.raises(IssueError, match="not held"):
            operate.decide(workspace, ISSUE, [dids[0]], sent=True)
        with workspace.store.read() as tx:
            assert [what for _, _, what, _ in holding.decisions(tx, dids[0])] == ["send again"]
    again = Carrier()
    assert send(again).status.accepted == READERS
    assert sorted(again.taken) == sorted(dids[:2])


def test_resend_waits_for_silence_and_records_it_first(send, folder):
    lost = Carrier(lambda aid, parcels: Handover(receipts(parcels, "uncertain")), batch=100)
    policy = "delivery: {uncertain: resend, resend_after_h: 1}\n"
    (folder / "config.yaml").write_text(CONFIG + policy, encoding="utf-8")
    with opened(folder) as workspace:
        issue.draft(workspace, "monthly", again=True)
    assert send(lost, policy).status.held == READERS  # not an hour yet
    again = Carrier()
    assert send(again, "delivery: {uncertain: resend, resend_after_h: 0}\n").finished_before
    with opened(folder) as workspace, workspace.store.write() as tx:
        row = issue.find(tx, ISSUE)
        silent = holding.silent(tx, row.id, timedelta(0), events=False)
        assert len(silent) == READERS
        assert holding.silent(tx, row.id, timedelta(hours=1), events=False) == []
        assert holding.silent(tx, row.id, timedelta(0), events=True) == []  # no later attempt was heard of


class Voidable(Carrier):
    """A provider that can cancel what it was handed, as SendGrid can; ``voids`` says whether it still may."""

    cancels = True
    voids = True

    def __init__(self, script, **options):
        super().__init__(script, **options)
        self.refs, self.voided = [], []

    def create_batch(self):
        return f"batch{len(self.calls)}"

    def hand_over(self, issue, aid, parcels, batch_id=""):
        self.refs.append(batch_id)
        return super().hand_over(issue, aid, parcels)

    def void_ref(self, ref, started_at):
        self.voided.append(ref)
        return self.voids


@pytest.fixture
def cancelling(folder):
    (folder / "config.yaml").write_text(CONFIG + "delivery: {uncertain: cancel_resend}\n", encoding="utf-8")
    with opened(folder) as workspace:
        issue.draft(workspace, "monthly", again=True)


def test_halves_that_get_no_name_are_given_back(cancelling, send, folder):
    class Nameless(Voidable):
        def create_batch(self):
            self.named = getattr(self, "named", 0) + 1
            if self.named == 3:
                raise DeliveryDeferred("no batch_id: SendGrid answered 429")
            return f"batch{self.named}"

    carrier = Nameless(lambda _, parcels: Handover(receipts(parcels, "deferred", "does not parse"), code="400", split=True), batch=4)
    with pytest.raises(DeliveryDeferred):
        send(carrier)
    with opened(folder) as workspace, workspace.store.read() as tx:
        stands = outcomes.counts(tx, issue.find(tx, ISSUE).id)
    assert len(carrier.calls) == 1 and stands[S.READY] == READERS and not stands[S.INFLIGHT]


def test_what_was_voided_for_certain_is_handed_over_again(cancelling, send, folder):
    lost = []

    def script(aid, parcels):
        if not lost:
            lost.append([parcel.did for parcel in parcels])
            return Handover(receipts(parcels, "uncertain", "no answer"))
        return accept(aid, parcels)

    first = Voidable(script, batch=4)
    report = send(first)
    assert first.voided == ["batch0"] and report.status.ready == 4
    assert send(first).status.accepted == READERS
    assert sorted(first.taken) == sorted(set(first.taken)) and set(lost[0]) <= set(first.taken)
    with opened(folder) as workspace, workspace.store.read() as tx:
        assert [what for _, _, what, _ in holding.decisions(tx, lost[0][0])] == ["send again"]


def test_what_could_not_be_voided_is_held(cancelling, send):
    carrier = Voidable(lambda aid, parcels: Handover(receipts(parcels, "uncertain")), batch=100)
    carrier.voids = False
    assert send(carrier).status.held == READERS


def test_a_batch_name_is_kept_before_the_call(cancelling, send, folder):
    class Killed(BaseException):
        pass

    def die(aid, parcels):
        raise Killed

    with pytest.raises(Killed):
        send(Voidable(die, batch=3))
    lapse(folder)
    again = Voidable(accept, batch=100)
    assert send(again).status.accepted == READERS
    assert again.voided == ["batch0"]


def test_cancelling_goes_with_a_provider_that_can(cancelling, folder):
    with opened(folder) as workspace, pytest.raises(ConfigError, match="goes with sendgrid"):
        dispatch.send(workspace, ISSUE)


def test_a_batch_that_is_refused_whole_is_halved_to_the_culprit(send, folder):
    culprit = "r4@example.org"

    def script(aid, parcels):
        if any(parcel.reader.email == culprit for parcel in parcels):
            return Handover(receipts(parcels, "deferred", "does not parse"), code="400", split=True)
        return accept(aid, parcels)

    carrier = Carrier(script, batch=100)
    report = send(carrier)
    assert (report.status.accepted, report.status.failed) == (READERS - 1, 1)
    assert len(carrier.taken) == len(set(carrier.taken)) == READERS - 1
    assert len(carrier.calls) <= 2 + 2 * 4  # each halving is two calls
    assert len({aid for aid, _ in carrier.calls}) == len(carrier.calls)


def test_a_provider_that_says_stop_leaves_everything_ready(send, folder):
    def script(aid, parcels):
        return Handover(receipts(parcels, "deferred"), stop="the key was refused; check SENDGRID_API_KEY")

    with pytest.raises(ProviderUnusable, match="SENDGRID_API_KEY"):
        send(Carrier(script))
    assert counts(folder) == {"ready": READERS}
    assert send(Carrier()).status.accepted == READERS


def test_a_provider_that_forgets_a_parcel_has_not_said_that_it_was_not_sent(send, folder):
    send(Carrier(lambda aid, parcels: Handover(receipts(parcels[1:], "accepted"))))
    assert counts(folder)["held"] == -(-READERS // 2)


def test_a_deferred_message_waits_and_the_report_says_until_when(send, folder):
    report = send(Carrier(lambda aid, parcels: Handover(receipts(parcels, "deferred", "greylisted"))))
    assert report.status.state == "sending" and report.status.ready == READERS
    assert "again after" in report.waits
    assert send(Carrier()).handed_over == 0  # too early
    assert report.status.next_try_at is not None


def test_a_failing_provider_opens_the_breaker_and_ends_the_run(send, folder, monkeypatch):
    monkeypatch.setattr("digest.pace.FIRST_WAIT_S", 0.01)
    monkeypatch.setattr("digest.pace.LONGEST_WAIT_S", 0.02)
    carrier = Carrier(lambda aid, parcels: Handover(receipts(parcels, "deferred", "cannot connect"), trouble=True))
    with pytest.raises(ProviderUnusable, match="cannot connect, 5 times"):
        send(carrier)
    assert len(carrier.calls) <= 5 + 6
    assert counts(folder) == {"ready": READERS}


def test_a_provider_that_asks_to_wait_is_waited_for(send):
    calls = []

    def script(aid, parcels):
        calls.append(aid)
        if len(calls) == 1:
            return Handover(receipts(parcels, "deferred", "too fast"), retry_after_s=0.01)
        return accept(aid, parcels)

    assert send(Carrier(script)).status.accepted == READERS


def test_an_address_outside_delivery_allow_gets_nothing(send, folder):
    carrier = Carrier()
    report = send(carrier, 'delivery: {allow: ["r1@*", "R2@EXAMPLE.org"]}\n')
    assert (report.status.accepted, report.status.skipped) == (2, READERS - 2)
    assert report.status.reasons["skipped: not in delivery.allow"] == READERS - 2
    assert {parcel.reader.email for _, parcels in carrier.calls for parcel in parcels} == {"r1@example.org", "r2@example.org"}


def test_a_domain_that_had_its_share_is_put_off(send):
    report = send(Carrier(), "delivery: {max_per_minute_and_domain: 4}\n")
    assert report.status.accepted == 4 and report.status.ready == READERS - 4


def test_the_warm_up_plan_caps_a_day(send, folder):
    with opened(folder) as workspace:
        today = workspace.today
    carrier = Carrier(batch=2)
    report = send(carrier, f"delivery: {{warm_up: {{started: {today}, daily: [5, 100]}}}}\n")
    assert report.handed_over == 5 and "tomorrow" in report.waits
    assert send(carrier).handed_over == 0
    yesterday = today - timedelta(days=1)
    assert send(carrier, f"delivery: {{warm_up: {{started: {yesterday}, daily: [5, 100]}}}}\n").status.state == "finished"


def test_pause_works_while_the_issue_is_going_out(send, folder):
    def script(aid, parcels):
        with opened(folder) as other:
            operate.pause(other, ISSUE, "a typo")
        return accept(aid, parcels)

    report = send(Carrier(script, batch=1))
    assert report.handed_over == 1 and "a typo" in report.waits
    with pytest.raises(IssueError, match="digest resume"):
        send(Carrier())
    with opened(folder) as workspace:
        operate.resume(workspace, ISSUE)
    assert send(Carrier()).status.accepted == READERS


def test_cancel_stops_what_has_not_left(send, folder):
    def script(aid, parcels):
        with opened(folder) as other:
            operate.cancel(other, ISSUE)
        return accept(aid, parcels)

    carrier = Carrier(script, batch=2)
    report = send(carrier)
    assert report.status.state == "cancelled" and report.status.accepted == 2
    assert counts(folder) == {"accepted": 2, "skipped": READERS - 2}
    assert send(carrier).finished_before
    with opened(folder) as workspace, pytest.raises(IssueError, match="already"):
        operate.cancel(workspace, ISSUE)


def test_a_cancelled_draft_is_never_sent(send, folder):
    with opened(folder) as workspace:
        operate.cancel(workspace, ISSUE)
    carrier = Carrier()
    assert send(carrier).finished_before and carrier.calls == []


def test_a_lease_that_ran_out_before_the_call_sends_nothing(send, folder, monkeypatch):
    monkeypatch.setattr(entries, "_LEASE_MARGIN_S", -1000)
    carrier = Carrier()
    laps = iter(range(3))
    real = ledger.claim
    monkeypatch.setattr(ledger, "claim", lambda *a, **k: real(*a, **k) if next(laps, None) is not None else None)
    report = send(carrier)
    assert carrier.calls == []
    assert report.status.ready == READERS


@pytest.mark.parametrize("on_both", ["sqlite"], indirect=True)  # how a file is made full
def test_a_disk_that_fills_in_the_claim_sends_nothing(send, folder):
    real = ledger._new_attempt

    def fill(tx, *rest):
        pages = tx.exec_driver_sql("PRAGMA page_count").scalar()
        tx.exec_driver_sql(f"PRAGMA max_page_count={pages}")  # the database may not grow any more, and this needs room
        tx.exec_driver_sql("INSERT INTO decision (at, who, what, subject, detail) VALUES ('2026-01-01', 'x', 'x', 'x', zeroblob(1000000))")
        return real(tx, *rest)

    carrier = Carrier()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger, "_new_attempt", fill)
        with pytest.raises(StoreError, match="disk that holds the database is full"):
            send(carrier)
    assert carrier.calls == []
    assert counts(folder) == {"ready": READERS}
    assert send(carrier).status.accepted == READERS


def test_an_issue_that_is_too_late_expires(send, folder):
    (folder / "config.yaml").write_text(CONFIG + "delivery: {late_limit_h: 24}\n", encoding="utf-8")
    carrier = Carrier()
    with open_workspace(folder, date(2026, 5, 9)) as workspace:
        dispatch_make = dispatch.make
        try:
            dispatch.make = lambda *_: carrier
            with pytest.raises(IssueWaits, match="too late .* goes to the next monthly issue"):
                dispatch.send(workspace, ISSUE)
        finally:
            dispatch.make = dispatch_make
        with workspace.store.read() as tx:
            assert issue.find(tx, ISSUE).state is IssueState.EXPIRED
    assert carrier.calls == []


@pytest.mark.parametrize("way", [dispatch.send, dispatch.share])
def test_a_pause_that_is_over_ends_before_anybody_is_planned_for(folder, monkeypatch, way):
    carrier = Carrier()
    monkeypatch.setattr(dispatch, "make", lambda *_: carrier)
    with opened(folder) as workspace:
        over = {"status": "paused", "paused_until": date(2026, 5, 1), "paused_at": datetime(2026, 4, 1, tzinfo=UTC)}
        with workspace.store.write() as tx:
            tx.execute(update(schema.subscriber).where(schema.subscriber.c.id == 1).values(**over))
        with workspace.store.alone() if way is dispatch.send else contextlib.nullcontext():
            way(workspace, ISSUE)
    assert counts(folder) == {"accepted": READERS}


class Knowing(Carrier):
    """Loses every other answer, of half of which it had taken the messages; asked later it tells."""

    def __init__(self):
        super().__init__(self._forgetful, batch=1)
        self.kept, self._seen = [], set()

    def _forgetful(self, aid, parcels):
        (parcel,) = parcels
        again = parcel.did in self._seen
        self._seen.add(parcel.did)
        lost, taken = not again and len(self._seen) % 2, again or len(self._seen) % 4 != 1
        self.kept += [parcel.did] if taken else []
        return Handover(receipts(parcels, "uncertain" if lost else "accepted"))

    def look_up(self, issue, dids):
        return {did: did in self.kept for did in dids}


@pytest.mark.parametrize("way", [dispatch.send, dispatch.share])
def test_what_became_uncertain_in_this_very_run_is_looked_up_before_anything_is_held(folder, monkeypatch, way):
    carrier = Knowing()
    monkeypatch.setattr(dispatch, "make", lambda *_: carrier)
    with opened(folder) as workspace:
        for _ in range(2):  # what it never took is ready again, and goes out with the next
            with workspace.store.alone() if way is dispatch.send else contextlib.nullcontext():
                way(workspace, ISSUE)
            assert counts(folder).keys() <= {"accepted", "ready"}
    assert counts(folder) == {"accepted": READERS}
    assert sorted(carrier.kept) == sorted(set(carrier.kept)) and len(carrier.kept) == READERS


def test_a_test_message_is_marked_and_leaves_the_ledger_alone(send, folder):
    carrier = Carrier()
    send(carrier)
    before = counts(folder)
    with opened(folder) as workspace:
        subject = operate.send_test(workspace, ISSUE, "editor@example.org", None)
        assert subject.startswith("[Test] ")
        operate.send_test(workspace, ISSUE, "editor@example.org", "r0@example.org")
        with pytest.raises(IssueError, match="delivery.allow"):
            operate.send_test(workspace, ISSUE, "somebody@elsewhere.test", None)
        with pytest.raises(IssueError, match="nobody on the list"):
            operate.send_test(workspace, ISSUE, "editor@example.org", "nobody@example.org")
    assert counts(folder) == before
    parcel = carrier.calls[-1][1][0]
    assert "Piece eyes" in parcel.edition.subject and parcel.reader.email == "editor@example.org"


# --- the restore guard ---------------------------------------------------------------------------------------------------


@pytest.fixture
def backup(folder, on_both, request, monkeypatch):
    """Takes a copy of the database as it is; what it returns puts that copy in its place."""

    def copy():
        if on_both == "postgresql":
            clone = request.getfixturevalue("postgres").database(like=request.getfixturevalue("postgres_url"))
            return lambda: monkeypatch.setenv("DIGEST_STORE__URL", clone)
        raw = sqlite3.connect(folder / "var" / "digest.db")
        raw.execute(f"VACUUM INTO '{folder / 'backup.db'}'")
        raw.close()
        return restore

    def restore():
        for old in (folder / "var").glob("digest.db*"):
            old.unlink()
        shutil.copy(folder / "backup.db", folder / "var" / "digest.db")

    return copy


def test_a_database_restored_from_the_middle_of_an_issue_sends_nothing(send, folder, backup):
    def one_then_stop(aid, parcels):
        return Handover(receipts(parcels, "accepted"), stop="the cable was pulled")

    with pytest.raises(ProviderUnusable):
        send(Carrier(one_then_stop, batch=2))
    restore = backup()
    assert send(Carrier()).status.accepted == READERS
    restore()
    carrier = Carrier()
    with pytest.raises(IssueError, match="restored from an older copy"):
        send(carrier)
    with opened(folder) as workspace:
        operate.resume(workspace, ISSUE)
    report = send(carrier)
    assert carrier.calls == []
    assert report.status.held == READERS - 2


def test_a_database_restored_from_before_an_issue_holds_it_whole(send, backup):
    restore = backup()
    send(Carrier())
    restore()
    carrier = Carrier()
    report = send(carrier)
    assert carrier.calls == [] and report.status.held == READERS


@pytest.mark.parametrize("on_both", ["sqlite"], indirect=True)  # with a server, a machine without a mark is new
def test_a_database_without_its_mark_is_doubted(send, folder):
    with pytest.raises(ProviderUnusable):
        send(Carrier(lambda aid, parcels: Handover(receipts(parcels, "accepted"), stop="stop"), batch=2))
    (folder / "var" / "digest.mark").unlink()
    with pytest.raises(IssueError, match="restored"):
        send(Carrier())


def test_a_killed_run_does_not_trip_the_guard(send, folder):
    class Killed(BaseException):
        pass

    def die(aid, parcels):
        raise Killed

    with pytest.raises(Killed):
        send(Carrier(die))
    lapse(folder)
    report = send(Carrier())
    assert report.status.held == 2 and report.status.accepted == READERS - 2


def test_lanes_settle_what_they_have_in_hand_when_one_fails(send, folder):
    began = threading.Barrier(2, timeout=10)

    def script(aid, parcels):
        began.wait()
        if parcels[0].reader.email == first[0]:
            raise MemoryError
        return accept(aid, parcels)

    with opened(folder) as workspace, workspace.store.read() as tx:
        assert now(tx)
    first = ["r0@example.org"]
    carrier = Carrier(script, lanes=2, batch=1)
    with pytest.raises((MemoryError, threading.BrokenBarrierError)):
        send(carrier)
    stands = counts(folder)
    assert stands.get("inflight", 0) <= 2
    assert stands.get("accepted", 0) == len(carrier.taken)


def test_lanes_that_wait_for_a_probe_end_when_it_finds_nothing_to_hand_over(send, folder, monkeypatch):
    monkeypatch.setattr(pace, "FIRST_WAIT_S", 0.01)
    calls = []

    def script(aid, parcels):
        calls.append(aid)
        if len(calls) == 1:
            return accept(aid, parcels)
        if len(calls) == 1 + pace.FAILURES:
            with opened(folder) as workspace:
                operate.pause(workspace, ISSUE, "by hand")
        return Handover(receipts(parcels, "deferred", "busy"), trouble=True)

    report = send(Carrier(script, lanes=3, batch=1))  # once it never came back
    assert report.status.accepted == 1 and "by hand" in report.waits
