# SPDX-License-Identifier: Apache-2.0
"""Subtler mistakes in the zone, what only looks like one, and what could not be seen.

Covers: mangled values, dead includes, doubled zones, aliases in place of keys and keys in place of
aliases, several exchanges; advice; causes that concern the whole domain; absurd sizes.
"""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from postroom.api.findings import FixAction, Severity
from postroom.api.resource import InvalidSpec
from postroom.api.sendingdomain import RecordState
from postroom.dns.answers import Outcome, Zone
from postroom.dns.verifying.report import DomainReport
from unit.dns.domains import (
    APEX_TXT,
    DMARC,
    DOMAIN,
    HEALTHY,
    K1,
    OTHER_RSA,
    OWNED,
    RSA,
    S1,
    SPF,
    look,
    record,
)
from unit.dns.fake_zone import FakeZone, Key

WEAK_DER = (
    RSAPublicNumbers(65537, (1 << 511) | 1)
    .public_key()
    .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
)
WEAK = base64.b64encode(WEAK_DER).decode()
K1_TXT = (K1[0], "TXT")
MX = (DOMAIN, "MX")
GOOD_DMARC = "v=DMARC1; p=reject; rua=mailto:dmarc@example.com"
INCLUDES = "include:spf.provider.net ip4:192.0.2.7"
DOUBLED = f"{DOMAIN}.example.com"


def spf(text: str) -> dict[Key, list[str]]:
    return {APEX_TXT: [OWNED, text]}


MISTAKES: list[tuple[dict[Key, list[str]], str, str]] = [
    (spf(f'"{SPF}"'), "spf", "VALUE_QUOTED"),
    (spf(f" {SPF}"), "spf", "VALUE_WHITESPACE"),
    (spf(f"spf1 {INCLUDES} ~all"), "spf", "SPF_SYNTAX"),
    (spf(f"v=spf1; {INCLUDES} ~all"), "spf", "SPF_SYNTAX"),
    (spf(f"v=spf1 a/xx {INCLUDES} ~all"), "spf", "SPF_SYNTAX"),
    (spf(f"v=spf1 include:gone.net {INCLUDES} ~all"), "spf", "SPF_DEAD_INCLUDE"),
    (spf(f"v=spf1 include:a..net {INCLUDES} ~all"), "spf", "SPF_DEAD_INCLUDE"),
    (
        spf(f"v=spf1 include:g1.net include:g2.net include:g3.net {INCLUDES} ~all"),
        "spf",
        "SPF_DEAD_INCLUDE",
    ),
    (spf("v=spf1 -all include:spf.provider.net"), "spf", "SPF_INCLUDE_AFTER_ALL"),
    (spf("v=spf1 all"), "spf", "SPF_PLUS_ALL"),
    ({APEX_TXT: [OWNED, "v=spf1 redirect=spf.provider.net", SPF]}, "spf", "SPF_MULTIPLE"),
    ({APEX_TXT: [OWNED], (DOUBLED, "TXT"): [SPF]}, "spf", "NAME_ZONE_DOUBLED"),
    ({APEX_TXT: [SPF], (DOUBLED, "TXT"): [OWNED]}, "ownership", "NAME_ZONE_DOUBLED"),
    ({MX: [], (DOUBLED, "MX"): ["10 mx.provider.net"]}, "mx-mx.provider.net", "NAME_ZONE_DOUBLED"),
    (
        {K1: [], (f"{K1[0]}.example.com", "CNAME"): ["k1.provider.net"]},
        "dkim-k1",
        "NAME_ZONE_DOUBLED",
    ),
    ({S1: [f"v=DKIM1; p={WEAK}"]}, "dkim-s1", "DKIM_WEAK"),
    ({S1: ["v=DKIM1; k=rsa"]}, "dkim-s1", "DKIM_P_MISSING"),
    ({S1: [f"k=rsa; p={RSA[:200]}", RSA[200:]]}, "dkim-s1", "VALUE_SPLIT_RECORDS"),
    ({S1: [f"k=rsa; p={RSA[:200]}"]}, "dkim-s1", "VALUE_TRUNCATED"),
    ({S1: [], (S1[0], "CNAME"): ["k1.provider.net"]}, "dkim-s1", "CNAME_TARGET_WRONG"),
    ({K1: [], K1_TXT: ["v=DKIM1; p="]}, "dkim-k1", "TYPE_TXT_FOR_CNAME"),
    # What is mended is applied from then on, to mail that nobody has looked at under it.
    ({DMARC: [f'"{GOOD_DMARC}"']}, "dmarc", "VALUE_QUOTED DMARC_POLICY_JUMP"),
    ({DMARC: ["v=DMARC1; p=block"]}, "dmarc", "DMARC_P_INVALID"),
    ({DMARC: [f"{GOOD_DMARC}; sp=block"]}, "dmarc", "DMARC_POLICY_WEAK"),
    ({MX: ["20 mx.provider.net"]}, "mx-mx.provider.net", "MX_PREFERENCE"),
]


@pytest.mark.parametrize(("change", "id", "codes"), MISTAKES)
def test_each_mistake_is_named_and_its_fix_works(
    change: dict[Key, list[str]], id: str, codes: str
) -> None:
    zone = FakeZone({**HEALTHY, **change})
    report = look(zone)
    assert [finding.code for finding in report.findings] == codes.split()
    fix = report.findings[0].fix
    assert fix is not None
    zone.apply(fix)
    assert look(zone).findings == ()
    assert {one.state for one in look(zone).records} == {RecordState.VALID}
    assert record(report, id).state is not RecordState.VALID


def test_several_exchanges_replace_a_null_mx_together() -> None:
    change = {"mx": [{"host": "mx.provider.net"}, {"host": "mx2.provider.net", "preference": 20}]}
    zone = FakeZone({**HEALTHY, MX: ["0 ."], ("mx2.provider.net", "AAAA"): ["2001:db8::1"]})
    for finding in look(zone, **change).findings:
        assert finding.code == "MX_NULL"
        assert finding.fix is not None
        zone.apply(finding.fix)
    assert {one.state for one in look(zone, **change).records} == {RecordState.VALID}


def only_advice(report: DomainReport) -> list[str]:
    assert {one.state for one in report.records} == {RecordState.VALID}
    assert all(finding.severity is not Severity.ERROR for finding in report.findings)
    return [finding.code for finding in report.findings]


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({K1: [], K1_TXT: [f"v=DKIM1; p={OTHER_RSA}"]}, ["CNAME_FLATTENED"]),
        ({K1: ["our.example.net"], ("our.example.net", "CNAME"): ["k1.provider.net"]}, []),
        ({S1: [f"v=DKIM1; t=y; p={RSA}"]}, ["DKIM_TESTING"]),
        ({S1: [], (S1[0], "CNAME"): ["k.net"], ("k.net", "TXT"): [f"p={RSA}"]}, []),
        (spf("v=spf1 redirect=spf.example.net") | {("spf.example.net", "TXT"): [SPF]}, []),
        (spf("v=spf1 include:n.net -all") | {("n.net", "TXT"): [SPF]}, []),
        ({APEX_TXT: [SPF, OWNED, "provider-verify=other"]}, []),
        ({DMARC: [GOOD_DMARC, "some other text"]}, []),
    ],
)
def test_what_works_is_valid(change: dict[Key, list[str]], codes: list[str]) -> None:
    assert only_advice(look(FakeZone({**HEALTHY, **change}))) == codes


def test_a_wildcard_does_not_pass_for_a_doubled_zone() -> None:
    zone = FakeZone({**HEALTHY, S1: [], (f"{S1[0]}.example.com", "TXT"): ["wildcard"]})
    assert [finding.code for finding in look(zone).findings] == ["DKIM_MISSING"]


def test_a_target_without_a_key_is_waited_for() -> None:
    zone = FakeZone({**HEALTHY, ("k1.provider.net", "TXT"): []})
    (found,) = look(zone).findings
    assert (found.code, found.fix and found.fix.action) == (
        "DKIM_TARGET_WITHOUT_KEY",
        FixAction.EXTERNAL,
    )


def test_an_exchange_without_address_has_no_fix_in_the_zone() -> None:
    zone = FakeZone({**HEALTHY, ("mx.provider.net", "A"): []})
    (found,) = look(zone).findings
    assert found.fix is not None
    assert (found.code, found.fix.action) == ("MX_UNRESOLVABLE", FixAction.EXTERNAL)


@pytest.mark.parametrize(
    ("name", "code"),
    [("spf.provider.net", "SPF_TEMPERROR_IN_CHAIN"), ("mx.provider.net", "LOOKUP_FAILED")],
)
def test_what_a_record_leads_to_must_be_seen(name: str, code: str) -> None:
    zone = FakeZone(HEALTHY)
    zone.failing[name] = Outcome.SERVER_FAILURE
    report = look(zone)
    assert [one.state.value for one in report.records].count("Unknown") == 1
    assert [finding.code for finding in report.findings] == [code]


def test_an_unseen_include_keeps_the_record_that_is_there() -> None:
    text = "v=spf1 include:other.net ip4:192.0.2.7 ~all"
    zone = FakeZone({**HEALTHY, **spf(text)})
    zone.failing["other.net"] = Outcome.TIMEOUT
    found = record(look(zone), "spf")
    assert (found.state, found.value) == (RecordState.UNKNOWN, text)


def test_several_records_with_an_unseen_include_get_no_replacement_yet() -> None:
    zone = FakeZone({**HEALTHY, APEX_TXT: [OWNED, "v=spf1 include:other.net -all", SPF]})
    zone.failing["other.net"] = Outcome.TIMEOUT
    (found,) = look(zone).findings
    assert found.fix is not None
    assert (found.code, found.fix.action) == ("SPF_MULTIPLE", FixAction.EXTERNAL)


def test_a_dead_required_include_is_no_fault_of_the_zone() -> None:
    zone = FakeZone({**HEALTHY, ("spf.provider.net", "TXT"): []})
    (found,) = look(zone).findings
    assert found.fix is not None
    assert (found.code, found.fix.action) == ("SPF_DEAD_INCLUDE", FixAction.EXTERNAL)


def test_a_resolver_that_fails_leaves_it_open() -> None:
    zone = FakeZone(HEALTHY)
    zone.failing_resolver[S1[0]] = Outcome.SERVER_FAILURE
    assert record(look(zone), "dkim-s1").state is RecordState.UNKNOWN


def test_an_unseen_agreement_leaves_the_policy_open() -> None:
    zone = FakeZone({**HEALTHY, DMARC: ["v=DMARC1; p=reject; rua=mailto:d@reports.net"]})
    zone.failing[f"{DOMAIN}._report._dmarc.reports.net"] = Outcome.TIMEOUT
    report = look(zone, dmarc={"policy": "reject", "rua": ["mailto:d@reports.net"]})
    assert record(report, "dmarc").state is RecordState.UNKNOWN


def test_a_zone_that_cannot_be_found_is_said_once() -> None:
    zone = FakeZone(HEALTHY)
    zone.zone = Outcome.TIMEOUT
    zone.failing = {name: Outcome.TIMEOUT for name, _ in HEALTHY}
    report = look(zone)
    assert {one.state for one in report.records} == {RecordState.UNKNOWN}
    assert [(finding.code, finding.subject) for finding in report.findings] == [
        ("LOOKUP_FAILED", "domain")
    ]
    assert report.zone is None


@pytest.mark.parametrize("held", [Zone("com", ("a.gtld-servers.net",)), Outcome.NX_DOMAIN])
def test_a_domain_that_does_not_exist_is_said_once(held: Zone | Outcome) -> None:
    zone = FakeZone({})
    zone.zone = held
    report = look(zone)
    assert {one.state for one in report.records} == {RecordState.MISSING}
    assert [finding.code for finding in report.findings] == ["DOMAIN_NXDOMAIN"]
    assert report.zone is None


def test_the_record_that_works_is_the_one_to_publish() -> None:
    report = look(FakeZone(HEALTHY))
    assert record(report, "spf").value == HEALTHY[APEX_TXT][1]
    assert record(report, "dmarc").value == HEALTHY[DMARC][0]


def test_the_worst_comes_first() -> None:
    change = {S1: [f"v=DKIM1; t=y; p={RSA}"], DMARC: []}
    report = look(FakeZone({**HEALTHY, **change}))
    assert [finding.code for finding in report.findings] == ["DMARC_MISSING", "DKIM_TESTING"]


LONG = ".".join(["a" * 60] * 4)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"domain": f"{LONG}.com"}, "spec.domain"),
        ({"domain": LONG}, "spec.dkim[0]"),
        ({"spf": {"includes": [f"{c}.{LONG}" for c in "abcdefghij"], "ip6": []}}, None),
        ({"spf": {"ip4": ["192.0.2.300"]}}, "spec.spf.ip4[0]"),
        ({"spf": {"ip6": ["192.0.2.1"]}}, "spec.spf.ip6[0]"),
        ({"dkim": [{"selector": "s", "publicKeyRef": {"name": "a", "key": "b"}}]}, "publicKeyRef"),
    ],
)
def test_what_dns_cannot_hold_names_its_place(change: dict[str, Any], place: str | None) -> None:
    if place is None:
        assert len(record(look(FakeZone(HEALTHY), **change), "spf").value) <= 4096
        return
    with pytest.raises(InvalidSpec) as caught:
        look(FakeZone(HEALTHY), **change)
    assert place in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {DMARC: [f"v=DMARC1; p=none; x={'a' * 8000}"]},
        spf("v=spf1 " + " ".join(f"ip4:10.0.{n // 250}.{n % 250}" for n in range(900))),
        spf("v=spf1 " + "include:" * 1500),
        {S1: ["p=" + "A" * 12000]},
        {APEX_TXT: [f"v=spf1 include:{n}.net" for n in range(100)]},
    ],
)
def test_absurd_sizes_stay_within_what_status_holds(change: dict[Key, list[str]]) -> None:
    report = look(FakeZone({**HEALTHY, **change}))
    assert len(report.findings) <= len(report.records)
    for one in report.records:
        assert len(one.value) <= 4096
        assert len(one.observed) <= 10
        assert all(len(text) <= 300 for text in one.observed)
