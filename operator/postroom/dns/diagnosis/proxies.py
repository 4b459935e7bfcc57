# SPDX-License-Identifier: Apache-2.0
"""The addresses of DNS hosts that answer in the place of a record: see ``proxies.yaml``."""

from collections.abc import Sequence
from datetime import date
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Annotated

from pydantic import Field

from postroom.api.data_files import Row, read
from postroom.api.presets import Source
from postroom.dns.presets.model import Confirmed


class Proxy(Row):
    """A DNS host, by its name in ``dns_hosts.yaml``, and the networks of its proxy."""

    host: Annotated[str, Field(min_length=1, max_length=60)]
    networks: Annotated[tuple[IPv4Network | IPv6Network, ...], Field(min_length=1)]
    source: Source
    checked: date
    confirmed: Confirmed = Confirmed.DOCUMENT


class Proxies(Row):
    """The whole file."""

    proxies: Annotated[tuple[Proxy, ...], Field(min_length=1)]


@cache
def proxies() -> tuple[Proxy, ...]:
    """Load the table, once; raises `InvalidData`."""
    return read("postroom.dns.diagnosis", "proxies.yaml", Proxies).proxies


def proxy_of(addresses: Sequence[str]) -> str | None:
    """Name the DNS host whose proxy has all these addresses; None where there is none."""
    if not addresses:
        return None
    try:
        parsed = [ip_address(address) for address in addresses]
    except ValueError:
        return None
    for proxy in proxies():
        if all(any(address in network for network in proxy.networks) for address in parsed):
            return proxy.host
    return None
