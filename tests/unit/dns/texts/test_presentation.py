# SPDX-License-Identifier: Apache-2.0
"""TXT values as character-strings: bounds, where SPF is split, escapes that dnspython undoes."""

from __future__ import annotations

import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from dns.rdtypes.ANY.TXT import TXT
from hypothesis import example, given
from hypothesis import strategies as st

from postroom.dns.texts.presentation import CannotPublish, character_strings, presentation

TEXTS = st.text(alphabet=st.characters(max_codepoint=255), max_size=2000)
TERMS = st.text(alphabet="abcdefgh:.-~0123456789", min_size=1, max_size=60)
SPF = st.lists(TERMS, max_size=60).map(lambda terms: " ".join(["v=spf1", *terms]))


@given(TEXTS)
@example("")
@example("x" * 255)
@example("x" * 256)
def test_strings_are_bounded_and_join_to_the_value(value: str) -> None:
    strings = character_strings(value)
    assert b"".join(strings) == value.encode("latin-1")
    assert all(len(string) <= 255 for string in strings)
    assert strings == (b"",) or all(strings)
    assert len(strings) == max(1, -(-len(value) // 255))


@given(SPF)
def test_spf_is_split_behind_a_space(value: str) -> None:
    strings = character_strings(value)
    assert b"".join(strings) == value.encode()
    assert all(string.endswith(b" ") and len(string) <= 255 for string in strings[:-1])
    assert all(not string.startswith(b" ") for string in strings)


@pytest.mark.parametrize("value", ["v=spf1 " + "a" * 600, "V=SPF1 a " + "exists:" + "b" * 300])
def test_a_term_too_long_for_a_string_is_split_inside(value: str) -> None:
    strings = character_strings(value)
    assert b"".join(strings) == value.encode()
    assert all(0 < len(string) <= 255 for string in strings)


@given(TEXTS)
@example('"')
@example("\\")
@example('\\" ; $ @ ( \\;')
@example("".join(map(chr, range(256))))
def test_the_presentation_is_read_back(value: str) -> None:
    text = presentation(value)
    assert text.isascii()
    assert text.isprintable()
    data = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.TXT, text)
    assert isinstance(data, TXT)
    assert data.strings == character_strings(value)


def test_escapes() -> None:
    assert presentation('a"b\\c;\x00\xe9') == '"a\\"b\\\\c;\\000\\233"'
    assert presentation("\x00\xe9", octal=True) == '"\\000\\351"'


def test_characters_that_are_no_bytes_are_refused() -> None:
    with pytest.raises(CannotPublish, match="no bytes"):
        presentation("Ω")
