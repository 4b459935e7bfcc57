# SPDX-License-Identifier: Apache-2.0
"""The judge for TLS-RPT (RFC 8460): one record that reports to every required address."""

from collections.abc import Sequence

from postroom.api.reasons import Reason
from postroom.api.sendingdomain import RecordState
from postroom.dns.answers import RecordType
from postroom.dns.finding_codes import Code
from postroom.dns.judging import judgement
from postroom.dns.judging.fixes import replace
from postroom.dns.judging.seen import Needs, Seen, own
from postroom.dns.requirements import VALUE_LIMIT, PlannedRecord, TLSRPTWanted
from postroom.dns.tls import tls_rpt


def needs(
    planned: PlannedRecord, wanted: TLSRPTWanted, seen: Seen, context: judgement.Context
) -> Needs:
    """The texts of the name; no destination has to agree (RFC 8460 section 3)."""
    return own((planned.name, RecordType.TXT))


def judge(
    planned: PlannedRecord, wanted: TLSRPTWanted, seen: Seen, context: judgement.Context
) -> judgement.Judgement:
    """One record that reports to every required address; more may be there, and is kept."""
    values = seen.at(planned.name, RecordType.TXT).values
    records = sorted(filter(tls_rpt.is_record, values))
    intended = records or sorted(filter(tls_rpt.looks_like_record, values))
    if not intended:
        return judgement.missing(
            planned, Code.TLS_RPT_MISSING, Reason.RECORD_NOT_FOUND, there=values
        )
    value = value_from(planned, wanted, intended)
    if not records:
        sentence = "does not begin with v=TLSRPTv1 and a semicolon, so that senders ignore it"
        return _faulty(planned, Code.TLS_RPT_SYNTAX, sentence, intended, value)
    if len(records) > 1:
        sentence = f"holds {len(records)} TLS-RPT records, so senders ignore all of them"
        return _faulty(planned, Code.TLS_RPT_MULTIPLE, sentence, records, value)
    problem = tls_rpt.record_problem(records[0])
    if problem is not None:
        return _faulty(planned, Code.TLS_RPT_SYNTAX, f"cannot be read: {problem}", records, value)
    absent = tls_rpt.missing_from(tls_rpt.destinations(records[0]), wanted.rua)
    if absent:
        sentence = f"does not report to {', '.join(absent)}"
        return _faulty(planned, Code.TLS_RPT_RUA_MISSING, sentence, records, value)
    return judgement.valid(Reason.RECORD_VALID, "The TLS-RPT record is valid.", records, records[0])


def value_from(planned: PlannedRecord, wanted: TLSRPTWanted, texts: Sequence[str]) -> str:
    """The record that reports to what is wanted and to all that these texts were meant to name."""
    there = [uri for text in texts for uri in tls_rpt.destinations(text)]
    merged = tls_rpt.record_for(there, wanted.rua)
    # What is there may be absurd: then begin anew.
    return merged if len(merged) <= VALUE_LIMIT else planned.value


def _faulty(
    planned: PlannedRecord, code: Code, sentence: str, observed: Sequence[str], value: str
) -> judgement.Judgement:
    gone = tls_rpt.left_out(observed, value)
    message = f"The {judgement.where(planned)} {sentence}. {gone}".rstrip()
    cause = judgement.Cause(
        code, message, replace(planned, observed, value), judgement.Evidence.SHOWN
    )
    several = len(observed) > 1
    state = RecordState.CONFLICTING if several else RecordState.WRONG
    reason = Reason.MULTIPLE_RECORDS if several else Reason.INVALID_RECORD
    return judgement.faulty(state, reason, cause, observed, value)
