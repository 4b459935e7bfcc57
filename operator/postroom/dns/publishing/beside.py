# SPDX-License-Identifier: Apache-2.0
"""Records beside each other at one name: which rule each other out, replace or keep each other."""

import re
from collections.abc import Iterable

from postroom.dns.answers import RecordType
from postroom.dns.publishing.records import PublishedRecord, RecordSet, distinct

#: The version tag that mail records begin with, also where it was entered with quotes or spaces.
_VERSION = re.compile(r'[\s"\\]*[vV]\s*=\s*([A-Za-z]+[0-9]+)')
_DKIM = "dkim1"
#: Families whose records are merged with what is there, so that a look at DNS must precede them.
_MERGED = frozenset({"spf1", "dmarc1"})
_NULL_MX = re.compile(r"[0-9]+ \.")


def family(name: str, value: str) -> str | None:
    """Tell which protocol a TXT value belongs to, by its version tag in lower case.

    Of each there may be one record at a name; None is for everything else.
    """
    if "._domainkey." in name:
        # The tag is optional there (RFC 6376 section 3.6.1).
        return _DKIM
    found = _VERSION.match(value)
    return found[1].lower() if found else None


def is_merged(record: PublishedRecord) -> bool:
    """Whether the value to publish depends on what DNS has at the name."""
    return record.type is RecordType.TXT and family(record.name, record.value) in _MERGED


def is_policy(record: PublishedRecord) -> bool:
    """Whether a record takes the place of what a parent's DMARC record asks for."""
    return record.type is RecordType.TXT and family(record.name, record.value) == "dmarc1"


def conflict(records: Iterable[PublishedRecord]) -> tuple[PublishedRecord, str] | None:
    """Find a record that cannot stand beside an earlier one, with a sentence on why."""
    earlier: dict[str, list[PublishedRecord]] = {}
    for record in distinct(records):
        for other in earlier.setdefault(record.name, []):
            if RecordType.CNAME in (record.type, other.type):
                # RFC 1034 section 3.6.2
                return record, (
                    f"asks for {record.type.value} {record.value} at {record.name}, where another "
                    f"asks for {other.type.value} {other.value}: nothing may stand beside a CNAME"
                )
            protocol = family(record.name, record.value)
            if (
                record.type is other.type is RecordType.TXT
                and protocol is not None
                and protocol == family(other.name, other.value)
            ):
                return record, (
                    f"asks for a TXT record at {record.name} of which there may be only one, and "
                    "another asks for a different one: declare both in one SendingDomain"
                )
        earlier[record.name].append(record)
    return None


def kept(wanted: RecordSet, values: Iterable[str]) -> tuple[PublishedRecord, ...]:
    """Of the values that stand at a name and type now, return those that others still need.

    What `wanted` replaces goes: records of the same protocol, any CNAME, a null MX (RFC 7505
    section 3).
    """
    others = sorted(set(values) - set(wanted.values))
    match wanted.type:
        case RecordType.TXT:
            replaced = {family(wanted.name, value) for value in wanted.values} - {None}
            others = [other for other in others if family(wanted.name, other) not in replaced]
        case RecordType.MX:
            others = [other for other in others if not _NULL_MX.fullmatch(other)]
        case _:
            others = []
    return tuple(PublishedRecord(wanted.name, wanted.type, other, wanted.ttl) for other in others)
