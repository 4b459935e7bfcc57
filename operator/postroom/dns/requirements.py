# SPDX-License-Identifier: Apache-2.0
"""What a required record must amount to: one type per kind of record, each with a judge."""

from dataclasses import dataclass
from enum import StrEnum

from postroom.api.sendingdomain import DKIMRole, DMARCPolicy, MTASTSMode, Purpose
from postroom.dns import dkim
from postroom.dns.answers import RecordType
from postroom.dns.spf import Requirement

#: Longest value that is handed out for publishing: more fits into no status, nor a DNS answer.
VALUE_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class TextWanted:
    """A TXT record with this exact text; `also` are others that do as well."""

    text: str
    also: tuple[str, ...] = ()


class Behind(StrEnum):
    """What must stand at the target of an alias."""

    KEY = "Key"  # a DKIM key record
    HOST = "Host"  # an address, or anything else that makes the target exist


@dataclass(frozen=True, slots=True)
class CNAMEWanted:
    """A CNAME to this target."""

    target: str
    behind: Behind = Behind.KEY
    role: DKIMRole = DKIMRole.ACTIVE


@dataclass(frozen=True, slots=True)
class DKIMKeyWanted:
    """A DKIM key record with this key."""

    key: dkim.PublicKey
    role: DKIMRole = DKIMRole.ACTIVE


@dataclass(frozen=True, slots=True)
class DelegationWanted:
    """NS records that hand a name to these servers."""

    nameservers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DMARCWanted:
    """A DMARC record that is at least as strict and reports to these addresses."""

    policy: DMARCPolicy
    rua: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MXWanted:
    """An MX record; `alone` where its provider takes no other one at the same name."""

    preference: int
    host: str
    alone: bool = False


@dataclass(frozen=True, slots=True)
class MTASTSWanted:
    """An MTA-STS record whose policy is at least as strict and covers these exchanges."""

    domain: str
    mode: MTASTSMode
    exchanges: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TLSRPTWanted:
    """A TLS-RPT record that reports to these addresses."""

    rua: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BIMIWanted:
    """A BIMI record with this logo and mark certificate."""

    domain: str
    logo: str
    certificate: str | None


@dataclass(frozen=True, slots=True)
class TLSAWanted:
    """Usable TLSA records, protected by DNSSEC, at a mail exchange."""

    host: str


@dataclass(frozen=True, slots=True)
class PTRWanted:
    """A PTR record of an address whose name leads back to the address."""

    address: str


Wanted = (
    TextWanted
    | CNAMEWanted
    | DKIMKeyWanted
    | DelegationWanted
    | Requirement
    | DMARCWanted
    | MXWanted
    | MTASTSWanted
    | TLSRPTWanted
    | BIMIWanted
    | TLSAWanted
    | PTRWanted
)


@dataclass(frozen=True, slots=True)
class PlannedRecord:
    """One record that must be published; `value` is what to publish where nothing is there yet.

    An empty `value` means that postroom cannot know it (TLSA of a server, PTR of an address).
    """

    id: str
    purpose: Purpose
    name: str
    type: RecordType
    value: str
    required: bool
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class DomainPlan:
    """A domain and the records that it must have.

    `people` tells that it hosts mailboxes of people; `bulk_receivers` whose requirements for bulk
    senders are checked. `compromised` are the fingerprints of DKIM keys whose private half stood
    in DNS.
    """

    domain: str
    records: tuple[PlannedRecord, ...]
    people: bool = False
    bulk_receivers: tuple[str, ...] = ()
    compromised: frozenset[str] = frozenset()

    @property
    def exchanges(self) -> tuple[MXWanted, ...]:
        """All mail exchanges of the domain itself that are required."""
        return tuple(
            record.wanted
            for record in self.records
            if isinstance(record.wanted, MXWanted) and record.name == self.domain
        )

    def of(self, purpose: Purpose) -> tuple[PlannedRecord, ...]:
        """The records of one purpose."""
        return tuple(record for record in self.records if record.purpose is purpose)
