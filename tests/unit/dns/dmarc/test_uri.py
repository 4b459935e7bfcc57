# SPDX-License-Identifier: Apache-2.0
"""Report addresses (RFC 9989 section 4.6, RFC 3986, RFC 6068): read, refused, encoded, compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.dmarc.uri import (
    URI_LIMIT,
    ReportURI,
    encoded,
    key_of,
    mail_address,
    parse,
    parse_list,
)


@pytest.mark.parametrize(
    ("text", "address", "destination"),
    [
        ("mailto:a@x.net", "a@x.net", "x.net"),
        ("MAILTO:A@X.Net", "a@x.net", "x.net"),
        ("mailto:a%21b@x.net", "a!b@x.net", "x.net"),
        ("mailto:a%2Cb@x.net?subject=r", "a,b@x.net", "x.net"),
        ("https://x.net/r?a=b", None, None),
        ("tel:1", None, None),
    ],
)
def test_what_is_a_uri(text: str, address: str | None, destination: str | None) -> None:
    found = parse(text)
    assert found == ReportURI(text, 0, text, address=address)
    assert (found.valid, found.destination) == (True, destination)


@pytest.mark.parametrize(
    ("text", "uri", "size"),
    [
        ("mailto:a@x.net!10m", "mailto:a@x.net", "10m"),
        ("mailto:a@x.net!1", "mailto:a@x.net", "1"),
        ("https://x.net/!5T", "https://x.net/", "5T"),
    ],
)
def test_the_size_of_rfc_7489_is_told_apart(text: str, uri: str, size: str) -> None:
    assert (parse(text).uri, parse(text).size, parse(text).problem) == (uri, size, None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a@x.net", "lacks mailto:"),
        ("x.net", "is not a URI"),
        ("mailto:a@x.net!10x", "holds a ! that is not encoded as %21"),
        ("mailto:a!b@x.net", "holds a ! that is not encoded as %21"),
        ("mailto:a@x.net!", "holds a ! that is not encoded as %21"),
        ("mailto:<a@x.net>", "holds a character no URI may hold"),
        ("mailto:a@x.net%2", "holds a character no URI may hold"),
        ("mailto: a@x.net", "holds a character no URI may hold"),
        ("mailot:a@x.net", "does not begin with mailto:"),
        ("E-Mail:a@x.net", "does not begin with mailto:"),
        ("mailto:", "has no mail address behind mailto:"),
        ("mailto:x.net", "has no mail address behind mailto:"),
        ("mailto://a@x.net", "has no mail address behind mailto:"),
    ],
)
def test_why_receivers_ignore_one(text: str, problem: str) -> None:
    assert parse(text).problem == problem
    assert (parse(text).valid, parse(text).address) == (False, None)


def test_a_misspelt_scheme_without_an_address_is_another_scheme() -> None:
    assert parse("mail:x").valid


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("mailto:%40a@x.net", None),
        ("mailto:a%20b@x.net", None),
        ("mailto:a%0Ab@x.net", None),
        ("mailto:@x.net", None),
        ("mailto:a@x..net", None),
        ("mailto:a@-x_y.net", "a@-x_y.net"),
        ("mailto:a@[192.0.2.1]", None),
        ("mailto:/a@x.net", "/a@x.net"),
        ("mailto:%2F%2Fa@x.net", None),
    ],
)
def test_what_is_a_mail_address(uri: str, address: str | None) -> None:
    assert mail_address(uri) == address


def test_positions_count_from_the_start_of_the_record() -> None:
    value = " mailto:a@x.net,,\tb@x.net "
    found = parse_list(value, 20)
    assert [(one.text, one.position) for one in found] == [("mailto:a@x.net", 21), ("b@x.net", 38)]
    assert all(value[one.position - 20 :].startswith(one.text) for one in found)


def test_no_more_than_the_limit_is_read() -> None:
    texts = [f"mailto:a{number}@x.net" for number in range(URI_LIMIT + 5)]
    assert [one.text for one in parse_list(",".join(texts))] == texts[:URI_LIMIT]


@given(st.text(alphabet="aA@.:/?#[]!,;% 2<>\\\xe4", max_size=30))
def test_what_is_encoded_can_stand_in_a_record(text: str) -> None:
    made = encoded(f"https://x.net/{text}")
    assert encoded(made) == made
    found = parse_list(made)
    assert [(one.uri, one.problem) for one in found] == [(made, None)]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("mailto:a@x.net", "MAILTO:A@x.NET!10m", True),
        ("mailto:%61@x.net", "mailto:a@x.net", True),
        ("mailto:a@x.net?subject=1", "mailto:a@x.net", True),
        ("mailto:a@x.net", "mailto:b@x.net", False),
        ("https://x.net/r!1k", "HTTPS://x.net/r", True),
        ("https://x.net/r", "https://x.net/s", False),
    ],
)
def test_which_report_to_the_same_place(one: str, other: str, same: bool) -> None:
    assert (key_of(one) == key_of(other)) is same
