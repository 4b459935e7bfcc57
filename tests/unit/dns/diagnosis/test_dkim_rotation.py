# SPDX-License-Identifier: Apache-2.0
"""When a retired DKIM key may go, and that next and retired selectors keep nothing from working."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dnsworld.clock import run
from postroom.api.findings import FixAction, Severity
from postroom.api.names import Kind
from postroom.api.resource import parse_spec
from postroom.api.sendingdomain import RecordState, SendingDomainSpec
from postroom.dns import planning
from postroom.dns.verifying.report import DomainReport
from postroom.dns.verifying.verify import Scope, verify
from unit.dns.dkim_keys import ed25519_private_base64
from unit.dns.domains import DOMAIN, HEALTHY, OTHER_RSA, RSA, S1, record
from unit.dns.fake_zone import FakeZone, Key

NOW = datetime(2026, 11, 21, tzinfo=UTC)
S0: Key = (f"s0._domainkey.{DOMAIN}", "TXT")
ROTATION: dict[str, Any] = {
    "dkim": [
        {"selector": "s1", "publicKey": RSA},
        {"selector": "s0", "publicKey": OTHER_RSA, "role": "Retired"},
    ]
}
ROTATING = {**HEALTHY, S0: [f"v=DKIM1; p={OTHER_RSA}"]}


def codes(report: DomainReport) -> list[str]:
    return [finding.code for finding in report.findings]


def rotate(
    zone: FakeZone, age: timedelta | None, now: datetime | None = NOW, **changes: Any
) -> DomainReport:
    """Look at a domain whose selector s0 has been retired for so long."""
    document = {"domain": DOMAIN, "ownership": {"value": "provider-verify=abc"}, **ROTATION}
    spec = parse_spec(Kind.SENDING_DOMAIN, {**document, **changes})
    assert isinstance(spec, SendingDomainSpec), spec
    since = {} if age is None else {"dkim-s0": NOW - age}
    plan = planning.plan(spec, "mail", b"key", {})
    return run(verify(plan, zone, Scope(retired_at=since, now=now)))


def test_a_retired_key_is_safe_to_remove_after_a_week() -> None:
    zone = FakeZone(ROTATING)
    report = rotate(zone, timedelta(days=8))
    (found,) = report.findings
    assert (found.code, found.severity) == ("DKIM_SAFE_TO_REMOVE", Severity.INFO)
    assert found.fix is not None
    assert (found.fix.action, found.fix.host_label) == (FixAction.DELETE, "s0._domainkey.send")
    zone.apply(found.fix)
    assert codes(rotate(zone, timedelta(days=8))) == ["DKIM_RETIRED_GONE"]


@pytest.mark.parametrize(
    ("age", "now"), [(timedelta(days=6), NOW), (None, NOW), (timedelta(days=30), None)]
)
def test_without_a_week_that_is_known_nothing_is_safe(
    age: timedelta | None, now: datetime | None
) -> None:
    report = rotate(FakeZone(ROTATING), age, now)
    assert report.findings == ()
    assert record(report, "dkim-s0").state is RecordState.VALID


def test_a_retired_key_stays_while_the_active_one_is_missing() -> None:
    report = rotate(FakeZone({**ROTATING, S1: []}), timedelta(days=30))
    assert codes(report) == ["DKIM_MISSING"]


@pytest.mark.parametrize("texts", [[], ["v=DKIM1; p="], [f"p={RSA}"], ["something"]])
def test_a_retired_key_is_never_demanded(texts: list[str]) -> None:
    report = rotate(FakeZone({**ROTATING, S0: texts}), timedelta(hours=1))
    found = record(report, "dkim-s0")
    assert (found.state, found.required) == (RecordState.VALID, False)
    assert all(finding.severity is Severity.INFO for finding in report.findings)


@pytest.mark.parametrize(
    ("texts", "state", "code", "severity"),
    [
        ([], RecordState.MISSING, "DKIM_NEXT_MISSING", Severity.INFO),
        ([f"v=DKIM1; p={RSA}"], RecordState.WRONG, "DKIM_KEY_OTHER", Severity.WARNING),
        (["v=DKIM1; p="], RecordState.WRONG, "DKIM_REVOKED", Severity.WARNING),
        (
            [ed25519_private_base64()],
            RecordState.WRONG,
            "DKIM_PRIVATE_KEY_PUBLISHED",
            Severity.ERROR,
        ),
    ],
)
def test_a_next_key_keeps_nothing_from_working(
    texts: list[str], state: RecordState, code: str, severity: Severity
) -> None:
    dkim = [ROTATION["dkim"][0], {"selector": "s0", "publicKey": OTHER_RSA, "role": "Next"}]
    zone = FakeZone({**ROTATING, S0: texts})
    report = rotate(zone, None, dkim=dkim)
    found = record(report, "dkim-s0")
    assert (found.state, found.required) == (state, False)
    (finding,) = report.findings
    assert (finding.code, finding.severity) == (code, severity)
    assert finding.fix is not None
    zone.apply(finding.fix)
    assert rotate(zone, None, dkim=dkim).findings == ()


def test_whose_key_it_is_that_stands_there() -> None:
    zone = FakeZone({**ROTATING, S1: [f"p={OTHER_RSA}"]})
    (found,) = rotate(zone, timedelta(days=30)).findings
    assert f"that of {S0[0]}, which is retired" in found.message
