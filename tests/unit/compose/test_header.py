"""Header fields: nothing in a name, title or address makes another field or a bad line."""

import re
from email import message_from_bytes, message_from_string, policy
from email.header import decode_header, make_header

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from digest.compose import header
from digest.compose.clean import clean_header
from digest.errors import DeliveryRejected

NASTY = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from('\r\n\x00\x0b\x1c\x85\u2028\u2029\u202e\u00a0=?_"\\<>,;:@()[] 🧑\u200d🔬سé'),
    ),
    max_size=200,
)
ATTACK = "=?utf-8?q?a=0AReply-To=3A_evil=40x.test?="


def parsed(field: str):
    raw = field.encode("ascii")
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|[^\x20-\x7e\r\n]", raw)
    assert raw.endswith(b"\r\n") and not re.search(rb"\r\n[ \t]*\r\n", raw)
    return message_from_bytes(raw + b"\r\nbody", policy=policy.compat32)


def decoded(value: str) -> str:
    return str(make_header(decode_header(re.sub(r"\r?\n(?=[ \t])", "", value)))).strip()


@given(NASTY)
@example(ATTACK)
@example("a" * 300)
@example("é" * 300)
def test_any_subject_is_one_field_and_reads_the_same(text):
    message = parsed(header.text_field("Subject", text))
    assert message.keys() == ["Subject"]
    assert decoded(message["Subject"]) == clean_header(text).strip()


@given(NASTY)
@example(ATTACK)
@example('Ana "the boss" <evil@x.test>, other@x.test')
@example("\\")
def test_any_name_is_one_field_with_one_recipient(name):
    to = header.address_of(name, "ana@example.org")
    message = parsed(header.mailbox_field("To", to))
    assert message.keys() == ["To"]
    modern = message_from_bytes(header.mailbox_field("To", to).encode() + b"\r\n", policy=policy.default)
    assert [address.addr_spec for address in modern["To"].addresses] == ["ana@example.org"]


@given(NASTY)
def test_encoded_words_are_short(text):
    for word in re.findall(r"=\?.*?\?=", header.text_field("Subject", text)):
        assert len(word) <= 75


def test_ascii_names_are_quoted_only_where_needed():
    assert header.mailbox_field("To", header.address_of("Ana Lee", "a@b.org")) == "To: Ana Lee <a@b.org>\r\n"
    assert header.mailbox_field("To", header.address_of("Lee, Ana", "a@b.org")) == 'To: "Lee, Ana" <a@b.org>\r\n'
    assert header.mailbox_field("To", header.address_of("", "a@b.org")) == "To: a@b.org\r\n"


def test_a_long_subject_is_folded_at_78():
    lines = header.text_field("Subject", "word " * 40).split("\r\n")
    assert max(map(len, lines)) <= 78 and len(lines) > 2


def test_a_domain_in_another_script_travels_as_punycode():
    assert header.address_of("", "ana@bücher.example").email == "ana@xn--bcher-kva.example"


@pytest.mark.parametrize(
    "email",
    [
        "anä@example.org",
        '"a b"@example.org',
        "a@b",
        "nobody",
        "a@b@c.org",
        "a@exa mple.org",
        "a\n@b.org",
        "@b.org",
        "a@-b.org",
        "a..b@c.org",
    ],
)
def test_addresses_that_plain_smtp_cannot_carry_are_refused_without_being_repeated(email):
    with pytest.raises(DeliveryRejected) as caught:
        header.address_of("", email)
    assert email not in str(caught.value)


def test_smtputf8_is_named():
    with pytest.raises(DeliveryRejected, match="SMTPUTF8"):
        header.address_of("", "anä@example.org")


@pytest.mark.parametrize("email", ["anä@example.org", "用户@example.org", "ανα.τεστ+x@example.org", "نور@example.org", "a😀@example.org"])
def test_an_address_with_other_letters_stands_in_its_field_as_it_is(email):
    to = header.address_of("Ana <é>", email, utf8=True)
    assert to.needs_utf8 and to.email == email
    field = header.mailbox_field("To", to)
    assert field.encode().count(email.encode()) == 1 and field.replace(email, "").isascii()
    modern = message_from_string(field + "\r\n", policy=policy.default)
    assert [address.addr_spec for address in modern["To"].addresses] == [email]


def test_its_domain_is_written_in_ascii_all_the_same():
    assert header.address_of("", "anä@bücher.example", utf8=True).email == "anä@xn--bcher-kva.example"
    assert not header.address_of("", "ana@bücher.example", utf8=True).needs_utf8


@pytest.mark.parametrize(
    "local",
    ["an\u00a0a", "an\u202ea", "a\u200db", "a\u2028b", "a\x85b", "é b", "é,b", "é>b", '"é"', "e\u0301x", "é" * 33, "é..b", ".é", "\ud800"],
)
def test_what_is_invisible_or_of_two_spellings_is_in_no_address(local):
    with pytest.raises(DeliveryRejected) as caught:
        header.address_of("", f"{local}@example.org", utf8=True)
    assert local not in str(caught.value)


@given(st.text(max_size=70), st.text(max_size=30))
@example("é", 'x" <evil@x.test>,')
def test_any_address_is_refused_or_is_the_one_recipient_of_one_field(local, name):
    try:
        to = header.address_of(name, f"{local}@example.org", utf8=True)
    except DeliveryRejected:
        return
    field = header.mailbox_field("To", to)
    modern = message_from_string(field + "\r\n", policy=policy.default)
    assert modern.keys() == ["To"] and [address.addr_spec for address in modern["To"].addresses] == [f"{local}@example.org"]
    assert all(len(line) <= 998 for line in field.encode().split(b"\r\n"))


def test_unsubscribe_is_never_encoded_and_folds_between_addresses_only():
    url = "https://news.example.org/u/" + "a" * 120
    field = header.unsubscribe_fields(url, "mailto:unsub@news.example.org?subject=abc")
    assert field == (
        f"List-Unsubscribe: <{url}>,\r\n <mailto:unsub@news.example.org?subject=abc>\r\n"
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    )


@pytest.mark.parametrize(
    "url", ["http://x.org/u", "https://x.org/u\r\nBcc: a@b.org", "https://x.org/a b", "https://x.org/a@b", "https://x.org/>,<b"]
)
def test_malformed_unsubscribe_links_are_refused(url):
    with pytest.raises(ValueError):
        header.unsubscribe_fields(url, "")


def test_list_id_reads_well_and_stays_one_field():
    assert header.list_id_field("MS Digest", "monthly.example.org") == "List-Id: MS Digest <monthly.example.org>\r\n"
    assert parsed(header.list_id_field(ATTACK, "monthly.example.org")).keys() == ["List-Id"]


@pytest.mark.parametrize(
    "bad", ["2026-05-01", "Fri, 01 May 2026 09:00:00", "Fri, 01 May 2026 09:00:00 +0100\r\nX: y", "Fre, 01 Mai 2026 09:00:00 +0100"]
)
def test_dates_in_other_forms_are_refused(bad):
    with pytest.raises(ValueError):
        header.date_field(bad)


@pytest.mark.parametrize("bad", ["a@b.org", "<a@b.org", "<a b@c.org>", "<a@b.org>\r\nX: y", ""])
def test_message_ids_in_other_forms_are_refused(bad):
    with pytest.raises(ValueError):
        header.message_id_field(bad)
