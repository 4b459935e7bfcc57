# SPDX-License-Identifier: Apache-2.0
"""Reports to other organisations: who must agree to receive them (RFC 9990 section 4)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from postroom.dns.answers import Answer
from postroom.dns.dmarc.record import PolicyRecord, is_dmarc, parse
from postroom.dns.dmarc.uri import parse as parse_uri
from postroom.dns.names import can_be_asked

_BETWEEN = "._report._dmarc."


class Consent(StrEnum):
    """Whether a destination agreed to receive the reports of a domain."""

    GIVEN = "Given"
    ABSENT = "Absent"
    MASKED = "Masked"  # there is a wildcard, but another name below keeps it from matching
    OVERRIDE_FOREIGN = "OverrideForeign"  # it names an address elsewhere: no reports at all
    UNASKABLE = "Unaskable"  # the name would be longer than DNS allows
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class ExternalDestination:
    """A destination that must agree: `name` is where, `wildcard` agrees for every domain."""

    policy_domain: str
    destination: str

    @property
    def name(self) -> str:
        return report_authorization(self.policy_domain, self.destination)

    @property
    def wildcard(self) -> str:
        return report_authorization("*", self.destination)


def report_authorization(policy_domain: str, destination: str) -> str:
    """Return the name where a foreign report destination must agree (RFC 9990 section 4)."""
    return f"{policy_domain}{_BETWEEN}{destination}"


def report_domain(uri: str) -> str:
    """Return the domain of a mailto: URI; what follows a last @ where it is not a valid one."""
    destination = parse_uri(uri).destination
    return destination or uri.rpartition("@")[2].partition("!")[0].lower()


def destinations(record: PolicyRecord) -> tuple[str, ...]:
    """Return the domains to which a record has reports sent, rua= and ruf= alike, sorted."""
    found = {uri.destination for uri in (*record.aggregate, *record.failure)}
    return tuple(sorted(destination for destination in found if destination is not None))


def external(
    policy_domain: str,
    domains: Sequence[str],
    organisations: Mapping[str, str | None],
) -> tuple[tuple[ExternalDestination, ...], tuple[str, ...]]:
    """Return the destinations that must agree, and those of which that is not known; sorted.

    `organisations` are organisational domains by walk (None: could not look), of the policy domain
    and of each destination; the policy domain itself never has to agree.
    """
    ours = organisations.get(policy_domain)
    foreign, unknown = [], []
    for domain in sorted({destination for destination in domains if destination != policy_domain}):
        theirs = organisations.get(domain)
        if ours is None or theirs is None:
            unknown.append(domain)
        elif theirs != ours:
            foreign.append(ExternalDestination(policy_domain, domain))
    return tuple(foreign), tuple(unknown)


def consent(
    destination: ExternalDestination, answer: Answer, wildcard: Answer | None = None
) -> Consent:
    """Judge the answer for TXT at `destination.name`.

    One record with ``v=DMARC1`` first is enough, other tags or none. An rua= in it replaces the
    address, and must stay at the destination. `wildcard` is the answer at `destination.wildcard`:
    it explains an absence, because a name that exists below hides it (RFC 4592 section 3.3.1).
    """
    if not can_be_asked(destination.name):
        return Consent.UNASKABLE
    if not answer.conclusive:
        return Consent.UNKNOWN
    records = [value for value in answer.values if is_dmarc(value)]
    if records:
        named = {uri.destination for record in records for uri in parse(record).aggregate}
        strays = named - {destination.destination, None}
        return Consent.OVERRIDE_FOREIGN if strays else Consent.GIVEN
    if wildcard is not None and any(is_dmarc(value) for value in wildcard.values):
        return Consent.MASKED
    return Consent.ABSENT
