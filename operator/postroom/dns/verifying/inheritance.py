# SPDX-License-Identifier: Apache-2.0
"""What a parent's DMARC record asks of a domain, put into the record that is to be published.

From its publication on nothing of the parent's counts for the domain, so that a record that says
what the spec asks for and no more would weaken what applied.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from postroom.dns import dmarc
from postroom.dns.answers import Answer, Asker, Outcome, Question, RecordType
from postroom.dns.judging.dmarc_walk import discover, domain_of, whole_with_parents
from postroom.dns.judging.seen import Seen
from postroom.dns.names import can_be_asked, is_within
from postroom.dns.publishing.dns_endpoint import HandedSet
from postroom.dns.requirements import VALUE_LIMIT, DMARCWanted, PlannedRecord
from postroom.dns.texts.pasted import without_quotes

_TEXT = RecordType.TXT


async def carried_over(
    asker: Asker, planned: Iterable[PlannedRecord], ours: Sequence[HandedSet]
) -> Mapping[str, str | None]:
    """The values of DMARC records, by name, with what applies there as long as none of their own
    stands; None where that could not be seen, or does not fit.

    What stands at the names themselves is left out of account, so that it is the same before and
    after the publication. `ours` is what was handed over before.
    """
    wanted = [record for record in planned if isinstance(record.wanted, DMARCWanted)]
    values = await asyncio.gather(*(_carried_over(asker, record, ours) for record in wanted))
    return {record.name: value for record, value in zip(wanted, values, strict=True)}


async def _carried_over(
    asker: Asker, planned: PlannedRecord, ours: Sequence[HandedSet]
) -> str | None:
    handed = [each for each in ours if (each.name, each.type) == (planned.name, _TEXT.value)]
    found = await _above(asker, domain_of(planned), handed)
    if found.source is dmarc.PolicySource.UNKNOWN:
        return None
    made = whole_with_parents(planned.value, found)
    return made if len(made) <= VALUE_LIMIT else None


async def _above(asker: Asker, domain: str, handed: Sequence[HandedSet]) -> dmarc.Discovery:
    """Walk the tree as if nothing stood at the domain itself."""
    own, *above = dmarc.walk_names(domain)
    organisation = dmarc.organisational_domain(domain)

    async def ask(name: str) -> Answer:
        look = asker.authoritative if is_within(name, organisation) else asker.shared
        return await look(Question(name, _TEXT))

    answers = await asyncio.gather(*(ask(name) for name in above if can_be_asked(name)))
    seen = Seen().with_answers([Answer(Question(own, _TEXT), Outcome.NO_DATA), *answers])
    found = discover(domain, seen)
    if found.source is not dmarc.PolicySource.UNKNOWN or found.record is None:
        return found
    # Whether sp= or np= counts depends on whether the domain exists, which it does in any case
    # once the record stands. What was handed over goes on to be as strict as the stricter one.
    about = Question(domain, _TEXT)
    either = [
        discover(domain, seen.with_answers([Answer(about, outcome)]))
        for outcome in (Outcome.NO_DATA, Outcome.NX_DOMAIN)
    ]
    texts = (without_quotes(target) for each in handed for target in each.targets)
    before = max((dmarc.parse(text).strictness for text in texts), default=-1)
    strictest = max(either, key=_strictness)
    if before >= _strictness(strictest):
        return strictest
    return discover(domain, seen.with_answers([await asker.authoritative(about)]))


def _strictness(found: dmarc.Discovery) -> int:
    return -1 if found.policy is None else dmarc.PolicyRecord(found.policy, ()).strictness
