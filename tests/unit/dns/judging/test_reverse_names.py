# SPDX-License-Identifier: Apache-2.0
"""Names that are made from an address, in every form; addresses among the values of answers."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.judging.reverse_names import addresses_in, is_generic
from unit.dns.judging_looks import Key

V4, V6 = "192.0.2.25", "2001:db8::25"
PTR6: Key = (ipaddress.ip_address(V6).reverse_pointer, "PTR")


@pytest.mark.parametrize(
    ("name", "address", "generic"),
    [
        ("192-0-2-25.isp.example", V4, True),
        ("dsl.25.2.0.192.isp.example", V4, True),
        ("host-192-000-002-025.isp.example", V4, True),
        ("ip192000002025.isp.example", V4, True),
        ("pool_192_0_2_25.isp.example", V4, True),
        ("c0000219.isp.example", V4, True),
        ("mail.example.net", V4, False),
        ("mx25.example.net", V4, False),
        ("1192-0-2-25.isp.example", V4, False),
        ("192-0-2-250.isp.example", V4, False),
        ("0-0-0-1.example", "0.0.0.1", True),
        ("2001-db8--25.isp.example", V6, True),
        ("20010db8000000000000000000000025.isp.example", V6, True),
        (f"{PTR6[0].removesuffix('.ip6.arpa')}.isp.example", V6, True),
        ("mail25.example.net", V6, False),
        ("mx-1.example.net", "::1", False),
    ],
)
def test_a_name_that_is_made_from_the_address(name: str, address: str, generic: bool) -> None:
    assert is_generic(name, address) is generic


_ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)


@given(_ADDRESSES)
def test_every_address_has_generic_names(address: str) -> None:
    plain = ipaddress.ip_address(address).exploded.replace(".", "-").replace(":", "-")
    assert is_generic(f"host-{plain}.isp.example", address)
    assert not is_generic("mail.zzz.example.org", address)


@given(st.text(max_size=60), _ADDRESSES)
def test_no_name_breaks_the_look(name: str, address: str) -> None:
    assert is_generic(name, address) in (True, False)
    assert addresses_in([name, address]) >= {ipaddress.ip_address(address)}
