# SPDX-License-Identifier: Apache-2.0
"""A zone as data, and what it says of a name (RFC 1034 section 4.3.2, RFC 4592, RFC 6672)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto

from dns.rdatatype import AAAA, CNAME, DNAME, DS, NS, SOA, A

from dnsworld.names import (
    NAME_LIMIT,
    Name,
    and_ancestors,
    is_within,
    name_of,
    parent,
    text_of,
)
from dnsworld.rdata import (
    Rdata,
    RRset,
    first_target,
    presentation,
    rdata_of,
    strings,
    type_of,
    type_text,
    value_text,
)

_WILDCARD = b"\x01*"

#: A value as people give it: text as `rdata_of` reads it, or the exact strings of a TXT record.
Value = str | tuple[bytes, ...] | Rdata


class Found(Enum):
    """What a zone has for a question."""

    ANSWER = auto()
    ALIAS = auto()
    NO_DATA = auto()
    NX_DOMAIN = auto()
    REFERRAL = auto()
    TOO_LONG = auto()  # a DNAME makes a name that cannot exist (RFC 6672 section 2.2)


@dataclass(frozen=True, slots=True)
class Lookup:
    """The result of one step: records, and where an alias leads.

    `empty` marks a name that exists only because of names below it.
    """

    found: Found
    rrsets: tuple[RRset, ...] = ()
    target: Name | None = None
    empty: bool = False


class Zone:
    """The records at and below an apex. Every change raises the serial.

    `ttl` is that of new records, `minimum` the TTL of denials (RFC 2308), in seconds. `primary`
    is the name of the primary server in the SOA.
    """

    def __init__(
        self, apex: str, *, ttl: int = 300, minimum: int = 300, primary: str = "", serial: int = 1
    ) -> None:
        self.apex = name_of(apex)
        self.ttl, self.minimum, self.serial = ttl, minimum, serial
        self.primary = primary or "invalid"
        self._nodes: dict[Name, dict[int, RRset]] = {self.apex: {}}
        self._below: Counter[Name] = Counter()
        self._renew()

    def __repr__(self) -> str:
        return f"Zone({text_of(self.apex)!r}, serial={self.serial})"

    # Changing ------------------------------------------------------------------------------------

    def add(self, name: str, kind: str, value: Value, ttl: int | None = None) -> None:
        """Add a record, unless it is there. Raises `ValueError` for a name outside the zone."""
        owner, number = name_of(name), type_of(kind)
        if not is_within(owner, self.apex):
            raise ValueError(f"{name} is not within {text_of(self.apex)}.")
        data = _data(number, value)
        node = self._nodes.get(owner)
        if node is None:
            node = self._nodes[owner] = {}
            self._count(owner, 1)
        had = node.get(number)
        if had is None:
            node[number] = RRset(owner, number, self.ttl if ttl is None else ttl, (data,))
        elif data not in had.data:
            kept = had.ttl if ttl is None else ttl
            node[number] = RRset(owner, number, kept, (*had.data, data))
        self.bump()

    def remove(self, name: str, kind: str, value: Value | None = None) -> bool:
        """Remove one record, or all of the name and type; tell whether there was one."""
        owner, number = name_of(name), type_of(kind)
        node = self._nodes.get(owner, {})
        had = node.get(number)
        if had is None or number == SOA:
            return False
        data = None if value is None else _data(number, value)
        left = tuple(one for one in had.data if data is not None and one != data)
        if len(left) == len(had.data):
            return False
        if left:
            node[number] = replace(had, data=left)
        else:
            del node[number]
        if not node:
            del self._nodes[owner]
            self._count(owner, -1)
        self.bump()
        return True

    def replace(self, name: str, kind: str, *values: Value, ttl: int | None = None) -> None:
        """Put these records in the place of all of the name and type."""
        self.remove(name, kind)
        for value in values:
            self.add(name, kind, value, ttl)

    def bump(self) -> None:
        """Raise the serial."""
        self.serial += 1
        self._renew()

    def copy(self) -> Zone:
        """A copy that later changes do not touch."""
        other = object.__new__(Zone)
        other.__dict__.update(self.__dict__)
        other._nodes = {name: dict(node) for name, node in self._nodes.items()}
        other._below = Counter(self._below)
        return other

    def _count(self, owner: Name, by: int) -> None:
        while owner != self.apex:
            owner = parent(owner)
            self._below[owner] += by

    def _renew(self) -> None:
        numbers = (self.serial, 7200, 900, 1209600, self.minimum)
        tail = b"".join(number.to_bytes(4, "big") for number in numbers)
        data = Rdata(names=(name_of(self.primary), name_of("hostmaster.invalid")), tail=tail)
        self._nodes[self.apex][SOA] = RRset(self.apex, SOA, self.ttl, (data,))

    # Reading -------------------------------------------------------------------------------------

    def values(self, name: str, kind: str) -> list[str]:
        """The values at a name, as `value_text` writes them."""
        number = type_of(kind)
        found = self._nodes.get(name_of(name), {}).get(number)
        return [value_text(number, one) for one in found.data] if found else []

    def rrset(self, name: Name, kind: int) -> RRset | None:
        """The records of exactly this name and type."""
        return self._nodes.get(name, {}).get(kind)

    def records(self) -> Iterator[tuple[str, str, Rdata]]:
        """Yield every record but SOA as (name, type, data)."""
        for owner, node in self._nodes.items():
            for number, rrset in node.items():
                if number != SOA:
                    for data in rrset.data:
                        yield text_of(owner), type_text(number), data

    def to_text(self) -> str:
        """The zone as a zone file, SOA first, the rest sorted."""
        lines = [
            f"{text_of(owner)}. {rrset.ttl} IN {type_text(number)} {presentation(number, data)}"
            for owner, node in self._nodes.items()
            for number, rrset in node.items()
            for data in rrset.data
        ]
        return "\n".join(sorted(lines, key=lambda line: (" IN SOA " not in line, line))) + "\n"

    def types_at(self, name: str) -> list[str]:
        """The types that have records at a name, sorted; SOA left out."""
        node = self._nodes.get(name_of(name), {})
        return sorted(type_text(number) for number in node if number != SOA)

    def longest_ttl(self) -> int:
        """The longest time in seconds that anything this zone says may be kept."""
        ttls = (rrset.ttl for node in self._nodes.values() for rrset in node.values())
        return max(self.minimum, *ttls)

    @property
    def soa(self) -> RRset:
        """The SOA record as the apex shows it."""
        return self._nodes[self.apex][SOA]

    @property
    def denial(self) -> RRset:
        """The SOA record as a denial carries it (RFC 2308 section 3)."""
        return replace(self.soa, ttl=min(self.soa.ttl, self.minimum))

    def glue(self, hosts: RRset) -> list[RRset]:
        """The addresses that this zone holds for the targets of NS or MX records."""
        found = (
            self.rrset(name, kind)
            for data in hosts.data
            for name in data.names
            for kind in (A, AAAA)
        )
        return [rrset for rrset in found if rrset is not None]

    def lookup(self, name: Name, kind: int, *, alias_hides: bool = False) -> Lookup:
        """Say what the zone has for a name within it, one step far.

        `alias_hides`: a CNAME wins over other records at its name, as with some servers.
        """
        for node_name in reversed(
            [ancestor for ancestor in and_ancestors(name) if len(ancestor) >= len(self.apex)]
        ):
            node = self._nodes.get(node_name)
            if node is None:
                continue
            cut = node.get(NS) if node_name != self.apex else None
            if cut is not None and not (node_name == name and kind == DS):
                return Lookup(Found.REFERRAL, (cut,))
            if DNAME in node and node_name != name:
                return _redirected(node[DNAME], name)
        node = self._nodes.get(name)
        if node is not None:
            return _at(node, name, kind, alias_hides)
        if self._below[name]:
            return Lookup(Found.NO_DATA, empty=True)
        return self._synthesize(name, kind, alias_hides)

    def _synthesize(self, name: Name, kind: int, alias_hides: bool) -> Lookup:
        """Answer for a name that is not there from the wildcard at its closest encloser."""
        encloser = parent(name)
        while encloser not in self._nodes and not self._below[encloser]:
            encloser = parent(encloser)
        wildcard = _WILDCARD + encloser
        node = self._nodes.get(wildcard)
        if node is not None:
            return _at(node, name, kind, alias_hides)
        if self._below[wildcard]:
            return Lookup(Found.NO_DATA, empty=True)
        return Lookup(Found.NX_DOMAIN)


def _data(number: int, value: Value) -> Rdata:
    match value:
        case str():
            return rdata_of(number, value)
        case tuple():
            return strings(*value)
        case Rdata():
            return value


def _at(node: dict[int, RRset], name: Name, kind: int, alias_hides: bool) -> Lookup:
    alias = node.get(CNAME) if kind != CNAME else None
    exact = node.get(kind)
    if exact is not None and not (alias_hides and alias is not None):
        return Lookup(Found.ANSWER, (_owned(exact, name),))
    if alias is not None:
        return Lookup(Found.ALIAS, (_owned(alias, name),), first_target(alias))
    return Lookup(Found.NO_DATA)


def _owned(rrset: RRset, name: Name) -> RRset:
    return rrset if rrset.owner == name else replace(rrset, owner=name)


def _redirected(dname: RRset, name: Name) -> Lookup:
    """Rewrite the end of a name, with the CNAME that tells so (RFC 6672 section 3.1)."""
    target = name[: len(name) - len(dname.owner)] + first_target(dname)
    if len(target) > NAME_LIMIT:
        return Lookup(Found.TOO_LONG, (dname,))
    alias = RRset(name, CNAME, dname.ttl, (Rdata(names=(target,)),))
    return Lookup(Found.ALIAS, (dname, alias), target)
