"""Replies of SMTP servers: read whatever comes in whatever pieces, and what each means."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from digest.providers.smtp_reply import NO_MAILBOX, REPLY_BYTES, Nonsense, Reply, reference, refusal, take


def reply(text: str) -> Reply:
    found = take(text.encode() + b"\r\n")
    assert found and not found[1]
    return found[0]


def test_a_reply_of_several_lines():
    found = take(b"250-mail.example.org\r\n250-SIZE 1000\r\n250 DSN\r\n354 go")
    assert found == (Reply("250", "", ("mail.example.org", "SIZE 1000", "DSN")), b"354 go")


def test_code_status_and_text():
    one = reply("550-5.1.1 no\r\n550 5.1.1 such user")
    assert (one.code, one.text) == ("550 5.1.1", "no such user")
    assert (reply("250").code, reply("250").text) == ("250", "")
    assert reply("250 2.0.0").status == "2.0.0"
    assert reply("550 1.2.3.4 is blocked").status == ""


@pytest.mark.parametrize(
    "said",
    [
        b"abc\r\n",
        b"2500 x\r\n",
        b"\r\n",
        b"199 x\r\n",
        b"650 x\r\n",
        b"250_x\r\n",
        b"250-a\r\n354 b\r\n",
        b"\xff\xfe\r\n",
        b"+OK\r\n",
        b"250\rx\r\n",
    ],
)
def test_nonsense(said):
    with pytest.raises(Nonsense):
        take(said)


def test_an_answer_without_end():
    with pytest.raises(Nonsense, match="does not end"):
        take(b"2" * REPLY_BYTES)
    with pytest.raises(Nonsense, match="does not end"):
        take(b"250-x\r\n" * 200)


@given(
    st.lists(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r\n"), max_size=30), min_size=1, max_size=8),
    st.integers(0, 400),
    st.booleans(),
)
def test_a_reply_in_pieces_is_the_same(lines, cut, crlf):
    end = b"\r\n" if crlf else b"\n"
    whole = b"".join(b"250" + (b" " if at == len(lines) - 1 else b"-") + line.encode() + end for at, line in enumerate(lines))
    found = take(whole + b"rest")
    assert found and found[0].lines == tuple(lines) and found[1] == b"rest"
    assert take(whole[: min(cut, len(whole) - 1)]) is None


@given(st.binary(max_size=200))
@example(b"250-a\n250")
def test_any_bytes_are_a_reply_or_nonsense_or_not_whole_yet(said):
    try:
        found = take(said)
    except Nonsense as error:
        assert str(error).isascii()
    else:
        assert found is None or said.endswith(found[1])


@pytest.mark.parametrize(
    ("step", "said", "outcome", "block", "stop", "over"),
    [
        ("RCPT", "450 4.2.0 greylisted", "deferred", False, False, False),
        ("RCPT", "421 4.7.0 bye", "deferred", False, False, True),
        ("RCPT", "550 5.1.1 x", "rejected", False, False, False),
        ("RCPT", "550 5.4.1 Recipient address rejected: Access denied", "rejected", False, False, False),
        ("RCPT", "550 User unknown", "rejected", False, False, False),
        ("RCPT", "553 5.0.0 mailbox not found", "rejected", False, False, False),
        ("RCPT", "550 5.7.1 Recipient <a@b.org> does not exist", "rejected", False, False, False),
        ("RCPT", "552 5.2.2 mailbox full", "rejected", False, False, False),
        ("RCPT", "552 mailbox full", "rejected", False, False, False),
        ("RCPT", "550 relay not permitted", "deferred", True, False, False),
        ("RCPT", "553 5.1.8 sender domain does not exist", "deferred", True, False, False),
        ("RCPT", "550 5.7.1 listed in a dnsbl", "deferred", True, False, False),
        ("RCPT", "530 5.7.1 log in", "deferred", False, True, True),
        ("MAIL", "530 5.7.0 Must issue a STARTTLS command first", "deferred", False, True, True),
        ("MAIL", "553 5.1.7 bad sender", "deferred", True, False, False),
        ("MAIL", "550 no such user", "deferred", True, False, False),
        ("MAIL", "555 5.5.4 unsupported parameter", "deferred", True, False, False),
        ("MAIL", "552 too large", "rejected", False, False, False),
        ("MAIL", "354 go", "deferred", False, False, True),
        ("DATA", "250 ok", "deferred", False, False, True),
        ("DATA", "554 no", "rejected", False, False, False),
        ("dot", "451 4.7.1 try later", "deferred", False, False, False),
        ("dot", "554 5.7.1 spam", "deferred", True, False, False),
        ("dot", "550 5.7.515 access denied", "deferred", True, False, False),
        ("dot", "554 5.6.0 malformed", "rejected", False, False, False),
        ("dot", "552 5.2.3 too large", "rejected", False, False, False),
        ("dot", "354 more", "uncertain", False, False, True),
    ],
)
def test_what_a_refusal_means(step, said, outcome, block, stop, over):
    verdict = refusal(step, reply(said))
    assert (verdict.outcome, verdict.block, bool(verdict.stop), verdict.over) == (outcome, block, stop, over)
    assert verdict.code == reply(said).code and "@" not in verdict.reason + verdict.stop


def test_who_does_not_exist_is_told_apart():
    assert refusal("RCPT", reply("550 5.1.1 x")).reason == NO_MAILBOX
    assert refusal("RCPT", reply("550 no such person here")).reason == NO_MAILBOX
    assert refusal("RCPT", reply("552 5.2.2 full")).reason != NO_MAILBOX


def test_a_text_made_to_take_long():
    assert refusal("RCPT", Reply("550", "", ("user" + "!" * 60_000,))).outcome == "rejected"


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("2.0.0 Ok: queued as 4XyZ12abc", "Ok: queued as 4XyZ12abc"),
        ("2.6.0 <id@example.org> Queued mail for ana@example.org", "Queued mail for"),
        ("ok for ana, thanks", "ok for thanks"),
        ("x" * 300, "x" * 100),
        ("\x1b[31mred\x07 ü", "[31mred"),
    ],
)
def test_the_servers_name_for_a_message_names_nobody(text, ref):
    assert reference(reply(f"250 {text}"), "Ana@example.org") == ref


def test_nor_does_it_where_the_reader_has_other_letters():
    assert reference(reply("250 2.0.0 ok anä <anä@example.org> an queued"), "anä@example.org") == "ok an queued"


@given(
    st.lists(st.sampled_from(["ana", "Ana,", "<ana@example.org>", "example.org", "banana", "queued", "as", "4Xy", "\x07", "ü", "(ana)"]))
)
def test_no_word_of_it_is_the_readers(words):
    found = reference(Reply("250", "2.0.0", (" ".join(["2.0.0", *words]),)), "ana@example.org").split()
    assert "@" not in "".join(found) and not {"ana", "example.org"} & {word.strip("<>,()").lower() for word in found}
    assert [word for word in found if word in ("banana", "queued", "as", "4Xy")] == [
        word for word in words if word in ("banana", "queued", "as", "4Xy")
    ][: len(found)]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=30), st.binary(max_size=20))
def test_a_line_alone_says_what_it_says_behind_another(text, rest):
    line = f"250 {text}\r\n".encode()
    alone, behind = take(line + rest), take(b"250-first\r\n" + line + rest)
    assert alone is not None and behind is not None
    assert (alone[0].status, alone[0].lines, alone[1]) == (behind[0].status, behind[0].lines[1:], behind[1])
