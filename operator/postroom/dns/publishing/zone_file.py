# SPDX-License-Identifier: Apache-2.0
"""Zone files (RFC 1035 section 5): what BIND, Knot, NSD and most DNS hosts import."""

from collections.abc import Sequence

from postroom.dns.answers import RecordType
from postroom.dns.names import host_label, is_within
from postroom.dns.publishing.rdata import absolute, rdata
from postroom.dns.publishing.records import DEFAULT_TTL, PublishedRecord, ZoneRecords, record_sets
from postroom.dns.texts.presentation import CannotPublish

#: Refresh, retry, expire and negative TTL of a zone that is written whole (RIPE-203; RFC 2308
#: section 4 for the last one: a record that was missed should show within minutes).
_SOA_TIMERS = "86400 7200 3600000 300"


def zone_file(
    zones: Sequence[ZoneRecords], nameservers: Sequence[str] = (), serial: int = 1
) -> str:
    """Write records as zone file text.

    Without `nameservers` it is for adding to a zone that exists: by ``$INCLUDE``, or by import.
    With them every zone is whole, with SOA and NS, and a server loads it as it is. Raises
    `CannotPublish`.
    """
    texts = list[str]()
    for part in zones:
        ttl = min((record.ttl for record in part.records), default=DEFAULT_TTL)
        lines = [f"$ORIGIN {absolute(part.zone)}", f"$TTL {ttl}"]
        if nameservers:
            _require_addresses(part, nameservers)
            primary, mailbox = absolute(nameservers[0]), f"hostmaster.{absolute(part.zone)}"
            lines.append(f"@ IN SOA {primary} {mailbox} {serial} {_SOA_TIMERS}")
            lines += [f"@ IN NS {absolute(nameserver)}" for nameserver in nameservers]
        for found in record_sets(part.records):
            for record in found.records:
                label, data = host_label(record.name, part.zone), rdata(record.type, record.value)
                lines.append(f"; {remark(record)}")
                lines.append(f"{label} {found.ttl} IN {record.type.value} {data}")
        texts.append("\n".join(lines) + "\n")
    return "\n".join(texts)


def _require_addresses(part: ZoneRecords, nameservers: Sequence[str]) -> None:
    """A server refuses a zone whose name servers are inside it and have no address."""
    addressed = {
        record.name for record in part.records if record.type in (RecordType.A, RecordType.AAAA)
    }
    for nameserver in nameservers:
        name = nameserver.removesuffix(".")
        if is_within(name, part.zone) and name not in addressed:
            raise CannotPublish(
                f"The name server {name} is inside the zone {part.zone}, which has no address for "
                "it: name one that is outside, or write the zone without name servers."
            )


def remark(record: PublishedRecord) -> str:
    """The comment that goes with a published record: its purpose, in one printable line."""
    what = "there already, kept" if record.purpose is None else record.purpose.value
    if record.required:
        what += ", required"
    if record.comment:
        what += f": {record.comment}"
    return "".join(char if char.isprintable() else "?" for char in what)
