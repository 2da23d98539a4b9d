"""Events and bounces, from the moment they come to what they change."""

from __future__ import annotations

import os
import sqlite3
import threading
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from sqlalchemy import select, update

from digest import feedback, suppress
from digest.addresses import parse
from digest.errors import ConfigError, DigestError
from digest.model import DeliveryState as S
from digest.store import ledger, people, returns, schema, suppressions
from digest.workspace import open_workspace
from tests.support import bounce_corpus as corpus
from tests.support.bounce_corpus import make
from tests.support.feedback import SENT, add_attempt, add_delivery, add_issue, add_people, bare_workspace, body, dump, told

pytestmark = pytest.mark.usefixtures("on_both")


@pytest.fixture
def workspace(tmp_path):
    with open_workspace(bare_workspace(tmp_path / "w", "delivery: {soft_bounces: {most: 3, days: 120}}\n")) as opened:
        yield opened


class Bed:
    """One issue through one provider, with a delivery for each person."""

    def __init__(self, workspace, count=1, state=S.ACCEPTED, provider="sendgrid", day=1, people=None, **values):
        self.workspace = workspace
        self.issue = add_issue(workspace, day)
        self.attempt, self.aid = add_attempt(workspace, self.issue, count, provider)
        self.people = people or add_people(workspace, count)
        self.dids = [add_delivery(workspace, self.issue, row, state, self.attempt, **values) for row in self.people]

    def tells(self, event, n=0, when=SENT, aid=None, **more):
        posted = told(self.dids[n], self.aid if aid is None else aid, event, when, **more)
        feedback.take_webhook(self.workspace.store, "sendgrid", body([posted]))
        return feedback.apply(self.workspace)

    def states(self):
        rows = dump(self.workspace)["deliveries"]
        return [rows[did][:2] for did in self.dids]


def suppressed(workspace, email="r0@example.org"):
    with workspace.store.read() as tx:
        return suppressions.find(tx, workspace.store.vault.index(parse(email).key))


def status(workspace, email="r0@example.org"):
    with workspace.store.read() as tx:
        return people.find(tx, workspace.store.vault, parse(email)).subscriber.status.value


# --- the ledger ----------------------------------------------------------------------------------------------------------


def test_one_event_settles_the_whole_call(workspace):
    bed = Bed(workspace, 4, S.UNCERTAIN)
    report = bed.tells("processed", 1)
    assert (report.accepted_by_event, report.accepted_by_sibling) == (1, 3)
    assert bed.states() == [("accepted", "sibling"), ("accepted", "event"), ("accepted", "sibling"), ("accepted", "sibling")]


def test_over_smtp_every_message_speaks_for_itself(workspace):
    bed = Bed(workspace, 2, S.HELD, "smtp")
    assert bed.tells("processed").accepted_by_sibling == 0
    assert bed.states() == [("accepted", "event"), ("held", "")]


def test_a_delivery_that_becomes_uncertain_after_its_siblings_event_is_settled_too(workspace):
    bed = Bed(workspace, 2, S.INFLIGHT)
    bed.tells("processed")
    assert bed.states() == [("accepted", "event"), ("inflight", "")]  # it is in somebody's hands
    with workspace.store.write() as tx:
        ledger.reap(tx, bed.issue, everything=True)
    assert feedback.apply(workspace).accepted_by_sibling == 1
    assert bed.states()[1] == ("accepted", "sibling")


def test_what_was_to_be_sent_again_is_not_if_its_event_comes_first(workspace):
    bed = Bed(workspace, 2, S.READY)
    bed.tells("delivered")
    assert bed.states() == [("accepted", "event"), ("ready", "")]


def test_a_sibling_proves_nothing_of_what_was_put_off(workspace):
    """What a domain's limit held back stands in the attempt and was not in the call: accepting it would lose it silently."""
    bed = Bed(workspace, 2, S.READY)
    bed.tells("delivered")
    with workspace.store.write() as tx:
        claim = ledger.claim(tx, bed.issue, 10, owner="t", lease=timedelta(minutes=5), provider="sendgrid")
    assert [one.did for one in claim.deliveries] == bed.dids[1:]


def test_an_event_of_the_attempt_before_is_a_contradiction_once_it_was_claimed_again(workspace):
    bed = Bed(workspace, 1, S.READY)
    with workspace.store.write() as tx:
        claim = ledger.claim(tx, bed.issue, 10, owner="t", lease=timedelta(minutes=5), provider="sendgrid")
    bed.tells("delivered")
    assert bed.states() == [("accepted", "event")]
    bed.tells("delivered", aid=claim.aid)
    assert {what for _, what in dump(workspace)["contradictions"]} == {"claimed again after an attempt that was accepted", "two attempts"}


def test_an_event_of_a_reader_who_was_skipped_is_a_contradiction(workspace):
    bed = Bed(workspace, 1, S.SKIPPED)
    bed.tells("delivered")
    assert bed.states() == [("skipped", "")]
    assert feedback.reconcile(workspace).contradictions == (f"{bed.dids[0]}: event for a skipped delivery",)


def test_an_event_that_comes_before_its_delivery_is_known_waits_for_it(workspace):
    bed = Bed(workspace, 1)
    did = "f" * 32
    feedback.take_webhook(workspace.store, "sendgrid", body([told(did, bed.aid, "bounce", type="bounce", status="5.1.1")]))
    assert feedback.apply(workspace).unknown == 1
    assert [(one.did, one.kind) for one in feedback.unknown(workspace)] == [(did, "bounce")]
    with workspace.store.write() as tx:  # as when a backup is put back and the planner runs again
        tx.execute(update(schema.delivery).values(did=did, state="uncertain"))
    assert feedback.apply(workspace).unknown == 0
    assert suppressed(workspace).reason == "bounce"


def test_an_aid_alone_settles_nothing(workspace):
    bed = Bed(workspace, 2, S.UNCERTAIN)
    feedback.take_webhook(workspace.store, "sendgrid", body([told("", bed.aid, "delivered"), told("e" * 32, bed.aid, "delivered")]))
    feedback.apply(workspace)
    assert bed.states() == [("uncertain", "")] * 2


def test_reconcile_says_what_is_open_and_why(workspace):
    bed = Bed(workspace, 2, S.HELD, "smtp", reason="the connection was lost after the final dot")
    bed.tells("delivered", 0)
    found = feedback.reconcile(workspace, "monthly-2026-05-01")
    assert [one.did for one in found.unsure] == [bed.dids[1]]
    assert found.unsure[0].why.startswith("the connection was lost after the final dot; of its attempt 1 events came")
    with pytest.raises(DigestError):
        feedback.reconcile(workspace, "monthly-1999-01-01")


def test_who_was_accepted_for_a_siblings_sake_and_never_heard_of_is_counted(workspace):
    bed = Bed(workspace, 2, S.UNCERTAIN)
    bed.tells("delivered")
    with workspace.store.write() as tx:
        tx.execute(update(schema.delivery).values(state_at=SENT))
    assert feedback.reconcile(workspace).untraced == 1


# --- people --------------------------------------------------------------------------------------------------------------


def test_a_hard_bounce_suppresses_at_once_and_leaves_the_subscription(workspace):
    bed = Bed(workspace)
    assert bed.tells("bounce", type="bounce", status="5.1.1", reason="550 5.1.1 <ana.canary@example.org> unknown").suppressed == 1
    assert suppressed(workspace)[:2] == ("bounce", SENT)
    assert status(workspace) == "active"


def test_a_block_is_not_held_against_the_reader(workspace):
    bed = Bed(workspace)
    bed.tells("bounce", type="blocked", status="5.7.1", reason="554 5.7.1 on a block list")
    assert suppressed(workspace) is None
    with workspace.store.read() as tx:
        assert [one.kind for one in returns.blocked(tx, bed.issue, None)] == ["blocked"]


def test_soft_bounces_of_three_issues_suppress_of_one_never(workspace):
    first = Bed(workspace)
    for hour in range(5):
        first.tells("bounce", when=SENT + timedelta(hours=hour), type="bounce", status="5.2.2")
    assert suppressed(workspace) is None
    for day in (2, 3):
        Bed(workspace, day=day, people=first.people).tells("bounce", when=SENT + timedelta(days=day), type="bounce", status="5.2.2")
    assert suppressed(workspace) == ("bounce", SENT + timedelta(days=3), "soft bounces")


def test_a_complaint_ends_it_for_good(workspace):
    bed = Bed(workspace)
    bed.tells("bounce", type="bounce", status="5.1.1")
    bed.tells("spamreport", when=SENT + timedelta(hours=1))
    assert suppressed(workspace).reason == "complaint"
    assert status(workspace) == "suppressed"
    with pytest.raises(DigestError, match="--force"):
        suppress.remove(workspace, "R0@example.org")
    assert suppress.remove(workspace, "r0@example.org", force=True).reason == "complaint"
    assert suppressed(workspace) is None
    assert status(workspace) == "suppressed"  # only their own new consent brings them back


def test_leaving_at_the_provider_is_leaving(workspace):
    bed = Bed(workspace)
    bed.tells("unsubscribe")
    bed.tells("group_unsubscribe", when=SENT + timedelta(hours=1))
    assert status(workspace) == "unsubscribed"
    assert suppressed(workspace) is None
    with workspace.store.read() as tx:
        kinds = tx.execute(select(schema.consent.c.kind, schema.consent.c.source)).all()
    assert [tuple(row) for row in kinds] == [("withdrawn", "the provider: unsubscribe")] * 2
    bed.tells("group_resubscribe", when=SENT + timedelta(hours=2))
    assert status(workspace) == "unsubscribed"


def test_what_is_older_than_the_consent_is_not_held_against_them(workspace):
    rows = add_people(workspace, 1, (SENT + timedelta(days=1),))
    bed = Bed(workspace, people=rows)
    for event in ("spamreport", "unsubscribe"):
        bed.tells(event)
    bed.tells("bounce", type="bounce", status="5.1.1")
    assert (suppressed(workspace), status(workspace)) == (None, "active")
    bed.tells("dropped", when=SENT + timedelta(days=2), reason="Bounced Address")
    assert suppressed(workspace).reason == "bounce"


def test_what_was_told_before_a_person_took_it_off_counts_no_more(workspace):
    bed = Bed(workspace)
    bed.tells("bounce", type="bounce", status="5.1.1")
    suppress.remove(workspace, "r0@example.org")
    bed.tells("dropped", when=SENT + timedelta(hours=1), reason="Bounced Address")
    assert suppressed(workspace) is None


def test_two_who_apply_at_once_do_it_once(workspace):
    bed = Bed(workspace, 40, S.UNCERTAIN)
    for n in range(40):
        feedback.take_webhook(workspace.store, "sendgrid", body([told(bed.dids[n], "", "delivered", SENT + timedelta(seconds=n))]))
    reports = []
    threads = [threading.Thread(target=lambda: reports.append(feedback.apply(workspace))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(report.accepted_by_event for report in reports) == 40 == sum(report.joined for report in reports)


def test_a_run_that_breaks_off_anywhere_is_made_good_by_the_next(workspace, monkeypatch):
    """The join fails at each of its writes in turn; afterwards the outcome is that of a run without a failure."""
    from digest.store import events

    bed = Bed(workspace, 3, S.UNCERTAIN)
    feedback.take_webhook(workspace.store, "sendgrid", body([told(bed.dids[0], bed.aid, "bounce", type="bounce", status="5.1.1")]))
    for name in ("put_events", "mark_read", "write_joined", "accept_siblings", "put_bounces", "mark_joined"):
        with monkeypatch.context() as patch:
            patch.setattr(events, name, lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                feedback.apply(workspace)
    feedback.apply(workspace)
    assert bed.states() == [("accepted", "event"), ("accepted", "sibling"), ("accepted", "sibling")]
    assert suppressed(workspace).reason == "bounce"


@pytest.mark.parametrize("on_both", ["sqlite"], indirect=True)  # looks into the file
def test_a_stolen_database_tells_nobodys_name(workspace, tmp_path):
    bed = Bed(workspace)
    bed.tells("bounce", type="bounce", status="5.1.1", reason="550 5.1.1 <ana.canary@example.org> unknown", email="ana.canary@example.org")
    feedback.take_webhook(workspace.store, "sendgrid", b'[{"email": "ben.canary@example.org"')
    feedback.take_bounce(workspace, make(corpus.POSTFIX).replace(b"reader@", b"cleo.canary@"))
    suppress.add(workspace, "dora.canary@example.org")
    feedback.apply(workspace)
    workspace.store.close()
    for file in (tmp_path / "w" / "var").glob("digest.db*"):
        assert b"canary" not in file.read_bytes()


# --- bounce messages -----------------------------------------------------------------------------------------------------


def bounce_bed(workspace, state=S.ACCEPTED, **values):
    """A delivery over SMTP under the ids of the corpus."""
    bed = Bed(workspace, 1, state, "smtp", **values)
    with workspace.store.write() as tx:
        tx.execute(update(schema.delivery).values(did=corpus.DID))
        tx.execute(update(schema.attempt).values(aid=corpus.AID))
    bed.dids = [corpus.DID]
    return bed


@pytest.mark.parametrize("name", ["POSTFIX", "EXIM", "QMAIL"])
def test_a_bounce_message_suppresses_and_proves_that_it_went_out(workspace, name):
    bed = bounce_bed(workspace, S.UNCERTAIN)
    assert feedback.take_bounce(workspace, make(getattr(corpus, name))) == "taken"
    assert feedback.take_bounce(workspace, make(getattr(corpus, name))) == "known"
    assert feedback.apply(workspace).suppressed == 1
    assert bed.states() == [("accepted", "event")]
    assert dump(workspace)["deliveries"][corpus.DID][3] is not None  # bounced_at


def test_an_envelope_id_finds_the_message_that_was_sent_alone(workspace):
    bounce_bed(workspace)
    feedback.take_bounce(workspace, make(corpus.ONLY_ENVELOPE_ID))
    assert feedback.apply(workspace).suppressed == 1


def test_an_envelope_id_of_several_finds_nobody(workspace):
    bed = Bed(workspace, 2, S.HELD, "smtp")
    told_at = format_datetime(workspace.at).encode()  # a date of long ago would give way to the moment each copy came
    bounce = make(corpus.ONLY_ENVELOPE_ID, aid=bed.aid).replace(b"Fri, 01 May 2026 09:00:07 +0000 (UTC)", told_at)
    feedback.take_bounce(workspace, bounce)
    report = feedback.apply(workspace)
    assert (report.suppressed, report.unknown) == (0, 1)
    assert bed.states() == [("held", "")] * 2
    with workspace.store.write() as tx:  # nor when one of them has gone on to another attempt
        tx.execute(update(schema.delivery).where(schema.delivery.c.did == bed.dids[1]).values(attempt_id=None))
    feedback.take_bounce(workspace, bounce + b"again")
    assert feedback.apply(workspace).unknown == 1  # the same event
    assert bed.states() == [("held", "")] * 2


def test_a_bounce_message_that_names_an_api_call_proves_nothing_for_its_siblings(workspace):
    """Anybody can write a bounce message; only the provider can sign an event."""
    bed = Bed(workspace, 2, S.UNCERTAIN)
    feedback.take_bounce(workspace, make(corpus.POSTFIX, did=bed.dids[0], aid=bed.aid))
    feedback.apply(workspace)
    assert bed.states() == [("accepted", "event"), ("uncertain", "")]


def test_a_delay_is_told_and_harms_nobody(workspace):
    bed = bounce_bed(workspace, S.UNCERTAIN)
    feedback.take_bounce(workspace, make(corpus.DELAYED))
    assert feedback.apply(workspace).suppressed == 0
    assert bed.states() == [("accepted", "event")]


def test_a_report_of_spam_ends_it(workspace):
    bounce_bed(workspace)
    feedback.take_bounce(workspace, make(corpus.ARF))
    feedback.apply(workspace)
    assert (suppressed(workspace).reason, status(workspace)) == ("complaint", "suppressed")


def test_a_letter_to_the_bounce_address_is_not_kept(workspace):
    assert feedback.take_bounce(workspace, make(corpus.A_LETTER)) == "no bounce"
    with workspace.store.read() as tx:
        assert tx.execute(select(schema.event_inbox)).all() == []


@pytest.fixture
def maildir(tmp_path):
    for name in ("new", "cur", "tmp"):
        (tmp_path / "mail" / name).mkdir(parents=True)
    return tmp_path / "mail"


def test_a_maildir_is_read_once_and_marked(workspace, maildir, tmp_path):
    bounce_bed(workspace)
    (maildir / "new" / "1.a.host").write_bytes(make(corpus.POSTFIX))
    (maildir / "cur" / "2.b.host:2,F").write_bytes(make(corpus.OUT_OF_OFFICE))
    (maildir / "cur" / "3.c.host:2,S").write_bytes(make(corpus.ARF))  # seen already
    (tmp_path / "secret").write_bytes(make(corpus.ARF))
    os.symlink(tmp_path / "secret", maildir / "new" / "4.d.host")
    os.mkfifo(maildir / "new" / "5.e.host")
    (maildir / "new" / "folder").mkdir()
    found = feedback.take_mailbox(workspace, maildir)
    assert (found.taken, found.no_bounce, found.known) == (1, 1, 0)
    assert sorted(file.name for file in (maildir / "cur").iterdir()) == ["1.a.host:2,S", "2.b.host:2,FS", "3.c.host:2,S"]
    assert feedback.take_mailbox(workspace, maildir).taken == 0
    assert feedback.apply(workspace).suppressed == 1


def test_an_mbox_is_left_as_it_is_and_taken_once(workspace, tmp_path):
    bounce_bed(workspace)
    box = tmp_path / "mbox"
    parts = [make(text).replace(b"\r\n", b"\n") for text in (corpus.POSTFIX, corpus.A_LETTER, corpus.ARF)]
    box.write_bytes(b"".join(b"From x Fri May  1 09:00:00 2026\n" + part + b"\n" for part in parts))
    before = box.read_bytes()
    found = feedback.take_mailbox(workspace, box)
    assert (found.taken, found.no_bounce) == (2, 1)
    assert feedback.take_mailbox(workspace, box).known == 2
    assert box.read_bytes() == before
    report = feedback.apply(workspace)
    assert (report.bodies, report.suppressed) == (2, 1)


def test_an_mbox_without_line_ends_does_not_fill_the_memory(workspace, tmp_path):
    box = tmp_path / "mbox"
    with box.open("wb") as out:
        out.write(b"From x\n")
        out.seek(200_000_000)
        out.write(b"\n")
    assert feedback.take_mailbox(workspace, box).no_bounce == 1


def test_a_mailbox_that_is_not_there_is_told(workspace, tmp_path):
    with pytest.raises(ConfigError, match="neither a Maildir"):
        feedback.take_mailbox(workspace, tmp_path / "nowhere")


# --- the suppression list ------------------------------------------------------------------------------------------------


def test_the_list_names_only_who_is_also_a_subscriber(workspace):
    add_people(workspace, 1)
    assert suppress.add(workspace, "R0@Example.org", "request", "editor") is True
    assert suppress.add(workspace, "r0@example.org", "operator", "editor") is False
    suppress.add(workspace, "stranger@example.org")
    found = {line.email: (line.reason, line.source) for line in suppress.listing(workspace)}
    assert found == {"r…@example.org": ("request", "editor"), "": ("operator", "operator")}
    assert {line.email for line in suppress.listing(workspace, addresses=True)} == {"r0@example.org", ""}
    with workspace.store.read() as tx:
        rows = tx.execute(select(schema.decision.c.who, schema.decision.c.what, schema.decision.c.detail)).all()
    assert [tuple(row) for row in rows] == [
        ("editor", "suppression added", "request"),
        ("editor", "suppression added", "operator"),
        ("operator", "suppression added", "operator"),
    ]


def test_a_complaint_that_came_by_telephone_ends_the_subscription_too(workspace):
    add_people(workspace, 1)
    suppress.add(workspace, "r0@example.org", "complaint")
    assert status(workspace) == "suppressed"


def test_what_cannot_be_done_is_told(workspace):
    with pytest.raises(ConfigError, match="the address"):
        suppress.add(workspace, "nobody at all")
    with pytest.raises(ConfigError, match="not one of complaint"):
        suppress.add(workspace, "a@example.org", "because")
    with pytest.raises(DigestError, match="not on the suppression list"):
        suppress.remove(workspace, "a@example.org")


def write(tmp_path: Path, text: str | bytes) -> Path:
    file = tmp_path / "list.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_an_import_takes_the_good_lines_and_lists_the_bad(workspace, tmp_path):
    file = write(
        tmp_path,
        "\ufeffEmail,reason\r\na@example.org,\r\nb@example.org,Complaint\r\nnonsense,\r\nA@example.org,bounce\r\n\r\n"
        'c@example.org,because\r\nd@example.org,bounce,more\r\n"Dora <e@example.org>",request\r\n\'+f@example.org,\r\n',
    )
    assert (suppress.import_file(workspace, file, dry_run=True).new, suppress.listing(workspace)) == (4, [])
    found = suppress.import_file(workspace, file)
    assert (found.new, found.known, found.refused) == (4, 0, 3)
    assert [(problem.line, problem.severity) for problem in found.problems] == [(4, "error"), (5, "warning"), (7, "error"), (8, "error")]
    assert not any("nonsense" in str(problem) or "because" in str(problem) for problem in found.problems)
    again = suppress.import_file(workspace, file)
    assert (again.new, again.known) == (0, 4)
    assert suppressed(workspace, "+f@example.org").reason == "operator"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "must name the columns"),
        ("address\nx@example.org\n", "must name the columns"),
        ("email,email\n", "stands twice"),
        ("email,why\n", "unknown column"),
        (b"email\nj\xfcrgen@example.org\n", "list.csv:2: not UTF-8"),
        ('"email\n', "not CSV"),
    ],
)
def test_a_file_that_is_no_list_changes_nothing(workspace, tmp_path, text, told):
    with pytest.raises(ConfigError, match=told):
        suppress.import_file(workspace, write(tmp_path, text))
    assert suppress.listing(workspace) == []


@pytest.mark.parametrize("on_both", ["sqlite"], indirect=True)  # two workspaces
def test_what_is_exported_imports_again(workspace, tmp_path):
    add_people(workspace, 3)
    for n, reason in enumerate(("bounce", "complaint", "request")):
        suppress.add(workspace, f"r{n}@example.org", reason)
    suppress.add(workspace, "stranger@example.org")
    rows, nameless = suppress.export_rows(workspace)
    assert (len(rows), nameless) == (4, 1)
    file = write(tmp_path, "\r\n".join(",".join(row) for row in rows))
    with open_workspace(bare_workspace(tmp_path / "other")) as other:
        add_people(other, 3)
        assert suppress.import_file(other, file).new == 3
        assert sorted(suppress.export_rows(other)[0]) == sorted(rows)


@pytest.mark.parametrize("on_both", ["sqlite"], indirect=True)  # looks into the file
def test_a_database_without_its_key_opens_no_body(workspace, tmp_path):
    bed = Bed(workspace)
    feedback.take_webhook(workspace.store, "sendgrid", body([told(bed.dids[0], "", "delivered")]))
    with sqlite3.connect(tmp_path / "w" / "var" / "digest.db") as db:
        db.execute("UPDATE event_inbox SET body = zeroblob(100)")
    db.close()
    with pytest.raises(DigestError, match="DIGEST_SECRET_KEY"):
        feedback.apply(workspace)
