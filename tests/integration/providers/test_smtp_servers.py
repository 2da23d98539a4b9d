"""Hand-over to real mail servers: Postfix as Debian has it, its smtp-sink, and aiosmtpd."""

from __future__ import annotations

import asyncio
import email
import email.policy
import os
import shutil
import socket
import ssl
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from pydantic import SecretStr

from digest.providers.smtp import Smtp
from tests.support.ports import free_port, free_ports
from tests.support.smtp_parcels import AID, SENDER, message_of, parcel, settings

SBIN = Path("/usr/sbin")
PASSWORD = "correct horse battery"


def need(*programs):
    """Skip where Postfix is not installed; a CI run has to have it."""
    missing = [name for name in programs if not (SBIN / name).exists()] or (["root's rights"] if os.geteuid() else [])
    if missing:
        why = f"no {', '.join(missing)}: run tests/integration/providers/get-postfix as root"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)


def wait_for(condition, what):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within 30 s"
        time.sleep(0.02)


def listens(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as link:
            link.settimeout(5)
            return link.recv(3) == b"220"
    except OSError:
        return False


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    made = trustme.CA()
    folder = tmp_path_factory.mktemp("ca")
    made.cert_pem.write_to_path(str(folder / "ca.pem"))
    made.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    return made, folder


def hand_over(port, *parcels, password="", **values):
    smtp = Smtp(settings(port, **values), SecretStr(password) if password else None, SENDER)
    try:
        return smtp.hand_over("monthly-2026-05-01", AID, parcels)
    finally:
        smtp.close()


def outcomes(handover):
    return [receipt.outcome for receipt in handover.receipts]


# --- Postfix -------------------------------------------------------------------------------------------------------------

MAIN = """\
compatibility_level = 3.6
config_directory = {home}/etc
queue_directory = {home}/queue
data_directory = {home}/data
maillog_file = {home}/log
maillog_file_prefixes = {home}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.test.example.org
mydestination =
mynetworks =
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = example.org, letter.example.org, in.example.org
virtual_mailbox_maps = regexp:{home}/etc/mailboxes
virtual_mailbox_base = {home}/mail
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
mailbox_size_limit = 0
virtual_mailbox_limit = 0
message_size_limit = 200000
recipient_delimiter = +
smtpd_relay_restrictions = reject_unauth_destination
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {certificate}
smtpd_tls_security_level = may
smtpd_client_restrictions =
anvil_rate_time_unit = 60s
"""
MASTER = """\
{port} inet n - n - - smtpd
{tls_port} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
{strict_port} inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
MAILBOXES = "/^(reader[0-9]+|نور|anä)@example\\.org$/ readers/\n/@letter\\.example\\.org$/ letter/\n/@in\\.example\\.org$/ bounces/\n"


class Postfix:
    """A Postfix of its own, with queue, mailboxes and log in a folder. It delivers to maildirs, and nowhere else."""

    def __init__(self, home, certificate):
        import pwd

        user = pwd.getpwnam("postfix")
        self.home = home
        self.port, self.tls_port, self.strict_port = free_ports(3)
        home.chmod(0o755)
        for name in ("etc", "queue", "data", "mail"):
            (home / name).mkdir(mode=0o755)
        for name in ("data", "mail"):
            os.chown(home / name, user.pw_uid, user.pw_gid)
        names = {"home": home, "certificate": certificate, "uid": user.pw_uid, "gid": user.pw_gid}
        ports = {"port": self.port, "tls_port": self.tls_port, "strict_port": self.strict_port}
        (home / "etc" / "main.cf").write_text(MAIN.format(**names))
        (home / "etc" / "master.cf").write_text(MASTER.format(**{key: f"127.0.0.1:{port}" for key, port in ports.items()}))
        (home / "etc" / "mailboxes").write_text(MAILBOXES, encoding="utf-8")
        self.run("start")
        wait_for(lambda: listens(self.port), "Postfix's start")

    def run(self, *words):
        done = subprocess.run([SBIN / "postfix", "-c", self.home / "etc", *words], capture_output=True, text=True, timeout=60)
        log = self.home / "log"
        assert done.returncode == 0, done.stderr + (log.read_text() if log.exists() else "")

    def mailbox(self, name):
        """The messages in a maildir, as bytes with CRLF line ends."""
        files = sorted((self.home / "mail" / name / "new").glob("*"))
        return [file.read_bytes().replace(b"\n", b"\r\n") for file in files]


@pytest.fixture(scope="module")
def postfix(authority):
    need("postfix")
    import tempfile

    with tempfile.TemporaryDirectory(prefix="postfix-") as folder:  # pytest's own folders are closed to the user postfix
        home = Path(folder)
        certificate = shutil.copy(authority[1] / "server.pem", home)
        running = Postfix(home, certificate)
        yield running
        running.run("stop")


def test_postfix_takes_and_delivers_every_message_as_it_was_made(postfix, authority):
    smtp = Smtp(settings(postfix.port, security="starttls", ca_file=authority[1] / "ca.pem", connections=4), None, SENDER)
    parcels = [parcel(n, size=50_000) for n in range(100, 160)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda one: smtp.hand_over("i", one.did, [one]), parcels))
    smtp.close()
    receipts = [one.receipts[0] for one in found]
    assert {receipt.outcome for receipt in receipts} == {"accepted"} and {receipt.code for receipt in receipts} == {"250 2.0.0"}
    assert all(receipt.ref.startswith("Ok: queued as ") for receipt in receipts) and len({receipt.ref for receipt in receipts}) == 60
    wanted = {message_of(one) for one in parcels}

    def arrived():
        return {b"To: " + whole.partition(b"\r\nTo: ")[2] for whole in postfix.mailbox("readers")}  # without what Postfix put in front

    wait_for(lambda: len(wanted & arrived()) == 60, "the delivery of 60 messages")


def test_postfix_refuses_one_reader_and_takes_the_others(postfix):
    parcels = [parcel(1), parcel(2, email="nobody@example.org"), parcel(3, email="x@elsewhere.example"), parcel(4)]
    handover = hand_over(postfix.port, *parcels)
    assert outcomes(handover) == ["accepted", "rejected", "deferred", "accepted"]
    assert [receipt.code for receipt in handover.receipts[1:3]] == ["550 5.1.1", "554 5.7.1"] and not handover.stop
    assert "nobody" not in str(handover) and "elsewhere" not in str(handover)


def test_postfix_refuses_a_message_that_is_too_large_before_it_is_sent(postfix):
    handover = hand_over(postfix.port, parcel(5, size=300_000), parcel(6))
    assert outcomes(handover) == ["rejected", "accepted"]
    assert (handover.receipts[0].code, handover.receipts[0].reason) == ("552 5.3.4", "the message is too large for the server")


@pytest.mark.parametrize(("port", "security"), [("tls_port", "tls"), ("strict_port", "starttls")])
def test_postfix_with_tls(postfix, authority, port, security):
    trusted = {"security": security, "ca_file": authority[1] / "ca.pem"}
    assert outcomes(hand_over(getattr(postfix, port), parcel(7), **trusted)) == ["accepted"]
    assert outcomes(hand_over(getattr(postfix, port), parcel(7), **trusted, host="localhost")) == ["accepted"]
    handover = hand_over(getattr(postfix, port), parcel(8), security=security)
    assert outcomes(handover) == ["deferred"] and "certificate" in handover.stop


def test_postfix_that_wants_tls_ends_a_run_without(postfix):
    handover = hand_over(postfix.strict_port, parcel(9))
    assert outcomes(handover) == ["deferred"] and "wants TLS" in handover.stop and "530 5.7.0" in handover.stop


def test_postfix_reports_to_the_bounce_address_of_the_delivery(postfix):
    one = parcel(10)
    assert outcomes(hand_over(postfix.port, one, envelope_sender="bounce@in.example.org", verp=True)) == ["accepted"]
    wait_for(lambda: postfix.mailbox("bounces"), "the report of success")
    report = email.message_from_bytes(postfix.mailbox("bounces")[0], policy=email.policy.default)
    assert report.get_content_type() == "multipart/report"
    assert report["To"].addresses[0].addr_spec == f"bounce+{one.did}@in.example.org"
    status = next(part for part in report.walk() if part.get_content_type() == "message/delivery-status")
    fields = [block.items() for block in status.get_payload()]
    assert ("Original-Envelope-Id", AID) in fields[0] and ("Action", "delivered") in fields[1]
    assert one.did.encode() in report.as_bytes().partition(b"text/rfc822-headers")[2]


@pytest.mark.parametrize("email", ["anä@example.org", "نور@example.org"])
def test_postfix_delivers_to_an_address_with_other_letters(postfix, email):
    one = parcel(13, email=email)
    handover = hand_over(postfix.port, parcel(14), one, parcel(15), envelope_sender="bounce@in.example.org", verp=True)
    assert outcomes(handover) == ["accepted"] * 3
    wait_for(lambda: any(message_of(one) in whole for whole in postfix.mailbox("readers")), "the delivery")


def test_postfix_stopped_and_started_again_under_an_open_connection(postfix):
    smtp = Smtp(settings(postfix.port), None, SENDER)
    assert outcomes(smtp.hand_over("i", AID, [parcel(11)])) == ["accepted"]
    postfix.run("stop")
    gone = smtp.hand_over("i", AID, [parcel(12)])
    assert outcomes(gone) == ["deferred"] and gone.trouble
    postfix.run("start")
    wait_for(lambda: listens(postfix.port), "Postfix's start")
    assert outcomes(smtp.hand_over("i", AID, [parcel(12)])) == ["accepted"]
    smtp.close()


@pytest.mark.parametrize("options", [[], ["-p"], ["-e"], ["-8"]], ids=["all", "no pipelining", "no EHLO", "no 8BITMIME"])
def test_smtp_sink(options):
    need("smtp-sink")
    port = free_port()
    with subprocess.Popen([SBIN / "smtp-sink", *options, "-u", "nobody", f"127.0.0.1:{port}", "64"], stderr=subprocess.DEVNULL) as sink:
        try:
            wait_for(lambda: listens(port), "the sink's start")
            handover = hand_over(port, *(parcel(n, size=50_000) for n in range(20)))
        finally:
            sink.terminate()
    if options == ["-e"]:
        assert set(outcomes(handover)) == {"deferred"} and handover.trouble  # a server that knows no EHLO is not for us
    else:
        assert set(outcomes(handover)) == {"accepted"}


# --- aiosmtpd ------------------------------------------------------------------------------------------------------------


class Handler:
    """Keeps what it takes."""

    def __init__(self):
        self.taken = []

    async def handle_DATA(self, server, session, envelope):
        self.taken.append(envelope)
        return "250 OK"


def login(server, session, envelope, mechanism, data):
    good = (data.login, data.password) == (b"ana", PASSWORD.encode())
    return AuthResult(success=good, handled=good)


@pytest.fixture
def aiosmtpd(authority):
    """Start an aiosmtpd with some options; gives its port and what it took."""
    running = []

    def start(**options):
        handler = Handler()
        controller = Controller(handler, hostname="127.0.0.1", port=free_port(), loop=asyncio.new_event_loop(), **options)
        controller.start()
        running.append(controller)
        return controller.port, handler.taken

    yield start
    for controller in running:
        controller.stop()
        controller.loop.close()


def tls_of(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority[1] / "server.pem")
    return context


def test_aiosmtpd_plain(aiosmtpd):
    port, taken = aiosmtpd()
    parcels = [parcel(n, size=20_000) for n in range(10)]
    assert outcomes(hand_over(port, *parcels)) == ["accepted"] * 10
    assert [envelope.original_content for envelope in taken] == [message_of(one) for one in parcels]
    assert [envelope.rcpt_tos for envelope in taken] == [[one.reader.email] for one in parcels]


@pytest.mark.parametrize("offered", [True, False])
def test_aiosmtpd_with_and_without_smtputf8(aiosmtpd, offered):
    port, taken = aiosmtpd(enable_SMTPUTF8=offered)
    wide = parcel(2, email="anä@example.org")
    handover = hand_over(port, parcel(1), wide, parcel(3))
    assert outcomes(handover) == ["accepted", "accepted" if offered else "rejected", "accepted"]
    assert [envelope.rcpt_tos for envelope in taken if envelope.smtp_utf8] == ([["anä@example.org"]] if offered else [])
    assert not offered or taken[1].original_content == message_of(wide)
    assert offered or "does not offer SMTPUTF8" in handover.receipts[1].reason
    assert "anä" not in str(handover) and not handover.stop and not handover.trouble


def test_aiosmtpd_with_tls_and_login(aiosmtpd, authority):
    options = {"authenticator": login, "auth_required": True}
    port, taken = aiosmtpd(tls_context=tls_of(authority), require_starttls=True, **options)
    access = {"security": "starttls", "ca_file": authority[1] / "ca.pem", "username": "ana"}
    assert outcomes(hand_over(port, parcel(1), password=PASSWORD, **access)) == ["accepted"]
    refused = hand_over(port, parcel(2), password="wrong", **access)
    assert outcomes(refused) == ["deferred"] and "refused the login (535 5.7.8)" in refused.stop
    without = hand_over(port, parcel(3), **{**access, "username": ""})
    assert outcomes(without) == ["deferred"] and "(530 5.7.0)" in without.stop
    assert [envelope.original_content for envelope in taken] == [message_of(parcel(1))]


def test_aiosmtpd_with_tls_from_the_start(aiosmtpd, authority):
    port, taken = aiosmtpd(ssl_context=tls_of(authority))
    assert outcomes(hand_over(port, parcel(1), security="tls", ca_file=authority[1] / "ca.pem")) == ["accepted"]
    assert len(taken) == 1
