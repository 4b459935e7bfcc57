# SPDX-License-Identifier: Apache-2.0
"""The DNS host: the control panel into which a user types records, with its quirks."""

from __future__ import annotations

from dataclasses import dataclass

import dns.exception

from dnsworld.names import text_of
from dnsworld.quirks import NICE, HostRefusal, Quirks, read_name, read_target, read_text
from dnsworld.rdata import Rdata, rdata_of, strings, type_of
from dnsworld.world import World
from dnsworld.zone import Zone

#: What a proxy puts in the place of an alias: addresses of Cloudflare's published ranges.
PROXY_ADDRESSES = ("104.16.12.7", "104.16.13.7")
_FLATTENED = ("A", "AAAA", "MX", "TXT")
_DEFAULT_PREFERENCE = 10

Published = tuple[str, str, Rdata]


@dataclass(frozen=True)
class Row:
    """A line of the panel: as typed, and the records (name, type, data) that it led to."""

    name: str
    type: str
    value: str
    published: tuple[Published, ...]


class DNSHost:
    """A control panel over one zone. Values are typed as a user would: ``10 mx.example.net``.

    Every method raises `HostRefusal` for what the panel does not take.
    """

    def __init__(self, world: World, zone: Zone, quirks: Quirks = NICE) -> None:
        self.world, self.zone, self.quirks = world, zone, quirks
        self.apex = text_of(zone.apex)
        self.rows: list[Row] = []
        for name, kind, value in quirks.defaults:
            self.add(name, kind, value)

    def add(self, name: str, kind: str, value: str, *, ttl: int | None = None) -> Row:
        """Type a new record; `ttl` in seconds."""
        try:
            published = self._read(name, kind, value)
        except HostRefusal:
            raise
        except (dns.exception.DNSException, ValueError) as error:
            raise HostRefusal(f"{kind} {value[:80]!r} is not a valid record.") from error
        for owner, number, _ in published:
            self._check_alias(owner, number)
        if self.quirks.overwrites:
            for owner, number, _ in published:
                self.zone.remove(owner, number)
        for owner, number, data in published:
            self.zone.add(owner, number, data, ttl)
        row = Row(name, kind, value, tuple(published))
        self.rows.append(row)
        return row

    def delete(self, name: str, kind: str, value: str | None = None) -> None:
        """Delete the line that was typed so, or all lines of a name and type."""
        rows = [
            row
            for row in self.rows
            if (row.name, row.type) == (name, kind) and value in (None, row.value)
        ]
        for row in rows:
            self.rows.remove(row)
            for owner, number, data in row.published:
                self.zone.remove(owner, number, data)
        if not rows and not self._delete_foreign(name, kind, value):
            raise HostRefusal(f"There is no {kind} record {name}.")

    def edit(self, name: str, kind: str, old: str, new: str, *, new_name: str | None = None) -> Row:
        """Change the value of a line, and its name where a new one is given."""
        self.delete(name, kind, old)
        return self.add(name if new_name is None else new_name, kind, new)

    def _delete_foreign(self, name: str, kind: str, value: str | None) -> bool:
        """Delete what stands in the zone but was not typed here."""
        if value is None:
            return self.zone.remove(read_name(name, self.apex), kind)
        published = self._read(name, kind, value)
        removed = [self.zone.remove(*record) for record in published]
        return any(removed)

    def _read(self, name: str, kind: str, value: str) -> list[Published]:
        owner, kind = read_name(name, self.apex, self.quirks), kind.upper()
        match kind:
            case "TXT" | "SPF":
                texts = read_text(value, self.quirks)
                return [(owner, kind, strings(*text)) for text in texts]
            case "CNAME":
                return self._read_alias(owner, value)
            case "NS" | "PTR":
                value = read_target(value, self.apex, self.quirks)
            case "MX":
                value = self._read_exchange(value)
        return [(owner, kind, rdata_of(type_of(kind), value))]

    def _read_exchange(self, value: str) -> str:
        preference, _, host = value.strip().partition(" ")
        if self.quirks.joins_preference or not preference.isdigit():
            preference, host = str(_DEFAULT_PREFERENCE), value
        return f"{preference} {read_target(host, self.apex, self.quirks)}"

    def _read_alias(self, owner: str, value: str) -> list[Published]:
        target = read_target(value, self.apex, self.quirks)
        if self.quirks.proxies_aliases:
            return [(owner, "A", rdata_of(type_of("A"), one)) for one in PROXY_ADDRESSES]
        if self.quirks.flattens_aliases:
            return [
                (owner, kind, rdata_of(type_of(kind), one))
                for kind in _FLATTENED
                for one in self.world.truth(target, kind)
            ]
        return [(owner, "CNAME", rdata_of(type_of("CNAME"), target))]

    def _check_alias(self, owner: str, kind: str) -> None:
        """Refuse a CNAME beside other records (RFC 1034 section 3.6.2)."""
        if self.quirks.allows_alias_beside:
            return
        there = self.zone.types_at(owner)
        if (kind == "CNAME" and there) or (kind != "CNAME" and "CNAME" in there):
            raise HostRefusal(f"A CNAME cannot stand beside other records at {owner}.")
