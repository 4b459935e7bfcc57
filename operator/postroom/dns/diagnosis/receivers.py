# SPDX-License-Identifier: Apache-2.0
"""What large receivers ask of bulk senders, held against a domain: findings that gate nothing.

The requirements are data: see ``receivers.yaml``.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from enum import StrEnum
from functools import cache
from typing import Annotated

from pydantic import Field

from postroom.api.data_files import Row, read
from postroom.api.findings import Finding
from postroom.api.presets import Source
from postroom.api.sendingdomain import BulkSenderProfile
from postroom.dns.answers import RecordType
from postroom.dns.diagnosis import sender_authentication
from postroom.dns.diagnosis.sender_authentication import SenderAuthentication
from postroom.dns.finding_codes import Code
from postroom.dns.findings import finding
from postroom.dns.judging.judgement import Judgement
from postroom.dns.judging.seen import Needs, Seen, shared
from postroom.dns.requirements import DomainPlan


class BulkRequirement(StrEnum):
    """What DNS can decide of the requirements of receivers."""

    SPF = "SPF"
    DKIM = "DKIM"
    DKIM_KEY = "DKIMKey"
    DMARC = "DMARC"
    ALIGNMENT = "Alignment"
    REVERSE_DNS = "ReverseDNS"


class RequirementRow(Row):
    """A requirement of a receiver, where it is written, and when that was read."""

    requirement: Annotated[BulkRequirement, Field(strict=False)]
    source: Source
    checked: date


class BeyondRow(Row):
    """A requirement that DNS cannot decide, as the end of "asks for"."""

    requirement: Annotated[str, Field(min_length=5, max_length=80)]
    source: Source
    checked: date


class Receiver(Row):
    """A receiver; `title` is its name for people."""

    name: Annotated[BulkSenderProfile, Field(strict=False)]
    title: str
    requirements: Annotated[tuple[RequirementRow, ...], Field(min_length=1)]
    beyond: Annotated[tuple[BeyondRow, ...], Field(min_length=1)]

    def requires(self, requirement: BulkRequirement) -> bool:
        """Whether this receiver asks for it."""
        return any(row.requirement is requirement for row in self.requirements)


class Receivers(Row):
    """The whole file."""

    receivers: Annotated[tuple[Receiver, ...], Field(min_length=1)]


@cache
def receivers() -> tuple[Receiver, ...]:
    """Load the table, once; raises `InvalidData`."""
    return read("postroom.dns.diagnosis", "receivers.yaml", Receivers).receivers


def needs(plan: DomainPlan) -> Needs:
    """Return what the profiles of a plan take besides what its records do: the DMARC policies.

    Nothing where the plan has no profile.
    """
    if not plan.bulk_receivers:
        return Needs()
    names = sender_authentication.policy_names(plan)
    return shared(*((name, RecordType.TXT) for name in names))


def findings(
    plan: DomainPlan, judgements: Mapping[str, Judgement], seen: Seen
) -> Iterator[Finding]:
    """Yield what the receivers of a plan ask for and the domain lacks, then what DNS cannot tell.

    `judgements` are those of the plan's records, by id. What could not be looked at, or is still
    on its way, yields nothing: the findings of the records tell of it.
    """
    asked = [provider for provider in receivers() if provider.name.value in plan.bulk_receivers]
    if not asked:
        return
    sender = sender_authentication.of_domain(plan, judgements, seen)
    for requirement in BulkRequirement:
        titles = [provider.title for provider in asked if provider.requires(requirement)]
        fault = _fault(requirement, sender) if titles else None
        if fault is not None:
            code, sentence = fault
            plural = "require" if len(titles) > 1 else "requires"
            yield finding(code, "domain", f"{_listed(titles)} {plural} {sentence}.")
    for receiver in asked:
        beyond = _listed([row.requirement for row in receiver.beyond])
        message = f"{receiver.title} also asks for {beyond}, which DNS cannot show."
        yield finding(Code.BULK_BEYOND_DNS, receiver.name, message)


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _fault(requirement: BulkRequirement, sender: SenderAuthentication) -> tuple[Code, str] | None:
    """The code, and what is required and lacking as the end of "requires"; None for nothing."""
    match requirement:
        case BulkRequirement.SPF if not sender.spf:
            what = "SPF, and the spec declares none: add spf, or spf or cname to returnPath"
            return Code.BULK_SPF_MISSING, what
        case BulkRequirement.SPF if sender_authentication.all_faulty(sender.spf):
            return Code.BULK_SPF_INVALID, f"SPF, and it is not valid: mend {_ids(sender.spf)}"
        case BulkRequirement.DKIM if not sender.dkim:
            what = "DKIM, and the spec declares no active selector: add dkim"
            return Code.BULK_DKIM_MISSING, what
        case BulkRequirement.DKIM if (
            sender_authentication.all_faulty(sender.dkim) and not sender.short_keys
        ):
            what = f"DKIM, and no selector is valid: mend {_ids(sender.dkim)}"
            return Code.BULK_DKIM_INVALID, what
        case BulkRequirement.DKIM_KEY if sender.short_keys:
            id, bits = sender.short_keys[0]
            what = f"DKIM keys of 1024 bits or more, and that of {id} has {bits}: use one of 2048"
            return Code.BULK_DKIM_KEY_SHORT, what
        case BulkRequirement.DMARC if sender.policy_applies is False:
            what = "a DMARC policy, at least p=none, and none applies to the domain: declare dmarc"
            return Code.BULK_DMARC_MISSING, what
        case BulkRequirement.ALIGNMENT if sender.misaligned is not None:
            what = (
                "that the From domain aligns with the domain of SPF or DKIM, and only SPF is "
                f"declared, for {sender.misaligned}, which does not align: sign with DKIM for "
                "the domain itself"
            )
            return Code.BULK_NOT_ALIGNED, what
        case BulkRequirement.REVERSE_DNS:
            faulty = [
                record for record in sender.reverse if sender_authentication.all_faulty((record,))
            ]
            what = f"that the names of sending addresses lead back to them: mend {_ids(faulty)}"
            return (Code.BULK_REVERSE_DNS, what) if faulty else None
    return None


def _ids(records: Sequence[tuple[str, Judgement]]) -> str:
    return _listed([id for id, _ in records][:5])
