# SPDX-License-Identifier: Apache-2.0
"""What an SPF record must authorise, and whether it does."""

from collections.abc import Sequence
from dataclasses import dataclass

from postroom.dns.spf.budget import Reach, canonical, reach
from postroom.dns.spf.passing import EVERYONE, Passing, passed, passing
from postroom.dns.spf.record import VERSION, Network, mechanism_for, parse


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a record must authorise, and the ``all`` of a record that is written anew."""

    includes: tuple[str, ...]
    networks: tuple[Network, ...]
    all_term: str

    def missing_from(self, found: Reach) -> tuple[str, ...]:
        """Return the mechanisms that a record lacks, in the order of the requirement.

        What counts is who passes, by whatever terms: an include is there as well where every
        address that it authorises is authorised without it, and a network where its parts are.
        """
        lacking = [
            f"include:{include}"
            for include in self.includes
            if canonical(include) not in found.includes and not _passes_without(include, found)
        ]
        lacking += [
            mechanism_for(wanted) for wanted in self.networks if not authorises(found, wanted)
        ]
        return tuple(dict.fromkeys(lacking))

    def unseen_in(self, found: Reach) -> frozenset[str]:
        """Return the hosts that may authorise what seems to be missing, could they be looked up."""
        texts = [f"include:{include}" for include in self.includes]
        texts += [mechanism_for(network) for network in self.networks]
        wanted = parse(" ".join([VERSION, *texts]))
        unseen = frozenset[str]()
        for version in EVERYONE:
            region = passed(wanted, version, found.sources, found.domain).spans
            unseen |= passed(found.record, version, found.sources, found.domain, region).unseen
        return unseen


def authorises(found: Reach, wanted: Network) -> bool:
    """Whether every address of a network passes."""
    return passing(found.record, wanted, found.sources, found.domain) is Passing.ALL


def _passes_without(name: str, found: Reach) -> bool:
    """Whether every address that an include authorises passes without it."""
    alone = reach(f"{VERSION} include:{name}", found.sources, found.domain)
    incomplete: Sequence[str] = [*alone.broken, *alone.unknown, *alone.dependent]
    if incomplete or not alone.within_limits():
        return False
    somebody = False
    for version in EVERYONE:
        wanted = passed(alone.record, version, found.sources, found.domain)
        if wanted.unclear:
            return False
        there = passed(found.record, version, found.sources, found.domain, wanted.spans)
        if there.spans != wanted.spans:
            return False
        somebody = somebody or bool(wanted.spans)
    return somebody
