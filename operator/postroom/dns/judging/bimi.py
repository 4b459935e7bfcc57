# SPDX-License-Identifier: Apache-2.0
"""The judge for BIMI (draft-brand-indicators-for-message-identification): the record, and the
DMARC policy without which receivers show no logo."""

from collections.abc import Sequence

from postroom.api.reasons import Reason
from postroom.api.sendingdomain import RecordState
from postroom.dns import bimi, dmarc
from postroom.dns.answers import RecordType
from postroom.dns.finding_codes import Code
from postroom.dns.findings import finding
from postroom.dns.judging import judgement
from postroom.dns.judging.fixes import external, replace
from postroom.dns.judging.seen import Needs, Seen, shared
from postroom.dns.judging.seen import own as own_names
from postroom.dns.requirements import VALUE_LIMIT, BIMIWanted, PlannedRecord
from postroom.dns.texts import tag_list
from postroom.dns.texts.quoting import quoted


def needs(
    planned: PlannedRecord, wanted: BIMIWanted, seen: Seen, context: judgement.Context
) -> Needs:
    """The texts, and the DMARC records that the domain's policy may come from."""
    names = dmarc.walk_names(wanted.domain)
    needed = own_names((planned.name, RecordType.TXT)) | shared(
        *((name, RecordType.TXT) for name in names)
    )
    above = _above(planned, wanted, seen)
    return needed if above is None else needed | shared((above, RecordType.TXT))


def judge(
    planned: PlannedRecord, wanted: BIMIWanted, seen: Seen, context: judgement.Context
) -> judgement.Judgement:
    """One record with the wanted logo and certificate, and an enforcing DMARC policy."""
    values = seen.at(planned.name, RecordType.TXT).values
    records = sorted(filter(bimi.is_record, values))
    if not records:
        intended = sorted(filter(bimi.looks_like_record, values))
        if not intended:
            return _inherited(planned, wanted, seen)
        sentence = "does not begin with v=BIMI1; so that receivers ignore it"
        return _faulty(planned, wanted, Code.BIMI_SYNTAX, sentence, intended)
    if len(records) > 1:
        sentence = f"holds {len(records)} BIMI records, so receivers ignore all of them"
        return _faulty(planned, wanted, Code.BIMI_MULTIPLE, sentence, records)
    fault = _fault(records[0], wanted)
    if fault is not None:
        return _faulty(planned, wanted, *fault, records)
    return _with_policy(planned, wanted, seen, records)


def _above(planned: PlannedRecord, wanted: BIMIWanted, seen: Seen) -> str | None:
    """Where receivers look next: the same selector at the organisational domain.

    None where that is the domain itself, or is not known.
    """
    organisation = _policy(wanted, seen).organisational_domain
    if organisation is None or organisation == wanted.domain:
        return None
    return f"{planned.name.removesuffix(wanted.domain)}{organisation}"


def _policy(wanted: BIMIWanted, seen: Seen) -> dmarc.Discovery:
    names = dmarc.walk_names(wanted.domain)
    return dmarc.discover(wanted.domain, {name: seen.at(name, RecordType.TXT) for name in names})


def _inherited(planned: PlannedRecord, wanted: BIMIWanted, seen: Seen) -> judgement.Judgement:
    """Without a record at the domain itself, that of the organisational domain applies."""
    own = seen.at(planned.name, RecordType.TXT).values
    if _policy(wanted, seen).organisational_domain is None:
        return judgement.blind(planned, f"the organisational domain of {wanted.domain}")
    above = _above(planned, wanted, seen)
    answer = None if above is None else seen.at(above, RecordType.TXT)
    if answer is not None and not answer.conclusive:
        return judgement.blind(planned, f"TXT at {above}")
    records = sorted(filter(bimi.is_record, answer.values)) if answer is not None else []
    if len(records) != 1 or _fault(records[0], wanted) is not None:
        so = ""
        if records:
            so = f"What stands at {above} applies, which is not what spec.bimi asks for."
        return judgement.missing(planned, Code.BIMI_MISSING, Reason.RECORD_NOT_FOUND, (), so, own)
    judged = _with_policy(planned, wanted, seen, records)
    if judged.state is not RecordState.VALID:
        return judged
    message = f"{judgement.lacking(planned, own)} The record at {above} applies, as spec.bimi asks."
    inherited = finding(Code.BIMI_INHERITED, planned.id, message)
    return judgement.valid(
        Reason.RECORD_VALID, "The BIMI record is valid.", (), advice=(inherited,)
    )


def _fault(text: str, wanted: BIMIWanted) -> tuple[Code, str] | None:
    """Find what is wrong with a single record: the code, and what the record does or is."""
    parsed = tag_list.parse(text)
    if parsed.problem is not None:
        return Code.BIMI_SYNTAX, f"cannot be read: {parsed.problem}"
    if bimi.declines(parsed.tags):
        return Code.BIMI_DECLINED, "says that the domain has no logo: l= is empty"
    logo, certificate = parsed.tags.get("l", ""), parsed.tags.get("a", "")
    if not bimi.same_location(logo, wanted.logo):
        return Code.BIMI_LOGO_OTHER, f'names the logo "{quoted(logo)}" (l=)'
    if wanted.certificate is not None and not bimi.same_location(certificate, wanted.certificate):
        return Code.BIMI_CERTIFICATE_OTHER, f'names the certificate "{quoted(certificate)}" (a=)'
    return None


def _with_policy(
    planned: PlannedRecord, wanted: BIMIWanted, seen: Seen, records: Sequence[str]
) -> judgement.Judgement:
    """The record is right: what is left is the DMARC policy, which may come from a parent."""
    found = _policy(wanted, seen)
    if found.source is dmarc.PolicySource.UNKNOWN:
        return judgement.blind(planned, f"the DMARC policy of {wanted.domain}", records)
    problem = bimi.policy_problem(found)
    if problem is None:
        return judgement.valid(
            Reason.RECORD_VALID, "The BIMI record is valid.", records, records[0]
        )
    why, todo = problem
    place = f" (the record is at _dmarc.{found.policy_domain})" if found.policy_domain else ""
    message = f"Receivers show no logo for {wanted.domain}: {why}{place}. {todo}"
    cause = judgement.Cause(Code.BIMI_DMARC_WEAK, message, external(), judgement.Evidence.SHOWN)
    return judgement.faulty(RecordState.WRONG, Reason.POLICY_TOO_WEAK, cause, records, records[0])


def _faulty(
    planned: PlannedRecord, wanted: BIMIWanted, code: Code, sentence: str, observed: Sequence[str]
) -> judgement.Judgement:
    value = bimi.record_for(observed, wanted.logo, wanted.certificate)
    value = value if len(value) <= VALUE_LIMIT else planned.value
    gone = bimi.left_out(observed, value)
    message = f"The {judgement.where(planned)} {sentence}. {gone}".rstrip()
    cause = judgement.Cause(
        code, message, replace(planned, observed, value), judgement.Evidence.SHOWN
    )
    several = len(observed) > 1
    state = RecordState.CONFLICTING if several else RecordState.WRONG
    reason = Reason.MULTIPLE_RECORDS if several else Reason.RECORD_MISMATCH
    return judgement.faulty(state, reason, cause, observed, value)
