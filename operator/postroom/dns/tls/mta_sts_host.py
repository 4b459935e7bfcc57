# SPDX-License-Identifier: Apache-2.0
"""Fetching an MTA-STS policy (RFC 8461 section 3.3): the values, and the seam to the network."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

#: RFC 8461 section 3.3 suggests 64 kilobytes: more than this is not read.
POLICY_BYTES_LIMIT = 64 * 1024


class PolicyFetchOutcome(StrEnum):
    """How far fetching a policy came. All but FETCHED and the last two are definite faults."""

    FETCHED = "Fetched"
    HOST_NOT_FOUND = "HostNotFound"
    HANDSHAKE = "Handshake"  # no TLS, or none that could be agreed on
    CERTIFICATE = "Certificate"  # not trusted, expired, or for other names
    REDIRECT = "Redirect"  # which senders must not follow
    NOT_FOUND = "NotFound"  # any other status than 200, but for those that pass by themselves
    WRONG_MEDIA_TYPE = "WrongMediaType"
    TOO_LARGE = "TooLarge"
    DENIED = "Denied"  # the dial guard forbids the address
    UNREACHABLE = "Unreachable"  # refused, timeout, reset, server in trouble: could not look


class CertificateFault(StrEnum):
    """Why the certificate of a policy host does not count."""

    EXPIRED = "Expired"
    NOT_YET_VALID = "NotYetValid"
    OTHER_NAME = "OtherName"
    UNTRUSTED = "Untrusted"


@dataclass(frozen=True, slots=True)
class FetchedPolicy:
    """What came of fetching ``https://mta-sts.<domain>/.well-known/mta-sts.txt``.

    `text` is the body, latin-1; `status` the HTTP status where there was a response;
    `certificate` is set for the outcome CERTIFICATE.
    """

    outcome: PolicyFetchOutcome
    text: str = ""
    status: int | None = None
    certificate: CertificateFault | None = None

    @property
    def conclusive(self) -> bool:
        """Whether this says something about the policy, rather than about the way to it."""
        return self.outcome not in (PolicyFetchOutcome.DENIED, PolicyFetchOutcome.UNREACHABLE)


class PolicyFetcher(Protocol):
    """Fetches policies. Implementations never raise for what servers or networks do."""

    async def fetch(self, domain: str) -> FetchedPolicy:
        """Fetch the MTA-STS policy of a domain: HTTPS, verified, no redirects, bounded."""
        ...
