# SPDX-License-Identifier: Apache-2.0
"""From the report on a domain's records to what status says of them: verdicts and record list."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from postroom.api import sendingdomain
from postroom.api.conditions import ConditionType, Verdict
from postroom.api.findings import Finding
from postroom.api.reasons import Reason
from postroom.api.times import parse_timestamp, timestamp
from postroom.dns import dkim
from postroom.dns.planning import TOKEN_ID
from postroom.dns.verifying.report import RARELY_LOOKED_FOR, DomainReport, RecordReport
from postroom.reconcile.status.assessment import Evidence, failed, passed, unknown, worst_first

CONDITIONS: dict[sendingdomain.Purpose, ConditionType] = {
    sendingdomain.Purpose.OWNERSHIP: ConditionType.OWNERSHIP_VERIFIED,
    sendingdomain.Purpose.DKIM: ConditionType.DKIM_VERIFIED,
    sendingdomain.Purpose.SPF: ConditionType.SPF_VERIFIED,
    sendingdomain.Purpose.DMARC: ConditionType.DMARC_VERIFIED,
    sendingdomain.Purpose.MX: ConditionType.MX_VERIFIED,
    sendingdomain.Purpose.RETURN_PATH: ConditionType.RETURN_PATH_VERIFIED,
    sendingdomain.Purpose.TRACKING: ConditionType.TRACKING_VERIFIED,
    sendingdomain.Purpose.MTA_STS: ConditionType.MTA_STS_VERIFIED,
    sendingdomain.Purpose.TLS_RPT: ConditionType.TLS_RPT_VERIFIED,
    sendingdomain.Purpose.BIMI: ConditionType.BIMI_VERIFIED,
    sendingdomain.Purpose.DANE: ConditionType.DANE_VERIFIED,
    sendingdomain.Purpose.REVERSE_DNS: ConditionType.REVERSE_DNS_VERIFIED,
}

#: What the condition says where all records of the purpose are Valid.
_PASSED: dict[sendingdomain.Purpose, tuple[Reason, str]] = {
    sendingdomain.Purpose.OWNERSHIP: (Reason.RECORD_MATCHED, "The ownership record is published."),
    sendingdomain.Purpose.DKIM: (
        Reason.RECORDS_MATCHED,
        "Every active DKIM selector is published with the right key.",
    ),
    sendingdomain.Purpose.SPF: (
        Reason.RECORD_VALID,
        "The SPF record is valid and authorises what is required.",
    ),
    sendingdomain.Purpose.DMARC: (
        Reason.RECORD_VALID,
        "The DMARC record is valid and strict enough.",
    ),
    sendingdomain.Purpose.MX: (Reason.RECORDS_MATCHED, "The MX records are published."),
    sendingdomain.Purpose.RETURN_PATH: (
        Reason.RECORDS_MATCHED,
        "The return path's records are published.",
    ),
    sendingdomain.Purpose.TRACKING: (
        Reason.RECORD_MATCHED,
        "The tracking host name points to the provider.",
    ),
    sendingdomain.Purpose.MTA_STS: (
        Reason.RECORD_VALID,
        "The MTA-STS record and its policy are valid and strict enough.",
    ),
    sendingdomain.Purpose.TLS_RPT: (
        Reason.RECORD_VALID,
        "The TLS-RPT record is valid and reports to the required addresses.",
    ),
    sendingdomain.Purpose.BIMI: (Reason.RECORD_VALID, "The BIMI record is valid."),
    sendingdomain.Purpose.DANE: (
        Reason.RECORDS_MATCHED,
        "Every mail exchange has usable TLSA records, protected by DNSSEC.",
    ),
    sendingdomain.Purpose.REVERSE_DNS: (
        Reason.RECORDS_MATCHED,
        "Every sending address has forward-confirmed reverse DNS.",
    ),
}

#: What is wrong where a spec declares a purpose and yet asks for no record of it.
_NOTHING_ASKED: dict[sendingdomain.Purpose, tuple[Reason, str]] = {
    sendingdomain.Purpose.DKIM: (
        Reason.SELECTOR_NOT_FOUND,
        "No DKIM selector of the spec is in use: give one of spec.dkim the role Active.",
    ),
    sendingdomain.Purpose.DANE: (
        Reason.RECORD_NOT_FOUND,
        "spec.dane protects the exchanges of spec.mx, which names none: add them.",
    ),
}

#: Which record decides a purpose that has several: a definite failure before a passing state.
_WORST = (
    sendingdomain.RecordState.CONFLICTING,
    sendingdomain.RecordState.WRONG,
    sendingdomain.RecordState.MISSING,
    sendingdomain.RecordState.UNKNOWN,
    sendingdomain.RecordState.PROPAGATING,
)
_FAILING = frozenset(
    {
        sendingdomain.RecordState.CONFLICTING,
        sendingdomain.RecordState.WRONG,
        sendingdomain.RecordState.MISSING,
    }
)


def record_id(selector: str) -> str:
    """Return the id of a selector's record (`postroom.dns.planning`)."""
    return f"dkim-{selector}"


def deciding(
    spec: sendingdomain.SendingDomainSpec, report: DomainReport, *, token: bool = False
) -> tuple[RecordReport, ...]:
    """Return the records that decide a condition.

    A selector that is not in use yet, or no longer, is listed in status and decides nothing; nor
    does, without `token`, the ownership token beside a value that was handed out.
    """
    idle = {
        record_id(key.selector)
        for key in spec.dkim
        if key.role is not sendingdomain.DKIMRole.ACTIVE
    }
    if not token:
        idle.add(TOKEN_ID)
    return tuple(record for record in report.records if record.id not in idle)


def verdict_on(purpose: sendingdomain.Purpose, records: Sequence[RecordReport]) -> Verdict:
    """Sum up the deciding records of one purpose: the worst one decides."""
    condition = CONDITIONS[purpose]
    mine = [record for record in records if record.purpose is purpose]
    if not mine:
        # Nothing that was not looked at is ever verified.
        if purpose in _NOTHING_ASKED:
            return failed(condition, *_NOTHING_ASKED[purpose])
        message = f"No record for {purpose.value} was looked at."
        return unknown(condition, Reason.LOOKUP_FAILED, message)
    for state in _WORST:
        worst = [record for record in mine if record.state is state]
        if not worst:
            continue
        first = worst[0]
        message = first.message
        others = sorted({record.name for record in worst[1:]} - {first.name})
        if others:
            # A message may end in the value to publish.
            end = "" if message.endswith(".") else "."
            message = f"{message}{end} The same holds for {', '.join(others)}."
        if state in (sendingdomain.RecordState.UNKNOWN, sendingdomain.RecordState.PROPAGATING):
            return unknown(condition, first.reason, message)
        return failed(condition, first.reason, message)
    reason, message = _PASSED[purpose]
    return passed(condition, reason, message)


def evidence_of(verdicts: Collection[Verdict], records: Sequence[RecordReport]) -> Evidence:
    """What stands behind verdicts on these deciding records."""
    failing: dict[ConditionType, list[RecordReport]] = {}
    propagating: set[ConditionType] = set()
    for record in records:
        condition = CONDITIONS[record.purpose]
        if record.state in _FAILING:
            failing.setdefault(condition, []).append(record)
        elif record.state is sendingdomain.RecordState.PROPAGATING:
            propagating.add(condition)
    return Evidence(
        certain=frozenset(
            condition for condition, some in failing.items() if any(cause.certain for cause in some)
        ),
        causes={
            condition: frozenset(cause.id for cause in some) for condition, some in failing.items()
        },
        lagging=frozenset(
            verdict.type
            for verdict in verdicts
            if verdict.type in propagating and verdict.reason is not Reason.LOOKUP_FAILED
        ),
    )


def retired_since(
    spec: sendingdomain.SendingDomainSpec, before: sendingdomain.SendingDomainStatus, now: datetime
) -> dict[str, datetime]:
    """Return since when the spec calls selectors Retired, by record id.

    The first look that finds a selector Retired dates it; status keeps the date while it stays
    so, whatever else is edited.
    """
    dated = {
        record.id: record.retired_at for record in before.records if record.retired_at is not None
    }
    retired = [
        record_id(key.selector) for key in spec.dkim if key.role is sendingdomain.DKIMRole.RETIRED
    ]
    return {
        id: parse_timestamp(dated[id]) if id in dated else now.replace(microsecond=0)
        for id in retired
    }


def records_of(fields: Mapping[str, object]) -> list[sendingdomain.RecordStatus]:
    """Return the records among the fields of a status."""
    found = fields.get("records")
    return (
        [record for record in found if isinstance(record, sendingdomain.RecordStatus)]
        if isinstance(found, list)
        else []
    )


def status_fields(
    report: DomainReport,
    before: sendingdomain.SendingDomainStatus,
    retired_at: Mapping[str, datetime],
    *,
    same_generation: bool,
    stale: bool = False,
) -> dict[str, object]:
    """Put a report into the fields of SendingDomainStatus.

    What could not be looked at now stays as it is in `before`, as far as that is about the same
    spec. But for what proves whose the domain is, where `before` is `stale`: a status alone, which
    more than we may have written, proves nothing for ever.
    """
    known = {
        record.id: record
        for record in (before.records if same_generation else ())
        if not (stale and record.purpose is sendingdomain.Purpose.OWNERSHIP)
    }
    fields: dict[str, object] = {
        "zone": report.zone,
        "nameservers": list(report.nameservers),
        "dns_host": report.dns_host,
    }
    blind = all(record.state is sendingdomain.RecordState.UNKNOWN for record in report.records)
    if blind and report.zone is None and same_generation:
        fields = {
            "zone": before.zone,
            "nameservers": before.nameservers,
            "dns_host": before.dns_host,
        }
    return {
        **fields,
        "records": [
            _record_status(record, known.get(record.id), retired_at.get(record.id))
            for record in report.records
        ],
        "compromised_keys": compromised_keys(before, report.compromised),
        "findings": worst_first(_with_rare(report, before.findings if same_generation else ())),
    }


def compromised_keys(
    before: sendingdomain.SendingDomainStatus, seen: Iterable[str] = ()
) -> list[str]:
    """Add keys whose private half was seen to those that are known, which nothing takes away.

    Should there ever be more than a status holds, the oldest go.
    """
    known = before.compromised_keys
    return [*known, *sorted(set(seen) - set(known))][-sendingdomain.COMPROMISED_LIMIT :]


def _with_rare(report: DomainReport, before: Iterable[Finding]) -> tuple[Finding, ...]:
    """Keep what a regular look did not look for; it would come and go in status otherwise.

    Of what it saw of such things anyway, the thorough look's words stand: it knew more.
    """
    if report.thorough:
        return report.findings
    kept = {
        (finding.code, finding.subject): finding
        for finding in before
        if finding.code in RARELY_LOOKED_FOR
    }
    told = {(finding.code, finding.subject): finding for finding in report.findings}
    return tuple({**told, **kept}.values())


def _asks_the_same(known: str, required: str) -> bool:
    """Whether two values are for one thing: a key stands in many records."""
    key = dkim.parse(required).key
    return known == required or (key is not None and dkim.parse(known).key == key)


def _record_status(
    record: RecordReport, known: sendingdomain.RecordStatus | None, retired_at: datetime | None
) -> sendingdomain.RecordStatus:
    dated = None if retired_at is None else timestamp(retired_at)
    if record.state is sendingdomain.RecordState.UNKNOWN and known is not None:
        # What is known stays if it is about what is required now. A key or token may have changed
        # in a Secret, without a new generation. Other values depend on what else is published,
        # which cannot be seen now.
        fixed = record.purpose in (sendingdomain.Purpose.OWNERSHIP, sendingdomain.Purpose.DKIM)
        same_value = not fixed or _asks_the_same(known.value, record.value)
        if known.name == record.name and known.type == record.type.value and same_value:
            return known.model_copy(update={"required": record.required, "retired_at": dated})
    return sendingdomain.RecordStatus(
        id=record.id,
        purpose=record.purpose,
        name=record.name,
        host_label=record.host_label,
        type=record.type.value,
        value=record.value,
        required=record.required,
        state=record.state,
        observed=list(record.observed),
        retired_at=dated,
    )
