# SPDX-License-Identifier: Apache-2.0
"""The dial guard: which addresses and ports may be connected to at all.

A spec names a host that somebody else may control; without a guard the operator would be a port
scanner inside the cluster for anyone who may write a MailServer.

The ranges are written out, after the IANA special-purpose address registries: what
`ipaddress.is_global` says of them differs between versions of Python.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple

from postroom.api import data_files
from postroom.api.finding_texts import in_full
from postroom.api.hosts import AliasedAddresses
from postroom.api.reasons import Reason
from postroom.mail.connect import services

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: The ports of mail (RFC 8314, and those that providers offer where networks block these).
DEFAULT_PORTS = frozenset({25, 143, 465, 587, 993, 2465, 2525, 2587})


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


_LINK_LOCAL = _networks("169.254.0.0/16", "fe80::/10")
#: Never dialled, whatever the operator's settings say, by what they are; beside `_NeverDialled`.
_FORBIDDEN: dict[str, tuple[Network, ...]] = {
    "link-local": _LINK_LOCAL,
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
#: How long a translator's own prefix may be (RFC 6052 section 2.2).
_NAT64_LENGTHS = (32, 40, 48, 56, 64, 96)
#: The bits that are zero then: the octet u, and the suffix behind the IPv4 address.
_ZERO_BITS = {96: 0xFF << 56} | {
    length: 0xFF << 56 | (1 << 88 - length) - 1 for length in _NAT64_LENGTHS if length < 96
}
#: For translators of one's own (RFC 8215); where in an address they put IPv4 is up to its prefix.
_OWN_NAT64 = IPv6Network("64:ff9b:1::/48")
_COMPATIBLE = IPv6Network("::/96")
_TRANSLATED = IPv6Network("::ffff:0:0:0/96")
#: The interface identifiers of ISATAP (RFC 5214 section 6.1), above 32 bits of IPv4.
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})


class _SourcedRow(data_files.Row):
    """An address or name that is never dialled, what is there, and who says so."""

    source: str


class _NetworkRow(_SourcedRow):
    network: str
    what: str


class _HostRow(_SourcedRow):
    host: str


class _NeverDialled(data_files.Row):
    networks: tuple[_NetworkRow, ...]
    hosts: tuple[_HostRow, ...]

    @cached_property
    def metadata(self) -> tuple[Network, ...]:
        """Where the metadata services of clouds listen."""
        return _networks(*(row.network for row in self.networks))

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(row.host for row in self.hosts)


@cache
def _never_dialled() -> _NeverDialled:
    return data_files.read("postroom.mail.connect", "never_dialled.yaml", _NeverDialled)


@dataclass(frozen=True, slots=True)
class DialPolicy:
    """What the operator's settings allow. `allowed_networks` opens private and loopback ranges;
    `allowed_ports` are those of `DEFAULT_PORTS` and more; `denied_networks` hold the API server.
    `cluster_domains` are those that Services are below, ours first."""

    allowed_networks: tuple[Network, ...] = ()
    allowed_ports: frozenset[int] = DEFAULT_PORTS
    denied_networks: tuple[Network, ...] = ()
    cluster_domains: tuple[str, ...] = (services.USUAL_DOMAIN,)


@dataclass(frozen=True, slots=True)
class Denied:
    """Why a target may not be dialled: `wrong`, and `fix` as in `postroom.mail.report`."""

    reason: Reason
    wrong: str
    fix: str

    @property
    def sentence(self) -> str:
        """What is wrong and what to do, in one text."""
        return in_full(self.wrong, self.fix)


def judge_port(port: int, policy: DialPolicy) -> Denied | None:
    """Return why a port may not be dialled, None if it may."""
    if port in DEFAULT_PORTS or port in policy.allowed_ports:
        return None
    allowed = policy.allowed_ports | DEFAULT_PORTS
    return Denied(
        Reason.PORT_DENIED,
        f"Port {port} is not a port of mail:",
        f"use one of {', '.join(map(str, sorted(allowed)))}, or have the operator's --allow-port "
        "name it.",
    )


def judge_addresses(
    host: str, addresses: Sequence[str], namespace: str, policy: DialPolicy
) -> Denied | None:
    """Return why a host may not be dialled, None if every address of it may.

    One denied address denies the name: which one is dialled would be up to whoever runs its DNS.
    The sentence names the kind of the address, never the address: it may tell of the inside.
    A Service of type ExternalName is an alias: where that leads is no Service of the namespace.
    """
    itself = not isinstance(addresses, AliasedAddresses)
    own_service = itself and services.is_own_service(host, namespace, policy.cluster_domains)
    if services.in_short(host, policy.cluster_domains) in _never_dialled().names:
        return _denied(host, "metadata", openable=False)
    for text in addresses:
        standing = _standing(text, policy)
        own = standing.kind == "private" and standing.openable and own_service
        if not standing.allowed and not own:
            return _denied(host, standing.kind, openable=standing.openable)
    return None


def may_dial(address: str, policy: DialPolicy) -> bool:
    """Whether an address may be dialled that no Service of a namespace stands for."""
    return _standing(address, policy).allowed


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
    # The IPv4 address inside stands for one that only carries it.
    stands_for = (unwrapped(address), *embedded(address))
    disguises = (address, *stands_for)
    metadata = _never_dialled().metadata
    if any(_within(disguise, metadata) for disguise in (*disguises, *_perhaps(address))):
        return _Standing("metadata")
    perhaps = (*disguises, *_perhaps(address, well_formed=True))
    for kind, networks in _FORBIDDEN.items():
        judged = perhaps if networks is _LINK_LOCAL else disguises
        if any(_within(disguise, networks) for disguise in judged):
            return _Standing(kind)
    kind = next(
        (inner_kind for inner_kind in map(_kind, stands_for) if inner_kind != "public"), "public"
    )
    if any(_within(disguise, policy.denied_networks) for disguise in perhaps):
        return _Standing(kind)
    allowed = all(
        _kind(stand) == "public" or _within(stand, policy.allowed_networks) for stand in stands_for
    )
    return _Standing(kind, allowed, openable=True)


def _denied(host: str, kind: str, *, openable: bool) -> Denied:
    remedy = "use a public host or a Service of this namespace"
    if openable:
        remedy += ", or have the operator's --allow-cidr name the range"
    return Denied(
        Reason.ADDRESS_DENIED,
        f"{host} resolves to an address that may not be dialled ({kind}):",
        f"{remedy}.",
    )


def embedded(address: Address) -> tuple[IPv4Address, ...]:
    """Return every IPv4 address that a packet to this one may be turned into, or sent through."""
    if isinstance(address, IPv4Address):
        return ()
    number = int(address)
    low = IPv4Address(number & 0xFFFFFFFF)
    found = list[IPv4Address]()
    if address in _NAT64 or address in _TRANSLATED:
        found.append(low)
    if address in _COMPATIBLE and number > 0xFFFF:
        found.append(low)
    if number >> 32 & 0xFFFFFFFF in _ISATAP:
        found.append(low)
    server, client = address.teredo or (None, None)
    found += [inner for inner in (address.ipv4_mapped, address.sixtofour, server, client) if inner]
    return tuple(found)


def translated(address: IPv6Address, prefix_length: int) -> IPv4Address:
    """Return the IPv4 address that a translator with a prefix of this length reads.

    RFC 6052 section 2.2: the 32 bits after the prefix, around bits 64 to 71 (the octet u, which
    must be zero; a translator need not look at it), whatever the suffix after them holds.
    """
    number = int(address)
    if prefix_length == 96:
        return IPv4Address(number & 0xFFFFFFFF)
    around = number >> 64 << 56 | number & (1 << 56) - 1  # 120 bits, without the octet u
    return IPv4Address(around >> 120 - prefix_length - 32 & 0xFFFFFFFF)


def _perhaps(address: Address, *, well_formed: bool = False) -> tuple[IPv4Address, ...]:
    """Return what an address may be turned into by a translator of which we cannot know.

    A network may give its own any prefix of any of the six lengths (RFC 6052 section 2.2). That is
    no reason to deny an address, but where metadata would be reached: nobody's own interface is
    numbered so. `well_formed` leaves out what that section does not write so: with something in
    the octet u, or in the suffix.
    """
    if isinstance(address, IPv4Address):
        return ()
    anything = not well_formed or address in _OWN_NAT64
    number = int(address)
    return tuple(
        translated(address, length)
        for length in _NAT64_LENGTHS
        if anything or not number & _ZERO_BITS[length]
    )


def unwrapped(address: Address) -> Address:
    """Return the IPv4 address inside a mapped, compatible, NAT64, 6to4 or Teredo one."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 0xFFFF):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
    return inner or address


def same_for_all_spellings(address: str) -> str:
    """What an address is counted under: one in IPv4 has several spellings in IPv6, which whoever
    runs a zone may publish, and all of which reach one server."""
    return str(unwrapped(ipaddress.ip_address(address)))


def _kind(address: Address) -> str:
    """What an unwrapped address is that is not forbidden."""
    if _within(address, _LOOPBACK):
        return "loopback"
    if _within(address, _PRIVATE):
        return "private"
    special = isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST
    return "reserved" if special or _within(address, _RESERVED) else "public"


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
