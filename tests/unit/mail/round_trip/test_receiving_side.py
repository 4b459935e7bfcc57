# SPDX-License-Identifier: Apache-2.0
"""Which servers are of one side: of one domain, or of one provider with several."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.round_trip.receiving_side import same_side

NAMES = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).flatmap(
    lambda labels: st.sampled_from(["com", "co.uk", "gmail.com"]).map(
        lambda domain: ".".join([*labels, domain])
    )
)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("mx.example.com", "imap.example.com", True),
        ("mx1.eu.example.com", "example.com", True),
        ("example.com", "example.org", False),
        ("notexample.com", "example.com", False),
        ("example.com.evil.example", "example.com", False),
        # Names below a country are of nobody together (a guess at public suffixes).
        ("a.example.co.uk", "b.example.co.uk", True),
        ("example.co.uk", "other.co.uk", False),
        ("a.com.au", "b.com.au", False),
        ("mx.google.com", "imap.gmail.com", True),
        ("x.outlook.com", "y.prod.exchangelabs.com", True),
        ("mx.google.com", "x.outlook.com", False),
        ("evilgoogle.com", "gmail.com", False),
        ("google.com.evil.example", "gmail.com", False),
        ("localhost", "localhost", True),
        ("localhost", "otherhost", False),
    ],
)
def test_sides(one: str, other: str, same: bool) -> None:
    assert same_side(one, other) is same
    assert same_side(other, one) is same


@given(NAMES, NAMES)
def test_a_name_below_another_is_of_its_side(one: str, other: str) -> None:
    assert same_side(one, one)
    assert same_side(f"{one}.{other}", other)
    assert same_side(one, other) is same_side(other, one)
