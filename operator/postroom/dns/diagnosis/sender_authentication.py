# SPDX-License-Identifier: Apache-2.0
"""What of a domain authenticates its mail, and whether that aligns. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from postroom.api.sendingdomain import DKIMRole, Purpose
from postroom.dns import dkim, dmarc
from postroom.dns.answers import RecordType
from postroom.dns.diagnosis.diagnose import FAULTY
from postroom.dns.judging.judgement import Judgement
from postroom.dns.judging.seen import Seen
from postroom.dns.requirements import CNAMEWanted, DKIMKeyWanted, DomainPlan, PlannedRecord
from postroom.dns.spf import Requirement

#: A record by its id, and how it was judged.
Judged = tuple[str, Judgement]


@dataclass(frozen=True, slots=True)
class SenderAuthentication:
    """What authenticates mail of a domain.

    `spf` and `dkim` are the records that do, `reverse` those of sending addresses; `short_keys`
    the ids and bits of RSA keys that verifiers must not accept. `policy_applies` is None where
    that could not be seen. `misaligned` is the only identifier, where it does not align with the
    From domain.
    """

    spf: tuple[Judged, ...]
    dkim: tuple[Judged, ...]
    reverse: tuple[Judged, ...]
    short_keys: tuple[tuple[str, int], ...]
    policy_applies: bool | None
    misaligned: str | None


def all_faulty(records: Sequence[Judged]) -> bool:
    """Whether none of the records is valid, unknown or on its way."""
    return all(judgement.state in FAULTY for _, judgement in records)


def policy_names(plan: DomainPlan) -> tuple[str, ...]:
    """Return the names to ask for TXT to tell which DMARC policy applies, and what aligns."""
    domains = dict.fromkeys((plan.domain, _envelope_domain(plan)))
    return tuple(dict.fromkeys(name for domain in domains for name in dmarc.walk_names(domain)))


def of_domain(
    plan: DomainPlan, judgements: Mapping[str, Judgement], seen: Seen
) -> SenderAuthentication:
    """Gather what authenticates mail of a domain; records without a judgement are left out."""
    author = _discovered(plan.domain, seen)
    judged = [(record, judgements[record.id]) for record in plan.records if record.id in judgements]
    signing = tuple((record.id, found) for record, found in judged if _signs(record))
    # SPF of mail from the domain is told by its policy, or by the alias to one.
    policing = tuple(
        (record.id, found)
        for record, found in judged
        if isinstance(record.wanted, Requirement)
        or (record.purpose is Purpose.RETURN_PATH and isinstance(record.wanted, CNAMEWanted))
    )
    reverse = tuple(
        (record.id, found) for record, found in judged if record.purpose is Purpose.REVERSE_DNS
    )
    short_keys = list[tuple[str, int]]()
    for record in filter(_signs, plan.records):
        name = record.wanted.target if isinstance(record.wanted, CNAMEWanted) else record.name
        texts = filter(dkim.looks_like_key, seen.at(name, RecordType.TXT).values)
        keys = [dkim.parse(text).key for text in sorted(texts)]
        short_keys += [(record.id, key.bits) for key in keys if key is not None and key.too_weak]
    misaligned = None
    # Without a policy nothing is held against the only identifier, and that is told already.
    if policing and not signing and author.record is not None:
        envelope = _envelope_domain(plan)
        identifier = dmarc.PlannedIdentifier(dmarc.Mechanism.SPF, envelope)
        aligned = dmarc.align(author, identifier, {envelope: _discovered(envelope, seen)}).aligned
        misaligned = envelope if aligned is False else None
    applies = author.source is not dmarc.PolicySource.ABSENT
    return SenderAuthentication(
        spf=policing,
        dkim=signing,
        reverse=reverse,
        short_keys=tuple(short_keys),
        policy_applies=None if author.source is dmarc.PolicySource.UNKNOWN else applies,
        misaligned=misaligned,
    )


def _signs(planned: PlannedRecord) -> bool:
    if planned.purpose is not Purpose.DKIM:
        return False
    wanted = planned.wanted
    return not isinstance(wanted, CNAMEWanted | DKIMKeyWanted) or wanted.role is DKIMRole.ACTIVE


def _envelope_domain(plan: DomainPlan) -> str:
    """The domain that SPF is checked for: the return path, or the domain itself."""
    return next((record.name for record in plan.of(Purpose.RETURN_PATH)), plan.domain)


def _discovered(domain: str, seen: Seen) -> dmarc.Discovery:
    answers = {name: seen.at(name, RecordType.TXT) for name in dmarc.walk_names(domain)}
    return dmarc.discover(domain, answers)
