"""Quoted-printable pieces that can follow each other."""

import quopri

from hypothesis import given
from hypothesis import strategies as st

from digest.compose import wire

TEXT = st.text(st.one_of(st.characters(exclude_categories=("Cs", "Cc")), st.sampled_from("\n =.\u00a0🧑")), max_size=300)


@given(st.lists(TEXT, max_size=5))
def test_joined_pieces_decode_to_the_joined_text(pieces):
    coded = b"".join(map(wire.encode, pieces))
    assert quopri.decodestring(coded) == "".join(pieces).replace("\n", "\r\n").encode()


@given(TEXT)
def test_lines_are_short_ascii_and_harmless(text):
    lines = wire.encode(text).split(b"\r\n")
    assert all(len(line) <= 76 and line.isascii() for line in lines)
    assert not any(line.startswith((b".", b"From ")) or line.endswith(b" ") for line in lines)


def test_dots_and_from_at_the_start_of_a_line():
    assert wire.encode("From me\n.\n") == b"=46rom me\r\n=2E\r\n"


@given(TEXT)
def test_size_is_that_of_the_decoded_text(text):
    assert wire.size(text) == len(quopri.decodestring(wire.encode(text)))
