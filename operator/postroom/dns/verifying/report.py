# SPDX-License-Identifier: Apache-2.0
"""What a verification of a domain yields: values that a reconciler turns into status."""

from dataclasses import dataclass

from postroom.api.findings import Finding
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import Purpose, RecordState
from postroom.dns.answers import RecordType
from postroom.dns.finding_codes import Code


@dataclass(frozen=True, slots=True)
class RecordReport:
    """One record that must be published, what is there, and the reason in catalogue terms.

    `reason` is the reason that the condition of this purpose takes when this record decides it;
    `message` is the deterministic sentence for people. `host_label` is what to type at the DNS
    host: relative to the zone, ``@`` for the zone itself.
    """

    id: str
    purpose: Purpose
    name: str
    host_label: str
    type: RecordType
    value: str
    required: bool
    state: RecordState
    reason: Reason
    message: str
    observed: tuple[str, ...] = ()
    #: A fact that no second look could change by chance: all servers of the zone agree that the
    #: key is revoked or another one, so that one observation is enough to count.
    certain: bool = False


#: The codes of what a regular look at a verified domain does not look for: their findings stand
#: until the next thorough look takes them away.
RARELY_LOOKED_FOR = frozenset(
    {
        Code.DELEGATION_MISMATCH,
        Code.EDNS_BROKEN,
        Code.ENT_NXDOMAIN_BROKEN,
        Code.LAME,
        Code.MX_NULL,
        Code.NS_NOT_ASKED,
        Code.NS_UNREACHABLE,
        Code.SPLIT_HORIZON,
        Code.TCP_BLOCKED,
    }
)


@dataclass(frozen=True, slots=True)
class DomainReport:
    """Everything that one look at a domain yielded.

    `zone` is None where the zone could not be found (the findings then say why);
    `resolver_only` tells that the authoritative servers could not be asked. `dns_host` is who
    hosts the zone, as far as that can be told. `wake_after`, in seconds, is when the last cached
    denial or old value ends that keeps a published record from being seen. `thorough` tells
    whether the look would have shown what only `RARELY_LOOKED_FOR` codes tell of.
    """

    zone: str | None
    nameservers: tuple[str, ...]
    resolver_only: bool
    records: tuple[RecordReport, ...]
    findings: tuple[Finding, ...]
    dns_host: str | None = None
    wake_after: int | None = None
    thorough: bool = True
    #: The fingerprints of DKIM keys whose private half was seen in DNS, now or before.
    compromised: tuple[str, ...] = ()
