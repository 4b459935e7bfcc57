# SPDX-License-Identifier: Apache-2.0
"""What the operator asks outside of the cluster: DNS, and, behind the dial guard, mail servers, the
hosts of MTA-STS policies, and token endpoints."""

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from postroom.controller.policy_fetch import HttpsPolicyFetcher
from postroom.controller.served_names import search_domains
from postroom.dns.asking.limiter import NAMESERVER_LIMITS, RESOLVER_LIMITS, QueryLimiters
from postroom.dns.asking.resolver import DnsAsker
from postroom.dns.asking.retrying import Timing
from postroom.dns.asking.transport import ServerAddress
from postroom.mail.connect.dial import completing
from postroom.mail.connect.guard import DialPolicy, may_dial
from postroom.mail.connect.services import cluster_domains
from postroom.mail.connect.tls import TrustStore
from postroom.mail.identities.asking import BearerExchange
from postroom.mail.identities.source import NetworkIdentities
from postroom.mail.oauth.exchange import HttpsExchange
from postroom.mail.oauth.tokens import TokenSource
from postroom.mail.probes import NetworkProbes
from postroom.reconcile.world import MessagePolicy, Outbound
from postroom.settings import Network, Settings

#: Gives what leads out of the cluster, from the settings and the URL of the API server.
Reach = Callable[[Settings, str], Outbound]


def reach(settings: Settings, api_server: str, timing: Timing | None = None) -> Outbound:
    """Return what leads outside; `api_server` is a URL that is never dialled, or empty.

    `timing` is that of DNS, where its default does not fit.
    """
    resolvers = [ServerAddress(address, port) for address, port in settings.dns_resolvers]
    policy = dial_policy(settings, api_server)
    # What others' servers bear, they bear of all shards together.
    shard = settings.shard
    limiters = QueryLimiters(NAMESERVER_LIMITS.of_shard(shard), RESOLVER_LIMITS.of_shard(shard))
    dns = DnsAsker(
        resolvers or None,
        authoritative_port=settings.dns_authoritative_port,
        timing=timing,
        limiters=limiters,
        may_ask=lambda address: may_dial(address, policy),
    )
    # One for all: a context costs 100 ms of CPU and some hundred KB.
    trust = TrustStore()
    resolve = completing(dns.resolve_host, policy.cluster_domains)
    mail = NetworkProbes(
        policy, resolve, per_host=settings.probes_per_target, trust=trust, shard=shard
    )
    policies = HttpsPolicyFetcher(policy, dns.resolve_host, trust=trust, shard=shard)
    exchange = HttpsExchange(
        policy,
        resolve,
        generic_hosts=settings.allow_token_hosts,
        trust=trust,
        shard=shard,
    )
    tokens = TokenSource(exchange)
    messages = MessagePolicy(settings.allow_test_recipients)
    bearer = BearerExchange(policy, dns.resolve_host, trust=trust, shard=shard)
    identities = NetworkIdentities(bearer, tokens)
    return Outbound(dns, mail, policies, tokens, identities, messages)


def dial_policy(settings: Settings, api_server: str) -> DialPolicy:
    """What may be dialled by these settings; `api_server` as in `reach`."""
    return DialPolicy(
        allowed_networks=settings.allow_cidrs,
        allowed_ports=frozenset(settings.allow_ports),
        denied_networks=networks_of(api_server),
        cluster_domains=cluster_domains(search_domains()),
    )


def networks_of(url: str) -> tuple[Network, ...]:
    """Return the address in a URL as a network; nothing where the host is a name."""
    try:
        return (ip_network(ip_address(urlsplit(url).hostname or "")),)
    except ValueError:
        return ()
