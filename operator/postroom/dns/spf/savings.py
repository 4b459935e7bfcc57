# SPDX-License-Identifier: Apache-2.0
"""Terms that cost lookups and are worth little: what to take out of a record that is too dear."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from postroom.dns.spf.budget import COUNT_LIMIT, Cost, Fetched, Reach, canonical, reach
from postroom.dns.spf.record import Record, Term, network, parse


class Worth(StrEnum):
    """Why a term can go. The first four change nothing for anyone; the rest is to be confirmed."""

    DUPLICATE = "Duplicate"  # the same mechanism stands before it
    DEAD_INCLUDE = "DeadInclude"  # no single valid record there: permerror
    NO_ADDRESS = "NoAddress"  # an a, mx or exists that finds nothing
    COVERED = "Covered"  # its addresses are authorised by ip4 or ip6 terms
    REACHED_TWICE = "ReachedTwice"  # an include before it already leads there
    PTR = "Ptr"  # RFC 7208 section 5.5 says not to use it
    HOST_THAT_MAY_NOT_SEND = "HostThatMayNotSend"  # an a or mx


_CERTAIN = frozenset({Worth.DUPLICATE, Worth.DEAD_INCLUDE, Worth.NO_ADDRESS, Worth.COVERED})
_SENTENCES = {
    Worth.DUPLICATE: "repeats a mechanism before it",
    Worth.REACHED_TWICE: "leads to what an include before it leads to",
    Worth.DEAD_INCLUDE: "leads to no single valid SPF record",
    Worth.NO_ADDRESS: "finds no address",
    Worth.COVERED: "only finds addresses that ip4 or ip6 terms authorise",
    Worth.PTR: "is not to be used (RFC 7208 section 5.5)",
    Worth.HOST_THAT_MAY_NOT_SEND: "is of use only if that host sends mail itself",
}


@dataclass(frozen=True, slots=True)
class Saving:
    """A term, where it stands, and how many lookups the record saves without it."""

    term: str
    start: int
    lookups: int
    worth: Worth

    @property
    def sentence(self) -> str:
        """What is to be said of the term, to follow its text."""
        return _SENTENCES[self.worth]

    @property
    def certain(self) -> bool:
        """Whether nobody who passes now would fail without it."""
        return self.worth in _CERTAIN


def savings(text: str, others: Mapping[str, Fetched], domain: str = "") -> tuple[Saving, ...]:
    """Return what can be taken out of a record: what is certain, then what saves most, first.

    Only the first `COUNT_LIMIT` terms that cost lookups are looked at.
    """
    record, found = parse(text), reach(text, others, domain)
    costs = {one.start: one for one in found.costs[:COUNT_LIMIT]}
    made = [
        Saving(term.text, term.start, costs[term.start].lookups, worth)
        for term, worth in _worths(record, found, costs, canonical(domain))
    ]
    return tuple(sorted(made, key=lambda one: (not one.certain, -one.lookups, one.start)))


def _worths(
    record: Record, found: Reach, costs: Mapping[int, Cost], domain: str
) -> Iterator[tuple[Term, Worth]]:
    keys: set[object] = set()
    led_to: set[str] = set()
    for term in record.effective:
        if term.start not in costs:
            continue
        if term.key in keys:
            yield term, Worth.DUPLICATE
            continue
        keys.add(term.key)
        if term.name == "ptr":
            yield term, Worth.PTR
        elif term.name == "include":
            if term.target in found.broken:
                yield term, Worth.DEAD_INCLUDE
            elif term.passes and term.target in led_to:
                yield term, Worth.REACHED_TWICE
            if term.passes:
                led_to.update(_authorised_below(costs[term.start]))
        elif term.name in ("a", "mx", "exists"):
            worth = _worth_of_host(term, record, found.sources, domain)
            if worth is not None:
                yield term, worth


def _authorised_below(cost: Cost) -> Iterator[str]:
    """Yield the names of the includes that an include leads to, itself left out."""
    for one in cost.children:
        qualifier, found, _name = one.term.lower().partition("include:")
        if one.name is not None and found and qualifier in ("", "+"):
            yield one.name
        if not found or qualifier in ("", "+"):
            yield from _authorised_below(one)


def _worth_of_host(
    term: Term, record: Record, others: Mapping[str, Fetched], domain: str
) -> Worth | None:
    there = others.get(term.target or domain)
    addresses = None if there is None or "%" in term.target else _addresses(term, there, others)
    if addresses == []:
        return Worth.NO_ADDRESS
    if term.name == "exists":
        return None
    whole = term.prefix4 == 32 and term.prefix6 == 128
    if addresses and whole and term.passes and _all_covered(addresses, record):
        return Worth.COVERED
    return Worth.HOST_THAT_MAY_NOT_SEND


def _addresses(term: Term, there: Fetched, others: Mapping[str, Fetched]) -> Sequence[str] | None:
    """Return the addresses that a term finds, None if they are not all known."""
    hosts = [there]
    if term.name == "mx":
        if there.exchanges is None:
            return None
        hosts = [others.get(canonical(one), Fetched()) for one in there.exchanges if one]
    found: list[str] = []
    for host in hosts:
        if host.ipv4 is None or (host.ipv6 is None and term.name != "exists"):
            return None
        found += [*host.ipv4, *(host.ipv6 or ())]
    return found


def _all_covered(addresses: Sequence[str], record: Record) -> bool:
    """Tell whether terms of the record itself, none of which refuses anyone, authorise them all."""
    if any(not one.passes and one.name != "all" for one in record.effective):
        return False
    nets = [one.network for one in record.effective if one.network is not None]
    made: list[IPv4Address | IPv6Address] = []
    for text in addresses:
        single = network("ip6" if ":" in text else "ip4", text)
        if single is None:
            return False
        made.append(single.network_address)
    return all(any(one in net for net in nets) for one in made)
