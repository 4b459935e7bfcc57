# SPDX-License-Identifier: Apache-2.0
"""Does to the world what a fix says, exactly, as a user does who knows the quirks of his host."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum, auto

import dns.exception

from dnsworld.hosts import DNSHost
from dnsworld.names import is_within, name_of, text_of
from dnsworld.quirks import HostRefusal, read_name
from dnsworld.rdata import (
    Rdata,
    rdata_of,
    read_presentation,
    split,
    strings,
    strings_of,
    type_of,
    value_text,
)
from dnsworld.world import World
from dnsworld.zone import Zone
from postroom.api.findings import Fix, FixAction, RecordToRemove
from postroom.dns.dkim import MASK, holds_private
from postroom.dns.judging.fixes import as_removed

_TEXTS = ("TXT", "SPF")


class UnusableFix(ValueError):
    """A fix that cannot be carried out as it is written."""


class Effect(Enum):
    """What came of a fix."""

    CHANGED = auto()
    WAITED = auto()
    LEFT = auto()  # it is up to somebody else, and nobody plays him


#: Plays whoever an External fix is up to.
Outsider = Callable[[Fix], object]


async def apply(
    fix: Fix, world: World, *hosts: DNSHost, outsider: Outsider | None = None
) -> Effect:
    """Carry out a fix in the zones of these hosts, the user's own.

    Wait lets time pass until nobody keeps an old state of these zones. External calls `outsider`.
    Raises `UnusableFix`: for a name outside of these zones, a label that the host would read as
    another name, a value that is none, a presentation that says something else than the value, a
    removal of what is not there, and a CNAME beside other records.
    """
    match fix.action:
        case FixAction.WAIT:
            await settle(world, *hosts)
            return Effect.WAITED
        case FixAction.EXTERNAL:
            if outsider is None:
                return Effect.LEFT
            outsider(fix)
            return Effect.CHANGED
    adds = fix.action is not FixAction.DELETE
    data = _data_of(fix, hosts) if adds else None
    for record in fix.remove:
        _remove(record, hosts)
    if data is not None:
        _add(fix, data, hosts)
    elif not fix.remove:
        raise UnusableFix("There is nothing to delete.")
    return Effect.CHANGED


async def settle(world: World, *hosts: DNSHost) -> None:
    """Let time pass until no cache and no server keeps an old state of the zones."""
    seconds = max(world.settling_time(host.apex) for host in hosts)
    await asyncio.sleep(seconds + 1)


def _zone_of(name: str, hosts: tuple[DNSHost, ...]) -> Zone:
    """The deepest of the user's zones that holds a name."""
    holding = [host.zone for host in hosts if is_within(name_of(name), host.zone.apex)]
    if not holding:
        raise UnusableFix(f"{name} is in no zone of the user.")
    return max(holding, key=lambda zone: len(zone.apex))


def _data_of(fix: Fix, hosts: tuple[DNSHost, ...]) -> Rdata:
    """Read what is to be published, and check that the fix says one thing only."""
    zone = _zone_of(fix.name, hosts)
    if fix.host_label:
        try:
            typed = read_name(fix.host_label, text_of(zone.apex))
        except HostRefusal as error:
            raise UnusableFix(str(error)) from error
        if name_of(typed) != name_of(fix.name):
            raise UnusableFix(f"{fix.host_label!r} leads to {typed}, not to {fix.name}.")
    try:
        data = _data(fix.type, fix.value)
        written = data
        if fix.presentation:
            written = read_presentation(type_of(fix.type), fix.presentation)
    except (dns.exception.DNSException, ValueError) as error:
        raise UnusableFix(f"{fix.type} {fix.value[:80]!r} cannot be published: {error}") from error
    if _meaning(fix.type, written) != _meaning(fix.type, data):
        raise UnusableFix("The presentation says something else than the value.")
    return written


def _data(kind: str, value: str) -> Rdata:
    """Read a value as `postroom.dns.answers.Answer` writes it: octets as latin-1 characters."""
    if kind in _TEXTS:
        return strings(*split(value.encode("latin-1")))
    return rdata_of(type_of(kind), value)


def _meaning(kind: str, data: Rdata) -> bytes:
    """What a record says: of a text, how it is cut into strings does not count."""
    return b"".join(strings_of(data)) if kind in _TEXTS else data.wire()


def _remove(record: RecordToRemove, hosts: tuple[DNSHost, ...]) -> None:
    zone = _zone_of(record.name, hosts)
    there = zone.rrset(name_of(record.name), type_of(record.type))
    wanted = [
        data
        for data in (there.data if there is not None else ())
        if not record.value or _is_value(record, data)
    ]
    if not wanted:
        raise UnusableFix(f"There is no {record.type} {record.value[:80]!r} at {record.name}.")
    for data in wanted:
        zone.remove(record.name, record.type, data)


def _is_value(record: RecordToRemove, data: Rdata) -> bool:
    """Status quotes what has to go, so that a long text is named by its beginning and a hash."""
    text = value_text(type_of(record.type), data)
    if as_removed(text) == record.value or (record.value == MASK and holds_private(text)):
        return True
    try:
        wanted = _data(record.type, record.value)
    except (dns.exception.DNSException, ValueError):
        return False
    return _meaning(record.type, wanted) == _meaning(record.type, data)


def _add(fix: Fix, data: Rdata, hosts: tuple[DNSHost, ...]) -> None:
    zone = _zone_of(fix.name, hosts)
    there = zone.types_at(fix.name)
    if ("CNAME" in there) != (fix.type == "CNAME") and there:
        raise UnusableFix(f"{fix.type} cannot stand beside {', '.join(there)} at {fix.name}.")
    if fix.type == "CNAME" and zone.values(fix.name, "CNAME"):
        raise UnusableFix(f"There is another CNAME at {fix.name}.")
    zone.add(fix.name, fix.type, data)
