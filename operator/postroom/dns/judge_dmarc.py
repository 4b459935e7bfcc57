# SPDX-License-Identifier: Apache-2.0
"""The judge for DMARC: one record, applicable, strict enough, reporting where it must."""

from __future__ import annotations

from collections.abc import Sequence

from postroom.api.findings import FixAction
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import RecordState
from postroom.dns import dmarc
from postroom.dns.answers import RecordType
from postroom.dns.expected import VALUE_LIMIT, Expected, PolicyWanted
from postroom.dns.findings import change
from postroom.dns.judgement import (
    LISTED,
    Judgement,
    Seen,
    blind,
    faulty,
    fix_for,
    missing,
    unquoted,
    valid,
    where,
)
from postroom.dns.names import NAME_LIMIT


def policy(expected: Expected, wanted: PolicyWanted, seen: Seen) -> Judgement:
    """Judge the DMARC records of a name; what the value offers keeps the other tags there."""
    records = dmarc.select(seen.answer.values)
    intended = sorted(one for one in seen.answer.values if dmarc.looks_like_dmarc(one))
    if not records and not intended:
        # Tree walk, RFC 9989 section 4.10: not what this spec asks for, but worth knowing.
        parent = "Until then the policy of a parent domain applies, if it has one."
        return missing(expected, seen, "DMARC_MISSING", Reason.RECORD_NOT_FOUND, parent)
    if not records:
        return _unrecognised(expected, wanted, intended)
    strictest = max(records, key=lambda one: dmarc.parse(one).strictness)
    value = dmarc.with_requirements(strictest, wanted.policy, wanted.rua)
    fault = _fault(records, wanted)
    if fault is not None:
        return _replaceable(expected, *fault, value, records)
    return _authorised(expected, seen, records)


def _unrecognised(expected: Expected, wanted: PolicyWanted, intended: Sequence[str]) -> Judgement:
    """Nothing there is a DMARC record, but something was meant as one."""
    bare = unquoted(intended[0])
    if dmarc.is_dmarc(bare):
        sentence = "has quotation marks inside its value: enter it without them"
        value = dmarc.with_requirements(bare, wanted.policy, wanted.rua)
        return _replaceable(
            expected, "VALUE_QUOTED", Reason.INVALID_RECORD, sentence, value, intended
        )
    sentence = "does not begin with v=DMARC1, so receivers ignore it"
    return _replaceable(
        expected, "DMARC_SYNTAX", Reason.INVALID_RECORD, sentence, expected.value, intended
    )


def _fault(records: Sequence[str], wanted: PolicyWanted) -> tuple[str, Reason, str] | None:
    """Find the worst fault: (code, reason, what the record does or is)."""
    if len(records) > 1:
        sentence = f"holds {len(records)} DMARC records, so receivers ignore all of them"
        return "DMARC_MULTIPLE", Reason.MULTIPLE_RECORDS, sentence
    record = dmarc.parse(records[0])
    if record.problem is not None:
        return "DMARC_SYNTAX", Reason.INVALID_RECORD, f"cannot be applied: {record.problem}"
    if not record.at_least(wanted.policy):
        sentence = (
            f"asks for p={record.policy.value} in effect, but spec.dmarc.policy is "
            f"{wanted.policy.value}"
        )
        return "DMARC_POLICY_WEAK", Reason.POLICY_TOO_WEAK, sentence
    absent = [one for one in wanted.rua if one.lower() not in record.rua]
    if absent:
        sentence = f"does not report to {', '.join(absent)}"
        return "DMARC_RUA_MISSING", Reason.INVALID_RECORD, sentence
    return None


def _replaceable(
    expected: Expected,
    code: str,
    reason: Reason,
    sentence: str,
    value: str,
    observed: Sequence[str],
) -> Judgement:
    if len(value) > VALUE_LIMIT:
        # What is there is absurd: begin anew.
        value = expected.value
    message = f"The {where(expected)} {sentence}. Replace it by {LISTED}."
    state = RecordState.CONFLICTING if len(observed) > 1 else RecordState.WRONG
    fix = fix_for(FixAction.REPLACE, expected, value)
    return faulty(state, reason, code, expected, message, observed, fix, value)


def _authorised(expected: Expected, seen: Seen, records: Sequence[str]) -> Judgement:
    """Foreign report destinations must have agreed (RFC 9990 section 4)."""
    unknown = None
    for name, answer in sorted(seen.authorizations.items()):
        if not answer.conclusive:
            unknown = unknown or name
        elif not any(dmarc.is_dmarc(one) for one in answer.values):
            return _unauthorised(expected, name, records)
    if unknown is not None:
        return blind(expected, f"TXT at {unknown}", records)
    # What is there is the record to publish: it may be stricter than what is required.
    value = records[0] if len(records[0]) <= VALUE_LIMIT else None
    return valid(Reason.RECORD_VALID, "The DMARC record is valid.", records, value)


def _unauthorised(expected: Expected, name: str, records: Sequence[str]) -> Judgement:
    destination = name.partition("._report._dmarc.")[2]
    message = f"{destination} has not agreed to receive the DMARC reports of this domain: "
    fix = None
    if len(name) <= NAME_LIMIT:
        message += f"publish TXT v=DMARC1 at {name}, or "
        fix = change(FixAction.CREATE, name, RecordType.TXT.value, "v=DMARC1")
    message += "report to an address of the domain itself."
    code, reason = "DMARC_EXTERNAL_RUA_UNAUTHORISED", Reason.REPORT_DESTINATION_UNAUTHORIZED
    value = records[0] if len(records[0]) <= VALUE_LIMIT else None
    return faulty(RecordState.WRONG, reason, code, expected, message, records, fix, value)
