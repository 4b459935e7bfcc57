# SPDX-License-Identifier: Apache-2.0
"""CNAMEs to DKIM keys: numbered pairs, what stands behind them, and detours."""

from __future__ import annotations

import pytest

from postroom.api.findings import FixAction, Severity
from postroom.api.sendingdomain import RecordState
from postroom.dns.verifying.report import DomainReport
from unit.dns.domains import DOMAIN, HEALTHY, K1, RSA, look, record
from unit.dns.fake_zone import FakeZone


def codes(report: DomainReport) -> list[str]:
    return [finding.code for finding in report.findings]


PAIR = {
    "dkim": [
        {"selector": f"selector{n}", "cname": f"selector{n}-example.tenant.provider.net"}
        for n in (1, 2)
    ]
}


def pair(second: list[str], first: str = f"v=DKIM1; p={RSA}") -> FakeZone:
    targets = [one["cname"] for one in PAIR["dkim"]]
    return FakeZone(
        {
            **HEALTHY,
            **{
                (f"{one['selector']}._domainkey.{DOMAIN}", "CNAME"): [one["cname"]]
                for one in PAIR["dkim"]
            },
            (targets[0], "TXT"): [first],
            (targets[1], "TXT"): second,
        }
    )


def test_the_other_one_of_a_pair_may_wait_for_its_key() -> None:
    report = look(pair([]), **PAIR)
    assert {one.state for one in report.records} == {RecordState.VALID}
    assert [(finding.code, finding.severity) for finding in report.findings] == [
        ("DKIM_TARGET_RESERVED", Severity.INFO)
    ]


@pytest.mark.parametrize("second", [[], ["v=DKIM1; p="]])
def test_a_pair_without_any_usable_key_does_not_work(second: list[str]) -> None:
    report = look(pair(second, "v=DKIM1; p="), **PAIR)
    assert codes(report)[0] == "DKIM_REVOKED"
    assert all(
        finding.fix is not None and finding.fix.action is FixAction.EXTERNAL
        for finding in report.findings
    )


@pytest.mark.parametrize(
    ("text", "code"),
    [(f"t=y; p={RSA}", "DKIM_TESTING"), (f"p={RSA}", None)],
)
def test_what_is_said_of_a_key_behind_an_alias(text: str, code: str | None) -> None:
    report = look(FakeZone({**HEALTHY, ("k1.provider.net", "TXT"): [text]}))
    assert record(report, "dkim-k1").state is RecordState.VALID
    assert codes(report) == ([code] if code else [])


def test_another_name_for_the_same_key_works() -> None:
    other = {
        K1: ["old.provider.net"],
        ("old.provider.net", "TXT"): HEALTHY["k1.provider.net", "TXT"],
    }
    report = look(FakeZone({**HEALTHY, **other}))
    assert record(report, "dkim-k1").state is RecordState.VALID
    assert codes(report) == ["CNAME_FLATTENED"]
