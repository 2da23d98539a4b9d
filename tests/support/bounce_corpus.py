"""Bounce and complaint messages in the manner of the systems that write them, in our own words, with reserved names.

``{did}``, ``{aid}`` are filled in; every message is about one delivery of ours to somebody at example.org.
"""

from __future__ import annotations

from textwrap import dedent

DID, AID = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"


def make(text: str, **more: str) -> bytes:
    """A message out of an indented text, with the line ends of the wire."""
    filled = dedent(text).lstrip("\n")
    for name, value in {"did": DID, "aid": AID, **more}.items():
        filled = filled.replace("{" + name + "}", value)
    return filled.replace("\n", "\r\n").encode("latin-1", "replace")


_RETURNED = """\
Return-Path: <letter@letter.example.net>
Message-ID: <{did}@letter.example.net>
Date: Fri, 01 May 2026 09:00:00 +0000
From: Test Letter <letter@letter.example.net>
To: reader@example.org
Subject: May
"""

POSTFIX = """
    Return-Path: <>
    X-Original-To: bounce+{did}@letter.example.net
    Delivered-To: bounce@letter.example.net
    Date: Fri, 01 May 2026 09:00:07 +0000 (UTC)
    From: MAILER-DAEMON@relay.example.net (Mail Delivery System)
    Subject: Undelivered Mail Returned to Sender
    To: bounce+{did}@letter.example.net
    Auto-Submitted: auto-replied
    MIME-Version: 1.0
    Content-Type: multipart/report; report-type=delivery-status;
    \tboundary="4AbCdE0000.1777626007/relay.example.net"
    Message-Id: <20260501090007.4AbCdF0000@relay.example.net>

    This is a MIME-encapsulated message.

    --4AbCdE0000.1777626007/relay.example.net
    Content-Description: Notification
    Content-Type: text/plain; charset=utf-8

    The relay could not hand your letter on.

    <reader@example.org>: host mx.example.org[192.0.2.7] said: 550 5.1.1
        <reader@example.org>: Recipient address rejected: User unknown in virtual
        mailbox table (in reply to RCPT TO command)

    --4AbCdE0000.1777626007/relay.example.net
    Content-Description: Delivery report
    Content-Type: message/delivery-status

    Reporting-MTA: dns; relay.example.net
    Original-Envelope-Id: {aid}
    X-Postfix-Queue-ID: 4AbCdE0000
    X-Postfix-Sender: rfc822; bounce+{did}@letter.example.net
    Arrival-Date: Fri,  1 May 2026 09:00:05 +0000 (UTC)

    Final-Recipient: rfc822; reader@example.org
    Original-Recipient: rfc822;reader@example.org
    Action: failed
    Status: 5.1.1
    Remote-MTA: dns; mx.example.org
    Diagnostic-Code: smtp; 550 5.1.1 <reader@example.org>: Recipient address
        rejected: User unknown in virtual mailbox table

    --4AbCdE0000.1777626007/relay.example.net
    Content-Description: Undelivered Message Headers
    Content-Type: text/rfc822-headers

    Message-ID: <{did}@letter.example.net>
    From: Test Letter <letter@letter.example.net>
    To: reader@example.org

    --4AbCdE0000.1777626007/relay.example.net--
"""

# Exim: the status is the vague 5.0.0, the true code stands in the diagnostic; no envelope id.
EXIM = """
    Return-path: <>
    Envelope-to: letter@letter.example.net
    Date: Fri, 01 May 2026 09:01:00 +0000
    From: Mail Delivery System <Mailer-Daemon@exim.example.net>
    To: letter@letter.example.net
    Subject: Mail delivery failed: returning message to sender
    X-Failed-Recipients: reader@example.org
    Auto-Submitted: auto-replied
    References: <{did}@letter.example.net>
    MIME-Version: 1.0
    Content-Type: multipart/report; report-type=delivery-status; boundary=1777626060-eximdsn-1

    --1777626060-eximdsn-1
    Content-type: text/plain; charset=us-ascii

    One of your recipients could not be reached. This will not be tried again.

      reader@example.org
        host mx.example.org [192.0.2.7]
        SMTP error from remote mail server after RCPT TO:<reader@example.org>:
        550 5.2.1 the account is disabled

    --1777626060-eximdsn-1
    Content-type: message/delivery-status

    Reporting-MTA: dns; exim.example.net

    Action: failed
    Final-Recipient: rfc822;reader@example.org
    Status: 5.0.0
    Remote-MTA: dns; mx.example.org
    Diagnostic-Code: smtp; 550 5.2.1 the account is disabled

    --1777626060-eximdsn-1
    Content-type: message/rfc822

    Return-path: <letter@letter.example.net>
    Message-ID: <{did}@letter.example.net>
    Subject: May

    Hello.
    --1777626060-eximdsn-1--
"""

QMAIL = """
    Return-Path: <>
    Delivered-To: letter@letter.example.net
    Date: 1 May 2026 09:02:00 -0000
    From: MAILER-DAEMON@qmail.example.net
    To: letter@letter.example.net
    Subject: failure notice

    Hi. This is the qmail-send program at qmail.example.net.
    Your letter did not get through to the address below.
    I have given up on it; nothing more will be tried.

    <reader@example.org>:
    192.0.2.7 does not like recipient.
    Remote host said: 550 sorry, no mailbox here by that name. (#5.1.1)
    Giving up on 192.0.2.7.

    --- Below this line is a copy of the message.

    Return-Path: <letter@letter.example.net>
    Message-ID: <{did}@letter.example.net>
    Subject: How to report spam, a policy

    Hello.
"""

# Exchange Online: status and words of its own, the report encoded in base64 as some gateways in between do.
EXCHANGE = """
    Date: Fri, 1 May 2026 09:03:00 +0000
    From: <postmaster@exchange.example.org>
    To: <letter@letter.example.net>
    Subject: Undeliverable: May
    Content-Type: multipart/report; report-type=delivery-status; boundary="exch_1"
    In-Reply-To: <{did}@letter.example.net>
    References: <{did}@letter.example.net>
    Auto-Submitted: auto-replied
    X-MS-Exchange-Message-Is-Ndr:
    MIME-Version: 1.0

    --exch_1
    Content-Type: multipart/alternative; differences=Content-Type; boundary="exch_2"

    --exch_2
    Content-Type: text/plain; charset="us-ascii"

    Your message to reader@example.org could not be delivered.

    --exch_2
    Content-Type: text/html; charset="us-ascii"
    Content-Transfer-Encoding: quoted-printable

    <p style=3D"margin:0">Your message could not be delivered.</p>

    --exch_2--

    --exch_1
    Content-Type: message/delivery-status
    Content-Transfer-Encoding: base64

    {report}

    --exch_1
    Content-Type: message/rfc822

    Message-ID: <{did}@letter.example.net>
    Subject: May

    --exch_1--
"""
EXCHANGE_REPORT = (
    "Reporting-MTA: dns;exchange.example.org\nReceived-From-MTA: dns;relay.example.net\n\n"
    "Final-Recipient: rfc822;reader@example.org\nAction: failed\nStatus: 5.1.10\n"
    "Diagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found by SMTP address lookup\n"
)

GMAIL = """
    Return-Path: <>
    Delivered-To: bounce+{did}@letter.example.net
    From: Mail Delivery Subsystem <mailer-daemon@mail.example.com>
    To: bounce+{did}@letter.example.net
    Auto-Submitted: auto-replied
    Subject: Delivery Status Notification (Failure)
    Date: Fri, 01 May 2026 02:04:00 -0700 (PDT)
    Content-Type: multipart/report; boundary="000000000000aa"; report-type=delivery-status

    --000000000000aa
    Content-Type: multipart/related; boundary="000000000000bb"

    --000000000000bb
    Content-Type: multipart/alternative; boundary="000000000000cc"

    --000000000000cc
    Content-Type: text/plain; charset="UTF-8"

    ** The mailbox is full **

    --000000000000cc--

    --000000000000bb
    Content-Type: image/png; name="icon.png"
    Content-Transfer-Encoding: base64

    iVBORw0KGgo=
    --000000000000bb--

    --000000000000aa
    Content-Type: message/delivery-status

    Reporting-MTA: dns; mail.example.com
    Arrival-Date: Fri, 01 May 2026 02:03:59 -0700 (PDT)
    X-Original-Message-ID: <{did}@letter.example.net>

    Final-Recipient: rfc822; reader@example.org
    Action: failed
    Status: 5.2.2
    Diagnostic-Code: smtp; 552-5.2.2 The inbox is out of storage space and takes nothing more.
     552 5.2.2 See the help pages.
    Last-Attempt-Date: Fri, 01 May 2026 02:04:00 -0700 (PDT)

    --000000000000aa
    Content-Type: message/rfc822

    Message-ID: <{did}@letter.example.net>

    --000000000000aa--
"""

SENDGRID_RELAY = """
    Return-Path: <>
    X-Original-To: letter@letter.example.net
    From: MAILER-DAEMON@relay.sendgrid.example
    To: letter@letter.example.net
    Subject: Undeliverable mail
    Date: Fri, 01 May 2026 09:05:00 +0000
    MIME-Version: 1.0
    Content-Type: multipart/report; report-type="delivery-status"; boundary="SG-1"

    --SG-1
    Content-Type: text/plain

    Refused for the sender's reputation.

    --SG-1
    Content-Type: message/delivery-status

    Reporting-MTA: dns; relay.sendgrid.example

    Final-Recipient: rfc822; reader@example.org
    Action: failed
    Status: 5.7.1
    Diagnostic-Code: smtp; 554 5.7.1 the sender's network is on a block list

    --SG-1
    Content-Type: text/rfc822-headers

    Message-ID:
     <{did}@letter.example.net>

    --SG-1--
"""

DELAYED = POSTFIX.replace("Action: failed", "Action: delayed").replace("5.1.1", "4.4.1")
DELIVERED = POSTFIX.replace("Action: failed", "Action: delivered").replace("Status: 5.1.1", "Status: 2.0.0")
EXPIRED_AT_RELAY = POSTFIX.replace("Status: 5.1.1", "Status: 4.4.1").replace("smtp; 550 5.1.1", "smtp; 451 4.4.1")
ONLY_ENVELOPE_ID = POSTFIX.replace("bounce+{did}@", "bounce@").replace("<{did}@letter.example.net>", "<other@letter.example.net>")
NOBODYS = ONLY_ENVELOPE_ID.replace("Original-Envelope-Id: {aid}\n", "")

ARF = """
    From: <feedback@mail.example.com>
    Date: Fri, 01 May 2026 12:00:00 +0000
    Subject: FW: May
    To: <abuse@letter.example.net>
    MIME-Version: 1.0
    Content-Type: multipart/report; report-type=feedback-report; boundary="arf_1"

    --arf_1
    Content-Type: text/plain; charset="US-ASCII"

    A reader pressed the button that says spam.

    --arf_1
    Content-Type: message/feedback-report

    Feedback-Type: abuse
    User-Agent: SomeGenerator/1.0
    Version: 1
    Original-Mail-From: <letter@letter.example.net>

    --arf_1
    Content-Type: message/rfc822
    Content-Disposition: inline

    From: <letter@letter.example.net>
    Message-ID: <{did}@letter.example.net>
    Subject: May

    Hello.
    --arf_1--
"""
NOT_SPAM = ARF.replace("Feedback-Type: abuse", "Feedback-Type: not-spam")

OLD_EXIM = """
    Return-Path: <>
    From: Mail Delivery System <Mailer-Daemon@old.example.net>
    To: letter@letter.example.net
    X-Failed-Recipients: reader@example.org
    Subject: Mail delivery failed: returning message to sender

    This message was created by a program.
    The following address failed permanently:
      reader@example.org
        SMTP error from remote server: 452 4.2.2 mailbox is over quota

    ------ This is a copy of the message, including all the headers. ------

    Message-ID: <{did}@letter.example.net>
    Subject: May
"""

# --- what is no bounce ---------------------------------------------------------------------------------------------------

OUT_OF_OFFICE = """
    Return-Path: <>
    From: Reader <reader@example.org>
    To: bounce+{did}@letter.example.net
    Subject: Automatic reply: May
    Auto-Submitted: auto-replied (vacation)
    X-Auto-Response-Suppress: All
    In-Reply-To: <{did}@letter.example.net>

    I am away until the tenth. Mail could not be delivered to me in person.
"""
VACATION_WITHOUT_A_WORD = """
    Return-Path: <>
    From: Reader <reader@example.org>
    To: bounce+{did}@letter.example.net
    Subject: Re: May
    In-Reply-To: <{did}@letter.example.net>

    Back on Monday!
"""
A_LETTER = """
    Return-Path: <reader@example.org>
    From: Reader <reader@example.org>
    To: letter@letter.example.net
    Subject: Delivery failed last month?
    In-Reply-To: <{did}@letter.example.net>

    I believe my copy was not delivered. User unknown, it said.
"""
READ_RECEIPT = """
    From: Reader <reader@example.org>
    To: bounce+{did}@letter.example.net
    Subject: Read: May
    Content-Type: multipart/report; report-type=disposition-notification; boundary="m"

    --m
    Content-Type: text/plain

    Your message was read.

    --m
    Content-Type: message/disposition-notification

    Original-Message-ID: <{did}@letter.example.net>
    Disposition: manual-action/MDN-sent-manually; displayed

    --m--
"""
