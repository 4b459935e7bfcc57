# SPDX-License-Identifier: Apache-2.0
"""The judge for SPF: one record, sound, within its limits, authorising what is required."""

from __future__ import annotations

from collections.abc import Sequence

from postroom.api.findings import FixAction
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import RecordState
from postroom.dns import spf
from postroom.dns.expected import Expected
from postroom.dns.findings import change, finding
from postroom.dns.judge_simple import missing
from postroom.dns.judgement import Judgement, Seen, quoted, shown, valid, where
from postroom.dns.spf_merge import merge


def sender_policy(expected: Expected, wanted: spf.Requirement, seen: Seen) -> Judgement:
    """Judge the SPF records of a name; the value to publish is always the merged one."""
    records = spf.select(seen.answer.values)
    if not records:
        return missing(expected, seen, "SPF_MISSING", Reason.RECORD_NOT_FOUND)
    merged = merge(records, wanted, seen.spf)
    problem = _problem(records, wanted, seen)
    if problem is None:
        return valid(Reason.RECORD_VALID, "The SPF record is valid.", records)
    code, reason, sentence = problem
    after = spf.reach(merged, seen.spf)
    state = RecordState.CONFLICTING if len(records) > 1 else RecordState.WRONG
    if after.lookups > spf.LOOKUP_LIMIT:
        # Handing out a record that breaks the limit would only move the fault.
        message = (
            f"The {where(expected)} {sentence}. With what is required it would take "
            f"{_count(after.lookups)} DNS lookups of at most {spf.LOOKUP_LIMIT}: remove mechanisms "
            "that are not needed, or send from a return path of its own."
        )
        found = finding("SPF_TOO_MANY", expected.id, message)
        reason = Reason.LOOKUP_LIMIT_EXCEEDED
    elif merged == records[0] and len(records) == 1:
        message = f"The {where(expected)} {sentence}."
        found = finding(code, expected.id, message)
    else:
        message = f"The {where(expected)} {sentence}. Replace it by {quoted(merged)}"
        fix = change(FixAction.REPLACE, expected.name, expected.type.value, merged)
        found = finding(code, expected.id, message, fix)
    return Judgement(state, reason, message, found, value=merged, observed=shown(records))


def _count(lookups: int) -> str:
    return str(lookups) if lookups <= spf.LOOKUP_LIMIT else f"more than {spf.LOOKUP_LIMIT}"


def _problem(
    records: Sequence[str], wanted: spf.Requirement, seen: Seen
) -> tuple[str, Reason, str] | None:
    """Find the worst fault: (code, reason, what the record does or is)."""
    if len(records) > 1:
        sentence = f"stands there {len(records)} times, so receivers give permerror"
        return "SPF_MULTIPLE", Reason.MULTIPLE_RECORDS, sentence
    record = spf.parse(records[0])
    if record.problems:
        first = record.problems[0]
        sentence = (
            f"has a syntax error at character {first.start + 1}: {quoted(first.term)} "
            f"{first.sentence}"
        )
        return "SPF_SYNTAX", Reason.INVALID_RECORD, sentence
    if record.all_term is not None and record.all_term.qualifier == "+":
        return "SPF_PLUS_ALL", Reason.POLICY_TOO_PERMISSIVE, "lets everyone send (+all)"
    found = spf.reach(records[0], seen.spf)
    lacking = wanted.missing_from(found)
    if lacking:
        sentence = f"does not authorise {', '.join(lacking)}"
        return "SPF_MISSING_INCLUDE", Reason.REQUIRED_MECHANISM_MISSING, sentence
    if found.lookups > spf.LOOKUP_LIMIT:
        sentence = f"takes {_count(found.lookups)} DNS lookups of at most {spf.LOOKUP_LIMIT}"
        return "SPF_TOO_MANY", Reason.LOOKUP_LIMIT_EXCEEDED, sentence
    if found.void_lookups > spf.VOID_LOOKUP_LIMIT:
        sentence = "looks up more than two names that do not exist"
        return "SPF_VOID", Reason.VOID_LOOKUP_LIMIT_EXCEEDED, sentence
    if found.broken:
        sentence = (
            f"includes {quoted(sorted(found.broken)[0])}, which has no single valid SPF record: "
            "receivers give permerror"
        )
        return "SPF_DEAD_INCLUDE", Reason.INVALID_RECORD, sentence
    return None
