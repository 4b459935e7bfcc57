# SPDX-License-Identifier: Apache-2.0
"""Whether a domain is in use at all, by its name servers: see ``parking.yaml``."""

import re
from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from functools import cache
from typing import Annotated

from pydantic import Field

from postroom.api.data_files import Row, read
from postroom.api.presets import Source
from postroom.dns.names import and_ancestors, canonical
from postroom.dns.presets.model import Suffix


class Disuse(StrEnum):
    """Why a domain is served by such a name server."""

    PARKING = "Parking"
    EXPIRED = "Expired"
    HELD = "Held"  # by the registrar, until the owner confirms who he is


class ParkingNameServer(Row):
    """The end of the names of such name servers."""

    suffix: Suffix
    kind: Disuse
    source: Source
    checked: date


class ParkingNameServers(Row):
    """The whole file."""

    nameservers: Annotated[tuple[ParkingNameServer, ...], Field(min_length=1)]


@cache
def parking_nameservers() -> dict[str, ParkingNameServer]:
    """Load the table by suffix, once; raises `InvalidData`."""
    rows = read("postroom.dns.diagnosis", "parking.yaml", ParkingNameServers).nameservers
    return {row.suffix: row for row in rows}


def disuse(nameservers: Sequence[str]) -> Disuse | None:
    """Tell why a domain is out of use, by its name servers.

    One that only a registrar puts there is enough; one of a parking service may be a remnant.
    """
    table = parking_nameservers()
    kinds = list[Disuse | None]()
    for name in nameservers:
        row = next(
            (table[ancestor] for ancestor in and_ancestors(canonical(name)) if ancestor in table),
            None,
        )
        kinds.append(row.kind if row else None)
    for kind in (Disuse.EXPIRED, Disuse.HELD):
        if kind in kinds:
            return kind
    return Disuse.PARKING if kinds and set(kinds) == {Disuse.PARKING} else None


#: Words that registrars put into the names of such servers; a whole label, or a part between
#: hyphens, begins with them.
_WORDS = {
    Disuse.EXPIRED: re.compile(
        r"(?:^|[.-])(?:expire[ds]?(?:ns|dns|domains?)?|expir(?:ation|ing)|renewyour|renew-your"
        r"|pendingrenew|pending-renew|pendingdelet|pending-delet|redemption)[a-z0-9]*(?=[.-])"
    ),
    Disuse.HELD: re.compile(
        r"(?:^|[.-])(?:verify-(?:contact|whois|registrant|email)|(?:whois|contact|registrant|email)"
        r"-?verification|unverified-(?:contact|registrant|whois))[a-z0-9-]*(?=\.)"
    ),
}


def seems_disused(nameservers: Sequence[str]) -> Disuse | None:
    """Tell what the mere names of all of a domain's name servers say of its use.

    For registrars that the table lacks: a likeness, not a fact.
    """
    for kind, words in _WORDS.items():
        if nameservers and all(words.search(canonical(nameserver)) for nameserver in nameservers):
            return kind
    return None
