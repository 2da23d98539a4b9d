"""Every composed message keeps every rule; and for every rule there is a message that breaks it and is caught."""

from __future__ import annotations

import quopri
import random
import re

import pytest

from digest.compose import CompiledIssue, compile_issue, make_edition, make_message, sample
from digest.model import Selection
from tests.support.compose import INTERESTS, TEMPLATES, envelope, ids, random_selection, reader, summaries
from tests.support.email_rules import check_message, contrast

BASE = "https://digest.example.org"
ADDRESS = sample.LOOK.postal_address


@pytest.fixture(scope="module")
def plain() -> CompiledIssue:
    """An issue as editors write them: no title pretends to be template code."""
    interests = [
        interest.model_copy(update={"label": label})
        for interest, label in zip(INTERESTS, ("Gut & diet", "Treatments", "علامات", "Living"), strict=True)
    ]
    pieces = [
        summary.model_copy(update={"title": f"{title} {n}", "takeaway": takeaway, "url": f"https://example.org/{n}?a=1&b=2"})
        for n, (summary, title, takeaway) in enumerate(
            zip(
                summaries(),
                (
                    "Walking & resting",
                    'The "gut" study',
                    "A look at sleep",
                    "دراسة جديدة",
                    "Vitamin D",
                    "Very long " * 20,
                    "Heat",
                    "PML",
                    "MOGAD",
                    "Naïve cells",
                ),
                ("It helped.", "", "Nobody knows why, and nobody has asked so far. " * 6, "دراسة", *["Found so."] * 6),
                strict=True,
            )
        )
    ]
    pieces = [
        piece.model_copy(
            update={"notice": None if piece.notice is None else piece.notice.model_copy(update={"text": "A figure was wrong."})}
        )
        for piece in pieces
    ]
    pieces[1] = pieces[1].model_copy(update={"image": sample.summaries()[0].image})
    return compile_issue(TEMPLATES, sample.LOOK, sample.SLOT, pieces, interests)


def broken(raw: bytes) -> list[str]:
    return check_message(raw, base_url=BASE, postal_address=ADDRESS)


def test_every_message_keeps_every_rule(plain):
    source = random.Random(11)
    for name in ("", "Ana", "Zoë Ångström", "سارة", 'Lee, "Ana" <x>', "Ana " * 30) * 8:
        edition = make_edition(plain, random_selection(source))
        assert broken(make_message(edition, reader(name), envelope(sample.LOOK))) == []


@pytest.mark.parametrize(
    "selection",
    [Selection(notices=(ids()[3],)), Selection(highlights=tuple(ids()[:2])), Selection(highlights=(ids()[1],), left_out=(ids()[2],))],
    ids=["only a notice", "only picks", "one pick and what did not fit"],
)
def test_unusual_selections_keep_them_too(plain, selection):
    assert broken(make_message(make_edition(plain, selection), reader(), envelope(sample.LOOK))) == []


@pytest.fixture(scope="module")
def good(plain) -> bytes:
    source = random.Random(1)
    selection = next(
        found for found in iter(lambda: random_selection(source), None) if len(found.teasers) > 3 and ids()[1] in found.teasers
    )
    return make_message(make_edition(plain, selection), reader(), envelope(sample.LOOK))


def test_the_control_itself_is_good(good):
    assert broken(good) == []


def in_part(raw: bytes, number: int, old: str, new: str, count: int = 1) -> bytes:
    """The message with ``old`` replaced in the decoded text (0) or HTML (1); ``old`` may be a pattern."""
    pieces = re.split(rb"(\r\n--=_\w+(?:--)?\r\n)", raw)
    head, _, body = pieces[2 + 2 * number].partition(b"\r\n\r\n")
    decoded = quopri.decodestring(body).decode()
    changed = re.sub(old, new, decoded, count=count, flags=re.S)
    assert changed != decoded
    pieces[2 + 2 * number] = head + b"\r\n\r\n" + quopri.encodestring(changed.replace("\r\n", "\n").encode()).replace(b"\n", b"\r\n")
    return b"".join(pieces)


def header(raw: bytes, old: str, new: str) -> bytes:
    """The message with a header line (all its lines) replaced."""
    changed = re.sub(rb"(?m)^" + old.encode() + rb":.*\r\n(?:[ \t].*\r\n)*", lambda _: new.encode(), raw, count=1)
    assert changed != raw
    return changed


HEADERS = {
    "1: From is not one": ("From", "From: a@example.org, b@example.org\r\n"),
    "1: From is at a free": ("From", "From: Me <me@gmail.com>\r\n"),
    "2: To": ("To", "To: a@example.org, b@example.org\r\n"),
    "2: there is a Cc": ("To", "To: a@example.org\r\nCc: b@example.org\r\n"),
    "3": ("Reply-To", "Reply-To: no-reply@example.org\r\n"),
    "4: the subject is empty": ("Subject", "Subject: Re: your answer of today\r\n"),
    "4: template": ("Subject", "Subject: Hello {{ name }}, news of May\r\n"),
    "4: the subject has": ("Subject", "Subject: News\r\n"),
    "5: Date": ("Date", "Date: 2026-05-01\r\n"),
    "5: Message-ID": ("Message-ID", "Message-ID: abc\r\n"),
    "5: the recipient": ("Message-ID", "Message-ID: <ana@example.org>\r\n"),
    "6: List-Unsubscribe does": ("List-Unsubscribe", "List-Unsubscribe: =?utf-8?q?=3Chttps=3A//x=3E?=\r\n"),
    "6: List-Unsubscribe has": ("List-Unsubscribe", "List-Unsubscribe: <https://digest.example.org/u/a>\r\n"),
    "6: List-Unsubscribe-Post": ("List-Unsubscribe-Post", "List-Unsubscribe-Post: One-Click\r\n"),
    "7": ("List-Id", "List-Id: <nodots>\r\n"),
    "8": ("Precedence", "Precedence: list\r\n"),
    "10: Date stands 2": ("Date", "Date: Fri, 01 May 2026 09:00:00 +0100\r\nDate: Fri, 01 May 2026 09:00:00 +0100\r\n"),
    "10: a header line": ("Subject", "Subject: " + "word " * 30 + "\r\n"),
    "10: a control": ("Subject", "Subject: News of May\x07 and June\r\n"),
    "10: a line has": ("Subject", "Subject: " + "w" * 1000 + "\r\n"),
    "11: not multipart": ("Content-Type", "Content-Type: text/plain\r\n"),
    "11: a bare": ("Subject", "Subject: News of May\nand of June\r\n"),
}


@pytest.mark.parametrize("rule", HEADERS)
def test_a_bad_header_is_caught(good, rule):
    assert any(found.startswith(rule) for found in broken(header(good, *HEADERS[rule])))


A = '<a href="https://digest.example.org/x" style="display:inline-block;padding:10px 0;line-height:24px;text-decoration:underline">'
HTML = {
    "12: the HTML": ("</body>", "<p>" + "word " * 25000 + "</p></body>"),
    "12: a <style>": ("</head>", "<style>" + ".a{color:red}" * 1500 + "</style></head>"),
    "13: <!DOCTYPE": ("<!DOCTYPE html>", ""),
    "13: lang and dir on <html>": ('<html lang="en"', "<html"),
    "13: lang and dir on the body": ('role="article" lang="en"', 'role="article"'),
    "13: a <title>": ("<title>.*?</title>", "<title></title>"),
    "13: a viewport": ("initial-scale=1", "user-scalable=no"),
    "13: color-scheme": ('name="color-scheme"', 'name="x"'),
    "14: the first": ("display:none", "display:block"),
    "14: the preheader has": ('(overflow:hidden;">).*?</div>', r"\1Short</div>"),
    "14: the preheader repeats": ('(overflow:hidden;">).*?</div>', r"\1SUBJECT</div>"),
    "15: not exactly": ("<h1", "<h1>x</h1><h1"),
    "15: a heading": ("<h2(.*?)</h2>", r"<h4\1</h4>"),
    "15: a layout": ('role="presentation"(?=[^>]*style="[^"]*background)', ""),
    "16": (' alt="[^"]*"', ""),
    "17: a link that": ('href="https://example.org/', 'href="http://example.org/'),
    "17: an address": ('href="https://example.org/', 'href="https://example.org/ana@example.org/'),
    "17: the link text": ("</body>", A + "Read more</a></body>"),
    "17: a link is not": ("text-decoration:underline", "text-decoration:none"),
    "18: contrast": ("color:#1b2a30", "color:#999999"),
    '18: "': ("font-size:18px", "font-size:12px"),
    "19": ("line-height:24px", "line-height:2px"),
    "20: the unsubscribe": ('href="https://digest.example.org/u/', 'href="https://digest.example.org/v/'),
    "20: the preferences": ('href="https://digest.example.org/p/', 'href="https://digest.example.net/p/'),
    "20: the postal": ("Sample House", "House"),
    "20: why": ("You get this email because", "Because"),
    '22: "{{': ("</body>", "<p>Hello {{ name }}</p></body>"),
    '22: "None': ("</body>", "<p>None</p></body>"),
    "22: a <script>": ("</body>", "<script>x</script></body>"),
    "22: external": ("</head>", "<style>@import 'x';</style></head>"),
    "22: a tracking": ("</body>", '<img alt="" width="1" src="https://x.org/p.gif"></body>'),
}


@pytest.mark.parametrize("rule", HTML)
def test_bad_html_is_caught(good, rule, plain):
    old, new = HTML[rule]
    raw = good
    if "SUBJECT" in new:
        raw, new = (
            header(good, "Subject", "Subject: News about walking and resting, May 2026\r\n"),
            new.replace("SUBJECT", "News about walking and resting, May 2026, once more"),
        )
    assert any(found.startswith(rule) for found in broken(in_part(raw, 1, old, new, 0 if rule in EVERYWHERE else 1)))


EVERYWHERE = {'18: "', "21: the heading", "20: the preferences"}  # rules that one change in one place does not break
TEXT = {
    "20: the postal": ("Sample House", "House"),
    "20: the unsubscribe": ("https://digest.example.org/u/", "https://digest.example.org/v/"),
    "21: https": ("\nhttps://example.org", "\nSee https://example.org"),
    "21: the heading": ("Sample Digest", "Digest"),
    "21: a line": ("People|Found|You get this email because", "word " * 20),
    "21: markup": ("Questions", "<p>Questions</p>"),
    "21: invisible": ("Questions", "Ques\u200btions"),
    "22": ("Questions", "@@NAME@@"),
}


@pytest.mark.parametrize("rule", TEXT)
def test_bad_text_is_caught(good, rule):
    assert any(found.startswith(rule) for found in broken(in_part(good, 0, *TEXT[rule], 0 if rule in EVERYWHERE else 1)))


def test_letters_outside_ascii_may_stand_in_the_readers_address_alone(plain):
    edition = make_edition(plain, random_selection(random.Random(3)))
    wide = make_message(edition, reader("Anä", "anä@example.org"), envelope(sample.LOOK))
    assert broken(wide) == []
    assert any(line.startswith("10: a control") for line in broken(wide.replace(b"bulk", "bülk".encode())))
    assert any(line.startswith("10: a control") for line in broken(wide.replace("anä@".encode(), b"an\x85@")))


def test_an_encoded_line_over_76_and_an_attachment_are_caught(good):
    long = good.replace(b"Sample House", b"Sample House" + b"x" * 70, 1)
    assert any(found.startswith("11: an attachment") for found in broken(long))
    attached = good.replace(b"Content-Type: text/html;", b"Content-Disposition: attachment\r\nContent-Type: text/html;", 1)
    assert any(found.startswith("11: an attachment") for found in broken(attached))
    swapped = good.replace(b"text/html; charset", b"text/calendar; charset", 1)
    assert any(found.startswith("11: not text/plain") for found in broken(swapped))
    other = good.replace(b"charset=utf-8", b"charset=latin-1", 1)
    assert any(found.startswith("11: a part is not utf-8") for found in broken(other))


@pytest.mark.parametrize(("one", "other", "ratio"), [("#000", "#fff", 21.0), ("#777777", "#ffffff", 4.48), ("#fff", "#fff", 1.0)])
def test_contrast_is_that_of_wcag(one, other, ratio):
    assert contrast(one, other) == pytest.approx(ratio, abs=0.01)
