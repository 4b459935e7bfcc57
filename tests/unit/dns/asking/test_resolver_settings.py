# SPDX-License-Identifier: Apache-2.0
"""Resolvers as an operator writes them: addresses and ports, URLs of DNS over HTTPS, or wrong."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.asking.https import HttpsServer
from postroom.dns.asking.recursion import resolvers_of
from postroom.dns.asking.transport import ServerAddress
from postroom.settings import SettingsError, load, parse_resolver

URL = "https://resolver.example/dns-query"


def test_addresses_and_urls_stand_side_by_side() -> None:
    settings = load({}, {"POSTROOM_DNS_RESOLVERS": f"10.0.0.10:53, {URL}, [::1]:5353"})
    assert resolvers_of(settings.dns_resolvers) == (
        ServerAddress("10.0.0.10", 53),
        HttpsServer(URL),
        ServerAddress("::1", 5353),
    )


@pytest.mark.parametrize(
    ("text", "port"),
    [(URL, 443), ("https://[2001:db8::1]:8443/q", 8443), ("https://x.test/{?", 443)],
)
def test_a_url_keeps_its_port(text: str, port: int) -> None:
    assert parse_resolver(text) == (text, port)
    assert parse_resolver((text, port)) == (text, port)


@pytest.mark.parametrize(
    "text",
    [
        "http://resolver.example/dns-query",
        "https://resolver.example",
        "https://resolver.example/",
        "https:///dns-query",
        "https://user:secret@resolver.example/dns-query",
        "https://resolver.example:0x/dns-query",
        "https://resolver.example/dns-query#part",
        "https://resolver.example/dns query\n",
        "//resolver.example/dns-query",
    ],
)
def test_other_urls_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(URL)) as error:
        load({"dns_resolvers": [text]}, {})
    assert str(error.value).startswith("--dns-resolver: ")
    assert "secret" not in str(error.value)


@given(st.text(max_size=60))
def test_any_text_is_a_resolver_or_refused(text: str) -> None:
    try:
        address, port = parse_resolver(text)
    except ValueError:
        return
    assert address
    assert 1 <= port <= 65535
