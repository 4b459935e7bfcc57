# SPDX-License-Identifier: Apache-2.0
"""Looking at the zone itself: its servers, its parent, and what the resolver makes of it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from postroom.dns.answers import (
    Asker,
    Delegation,
    Outcome,
    Question,
    RecordType,
    ServerAnswer,
    Zone,
)
from postroom.dns.diagnosis.zone import ZoneView

_ADDRESSES = (RecordType.A, RecordType.AAAA)
_SILENT_LIMIT = 4


async def look_at_zone(view: ZoneView, asker: Asker) -> ZoneView:
    """What may tell why records are not seen: at most some twenty questions, at once."""
    zone = view.zone
    if view.denied:
        # What the resolver meets at servers that we may not ask must not show in what we say.
        return view
    if not isinstance(zone, Zone):
        return view if zone.conclusive else await _resolver(view, asker, zone.question)
    soa = Question(zone.apex, RecordType.SOA)
    seen, versions, delegation = await asyncio.gather(
        _resolver(view, asker, soa), asker.every_server(soa), asker.delegation(zone.apex)
    )
    of_parent = delegation.servers if isinstance(delegation, Delegation) else ()
    families = await _families(asker, (*view.serials, *of_parent))
    return replace(seen, versions=versions, delegation=delegation, families=families)


async def _resolver(view: ZoneView, asker: Asker, question: Question) -> ZoneView:
    """With what the resolver says; where it fails, once more, and what it has without DNSSEC."""
    answer = await asker.recursive(question)
    if answer.outcome is not Outcome.SERVER_FAILURE:
        return replace(view, resolver=answer)
    again, unvalidated = await asyncio.gather(
        asker.recursive(question), asker.unvalidated(question)
    )
    # Failures come and go: only one that stays says something about the zone.
    if again.outcome is Outcome.SERVER_FAILURE and not again.errors:
        again = replace(again, errors=answer.errors)
    return replace(view, resolver=again, unvalidated=unvalidated)


async def _families(
    asker: Asker, serials: Sequence[ServerAnswer]
) -> Mapping[str, frozenset[RecordType]]:
    """With the types of address that the silent servers have."""
    silent = sorted(
        {serial.nameserver for serial in serials if serial.answer.outcome is Outcome.TIMEOUT}
    )
    silent = silent[:_SILENT_LIMIT]
    questions = [Question(name, kind) for name in silent for kind in _ADDRESSES]
    answers = await asyncio.gather(*map(asker.shared, questions))
    found = {answer.question for answer in answers if answer.values}
    return {
        name: frozenset(kind for kind in _ADDRESSES if Question(name, kind) in found)
        for name in silent
    }
