# SPDX-License-Identifier: Apache-2.0
"""Fields of MTA-STS and TLS-RPT records: as strict as RFC 8461 section 3.1 and RFC 8460 section 3.

Covers: blanks around semicolons and beside =, the end of a record, values, names, and bounds.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.texts.text_fields import fields

BLANK = "a blank stands beside the = of id, where none may be"
NO_LIST = "it is not a list of name=value pairs separated by semicolons"


@pytest.mark.parametrize(
    ("text", "found", "problem"),
    [
        ("v=STSv1; id=1", [("id", "1")], None),
        ("v=STSv1 \t;\tid=1;", [("id", "1")], None),
        ("v=STSv1;id=1 ; x=2; ", [("id", "1"), ("x", "2")], None),
        ("v=STSv1;", [], None),
        ("v=STSv1", [], None),
        ("v=STSv1; id=1; id=2", [("id", "1"), ("id", "2")], None),
        ("v=STSv1; id =1", [("id", "1")], BLANK),
        ("v=STSv1; id= 1", [("id", "1")], BLANK),
        ("v=STSv1; id=1 ", [("id", "1")], "a blank stands at its end"),
        ("v=STSv1;; id=1", [("", ""), ("id", "1")], NO_LIST),
        ("v=STSv1; id", [("id", "")], NO_LIST),
        ("v=STSv1; i d=1", [("i d", "1")], NO_LIST),
        ("v=STSv1; _x=1", [("_x", "1")], NO_LIST),
        ("v=STSv1; x=a=b", [("x", "a=b")], "x has a value that no field may have"),
        ("v=STSv1; x=", [("x", "")], "x has a value that no field may have"),
        ("v=STSv1; x=a b", [("x", "a b")], "x has a value that no field may have"),
        ("v=STSv1; x=\x7f", [("x", "\x7f")], "x has a value that no field may have"),
        ("v=STSv1; ID=", [("ID", "")], "ID has a value that no field may have"),
        # The caller judges what it knows.
        ("v=STSv1; id=a=b c", [("id", "a=b c")], None),
        ("v=STSv1; id", [("id", "")], NO_LIST),
        ("v=STSv1; x; id =1", [("x", ""), ("id", "1")], NO_LIST),
    ],
)
def test_what_is_read(text: str, found: list[tuple[str, str]], problem: str | None) -> None:
    assert fields(text, "id") == (tuple(found), problem)


def test_no_more_than_a_hundred_fields_are_read() -> None:
    many = [f"x{number}=y" for number in range(101)]
    assert len(fields(";".join(["v=STSv1", *many[:100]]), "id")[0]) == 100
    assert fields(";".join(["v=STSv1", *many]), "id") == ((), "it has more than 100 fields")


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}", fullmatch=True)
VALUES = st.from_regex(r"[!-:<>-~]{1,9}", fullmatch=True)


@given(
    st.lists(st.tuples(NAMES, VALUES), max_size=5),
    st.sampled_from([";", "; ", " ;", "\t;\t"]),
    st.sampled_from(["", ";", " ; "]),
)
def test_the_grammar_is_read_whole(pairs: list[tuple[str, str]], separator: str, end: str) -> None:
    text = separator.join(["v=STSv1", *(f"{name}={value}" for name, value in pairs)])
    assert fields(f"{text}{end}", "id") == (tuple(pairs), None)
