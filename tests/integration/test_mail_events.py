"""What becomes of an address when its confirmation mail, or another service mail, comes back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from digest import feedback, join, mail, suppress
from digest.addresses import parse
from digest.model import Status, Subscriber
from digest.providers import Handover, Receipt
from digest.store import mails, now, people, schema, suppressions
from digest.workspace import open_workspace
from tests.support import bounce_corpus as corpus
from tests.support.bounce_corpus import make
from tests.support.carrier import Carrier, accept
from tests.support.feedback import body, told
from tests.support.make import make_workspace

pytestmark = pytest.mark.usefixtures("on_both")
ADDRESS = "asks@example.org"
HARD = {"type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 no such user"}
SOON = timedelta(seconds=5)


@pytest.fixture
def workspace(tmp_path):
    with open_workspace(make_workspace(tmp_path / "w")) as opened:
        yield opened


def refuse(receipt):
    return lambda aid, parcels: Handover([receipt(parcel.did) for parcel in parcels])


def mailed(workspace, monkeypatch, script=accept):
    """Somebody asks to join; the mail is handed over. Returns its did."""
    carrier = Carrier(script)
    monkeypatch.setattr(mail, "make", lambda config, path: carrier)
    join.apply(workspace, join.Application(email=ADDRESS, interests=("gut",), cadence="monthly"))
    join.work(workspace)
    mail.send(workspace)
    return carrier.calls[-1][1][0].did if carrier.calls else ""


def tells(workspace, did, event, **more):
    feedback.take_webhook(workspace.store, "sendgrid", body([told(did, "", event, datetime.now(UTC) + SOON, **more)]))
    return feedback.apply(workspace)


def suppressed(workspace):
    with workspace.store.read() as tx:
        return suppressions.find(tx, workspace.store.vault.index(ADDRESS))


def states(workspace):
    with workspace.store.read() as tx:
        return mails.counts(tx)


def subscribe(workspace):
    with workspace.store.write() as tx:
        person = Subscriber(id="", email=ADDRESS, interests=("gut",), cadence="monthly")
        return people.add(tx, workspace.store.vault, parse(ADDRESS), person, now(tx))


def test_a_confirmation_that_bounces_hard_ends_all_mail_to_that_address_until_an_operator_says_else(workspace, monkeypatch):
    did = mailed(workspace, monkeypatch)
    assert tells(workspace, did, "delivered").unknown == 0 and suppressed(workspace) is None
    report = tells(workspace, did, "bounce", **HARD)
    assert (report.unknown, report.joined, report.suppressed) == (0, 1, 1)
    assert suppressed(workspace).reason == "bounce"
    assert mailed(workspace, monkeypatch) == ""  # asked for again: nothing is sent
    suppress.remove(workspace, ADDRESS)
    assert suppressed(workspace) is None and feedback.apply(workspace).suppressed == 0


def test_a_bounce_that_comes_by_mail_is_found_by_its_message_id(workspace, monkeypatch):
    did = mailed(workspace, monkeypatch)
    returned = make(corpus.POSTFIX, did=did).replace(b"Fri, 01 May 2026", datetime.now(UTC).strftime("%a, %d %b %Y").encode())
    assert feedback.take_bounce(workspace, returned) == "taken"
    assert feedback.apply(workspace).unknown == 0 and suppressed(workspace).reason == "bounce"


def test_a_mailbox_that_is_not_there_by_the_server_s_own_reply_counts_at_once(workspace, monkeypatch):
    mailed(workspace, monkeypatch, refuse(lambda did: Receipt(did, "rejected", reason="no such mailbox", code="550 5.1.1")))
    assert states(workspace) == {"failed": 1} and suppressed(workspace).reason == "bounce"


def test_a_refusal_that_is_ours_and_one_for_now_suppress_nobody(workspace, monkeypatch):
    mailed(workspace, monkeypatch, refuse(lambda did: Receipt(did, "rejected", reason="policy", code="550 5.7.1")))
    assert states(workspace) == {"failed": 1} and suppressed(workspace) is None


def test_a_spam_report_about_a_service_mail_ends_the_subscription(workspace, monkeypatch):
    row = subscribe(workspace)
    did = mailed(workspace, monkeypatch)  # "you are subscribed already"
    report = tells(workspace, did, "spamreport")
    assert (report.suppressed, report.left, report.unknown) == (1, 1, 0)
    assert suppressed(workspace).reason == "complaint"
    with workspace.store.read() as tx:
        found = tx.execute(select(schema.subscriber.c.status).where(schema.subscriber.c.id == row)).scalar()
    assert found == Status.SUPPRESSED


def test_any_event_settles_a_mail_of_which_nobody_knew(workspace, monkeypatch):
    did = mailed(workspace, monkeypatch, refuse(lambda did: Receipt(did, "uncertain", reason="the line was cut")))
    assert states(workspace) == {"uncertain": 1}
    tells(workspace, did, "processed")
    assert states(workspace) == {"accepted": 1}


def test_soft_bounces_of_several_mails_add_up(workspace, monkeypatch):
    subscribe(workspace)
    for n in range(3):
        with workspace.store.write() as tx:  # a budget would put off the second: they count by the day
            tx.execute(schema.mail.update().values(made_at=now(tx) - timedelta(days=40)))
        did = mailed(workspace, monkeypatch)
        assert (suppressed(workspace) is None) and did
        tells(workspace, did, "bounce", type="blocked", status="4.2.2", reason=f"mailbox full {n}")
    assert suppressed(workspace).source == "soft bounces"


def test_an_event_of_nobody_s_mail_still_counts_as_unknown(workspace, monkeypatch):
    mailed(workspace, monkeypatch)
    assert tells(workspace, "ab" * 16, "delivered").unknown == 1
