# SPDX-License-Identifier: Apache-2.0
"""The judge for MX: each required mail exchange among the records, with its preference."""

from collections.abc import Iterator, Sequence
from dataclasses import replace as changed

from postroom.api.findings import Finding, Fix
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import RecordState
from postroom.dns.answers import RecordType
from postroom.dns.finding_codes import Code
from postroom.dns.findings import finding
from postroom.dns.judging import judgement
from postroom.dns.judging.fixes import delete, external, removal, replace
from postroom.dns.judging.mx_strays import (
    ADDRESSES,
    NOBODY,
    Stray,
    has_address,
    host_of,
    is_of_another_provider,
    is_of_same_kind,
    siblings,
    unseen_before,
)
from postroom.dns.judging.mx_strays import needs as needs_of_others
from postroom.dns.judging.mx_strays import strays as strays_of
from postroom.dns.judging.seen import Needs, Seen, own, shared
from postroom.dns.presets.identify import is_other_form, title_of
from postroom.dns.requirements import MXWanted, PlannedRecord
from postroom.dns.texts.quoting import quoted

#: Most exchanges that a sentence names.
_NAMED_LIMIT = 4

__all__ = ["NOBODY", "host_of", "is_of_another_provider", "judge", "needs"]


def needs(
    planned: PlannedRecord, wanted: MXWanted, seen: Seen, context: judgement.Context
) -> Needs:
    """The MX records, and whether the host, and others there, exist and are no aliases."""
    mine = own((planned.name, RecordType.MX)) | shared(*((wanted.host, kind) for kind in ADDRESSES))
    return mine | needs_of_others(planned, seen, context)


def judge(
    planned: PlannedRecord, wanted: MXWanted, seen: Seen, context: judgement.Context
) -> judgement.Judgement:
    """Judge one required mail exchange."""
    answer = seen.at(planned.name, RecordType.MX)
    values = answer.values
    hosts = {host_of(value) for value in values}
    ours = siblings(planned, context)
    at_name = [
        record
        for record in context.plan.records
        if record.name == planned.name and isinstance(record.wanted, MXWanted)
    ]
    # What else stands there is told with one record only: the first that is missing, because its
    # mistyped form may be what stands there.
    missing = [record for record in at_name if record.value not in values]
    strays = strays_of(planned, seen, context) if planned == (missing or at_name)[0] else ()
    if answer.aliases and planned.value not in values:
        # What the name yields is another name's: no MX of its own can stand beside the CNAME.
        target, code = answer.aliases[0], Code.MX_MISMATCH if values else Code.MX_MISSING
        message = f"{planned.name} is a CNAME to {quoted(target)}, beside which no MX can stand."
        fix = replace(planned, [target], type=RecordType.CNAME)
        cause = judgement.Cause(code, message, fix)
        return judgement.faulty(RecordState.CONFLICTING, Reason.EXCHANGE_MISMATCH, cause, values)
    if not values:
        return judgement.missing(planned, Code.MX_MISSING, Reason.RECORD_NOT_FOUND)
    if NOBODY in hosts:
        return _null(planned, values, [stray.value for stray in strays])
    passed_over = [stray for stray in strays if stray.code == Code.MX_OTHER_UNRESOLVABLE]
    harmful = len(strays) > len(passed_over)
    if planned.value in values and harmful:
        return _beside(planned, strays, values)
    hidden = unseen_before(planned, seen, context) if planned == at_name[0] else None
    if planned.value in values and hidden is not None:
        what = f"the addresses of {quoted(hidden)}, which would get the mail first"
        answers = [seen.get(hidden, kind) for kind in ADDRESSES]
        return judgement.blind(planned, what, values, answers)
    if planned.value in values:
        return _reachable(planned, wanted, ours, seen, passed_over)
    for value in sorted(values):
        # The provider takes the domain's mail under either name.
        if not harmful and is_other_form(host_of(value), wanted.host):
            other = changed(wanted, host=host_of(value))
            there = changed(planned, value=value, wanted=other)
            return _reachable(there, other, ours, seen, passed_over)
    return _not_there(planned, wanted, values, strays)


def _not_there(
    planned: PlannedRecord, wanted: MXWanted, values: Sequence[str], strays: Sequence[Stray]
) -> judgement.Judgement:
    """The required one is not there, or not with its preference."""
    message, code = f"{planned.name} has no MX {planned.value}.", Code.MX_MISMATCH
    same = [exchange for exchange in values if host_of(exchange) == wanted.host]
    if same:
        message = (
            f"The MX {wanted.host} of {planned.name} has another preference than "
            f"{wanted.preference}."
        )
        code = Code.MX_PREFERENCE
    if strays and code == Code.MX_PREFERENCE and strays[0].code == Code.MX_TAKES_MAIL:
        # As it stands the required one may well be tried first: it would not be any more.
        message += (
            f" With that one it comes after {quoted(host_of(strays[0].value))}, which must go "
            "therefore; if that is meant to come first, spec.mx has to name it, and where the "
            "preference that is there is the right one, to say that."
        )
    elif strays:
        message += f" What stands there instead must go: {_said(strays[0])}."
    gone = dict.fromkeys([*same, *(stray.value for stray in strays)])
    cause = judgement.Cause(code, message, replace(planned, gone))
    return judgement.faulty(RecordState.WRONG, Reason.EXCHANGE_MISMATCH, cause, values)


def _beside(
    planned: PlannedRecord, strays: Sequence[Stray], values: Sequence[str]
) -> judgement.Judgement:
    """The record is there, but so is one that takes mail and gets it nowhere."""
    first, *more = strays
    message = f"Beside the required MX of {planned.name} stands one that must go: {_said(first)}."
    if first.code == Code.MX_NOT_ALONE:
        title = title_of(host_of(planned.value)) or "the provider"
        message = (
            f"The {judgement.where(planned)} to {host_of(planned.value)} must be the only one "
            f"there, or {title} does not use the name: {_said(first)}. If another SendingDomain "
            "asks for that, have one of the two take another name: their fixes undo each other."
        )
    if more:
        message += f" So must {_named([stray.value for stray in more])}."
    fix = delete(removal(planned.name, RecordType.MX, [stray.value for stray in strays]))
    cause = judgement.Cause(first.code, message, fix, judgement.Evidence.SHOWN)
    return judgement.faulty(RecordState.WRONG, Reason.EXCHANGE_MISMATCH, cause, values)


def _said(stray: Stray) -> str:
    return f"{quoted(host_of(stray.value))} {stray.what}"


def _null(
    planned: PlannedRecord, values: Sequence[str], strays: Sequence[str]
) -> judgement.Judgement:
    """A null MX tells senders to refuse bounces and replies, whatever stands beside it."""
    null = [value for value in values if host_of(value) == NOBODY]
    message = f"{planned.name} has a null MX, which says that it accepts no mail (RFC 7505)."
    gone = [*null, *strays]
    code, fix = Code.MX_NULL, replace(planned, gone)
    if len(values) > len(null):
        code = Code.MX_NULL_MIXED
    if planned.value in values:
        fix = delete(removal(planned.name, RecordType.MX, gone))
    cause = judgement.Cause(code, message, fix, judgement.Evidence.SHOWN)
    return judgement.faulty(RecordState.CONFLICTING, Reason.NULL_MX, cause, values)


def _reachable(
    planned: PlannedRecord,
    wanted: MXWanted,
    ours: Sequence[MXWanted],
    seen: Seen,
    passed_over: Sequence[Stray] = (),
) -> judgement.Judgement:
    """The record is there; its host must have an address, and mail should go to it first.

    Others without address senders pass over, at the cost of a look.
    """
    values = seen.at(planned.name, RecordType.MX).values
    addresses = [seen.at(wanted.host, kind) for kind in ADDRESSES]
    if not has_address(wanted.host, seen):
        if not all(address.conclusive for address in addresses):
            return judgement.blind(planned, f"the addresses of {wanted.host}", values)
        message = (
            f"The {judgement.where(planned)} is right, but the mail exchange {wanted.host} has no "
            "address: whoever runs it has to give it one, or the spec to name another."
        )
        cause = judgement.Cause(Code.MX_UNRESOLVABLE, message, external(), judgement.Evidence.SHOWN)
        return judgement.faulty(RecordState.WRONG, Reason.EXCHANGE_UNRESOLVABLE, cause, values)
    advice: list[Finding] = []
    if any(address.aliases for address in addresses):
        message = f"The mail exchange {wanted.host} is an alias, which MX must not name (RFC 2181)."
        advice.append(finding(Code.MX_CNAME, planned.id, message, external()))
    gone = [stray.value for stray in passed_over]
    if gone:
        message = (
            f"No address: {_listed(gone)} of {planned.name}. Senders pass over such to the "
            "required ones. Delete it: whoever gets hold of its name gets mail of the domain."
        )
        fix = delete(removal(planned.name, RecordType.MX, gone))
        advice.append(finding(Code.MX_OTHER_UNRESOLVABLE, planned.id, message, fix))
    if wanted == ours[0]:
        advice += _foreign(planned, ours, seen, gone)
    return judgement.valid(
        Reason.RECORDS_MATCHED, "The MX record is published.", values, advice=tuple(advice)
    )


def _foreign(
    planned: PlannedRecord, required: Sequence[MXWanted], seen: Seen, told: Sequence[str]
) -> Iterator[Finding]:
    """Warn of the mail exchanges that are not of the spec, and that mail does not go to first.

    Those of another provider take mail that never arrives here when the required ones are busy; an
    unknown one may belong there, unless it takes as much as they.
    """
    ours, first = (
        {exchange.host for exchange in required},
        min(exchange.preference for exchange in required),
    )
    known, unknown = list[str](), list[str]()
    for value in sorted(seen.at(planned.name, RecordType.MX).values):
        preference, _, host = value.partition(" ")
        if host in ours or value in told or is_of_same_kind(host, required, seen):
            continue
        if is_of_another_provider(host, required):
            known.append(value)
        elif preference.isdecimal() and int(preference) <= first:
            unknown.append(value)
    if known:
        title = title_of(host_of(known[0]))
        message = f"Some mail to {planned.name} still goes to {title}: {_listed(known)}."
        fix: Fix | None = delete(removal(planned.name, RecordType.MX, known))
        yield finding(Code.MX_OLD_PROVIDER, planned.id, message, fix)
    elif unknown:
        message = (
            f"{_listed(unknown)} is not of this spec, but takes mail as soon as the required ones "
            "or sooner: delete it if it belongs to a former provider."
        )
        yield finding(Code.MX_OLD_PROVIDER, planned.id, message)


def _listed(values: Sequence[str]) -> str:
    return f"MX {_named(values)}"


def _named(values: Sequence[str]) -> str:
    shown = ", ".join(quoted(host_of(value)) for value in values[:_NAMED_LIMIT])
    more = len(values) - _NAMED_LIMIT
    return f"{shown} and {more} more" if more > 0 else shown
