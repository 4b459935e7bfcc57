# SPDX-License-Identifier: Apache-2.0
"""Which addresses pass: evaluation for sets of addresses instead of a single one.

It decides as `postroom.dns.spf.evaluate` does, term by term in their order, and leaves the limits
and the errors of others' records to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from postroom.dns.spf.budget import Fetched, canonical
from postroom.dns.spf.record import LOOKUP_LIMIT, Network, Record, Term, network, parse
from postroom.dns.spf.spans import Span, Spans, span_of, take_all, united


class Passing(Enum):
    """How much of a block passes."""

    ALL = "all"
    NONE = "none"
    SOME = "some"
    UNCLEAR = "unclear"  # it depends on the message, or on what nobody looked at


@dataclass(frozen=True, slots=True)
class Passed:
    """The addresses of a set that pass whatever the message is.

    `unclear` tells that more of them may, which depends on the message or on what nobody saw;
    `unseen` names the hosts and records among that whose lookup failed.
    """

    spans: Spans
    unclear: bool = False
    unseen: frozenset[str] = frozenset()


#: All addresses, by version.
EVERYONE: Mapping[int, Spans] = {4: ((0, 2**32 - 1),), 6: ((0, 2**128 - 1),)}


def passed(
    record: Record,
    version: int,
    others: Mapping[str, Fetched],
    domain: str = "",
    among: Spans | None = None,
) -> Passed:
    """Tell which addresses pass, of all those of an IP version or of some.

    `record` is parsed for `domain`. A term that refuses where that cannot be told in advance, such
    as one that asks a block list, is taken as one that does not match.
    """
    region = EVERYONE[version] if among is None else among
    return _Passing(version, others, region, canonical(domain)).passed(record, canonical(domain), 0)


def passing(
    record: Record, block: Network, others: Mapping[str, Fetched], domain: str = ""
) -> Passing:
    """Tell how much of a block passes, as far as `others` tells."""
    whole = (span_of(block),)
    found = passed(record, block.version, others, domain, whole)
    if found.spans == whole:
        return Passing.ALL
    if found.spans:
        return Passing.SOME
    return Passing.UNCLEAR if found.unclear else Passing.NONE


def matched_by(
    record: Record, version: int, others: Mapping[str, Fetched], domain: str, among: Spans
) -> tuple[tuple[Term, Spans], ...]:
    """Tell of each term that admits, but ``all``, whom of these addresses it matches by itself."""
    look = _Passing(version, others, among, canonical(domain))
    terms = [term for term in record.effective if term.passes and term.name != "all"]
    terms += [] if record.redirect is None else [record.redirect]
    return tuple((term, look.matched(term, canonical(domain))) for term in terms)


def networks_of(
    term: Term, version: int, others: Mapping[str, Fetched], domain: str
) -> tuple[Network, ...] | None:
    """Return the networks that an a or mx stands for, None if its addresses are not known."""
    hosts = hosts_of(term, others, domain)
    if hosts is None:
        return None
    kind, prefix = ("ip4", term.prefix4) if version == 4 else ("ip6", term.prefix6)
    made: list[Network] = []
    for host in hosts:
        there = others.get(host, Fetched())
        addresses = there.ipv4 if version == 4 else there.ipv6
        if addresses is None:
            return None
        found = (network(kind, f"{address}/{prefix}") for address in addresses)
        made += [cidr for cidr in found if cidr is not None]
    return tuple(made)


def hosts_of(term: Term, others: Mapping[str, Fetched], domain: str) -> tuple[str, ...] | None:
    """Return the names whose addresses an a or mx stands for, None if that is not known."""
    name = term.target or canonical(domain)
    if term.varies and name not in others:
        return None
    if term.name == "a":
        return (name,)
    exchanges = others.get(name, Fetched()).exchanges
    if exchanges is None:
        return None
    # The exchange of a null MX is the root, which has no address (RFC 7505).
    return tuple(host for host in map(canonical, exchanges) if host)


class _Passing:
    """The evaluation for the addresses of a region; every record is evaluated once."""

    def __init__(
        self, version: int, others: Mapping[str, Fetched], region: Spans, sender_domain: str
    ) -> None:
        self._version = version
        self._others = others
        self._region = region
        self._sender_domain = sender_domain
        self._known: dict[str, Passed] = {}

    def passed(self, record: Record, domain: str, depth: int) -> Passed:
        left, through = list(self._region), list[Span]()
        unclear, unseen = False, frozenset[str]()
        for term in record.effective:
            matched = self._matched(term, domain, depth)
            if term.passes and left:
                unclear, unseen = unclear or matched.unclear, unseen | matched.unseen
            hit = take_all(left, matched.spans)
            through += hit if term.passes else []
        if record.redirect is not None and left:
            rest = self._record_at(record.redirect.target, depth)
            unclear, unseen = unclear or rest.unclear, unseen | rest.unseen
            through += take_all(left, rest.spans)
        return Passed(united(through), unclear, unseen)

    def matched(self, term: Term, domain: str) -> Spans:
        """Whom of the region a term of the record itself matches, whatever stands before it."""
        if term.name == "redirect":
            return self._record_at(term.target, 0).spans
        return united(take_all(list(self._region), self._matched(term, domain, 0).spans))

    def _matched(self, term: Term, domain: str, depth: int) -> Passed:
        match term.name:
            case "all":
                return Passed(self._region)
            case "ip4" | "ip6":
                own = term.network is not None and term.network.version == self._version
                return self._of_networks((term.network,) if own and term.network else ())
            case "include":
                return self._record_at(term.target, depth)
            case "a" | "mx":
                found = networks_of(term, self._version, self._others, domain)
                if found is not None:
                    return self._of_networks(found)
                hosts = (term.target or domain, *(hosts_of(term, self._others, domain) or ()))
                failed = {host for host in hosts if self._others.get(host, Fetched()).failed}
                return Passed((), unclear=True, unseen=frozenset(failed))
            case "exists":
                addresses = self._others.get(term.target, Fetched()).ipv4
                if addresses is not None:
                    return Passed(self._region if addresses else ())
        return Passed((), unclear=True)

    def _of_networks(self, networks: tuple[Network, ...]) -> Passed:
        return Passed(united(map(span_of, networks)))

    def _record_at(self, name: str, depth: int) -> Passed:
        there = self._others.get(name)
        if there is None or there.unknown:
            return Passed((), unclear=True)
        if len(there.texts) != 1 or depth > LOOKUP_LIMIT:
            return Passed(())
        if name not in self._known:
            # A record that leads back to itself authorises nobody by that.
            self._known[name] = Passed(())
            record = parse(there.texts[0], name, self._sender_domain)
            if not record.errors:
                self._known[name] = self.passed(record, name, depth + 1)
        return self._known[name]
