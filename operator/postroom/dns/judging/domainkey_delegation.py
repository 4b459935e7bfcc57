# SPDX-License-Identifier: Apache-2.0
"""The judge for a delegated ``_domainkey``: the NS records name the provider's servers."""

from collections.abc import Sequence
from dataclasses import replace as changed

from postroom.api.findings import Finding
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import RecordState
from postroom.dns.answers import Delegation, Outcome, Question, RecordType
from postroom.dns.finding_codes import Code
from postroom.dns.findings import finding
from postroom.dns.judging import judgement
from postroom.dns.judging.fixes import create, delete, external, removal, replace
from postroom.dns.judging.seen import Needs, Seen, own
from postroom.dns.requirements import DelegationWanted, PlannedRecord

_HIDES = (
    "What stands below that name in this zone is seen by nobody once it is delegated: have the "
    "provider publish the keys that are still signed with, first."
)


def needs(
    planned: PlannedRecord, wanted: DelegationWanted, seen: Seen, context: judgement.Context
) -> Needs:
    """The NS records of the name."""
    return own((planned.name, RecordType.NS))


def judge(
    planned: PlannedRecord, wanted: DelegationWanted, seen: Seen, context: judgement.Context
) -> judgement.Judgement:
    """What is there, or what a delegation takes away that is to be made."""
    answer = seen.at(planned.name, RecordType.NS)
    # An alias holds for its own name, and delegates none below it (RFC 1034 section 3.6.2).
    if answer.values and not answer.aliases:
        return _judged(planned, wanted, answer.values)
    # The name exists: keys stand below it, or a wildcard answers for it.
    hides = answer.outcome is Outcome.NO_DATA and not answer.aliases
    return judgement.missing(
        planned,
        Code.DKIM_DELEGATION_MISSING,
        Reason.RECORD_NOT_FOUND,
        so=_HIDES if hides else "",
    )


def referred(
    planned: PlannedRecord, wanted: DelegationWanted, delegation: Delegation
) -> judgement.Judgement:
    """The judgement where none of the servers answers to which the zone above leads: by its word,
    as a former provider's servers refuse to answer."""
    judged = _judged(planned, wanted, delegation.nameservers)
    if judged.state is not RecordState.VALID:
        return judged
    message = (
        f"{planned.name} is delegated as it must be, to {', '.join(delegation.nameservers)}, but "
        "nobody answers there: have the provider set up the zone."
    )
    shows = Question(planned.name, RecordType.NS)
    cause = judgement.Cause(Code.LAME, message, external(), judgement.Evidence.SHOWN, shows)
    return changed(judgement.blind(planned), message=message, cause=cause)


def _judged(
    planned: PlannedRecord, wanted: DelegationWanted, values: Sequence[str]
) -> judgement.Judgement:
    """One server of the spec is enough to resolve; one that is not of the spec answers otherwise.

    Those that are missing are told as advice, one after the other: a fix adds one record.
    """
    lacking = [nameserver for nameserver in wanted.nameservers if nameserver not in values]
    foreign = sorted(value for value in values if value not in wanted.nameservers)
    if not foreign:
        advice: list[Finding] = []
        if lacking:
            # Without the others, keys cannot be found while the one server is away.
            message = (
                f"The delegation of {planned.name} lacks name servers that the provider asks for: "
                f"add NS {', '.join(lacking)}."
            )
            fix = create(planned, lacking[0])
            advice.append(finding(Code.DKIM_DELEGATION_PARTIAL, planned.id, message, fix))
        message = "The delegation is published."
        return judgement.valid(Reason.RECORDS_MATCHED, message, values, advice=tuple(advice))
    message = f"{planned.name} is delegated to other name servers than the required ones."
    fix = delete(removal(planned.name, planned.type, foreign))
    if len(lacking) == len(wanted.nameservers):
        fix = replace(planned, foreign, value=lacking[0]) or fix
    cause = judgement.Cause(Code.DKIM_DELEGATION_WRONG, message, fix, judgement.Evidence.SHOWN)
    return judgement.faulty(RecordState.WRONG, Reason.RECORD_MISMATCH, cause, values)
