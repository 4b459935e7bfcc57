# SPDX-License-Identifier: Apache-2.0
"""The dial guard: which addresses and ports may be connected to at all.

A spec names a host that somebody else may control; without a guard the operator would be a port
scanner inside the cluster for anyone who may write a MailServer.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from postroom.api.reasons import Reason

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: The ports of mail (RFC 8314, and those that providers offer where networks block these).
DEFAULT_PORTS = frozenset({25, 143, 465, 587, 993, 2465, 2525, 2587})

#: Never dialled, whatever the operator's settings say: link-local and the metadata services.
_FORBIDDEN: tuple[Network, ...] = tuple(
    ipaddress.ip_network(one)
    for one in (
        "169.254.0.0/16",
        "fe80::/10",
        "fd00:ec2::254/128",
        "100.100.100.200/32",
        "0.0.0.0/8",
        "::/128",
        "224.0.0.0/4",
        "ff00::/8",
        "255.255.255.255/32",
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class DialPolicy:
    """What the operator's settings allow. `allowed_networks` opens private and loopback ranges;
    `allowed_ports` are those of `DEFAULT_PORTS` and more; `denied_networks` hold the API server."""

    allowed_networks: tuple[Network, ...] = ()
    allowed_ports: frozenset[int] = DEFAULT_PORTS
    denied_networks: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Denied:
    """Why a target may not be dialled."""

    reason: Reason
    sentence: str


def judge_port(port: int, policy: DialPolicy) -> Denied | None:
    """Return why a port may not be dialled, None if it may."""
    if port in policy.allowed_ports | DEFAULT_PORTS:
        return None
    return Denied(
        Reason.PORT_DENIED,
        f"Port {port} is not a port of mail: use one of "
        f"{', '.join(map(str, sorted(policy.allowed_ports | DEFAULT_PORTS)))}, or have the "
        "operator's --allow-port name it.",
    )


def judge_addresses(
    host: str, addresses: Sequence[str], namespace: str, policy: DialPolicy
) -> Denied | None:
    """Return why a host may not be dialled, None if every address of it may.

    One denied address denies the name: which one is dialled would be up to whoever runs its DNS.
    """
    for text in addresses:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return Denied(Reason.ADDRESS_DENIED, f"{host} has an address that cannot be read.")
        if not _permitted(unwrapped(address), host, namespace, policy):
            return Denied(
                Reason.ADDRESS_DENIED,
                f"{host} resolves to an address that may not be dialled ({_kind(address)}): use a "
                "public host, a Service of this namespace, or have the operator's --allow-cidr "
                "name the range.",
            )
    return None


def unwrapped(address: Address) -> Address:
    """Return the IPv4 address inside a mapped, NAT64, 6to4 or Teredo one."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
    return inner or address


def _permitted(address: Address, host: str, namespace: str, policy: DialPolicy) -> bool:
    if _within(address, _FORBIDDEN) or _within(address, policy.denied_networks):
        return False
    if _within(address, policy.allowed_networks):
        return True
    if address.is_loopback or address.is_reserved:
        return False
    return address.is_global or (address.is_private and is_own_service(host, namespace))


def is_own_service(host: str, namespace: str) -> bool:
    """Tell whether a host is a Service of the tenant's own namespace."""
    labels = host.split(".")
    return labels[1:3] == [namespace, "svc"] and labels[3:] in ([], ["cluster", "local"])


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == one.version and address in one for one in networks)


def _kind(address: Address) -> str:
    """Name the kind of a denied address, without the address: it may tell of the inside."""
    plain = unwrapped(address)
    if plain.is_loopback:
        return "loopback"
    if plain.is_link_local:
        return "link-local"
    return "private" if plain.is_private else "reserved"
