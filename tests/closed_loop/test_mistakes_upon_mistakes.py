# SPDX-License-Identifier: Apache-2.0
"""Two mistakes at once: fix after fix, all becomes valid, and nothing that is valid stops being so.

The pairs are drawn from all cases, half of them upon one and the same record.
"""

from __future__ import annotations

from random import Random

import pytest

from closed_loop.loop import Case, Stage, healthy, panels
from closed_loop.test_closed_loop import NAMED
from dnsworld.clock import run
from dnsworld.fixes import UnusableFix, apply, settle
from dnsworld.quirks import HostRefusal
from postroom.api.findings import Finding, Fix, FixAction, Severity
from postroom.api.sendingdomain import RecordState
from postroom.dns.asking.resolver import DnsAsker
from postroom.dns.finding_codes import Code
from postroom.dns.verifying.report import DomainReport
from postroom.dns.verifying.verify import verify

_PAIRS, _ROUNDS = 60, 12
#: Mistakes that move the zone to other servers, where the panels of the case do not follow.
_MOVING = ("WRONG_DNS_HOST", "CNAME_PROXIED", "STALE_", "NS_", "LAME", "SUBDOMAIN_DELEGATED")


def _pairs() -> list[tuple[Case, Case]]:
    cases = [
        case
        for _, case in NAMED
        if not (case.advice or case.before or case.outsider or case.code.startswith(_MOVING))
    ]
    random = Random(20261130)  # noqa: S311
    found: list[tuple[Case, Case]] = []
    while len(found) < _PAIRS:
        one, other = random.sample(cases, 2)
        together = (one.domain, one.spec) == (other.domain, other.spec)
        again = one.record == other.record and one.record.startswith(
            ("spf", "dmarc", "dkim-s", "mx")
        )
        if together and (again or (len(found) % 2 and one.record != other.record)):
            found.append((one, other))
    return found


@pytest.mark.parametrize(
    ("one", "other"), _pairs(), ids=[f"{a.name} + {b.name}" for a, b in _pairs()]
)
def test_fix_after_fix_all_becomes_valid(one: Case, other: Case) -> None:
    stage = healthy(one.domain, **dict(one.spec))
    try:
        one.mistake(stage)
        if one.record == other.record:
            # Who sees that it does not work types it again, beside what stands there.
            right = stage.record(one.record)
            stage.zone.add(right.name, right.type.value, right.value)
        other.mistake(stage)
    except (AssertionError, HostRefusal, KeyError):
        return  # the one mistake leaves nothing for the other
    last = run(_mended(stage))
    ill = {record.id: record.state for record in last.records if not _is_valid(record.state)}
    assert not ill or not _next(last), ill


def _is_valid(state: RecordState) -> bool:
    return state is RecordState.VALID


def _next(report: DomainReport) -> Finding | None:
    """The worst finding that somebody can do something about in the zone."""
    waiting = (FixAction.WAIT, FixAction.EXTERNAL)
    return next(
        (
            finding
            for finding in report.findings
            if finding.severity is not Severity.INFO
            and finding.fix is not None
            and finding.fix.action not in waiting
        ),
        None,
    )


def _give_way(stage: Stage, fix: Fix) -> None:
    """Take away an alias at the name of a fix itself that says the same as the wildcard above."""
    wildcard = f"*.{fix.name.partition('.')[2]}"
    for value in stage.zone.values(fix.name, "CNAME"):
        if value in stage.zone.values(wildcard, "CNAME"):
            stage.zone.remove(fix.name, "CNAME", value)


async def _mended(stage: Stage) -> DomainReport:
    address = stage.world.resolver_address
    asker = DnsAsker([(address.address, address.port)], transport=stage.world.transport)
    valid: set[str] = set()
    for _ in range(_ROUNDS):
        await settle(stage.world, *panels(stage))
        report = await verify(stage.plan, asker)
        now = {record.id for record in report.records if _is_valid(record.state)}
        assert valid <= now, f"{valid - now} were valid before the fix"
        valid, finding = now, _next(report)
        if finding is None or finding.fix is None:
            break
        if finding.code == Code.WILDCARD_MASKS:
            # What DNS does not tell apart from the wildcard is changed, as the message says.
            _give_way(stage, finding.fix)
        try:
            await apply(finding.fix, stage.world, *panels(stage))
        except UnusableFix as error:
            pytest.fail(f"{finding.code}: {error}")
    await asker.close()
    return report
