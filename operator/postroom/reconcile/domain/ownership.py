# SPDX-License-Identifier: Apache-2.0
"""What is said of a domain's ownership besides its record: no key, or another namespace's claim."""

from dataclasses import replace

from postroom.api import sendingdomain
from postroom.api.conditions import ConditionType, Verdict
from postroom.api.findings import Finding, Fix, FixAction, Severity
from postroom.api.reasons import Reason
from postroom.api.resource import SendingDomain
from postroom.dns.finding_codes import Code
from postroom.dns.findings import finding
from postroom.dns.ownership import OwnershipRules, challenge, is_token
from postroom.dns.planning import TOKEN_ID
from postroom.dns.verifying.report import DomainReport, RecordReport
from postroom.reconcile.status.assessment import failed, unknown

_NO_KEY = (
    "The operator has no ownership key, so there is no ownership token to publish or to look for: "
    "its administrator sets POSTROOM_OWNERSHIP_KEY or --ownership-key-file."
)
_KEY_ELSEWHERE = (
    "The ownership token was not looked at: it needs the operator's key (--ownership-key-file)."
)
_NOTHING_ELSE = (
    "Nothing of the domain was looked at: the ownership token needs the operator's key "
    "(--ownership-key-file), and nothing else is asked for. Name its provider, or declare what it "
    "must have, such as spf, dkim and dmarc."
)


def requiring(
    spec: sendingdomain.SendingDomainSpec, rules: OwnershipRules
) -> sendingdomain.SendingDomainSpec:
    """Let ownership gate Ready where the operator's rules say so, whatever the spec requires."""
    if (
        spec.require is None
        or sendingdomain.Purpose.OWNERSHIP in spec.require
        or not rules.token_required
    ):
        return spec
    return spec.model_copy(update={"require": [sendingdomain.Purpose.OWNERSHIP, *spec.require]})


def without_key(rules: OwnershipRules, *, required: bool) -> Verdict:
    """The verdict where a derived token would have to be looked at and there is no key; `required`:
    the domain is not Ready without it."""
    message = _NO_KEY
    if rules.key_elsewhere:
        message = _NOTHING_ELSE if required else _KEY_ELSEWHERE
    return unknown(ConditionType.OWNERSHIP_VERIFIED, Reason.OWNERSHIP_KEY_MISSING, message)


def finding_without_key(rules: OwnershipRules, *, required: bool) -> Finding:
    """The same as a finding; it keeps nobody from anything where it is not required."""
    told = without_key(rules, required=required).message
    made = finding(Code.OWNERSHIP_KEY_MISSING, "ownership", told)
    return made.model_copy(update={"severity": Severity.ERROR if required else Severity.INFO})


def token_of(report: DomainReport, rules: OwnershipRules) -> RecordReport | None:
    """Return the record by which a claim is proven; None where there is no key."""
    records = [
        record for record in report.records if record.purpose is sendingdomain.Purpose.OWNERSHIP
    ]
    proofs = [record for record in records if rules.keys and is_token(record.value)]
    return proofs[-1] if proofs else None


def without_needless_token(report: DomainReport) -> DomainReport:
    """Leave out a token that is not published and that nothing asks for any more."""
    gone = {
        record.id
        for record in report.records
        if record.id == TOKEN_ID
        and record.state not in (sendingdomain.RecordState.VALID, sendingdomain.RecordState.UNKNOWN)
    }
    if not gone:
        return report
    return replace(
        report,
        records=tuple(record for record in report.records if record.id not in gone),
        findings=tuple(reported for reported in report.findings if reported.subject not in gone),
    )


def claimed(domain: str, token: tuple[str, str] | None) -> Verdict:
    """The verdict on a domain that another namespace has; it says nothing more about that one.

    `token` are name and value of the record that would prove this namespace's claim.
    """
    message = (
        f"{domain}, or a domain above or below it, is claimed by another namespace, and nothing "
        "proves that this one may use it."
    )
    todo = (
        "Without an ownership key of the operator there is no token that could prove it: its "
        "administrator sets POSTROOM_OWNERSHIP_KEY or --ownership-key-file."
    )
    if token is not None:
        todo = f"Publish this namespace's token as TXT at {token[0]}: {token[1]}"
    return failed(ConditionType.OWNERSHIP_VERIFIED, Reason.DOMAIN_CLAIMED, f"{message} {todo}")


def given_up(
    resource: SendingDomain, rules: OwnershipRules
) -> tuple[Verdict, sendingdomain.SendingDomainStatus]:
    """Return what is said of a suspended domain that another namespace has now, and its status.

    Whoever resumes it begins anew, as after any lost claim: what it had must not count again.
    """
    spec, namespace = resource.spec, resource.metadata.namespace
    token = challenge(rules.keys[0], namespace, spec.domain) if rules.keys else None
    verdict = claimed(spec.domain, token)
    fix = None
    if token is not None:
        name, value = token
        fix = Fix(action=FixAction.CREATE, name=name, type="TXT", value=value)
    status = resource.status.model_copy(
        update={
            "verification": sendingdomain.Verification.FAILED,
            "verified_at": None,
            "degraded_at": None,
            "last_ready_generation": None,
            "findings": [finding(Code.DOMAIN_CLAIMED, "ownership", verdict.message, fix)],
        }
    )
    return verdict, status


def telling_of_claim(
    report: DomainReport, verdict: Verdict, token: RecordReport | None
) -> DomainReport:
    """Tell of the claim in the place of what else is said about the token."""
    subject = token.id if token is not None else "ownership"
    fix = None
    if token is not None:
        fix = Fix(
            action=FixAction.CREATE,
            name=token.name,
            host_label=token.host_label,
            type=token.type.value,
            value=token.value,
        )
    told = finding(Code.DOMAIN_CLAIMED, subject, verdict.message, fix)
    others = [reported for reported in report.findings if reported.subject != subject]
    return replace(report, findings=(told, *others))
