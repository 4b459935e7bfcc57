# SPDX-License-Identifier: Apache-2.0
"""What the operator asks outside of the cluster: DNS, and, behind the dial guard, mail servers, the
hosts of MTA-STS policies, and token endpoints."""

from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from postroom.controller.policy_fetch import HttpsPolicyFetcher
from postroom.dns.asking.resolver import DnsAsker
from postroom.dns.asking.retrying import Timing
from postroom.dns.asking.transport import ServerAddress
from postroom.mail.connect.guard import DialPolicy, may_dial
from postroom.mail.connect.tls import TrustStore
from postroom.mail.identities.asking import BearerExchange
from postroom.mail.identities.source import NetworkIdentities
from postroom.mail.oauth.exchange import HttpsExchange
from postroom.mail.oauth.tokens import TokenSource
from postroom.mail.probes import NetworkProbes
from postroom.reconcile.world import MessagePolicy, Outbound
from postroom.settings import Network, Settings


def reach(settings: Settings, api_server: str, timing: Timing | None = None) -> Outbound:
    """Return what leads outside; `api_server` is a URL that is never dialled, or empty.

    `timing` is that of DNS, where its default does not fit.
    """
    resolvers = [ServerAddress(address, port) for address, port in settings.dns_resolvers]
    policy = DialPolicy(
        allowed_networks=settings.allow_cidrs,
        allowed_ports=frozenset(settings.allow_ports),
        denied_networks=networks_of(api_server),
    )
    dns = DnsAsker(
        resolvers or None,
        authoritative_port=settings.dns_authoritative_port,
        timing=timing,
        may_ask=lambda address: may_dial(address, policy),
    )
    # One for all: a context costs 100 ms of CPU and some hundred KB.
    trust = TrustStore()
    mail = NetworkProbes(policy, dns.resolve_host, per_host=settings.probes_per_target, trust=trust)
    policies = HttpsPolicyFetcher(policy, dns.resolve_host, trust=trust)
    exchange = HttpsExchange(
        policy, dns.resolve_host, generic_hosts=settings.allow_token_hosts, trust=trust
    )
    tokens = TokenSource(exchange)
    messages = MessagePolicy(settings.allow_test_recipients)
    identities = NetworkIdentities(BearerExchange(policy, dns.resolve_host, trust=trust), tokens)
    return Outbound(dns, mail, policies, tokens, identities, messages)


def networks_of(url: str) -> tuple[Network, ...]:
    """Return the address in a URL as a network; nothing where the host is a name."""
    try:
        return (ip_network(ip_address(urlsplit(url).hostname or "")),)
    except ValueError:
        return ()
