# SPDX-License-Identifier: Apache-2.0
"""DKIM keys whose private half stood in DNS: which they are, and that nothing asks for them. Pure.

They stay compromised for ever, as nobody knows who has read them.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from postroom.dns import dkim
from postroom.dns.answers import Answer, RecordType
from postroom.dns.finding_codes import Code
from postroom.dns.judging.dkim import gives_away
from postroom.dns.judging.judgement import Judgement
from postroom.dns.requirements import DKIMKeyWanted, DomainPlan

_LEAKED = Code.DKIM_PRIVATE_KEY_PUBLISHED


def without_compromised(plan: DomainPlan, fingerprints: Collection[str]) -> DomainPlan:
    """Tell a plan what is compromised: no record of it offers such a key any more."""
    known = plan.compromised | frozenset(fingerprints)
    records = tuple(
        replace(record, value="")
        if isinstance(record.wanted, DKIMKeyWanted) and dkim.fingerprint(record.wanted.key) in known
        else record
        for record in plan.records
    )
    return replace(plan, records=records, compromised=known)


def exposed(
    plan: DomainPlan, judged: Mapping[str, Judgement], answers: Iterable[Answer]
) -> frozenset[str]:
    """Return the fingerprints of the keys whose private halves stand in these answers.

    A private key that does not tell its public half, such as an encrypted or a cut off one, counts
    for the keys of the records at its name, or for which it was meant (`judged`, by record id).
    """
    found, texts = set[str](), set[str]()
    for answer in answers:
        if answer.question.type is not RecordType.TXT or not answer.values:
            continue
        texts.update(answer.values)
        for key in _meant(plan, judged, answer.question.name):
            if any(gives_away(text, key) for text in answer.values):
                found.add(dkim.fingerprint(key))
    # Once each: servers and resolvers mostly have the same, and a wildcard has it at each name.
    for text in texts:
        halves = dkim.public_halves(text)
        found.update(dkim.fingerprint(halve) for halve in halves if halve is not None)
    return frozenset(found)


def _meant(
    plan: DomainPlan, judged: Mapping[str, Judgement], name: str
) -> Iterator[dkim.PublicKey]:
    """The keys of the plan for which a text at a name was meant."""
    for planned in plan.records:
        if not isinstance(planned.wanted, DKIMKeyWanted):
            continue
        cause = judged[planned.id].cause if planned.id in judged else None
        leaked = cause is not None and cause.code == _LEAKED
        gone = cause.fix.remove if leaked and cause is not None and cause.fix is not None else []
        if name in (planned.name, *(record.name for record in gone)):
            yield planned.wanted.key
