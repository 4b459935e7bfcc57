# SPDX-License-Identifier: Apache-2.0
"""Judges for ownership, DKIM, DMARC and MX: pure functions of what one view shows."""

from __future__ import annotations

from collections.abc import Sequence

from postroom.api.findings import Fix, FixAction
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import RecordState
from postroom.dns import dkim, dmarc
from postroom.dns.answers import Outcome, RecordType
from postroom.dns.expected import (
    AliasWanted,
    ExchangeWanted,
    Expected,
    KeyWanted,
    PolicyWanted,
    TextWanted,
)
from postroom.dns.findings import change, finding
from postroom.dns.judgement import Judgement, Seen, quoted, shown, valid, where

_MISSING, _WRONG, _CONFLICTING = RecordState.MISSING, RecordState.WRONG, RecordState.CONFLICTING
_CREATE, _REPLACE = FixAction.CREATE, FixAction.REPLACE


def _fix(action: FixAction, expected: Expected, value: str | None = None) -> Fix:
    return change(action, expected.name, expected.type.value, value or expected.value)


def missing(expected: Expected, seen: Seen, code: str, reason: Reason) -> Judgement:
    """Nothing of the kind is there; look whether it landed at a name with the zone doubled."""
    message = f"There is no {where(expected)}: publish it with the value {quoted(expected.value)}"
    message = f"{message.rstrip('.')}."
    if seen.doubled is not None and seen.doubled.values:
        doubled = seen.doubled.question.name
        code = "NAME_ZONE_DOUBLED"
        message = (
            f"The record stands at {doubled}: your DNS host added the zone to the name. "
            f"Publish it at {expected.name} by entering the name relative to the zone."
        )
    found = finding(code, expected.id, message, _fix(_CREATE, expected))
    observed = shown(seen.answer.values)
    return Judgement(_MISSING, reason, message, found, observed=observed)


def _spoiled(expected: Expected, values: Sequence[str], wanted: str) -> tuple[str, str] | None:
    """Recognise a wanted value that was mangled on its way into DNS: (code, sentence)."""
    flat = [one.strip() for one in values]
    if any(one != wanted and one.replace('\\"', '"').strip('"') == wanted for one in flat):
        return "VALUE_QUOTED", "has quotation marks inside its value: enter it without them"
    pieces = [one for one in flat if one and one in wanted and one != wanted]
    if len(pieces) > 1 and sorted("".join(pieces)) == sorted(wanted):
        return "VALUE_SPLIT_RECORDS", "was split into several records: it must be one"
    if any(len(one) >= 20 and wanted.startswith(one) for one in pieces):
        return "VALUE_TRUNCATED", "was cut off: enter the whole value"
    return None


def ownership(expected: Expected, wanted: TextWanted, seen: Seen) -> Judgement:
    """Any TXT record of the name may be the one that is wanted; others do not disturb it."""
    values = seen.answer.values
    if wanted.text in values:
        return valid(Reason.RECORD_MATCHED, "The ownership record is published.", [wanted.text])
    prefix = wanted.text.partition("=")[0]
    similar = [one for one in values if one.strip('" ').partition("=")[0] == prefix]
    if not similar and not _spoiled(expected, values, wanted.text):
        return missing(expected, seen, "OWNERSHIP_MISSING", Reason.RECORD_NOT_FOUND)
    code, sentence = _spoiled(expected, values, wanted.text) or (
        "OWNERSHIP_MISMATCH",
        "has another value than the required one",
    )
    message = f"The {where(expected)} {sentence}. Publish {quoted(wanted.text)}"
    message = f"{message.rstrip('.')}."
    found = finding(code, expected.id, message, _fix(_REPLACE, expected))
    observed = shown(similar or values)
    return Judgement(_WRONG, Reason.RECORD_MISMATCH, message, found, observed=observed)


def alias(expected: Expected, wanted: AliasWanted, seen: Seen) -> Judgement:
    """A DKIM CNAME: right by its target, or, where the host flattens it, by what it resolves to."""
    texts = [one for one in (seen.text.values if seen.text else ()) if dkim.looks_like_key(one)]
    if wanted.target in seen.answer.values:
        if seen.text is not None and seen.text.conclusive and not texts:
            message = (
                f"The CNAME at {expected.name} is right, but its target {wanted.target} holds no "
                "key yet: that is up to the provider."
            )
            wait = finding(
                "DKIM_TARGET_WITHOUT_KEY", expected.id, message, Fix(action=FixAction.WAIT)
            )
            observed = shown(seen.answer.values)
            return Judgement(_WRONG, Reason.SELECTOR_NOT_FOUND, message, wait, observed=observed)
        return valid(Reason.RECORDS_MATCHED, "The CNAME is published.", seen.answer.values)
    if seen.answer.values:
        message = (
            f"The CNAME at {expected.name} points to {quoted(seen.answer.values[0])} instead of "
            f"{wanted.target}. Change its target."
        )
        found = finding("CNAME_TARGET_WRONG", expected.id, message, _fix(_REPLACE, expected))
        reason, observed = Reason.CNAME_TARGET_MISMATCH, shown(seen.answer.values)
        return Judgement(_WRONG, reason, message, found, observed=observed)
    if texts:
        message = (
            f"There is a TXT at {expected.name} where a CNAME to {wanted.target} is needed. Delete "
            "the TXT, then add the CNAME."
        )
        found = finding("TYPE_TXT_FOR_CNAME", expected.id, message, _fix(_REPLACE, expected))
        return Judgement(
            _CONFLICTING, Reason.CNAME_TARGET_MISMATCH, message, found, observed=shown(texts)
        )
    return missing(expected, seen, "DKIM_MISSING", Reason.SELECTOR_NOT_FOUND)


def key(expected: Expected, wanted: KeyWanted, seen: Seen) -> Judgement:
    """A DKIM TXT record: compared by decoded key."""
    values = seen.answer.values
    keys = [one for one in values if dkim.looks_like_key(one)]
    spoiled = _spoiled(expected, values, expected.value)
    if not keys and spoiled is None:
        return missing(expected, seen, "DKIM_MISSING", Reason.SELECTOR_NOT_FOUND)
    if spoiled is not None:
        (code, sentence), reason = spoiled, Reason.INVALID_RECORD
    elif len(keys) > 1:
        code, reason = "DKIM_MULTIPLE", Reason.MULTIPLE_RECORDS
        sentence = f"stands there {len(keys)} times, which leaves the key undefined"
    else:
        record = dkim.parse(keys[0])
        if record.key == wanted.key:
            return valid(Reason.RECORDS_MATCHED, "The DKIM key is published.", keys)
        code, reason, sentence = _key_problem(record)
    message = f"The {where(expected)} {sentence}. Replace it by the value of this record's fix."
    found = finding(code, expected.id, message, _fix(_REPLACE, expected))
    state = _CONFLICTING if len(keys) > 1 else _WRONG
    return Judgement(state, reason, message, found, observed=shown(keys or values))


def _key_problem(record: dkim.KeyRecord) -> tuple[str, Reason, str]:
    if record.revoked:
        return "DKIM_REVOKED", Reason.KEY_REVOKED, "has an empty p= tag: the key is revoked"
    if record.key is None:
        return "DKIM_SYNTAX", Reason.INVALID_RECORD, f"cannot be read: it {record.problem}"
    if record.key.too_weak:
        bits = record.key.bits
        return "DKIM_WEAK", Reason.KEY_TOO_WEAK, f"holds an RSA key of only {bits} bits"
    return "DKIM_KEY_OTHER", Reason.KEY_MISMATCH, "holds another key than the required one"


def policy(expected: Expected, wanted: PolicyWanted, seen: Seen) -> Judgement:
    """A DMARC record: one, applicable, strict enough, reporting where it must."""
    values = seen.answer.values
    records = dmarc.select(values)
    intended = [one for one in values if dmarc.looks_like_dmarc(one)]
    if not records and not intended:
        return missing(expected, seen, "DMARC_MISSING", Reason.RECORD_NOT_FOUND)
    if len(records) > 1:
        strictest = max(records, key=lambda one: dmarc.parse(one).strictness)
        value = dmarc.with_requirements(strictest, wanted.policy, wanted.rua)
        sentence = f"stands there {len(records)} times, so receivers ignore all of them"
        return _policy_problem(
            expected, "DMARC_MULTIPLE", Reason.MULTIPLE_RECORDS, sentence, value, records
        )
    if not records:
        sentence = "does not begin with v=DMARC1, so receivers ignore it"
        return _policy_problem(
            expected, "DMARC_SYNTAX", Reason.INVALID_RECORD, sentence, expected.value, intended
        )
    record = dmarc.parse(records[0])
    value = dmarc.with_requirements(records[0], wanted.policy, wanted.rua)
    if record.problem is not None:
        return _policy_problem(
            expected, "DMARC_SYNTAX", Reason.INVALID_RECORD, record.problem, value, records
        )
    if not record.at_least(wanted.policy):
        sentence = (
            f"asks for p={record.policy.value}, but spec.dmarc.policy is {wanted.policy.value}"
        )
        return _policy_problem(
            expected, "DMARC_POLICY_WEAK", Reason.POLICY_TOO_WEAK, sentence, value, records
        )
    absent = [one for one in wanted.rua if one.lower() not in record.rua]
    if absent:
        sentence = f"does not report to {', '.join(absent)}"
        return _policy_problem(
            expected, "DMARC_RUA_MISSING", Reason.INVALID_RECORD, sentence, value, records
        )
    return _authorised(expected, wanted, seen, records)


def _policy_problem(
    expected: Expected,
    code: str,
    reason: Reason,
    sentence: str,
    value: str,
    observed: Sequence[str],
) -> Judgement:
    message = f"The {where(expected)} {sentence}. Replace it by {quoted(value)}".rstrip(".") + "."
    found = finding(code, expected.id, message, _fix(_REPLACE, expected, value))
    state = _CONFLICTING if len(observed) > 1 else _WRONG
    return Judgement(state, reason, message, found, value=value, observed=shown(observed))


def _authorised(
    expected: Expected, wanted: PolicyWanted, seen: Seen, records: Sequence[str]
) -> Judgement:
    """Foreign report destinations must have agreed (RFC 9990 section 4)."""
    for name, answer in sorted(seen.authorizations.items()):
        if answer.conclusive and not any(dmarc.is_dmarc(one) for one in answer.values):
            destination = name.partition("._report._dmarc.")[2]
            message = (
                f"{destination} has not agreed to receive DMARC reports: publish TXT v=DMARC1 at "
                f"{name}, or report to an address of the domain itself."
            )
            fix = change(_CREATE, name, RecordType.TXT.value, "v=DMARC1")
            found = finding("DMARC_EXTERNAL_RUA_UNAUTHORISED", expected.id, message, fix)
            reason = Reason.REPORT_DESTINATION_UNAUTHORIZED
            return Judgement(_WRONG, reason, message, found, observed=shown(records))
    return valid(Reason.RECORD_VALID, "The DMARC record is valid.", records)


def exchange(
    expected: Expected, wanted: ExchangeWanted, siblings: Sequence[ExchangeWanted], seen: Seen
) -> Judgement:
    """One required mail exchange among the MX records of the domain."""
    values, ours = seen.answer.values, {one.host for one in siblings}
    if seen.answer.outcome is not Outcome.FOUND:
        return missing(expected, seen, "MX_MISSING", Reason.RECORD_NOT_FOUND)
    there = [one.split(" ", 1) for one in values]
    if any(host == "." for _, host in there):
        message = (
            f"{expected.name} has a null MX, which says that it accepts no mail: replace it by "
            f"MX {expected.value}."
        )
        found = finding("MX_NULL", expected.id, message, _fix(_REPLACE, expected))
        return Judgement(_CONFLICTING, Reason.NULL_MX, message, found, observed=shown(values))
    if expected.value not in values:
        message = f"{expected.name} has no MX {expected.value}: add it to the MX records."
        found = finding("MX_MISMATCH", expected.id, message, _fix(_CREATE, expected))
        return Judgement(_WRONG, Reason.EXCHANGE_MISMATCH, message, found, observed=shown(values))
    if seen.exchanges.get(wanted.host) is False:
        message = f"The mail exchange {wanted.host} has no address: give it one, or name another."
        found = finding("MX_UNRESOLVABLE", expected.id, message)
        return Judgement(
            _WRONG, Reason.EXCHANGE_UNRESOLVABLE, message, found, observed=shown(values)
        )
    first = min(one.preference for one in siblings)
    foreign = sorted(
        host for preference, host in there if host not in ours and int(preference) <= first
    )
    advice = tuple(
        finding(
            "MX_FOREIGN",
            expected.id,
            f"The MX {quoted(host)} is not of this spec, but is tried first: delete it if it "
            "belongs to a former provider.",
        )
        for host in foreign[:1]
        if wanted.host == min(ours)
    )
    return Judgement(
        RecordState.VALID,
        Reason.RECORDS_MATCHED,
        "The MX record is published.",
        observed=shown(values),
        advice=advice,
    )
