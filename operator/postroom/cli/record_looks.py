# SPDX-License-Identifier: Apache-2.0
"""Looking at DNS before printing records, so that what is there is merged in and not lost."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from postroom.api.conditions import ConditionType, find
from postroom.api.names import Kind
from postroom.api.sendingdomain import SendingDomainStatus
from postroom.cli.check import AT_ONCE, world_of
from postroom.cli.directory import DirectoryWorld
from postroom.cli.manifests import Manifests
from postroom.cli.record_output import Zones, outermost
from postroom.dns import dkim
from postroom.dns.answers import Asker, Question, RecordType
from postroom.dns.finding_codes import Code
from postroom.dns.publishing import records as publishing
from postroom.dns.publishing.beside import kept
from postroom.dns.texts.presentation import CannotPublish
from postroom.settings import Settings


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at DNS yielded: records with their state, the zones that hold them, and what
    publishing them ends that stands nowhere as a record."""

    records: tuple[publishing.PublishedRecord, ...]
    zones: Zones
    endings: tuple[str, ...] = ()


async def look(world: DirectoryWorld, servers: Mapping[str, Sequence[str]], ttl: int) -> Looked:
    """Look at every sending domain of a world; raises `CannotPublish`.

    `servers` are the name servers of names that are handed to others.
    """
    await world.check(AT_ONCE)
    records: list[publishing.PublishedRecord] = []
    zones: list[str] = []
    guesses: list[str] = []
    endings: dict[str, None] = {}
    for key, status in world.statuses():
        assert isinstance(status, SendingDomainStatus)  # noqa: S101
        if not status.records:
            ready = find(status.conditions, ConditionType.READY)
            message = ready.message if ready is not None else "it was not looked at."
            raise CannotPublish(f"SendingDomain {key.name} has no records: {message}")
        endings |= dict.fromkeys(
            f"{told.message} {told.fix.instruction if told.fix else ''}".rstrip()
            for told in status.findings
            if told.code == Code.FIX_ENDS_WILDCARD
        )
        records += publishing.from_status(status.records, status.findings, ttl)
        if status.zone is not None:
            zones.append(status.zone)
        else:
            guesses.append(str(world.raw(key)["spec"]["domain"]))
    return Looked(
        publishing.delegated(records, servers),
        Zones(tuple(dict.fromkeys(zones)), outermost(guesses)),
        tuple(endings),
    )


def world_for(found: Manifests, settings: Settings) -> DirectoryWorld:
    """Build a world of the sending domains alone, none of them suspended."""
    domains = {}
    for key, manifest in found.resources.items():
        if key.kind is Kind.SENDING_DOMAIN:
            spec = {**(manifest.raw.get("spec") or {}), "suspend": False}
            domains[key] = replace(manifest, raw={**manifest.raw, "spec": spec})
    return world_of(replace(found, resources=domains), settings)


async def with_others(
    records: Sequence[publishing.PublishedRecord], dns: Asker
) -> tuple[publishing.PublishedRecord, ...]:
    """Add what stands beside the records for others, for formats that replace whole sets.

    Raises `CannotPublish` where that cannot be seen: it would be lost.
    """
    sets = publishing.record_sets(records)
    others = await asyncio.gather(*(_others(record_set, dns) for record_set in sets))
    return (*records, *(record for found in others for record in found))


async def _others(
    wanted: publishing.RecordSet, dns: Asker
) -> tuple[publishing.PublishedRecord, ...]:
    if wanted.type not in (RecordType.TXT, RecordType.MX):
        return ()
    answer = await dns.authoritative(Question(wanted.name, wanted.type))
    if not answer.conclusive:
        raise CannotPublish(
            f"DNS could not be asked what else is in {wanted.type.value} at {wanted.name}, which "
            "this format replaces as a whole: try again."
        )
    # Behind an alias the values are those of its target.
    others = () if answer.aliases else kept(wanted, answer.values)
    if any(dkim.spans(other.value) != () for other in others):
        raise CannotPublish(
            f"a private key stands in {wanted.type.value} at {wanted.name}, which this format "
            "replaces as a whole, and which must not be repeated: take it out of DNS first."
        )
    return others
