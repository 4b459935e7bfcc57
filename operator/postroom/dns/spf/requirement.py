# SPDX-License-Identifier: Apache-2.0
"""What an SPF record must authorise, and whether it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from postroom.dns.spf.budget import Reach, canonical, reach
from postroom.dns.spf.passing import Passing, passing
from postroom.dns.spf.record import VERSION, Network, mechanism_for

#: Nobody spells out more networks than this, but hostile records could make comparing take long.
_SPELLED_OUT_LIMIT = 64


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a record must authorise, and the ``all`` of a record that is written anew."""

    includes: tuple[str, ...]
    networks: tuple[Network, ...]
    all_term: str

    def missing_from(self, found: Reach) -> tuple[str, ...]:
        """Return the mechanisms that a record lacks, in the order of the requirement.

        An include counts as there if all the networks that it stands for are authorised.
        """
        lacking = [
            f"include:{one}"
            for one in self.includes
            if canonical(one) not in found.includes and not _is_spelled_out(one, found)
        ]
        lacking += [
            mechanism_for(wanted) for wanted in self.networks if not authorises(found, wanted)
        ]
        return tuple(dict.fromkeys(lacking))

    def shadowed_in(self, found: Reach) -> tuple[Network, ...]:
        """Return networks of required includes that a term before the include refuses.

        That is the owner's right, so it counts as no lack. At most 64 networks are looked at.
        """
        text = " ".join([VERSION, *(f"include:{one}" for one in self.includes)])
        wanted = reach(text, found.sources).networks[:_SPELLED_OUT_LIMIT]
        return tuple(one for one in dict.fromkeys(wanted) if not authorises(found, one))


def authorises(found: Reach, wanted: Network) -> bool:
    """Tell whether every address of a network passes."""
    return passing(found.record, wanted, found.sources, found.domain) is Passing.ALL


def _is_spelled_out(name: str, found: Reach) -> bool:
    """Tell whether an include's networks are all authorised without it."""
    alone = reach(f"{VERSION} include:{name}", found.sources)
    incomplete: Sequence[str] = [*alone.broken, *alone.unknown, *alone.dependent]
    if alone.open_ended or incomplete or not alone.within_limits():
        return False
    if not 0 < len(alone.networks) <= _SPELLED_OUT_LIMIT:
        return False
    return all(authorises(found, one) for one in alone.networks)
