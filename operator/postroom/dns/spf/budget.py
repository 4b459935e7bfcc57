# SPDX-License-Identifier: Apache-2.0
"""What evaluating a record can lead to in the worst case, over all branches and clients.

Static: apart from the count of one evaluation, which ends at the first match
(`postroom.dns.spf.evaluate`). Pure: the records that includes lead to are handed in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from postroom.dns.spf.evaluate import NAMES_LIMIT
from postroom.dns.spf.macro import fixed_end
from postroom.dns.spf.record import (
    COUNTED,
    LOOKUP_LIMIT,
    VOID_LOOKUP_LIMIT,
    Network,
    Record,
    Term,
    parse,
)

#: Counting goes on beyond the limit, so that one can say by how much, but ends one above this.
COUNT_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was found under a name that a record refers to.

    `texts` are the SPF records there (one is right); `missing` tells that the name has no TXT at
    all, which counts as a void lookup; `unknown` that it could not be looked at. `ipv4`, `ipv6`
    and `exchanges` are its addresses and the names of its mail exchangers, None where nobody
    looked: then nothing is said about voids of ``a``, ``mx`` and ``exists``. A name with macros of
    the message in it stands for all that these can make of it.
    """

    texts: tuple[str, ...] = ()
    missing: bool = False
    unknown: bool = False
    ipv4: tuple[str, ...] | None = None
    ipv6: tuple[str, ...] | None = None
    exchanges: tuple[str, ...] | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Cost:
    """A term that costs lookups, and what lies below it.

    `term` is as written, and `start` where it stands in its record; `name` is what it looks up,
    None where that depends on the message; `lookups` counts the term itself and all below.
    """

    term: str
    start: int
    name: str | None
    lookups: int
    children: tuple[Cost, ...] = ()

    @property
    def leads_to_record(self) -> bool:
        """Whether it is the record of that name that counts, and not its addresses."""
        return re.match(r"(?i)[+?~-]?(?:include:|redirect=)", self.term) is not None


@dataclass
class Reach:
    """What evaluating a record, with all that it includes, can lead to in the worst case.

    `includes` and `networks` are authorised whatever the client's address is. `void_lookups`
    counts the terms that find nothing for any client, `family_voids` those that find nothing for
    IPv4 and for IPv6 clients, `dependent_voids` those where it depends on the message. `broken`
    are the names whose records make the whole evaluation a permerror, `unknown` those not looked
    at, `loops` those that lead back to themselves, `overfull` those with too many exchangers.
    `dependent` are terms whose record depends on the message. `costs` is the tree of what costs
    lookups. `record`, `domain` and `sources` are what the walk began with.
    """

    lookups: int = 0
    void_lookups: int = 0
    includes: set[str] = field(default_factory=set)
    networks: list[Network] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    family_voids: tuple[int, int] = (0, 0)
    dependent_voids: int = 0
    loops: list[str] = field(default_factory=list)
    overfull: list[str] = field(default_factory=list)
    dependent: list[str] = field(default_factory=list)
    costs: tuple[Cost, ...] = ()
    record: Record = field(default=Record("", ()), repr=False)
    domain: str = ""
    sources: Mapping[str, Fetched] = field(default_factory=dict, repr=False)

    @property
    def most_voids(self) -> int:
        """The most lookups that can find nothing for one client and message."""
        return max(self.family_voids) + self.dependent_voids

    def within_limits(self) -> bool:
        """Whether receivers get through the record (section 4.6.4)."""
        return self.lookups <= LOOKUP_LIMIT and self.void_lookups <= VOID_LOOKUP_LIMIT


def canonical(name: str) -> str:
    """Write a name as it is compared: lowercase, without one trailing dot."""
    return name.removesuffix(".").lower()


def referred_names(
    text: str, domain: str = "", sender_domain: str | None = None
) -> tuple[str, ...]:
    """Return the names of includes and of the redirect that can be looked up beforehand.

    The domains are those of `postroom.dns.spf.record.parse`.
    """
    record = parse(text, canonical(domain), sender_domain)
    terms = [term for term in record.effective if term.name == "include"]
    terms += [] if record.redirect is None else [record.redirect]
    return tuple(term.target for term in terms if not term.varies)


def referred_hosts(
    text: str, domain: str, sender_domain: str | None = None
) -> tuple[tuple[str, str], ...]:
    """Return the mechanism (a, mx or exists) and name of what else can be looked up beforehand.

    The domains are those of `postroom.dns.spf.record.parse`. With the answers, `Fetched` can say
    which lookups find nothing.
    """
    found = (
        (term.name, term.target or canonical(domain))
        for term in parse(text, canonical(domain), sender_domain).effective
        if term.name in ("a", "mx", "exists") and not term.varies
    )
    return tuple(dict.fromkeys(found))


def referred_ends(text: str) -> tuple[tuple[str, str], ...]:
    """Return the names that depend on the message, with what each of them ends in, if in anything.

    Where that does not exist, none of them does, nor is anything below it (RFC 8020).
    """
    record = parse(text)
    terms = [*record.effective, *([] if record.redirect is None else [record.redirect])]
    found = ((term.target, fixed_end(term.domain)) for term in terms if "%" in term.domain)
    return tuple(dict.fromkeys((target, end) for target, end in found if end))


def reach(text: str, others: Mapping[str, Fetched], domain: str = "") -> Reach:
    """Walk a record and what it refers to, counting as RFC 7208 section 4.6.4 does.

    `domain` is the name of the record itself, and of the sender, if its own hosts are to be counted
    as well.
    """
    record = parse(text, canonical(domain))
    walk = _Walk(Reach(record=record, domain=canonical(domain), sources=others))
    walk.found.costs = tuple(walk.record(_Content.of(record), canonical(domain), True, ()))
    return walk.found


@dataclass(frozen=True, slots=True)
class _Content:
    """What of a record counts, sorted out once however often it is reached.

    With each term that is counted stands what it includes, if that has a name.
    """

    record: Record
    counted: tuple[tuple[Term, str | None], ...]
    networks: tuple[Network, ...]

    @classmethod
    def of(cls, record: Record) -> _Content:
        terms = tuple(record.effective)
        counted = tuple(term for term in terms if term.name in COUNTED)
        networks = tuple(term.network for term in terms if term.network is not None and term.passes)
        redirect = () if record.redirect is None else (record.redirect,)
        return cls(
            record, tuple((term, _included_by(term)) for term in counted + redirect), networks
        )


def _included_by(term: Term) -> str | None:
    return term.target if term.name == "include" and not term.varies else None


class _Walk:
    """One walk over the tree of records."""

    def __init__(self, found: Reach) -> None:
        self.found = found
        self._others = found.sources
        self._contents: dict[str, _Content] = {}
        self._refused: set[str] = set()
        self._listed: set[str] = set()

    def record(
        self, content: _Content, domain: str, authorising: bool, path: tuple[str, ...]
    ) -> Iterable[Cost]:
        """Count a record; `path` holds the names that led here, the nearest last."""
        if authorising and content.record.text not in self._listed:
            self._listed.add(content.record.text)
            self.found.networks += content.networks
        costs: list[Cost] = []
        for term, included in content.counted:
            passes = authorising and (term.passes or term.is_modifier)
            if included is not None:
                if passes and included not in self._refused:
                    self.found.includes.add(included)
                elif not path and not term.passes:
                    self._refused.add(included)
            if self.found.lookups <= COUNT_LIMIT:
                costs.append(self._cost(term, domain, passes, path))
        return costs

    def _cost(self, term: Term, domain: str, authorising: bool, path: tuple[str, ...]) -> Cost:
        before = self.found.lookups
        self.found.lookups += 1
        name = term.target or domain
        children: Iterable[Cost] = ()
        varies = term.varies and name not in self._others
        if varies:
            self.found.dependent_voids += 1
            if term.name in ("include", "redirect"):
                self.found.dependent.append(term.text)
        elif term.name in ("include", "redirect"):
            children = self._descend(name, authorising, path)
        else:
            self._count_voids(term, name)
        shown = None if varies or term.name == "ptr" else name
        return Cost(term.text, term.start, shown, self.found.lookups - before, tuple(children))

    def _descend(self, name: str, authorising: bool, path: tuple[str, ...]) -> Iterable[Cost]:
        if name in path and name not in self.found.loops:
            self.found.loops.append(name)
        # Every step down has cost a lookup, so no record is walked deeper than evaluation could go.
        if len(path) > LOOKUP_LIMIT:
            return ()
        there = self._others.get(name)
        if there is None or there.unknown:
            self.found.unknown.append(name)
            return ()
        if there.missing:
            self._add_voids(1, 1)
        content = self._content(name, there.texts[0]) if len(there.texts) == 1 else None
        if content is None or content.record.errors:
            self.found.broken.append(name)
            return ()
        return self.record(content, name, authorising, (*path, name))

    def _content(self, name: str, text: str) -> _Content:
        if name not in self._contents:
            self._contents[name] = _Content.of(parse(text, name, self.found.domain))
        return self._contents[name]

    def _count_voids(self, term: Term, name: str) -> None:
        there = self._others.get(name, Fetched())
        if term.name == "ptr":
            self.found.dependent_voids += 1
        elif term.name == "exists":
            void = there.ipv4 == ()
            self._add_voids(void, void)
        elif term.name == "a":
            self._add_voids(there.ipv4 == (), there.ipv6 == ())
        elif there.exchanges is not None:
            if len(there.exchanges) > NAMES_LIMIT:
                self.found.overfull.append(name)
            names = filter(None, map(canonical, there.exchanges))
            hosts = [self._others.get(exchange, Fetched()) for exchange in names]
            empty = not there.exchanges
            self._add_voids(
                empty or any(host.ipv4 == () for host in hosts),
                empty or any(host.ipv6 == () for host in hosts),
            )

    def _add_voids(self, four: int, six: int) -> None:
        self.found.void_lookups += bool(four and six)
        had = self.found.family_voids
        self.found.family_voids = had[0] + bool(four), had[1] + bool(six)
