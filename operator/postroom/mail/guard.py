# SPDX-License-Identifier: Apache-2.0
"""The dial guard: which addresses and ports may be connected to at all.

A spec names a host that somebody else may control; without a guard the operator would be a port
scanner inside the cluster for anyone who may write a MailServer.

The ranges are written out, after the IANA special-purpose address registries: what
`ipaddress.is_global` says of them differs between versions of Python.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple

from postroom.api.reasons import Reason

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: The ports of mail (RFC 8314, and those that providers offer where networks block these).
DEFAULT_PORTS = frozenset({25, 143, 465, 587, 993, 2465, 2525, 2587})


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(one) for one in texts)


#: Never dialled, whatever the operator's settings say, by what they are.
_FORBIDDEN: dict[str, tuple[Network, ...]] = {
    # before link-local, of which it is a part
    "metadata": _networks("169.254.169.254/32", "fd00:ec2::254/128", "100.100.100.200/32"),
    "link-local": _networks("169.254.0.0/16", "fe80::/10"),
    "unspecified": _networks("0.0.0.0/8", "::/128"),
    "multicast": _networks("224.0.0.0/4", "ff00::/8"),
    "broadcast": _networks("255.255.255.255/32"),
}
#: Dialled where the operator's settings open them, or for a Service of the own namespace.
_PRIVATE = _networks(
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "fec0::/10"
)
_LOOPBACK = _networks("127.0.0.0/8", "::1/128")
#: Dialled only where the operator's settings open them.
_RESERVED = _networks(
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
)
#: All of IPv6 that is handed out to be reached (RFC 4291 section 2.4).
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")


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
    allowed = policy.allowed_ports | DEFAULT_PORTS
    if port in allowed:
        return None
    return Denied(
        Reason.PORT_DENIED,
        f"Port {port} is not a port of mail: use one of {', '.join(map(str, sorted(allowed)))}, "
        "or have the operator's --allow-port name it.",
    )


def judge_addresses(
    host: str, addresses: Sequence[str], namespace: str, policy: DialPolicy
) -> Denied | None:
    """Return why a host may not be dialled, None if every address of it may.

    One denied address denies the name: which one is dialled would be up to whoever runs its DNS.
    The sentence names the kind of the address, never the address: it may tell of the inside.
    """
    for text in addresses:
        standing = _standing(text, policy)
        own = standing.kind == "private" and standing.openable and is_own_service(host, namespace)
        if not standing.allowed and not own:
            return _denied(host, standing.kind, openable=standing.openable)
    return None


class _Standing(NamedTuple):
    """What a policy says of an address; `openable`: the operator could allow it."""

    kind: str
    allowed: bool = False
    openable: bool = False


@lru_cache(maxsize=4096)
def _standing(text: str, policy: DialPolicy) -> _Standing:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return _Standing("unreadable")
    # A zone (fe80::1%eth0) names an interface of this machine: nothing that DNS could say.
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return _Standing("link-local")
    inner = unwrapped(address)
    for kind, networks in _FORBIDDEN.items():
        if _within(address, networks) or _within(inner, networks):
            return _Standing(kind)
    kind = _kind(inner)
    if _within(address, policy.denied_networks) or _within(inner, policy.denied_networks):
        return _Standing(kind)
    allowed = kind == "public" or _within(inner, policy.allowed_networks)
    return _Standing(kind, allowed, openable=True)


def _denied(host: str, kind: str, *, openable: bool) -> Denied:
    remedy = "use a public host or a Service of this namespace"
    if openable:
        remedy += ", or have the operator's --allow-cidr name the range"
    return Denied(
        Reason.ADDRESS_DENIED,
        f"{host} resolves to an address that may not be dialled ({kind}): {remedy}.",
    )


def unwrapped(address: Address) -> Address:
    """Return the IPv4 address inside a mapped, compatible, NAT64, 6to4 or Teredo one."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 0xFFFF):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
    return inner or address


def _kind(address: Address) -> str:
    """Say what an unwrapped address is that is not forbidden."""
    if _within(address, _LOOPBACK):
        return "loopback"
    if _within(address, _PRIVATE):
        return "private"
    special = isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST
    return "reserved" if special or _within(address, _RESERVED) else "public"


def is_own_service(host: str, namespace: str) -> bool:
    """Tell whether a host is a Service of the tenant's own namespace."""
    labels = host.split(".")
    return labels[1:3] == [namespace, "svc"] and labels[3:] in ([], ["cluster", "local"])


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == one.version and address in one for one in networks)
