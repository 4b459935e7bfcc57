# SPDX-License-Identifier: Apache-2.0
"""The table of the addresses of proxies, and whose addresses are."""

from __future__ import annotations

import pytest

from postroom.dns.diagnosis.proxies import proxies, proxy_of


def test_the_networks_of_proxies_do_not_overlap() -> None:
    networks = [network for proxy in proxies() for network in proxy.networks]
    for at, one in enumerate(networks):
        for other in networks[at + 1 :]:
            assert one.version != other.version or not one.overlaps(other)


@pytest.mark.parametrize(
    ("addresses", "proxy"),
    [
        (["104.16.12.7"], "Cloudflare"),
        (["172.64.0.1", "2606:4700::1"], "Cloudflare"),
        (["104.16.12.7", "192.0.2.1"], None),
        ([], None),
    ],
)
def test_all_addresses_have_to_be_of_the_proxy(addresses: list[str], proxy: str | None) -> None:
    assert proxy_of(addresses) == proxy
