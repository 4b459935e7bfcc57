# SPDX-License-Identifier: Apache-2.0
"""Record data, already encoded: what a zone holds and a message carries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from dns.rdatatype import CNAME, DNAME, MX, NS, PTR, SOA, SPF, TXT

from dnsworld.names import Name, name_of, text_of

#: Octets of one TXT string (RFC 1035 section 3.3).
STRING_LIMIT = 255
_ONE_NAME = frozenset({CNAME, NS, PTR})
_TEXTS = frozenset({TXT, SPF})


@dataclass(frozen=True, slots=True)
class Rdata:
    """The data of one record. `names` stand between `head` and `tail`, and may be compressed."""

    head: bytes = b""
    names: tuple[Name, ...] = ()
    tail: bytes = b""

    def wire(self) -> bytes:
        """The data without compression."""
        return self.head + b"".join(self.names) + self.tail


@dataclass(frozen=True, slots=True)
class RRset:
    """All records of one owner and type; `ttl` in seconds."""

    owner: Name
    type: int
    ttl: int
    data: tuple[Rdata, ...]

    def rotated(self, by: int) -> RRset:
        """The same records in another order: clients must not lean on it."""
        count = len(self.data)
        if count < 2 or by % count == 0:
            return self
        return replace(self, data=self.data[by % count :] + self.data[: by % count])


@lru_cache(maxsize=1024)
def type_of(text: str) -> int:
    """The number of a record type. Raises `dns.rdatatype.UnknownRdatatype`."""
    return int(dns.rdatatype.from_text(text))


@lru_cache(maxsize=1024)
def type_text(kind: int) -> str:
    """The mnemonic of a record type."""
    return dns.rdatatype.to_text(dns.rdatatype.RdataType(kind))


def strings(*parts: bytes) -> Rdata:
    """TXT data of exactly these strings. Raises `ValueError` for one beyond 255 octets."""
    return Rdata(b"".join(bytes([len(part)]) + part for part in parts))


def strings_of(data: Rdata) -> tuple[bytes, ...]:
    """The strings of TXT data."""
    found, at = list[bytes](), 0
    while at < len(data.head):
        length = data.head[at]
        found.append(data.head[at + 1 : at + 1 + length])
        at += 1 + length
    return tuple(found)


def split(text: bytes) -> tuple[bytes, ...]:
    """Cut a long text into TXT strings, in order; an empty text is one empty string."""
    starts = range(0, max(len(text), 1), STRING_LIMIT)
    return tuple(text[at : at + STRING_LIMIT] for at in starts)


@lru_cache(maxsize=65536)
def rdata_of(kind: int, value: str) -> Rdata:
    """Read a value: TXT is the whole text, split as needed; all else is in presentation form.

    Names are absolute with or without last dot. Raises `dns.exception.DNSException` or
    `ValueError` for what is no value of this type.
    """
    if kind in _TEXTS:
        return strings(*split(value.encode()))
    if kind in _ONE_NAME:
        return Rdata(names=(name_of(value),))
    if kind == DNAME:
        return Rdata(name_of(value))
    if kind == MX:
        preference, _, exchange = value.strip().partition(" ")
        return Rdata(int(preference).to_bytes(2, "big"), (name_of(exchange.strip()),))
    if kind == SOA:
        mname, rname, *numbers = value.split()
        tail = b"".join(int(number).to_bytes(4, "big") for number in numbers)
        return Rdata(names=(name_of(mname), name_of(rname)), tail=tail)
    data = dns.rdata.from_text(
        dns.rdataclass.IN, dns.rdatatype.RdataType(kind), value, dns.name.root, relativize=False
    )
    return _encoded(data)


@lru_cache(maxsize=65536)
def value_text(kind: int, data: Rdata) -> str:
    """Write a value: TXT as its joined strings, octets beyond ASCII as latin-1 characters; names
    without last dot; all else in presentation form. As `postroom.dns.answers.Answer` does."""
    if kind in _TEXTS:
        return b"".join(strings_of(data)).decode("latin-1")
    if kind in _ONE_NAME:
        return text_of(data.names[0]) or "."
    if kind == MX:
        return f"{int.from_bytes(data.head, 'big')} {text_of(data.names[0]) or '.'}"
    return presentation(kind, data)


def presentation(kind: int, data: Rdata) -> str:
    """Write a value as a zone file does, TXT strings quoted, names with their last dot."""
    wire = data.wire()
    read = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.RdataType(kind), wire, 0, len(wire))
    return read.to_text()


def read_presentation(kind: int, value: str) -> Rdata:
    """Read a value as a zone file writes it: `"a" "b"` are two strings.

    Raises `dns.exception.DNSException`.
    """
    read = dns.rdata.from_text(
        dns.rdataclass.IN, dns.rdatatype.RdataType(kind), value, dns.name.root, relativize=False
    )
    if kind in _TEXTS:
        return _encoded(read)
    return rdata_of(kind, read.to_text())


def _encoded(data: dns.rdata.Rdata) -> Rdata:
    return Rdata(data.to_wire() or b"")


def first_target(rrset: RRset) -> Name:
    """Where an alias (CNAME or DNAME) points."""
    data = rrset.data[0]
    return data.names[0] if data.names else data.head
