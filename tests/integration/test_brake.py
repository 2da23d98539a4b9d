"""An issue pauses by itself when too much of it comes back, from the replies of a mail server and from events told later."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from digest import dispatch, feedback, gather, interests, issue, operate
from digest.errors import IssueWaits
from digest.model import DeliveryState as S
from digest.model import IssueState
from digest.providers import Handover, Receipt
from digest.store import holding, issues, suppressions
from digest.subscribe import import_file
from digest.workspace import open_workspace
from tests.support.carrier import Carrier
from tests.support.feedback import SENT, add_attempt, add_delivery, add_issue, add_people, bare_workspace, body, told
from tests.support.make import CONFIG, make_workspace, write_summary

ISSUE = "monthly-2026-05-01"
RULE = "delivery: {provider: smtp, brake: {first: 20, hard_percent: 20}}\n"  # five dead ones of the first twenty
GONE, POLICY = "550 5.1.1", "550 5.7.26"


@pytest.fixture
def folder(tmp_path):
    people = "email,interests\n" + "".join(f"r{n}@example.org,gut\n" for n in range(60))
    made = make_workspace(tmp_path / "letter", subscribers=people, config=CONFIG + RULE)
    write_summary(made, "bacteria", tags="gut")
    with opened(made) as workspace:
        import_file(workspace, made / "subscribers" / "people.csv", interests.load(made))
        gather.gather(workspace)
        issue.draft(workspace, "monthly")
    return made


def opened(folder):
    return open_workspace(folder, date(2026, 5, 1))


def answering(codes, outcome="rejected"):
    """A server that answers the nth message with ``codes[n]``, else takes it."""
    seen = []

    def script(aid, parcels):
        receipts = []
        for parcel in parcels:
            code = codes.get(len(seen), "")
            seen.append(parcel.did)
            receipts.append(Receipt(parcel.did, outcome if code else "accepted", "refused" if code else "", code or "250"))
        return Handover(receipts)

    return Carrier(script, batch=1)


@pytest.fixture
def send(folder, monkeypatch):
    def run(carrier):
        monkeypatch.setattr(dispatch, "make", lambda *_: carrier)
        with opened(folder) as workspace:
            return dispatch.send(workspace, ISSUE)

    return run


def test_too_many_dead_addresses_at_the_beginning_pause_it_until_it_is_resumed(send, folder):
    first = send(answering(dict.fromkeys(range(3, 8), GONE)))
    assert first.status.paused == "5 of the first 8 messages came back because the address is gone: look at where this list comes from"
    assert (first.status.accepted, first.status.failed, first.status.ready) == (3, 5, 52)
    assert "paused" in first.waits
    with pytest.raises(IssueWaits, match="address is gone"):
        send(Carrier())
    with opened(folder) as workspace:
        operate.resume(workspace, ISSUE)
    second = send(answering(dict.fromkeys(range(4), GONE)))  # four of the next twenty are not more than a fifth
    assert (second.status.state, second.status.failed, second.status.accepted) == ("finished", 9, 51)


def test_as_many_as_the_rule_allows_and_any_number_later_do_not_pause_it(send):
    codes = dict.fromkeys([*range(4), *range(30, 50)], GONE)
    assert send(answering(codes)).status.state == "finished"


def test_one_refusal_by_policy_pauses_it_and_is_held_against_nobody(send, folder):
    report = send(answering({6: POLICY}, "deferred"))
    assert "5.7.26" in report.status.paused and report.status.ready == 54
    with opened(folder) as workspace:
        with workspace.store.read() as tx:
            assert list(suppressions.entries(tx, workspace.store.vault)) == []
        operate.resume(workspace, ISSUE)
    again = send(Carrier(batch=1))
    assert again.status.accepted == 59 and again.status.ready == 1  # the refused one has its own time to wait


def test_refusals_for_the_message_or_the_moment_do_not_pause_it(send):
    assert send(answering({1: "552 5.3.4", 2: "550 5.6.1", 3: "552 5.2.2", 4: "550"})).status.failed == 4


def test_a_brake_that_is_off_stays_off(send, folder):
    (folder / "config.yaml").write_text(CONFIG + RULE.replace("20}", "20, policy_refusals: 0}"), encoding="utf-8")
    assert not send(answering({1: POLICY, 2: POLICY}, "deferred")).status.paused


def test_who_is_refused_for_good_is_suppressed_as_by_a_bounce(send, folder):
    send(answering({2: GONE}))
    with opened(folder) as workspace, workspace.store.read() as tx:
        assert [entry.suppression[0::2] for entry in suppressions.entries(tx, workspace.store.vault)] == [
            ("bounce", "refused by the mail server")
        ]


def test_an_outbox_and_what_sendgrid_says_of_a_request_are_no_bounces(send):
    assert send(answering(dict.fromkeys(range(10), "400"))).status.failed == 10
    quiet = answering(dict.fromkeys(range(10), GONE))
    quiet.sends = False
    assert send(quiet).finished_before


# --- by events -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def going(tmp_path):
    """An issue of which 30 have left in one call and 30 are still to come."""
    with open_workspace(bare_workspace(tmp_path / "w", RULE.replace("smtp", "sendgrid"))) as workspace:
        row = add_issue(workspace)
        with workspace.store.write() as tx:
            issues.move_issue(tx, row, IssueState.SENDING, planned=60)
        attempt, aid = add_attempt(workspace, row, 30)
        people = add_people(workspace, 60)
        left = [add_delivery(workspace, row, one, S.ACCEPTED, attempt) for one in people[:30]]
        for one in people[30:]:
            add_delivery(workspace, row, one, S.READY)

        def tells(*places, **more):
            raw = body([told(left[n], aid, "bounce", SENT + timedelta(minutes=n), **more) for n in places])
            feedback.take_webhook(workspace.store, "sendgrid", raw)
            return feedback.apply(workspace).paused

        yield workspace, tells


def paused(workspace):
    return dispatch.status(workspace, ISSUE).paused


def test_events_pause_it_too_in_whatever_portions_they_come(going):
    workspace, tells = going
    hard = {"type": "bounce", "status": "5.1.1"}
    assert [tells(n, **hard) for n in range(3)] == [0, 0, 0]
    assert [tells(n, **hard) for n in range(25, 30)] == [0] * 5  # not among the first twenty
    assert tells(2, **hard) == 0  # told again
    assert [tells(3, **hard), tells(4, **hard)] == [0, 1]
    assert paused(workspace).startswith("5 of the first 20 messages")
    assert tells(5, **hard) == 0  # it is paused already
    operate.resume(workspace, ISSUE)
    assert [tells(n, **hard) for n in range(6, 13)] == [0] * 7, "what left before it was resumed has been looked at"


def test_one_block_told_later_pauses_it(going):
    workspace, tells = going
    assert tells(29, type="blocked", status="5.7.1", reason="554 5.7.1 on a block list") == 1
    assert "5.7.1" in paused(workspace)
    with workspace.store.read() as tx:
        assert [line[1:3] for line in holding.decisions(tx, ISSUE)] == [("the brake", "pause")]


def test_what_is_done_is_not_paused(tmp_path):
    with open_workspace(bare_workspace(tmp_path / "w")) as workspace:
        row = add_issue(workspace)
        attempt, aid = add_attempt(workspace, row, 1)
        did = add_delivery(workspace, row, add_people(workspace, 1)[0], S.ACCEPTED, attempt)
        feedback.take_webhook(workspace.store, "sendgrid", body([told(did, aid, "bounce", type="blocked", status="5.7.1")]))
        assert feedback.apply(workspace).paused == 0
