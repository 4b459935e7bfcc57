# SPDX-License-Identifier: Apache-2.0
"""What the steps of a reconciler found, before `summarize` puts it into conditions."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from postroom.api.conditions import Condition, ConditionStatus, ConditionType, Verdict, find
from postroom.api.findings import FINDINGS_LIMIT, Finding, Severity
from postroom.api.reasons import Reason
from postroom.api.resource import AnyResource
from postroom.api.status import CommonStatus
from postroom.reconcile.status.wanted import Wanted

#: The verdicts that no second look could change, so that they count at the first: the API
#: server's word about an object, the guard's, and a refusal that must not be provoked twice.
CERTAIN = frozenset(
    {
        ConditionType.REFERENCES_RESOLVED,
        ConditionType.DEPENDENCIES_READY,
        ConditionType.TARGET_ALLOWED,
        ConditionType.SMTP_AUTHENTICATED,
        ConditionType.IMAP_AUTHENTICATED,
    }
)

#: The failures that only an edit of a spec or of the operator's settings, or a proof that nobody
#: has given yet, can mend.
STALLING = frozenset(
    {
        Reason.ADDRESS_DENIED,
        Reason.PORT_DENIED,
        Reason.REFERENCE_NOT_PERMITTED,
        Reason.MAIL_SERVER_NOT_PERMITTED,
        Reason.NAMESPACE_NOT_WATCHED,
        Reason.DOMAIN_CLAIMED,
        Reason.PUBLIC_KEY_INVALID,
        Reason.DUPLICATE_ADDRESS,
        Reason.ADDRESS_CONFLICT,
        Reason.DUPLICATE_DOMAIN,
        Reason.ENCRYPTION_REQUIRED,
        Reason.CA_BUNDLE_INVALID,
        Reason.SECRET_CONFLICT,
        Reason.BINDING_NOT_ENABLED,
        Reason.BINDING_FORBIDDEN,
        Reason.BINDING_UNGUARDED,
        Reason.BINDING_REFUSED,
    }
)

#: Refusals of a sign-in that pass by themselves never, and with nothing that is only on its way: a
#: person corrects the spec or the Secret, consents, or opens the account. A delegation that was
#: granted takes hours to arrive, an assertion fails while a clock is wrong, and a server that comes
#: up offers no AUTH at first, and locks end: those are not among them.
FINAL_REFUSALS = frozenset(
    {
        Reason.AUTHENTICATION_REJECTED,
        Reason.ACCOUNT_DISABLED,
        Reason.MECHANISM_UNSUPPORTED,
        Reason.INVALID_SPEC,  # a credential that no server could take, and that is not sent
        Reason.OAUTH_TOKEN_REJECTED,
        Reason.OAUTH_CREDENTIALS_INVALID,
        Reason.OAUTH_REQUEST_INVALID,
        Reason.OAUTH_CLIENT_SECRET_INVALID,
        Reason.OAUTH_CLIENT_SECRET_EXPIRED,
        Reason.OAUTH_CLIENT_UNKNOWN,
        Reason.OAUTH_CLIENT_DISABLED,
        Reason.OAUTH_TENANT_UNKNOWN,
        Reason.OAUTH_GRANT_EXPIRED,
        Reason.OAUTH_GRANT_REVOKED,
        Reason.OAUTH_INTERACTION_REQUIRED,
        Reason.OAUTH_BLOCKED_BY_CONDITIONAL_ACCESS,
        Reason.OAUTH_BLOCKED_BY_ADMIN,
        Reason.OAUTH_CONSENT_REQUIRED,
        Reason.OAUTH_ACCESS_DECLINED,
        Reason.OAUTH_ACCOUNT_DISABLED,
        Reason.OAUTH_ACCOUNT_NOT_FOUND,
        Reason.OAUTH_SCOPE_REJECTED,
        Reason.OAUTH_SCOPE_MISSING,
        Reason.OAUTH_WRONG_AUDIENCE,
        Reason.OAUTH_WRONG_ACCOUNT,
    }
)
#: Where a refusal of a sign-in is said.
SIGN_INS = frozenset({ConditionType.SMTP_AUTHENTICATED, ConditionType.IMAP_AUTHENTICATED})
#: What must not fail for an account to read its mailbox.
READING = (ConditionType.IMAP_AVAILABLE, ConditionType.IMAP_AUTHENTICATED)

#: What is seen in DNS alone.
OF_DNS = frozenset(
    {
        ConditionType.OWNERSHIP_VERIFIED,
        ConditionType.DKIM_VERIFIED,
        ConditionType.SPF_VERIFIED,
        ConditionType.DMARC_VERIFIED,
        ConditionType.MX_VERIFIED,
        ConditionType.RETURN_PATH_VERIFIED,
        ConditionType.TRACKING_VERIFIED,
        ConditionType.MTA_STS_VERIFIED,
        ConditionType.TLS_RPT_VERIFIED,
        ConditionType.BIMI_VERIFIED,
        ConditionType.DANE_VERIFIED,
        ConditionType.REVERSE_DNS_VERIFIED,
    }
)
_DEPENDENCY = frozenset({ConditionType.REFERENCES_RESOLVED, ConditionType.DEPENDENCIES_READY})
#: Failures that wait for someone to change a Secret.
_CREDENTIALS = frozenset({Reason.AUTHENTICATION_REJECTED, Reason.ACCOUNT_DISABLED})


@dataclass(frozen=True, slots=True)
class Conclusion:
    """Status fields that follow from the conditions that count, and how soon time alone may
    change them."""

    fields: Mapping[str, object]
    look_again: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Followed:
    """Verdicts, status fields, children and findings that follow from the verdicts that count."""

    verdicts: tuple[Verdict, ...] = ()
    fields: Mapping[str, object] = field(default_factory=dict)
    children: tuple[Wanted, ...] | None = None
    findings: tuple[Finding, ...] = ()


#: (verdicts that count, stored status) -> what follows from them.
Follow = Callable[[Sequence[Verdict], CommonStatus], Followed]
#: (conditions that count, stored status, time of the run) -> what follows from them.
Conclude = Callable[[Sequence[Condition], CommonStatus, datetime], Conclusion]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What stands behind the verdicts of a look at DNS.

    `certain` are failures that no second look could change. `causes` are the ids of the records
    that fail, by condition: a regression is confirmed when the same one was seen twice. `lagging`
    are the conditions that are Unknown only because the resolver does not show yet what the zone
    has. `withdrawn` are conditions that could not be looked at and whose standing verdict something
    else contradicts, so that it counts no longer. `repeated` are the sign-ins that were refused as
    often as they are tried: what had worked does not come back by itself, either.
    """

    certain: frozenset[ConditionType] = frozenset()
    causes: Mapping[ConditionType, frozenset[str]] = field(default_factory=dict)
    lagging: frozenset[ConditionType] = frozenset()
    withdrawn: frozenset[ConditionType] = frozenset()
    repeated: frozenset[ConditionType] = frozenset()


@dataclass(frozen=True, slots=True)
class Assessment:
    """Everything that one run found.

    `verdicts` are in the order in which the first failing one decides Ready; those in `advisory`
    do not. `fields` are the status fields of the kind; None keeps what the status holds.
    `conclude` derives further fields from the conditions that count. `confirm_after` is how long a
    verified thing must be seen failing before its verdict flips. Without a verdict on each of
    `required` nothing is Ready. `own_pace` tells that the wait for the first success is not bound
    by the interval. `look_again` is when something else wants another look, if before that.
    `follow` gives verdicts that gate Ready, too, and stand on those that count.
    """

    verdicts: tuple[Verdict, ...]
    ready_message: str
    confirm_after: timedelta
    interval: timedelta
    deadline: timedelta
    advisory: frozenset[ConditionType] = frozenset()
    fields: Mapping[str, object] | None = None
    references: frozenset[str] = frozenset()
    conclude: Conclude | None = None
    required: frozenset[ConditionType] = frozenset()
    evidence: Evidence = Evidence()
    own_pace: bool = False
    look_again: timedelta | None = None
    follow: Follow | None = None

    def is_final(self, verdict: Verdict, *, once_ready: bool) -> bool:
        """Whether a failure stays until somebody acts, so that it stalls the object.

        A refused sign-in is final at once where nothing has worked yet; what has worked with this
        spec must be refused twice.
        """
        if not verdict.failed or verdict.type in self.advisory:
            return False
        if verdict.reason in STALLING:
            return True
        refused = verdict.type in SIGN_INS and verdict.reason in FINAL_REFUSALS
        return refused and (not once_ready or verdict.type in self.evidence.repeated)

    @property
    def conclusive(self) -> bool:
        """Whether the run could look at everything that gates Ready.

        What the zone has was looked at, even where a cache still hides it.
        """
        return all(
            verdict.status is not ConditionStatus.UNKNOWN or verdict.type in self.evidence.lagging
            for verdict in self.verdicts
            if verdict.type not in self.advisory
        )


def passed(condition: ConditionType, reason: Reason, message: str) -> Verdict:
    """A positive verdict."""
    return _passed(condition, reason, message)


#: Of what is well most objects say the same.
@functools.lru_cache(maxsize=64)
def _passed(condition: ConditionType, reason: Reason, message: str) -> Verdict:
    return Verdict(type=condition, status=ConditionStatus.TRUE, reason=reason, message=message)


def failed(
    condition: ConditionType, reason: Reason, message: str, field: str = "", fix: str = ""
) -> Verdict:
    """A negative verdict, the field of the spec that it is about, and what to change."""
    return Verdict(
        type=condition,
        status=ConditionStatus.FALSE,
        reason=reason,
        message=message,
        field=field,
        fix=fix,
    )


def unknown(condition: ConditionType, reason: Reason, message: str) -> Verdict:
    """No verdict: could not look."""
    return Verdict(type=condition, status=ConditionStatus.UNKNOWN, reason=reason, message=message)


EVERY_REFERENCE_FOUND = passed(
    ConditionType.REFERENCES_RESOLVED, Reason.RESOLVED, "Every referenced object was found."
)


def awaited(verdict: Verdict) -> Reason:
    """Name what an object waits for that has this verdict before it was ever Ready."""
    if verdict.type in OF_DNS and verdict.reason is not Reason.LOOKUP_FAILED:
        return Reason.AWAITING_DNS
    if verdict.type in _DEPENDENCY or verdict.reason in _CREDENTIALS:
        return Reason.AWAITING_DEPENDENCY
    return Reason.PROGRESSING_WITH_RETRY


_SEVERITIES = list(Severity)


def worst_first(findings: tuple[Finding, ...]) -> list[Finding]:
    """Order findings by severity, keeping the order inside one; bounded by the schema's limit."""
    ordered = sorted(findings, key=lambda finding: _SEVERITIES.index(finding.severity))
    return ordered[:FINDINGS_LIMIT]


def readiness(resource: AnyResource | None) -> ConditionStatus:
    """The stored Ready of another object; Unknown where it is about an earlier generation."""
    if resource is None:
        return ConditionStatus.UNKNOWN
    ready = find(resource.status.conditions, ConditionType.READY)
    if ready is None or resource.status.observed_generation != resource.metadata.generation:
        return ConditionStatus.UNKNOWN
    return ready.status


def is_out_of_sight(resource: AnyResource | None) -> bool:
    """Whether an object itself says that its last look is too long ago to count.

    Its patience is over then: nobody who stands on it adds one of their own.
    """
    if readiness(resource) is not ConditionStatus.UNKNOWN or resource is None:
        return False
    ready = find(resource.status.conditions, ConditionType.READY)
    return ready is not None and ready.reason == Reason.OBSERVATION_STALE.value
