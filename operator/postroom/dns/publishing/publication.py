# SPDX-License-Identifier: Apache-2.0
"""What may be handed to a tool that publishes whole sets of records, so that nothing which stands
and is not ours is replaced or removed.

Such a tool makes the records of a name and type exactly those that it was given: another TXT at the
same name, a site's verification say, would go. So a set begins only where nothing of others stands,
changes only while all that stands was handed over by us, and is else left as it is. Which of it is
ours tells the object that it was handed over with.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from postroom.api.sendingdomain import Purpose
from postroom.dns.answers import RecordType
from postroom.dns.names import is_within
from postroom.dns.publishing import beside
from postroom.dns.publishing.dns_endpoint import HandedSet, endpoint_of, target
from postroom.dns.publishing.records import PublishedRecord, RecordSet, record_sets
from postroom.dns.texts.presentation import CannotPublish

#: A delegation takes away all that stands below the name, and TLSA and PTR stand with others.
_TYPES = frozenset({RecordType.CNAME, RecordType.MX, RecordType.TXT})


class Obstacle(StrEnum):
    """Why a set is not handed over."""

    #: The name is not the domain or below it.
    OUTSIDE = "Outside"
    #: No tool may, or can, publish such a record.
    TYPE = "Type"
    #: The name is the apex of its zone, which nobody asked to touch.
    APEX = "Apex"
    #: Records of others stand there, which would go, or forbid it.
    BESIDE = "Beside"
    #: A wildcard answers there or above, which it would not do any more.
    WILDCARD = "Wildcard"
    #: The spec itself wants what cannot stand together.
    CONTRADICTION = "Contradiction"


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands at a name, at the servers of the zone whose apex is `zone`.

    `targets` are written as in an endpoint, by type, as far as they were asked for; nothing of it
    is made by a wildcard that may be left out of account. `wild` is what a wildcard answers there
    or at a name above, as ``TYPE value at name``: once anything stands at the name, no more of it.
    """

    zone: str
    targets: Mapping[RecordType, frozenset[str]] = field(default_factory=dict)
    wild: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A set that is not handed over, and what stands in its way, as ``TYPE value``."""

    wanted: RecordSet
    obstacle: Obstacle
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Publication:
    """What is to be handed over now.

    `waiting` sets follow once control of the domain is proven; `unseen` ones once DNS can be asked.
    """

    endpoints: tuple[HandedSet, ...] = ()
    refused: tuple[Refusal, ...] = ()
    waiting: tuple[RecordSet, ...] = ()
    unseen: tuple[RecordSet, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for all sets of a domain.

    `proven` tells that control of the domain is; without it only its proof is handed over. `apex`
    tells that the apex of a zone may be touched. `there` are the names and types at which all that
    is wanted is published as it must be, in whatever words, and `faulty` those at which what stands
    has to be mended.
    """

    domain: str
    proven: bool
    apex: bool
    there: frozenset[tuple[str, RecordType]] = frozenset()
    faulty: frozenset[tuple[str, RecordType]] = frozenset()


_Key = tuple[str, str]


def in_question(
    wanted: Iterable[PublishedRecord], ours: Sequence[HandedSet], rules: Rules
) -> tuple[RecordSet, ...]:
    """Return the sets that would begin or change, for which must be known what stands there."""
    known = {(endpoint.name, endpoint.type): endpoint for endpoint in ours}
    return tuple(
        found
        for found in (_now(each, known, rules) for each in record_sets(wanted))
        if found is not None
        and found.type in _TYPES
        and is_within(found.name, rules.domain)
        and not _is_kept(found, known)
    )


def left_alone(
    standing: Mapping[str, Standing], names: Collection[str], ours: Sequence[HandedSet]
) -> Mapping[str, Standing]:
    """Have nothing begin or change at names, as if they could not be looked at.

    Where others publish and nothing is ours, nothing would; there what stands may be as it must be.
    """
    handed = {endpoint.name for endpoint in ours}
    return {
        name: place
        for name, place in standing.items()
        if name not in names or (place.targets and name not in handed)
    }


def decide(
    wanted: Sequence[PublishedRecord],
    ours: Sequence[HandedSet],
    standing: Mapping[str, Standing],
    rules: Rules,
) -> Publication:
    """Decide what to hand over; `ours` is what was handed over before.

    A name that is absent in `standing` could not be looked at: there all stays as it is.
    """
    known = {(endpoint.name, endpoint.type): endpoint for endpoint in ours}
    endpoints: dict[_Key, HandedSet] = {}
    refused: list[Refusal] = []
    waiting: list[RecordSet] = []
    unseen: list[RecordSet] = []
    contradicting = _contradicting(wanted)
    for whole in record_sets(wanted):
        now = _now(whole, known, rules)
        if now is not whole:
            waiting.append(whole)
        if now is None:
            _keep(endpoints, known, whole.name, whole.type)
            continue
        obstacle = _without_look(now, rules)
        if (now.name, now.type) in contradicting:
            obstacle = Obstacle.CONTRADICTION
        if obstacle is None and _is_kept(now, known):
            _keep(endpoints, known, now.name, now.type)
            continue
        place = standing.get(now.name)
        if obstacle is None and place is None:
            unseen.append(now)
            _keep(endpoints, known, now.name)
            continue
        others: tuple[str, ...] = ()
        if obstacle is None and place is not None:
            others = _others(now, place, known)
            if others and _is_there(now, place, known, rules):
                continue
            if place.zone == now.name and not rules.apex:
                obstacle = Obstacle.APEX
            elif others:
                obstacle = Obstacle.BESIDE
            elif place.wild:
                obstacle, others = Obstacle.WILDCARD, place.wild
        if obstacle is None:
            made = endpoint_of(now)
            endpoints[made.name, made.type] = made
        else:
            refused.append(Refusal(now, obstacle, others))
            if obstacle is not Obstacle.OUTSIDE:
                _keep(endpoints, known, now.name)
    return Publication(
        tuple(sorted(endpoints.values())), tuple(refused), tuple(waiting), tuple(unseen)
    )


def _now(whole: RecordSet, known: Mapping[_Key, HandedSet], rules: Rules) -> RecordSet | None:
    """What of a set may be handed over before control is proven: its proofs; None: nothing new."""
    if rules.proven:
        return whole
    proofs = tuple(record for record in whole.records if record.purpose is Purpose.OWNERSHIP)
    if len(proofs) == len(whole.records):
        return whole
    if not proofs or (whole.name, whole.type.value) in known:
        return None
    return RecordSet(whole.name, whole.type, whole.ttl, proofs)


def _without_look(found: RecordSet, rules: Rules) -> Obstacle | None:
    """What stands in the way of a set, whatever DNS has."""
    if not is_within(found.name, rules.domain):
        return Obstacle.OUTSIDE
    if found.type not in _TYPES or "" in found.values:
        return Obstacle.TYPE
    try:
        endpoint_of(found)
    except CannotPublish:
        return Obstacle.TYPE
    return None


def _is_kept(found: RecordSet, known: Mapping[_Key, HandedSet]) -> bool:
    """Whether a set was handed over like this before."""
    before = known.get((found.name, found.type.value))
    return before is not None and set(before.targets) == _targets(found)


def _targets(found: RecordSet) -> set[str]:
    return {as_target(found.type, value, found.name) for value in found.values}


def as_target(kind: RecordType, value: str, name: str) -> str:
    """Write a value that stands in DNS as a target; one that can be none, as it is."""
    try:
        return target(kind, value, name)
    except CannotPublish:
        return value


def _keep(
    endpoints: dict[_Key, HandedSet],
    known: Mapping[_Key, HandedSet],
    name: str,
    kind: RecordType | None = None,
) -> None:
    """Leave what was handed over at a name as it is."""
    for key, before in known.items():
        if key[0] == name and kind in (None, key[1]):
            endpoints.setdefault(key, before)


def _others(wanted: RecordSet, place: Standing, known: Mapping[_Key, HandedSet]) -> tuple[str, ...]:
    """What stands at a name that is not ours, and would go for a set, or forbids it."""
    alone = wanted.type is RecordType.CNAME
    found = []
    for kind, targets in place.targets.items():
        if alone or kind in (wanted.type, RecordType.CNAME):
            before = known.get((wanted.name, kind.value))
            strange = targets - set(before.targets if before is not None else ())
            found += [f"{kind.value} {text}" for text in strange]
    return tuple(sorted(found))


def _is_there(
    wanted: RecordSet, place: Standing, known: Mapping[_Key, HandedSet], rules: Rules
) -> bool:
    """Whether others publish all of a set already, so that nothing is to be done."""
    key = wanted.name, wanted.type
    if (wanted.name, wanted.type.value) in known or key in rules.faulty:
        return False
    return key in rules.there or _targets(wanted) <= place.targets.get(wanted.type, frozenset())


def _contradicting(wanted: Sequence[PublishedRecord]) -> set[tuple[str, RecordType]]:
    """The sets of which the spec wants what cannot stand together."""
    together: list[PublishedRecord] = []
    found: set[tuple[str, RecordType]] = set()
    for record in wanted:
        if beside.conflict([*together, record]) is None:
            together.append(record)
        else:
            found.add((record.name, record.type))
    return found
