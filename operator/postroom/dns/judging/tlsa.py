# SPDX-License-Identifier: Apache-2.0
"""The judge for DANE (RFC 7672): usable TLSA records at a mail exchange, protected by DNSSEC."""

from collections.abc import Sequence

from postroom.api.findings import Finding
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import RecordState
from postroom.dns.answers import Answer, RecordType
from postroom.dns.finding_codes import Code
from postroom.dns.findings import finding
from postroom.dns.judging import judgement
from postroom.dns.judging.fixes import external
from postroom.dns.judging.seen import Needs, Seen, shared
from postroom.dns.judging.seen import own as own_names
from postroom.dns.names import can_be_asked
from postroom.dns.requirements import PlannedRecord, TLSAWanted
from postroom.dns.texts.quoting import quoted
from postroom.dns.tls import tlsa

_HOW = (
    "publish 3 1 1 with the SHA-256 digest of the public key of the server's certificate, in a "
    "zone that is signed"
)


def needs(
    planned: PlannedRecord, wanted: TLSAWanted, seen: Seen, context: judgement.Context
) -> Needs:
    """The records, and from the resolver what tells whether the zones are signed.

    The zone's own servers never set AD, a validating resolver does. The questions are others than
    those that the zone's servers are asked: the addresses of the host; where its TLSA records were
    seen the SOA at their name, for their zone, which may be another one; the SOA for the zone with
    the MX records; and the DS of the top-level domain, which is always signed or denied with a
    signature, to see whether the resolver validates at all.
    """
    top = wanted.host.rpartition(".")[2]
    needed = own_names((planned.name, RecordType.TLSA)) | shared(
        (wanted.host, RecordType.A),
        (context.plan.domain, RecordType.SOA),
        (top, RecordType.DS),
    )
    if seen.at(planned.name, RecordType.TLSA).values:
        needed |= shared((planned.name, RecordType.SOA))
    final = _final(planned, wanted, seen)
    return needed if final is None else needed | shared((final, RecordType.TLSA))


def _final(planned: PlannedRecord, wanted: TLSAWanted, seen: Seen) -> str | None:
    """Where senders look first if the host is an alias (RFC 7672 section 2.2.3)."""
    aliases = seen.at(wanted.host, RecordType.A).aliases
    final = f"{planned.name.removesuffix(wanted.host)}{aliases[-1]}" if aliases else None
    return final if final is not None and can_be_asked(final) else None


def judge(
    planned: PlannedRecord, wanted: TLSAWanted, seen: Seen, context: judgement.Context
) -> judgement.Judgement:
    """At least one usable record; without DNSSEC nobody would use it."""
    values = list(seen.at(planned.name, RecordType.TLSA).values)
    final = _final(planned, wanted, seen)
    there = None if final is None else seen.at(final, RecordType.TLSA)
    if not values and there is not None:
        if not there.conclusive:
            return judgement.blind(planned, f"TLSA at {final}")
        values = list(there.values)
    if not values:
        message = f"There is no {judgement.where(planned)}: {_HOW}."
        cause = judgement.Cause(Code.DANE_MISSING, message, external())
        return judgement.faulty(RecordState.MISSING, Reason.RECORD_NOT_FOUND, cause, ())
    problems = {record: tlsa.parse(record).problem for record in sorted(values)}
    unused = [(record, problem) for record, problem in problems.items() if problem is not None]
    if len(unused) == len(problems):
        value, problem = unused[0]
        sentence = f'has no record that mail senders use, such as "{quoted(value)}": {problem}'
        return _faulty(planned, Code.DANE_UNUSABLE, f"{sentence}; {_HOW}", values)
    unsigned = _unsigned(planned, wanted, seen, context, values)
    if unsigned is not None:
        return unsigned
    advice: list[Finding] = []
    if unused:
        value, problem = unused[0]
        message = f'Mail senders do not use the TLSA record "{quoted(value)}": {problem}.'
        advice.append(finding(Code.DANE_RECORD_UNUSED, planned.id, message))
    if final is not None:
        message = (
            f"The mail exchange {wanted.host} is an alias: senders look for TLSA records at "
            f"{quoted(final)} first. Name the host itself in the MX record."
        )
        advice.append(finding(Code.DANE_ALIAS, planned.id, message))
    message = "The TLSA records are usable, and protected by DNSSEC."
    return judgement.valid(Reason.RECORD_VALID, message, values, advice=tuple(advice))


def _unsigned(
    planned: PlannedRecord,
    wanted: TLSAWanted,
    seen: Seen,
    context: judgement.Context,
    values: Sequence[str],
) -> judgement.Judgement | None:
    """Senders use TLSA records only where DNSSEC protects them and the MX records alike."""
    top, domain = wanted.host.rpartition(".")[2], context.plan.domain
    zones: list[tuple[Answer, Code, str]] = [
        (seen.at(wanted.host, RecordType.A), Code.DANE_NOT_SIGNED, judgement.where(planned)),
        _protected(planned, wanted, seen),
        (seen.at(domain, RecordType.SOA), Code.DANE_MX_NOT_SIGNED, f"MX at {domain}"),
    ]
    unseen = next((answer for answer, _, _ in zones if not answer.conclusive), None)
    if unseen is not None:
        return judgement.blind(planned, f"DNSSEC of {unseen.question.name}", values)
    fault = next(((code, what) for answer, code, what in zones if not answer.authenticated), None)
    if fault is None:
        return None
    if not seen.at(top, RecordType.DS).authenticated:
        message = (
            f"Whether DNSSEC protects the {judgement.where(planned)} cannot be told, for the "
            "resolver does not validate: give the operator a resolver that does (--dns-resolver)."
        )
        cause = judgement.Cause(Code.DANE_NOT_VALIDATED, message)
        return judgement.faulty(RecordState.UNKNOWN, Reason.LOOKUP_FAILED, cause, values)
    code, what = fault
    sentence = (
        f"does not protect mail for {domain}: the zone with the {what} is not signed. Sign it, and "
        "have the registrar publish its DS record"
    )
    return _faulty(planned, code, sentence, values)


def _protected(planned: PlannedRecord, wanted: TLSAWanted, seen: Seen) -> tuple[Answer, Code, str]:
    """What tells whether the zone is signed that has the records themselves: the host's may be, and
    that of an alias, or of a name below the host that is delegated, not (RFC 7671 section 7)."""
    own, final = seen.at(planned.name, RecordType.TLSA), _final(planned, wanted, seen)
    if not own.values and final is not None:
        return seen.at(final, RecordType.TLSA), Code.DANE_NOT_SIGNED, f"TLSA at {quoted(final)}"
    what = judgement.where(planned)
    if own.aliases:
        what = f"TLSA at {quoted(own.aliases[-1])}, where an alias leads,"
    return seen.at(planned.name, RecordType.SOA), Code.DANE_NOT_SIGNED, what


def _faulty(
    planned: PlannedRecord, code: Code, sentence: str, observed: Sequence[str]
) -> judgement.Judgement:
    cause = judgement.Cause(
        code, f"The {judgement.where(planned)} {sentence}.", external(), judgement.Evidence.SHOWN
    )
    return judgement.faulty(RecordState.WRONG, Reason.INVALID_RECORD, cause, observed)
