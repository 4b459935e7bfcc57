# SPDX-License-Identifier: Apache-2.0
"""Whether a whole network passes: evaluation for a block of addresses instead of one."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from ipaddress import IPv4Network, IPv6Network

from postroom.dns.spf.budget import Fetched, canonical
from postroom.dns.spf.record import LOOKUP_LIMIT, Network, Record, Term, network, parse


class Passing(Enum):
    """How much of a block passes."""

    ALL = "all"
    NONE = "none"
    SOME = "some"
    UNCLEAR = "unclear"  # it depends on the message, or on what nobody looked at


def passing(
    record: Record, block: Network, others: Mapping[str, Fetched], domain: str = ""
) -> Passing:
    """Tell how much of a block passes, as far as `others` tells.

    A term that refuses where that cannot be told in advance, such as one that asks a block list,
    is taken as one that does not match. Several networks that only together hold the block make
    it pass in part.
    """
    return _Block(block, others).passing(record, canonical(domain), 0)


def covers(wide: Network, narrow: Network) -> bool:
    """Tell whether a network holds all of another."""
    if isinstance(wide, IPv4Network) and isinstance(narrow, IPv4Network):
        return narrow.subnet_of(wide)
    if isinstance(wide, IPv6Network) and isinstance(narrow, IPv6Network):
        return narrow.subnet_of(wide)
    return False


class _Block:
    """The evaluation for one block; every record is evaluated once."""

    def __init__(self, block: Network, others: Mapping[str, Fetched]) -> None:
        self._block = block
        self._others = others
        self._known: dict[str, Passing] = {}

    def passing(self, record: Record, domain: str, depth: int) -> Passing:
        so_far = Passing.NONE
        for term in record.effective:
            matched = self._matched(term, domain, depth)
            if matched is Passing.NONE or (matched is Passing.UNCLEAR and not term.passes):
                continue
            if matched is Passing.ALL:
                return Passing.ALL if term.passes else so_far
            if not term.passes:
                return Passing.SOME
            so_far = Passing.SOME if Passing.SOME in (so_far, matched) else matched
        if record.redirect is not None:
            rest = self._record_at(record.redirect.target, depth)
            return rest if rest is Passing.ALL or so_far is Passing.NONE else so_far
        return so_far

    def _matched(self, term: Term, domain: str, depth: int) -> Passing:
        match term.name:
            case "all":
                return Passing.ALL
            case "ip4" | "ip6":
                return self._overlap(() if term.network is None else (term.network,))
            case "include":
                return self._record_at(term.target, depth)
            case "a" | "mx":
                found = self._networks(term, term.target or domain)
                return Passing.UNCLEAR if found is None else self._overlap(found)
            case "exists" if "%" not in term.target:
                addresses = self._others.get(term.target, Fetched()).ipv4
                if addresses is not None:
                    return Passing.ALL if addresses else Passing.NONE
        return Passing.UNCLEAR

    def _overlap(self, networks: tuple[Network, ...]) -> Passing:
        if any(covers(one, self._block) for one in networks):
            return Passing.ALL
        inside = any(covers(self._block, one) for one in networks)
        return Passing.SOME if inside else Passing.NONE

    def _record_at(self, name: str, depth: int) -> Passing:
        there = self._others.get(name)
        if there is None or there.unknown:
            return Passing.UNCLEAR
        if len(there.texts) != 1 or depth > LOOKUP_LIMIT:
            return Passing.NONE
        if name not in self._known:
            # A record that leads back to itself authorises nobody by that.
            self._known[name] = Passing.NONE
            record = parse(there.texts[0])
            if not record.errors:
                self._known[name] = self.passing(record, name, depth + 1)
        return self._known[name]

    def _networks(self, term: Term, name: str) -> tuple[Network, ...] | None:
        """Return the networks that an a or mx stands for, None if its addresses are not known."""
        there = self._others.get(name, Fetched())
        hosts = [there]
        if term.name == "mx":
            if there.exchanges is None:
                return None
            hosts = [self._others.get(canonical(one), Fetched()) for one in there.exchanges if one]
        four = self._block.version == 4
        made: list[Network] = []
        for host in hosts:
            addresses = host.ipv4 if four else host.ipv6
            if addresses is None:
                return None
            for one in addresses:
                text = f"{one}/{term.prefix4 if four else term.prefix6}"
                found = network("ip4" if four else "ip6", text)
                if found is not None:
                    made.append(found)
        return tuple(made)
