# SPDX-License-Identifier: Apache-2.0
"""What the operator asks outside of the cluster: DNS, and, behind the dial guard, mail servers, the
hosts of MTA-STS policies, and token endpoints."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import NamedTuple, Protocol, runtime_checkable
from urllib.parse import urlsplit

from postroom.controller.policy_fetch import HttpsPolicyFetcher
from postroom.controller.world import LimitedProbes
from postroom.dns.answers import Asker
from postroom.dns.asking.resolver import DnsAsker
from postroom.dns.asking.transport import ServerAddress
from postroom.dns.policy_host import PolicyFetcher
from postroom.mail.guard import DialPolicy
from postroom.mail.probes import NetworkProbes
from postroom.reconcile.tokens import NoTokens, token_source
from postroom.reconcile.world import MailProbes, Tokens
from postroom.settings import Network, Settings


@runtime_checkable
class _Closable(Protocol):
    async def close(self) -> None: ...


class WaysOut(NamedTuple):
    """The ways to DNS, mail servers, the hosts of MTA-STS policies, and token endpoints."""

    dns: Asker
    mail: MailProbes
    policies: PolicyFetcher
    tokens: Tokens = NoTokens()

    async def close(self) -> None:
        """Give up connections that are kept for the next question."""
        for one in (self.dns, self.policies, self.tokens):
            if isinstance(one, _Closable):
                await one.close()


def reach(settings: Settings, api_server: str) -> WaysOut:
    """Return the ways out of the cluster; `api_server` is a URL that is never dialled."""
    resolvers = [ServerAddress(address, port) for address, port in settings.dns_resolvers]
    dns = DnsAsker(resolvers or None, authoritative_port=settings.dns_authoritative_port)
    policy = DialPolicy(
        allowed_networks=settings.allow_cidrs,
        allowed_ports=frozenset(settings.allow_ports),
        denied_networks=networks_of(api_server),
    )
    probes = NetworkProbes(policy, resolve=dns.resolve_host)
    policies = HttpsPolicyFetcher(policy, dns.resolve_host)
    tokens = token_source(policy, dns.resolve_host, settings.allow_token_hosts)
    return WaysOut(dns, LimitedProbes(probes, settings.probes_per_target), policies, tokens)


def networks_of(url: str) -> tuple[Network, ...]:
    """Return the address in a URL as a network; nothing where the host is a name."""
    try:
        return (ip_network(ip_address(urlsplit(url).hostname or "")),)
    except ValueError:
        return ()
