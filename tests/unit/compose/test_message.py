"""One message: the same bytes each time, exactly the headers meant, bodies that decode to what was joined."""

from dataclasses import replace
from email import message_from_bytes, policy

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from digest.compose import message
from digest.compose.clean import clean_header
from digest.compose.edition import Edition
from digest.compose.message import Envelope, Reader, html_of, make_message, text_of
from digest.compose.parts import Body, Part, Piece, Run, Slot, join
from digest.compose.phrases import Phrases
from digest.errors import DeliveryRejected, RenderError

GREETINGS = Phrases({"greeting": (Part(("Hello ", "NAME", ",")),), "greeting_plain": (Part(("Hello,",)),)})
TEXT = Part(("Letter\n\n", "GREETING", "\nnews é\n", "UNSUBSCRIBE", "\n", "PREFERENCES", "\n", "WEB", "\n"))
HTML = Part(("<p>", "GREETING", '</p><a href="', "UNSUBSCRIBE", '">x</a>', "PREFERENCES", " ", "WEB", "</html>"))
EDITION = Edition("Letter, May: news…", "News.", join([(HTML, {})]), join([(TEXT, {})]), {}, 1, "Letter", GREETINGS)
READER = Reader(
    "ana@example.org",
    "Ana",
    "https://x.example/u/1?a=1&b=2",
    "https://x.example/p/1",
    "https://x.example/w/1",
    "mailto:u@x.example?subject=1",
)
ENVELOPE = Envelope(
    "<1@x.example>", "Fri, 01 May 2026 09:00:00 +0100", "Letter <l@x.example>", "e@x.example", "monthly.x.example", "a:b:c:letter"
)


def bodies(raw: bytes) -> list[str]:
    parsed = message_from_bytes(raw, policy=policy.compat32)
    return [part.get_payload(decode=True).decode() for part in parsed.get_payload()]


def test_both_parts_decode_to_what_was_joined():
    raw = make_message(EDITION, READER, ENVELOPE)
    assert bodies(raw) == [text_of(EDITION, READER).replace("\n", "\r\n"), html_of(EDITION, READER)]
    assert "b=2" in text_of(EDITION, READER) and "&amp;b=2" in html_of(EDITION, READER)


def test_the_same_arguments_give_the_same_bytes():
    assert make_message(EDITION, READER, ENVELOPE) == make_message(EDITION, READER, ENVELOPE)


def test_no_name_no_comma_after_a_blank():
    assert "Hello,\n" in text_of(EDITION, READER._replace(name=" \u202e\n"))


@given(st.text(st.one_of(st.characters(), st.sampled_from('=?\r\n\x85\u2028<>"@\\,;🧑\u200d')), max_size=120))
@example("=?utf-8?q?a=0AReply-To=3A_evil=40x.test?=")
@example('A <b> & "c" @@WEB@@ {{ x }} --> سؤال')
@example("🧑\u200d🔬" * 200)
def test_any_name_gives_the_headers_that_were_meant(name):
    reader = READER._replace(name=name)
    raw = make_message(EDITION, reader, ENVELOPE)
    parsed = message_from_bytes(raw, policy=policy.compat32)
    assert parsed.keys() == message_from_bytes(make_message(EDITION, READER, ENVELOPE), policy=policy.compat32).keys()
    assert bodies(raw) == [text_of(EDITION, reader).replace("\n", "\r\n"), html_of(EDITION, reader)]
    assert raw.isascii() and max(map(len, raw.split(b"\r\n"))) <= 998 and b"\n" not in raw.replace(b"\r\n", b"")


LETTERS = st.from_regex(r"[^\W_]{1,30}([ '-][^\W_]{1,12}){0,2}", fullmatch=True)
HOSTS = st.sampled_from(["x.example", "a-quite-long-name-of-some-newsletter.research.example.org", "h" * 60 + ".example.org"])
READERS = st.builds(
    lambda name, local, host, token, mailto: Reader(
        f"{local}@{host}",
        name,
        f"https://{host}/u/{token}",
        f"https://{host}/p/{token}x",
        f"https://{host}/w/{token}",
        f"mailto:u@{host}?subject={token}" if mailto else "",
    ),
    st.one_of(st.just(""), LETTERS, st.text(max_size=70), st.from_regex(r"[A-Za-z '.-]{1,75}", fullmatch=True)),
    st.from_regex(r"[A-Za-z0-9._+'-]{1,66}", fullmatch=True),
    HOSTS,
    st.from_regex(r"[A-Za-z0-9_-]{1,80}|[A-Za-z0-9_.=&-]{1,80}", fullmatch=True),
    st.booleans(),
)
GREETS = st.sampled_from([("Hello ", "NAME", ","), ("", "NAME", " &"), ("Fr", "NAME", ""), ("Grüß dich, <", "NAME", ">\n"), ("Hello,",)])


@given(READERS, GREETS, st.booleans(), st.sampled_from(["<1@x.example>", f"<{'1' * 32}@{'h' * 40}.example>"]))
@example(READER._replace(name="From Ünal"), ("Hello ", "NAME", ","), False, "<1@x.example>")
def test_the_short_way_gives_the_bytes_of_the_long_way(reader, greets, plain, message_id):
    edition = replace(EDITION, greetings=Phrases({**GREETINGS.words, "greeting": (Part(greets),)}), plain_text=plain)
    envelope = ENVELOPE._replace(message_id=message_id)
    try:
        long = message._make_any(edition, reader, envelope)
    except (DeliveryRejected, ValueError) as error:
        with pytest.raises(type(error)):
            make_message(edition, reader, envelope)
        return
    # The first message of an edition is put together otherwise than those after it.
    assert [make_message(edition, reader, envelope) for _ in range(3)] == [long] * 3


def test_one_character_before_the_name_is_not_taken_for_a_place():
    """Python has each byte but once, and a mould knows its places by what they are."""
    body = Body([(Run((Slot("GREETING"), Piece("\n"))), None)])
    greetings = Phrases({**GREETINGS.words, "greeting": (Part(("5", "NAME", "")),)})
    edition = replace(EDITION, text=body, html=body, greetings=greetings)
    reader = READER._replace(unsubscribe_url="https://x.example/u/1")
    assert [make_message(edition, reader, ENVELOPE) for _ in range(3)] == [message._make_any(edition, reader, ENVELOPE)] * 3


@pytest.mark.parametrize("name", ["", "Ana", "Anne-Marie O'Neil", "Jürgen Groß", "Зоя", "李小龍"])
@pytest.mark.parametrize("change", [{}, {"unsubscribe_mailto": ""}, {"web_url": f"https://{'h' * 60}.example.org/w/{'t' * 39}"}])
def test_nearly_every_reader_goes_the_short_way(name, change):
    reader = READER._replace(name=name, unsubscribe_url="https://x.example/u/1", **change)
    assert message.mould.make(EDITION, reader, ENVELOPE, message._fixed_head) == message._make_any(EDITION, reader, ENVELOPE)


@pytest.mark.parametrize(
    "change", [{"name": "Ana, MD"}, {"name": "a" * 51}, {"email": '"a b"@x.example'}, {"web_url": "https://x.example/?a=1"}]
)
def test_what_has_to_be_encoded_does_not(change):
    reader = READER._replace(unsubscribe_url="https://x.example/u/1", **change)
    assert message.mould.make(EDITION, reader, ENVELOPE, message._fixed_head) is None


def test_an_address_with_other_letters_stands_in_to_and_nowhere_else():
    reader = READER._replace(name="Anä", email="anä@bücher.example")
    raw = make_message(EDITION, reader, ENVELOPE)
    head, _, body = raw.partition(b"\r\n\r\n")
    assert "<anä@xn--bcher-kva.example>".encode() in head and body.isascii()
    assert head.replace("anä@".encode(), b"").isascii()
    to = message.header.address_of(reader.name, reader.email, utf8=True)
    message.verify(raw, message.intended(EDITION, ENVELOPE, reader, to))
    assert bodies(raw) == [text_of(EDITION, reader).replace("\n", "\r\n"), html_of(EDITION, reader)]
    for bad in (raw.replace(b"bulk", "bülk".encode()), raw.replace("anä@".encode(), "anö@".encode())):
        with pytest.raises(RenderError):
            message.verify(bad, message.intended(EDITION, ENVELOPE, reader, to))


@given(st.text(max_size=150))
@example("=?utf-8?q?a=0ABcc=3A_evil=40x.test?=")
def test_any_subject_gives_the_headers_that_were_meant(subject):
    assume(clean_header(subject))
    raw = make_message(replace(EDITION, subject=subject), READER, ENVELOPE)
    assert message_from_bytes(raw, policy=policy.compat32).keys().count("Subject") == 1
    assert "Bcc" not in message_from_bytes(raw, policy=policy.default)


def test_an_empty_subject_is_refused():
    with pytest.raises(RenderError, match="subject is empty"):
        make_message(replace(EDITION, subject=" \u202e"), READER, ENVELOPE)


def test_verify_refuses_another_field_a_changed_one_and_raw_bytes():
    raw = make_message(EDITION, READER, ENVELOPE)
    meant = message.intended(EDITION, ENVELOPE, READER, message.header.address_of("Ana", READER.email))
    message.verify(raw, meant)
    for bad in (
        raw.replace(b"Precedence", b"Bcc: x@y.org\r\nPrecedence", 1),
        raw.replace(b"bulk", b"list", 1),
        raw.replace(b"Letter <", b"L\xc3\xa9tter <", 1),
    ):
        with pytest.raises(RenderError):
            message.verify(bad, meant)
    with pytest.raises(DeliveryRejected):
        message.verify(raw.replace(b"To: Ana", b"To: Eve", 1), meant)


def test_a_link_that_is_not_https_or_far_too_long_is_refused():
    for url in ("http://x.example/u", "https://x.example/" + "a" * 600):
        with pytest.raises(ValueError):
            make_message(EDITION, READER._replace(web_url=url), ENVELOPE)


def test_equal_editions_have_equal_hashes_and_others_not():
    assert EDITION.content_hash == replace(EDITION).content_hash != replace(EDITION, subject="Other").content_hash
