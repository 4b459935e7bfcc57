# SPDX-License-Identifier: Apache-2.0
"""A mail provider in the world: what it publishes, and what its customers must publish."""

from __future__ import annotations

from dataclasses import dataclass

from dnsworld.keys import rsa_public_key
from dnsworld.world import World
from dnsworld.zone import Zone


@dataclass(frozen=True)
class Provider:
    """What a provider publishes below its domain.

    `spf` is the name to include, `dkim` maps selectors to CNAME targets and `keys` to the
    SubjectPublicKeyInfo (base64) that stands there; `return_path` is the target for bounces.
    """

    domain: str
    spf: str
    address: str
    dkim: dict[str, str]
    keys: dict[str, str]
    return_path: str
    exchanges: tuple[str, ...]

    def key_record(self, selector: str) -> str:
        """The DKIM key record of a selector."""
        return f"v=DKIM1; k=rsa; p={self.keys[selector]}"


def add_provider(
    world: World,
    domain: str = "mailprovider.net",
    *,
    selectors: tuple[str, ...] = ("k1", "k2"),
    address: str = "192.0.2.25",
    seed: int = 0,
) -> Provider:
    """Publish a provider's zone: SPF, DKIM keys, return path, MX hosts and reverse DNS."""
    provider = Provider(
        domain=domain,
        spf=f"_spf.{domain}",
        address=address,
        dkim={selector: f"{selector}.dkim.{domain}" for selector in selectors},
        keys={selector: rsa_public_key(seed * 100 + at) for at, selector in enumerate(selectors)},
        return_path=f"bounces.{domain}",
        exchanges=(f"mx1.{domain}", f"mx2.{domain}"),
    )
    spf = f"v=spf1 ip4:{address} -all"
    world.publish(provider.spf, "TXT", spf)
    for selector, target in provider.dkim.items():
        world.publish(target, "TXT", provider.key_record(selector))
    world.publish(provider.return_path, "TXT", spf)
    for preference, exchange in enumerate(provider.exchanges, 1):
        world.publish(provider.return_path, "MX", f"{preference * 10} {exchange}")
        world.publish(exchange, "A", address)
    reverse = ".".join(reversed(address.split(".")))
    world.publish(f"{reverse}.in-addr.arpa", "PTR", provider.exchanges[0])
    return provider


def publish_customer(zone: Zone, domain: str, provider: Provider) -> None:
    """Publish, all correct, what a customer of the provider publishes for a domain of a zone."""
    zone.add(domain, "TXT", f"v=spf1 include:{provider.spf} ~all")
    for selector, target in provider.dkim.items():
        zone.add(f"{selector}._domainkey.{domain}", "CNAME", target)
    zone.add(f"_dmarc.{domain}", "TXT", f"v=DMARC1; p=none; rua=mailto:dmarc@{domain}")
    zone.add(f"bounce.{domain}", "CNAME", provider.return_path)
    for preference, exchange in enumerate(provider.exchanges, 1):
        zone.add(domain, "MX", f"{preference * 10} {exchange}")
