# SPDX-License-Identifier: Apache-2.0
"""The judge for SPF: one record, sound, within its limits, authorising what is required."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from postroom.api.findings import FixAction
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import RecordState
from postroom.dns import spf
from postroom.dns.expected import VALUE_LIMIT, Expected
from postroom.dns.judgement import (
    LISTED,
    Judgement,
    Seen,
    blind,
    faulty,
    fix_for,
    missing,
    quoted,
    unquoted,
    valid,
    where,
)
from postroom.dns.spf_merge import merge, without_dead_includes


@dataclass(frozen=True, slots=True)
class _Fault:
    """What is wrong with the records of a name; `sentence` says what the record does or is."""

    code: str
    reason: Reason
    sentence: str


def sender_policy(expected: Expected, wanted: spf.Requirement, seen: Seen) -> Judgement:
    """Judge the SPF records of a name; the value to publish is always the merged one."""
    records = spf.select(seen.answer.values)
    if not records:
        intended = sorted(filter(spf.looks_like_spf, seen.answer.values))
        if not intended:
            return missing(expected, seen, "SPF_MISSING", Reason.RECORD_NOT_FOUND)
        slip, meant = _misspelt(intended[0])
        return _faulty(expected, wanted, seen, slip, meant, intended)
    fault = _fault_of_text(records)
    if fault is not None:
        return _faulty(expected, wanted, seen, fault, records, records)
    found = spf.reach(records[0], seen.spf)
    lacking = wanted.missing_from(found)
    fault = _fault_of_reach(found) if not lacking else _not_authorised(records[0], lacking)
    if found.unknown and (lacking or fault is None):
        # What could not be looked at may authorise what is missing, or break what is there.
        return blind(expected, f"the SPF record of {quoted(min(found.unknown))}", records)
    if fault is not None:
        return _faulty(expected, wanted, seen, fault, records, records)
    value = records[0] if len(records[0]) <= VALUE_LIMIT else None
    return valid(Reason.RECORD_VALID, "The SPF record is valid.", records, value)


def _fits(value: str) -> bool:
    """Sort key: what can be handed out comes first."""
    return len(value) > VALUE_LIMIT


def _misspelt(text: str) -> tuple[_Fault, tuple[str, ...]]:
    """Name the fault of a text that was meant as an SPF record; and the record that was meant."""
    bare = unquoted(text)
    reason = Reason.INVALID_RECORD
    if spf.is_spf(bare):
        sentence = "has quotation marks inside its value: enter it without them"
        return _Fault("VALUE_QUOTED", reason, sentence), (bare,)
    sentence = "does not begin with v=spf1 and a space, so receivers ignore it"
    return _Fault("SPF_SYNTAX", reason, sentence), ()


def _fault_of_text(records: Sequence[str]) -> _Fault | None:
    """Find what the texts alone show."""
    if len(records) > 1:
        sentence = f"holds {len(records)} SPF records, so receivers give permerror"
        return _Fault("SPF_MULTIPLE", Reason.MULTIPLE_RECORDS, sentence)
    record = spf.parse(records[0])
    if record.problems:
        first = record.problems[0]
        sentence = (
            f"has a syntax error at character {first.start + 1}: {quoted(first.term)} "
            f"{first.sentence}"
        )
        return _Fault("SPF_SYNTAX", Reason.INVALID_RECORD, sentence)
    if record.all_term is not None and record.all_term.qualifier == "+":
        return _Fault("SPF_PLUS_ALL", Reason.POLICY_TOO_PERMISSIVE, "lets everyone send (+all)")
    return None


def _not_authorised(text: str, lacking: Sequence[str]) -> _Fault:
    sentence = f"does not authorise {', '.join(lacking)}"
    end = spf.parse(text).all_term
    written = text[end.start :].lower().split() if end is not None else []
    if any(one in written for one in lacking):
        sentence += ", because what stands after all is ignored"
    return _Fault("SPF_MISSING_INCLUDE", Reason.REQUIRED_MECHANISM_MISSING, sentence)


def _fault_of_reach(found: spf.Reach) -> _Fault | None:
    """Find what evaluating the record with all its includes would run into."""
    if found.lookups > spf.LOOKUP_LIMIT:
        sentence = f"takes more than {spf.LOOKUP_LIMIT} DNS lookups, so receivers give permerror"
        return _Fault("SPF_TOO_MANY", Reason.LOOKUP_LIMIT_EXCEEDED, sentence)
    if found.void_lookups > spf.VOID_LOOKUP_LIMIT:
        sentence = "looks up more than two names that do not exist, so receivers give permerror"
        return _Fault("SPF_VOID", Reason.VOID_LOOKUP_LIMIT_EXCEEDED, sentence)
    if found.broken:
        sentence = (
            f"includes {quoted(min(found.broken))}, which has no single valid SPF record, so "
            "receivers give permerror"
        )
        return _Fault("SPF_DEAD_INCLUDE", Reason.INVALID_RECORD, sentence)
    return None


def _faulty(
    expected: Expected,
    wanted: spf.Requirement,
    seen: Seen,
    fault: _Fault,
    existing: Sequence[str],
    observed: Sequence[str],
) -> Judgement:
    """Offer the merged record, if it is sound; else say what keeps it from being so.

    Handing out a record that breaks a limit would only move the fault.
    """
    merged = without_dead_includes(merge(existing, wanted, seen.spf), wanted, seen.spf)
    after = spf.reach(merged, seen.spf)
    message = f"The {where(expected)} {fault.sentence}."
    code, reason, fix, value = fault.code, fault.reason, None, None
    if after.lookups > spf.LOOKUP_LIMIT:
        code, reason = "SPF_TOO_MANY", Reason.LOOKUP_LIMIT_EXCEEDED
        message += (
            f" With what is required it takes more than {spf.LOOKUP_LIMIT} DNS lookups: remove "
            "mechanisms that are not needed, or send from a return path of its own."
        )
    elif after.unknown:
        message += (
            " The record to publish is offered when the SPF record of "
            f"{quoted(min(after.unknown))} can be looked at."
        )
    elif _fault_of_reach(after) is not None:
        message += " That is up to who runs it, or the include is to be corrected."
    elif len(merged) > VALUE_LIMIT:
        message += " It is too long to be mended: write a shorter one."
    else:
        fix, value = fix_for(FixAction.REPLACE, expected, merged), merged
        message += f" Replace it by {LISTED}."
    if value is None:
        # Never the bare requirement: publishing that would take away what is there.
        value = min((observed[0] if len(observed) == 1 else merged, expected.value), key=_fits)
    state = RecordState.CONFLICTING if len(observed) > 1 else RecordState.WRONG
    return faulty(state, reason, code, expected, message, observed, fix, value)
