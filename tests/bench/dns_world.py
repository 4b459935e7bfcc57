# SPDX-License-Identifier: Apache-2.0
"""The DNS that the benchmark runs on, and the domains in it; the same in both of its processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from closed_loop.loop import spec_of
from dnsworld.providers import Provider, add_provider
from dnsworld.world import World
from postroom.api.sendingdomain import SendingDomainSpec
from postroom.dns import planning
from postroom.dns.requirements import DomainPlan

#: Where the resolver of every world listens.
RESOLVER = "10.96.0.10"


@dataclass(frozen=True)
class Layout:
    """How many domains there are, at how many mail providers and DNS hosts, each with how many
    servers."""

    domains: int = 1
    providers: int = 1
    hosts: int = 1
    servers: int = 4


def loopback(address: str) -> str:
    """Where on loopback a server of the world listens: the last three octets stay as they are."""
    return "127." + address.partition(".")[2]


def build(layout: Layout) -> tuple[World, list[DomainPlan]]:
    """Build a world in which all records of all domains are published as they must be."""
    world = World()
    providers = mail_providers(world, layout.providers)
    plans = list[DomainPlan]()
    for number in range(layout.domains):
        host = number % layout.hosts
        names = [f"ns{one}.host{host}.net" for one in range(1, layout.servers + 1)]
        provider = providers[number % layout.providers]
        plans.append(publish(world, spec_for(f"domain{number}.com", provider), names))
    return world, plans


def mail_providers(world: World, count: int) -> list[Provider]:
    """Publish mail providers, each with a host for tracking."""
    providers = [
        add_provider(world, f"provider{number}.net", seed=number) for number in range(count)
    ]
    for provider in providers:
        world.publish(_tracking(provider), "A", "192.0.2.80")
    return providers


def _tracking(provider: Provider) -> str:
    return f"click.{provider.domain}"


def spec_for(domain: str, provider: Provider, **changes: Any) -> SendingDomainSpec:
    """The spec of a domain that is a customer of a provider, with ten records."""
    return spec_of(
        domain,
        provider,
        dkim=[
            *({"selector": one, "cname": target} for one, target in provider.dkim.items()),
            {"selector": "s1", "publicKey": provider.keys["k1"]},
        ],
        dmarc={"policy": "quarantine", "rua": [f"mailto:dmarc@{domain}"]},
        tracking={"name": "click", "cname": _tracking(provider)},
        **changes,
    )


def publish(world: World, spec: SendingDomainSpec, nameservers: list[str]) -> DomainPlan:
    """Register a domain and publish the records of its spec."""
    plan = planning.plan(spec, "bench", b"key", {})
    zone = world.register(spec.domain, nameservers)
    zone.add(spec.domain, "A", "192.0.2.99")
    for one in plan.records:
        zone.add(one.name, one.type.value, one.value)
    return plan
