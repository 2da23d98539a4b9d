import pytest

from digest.addresses import masked, parse

SPELLINGS = [
    "ana.b@example.org",
    " ana.b@example.org ",
    "ANA.B@example.org",
    "Ana.B@EXAMPLE.ORG",
    "ana.b@Example.Org",
    "<ana.b@example.org>",
    "Ana B <ana.b@example.org>",
    '"B, Ana" <ana.b@example.org>',
    "mailto:ana.b@example.org",
    "MAILTO:ana.b@example.org",
    "ana.b@example.org.",
    "ana.b@example.org,",
    "ana.b@example.org;",
    "'ana.b@example.org'",
    "\ufeffana.b@example.org",
    "ana.b@example.org\u200b",
    "\u202aana.b@example.org\u202c",
    "ana.b＠example.org",
    "ａｎａ.b@example.org",
    "\tana.b@example.org\r\n",
]


def test_twenty_spellings_are_one_address():
    assert len(SPELLINGS) == 20
    assert {parse(spelling).key for spelling in SPELLINGS} == {"ana.b@example.org"}


def test_an_international_domain_is_one_address_in_both_forms():
    one, other = parse("reader@bücher.test"), parse("reader@xn--bcher-kva.test")
    assert one.key == other.key
    assert one.deliverable == "reader@xn--bcher-kva.test"


def test_a_plus_tag_is_another_mailbox():
    assert parse("ana+ms@example.org").key != parse("ana@example.org").key


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "ana",
        "ana@",
        "@example.org",
        "a b@example.org",
        "a@b@example.org",
        "a@example.org,b@example.org",
        "ana@example",
        "ana@exa mple.org",
    ],
)
def test_what_is_no_address_is_refused_without_being_repeated(bad):
    with pytest.raises(ValueError) as told:
        parse(bad)
    assert not bad or bad not in str(told.value)


def test_masked_leaves_one_letter():
    assert masked("ana.b@example.org") == "a…@example.org"
