# SPDX-License-Identifier: Apache-2.0
"""DNSEndpoint objects, from which external-dns publishes (its source ``crd``).

Rules after external-dns: targets are presentation form of RFC 1035, but names without trailing
dot, for an endpoint with a target that ends in one is ignored; one endpoint per name and type,
for others with the same key are dropped.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from postroom.dns.answers import RecordType
from postroom.dns.publishing.rdata import NAMED, exchange, relative_to_root
from postroom.dns.publishing.records import DEFAULT_TTL, RecordSet, ZoneRecords, record_sets
from postroom.dns.texts.presentation import CannotPublish, presentation

API_VERSION, KIND = "externaldns.k8s.io/v1alpha1", "DNSEndpoint"

#: The flag is repeated for each type: external-dns takes a list with commas for one type's name.
HEADER = """\
# For external-dns: --source=crd --managed-record-types=A --managed-record-types=AAAA
# --managed-record-types=CNAME --managed-record-types=MX --managed-record-types=NS
# --managed-record-types=TXT
# Each endpoint holds all records of its name and type: add what else you have there.
"""


class HandedSet(NamedTuple):
    """What external-dns is to publish at one name and type: all records of it, as its targets."""

    name: str
    type: str
    targets: tuple[str, ...]
    ttl: int = DEFAULT_TTL

    @property
    def manifest(self) -> dict[str, object]:
        """As a DNSEndpoint has it."""
        return {
            "dnsName": self.name,
            "recordTTL": self.ttl,
            "recordType": self.type,
            "targets": list(self.targets),
        }


def endpoint_of(found: RecordSet) -> HandedSet:
    """Return what publishes a set of records; raises `CannotPublish`."""
    targets = tuple(target(found.type, value, found.name) for value in found.values)
    return HandedSet(found.name, found.type.value, targets, found.ttl)


def targets_in(spec: Mapping[str, Any]) -> Iterator[HandedSet]:
    """Read the spec of a DNSEndpoint, in which anything may stand."""
    listed = spec.get("endpoints")
    for entry in listed if isinstance(listed, list) else ():
        if isinstance(entry, Mapping):
            targets, ttl = entry.get("targets"), entry.get("recordTTL")
            yield HandedSet(
                str(entry.get("dnsName")),
                str(entry.get("recordType")),
                tuple(map(str, targets)) if isinstance(targets, list) else (),
                ttl if isinstance(ttl, int) else DEFAULT_TTL,
            )


def dns_endpoints(zones: Sequence[ZoneRecords]) -> str:
    """Write one DNSEndpoint per zone, named after it; raises `CannotPublish`."""
    documents = [
        {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": zone.zone},
            "spec": {
                "endpoints": [endpoint_of(rrset).manifest for rrset in record_sets(zone.records)]
            },
        }
        for zone in zones
    ]
    return HEADER + yaml.safe_dump_all(documents, sort_keys=False, width=2**20)


def target(kind: RecordType, value: str, name: str) -> str:
    """Write the value of a record at `name` as a target; raises `CannotPublish`."""
    if kind is RecordType.TXT:
        return presentation(value)
    if kind in NAMED:
        return relative_to_root(value)
    if kind is RecordType.MX:
        preference, host = exchange(value)
        if host == ".":
            raise CannotPublish(
                f"external-dns takes no null MX, as {name} needs: publish it by hand, or "
                "choose another format."
            )
        return f"{preference} {host}"
    if kind is RecordType.TLSA:
        raise CannotPublish(
            f"external-dns knows no TLSA records, as {name} needs: choose another format."
        )
    return value
