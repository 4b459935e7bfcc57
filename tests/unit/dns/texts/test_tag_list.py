# SPDX-License-Identifier: Apache-2.0
"""Lists of tags: what is read of them, what breaks their syntax, and how they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.texts.tag_list import TagList, parse, written

NO_PAIR = "it is not a list of tag=value pairs separated by semicolons"


@pytest.mark.parametrize(
    ("text", "tags", "problem"),
    [
        ("v=BIMI1; l=https://x/y?a=b", {"v": "BIMI1", "l": "https://x/y?a=b"}, None),
        ("v=BIMI1;l=;a=;", {"v": "BIMI1", "l": "", "a": ""}, None),
        (" v \t=\tBIMI1 ; ", {"v": "BIMI1"}, None),
        ("", {}, None),
        ("V=1; v=2", {"V": "1", "v": "2"}, None),
        ("v=1; v=2; l=3", {"v": "1", "l": "3"}, "it has the tag v= twice"),
        ("v=1;; l=3", {"v": "1", "l": "3"}, NO_PAIR),
        ("v=1; l", {"v": "1"}, NO_PAIR),
        ("v=1; l m=3", {"v": "1"}, NO_PAIR),
        ("v=1; =3", {"v": "1"}, NO_PAIR),
        ("-v=1", {}, NO_PAIR),
        (f"{'a' * 32}=1", {"a" * 32: "1"}, None),
        (f"{'a' * 33}=1", {}, NO_PAIR),
        # The first problem is told.
        ("v=1; v=2; l", {"v": "1"}, "it has the tag v= twice"),
    ],
)
def test_what_is_read(text: str, tags: dict[str, str], problem: str | None) -> None:
    assert parse(text) == TagList(tags, problem)


def test_no_more_than_a_hundred_tags_are_read() -> None:
    many = [f"t{number}=x" for number in range(101)]
    assert len(parse(";".join(many[:100])).tags) == 100
    assert parse(";".join(many)) == TagList({}, "it has more than 100 tags")


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}", fullmatch=True)
VALUES = st.from_regex(r"(?:[!-:<-~](?:[ -:<-~]{0,8}[!-:<-~])?)?", fullmatch=True)


@given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_a_written_list_is_read_as_it_was(tags: dict[str, str]) -> None:
    assert parse(written(tags)) == TagList(tags)


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    assert all("=" not in name for name in parse(text).tags)
