# SPDX-License-Identifier: Apache-2.0
"""Asking what stands at the names at which something is to be published."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from postroom.dns.answers import Answer, Asker, Outcome, Question, RecordType, Zone
from postroom.dns.diagnosis.synthesis import invented_name, parent
from postroom.dns.names import is_within
from postroom.dns.publishing.publication import Standing, as_target
from postroom.dns.publishing.records import RecordSet

#: What may stand at a name and keeps a CNAME away; of a type that is not asked for, the DNS host
#: would tell.
_BESIDE_ALIAS = (
    RecordType.TXT,
    RecordType.A,
    RecordType.AAAA,
    RecordType.MX,
    RecordType.NS,
    RecordType.TLSA,
)

#: What a wildcard may answer that somebody makes use of.
_ANSWERED = (
    RecordType.CNAME,
    RecordType.A,
    RecordType.AAAA,
    RecordType.MX,
    RecordType.TXT,
)


class Answered(NamedTuple):
    """What a wildcard answers at a name."""

    type: RecordType
    value: str


async def look(asker: Asker, sets: Iterable[RecordSet]) -> Mapping[str, Standing]:
    """What the zones' own servers tell; a name of which not all could be seen is absent."""
    types: dict[str, set[RecordType]] = {}
    for found in sets:
        wanted = _BESIDE_ALIAS if found.type is RecordType.CNAME else (found.type,)
        types.setdefault(found.name, set()).update(wanted)
    places = await asyncio.gather(*(_at(asker, name, asked) for name, asked in types.items()))
    return {name: place for name, place in zip(types, places, strict=True) if place is not None}


async def _at(asker: Asker, name: str, types: Iterable[RecordType]) -> Standing | None:
    zone = await asker.zone_of(name)
    if not isinstance(zone, Zone):
        return None
    targets: dict[RecordType, frozenset[str]] = {}
    for kind in (RecordType.CNAME, *sorted(types)):
        answer = await asker.authoritative(Question(name, kind))
        if not answer.conclusive or not answer.authoritative:
            # A cache, or a view of the zone for the cluster alone, may lack what would go.
            return None
        if answer.outcome is Outcome.NX_DOMAIN:
            break
        if answer.values and not await _is_invented(asker, answer, zone):
            targets[kind] = frozenset(as_target(kind, value, name) for value in answer.values)
            if kind is RecordType.CNAME:
                break
    wild: list[str] = []
    for owner in _owners(name, zone.apex):
        found = await _answered_by_wildcard(asker, owner)
        if found is None:
            return None
        wild += [f"{kind.value} {value} at {owner}" for kind, value in found]
    return Standing(zone.apex, targets, tuple(sorted(wild)))


async def wildcards_ended_by(
    asker: Asker, names: Iterable[str], apex: str
) -> Mapping[str, tuple[Answered, ...]]:
    """What wildcards answer at names and above them that answer there no more once records stand at
    the names: by where that is. What could not be seen is left out.

    Nothing is synthesized at a name that exists, and one exists below which another does (RFC 4592
    section 2.2.2): a record at ``_dmarc.send`` takes the website at ``send`` away.
    """
    owners = sorted({owner for name in names for owner in _owners(name, apex)})
    found = await asyncio.gather(*(_answered_by_wildcard(asker, owner) for owner in owners))
    return {owner: answers for owner, answers in zip(owners, found, strict=True) if answers}


async def synthesized_until(
    asker: Asker, used: Mapping[Question, Iterable[str]], apex: str
) -> Mapping[Question, str]:
    """Which of these questions wildcards answer no more once records stand at the names beside
    them: by the first name that ends it. What could not be seen is left out.

    Where both stand below a name that nobody made, that exists from then on.
    """
    pairs = [(asked, name) for asked in sorted(used) for name in sorted(set(used[asked]))]
    found = await asyncio.gather(*(_ends(asker, asked, name, apex) for asked, name in pairs))
    ended = dict[Question, str]()
    for (asked, name), ends in zip(pairs, found, strict=True):
        if ends:
            ended.setdefault(asked, name)
    return ended


async def _ends(asker: Asker, asked: Question, name: str, apex: str) -> bool:
    common = name
    while not is_within(asked.name, common):
        common = parent(common)
    if common == apex or not is_within(common, apex):
        return False
    below = await asker.authoritative(Question(invented_name(common), RecordType.A))
    if below.outcome is Outcome.NX_DOMAIN and not below.aliases:
        return False
    answer = await asker.authoritative(asked)
    made = replace(answer, question=Question(common, asked.type))
    return bool(answer.values) and bool(await _is_synthesized(asker, made))


async def _answered_by_wildcard(asker: Asker, owner: str) -> tuple[Answered, ...] | None:
    """What a wildcard answers at a name, where somebody may use it; None: unseen."""
    below = await asker.authoritative(Question(invented_name(owner), RecordType.A))
    if below.outcome is Outcome.NX_DOMAIN and not below.aliases:
        # Below what a wildcard makes, it makes every name.
        return ()
    found: list[Answered] = []
    for kind in _ANSWERED:
        answer = await asker.authoritative(Question(owner, kind))
        if not answer.conclusive or not answer.authoritative:
            return None
        synthesized = await _is_synthesized(asker, answer) if answer.values else False
        if synthesized is None:
            return None
        if synthesized:
            found += [Answered(kind, value) for value in sorted(answer.values)]
            if kind is RecordType.CNAME:
                break
    return tuple(found)


def _owners(name: str, apex: str) -> Iterator[str]:
    """The name and those above it, below the apex of the zone, that are not for one protocol."""
    while is_within(name, apex) and name != apex:
        if not any(label.startswith("_") for label in name.split(".")):
            yield name
        name = parent(name)


async def _is_synthesized(asker: Asker, answer: Answer) -> bool | None:
    """Whether names that nobody made, beside that of an answer and below it, answer the same; None:
    unseen.

    A name that exists has none below it by the wildcard beside it.
    """
    name, kind = answer.question.name, answer.question.type
    for above in (parent(name), name):
        other = await asker.authoritative(Question(invented_name(above), kind))
        if not other.conclusive:
            return None
        if sorted(other.values) != sorted(answer.values):
            return False
    return True


async def _is_invented(asker: Asker, answer: Answer, zone: Zone) -> bool:
    """Whether a wildcard answers, at a name that only ever is for one protocol.

    Nobody else makes use of what it answers at a name with an underscore (RFC 8552); at any other,
    a record of its own would take that away.
    """
    name, kind = answer.question.name, answer.question.type
    if name == zone.apex or not any(label.startswith("_") for label in name.split(".")):
        return False
    beside = invented_name(name.partition(".")[2])
    other = await asker.authoritative(Question(beside, kind))
    return sorted(other.values) == sorted(answer.values)
