# SPDX-License-Identifier: Apache-2.0
"""A zone that none of its servers answers for: silent or refusing, the verdict is the same, and it
is told who still sees the records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from closed_loop.loop import asker_in, healthy
from dnsworld.clock import run
from dnsworld.server import Lame, NameServer
from postroom.dns.verifying.report import DomainReport
from postroom.dns.verifying.verify import verify

APEX = "example.com"


def _silent(server: NameServer) -> None:
    server.dead = True


def _refusing(server: NameServer) -> None:
    server.make_lame(APEX, Lame.REFUSED)


def _failing(server: NameServer) -> None:
    server.make_lame(APEX, Lame.SERVFAIL)


async def _look(end: Callable[[NameServer], None], *, kept: bool) -> DomainReport:
    stage = healthy()
    asker = asker_in(stage)
    await verify(stage.plan, asker)
    for server in stage.world.servers_of(APEX):
        end(server)
    if not kept:
        stage.world.resolver.flush()
    report = await verify(stage.plan, asker)
    await asker.close()
    return report


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("end", [_silent, _refusing, _failing])
def test_the_verdict_is_that_of_the_resolver(end: Callable[[NameServer], None], kept: bool) -> None:
    report = run(_look(end, kept=kept))
    states = {record.state.value for record in report.records}
    assert states == ({"Valid"} if kept else {"Unknown"})
    told = report.findings[0]
    assert told.code == ("NS_UNREACHABLE" if end is _silent else "LAME")
    assert ("until their caches expire" in told.message) is kept
    assert ("Nobody sees" in told.message) is not kept


@pytest.mark.parametrize("zone", [None, "elsewhere.net"])
def test_a_delegation_to_nobody_is_told_where_nothing_else_is_asked_for(zone: str | None) -> None:
    """The servers have no address, or another zone: what is asked for is answered by nobody."""
    server = "ns1.otherhost.net"

    async def look() -> DomainReport:
        stage = healthy()
        keys = tuple(record for record in stage.plan.records if record.id.startswith("dkim-"))
        stage.zone.add(f"_domainkey.{APEX}", "NS", server)
        if zone is not None:
            stage.world.register(zone, [server])
        asker = asker_in(stage)
        report = await verify(replace(stage.plan, records=keys), asker)
        await asker.close()
        return report

    report = run(look())
    assert {record.state.value for record in report.records} == {"Unknown"}
    assert {found.code for found in report.findings} == {"SUBDOMAIN_DELEGATED"}
    for found in report.findings:
        assert found.fix is not None
        assert [(gone.type, gone.value) for gone in found.fix.remove] == [("NS", server)]
