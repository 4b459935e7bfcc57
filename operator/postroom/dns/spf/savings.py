# SPDX-License-Identifier: Apache-2.0
"""Terms that cost lookups and are worth little: what to take out of a record that is too dear."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from postroom.dns.spf.budget import COUNT_LIMIT, Cost, Fetched, Reach, canonical, reach
from postroom.dns.spf.passing import EVERYONE, Passing, networks_of, passing
from postroom.dns.spf.record import VOID_LOOKUP_LIMIT, Network, Record, Term, parse
from postroom.dns.spf.repair import apply, removal


class Worth(StrEnum):
    """Why a term can go. The first four change nothing for anyone; the rest is to be confirmed."""

    DUPLICATE = "Duplicate"  # the same mechanism stands before it
    DEAD_INCLUDE = "DeadInclude"  # no single valid record there: permerror
    NO_ADDRESS = "NoAddress"  # an a, mx or exists that finds nothing
    COVERED = "Covered"  # its addresses are authorised by other terms
    COVERED_ONCE_SOUND = "CoveredOnceSound"  # the same, as soon as receivers get through the record
    REACHED_TWICE = "ReachedTwice"  # an include before it already leads there
    PTR = "Ptr"  # RFC 7208 section 5.5 says not to use it
    HOST_THAT_MAY_NOT_SEND = "HostThatMayNotSend"  # an a or mx


_CERTAIN = frozenset({Worth.DUPLICATE, Worth.DEAD_INCLUDE, Worth.NO_ADDRESS, Worth.COVERED})
_SENTENCES = {
    Worth.DUPLICATE: "repeats a mechanism before it",
    Worth.REACHED_TWICE: "leads to what an include before it leads to",
    Worth.DEAD_INCLUDE: "leads to no single valid SPF record",
    Worth.NO_ADDRESS: "finds no address",
    Worth.COVERED: "only finds addresses that other terms authorise",
    Worth.COVERED_ONCE_SOUND: "only finds addresses that other terms authorise",
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
    found = reach(text, others, domain)
    costs = {cost.start: cost for cost in found.costs[:COUNT_LIMIT]}
    made = [
        Saving(term.text, term.start, costs[term.start].lookups, worth)
        for term, worth in _worths(found, costs, canonical(domain))
    ]
    return tuple(
        sorted(made, key=lambda saving: (not saving.certain, -saving.lookups, saving.start))
    )


def _worths(found: Reach, costs: Mapping[int, Cost], domain: str) -> Iterator[tuple[Term, Worth]]:
    keys: set[object] = set()
    led_to: set[str] = set()
    for term in found.record.effective:
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
            worth = _worth_of_host(term, found.record, found.sources, domain)
            if worth is not None:
                yield term, worth


def _authorised_below(cost: Cost) -> Iterator[str]:
    """Yield the names of the includes that an include leads to, itself left out."""
    for child in cost.children:
        qualifier, found, _name = child.term.lower().partition("include:")
        if child.name is not None and found and qualifier in ("", "+"):
            yield child.name
        if not found or qualifier in ("", "+"):
            yield from _authorised_below(child)


def _worth_of_host(
    term: Term, record: Record, others: Mapping[str, Fetched], domain: str
) -> Worth | None:
    if term.name == "exists":
        there = others.get(term.target, Fetched())
        return Worth.NO_ADDRESS if there.ipv4 == () else None
    families = [networks_of(term, version, others, domain) for version in EVERYONE]
    found = [network for networks in families for network in networks or ()]
    if None not in families and not found:
        return Worth.NO_ADDRESS
    if None in families or not term.passes:
        return Worth.HOST_THAT_MAY_NOT_SEND
    return _worth_beside_others(term, found, record, others, domain)


def _worth_beside_others(
    term: Term,
    networks: Sequence[Network],
    record: Record,
    others: Mapping[str, Fetched],
    domain: str,
) -> Worth:
    """Whether all whom a term admits pass without it."""
    rest = parse(apply(record.text, [removal(term.start, term.text, "")]), domain)
    if any(passing(rest, network, others, domain) is not Passing.ALL for network in networks):
        return Worth.HOST_THAT_MAY_NOT_SEND
    # They pass by what may stand behind a term at which receivers give up.
    found = reach(rest.text, others, domain)
    faults = (*rest.errors, *found.broken, *found.unknown, *found.overfull, *found.loops)
    if faults or not found.within_limits() or found.most_voids > VOID_LOOKUP_LIMIT:
        return Worth.COVERED_ONCE_SOUND
    return Worth.COVERED
