# SPDX-License-Identifier: Apache-2.0
"""What the operator asks outside of the cluster: DNS, and mail servers behind the dial guard."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from postroom.controller.world import LimitedProbes
from postroom.dns.answers import Asker
from postroom.dns.resolver import DnsAsker
from postroom.dns.wire import ServerAddress
from postroom.mail.guard import DialPolicy
from postroom.mail.probes import NetworkProbes
from postroom.reconcile.world import MailProbes
from postroom.settings import Network, Settings


def reach(settings: Settings, api_server: str) -> tuple[Asker, MailProbes]:
    """Return the ways to DNS and to mail servers; `api_server` is a URL that is never dialled."""
    resolvers = [ServerAddress(address, port) for address, port in settings.dns_resolvers]
    dns = DnsAsker(resolvers or None, authoritative_port=settings.dns_authoritative_port)
    policy = DialPolicy(
        allowed_networks=settings.allow_cidrs,
        allowed_ports=frozenset(settings.allow_ports),
        denied_networks=networks_of(api_server),
    )
    probes = NetworkProbes(policy, resolve=dns.resolve_host)
    return dns, LimitedProbes(probes, settings.probes_per_target)


def networks_of(url: str) -> tuple[Network, ...]:
    """Return the address in a URL as a network; nothing where the host is a name."""
    try:
        return (ip_network(ip_address(urlsplit(url).hostname or "")),)
    except ValueError:
        return ()
