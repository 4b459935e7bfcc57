# SPDX-License-Identifier: Apache-2.0
"""Addresses of mailto: URIs, in one sense wherever reports go, and those that are spelt out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.dmarc.slips import mended
from postroom.dns.texts.mailto import mail_address, with_at_signs
from postroom.dns.tls import tls_rpt


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("mailto:A@x.NET", "a@x.net"),
        ("MAILTO:a%2Bb@x.net?subject=s", "a+b@x.net"),
        ("mailto:/a@x.net", "/a@x.net"),
        ("mailto://a@x.net", None),
        ("mailto:a@x.net.", None),
        ("mailto:a@x..net", None),
        ("mailto:a@b@x.net", None),
        ("mailto:a", None),
        ("mailto:@x.net", None),
    ],
)
def test_the_address_of_a_uri(uri: str, address: str | None) -> None:
    assert mail_address(uri) == address


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("mailto:a(at)x.net", "mailto:a@x.net"),
        ("a [AT] x.net, b {at} y(dot)z [dot] net", "a@x.net, b@y.z.net"),
        # With an @ of its own it is an address already.
        ("a(at)b@x.net", "a(at)b@x.net"),
        ("n=look (at) ", "n=look (at) "),
        ("a at x.net", "a at x.net"),
    ],
)
def test_an_at_sign_that_is_spelt_out(text: str, written: str) -> None:
    assert with_at_signs(text) == written


@given(st.text("a(at)[].@ ,;dot", max_size=60))
def test_writing_at_signs_ends(text: str) -> None:
    assert len(with_at_signs(text)) <= len(text)


@pytest.mark.parametrize("parted", [",", ", ", ";", "; ", " "])
def test_lists_of_such_addresses_are_read(parted: str) -> None:
    rua = parted.join(["mailto:a(at)x.net", "mailto:b@x.net", "c(at)x(dot)net"])
    whole = "mailto:a@x.net,mailto:b@x.net,mailto:c@x.net"
    assert mended(f"v=DMARC1; p=none; rua={rua}") == f"v=DMARC1; p=none; rua={whole}"
    # What senders can use of a record that they can read is what it says.
    if parted == ";" or parted == "; ":
        found = tls_rpt.destinations(f"v=TLSRPTv1; rua={rua}")
        assert ",".join(found) == whole
