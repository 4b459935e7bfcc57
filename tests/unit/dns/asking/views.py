# SPDX-License-Identifier: Apache-2.0
"""The views of the DNS client, each by itself, over a DNS in memory."""

from __future__ import annotations

from collections.abc import Callable

from dnsworld.world import World
from postroom.dns.asking.authority import AuthorityView
from postroom.dns.asking.delegation import ParentView
from postroom.dns.asking.exchange import Exchange, Server
from postroom.dns.asking.health import Health
from postroom.dns.asking.https import HttpsClient
from postroom.dns.asking.limiter import QueryLimiters
from postroom.dns.asking.recursion import ResolverView
from postroom.dns.asking.retrying import RetryingClient, Timing
from postroom.dns.asking.zones import ZoneFinder


class Views:
    """Wired as the whole client wires them."""

    def __init__(self, world: World, may_ask: Callable[[str], bool] | None = None) -> None:
        timing = Timing()
        health: Health[Server] = Health(timing.least, timing.unknown)
        exchange = Exchange(world.transport, HttpsClient(), health)
        client = RetryingClient(exchange, health, QueryLimiters(), timing)
        self.resolver = ResolverView(world.resolver_addresses, client, None)
        self.zones = ZoneFinder(self.resolver, 53, timing, None, may_ask)
        self.authorities = AuthorityView(self.zones, self.resolver, client)
        self.parents = ParentView(self.authorities, client)
