# SPDX-License-Identifier: Apache-2.0
"""Healthy domains raise no alarm: every provider of the presets, and records as they are in life.

Covers: each preset with its examples, at an apex and at a subdomain; policies with what people
commonly have in them; at most notes, and only those that are named.
"""

from __future__ import annotations

from typing import Any

import pytest

from dnsworld.clock import run
from postroom.api.findings import Severity
from postroom.api.names import Kind
from postroom.api.resource import parse_spec
from postroom.api.sendingdomain import RecordState, SendingDomainSpec
from postroom.dns import planning
from postroom.dns.presets.load import preset, providers
from postroom.dns.requirements import Behind, CNAMEWanted, DomainPlan
from postroom.dns.spf import Requirement
from postroom.dns.verifying.report import DomainReport
from postroom.dns.verifying.verify import verify
from unit.dns.domains import APEX_TXT, DMARC, DOMAIN, HEALTHY, OWNED, RSA, S1, look
from unit.dns.fake_zone import FakeZone, Key

KEY_TEXT = f"v=DKIM1; k=rsa; p={RSA}"


def published(plan: DomainPlan) -> dict[Key, list[str]]:
    """Everything that a plan asks for, and what providers have behind it."""
    made: dict[Key, list[str]] = {}
    for record in plan.records:
        if record.value:
            made.setdefault((record.name, record.type.value), []).append(record.value)
        match record.wanted:
            case CNAMEWanted(target=target, behind=Behind.KEY):
                made[target, "TXT"] = [KEY_TEXT]
            case CNAMEWanted(target=target):
                made[target, "A"] = ["192.0.2.9"]
            case Requirement(includes=includes):
                for name in includes:
                    made[name, "TXT"] = [f"v=spf1 include:_1.{name} ip4:198.51.100.0/24 ~all"]
                    made[f"_1.{name}", "TXT"] = ["v=spf1 ip4:203.0.113.0/24 ip6:2001:db8::/32 ~all"]
        if record.type.value == "MX":
            made[record.value.partition(" ")[2], "A"] = ["192.0.2.25"]
    return made


def planned(name: str, domain: str) -> DomainPlan:
    chosen = preset(name)
    given = {
        parameter.name: parameter.example for parameter in chosen.parameters if parameter.required
    }
    for group in chosen.one_of:
        needed = {group[0]}
        for record in chosen.records:
            needed |= set(record.depends_on) if group[0] in record.depends_on else set()
        given |= {
            parameter.name: parameter.example
            for parameter in chosen.parameters
            if parameter.name in needed
        }
    document: dict[str, Any] = {
        "domain": domain,
        "provider": name,
        "parameters": given,
        "dmarc": {"policy": "none", "rua": [f"mailto:dmarc@{domain}"]},
    }
    spec = parse_spec(Kind.SENDING_DOMAIN, document)
    assert isinstance(spec, SendingDomainSpec), spec
    return planning.plan(planning.complete(spec), "mail", b"key", {})


@pytest.mark.parametrize("domain", ["example.com", "news.example.com"])
@pytest.mark.parametrize("name", providers())
def test_every_provider_as_it_asks_for(name: str, domain: str) -> None:
    plan = planned(name, domain)
    report = run(verify(plan, FakeZone(published(plan))))
    assert {record.state for record in report.records} == {RecordState.VALID}
    assert report.findings == ()


def test_microsoft_365_before_its_first_rotation() -> None:
    plan = planned("Microsoft365", "example.com")
    records = published(plan)
    second = next(record for record in plan.records if record.id == "dkim-selector2")
    del records[second.value, "TXT"]
    assert notes(run(verify(plan, FakeZone(records)))) == ["DKIM_TARGET_RESERVED"]


def notes(report: DomainReport) -> list[str]:
    """The codes of what is told of a healthy domain: nothing but notes."""
    assert {record.state for record in report.records} == {RecordState.VALID}
    assert {finding.severity for finding in report.findings} <= {Severity.INFO}
    return [finding.code for finding in report.findings]


MORE: dict[Key, list[str]] = {
    ("_spf.google.com", "TXT"): ["v=spf1 ip4:198.51.100.0/24 ip6:2001:db8::/32 ~all"],
    ("sendgrid.net", "TXT"): ["v=spf1 ip4:203.0.113.0/24 ~all"],
}
OURS = "include:spf.provider.net ip4:192.0.2.7"


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        (
            {
                APEX_TXT: [
                    OWNED,
                    f"v=spf1 mx include:_spf.google.com {OURS} include:sendgrid.net -all",
                ]
            },
            [],
        ),
        ({APEX_TXT: [OWNED, f"v=spf1 a:www.example.com {OURS} ~all", "MS=ms123"]}, []),
        ({APEX_TXT: [OWNED, f"V=SPF1  {OURS}  -ALL "]}, []),
        ({DMARC: ["v=DMARC1;p=reject;rua=mailto:dmarc@example.com;fo=1;adkim=r;aspf=r;"]}, []),
        (
            {DMARC: ["v=DMARC1; p=quarantine; pct=100; rua=mailto:dmarc@example.com"]},
            ["DMARC_REMOVED_TAGS"],
        ),
        ({S1: [f"k=rsa; t=s; p={RSA}"]}, []),
        ({S1: [f"v=DKIM1; h=sha256; s=email; n=a note; p={RSA[:80]} {RSA[80:]};"]}, []),
        ({S1: [f"p={RSA}", "an unrelated text"]}, []),
    ],
)
def test_what_people_have_in_their_records(change: dict[Key, list[str]], codes: list[str]) -> None:
    more = {
        ("www.example.com", "A"): ["203.0.113.44"],
        ("www.example.com", "AAAA"): ["2001:db8::4"],
    }
    assert notes(look(FakeZone({**HEALTHY, **MORE, **more, **change}))) == codes


def test_a_policy_that_a_vendor_holds() -> None:
    alias = {
        (DMARC[0], "CNAME"): ["d.vendor.net"],
        DMARC: [],
        ("d.vendor.net", "TXT"): HEALTHY[DMARC],
    }
    assert notes(look(FakeZone({**HEALTHY, **alias}))) == ["DMARC_DELEGATED"]
    assert DOMAIN in DMARC[0]
