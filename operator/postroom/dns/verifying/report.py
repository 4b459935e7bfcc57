# SPDX-License-Identifier: Apache-2.0
"""What a verification of a domain yields: values that a reconciler turns into status."""

from dataclasses import dataclass

from postroom.api.findings import Finding
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import Purpose, RecordState
from postroom.dns.answers import RecordType
from postroom.dns.finding_codes import Code
from postroom.dns.judging.judgement import Judgement
from postroom.dns.requirements import PlannedRecord
from postroom.dns.verifying.quorum import Vote, is_certain


@dataclass(frozen=True, slots=True)
class RecordReport:
    """A record of the plan, with what was concluded about it.

    Its judgement with the root cause, the codes of what else was found, how each name server's own
    answer is judged, where all were asked, the seconds until caches let go of what they have
    instead, what follows for mail, and for how many seconds caches keep what is there, at most. How
    it is told comes last, when all records are known: `host_label` is what to type at the DNS host,
    relative to the zone, ``@`` for the zone itself; `message` is the deterministic sentence for
    people.
    """

    planned: PlannedRecord
    judgement: Judgement
    because: tuple[str, ...] = ()
    votes: tuple[Vote, ...] = ()
    wake_after: int | None = None
    follows: str = ""
    cached_seconds: int | None = None
    host_label: str = ""
    message: str = ""

    @property
    def id(self) -> str:
        return self.planned.id

    @property
    def purpose(self) -> Purpose:
        return self.planned.purpose

    @property
    def name(self) -> str:
        return self.planned.name

    @property
    def type(self) -> RecordType:
        return self.planned.type

    @property
    def required(self) -> bool:
        return self.planned.required

    @property
    def value(self) -> str:
        """What to publish, or how it is published, where that may vary: what a fix offers there."""
        fix = self.judgement.cause.fix if self.judgement.cause is not None else None
        if fix is not None and fix.value and (fix.name, fix.type) == (self.name, self.type.value):
            return fix.value
        return self.judgement.value or self.planned.value

    @property
    def state(self) -> RecordState:
        return self.judgement.state

    @property
    def reason(self) -> Reason:
        """The reason that the condition of its purpose takes when this record decides it."""
        return self.judgement.reason

    @property
    def observed(self) -> tuple[str, ...]:
        return self.judgement.observed

    @property
    def certain(self) -> bool:
        """Whether no second look could see it otherwise by chance.

        All servers of the zone agree that the key is revoked or another one, so that one
        observation is enough to count.
        """
        return is_certain(self.judgement, self.votes)


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
