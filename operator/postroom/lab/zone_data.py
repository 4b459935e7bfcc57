# SPDX-License-Identifier: Apache-2.0
"""The records of the lab's zones, and how they are written on the wire."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.rdtypes.ANY.TXT import TXT

from postroom.dns.names import and_ancestors, canonical

#: Low, so that an edit is seen at once.
TTL = 1

Key = tuple[str, str]


class ZoneData:
    """The records of all zones: (name, type) to values in presentation form.

    TXT values are the whole text; they are split into strings on the wire.
    """

    def __init__(self, apexes: Sequence[str], nameserver: str, address: str) -> None:
        self.apexes = tuple(apexes)
        self._nameserver = nameserver
        self._records: dict[Key, list[str]] = {(nameserver, "A"): [address]}
        self._ttls: dict[Key, int] = {}
        self._serials = dict.fromkeys(apexes, 1)
        for apex in apexes:
            self._records[apex, "NS"] = [nameserver]

    def zone_of(self, name: str) -> str | None:
        """Return the apex of the zone that holds a name, None if it is not served here."""
        return next(
            (ancestor for ancestor in and_ancestors(name) if ancestor in self._serials), None
        )

    def get(self, name: str, kind: str) -> list[str]:
        """Return the values at a name, SOA included."""
        if kind == "SOA" and name in self._serials:
            serial = self._serials[name]
            return [f"{self._nameserver}. hostmaster.{name}. {serial} 60 60 3600 {TTL}"]
        return self._records.get((name, kind), [])

    def ttl(self, name: str, kind: str) -> int:
        """The TTL that an update gave to the records."""
        return self._ttls.get((name, kind), TTL)

    def kinds(self, name: str) -> list[str]:
        """The types of the records at a name, SOA included."""
        found = [kind for known, kind in self._records if known == name]
        return [*found, "SOA"] if name in self._serials else found

    def exists(self, name: str) -> bool:
        """Whether anything stands at a name or below it (RFC 8020)."""
        return any(known == name or known.endswith(f".{name}") for known, _ in self._records)

    def add(self, name: str, kind: str, value: str, ttl: int | None = None) -> None:
        """Add a record, unless it is there; a TTL is that of all records of the name and type."""
        name = canonical(name)
        values = self._records.setdefault((name, kind), [])
        is_new = value not in values
        if is_new:
            values.append(value)
        if ttl is not None and ttl != self.ttl(name, kind):
            self._ttls[name, kind] = ttl
            is_new = True
        if is_new:
            self._bump(name)

    def replace(self, name: str, kind: str, values: Sequence[str]) -> None:
        """Put these records in the place of all of the name and type."""
        self.remove(name, kind)
        for value in values:
            self.add(name, kind, value)

    def remove(self, name: str, kind: str, value: str | None = None) -> None:
        """Remove one record, or all of the name and type."""
        name = canonical(name)
        left = [known for known in self.get(name, kind) if value is not None and known != value]
        if left:
            self._records[name, kind] = left
        else:
            self._records.pop((name, kind), None)
            self._ttls.pop((name, kind), None)
        self._bump(name)

    def records(self) -> Iterator[tuple[str, str, str]]:
        """Yield every record but SOA."""
        for (name, kind), values in sorted(self._records.items()):
            for value in values:
                yield name, kind, value

    def transfer(self, apex: str) -> Iterator[dns.rrset.RRset]:
        """Yield all of a zone as a transfer has it (RFC 5936 section 2.2): SOA first and last.

        The zone cuts below it come with it, and the address of the name server is glue.
        """
        soa = rrset(apex, "SOA", self.get(apex, "SOA"), TTL)
        yield soa
        for (name, kind), values in sorted(self._records.items()):
            is_below = name == apex or name.endswith(f".{apex}")
            is_cut = kind == "NS" and name in self._serials
            if is_below and (self.zone_of(name) == apex or is_cut):
                yield rrset(name, kind, values, self.ttl(name, kind))
        yield soa

    def _bump(self, name: str) -> None:
        apex = self.zone_of(name)
        if apex is not None:
            self._serials[apex] += 1


def rrset(name: str, kind: str, values: Sequence[str], ttl: int = TTL) -> dns.rrset.RRset:
    """Write records for the wire."""
    rdatas = [to_rdata(kind, value) for value in values]
    return dns.rrset.from_rdata_list(dns.name.from_text(name), ttl, rdatas)


@lru_cache(maxsize=1024)
def to_rdata(kind: str, value: str) -> dns.rdata.Rdata:
    """Make a record from a value, once while it is asked for again; TXT is split into strings of at
    most 255 bytes."""
    if kind == "TXT":
        raw = value.encode("latin-1", "replace")
        strings = [raw[start : start + 255] for start in range(0, len(raw) or 1, 255)]
        return TXT(dns.rdataclass.IN, dns.rdatatype.TXT, strings)
    if kind in ("CNAME", "NS", "MX") and not value.endswith("."):
        value = f"{value}."
    return dns.rdata.from_text(dns.rdataclass.IN, kind, value)


def to_value(rdata: dns.rdata.Rdata) -> str:
    """The inverse of `to_rdata`."""
    strings = getattr(rdata, "strings", None)
    if strings is not None:
        return b"".join(strings).decode("latin-1")
    text = rdata.to_text()
    return text if text.endswith(" .") else text.rstrip(".")
