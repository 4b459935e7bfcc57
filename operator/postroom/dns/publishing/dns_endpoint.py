# SPDX-License-Identifier: Apache-2.0
"""DNSEndpoint objects, from which external-dns publishes (its source ``crd``).

Rules after external-dns: targets are presentation form of RFC 1035, but names without trailing
dot, for an endpoint with a target that ends in one is ignored; one endpoint per name and type,
for others with the same key are dropped.
"""

from collections.abc import Sequence

import yaml

from postroom.dns.answers import RecordType
from postroom.dns.publishing.rdata import NAMED, exchange, relative_to_root
from postroom.dns.publishing.records import RecordSet, ZoneRecords, record_sets
from postroom.dns.texts.presentation import CannotPublish, presentation

#: The flag is repeated for each type: external-dns takes a list with commas for one type's name.
_HEADER = """\
# For external-dns: --source=crd --managed-record-types=A --managed-record-types=AAAA
# --managed-record-types=CNAME --managed-record-types=MX --managed-record-types=NS
# --managed-record-types=TXT
# Each endpoint holds all records of its name and type: add what else you have there.
"""


def dns_endpoints(zones: Sequence[ZoneRecords]) -> str:
    """Write one DNSEndpoint per zone, named after it; raises `CannotPublish`."""
    documents = [
        {
            "apiVersion": "externaldns.k8s.io/v1alpha1",
            "kind": "DNSEndpoint",
            "metadata": {"name": zone.zone},
            "spec": {
                "endpoints": [
                    {
                        "dnsName": rrset.name,
                        "recordTTL": rrset.ttl,
                        "recordType": rrset.type.value,
                        "targets": [_target(rrset, value) for value in rrset.values],
                    }
                    for rrset in record_sets(zone.records)
                ]
            },
        }
        for zone in zones
    ]
    return _HEADER + yaml.safe_dump_all(documents, sort_keys=False, width=2**20)


def _target(found: RecordSet, value: str) -> str:
    if found.type is RecordType.TXT:
        return presentation(value)
    if found.type in NAMED:
        return relative_to_root(value)
    if found.type is RecordType.MX:
        preference, host = exchange(value)
        if host == ".":
            raise CannotPublish(
                f"external-dns takes no null MX, as {found.name} needs: publish it by hand, or "
                "choose another format."
            )
        return f"{preference} {host}"
    if found.type is RecordType.TLSA:
        raise CannotPublish(
            f"external-dns knows no TLSA records, as {found.name} needs: choose another format."
        )
    return value
