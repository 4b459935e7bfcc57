# SPDX-License-Identifier: Apache-2.0
"""Names: relative to a zone, the way up, and what can be a name at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.names import (
    NAME_LIMIT,
    and_ancestors,
    can_be_asked,
    canonical,
    fits_into_query,
    host_label,
    is_within,
)


@pytest.mark.parametrize(
    ("name", "zone", "label"),
    [
        ("example.com", "example.com", "@"),
        ("k1._domainkey.send.example.com", "example.com", "k1._domainkey.send"),
        ("notexample.com", "example.com", "notexample.com"),
        ("x.example.com", None, "x.example.com"),
    ],
)
def test_host_labels(name: str, zone: str | None, label: str) -> None:
    assert host_label(name, zone) == label


@pytest.mark.parametrize(
    ("name", "zone", "inside"),
    [
        ("example.com", "example.com", True),
        ("a.b.example.com", "example.com", True),
        ("example.com", "a.example.com", False),
        ("badexample.com", "example.com", False),
        ("example.com.evil.net", "example.com", False),
    ],
)
def test_what_a_zone_holds(name: str, zone: str, inside: bool) -> None:
    assert is_within(name, zone) is inside


def test_the_way_up_ends_at_the_top_level_domain() -> None:
    assert list(and_ancestors("a.b.example")) == ["a.b.example", "b.example", "example"]


@pytest.mark.parametrize(
    ("written", "compared"),
    [
        ("Mail.Example.COM.", "mail.example.com"),
        ("mail.example.com", "mail.example.com"),
        ("odd\\..", "odd\\."),
        (".", ""),
    ],
)
def test_how_names_are_compared(written: str, compared: str) -> None:
    assert canonical(written) == compared


LONGEST = ".".join(["a" * 63] * 3 + ["b" * 61])


@pytest.mark.parametrize(
    ("name", "possible"),
    [
        ("example.com", True),
        ("_dmarc.xn--bcher-kva.example", True),
        ("a" * 63 + ".example", True),
        ("a" * 64 + ".example", False),
        (LONGEST, True),
        (f"{LONGEST}c", False),
        ("a..example", False),
        ("", False),
        ("example.com.", False),
        ("b\xfccher.example", False),
        ("a b.example", False),
        ("a\\.b.example", False),
        ("tab\t.example", False),
        ("!~.example", True),
        ("a\x7f.example", False),
    ],
)
def test_what_can_be_a_name(name: str, possible: bool) -> None:
    assert can_be_asked(name) is possible
    assert fits_into_query(name) is possible


def test_the_longest_name_is_as_long_as_rfc_1035_allows() -> None:
    assert len(LONGEST) == NAME_LIMIT == 253


@pytest.mark.parametrize(
    ("name", "possible"),
    [
        ("b\\195\\188cher.example", True),
        ("\\032_dmarc.example.com", True),
        ("\\128\\255.example", True),
        ("\\127.example", False),
        ("\\256.example", False),
        ("\\046.example", False),
        ("a\\.example", False),
        # An escape stands for one octet, of which a label holds 63.
        ("\\195" * 63 + ".example", True),
        ("\\195" * 64 + ".example", False),
    ],
)
def test_names_that_only_a_slip_can_have_made(name: str, possible: bool) -> None:
    assert not can_be_asked(name)
    assert fits_into_query(name) is possible


NAMES = st.lists(st.text(alphabet="ab_-", min_size=1, max_size=3), min_size=1, max_size=5).map(
    ".".join
)


@given(NAMES, NAMES)
def test_a_label_and_its_zone_make_the_name_again(label: str, zone: str) -> None:
    name = f"{label}.{zone}"
    assert host_label(name, zone) == label
    assert all(is_within(name, ancestor) for ancestor in and_ancestors(name))
