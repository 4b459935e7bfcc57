# SPDX-License-Identifier: Apache-2.0
"""Nothing is not Ready without a finding that says why, and no finding of a server or an account
is without a fix.

Where a look found no cause of its own to tell of (a reference that leads nowhere, a Secret that
lacks a key, a default that is missing), the condition that decides Ready is told as one.
"""

from collections.abc import Sequence
from dataclasses import replace

from postroom.api.conditions import Condition, ConditionStatus, ConditionType, find, shorten
from postroom.api.findings import INSTRUCTION_LIMIT, Finding, Fix, FixAction, Severity
from postroom.api.reasons import Reason
from postroom.api.sendingdomain_status import SendingDomainStatus
from postroom.api.status import CommonStatus, MarkedStatus
from postroom.dns.verifying.reporting import OF_CACHES
from postroom.mail.replies.catalogue import causes
from postroom.mail.replies.causes import Cause
from postroom.reconcile.status.assessment import worst_first
from postroom.reconcile.status.outcome import Outcome
from postroom.reconcile.status.remedies import remedy_of

_LIFECYCLE = frozenset(
    {
        ConditionType.READY,
        ConditionType.RECONCILING,
        ConditionType.STALLED,
        ConditionType.SUSPENDED,
    }
)
#: What findings are about that are made here.
_OWN_SUBJECTS = frozenset(each.value for each in ConditionType)
#: Fixes that are not records.
_IN_WORDS = frozenset({FixAction.EXTERNAL, FixAction.WAIT})
#: What passes by itself: a look that is under way, and what somebody wants just so.
_PASSING = frozenset(
    {
        Reason.PROGRESSING,
        Reason.PENDING,
        Reason.SUSPENDED,
        Reason.DISCONNECTED,
        Reason.DEPENDENCY_UNKNOWN,
        Reason.CREDENTIALS_ELSEWHERE,
    }
)
#: Why a condition is Unknown because of a failed probe, of which a finding tells.
_TOLD_OF_PROBES = frozenset({Reason.LOOKUP_FAILED, Reason.NOT_ATTEMPTED, Reason.PROBE_INCONCLUSIVE})
#: The conditions that probes decide, with the protocols that their findings are about.
_PROBED = {
    ConditionType.TARGET_ALLOWED: frozenset({"SMTP", "IMAP"}),
    ConditionType.TLS_VERIFIED: frozenset({"SMTP", "IMAP"}),
    ConditionType.SMTP_AVAILABLE: frozenset({"SMTP"}),
    ConditionType.SMTP_AUTHENTICATED: frozenset({"SMTP"}),
    ConditionType.IMAP_AVAILABLE: frozenset({"IMAP"}),
    ConditionType.IMAP_AUTHENTICATED: frozenset({"IMAP"}),
}


def explained(outcome: Outcome) -> Outcome:
    """Return an outcome whose findings tell what keeps the object from being Ready."""
    status = outcome.status
    if not isinstance(status, MarkedStatus | SendingDomainStatus):
        return outcome
    findings = tuple(each for each in status.findings if each.subject not in _OWN_SUBJECTS)
    ready = find(status.conditions, ConditionType.READY)
    if ready is not None and ready.status is not ConditionStatus.TRUE:
        deciding = _deciding(status, ready, outcome.deciding)
        in_other_words = isinstance(status, SendingDomainStatus)
        if not any(_tells(finding, deciding, in_other_words) for finding in findings):
            findings = (_as_finding(deciding, outcome), *findings)
        if not in_other_words:
            # Ready tells one cause: whoever reads the findings meets it first, among those as bad.
            # Those of a domain stand in the order in which records are mended.
            findings = tuple(sorted(findings, key=lambda each: _distance(each, deciding)))
    if isinstance(status, MarkedStatus):
        findings = tuple(with_fix(finding) for finding in findings)
    if findings == tuple(status.findings):
        return outcome
    told = status.model_copy(update={"findings": worst_first(findings)})
    return replace(outcome, status=told)


def telling(status: MarkedStatus) -> Finding | None:
    """The finding of a stored status that tells why the object is not Ready; None where it is, or
    none does."""
    ready = find(status.conditions, ConditionType.READY)
    if ready is None or ready.status is ConditionStatus.TRUE:
        return None
    deciding = _deciding(status, ready, None)
    return next((each for each in status.findings if _tells(each, deciding, False)), None)


def _deciding(status: CommonStatus, ready: Condition, known: ConditionType | None) -> Condition:
    """The condition that Ready repeats; Ready itself where it speaks for itself.

    Which one it is a stored status does not tell (`known` is None): the first with its reason.
    """
    repeated = (
        condition
        for condition in status.conditions
        if condition.type not in _LIFECYCLE
        and condition.status is ready.status
        and (condition.reason == ready.reason if known is None else condition.type is known)
    )
    return next(repeated, ready)


def _tells(finding: Finding, deciding: Condition, in_other_words: bool) -> bool:
    """Whether a finding says what a condition says.

    It has the code of its reason, or of a cause that its reason stands for. The judges of DNS tell
    the cause of what fails, or could not be looked at, in their own words.
    """
    if in_other_words and finding.severity is not Severity.INFO:
        return finding.severity is Severity.ERROR or deciding.status is ConditionStatus.UNKNOWN
    reason = Reason(deciding.reason)
    if finding.code == reason.name:
        return True
    if reason is Reason.RESOLVERS_DISAGREE and finding.code in OF_CACHES:
        # Told as news: it passes by itself.
        return True
    if reason in _TOLD_OF_PROBES and deciding.type in _PROBED:
        # The finding names the failure; the condition only that because of it nothing is known.
        protocols = finding.subject.replace(",", " ").split()
        return finding.code in Reason.__members__ and not _PROBED[deciding.type].isdisjoint(
            protocols
        )
    cause = Cause[finding.code] if finding.code in Cause.__members__ else None
    return (
        cause is not None
        and finding.severity is Severity.ERROR
        and causes()[cause].reason is reason
    )


def _distance(finding: Finding, deciding: Condition) -> int:
    """How far a finding is from what a condition says: in its very words, of its cause, or not."""
    if shorten(finding.message) == deciding.message:
        return 0
    return 1 if _tells(finding, deciding, False) else 2


def _as_finding(deciding: Condition, outcome: Outcome) -> Finding:
    """A condition as a finding: of the field and with the fix that its verdict names, or, where the
    condition was kept, that the finding of before names."""
    reason = Reason(deciding.reason)
    before: Sequence[Finding] = getattr(outcome.status, "findings", ())
    same = (reason.name, deciding.type.value)
    kept = next((each for each in before if (each.code, each.subject) == same), None)
    fix = kept.fix if kept is not None and kept.message == deciding.message else None
    if outcome.fix:
        fix = _in_words(outcome.fix)
    elif reason is Reason.INVALID_SPEC and outcome.field:
        fix = _in_words(f"Correct {outcome.field}.")
    severity = Severity.INFO if reason in _PASSING else Severity.WARNING
    if deciding.status is ConditionStatus.FALSE:
        severity = Severity.ERROR
    told = Finding(
        code=reason.name,
        severity=severity,
        subject=deciding.type.value,
        field=outcome.field or (kept.field if kept is not None else ""),
        message=deciding.message,
        fix=fix,
    )
    return with_fix(told)


def _in_words(told: str) -> Fix:
    return Fix(action=FixAction.EXTERNAL, instruction=told[:INSTRUCTION_LIMIT])


def with_fix(finding: Finding) -> Finding:
    """Add what is to be done, as the catalogues of codes have it, where a finding does not tell."""
    fix = finding.fix
    if fix is not None and (fix.action not in _IN_WORDS or fix.instruction):
        return finding
    said = finding.message[:INSTRUCTION_LIMIT]
    remedy = remedy_of(finding.code) or Fix(action=FixAction.EXTERNAL, instruction=said)
    if fix is not None:
        remedy = fix.model_copy(update={"instruction": remedy.instruction})
    return finding.model_copy(update={"fix": remedy})
