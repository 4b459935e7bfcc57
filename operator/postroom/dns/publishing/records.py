# SPDX-License-Identifier: Apache-2.0
"""The records that a user is to publish, as values, and how they fall into sets and zones."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from postroom.api.findings import Finding, FixAction
from postroom.api.sendingdomain import Purpose, RecordState, RecordStatus
from postroom.dns.answers import RecordType
from postroom.dns.names import is_within
from postroom.dns.requirements import DelegationWanted, DomainPlan
from postroom.dns.texts.presentation import CannotPublish

#: Seconds that resolvers keep a record, where nothing else is asked for: a mistake is gone within
#: the hour.
DEFAULT_TTL = 3600

#: The types that mail needs; every format knows how to write them, or says that it cannot.
PUBLISHABLE = frozenset(
    {
        RecordType.A,
        RecordType.AAAA,
        RecordType.CNAME,
        RecordType.MX,
        RecordType.NS,
        RecordType.PTR,
        RecordType.TLSA,
        RecordType.TXT,
    }
)

_THERE = frozenset({RecordState.VALID, RecordState.PROPAGATING})


@dataclass(frozen=True, slots=True)
class PublishedRecord:
    """One record to publish.

    `name` is absolute, in A-label form, without trailing dot; `value` as in
    `postroom.dns.answers.Answer`, empty where only the owner of a server or address knows it; `ttl`
    in seconds. `purpose` is None for a record that is there for others and only has to be kept.
    `comment` is one line for people. `state` is what DNS has of it, None where that was not looked
    at. `fails_elsewhere`: it is published as it must be, and what is wrong no record of ours mends.
    """

    name: str
    type: RecordType
    value: str
    ttl: int = DEFAULT_TTL
    purpose: Purpose | None = None
    comment: str = ""
    required: bool = False
    state: RecordState | None = None
    fails_elsewhere: bool = False

    @property
    def is_there(self) -> bool:
        """Whether DNS is known to have the record as it must be."""
        return self.state in _THERE or self.fails_elsewhere


@dataclass(frozen=True, slots=True)
class RecordSet:
    """All records of one name and type, which share a TTL (RFC 2181 section 5.2)."""

    name: str
    type: RecordType
    ttl: int
    records: tuple[PublishedRecord, ...]

    @property
    def values(self) -> tuple[str, ...]:
        """One value per record."""
        return tuple(record.value for record in self.records)


@dataclass(frozen=True, slots=True)
class ZoneRecords:
    """The records that belong into one zone; `zone` is its apex."""

    zone: str
    records: tuple[PublishedRecord, ...]


_TEXT = RecordType.TXT


def from_plan(plan: DomainPlan, ttl: int = DEFAULT_TTL) -> tuple[PublishedRecord, ...]:
    """Take the records of a plan as they are published where nothing is there yet.

    A record whose value nobody but its server's owner can know has an empty one.
    """
    made = _publishable(
        PublishedRecord(
            record.name, record.type, record.value, ttl, record.purpose, required=record.required
        )
        for record in plan.records
    )
    return delegated(made, delegations(plan))


def delegations(plan: DomainPlan) -> dict[str, tuple[str, ...]]:
    """The names that a plan hands to other name servers, with these."""
    return {
        record.name: record.wanted.nameservers
        for record in plan.records
        if isinstance(record.wanted, DelegationWanted)
    }


def delegated(
    records: Iterable[PublishedRecord], servers: Mapping[str, Sequence[str]]
) -> tuple[PublishedRecord, ...]:
    """Make one NS record per name server of what plans and statuses list as one record."""
    made: list[PublishedRecord] = []
    for record in records:
        if record.type is RecordType.NS and record.name in servers:
            made += [replace(record, value=server) for server in servers[record.name]]
        else:
            made.append(record)
    return distinct(made)


def from_status(
    records: Iterable[RecordStatus],
    findings: Sequence[Finding] = (),
    ttl: int = DEFAULT_TTL,
) -> tuple[PublishedRecord, ...]:
    """Take the records that a status lists, with what DNS has merged in.

    `findings` say what is wrong, worst first. Raises `CannotPublish` for a type nobody knows.
    """
    worst = {finding.subject: finding for finding in reversed(findings)}
    return _publishable(_from_status(record, worst.get(record.id), ttl) for record in records)


def _from_status(status: RecordStatus, finding: Finding | None, ttl: int) -> PublishedRecord:
    try:
        kind = RecordType(status.type)
    except ValueError:
        raise CannotPublish(
            f"The status lists a record of type {status.type}, which is newer than this postroom."
        ) from None
    value, observed = status.value, status.observed
    if kind is RecordType.MX:
        # Any preference will do.
        value, observed = _host(value), [_host(there) for there in observed]
    # A record may be published as it must be, and what is wrong be up to others: a CNAME whose
    # target holds no key, an exchange without an address. To publish it once more changes nothing.
    fix = finding.fix if finding is not None and status.state is RecordState.WRONG else None
    up_to_others = fix is not None and fix.action is FixAction.EXTERNAL
    return PublishedRecord(
        name=status.name,
        type=kind,
        value=status.value,
        ttl=ttl,
        purpose=status.purpose,
        comment=finding.message if finding is not None else "",
        required=status.required,
        state=status.state,
        fails_elsewhere=up_to_others and value in observed,
    )


def _host(exchange: str) -> str:
    return exchange.rpartition(" ")[2]


def _publishable(made: Iterable[PublishedRecord]) -> tuple[PublishedRecord, ...]:
    """Leave out types that are not for publishing, and keys that must not be published any more."""
    return distinct(
        record
        for record in made
        if record.type in PUBLISHABLE and (record.value or record.type is not _TEXT)
    )


def distinct(records: Iterable[PublishedRecord]) -> tuple[PublishedRecord, ...]:
    """Keep the first of equal records; it is required where any of them is."""
    kept: dict[tuple[str, RecordType, str], PublishedRecord] = {}
    for record in records:
        identity = record.name, record.type, record.value
        first = kept.setdefault(identity, record)
        if record.required and not first.required:
            kept[identity] = replace(first, required=True)
    return tuple(kept.values())


def record_sets(records: Iterable[PublishedRecord]) -> tuple[RecordSet, ...]:
    """Put the records of one name and type together, in the order in which they first appear."""
    sets: dict[tuple[str, RecordType], list[PublishedRecord]] = {}
    for record in distinct(records):
        sets.setdefault((record.name, record.type), []).append(record)
    return tuple(
        RecordSet(name, kind, min(member.ttl for member in members), tuple(members))
        for (name, kind), members in sets.items()
    )


def into_zones(
    records: Iterable[PublishedRecord], zones: Iterable[str]
) -> tuple[tuple[ZoneRecords, ...], tuple[PublishedRecord, ...]]:
    """Put every record into the deepest zone that holds its name.

    Returns the zones that got records, in the order of `zones`, and the records that are in none.
    """
    placed: dict[str, list[PublishedRecord]] = {zone: [] for zone in zones}
    elsewhere = []
    for record in distinct(records):
        holders = [zone for zone in placed if is_within(record.name, zone)]
        if holders:
            placed[max(holders, key=len)].append(record)
        else:
            elsewhere.append(record)
    filled = tuple(ZoneRecords(zone, tuple(held)) for zone, held in placed.items() if held)
    return filled, tuple(elsewhere)
