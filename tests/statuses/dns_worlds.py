# SPDX-License-Identifier: Apache-2.0
"""Sending domains, and an account of each, over whole DNS worlds: closed-loop cases and seeds."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import Any, cast

from closed_loop.loop import healthy, spec_of
from closed_loop.test_closed_loop import NAMED
from closed_loop.worlds import scene
from dnsworld.clock import run
from dnsworld.fixes import settle
from dnsworld.hosts import DNSHost
from dnsworld.world import World
from postroom.api.names import Key, Kind
from postroom.api.sendingdomain import SendingDomainSpec
from postroom.dns.answers import Asker
from postroom.dns.asking.resolver import DnsAsker
from postroom.dns.tls.mta_sts_host import FetchedPolicy, PolicyFetcher, PolicyFetchOutcome
from unit.reconcile.mail_worlds import ACCOUNT, NAMESPACE, SERVER, MailWorld

DOMAIN = Key(Kind.SENDING_DOMAIN, NAMESPACE, "domain")
LATECOMER = Key(Kind.SENDING_DOMAIN, NAMESPACE, "latecomer")
_SEEDS = 120
_SOON, _CONFIRMED = timedelta(minutes=5), timedelta(minutes=15)

Statuses = list[dict[str, Any]]


class _NoPolicies:
    """No MTA-STS host can be reached."""

    async def fetch(self, domain: str) -> FetchedPolicy:
        return FetchedPolicy(PolicyFetchOutcome.UNREACHABLE)


class DomainWorld(MailWorld):
    """A domain, its server and an account on it, whose DNS is a whole one."""

    def __init__(self, world: World, spec: SendingDomainSpec) -> None:
        super().__init__()
        address = world.resolver_address
        self._asker = DnsAsker([(address.address, address.port)], transport=world.transport)
        self._spec = spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
        self.seen: Statuses = []
        self.add_secret("login", username="me", password="right")
        login = {"name": "login"}
        self.add(DOMAIN, **self._spec)
        self.add(SERVER, host="smtp.example.com", credentialsRef=login)
        self.add(
            ACCOUNT,
            address=f"support@{spec.domain}",
            serverRef={"name": SERVER.name},
            credentialsRef=login,
        )

    @property
    def dns(self) -> Asker:
        return self._asker

    @property
    def policies(self) -> PolicyFetcher:
        return cast("PolicyFetcher", _NoPolicies())

    def come_late(self) -> None:
        """Declare the domain once more, by an object that has no past."""
        self.add(LATECOMER, **self._spec)

    async def look_at_all(self, wait: timedelta) -> None:
        """Reconcile every object once and keep its status."""
        for number, key in enumerate(sorted(self.objects)):
            await self.look(key, timedelta() if number else wait)
            self.seen.append({"object": str(key), "status": self.objects[key]["status"]})

    async def close(self) -> None:
        await self._asker.close()


def names(*, thorough: bool) -> list[str]:
    """Every world by its name; without `thorough` one case of each cause at each record."""
    seen = set[tuple[str, str]]()
    chosen = []
    for name, case in NAMED:
        if thorough or (case.code, case.record) not in seen:
            chosen.append(f"closed loop: {name}")
        seen.add((case.code, case.record))
    return chosen + [f"seed: {seed}" for seed in range(_SEEDS if thorough else _SEEDS // 4)]


def statuses_of(name: str) -> Statuses:
    """The statuses of a world, in the order in which they are written."""
    random.seed(0)
    family, _, rest = name.partition(": ")
    return run(_seed(int(rest)) if family == "seed" else _case(dict(NAMED)[rest]))


async def _case(case: Any) -> Statuses:
    """Healthy; after the mistake: suspicious, then confirmed; and a latecomer."""
    stage = healthy(case.domain, **dict(case.spec))
    if case.before is not None:
        case.before(stage)
    spec = spec_of(case.domain, stage.provider, **dict(case.spec))
    world = DomainWorld(stage.world, spec)
    await world.look_at_all(_SOON)
    await settle(stage.world, DNSHost(stage.world, stage.zone))
    case.mistake(stage)
    await world.look_at_all(_SOON)
    world.come_late()
    await world.look_at_all(_CONFIRMED)
    await world.close()
    return world.seen


async def _seed(seed: int) -> Statuses:
    made = scene(seed)
    world = DomainWorld(made.world, made.spec)
    for wait in (_SOON, _CONFIRMED):
        await world.look_at_all(wait)
        await asyncio.sleep(400)
    await world.close()
    return world.seen
