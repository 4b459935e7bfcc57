# SPDX-License-Identifier: Apache-2.0
"""The judge for MTA-STS (RFC 8461): the record, its host, and the policy that senders fetch."""

from collections.abc import Sequence

from postroom.api.findings import Finding
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import RecordState
from postroom.dns.answers import RecordType
from postroom.dns.finding_codes import Code
from postroom.dns.findings import finding
from postroom.dns.judging import judgement
from postroom.dns.judging.fixes import external, replace
from postroom.dns.judging.mta_sts_policy import fault_of, policy_of, to_serve
from postroom.dns.judging.mx import NOBODY, host_of
from postroom.dns.judging.seen import Needs, Seen, own
from postroom.dns.requirements import MTASTSWanted, PlannedRecord
from postroom.dns.texts.quoting import quoted
from postroom.dns.tls import mta_sts

_ADDRESSES = (RecordType.A, RecordType.AAAA)


def needs(
    planned: PlannedRecord, wanted: MTASTSWanted, seen: Seen, context: judgement.Context
) -> Needs:
    """The record, the policy host and the exchanges; then the policy.

    It is fetched only from a host that was seen at the zone's own servers: looking for one that is
    not there yet would put a denial into the resolver's cache.
    """
    host = mta_sts.policy_host(wanted.domain)
    needed = own(
        (planned.name, RecordType.TXT), (host, RecordType.A), (wanted.domain, RecordType.MX)
    )
    first = seen.get(host, RecordType.A)
    if first is not None and first.conclusive and not first.values:
        needed |= own((host, RecordType.AAAA))
    published = len(mta_sts.select(seen.at(planned.name, RecordType.TXT).values)) == 1
    if published and any(seen.at(host, kind).values for kind in _ADDRESSES):
        needed |= Needs(policies=frozenset({wanted.domain}))
    return needed


def judge(
    planned: PlannedRecord, wanted: MTASTSWanted, seen: Seen, context: judgement.Context
) -> judgement.Judgement:
    """One record with an id, and a policy that is strict enough and covers every exchange."""
    values = seen.at(planned.name, RecordType.TXT).values
    records = mta_sts.select(values)
    if not records:
        intended = sorted(filter(mta_sts.looks_like_record, values))
        if not intended:
            return judgement.missing(
                planned, Code.MTA_STS_MISSING, Reason.RECORD_NOT_FOUND, there=values
            )
        sentence = "does not begin with v=STSv1 and a semicolon, so that senders ignore it"
        return _faulty_record(planned, Code.MTA_STS_SYNTAX, sentence, intended)
    if len(records) > 1:
        sentence = f"holds {len(records)} MTA-STS records, so senders ignore all of them"
        return _faulty_record(planned, Code.MTA_STS_MULTIPLE, sentence, records)
    problem = mta_sts.record_problem(records[0])
    if problem is not None:
        sentence = f"cannot be read: {problem}"
        return _faulty_record(planned, Code.MTA_STS_SYNTAX, sentence, records)
    # The host must exist before anything can be fetched from it, and the exchanges be known.
    host = mta_sts.policy_host(wanted.domain)
    addresses = [seen.at(host, kind) for kind in _ADDRESSES]
    if not any(address.values for address in addresses):
        if not all(address.conclusive for address in addresses):
            return judgement.blind(planned, f"the addresses of {host}", records)
        message = (
            f"The policy host {host} has no address: point it to a web server that serves the "
            f"policy at {mta_sts.policy_url(wanted.domain)}."
        )
        return _faulty_policy(planned, Code.MTA_STS_HOST_NOT_FOUND, message, records)
    exchanges = seen.at(wanted.domain, RecordType.MX)
    if not exchanges.conclusive:
        return judgement.blind(planned, f"MX at {wanted.domain}", records)
    published = sorted(set(map(host_of, exchanges.values)) - {NOBODY, ""})
    return _judge_policy(planned, wanted, seen, records, tuple(published))


def _faulty_record(
    planned: PlannedRecord, code: Code, sentence: str, observed: Sequence[str]
) -> judgement.Judgement:
    fix = replace(planned, observed)
    cause = judgement.Cause(
        code, f"The {judgement.where(planned)} {sentence}.", fix, judgement.Evidence.SHOWN
    )
    several = len(observed) > 1
    state = RecordState.CONFLICTING if several else RecordState.WRONG
    reason = Reason.MULTIPLE_RECORDS if several else Reason.INVALID_RECORD
    return judgement.faulty(state, reason, cause, observed)


def _judge_policy(
    planned: PlannedRecord,
    wanted: MTASTSWanted,
    seen: Seen,
    records: tuple[str, ...],
    published: tuple[str, ...],
) -> judgement.Judgement:
    """Judge what was fetched; `published` are the hosts of the domain's MX records."""
    address, hosts = mta_sts.policy_url(wanted.domain), wanted.exchanges or published
    fault = fault_of(seen.policies.get(wanted.domain), address)
    if fault is not None and not fault.definite:
        # The policy could not be looked at, which says nothing about it.
        cause = judgement.Cause(fault.code, fault.message)
        return judgement.faulty(
            RecordState.UNKNOWN, Reason.LOOKUP_FAILED, cause, records, records[0]
        )
    if fault is not None:
        message = f"{fault.message} {to_serve(wanted.mode, hosts)}" if fault.page else fault.message
        return _faulty_policy(planned, fault.code, message, records)
    policy = policy_of(seen.policies.get(wanted.domain))
    serve = to_serve(wanted.mode, hosts, policy)
    if policy.problem is not None:
        message = f"The policy at {address} cannot be applied: {policy.problem}. {serve}"
        return _faulty_policy(planned, Code.MTA_STS_POLICY_SYNTAX, message, records)
    if not policy.at_least(wanted.mode):
        message = (
            f"The policy at {address} has mode {policy.mode.value.lower()}, but spec.mtaSTS.mode "
            f"is {wanted.mode.value}. {serve}"
        )
        reason = Reason.POLICY_TOO_WEAK
        return _faulty_policy(planned, Code.MTA_STS_MODE_WEAK, message, records, reason)
    uncovered = [host for host in hosts if not policy.covers(host)]
    if uncovered:
        message = (
            f"The policy at {address} does not name the mail exchange {quoted(uncovered[0])}. "
            f"{serve}"
        )
        reason = Reason.EXCHANGE_MISMATCH
        return _faulty_policy(planned, Code.MTA_STS_MX_UNCOVERED, message, records, reason)
    advice = _advice(planned, policy, address, published)
    message = "The MTA-STS record and its policy are valid."
    return judgement.valid(Reason.RECORD_VALID, message, records, records[0], advice)


def _faulty_policy(
    planned: PlannedRecord,
    code: Code,
    message: str,
    records: tuple[str, ...],
    reason: Reason = Reason.INVALID_RECORD,
) -> judgement.Judgement:
    """The policy must change, and with it the id; the value to publish has one for this spec."""
    cause = judgement.Cause(code, message, external(), judgement.Evidence.SHOWN)
    return judgement.faulty(RecordState.WRONG, reason, cause, records, planned.value)


def _advice(
    planned: PlannedRecord, policy: mta_sts.Policy, address: str, published: Sequence[str]
) -> tuple[Finding, ...]:
    """What works, but not as well as it could."""
    made = []
    if policy.max_age < mta_sts.MAX_AGE_LEAST:
        message = (
            f"Senders forget the policy at {address} after {policy.max_age} seconds: a max_age of "
            f"{mta_sts.MAX_AGE_ADVISED} (a week) or more protects better."
        )
        made.append(finding(Code.MTA_STS_MAX_AGE_SHORT, planned.id, message))
    uncovered = [host for host in published if not policy.covers(host)]
    if uncovered:
        message = (
            f"The policy at {address} does not name {quoted(uncovered[0])}, which the MX records "
            "name: senders that know the policy do not use it. Delete the MX, or add it to the "
            "policy and change the id of the record."
        )
        made.append(finding(Code.MTA_STS_OTHER_MX_UNCOVERED, planned.id, message))
    return tuple(made)
