# SPDX-License-Identifier: Apache-2.0
"""Display names as text, as words of a phrase (RFC 5322, RFC 2047), and as folded lines."""

from __future__ import annotations

from email.header import decode_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.round_trip.display_names import (
    DISPLAY_NAME_LIMIT,
    LINE_LIMIT,
    folded,
    phrase,
    readable,
)

ATOMS = st.integers(1, 90).map(lambda length: "a" * length)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Support", "Support"),
        ("  two \t words\r\nBcc: x ", "two words Bcc: x"),
        ("a\x00b\x7fc\x85d", "a b c d"),
        ("turned \u202egnp.exe", "turned gnp.exe"),
        ("hid\u200bden", "hid den"),
        ("half \ud83d", "half"),
        ("\u2028\u2029", ""),
        ("x" * 300, "x" * 256),
        ("ä" * 200, "ä" * 128),
        # No half of a character remains where it is cut.
        ("x" + "ä" * 200, "x" + "ä" * 127),
    ],
)
def test_what_can_be_read(name: str, text: str) -> None:
    assert readable(name) == text


@given(st.text(st.characters()))
def test_any_name_becomes_text_that_fits_and_stays(name: str) -> None:
    text = readable(name)
    assert len(text.encode()) <= DISPLAY_NAME_LIMIT
    assert text == text.strip() == readable(text)
    assert "\n" not in text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", ()),
        ("Support", ("Support",)),
        ("Jane Doe", ("Jane", "Doe")),
        ("O'Brien-Smith_2", ("O'Brien-Smith_2",)),
        ("Doe, Jane", ('"Doe, Jane"',)),
        ("support@example.com", ('"support@example.com"',)),
        ("J. Doe", ('"J. Doe"',)),
        ('say "x" \\', (r'"say \"x\" \\"',)),
        ("Jörg", ("=?utf-8?b?SsO2cmc=?=",)),
        ("Service für Kunden", ("=?utf-8?q?Service_f=C3=BCr_Kunden?=",)),
        ("x,?", ('"x,?"',)),
        ("=?x", ("=?utf-8?b?PT94?=",)),
    ],
)
def test_words(name: str, words: tuple[str, ...]) -> None:
    assert phrase(name) == words


def test_an_encoded_word_has_75_characters_at_most() -> None:
    assert phrase(f"ü{'x' * 57}") == (f"=?utf-8?q?=C3=BC{'x' * 57}?=",)
    assert len(phrase(f"ü{'x' * 58}")) == 2


def decoded(words: tuple[str, ...]) -> str:
    """What another reader makes of encoded-words, one by one (RFC 2047 section 5)."""
    octets = b""
    for word in words:
        ((content, charset),) = decode_header(word)
        assert isinstance(content, bytes)
        assert charset == "utf-8"
        content.decode()
        octets += content
    return octets.decode()


@given(st.text(min_size=1, max_size=120).map(lambda name: readable(f"ü{name}")))
def test_encoded_words_are_short_and_say_the_name(name: str) -> None:
    words = phrase(name)
    assert all(len(word) <= 75 for word in words)
    assert decoded(words) == name


@given(st.text(min_size=1).map(readable))
def test_all_that_is_written_is_ascii_without_line_ends(name: str) -> None:
    together = " ".join(phrase(name))
    assert together.isascii()
    assert together.isprintable()
    assert bool(together) == bool(name)


@given(st.lists(ATOMS, min_size=1, max_size=12).map(tuple))
def test_lines_are_folded_where_they_may_be(words: tuple[str, ...]) -> None:
    lines = folded("To", words).decode().split("\r\n")
    assert lines.pop() == ""
    assert "".join(lines) == f"To: {' '.join(words)}"
    assert all(line.startswith(" ") for line in lines[1:])
    assert all(len(line) <= LINE_LIMIT or len(line.split()) == 1 + (line is lines[0])
               for line in lines)  # fmt: skip


def test_a_line_is_filled_to_its_end() -> None:
    assert folded("To", ("a" * 74, "b")) == b"To: " + b"a" * 74 + b"\r\n b\r\n"
    assert folded("To", ("a" * 72, "b")) == b"To: " + b"a" * 72 + b" b\r\n"
