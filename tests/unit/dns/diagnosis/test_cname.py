# SPDX-License-Identifier: Apache-2.0
"""What the author of a CNAME target meant: without URL, quotes and escapes, in A-label form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.diagnosis.cname import meant


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("https://a.net/", "a.net"),
        ("http:a.net", "a.net"),
        ("mailto:x.a.net", "x.a.net"),
        ('"a.net"', "a.net"),
        ("' a.net '", "a.net"),
        (r"\"a.net\"", "a.net"),
        (r"\034a.net\034", "a.net"),
        (r"\032a.net", "a.net"),
        ("a.net/.", "a.net"),
        (r"b\195\188cher.example", "xn--bcher-kva.example"),
        (r"B\195\156CHER.example", "xn--bcher-kva.example"),
        # What is no text in UTF-8 stays as it is.
        (r"\255.net", "\xff.net"),
        ("", ""),
    ],
)
def test_a_target_is_read_as_it_was_meant(target: str, name: str) -> None:
    assert meant(target) == name


@given(st.from_regex(r"[a-z0-9_-]{1,20}(\.[a-z0-9-]{0,9}[a-z0-9]){1,3}", fullmatch=True))
def test_a_plain_name_is_meant_as_it_is(name: str) -> None:
    assert meant(name) == name
