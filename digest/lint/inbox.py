"""Rules about what stands around the letter: subject, preheader, headers, footer, the text beside the HTML."""

from __future__ import annotations

import html as entities
import re
from collections.abc import Iterator

import regex

from digest.lint.letter import Letter
from digest.lint.rule import Found, Level, rule

_PHRASES = "templates/phrases.txt.j2"
_FOOTER = "templates/parts/footer.mjml.j2"


def _length(text: str) -> int:
    return len(regex.findall(r"\X", text))


@rule(
    "subject-missing",
    Level.ERROR,
    reason="A letter without a subject looks like a mistake or an attack, and is opened by nobody.",
    source="RFC 5322, 3.6.5; SpamAssassin, MISSING_SUBJECT",
    example="Subject:",
    file=_PHRASES,
)
def subject_missing(letter: Letter) -> Iterator[Found]:
    if not letter.subject.strip():
        yield Found("the subject is empty; look at subject in templates/phrases.txt.j2")


@rule(
    "subject-length",
    Level.WARNING,
    reason="Phones show 35 to 40 characters, most programs 60; what is cut off might be what matters.",
    source="EMAIL checklist 4",
    example="Subject: News",
    file=_PHRASES,
)
def subject_length(letter: Letter) -> Iterator[Found]:
    length = _length(letter.subject)
    if letter.subject.strip() and not 15 <= length <= 78:
        yield Found(f"the subject has {length} characters; 35 to 60 read best", letter.subject[:80])


@rule(
    "subject-shape",
    Level.WARNING,
    reason="A feigned answer, capitals or rows of exclamation marks are what filters and readers know spam by.",
    source="CAN-SPAM, 16 CFR 316 (subjects must not mislead); SpamAssassin, SUBJ_ALL_CAPS",
    example="Subject: Re: NEW RESEARCH!!!",
    file=_PHRASES,
)
def subject_shape(letter: Letter) -> Iterator[Found]:
    subject = letter.subject.strip()
    if re.match(r"(?:re|fwd?|aw|wg|antw|sv|tr)\s*:", subject, re.I):
        yield Found("the subject pretends to be an answer", subject[:80])
    if subject.isupper() and len(subject) > 15:
        yield Found("the subject is all in capitals", subject[:80])
    if re.search(r"[!?]{2,}|[$€£]{2,}", subject):
        yield Found("the subject shouts", subject[:80])


@rule(
    "preheader-length",
    Level.WARNING,
    reason="Inboxes show 40 to 130 characters after the subject; where there are fewer, they go on with the letter's first words.",
    source="EMAIL section 5",
    example="no hidden line at the top, or one of three words",
    file=_PHRASES,
)
def preheader_length(letter: Letter) -> Iterator[Found]:
    length = _length(letter.preheader)
    if not 40 <= length <= 130:
        yield Found(f"the preheader has {length} characters; 40 to 130 are shown", letter.preheader[:80])


@rule(
    "preheader-repeats",
    Level.WARNING,
    reason="The line after the subject is read aloud with it; saying the same twice wastes it.",
    source="EMAIL checklist 14",
    example="Subject and preheader: MS Digest, May: Three months of training",
    file=_PHRASES,
)
def preheader_repeats(letter: Letter) -> Iterator[Found]:
    subject, line = (" ".join(re.findall(r"\w+", text.lower())) for text in (letter.subject, letter.preheader))
    if subject and line and (line.startswith(subject) or subject.startswith(line)):
        yield Found("the preheader repeats the subject", letter.preheader[:80])


@rule(
    "unsubscribe-headers",
    Level.ERROR,
    reason="Gmail and Yahoo ask for the pair and put a button beside the sender; without it readers press Spam.",
    source="RFC 8058, 3.1; RFC 2369; support.google.com/a/answer/81126",
    example="List-Unsubscribe: <mailto:leave@example.org>",
    file="config.yaml",
)
def unsubscribe_headers(letter: Letter) -> Iterator[Found]:
    field = letter.header("List-Unsubscribe")
    addresses = re.findall(r"<([^<>\s]+)>", field)
    if sum(address.startswith("https://") for address in addresses) != 1:
        yield Found("List-Unsubscribe does not hold exactly one https address", field[:80])
    if letter.header("List-Unsubscribe-Post") != "List-Unsubscribe=One-Click":
        yield Found("List-Unsubscribe-Post is not List-Unsubscribe=One-Click", letter.header("List-Unsubscribe-Post")[:80])


_ONCE = ("From", "To", "Reply-To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "MIME-Version")


@rule(
    "headers-whole",
    Level.ERROR,
    reason="A field that is missing or stands twice makes servers refuse the letter or count it as forged.",
    source="RFC 5322, 3.6; RFC 2919; Gmail's requirements for bulk senders",
    example="two From fields, or no List-Id",
    file="config.yaml",
)
def headers_whole(letter: Letter) -> Iterator[Found]:
    for name in _ONCE:
        if (count := len(letter.headers(name))) != 1:
            yield Found(f"the header {name} stands {count} times; it takes one")
    for line in letter.message.splitlines():
        if len(line) > 998:
            yield Found("a line has more than 998 characters, which servers may cut")
            break


@rule(
    "sender-answers",
    Level.WARNING,
    reason="Readers answer newsletters, also to leave them; a mailbox that nobody reads makes complaints.",
    source="EMAIL checklist 1 and 3; Gmail refuses free-mail senders by DMARC",
    example="Reply-To: no-reply@example.org",
    file="config.yaml",
)
def sender_answers(letter: Letter) -> Iterator[Found]:
    for name in ("From", "Reply-To"):
        if re.search(r"no-?_?reply|do-?not-?reply", letter.header(name), re.I):
            yield Found(f"{name} is an address that nobody reads", letter.header(name)[:80])
    if found := re.search(r"@(gmail|googlemail|yahoo|aol|outlook|hotmail|live|gmx|web|icloud)\.[a-z.]+>?\s*$", letter.header("From"), re.I):
        yield Found(f"From is at a free-mail provider ({found.group(1)}), whose rules make others refuse it")


@rule(
    "footer-unsubscribe",
    Level.ERROR,
    reason="The law asks for a way out that can be seen in the letter, and one that works by a single click.",
    source="CAN-SPAM, 16 CFR 316.5; GDPR article 7(3); Gmail's requirements for bulk senders",
    example="a letter whose HTML or text lacks the unsubscribe link",
    file=_FOOTER,
)
def footer_unsubscribe(letter: Letter) -> Iterator[Found]:
    address = next((one for one in re.findall(r"<([^<>\s]+)>", letter.header("List-Unsubscribe")) if one.startswith("https://")), "")
    if not address:
        return  # unsubscribe-headers says so
    if address not in [link.href for link in letter.links if link.words]:
        yield Found("the HTML has no link to unsubscribe")
    if address not in letter.text:
        yield Found("the text has no link to unsubscribe")


@rule(
    "footer-address",
    Level.ERROR,
    reason="The law asks for the sender's postal address in every letter.",
    source="CAN-SPAM, 16 CFR 316.2(p) and 316.5; CASL, SOR/2012-36",
    example="a letter without newsletter.postal_address",
    file=_FOOTER,
)
def footer_address(letter: Letter) -> Iterator[Found]:
    wanted = _words(letter.postal_address)
    if not wanted:
        yield Found("newsletter.postal_address is empty")
        return
    for name, text in (("HTML", letter.live_text), ("text", letter.text)):
        if wanted not in _words(text):
            yield Found(f"the {name} does not show newsletter.postal_address")


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


@rule(
    "text-whole",
    Level.ERROR,
    reason="Watches, screen readers and people who asked for plain text get the text part; filters mistrust its absence.",
    source="RFC 2046, 5.1.4; SpamAssassin, MIME_HTML_ONLY",
    example="a message of HTML alone",
    file="templates/digest.txt.j2",
)
def text_whole(letter: Letter) -> Iterator[Found]:
    if len(letter.text.split()) < 20:
        yield Found(f"the text part has {len(letter.text.split())} words")


@rule(
    "text-links",
    Level.WARNING,
    reason="Whoever reads the text must be able to go wherever the HTML leads.",
    source="EMAIL section 8; SpamAssassin, MPART_ALT_DIFF",
    example="a link in the HTML whose address the text lacks",
    file="templates/digest.txt.j2",
)
def text_links(letter: Letter) -> Iterator[Found]:
    for link in letter.links:
        if link.href.startswith(("http:", "https:")) and link.href not in letter.text:
            yield Found(f'the text lacks the address of "{link.words[:60]}"', link.href[:80])


@rule(
    "text-markup",
    Level.WARNING,
    reason="In plain text, tags and entities are read out letter by letter.",
    source="EMAIL checklist 21",
    example="Fish &amp; chips <br>",
    file="templates/digest.txt.j2",
)
def text_markup(letter: Letter) -> Iterator[Found]:
    found = re.search(
        r"</?(?:p|br|div|span|a|td|tr|table|strong|em|b|i|h[1-6])\b[^>]{0,80}>|&(?:amp|lt|gt|nbsp|quot|#\d+|#x[0-9a-f]+);", letter.text
    )
    if found and not any(found.group() in said for said in letter.outside):
        yield Found("the text part holds HTML", found.group()[:80])


_REMAINS = re.compile(
    r"\{\{|\}\}|\{%|%\}|\{#|#\}|@@[A-Z_]+@@|<mj-|\\u\{[0-9a-f]+\}|<!--/?digest|\bundefined\b"
    r"|%recipient[.%]|%%[a-z_]+%%|\*\|[A-Z_:]+\|\*|\[\[[a-z_. ]+\]\]"  # the slots of other programs
)


@rule(
    "remains",
    Level.ERROR,
    reason="A slot that nobody filled shows readers the machine, or sends them to no page at all.",
    source="EMAIL checklist 22",
    example="Hello {{ name }},",
)
def remains(letter: Letter) -> Iterator[Found]:
    shown = [letter.subject, letter.preheader, letter.text, letter.live_text]
    values = [value for element in letter.tree.iter() if isinstance(element.tag, str) for value in element.values()]
    said = " ".join(letter.outside)
    for place, texts in (("", shown), ("an attribute", values)):
        for text in texts:
            for found in _REMAINS.finditer(text):
                if found.group() in said or (found.group() == "undefined" and place == ""):
                    continue  # a summary's own words
                around = text[max(0, found.start() - 20) : found.end() + 20]
                yield Found(f"{found.group()} was left unfilled{' in ' + place if place else ''}", " ".join(around.split())[:60])
    for one in letter.shown("bare"):
        if one.words in ("None", "nan", "NaN", "undefined", "[object Object]") and one.words not in said:
            yield Found(f"a field is empty and shows as {one.words}", one.words)


@rule(
    "placeholder",
    Level.WARNING,
    reason="Words that were meant to be replaced before sending.",
    source="house rule",
    example="Lorem ipsum dolor sit amet",
)
def placeholder(letter: Letter) -> Iterator[Found]:
    for text in (letter.subject, letter.preheader, letter.live_text):
        for found in re.finditer(r"lorem ipsum|\bTODO\b|\bFIXME\b|\bXXX+\b|\[(?:insert|your|name|title)[^\]]{0,40}\]", text, re.I):
            yield Found("words that were meant to be replaced", entities.unescape(found.group())[:60])


RULES = (
    subject_missing, subject_length, subject_shape, preheader_length, preheader_repeats, unsubscribe_headers, headers_whole, sender_answers,
    footer_unsubscribe, footer_address, text_whole, text_links, text_markup, remains, placeholder,
)  # fmt: skip
