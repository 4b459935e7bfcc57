# SPDX-License-Identifier: Apache-2.0
"""The judge for a delegated ``_domainkey``: the NS records name the provider's servers."""

from postroom.api.findings import Finding
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import RecordState
from postroom.dns.answers import RecordType
from postroom.dns.finding_codes import Code
from postroom.dns.findings import finding
from postroom.dns.judging import judgement
from postroom.dns.judging.fixes import create, delete, removal, replace
from postroom.dns.judging.seen import Needs, Seen, own
from postroom.dns.requirements import DelegationWanted, PlannedRecord


def needs(
    planned: PlannedRecord, wanted: DelegationWanted, seen: Seen, context: judgement.Context
) -> Needs:
    """The NS records of the name."""
    return own((planned.name, RecordType.NS))


def judge(
    planned: PlannedRecord, wanted: DelegationWanted, seen: Seen, context: judgement.Context
) -> judgement.Judgement:
    """One server of the spec is enough to resolve; one that is not of the spec answers otherwise.

    Those that are missing are told as advice, one after the other: a fix adds one record.
    """
    values = seen.at(planned.name, RecordType.NS).values
    if not values:
        return judgement.missing(planned, Code.DKIM_DELEGATION_MISSING, Reason.RECORD_NOT_FOUND)
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
