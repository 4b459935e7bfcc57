# SPDX-License-Identifier: Apache-2.0
"""The closed loop: a mistake is made, its cause is told, the fix is applied, the record is valid.

A mistake is what a user does at a DNS host with quirks, in a whole DNS that is otherwise healthy.
The engine under test is the real one, over the transport of that DNS.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from dnsworld.clock import run
from dnsworld.fixes import UnusableFix, apply, settle
from dnsworld.hosts import DNSHost
from dnsworld.keys import rsa_public_key
from dnsworld.providers import Provider, add_provider
from dnsworld.quirks import NICE, Quirks
from dnsworld.world import World
from dnsworld.zone import Zone
from postroom.api.findings import Finding, Fix
from postroom.api.names import Kind
from postroom.api.resource import parse_spec
from postroom.api.sendingdomain import RecordState, SendingDomainSpec
from postroom.dns import planning
from postroom.dns.asking.resolver import DnsAsker
from postroom.dns.findings import catalogue
from postroom.dns.names import host_label
from postroom.dns.requirements import DomainPlan, PlannedRecord
from postroom.dns.verifying.report import DomainReport
from postroom.dns.verifying.verify import verify

APEX = "example.com"
SUBDOMAIN = f"mail.{APEX}"
#: The key that the domain itself signs with, and one that it does not.
OWN_KEY, OTHER_KEY = rsa_public_key(4711), rsa_public_key(4712)
TRACKING = "click.mailprovider.net"
#: A subject that is no record: findings about the domain as a whole.
DOMAIN = "domain"


@dataclass
class Stage:
    """A healthy domain in its world, ready for a mistake.

    `zone` is the user's zone, `hosts` the panels over all of his zones; `world`, `provider` and
    `plan` are free to be changed by a mistake too.
    """

    world: World
    provider: Provider
    zone: Zone
    plan: DomainPlan
    hosts: list[DNSHost] = field(default_factory=list)

    def record(self, id: str) -> PlannedRecord:
        """The expected record with this id."""
        return next(record for record in self.plan.records if record.id == id)

    def label(self, id: str) -> str:
        """What a careful user types as its name."""
        return host_label(self.record(id).name, APEX)

    def value(self, id: str) -> str:
        """What a careful user types as its value."""
        return self.record(id).value

    def unpublish(self, id: str) -> None:
        """Take a record away, for its mistake to be made."""
        one = self.record(id)
        value = one.value if one.type.value in ("TXT", "MX") else None
        assert self.zone.remove(one.name, one.type.value, value)

    def panel(self, quirks: Quirks = NICE, zone: Zone | None = None) -> DNSHost:
        """Open the control panel of one of the user's zones."""
        host = DNSHost(self.world, zone or self.zone, quirks)
        self.hosts.append(host)
        return host

    def retype(
        self,
        id: str,
        *,
        name: str | None = None,
        kind: str | None = None,
        value: str | None = None,
        quirks: Quirks = NICE,
    ) -> None:
        """Take a record away and type it anew, some of it wrongly, or into a panel with quirks."""
        self.unpublish(id)
        self.panel(quirks).add(
            self.label(id) if name is None else name,
            kind or self.record(id).type.value,
            self.value(id) if value is None else value,
        )


Mistake = Callable[[Stage], None]
#: Plays whoever a fix is up to that the user cannot carry out himself.
Outsider = Callable[[Stage, Fix], None]


@dataclass(frozen=True)
class Case:
    """A mistake, and what must come of it.

    `record` is the id of the record that it hits, or `DOMAIN`; `state` what it must be judged,
    None for a domain; `code` that of the first finding about it, `also` further codes that must be
    told with it. `spec` changes the spec of the healthy domain, `before` its world. `advice`: the
    record is valid before and after, and the finding needs no fix.
    """

    name: str
    record: str
    state: str | None
    code: str
    mistake: Mistake
    also: tuple[str, ...] = ()
    domain: str = APEX
    spec: tuple[tuple[str, Any], ...] = ()
    before: Mistake | None = None
    outsider: Outsider | None = None
    advice: bool = False

    def __hash__(self) -> int:
        return hash((self.name, self.record, self.code))


@dataclass(frozen=True)
class Outcome:
    """What came of a case: before the fix, of applying it, and after it.

    `healthy` lists what was not valid before the mistake, `harmed` the records that the fix broke.
    `shows`: whether what the finding offers to ask is not the record itself, and has an answer;
    None where it offers nothing. `unkept` are the codes whose remedy names a fix that is not there.
    """

    healthy: tuple[str, ...]
    state: str | None
    code: str | None
    because: tuple[str, ...]
    message: str
    unusable: str
    after: str | None
    harmed: tuple[str, ...]
    shows: bool | None = None
    unkept: tuple[str, ...] = ()

    def is_mended(self) -> bool:
        """Whether applying the fix made the record valid, and broke nothing else."""
        return not self.unusable and self.after == RecordState.VALID.value and not self.harmed


def spec_of(domain: str, provider: Provider, **changes: Any) -> SendingDomainSpec:
    """The spec of the healthy domain."""
    document: dict[str, Any] = {
        "domain": domain,
        "ownership": {},
        "dkim": [
            {"selector": "k1", "cname": provider.dkim["k1"]},
            {"selector": "s1", "publicKey": OWN_KEY},
        ],
        "spf": {"includes": [provider.spf]},
        "dmarc": {"policy": "quarantine", "rua": [f"mailto:dmarc@{domain}"]},
        "mx": [
            {"host": host, "preference": 10 * number}
            for number, host in enumerate(provider.exchanges, 1)
        ],
        "returnPath": {"name": "bounce", "cname": provider.return_path},
        "tracking": {"name": "click", "cname": TRACKING},
    }
    document.update(changes)
    kept = {key: value for key, value in document.items() if value is not None}
    spec = parse_spec(Kind.SENDING_DOMAIN, kept)
    assert isinstance(spec, SendingDomainSpec), spec
    return spec


def healthy(domain: str = APEX, **changes: Any) -> Stage:
    """Build a world with a zone in which everything is published as it must be."""
    world = World()
    provider = add_provider(world)
    world.publish(TRACKING, "A", "192.0.2.80")
    zone = world.register(APEX)
    zone.add(APEX, "A", "192.0.2.99")
    zone.add(f"www.{APEX}", "A", "192.0.2.99")
    plan = planning.plan(spec_of(domain, provider, **changes), "mail", b"key", {})
    for record in plan.records:
        if record.value:
            zone.add(record.name, record.type.value, record.value)
    return Stage(world, provider, zone, plan)


def stage_of(case: Case) -> Stage:
    """Build the world of a case as it is before the mistake."""
    stage = healthy(case.domain, **dict(case.spec))
    if case.before is not None:
        case.before(stage)
    return stage


@cache
def outcome(case: Case) -> Outcome:
    """Play a case on a clock of its own."""
    return run(_play(case, _ill_before(case)))


#: What is not valid before the mistake, by all that tells stages apart: hundreds share one.
_ILL: dict[tuple[str, str, Mistake | None], tuple[str, ...]] = {}


def _ill_before(case: Case) -> tuple[str, ...]:
    stage = case.domain, repr(case.spec), case.before
    if stage not in _ILL:
        _ILL[stage] = run(_look_before(case))
    return _ILL[stage]


async def _look_before(case: Case) -> tuple[str, ...]:
    stage = stage_of(case)
    asker = asker_in(stage)
    report = await verify(stage.plan, asker)
    await asker.close()
    return tuple(record.id for record in report.records if record.state is not RecordState.VALID)


def asker_in(stage: Stage) -> DnsAsker:
    address = stage.world.resolver_address
    return DnsAsker([(address.address, address.port)], transport=stage.world.transport)


async def _play(case: Case, ill: tuple[str, ...]) -> Outcome:
    stage = stage_of(case)
    asker = asker_in(stage)
    # Caches and servers have the healthy state no more.
    await settle(stage.world, DNSHost(stage.world, stage.zone))
    case.mistake(stage)
    before = await verify(stage.plan, asker)
    found = [finding for finding in before.findings if finding.subject == case.record]
    root = found[0] if found else None
    shows = _shows(stage, case, root)
    unusable = "" if case.advice else await apply_to(stage, case, root)
    await settle(stage.world, *panels(stage))
    after = await verify(stage.plan, asker)
    await asker.close()
    return Outcome(
        healthy=ill,
        state=_state(before, case.record),
        code=root.code if root else None,
        because=(*(root.because if root else ()), *(one.code for one in found[1:])),
        message=root.message if root else "",
        unusable=unusable,
        after=_state(after, case.record) or _whole(after),
        harmed=_harmed(before, after),
        shows=shows,
        unkept=tuple(
            found.code
            for found in before.findings
            if found.fix is None and "the fix" in catalogue()[found.code].remedy
        ),
    )


def _shows(stage: Stage, case: Case, root: Finding | None) -> bool | None:
    """Whether something stands where the finding offers to ask, and not at the record's name."""
    words = [one for one in shlex.split(root.ask if root else "") if one[0] not in "+@"]
    if len(words) != 3 or case.record == DOMAIN:
        return None
    _, kind, name = words
    record = stage.record(case.record)
    stands = any(zone.values(name, kind) for zone in stage.world.zones.values())
    return stands and (name, kind) != (record.name, record.type.value)


async def apply_to(stage: Stage, case: Case, root: Finding | None) -> str:
    """Apply the fix; return why that cannot be done, or ""."""
    if root is None or root.fix is None:
        return "There is no fix."
    outsider = case.outsider
    try:
        await apply(
            root.fix,
            stage.world,
            *panels(stage),
            outsider=(lambda fix: outsider(stage, fix)) if outsider else None,
        )
    except UnusableFix as error:
        return str(error)
    return ""


def panels(stage: Stage) -> list[DNSHost]:
    """Plain panels over all of the user's zones: who applies a fix knows the quirks of his host."""
    zones = {id(host.zone): host.zone for host in stage.hosts}
    zones[id(stage.zone)] = stage.zone
    return [DNSHost(stage.world, zone) for zone in zones.values()]


def _state(report: DomainReport, id: str) -> str | None:
    return next((record.state.value for record in report.records if record.id == id), None)


def _whole(report: DomainReport) -> str:
    """The state of a domain: Valid where every record is."""
    states = {record.state for record in report.records}
    return RecordState.VALID.value if states <= {RecordState.VALID} else "NotValid"


def _harmed(before: DomainReport, after: DomainReport) -> tuple[str, ...]:
    valid = {record.id for record in before.records if record.state is RecordState.VALID}
    return tuple(
        record.id
        for record in after.records
        if record.id in valid and record.state is not RecordState.VALID
    )
