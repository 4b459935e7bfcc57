# SPDX-License-Identifier: Apache-2.0
"""DKIM keys beyond the closed loop: leaks, rotation, what stands behind aliases, delegation.

Covers: a private key is told first and repeated nowhere; next and retired selectors gate nothing;
when a retired one is safe to remove; the reserved half of a numbered pair; detours of CNAMEs; a
delegated ``_domainkey``; any damage is mended by its fix.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.api.findings import FixAction, Severity
from postroom.api.names import Kind
from postroom.api.resource import parse_spec
from postroom.api.sendingdomain import RecordState, SendingDomainSpec
from postroom.dns import planning
from postroom.dns.verifying.report import DomainReport
from postroom.dns.verifying.verify import Scope, verify
from unit.dns.domains import DOMAIN, HEALTHY, K1, OTHER_RSA, RSA, S1, look, record
from unit.dns.fake_zone import FakeZone, Key

SECRET = base64.b64encode(
    Ed25519PrivateKey.from_private_bytes(bytes(range(32))).private_bytes(
        Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
    )
).decode()
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


@pytest.mark.parametrize(
    "texts",
    [
        [SECRET],
        [f"v=DKIM1; k=rsa; p={SECRET}"],
        [f"-----BEGIN PRIVATE KEY----- {SECRET} -----END PRIVATE KEY-----"],
        [f"v=DKIM1; p={RSA}", f"v=DKIM1; p={SECRET}"],
        [f"v=DKIM1; p={OTHER_RSA[:100]}", "v=DKIM1; p=", f"p={SECRET}"],
    ],
)
@pytest.mark.parametrize("key", [S1, (K1[0], "TXT")])
def test_a_private_key_comes_first_and_is_repeated_nowhere(key: Key, texts: list[str]) -> None:
    zone = FakeZone({**HEALTHY, K1: [] if key[0] == K1[0] else HEALTHY[K1], key: texts})
    report = look(zone)
    assert codes(report)[0] == "DKIM_PRIVATE_KEY_PUBLISHED"
    assert report.findings[0].severity is Severity.ERROR
    assert SECRET[:24] not in repr(report)
    assert report.findings[0].fix is not None
    zone.apply(report.findings[0].fix)
    assert {one.state for one in look(zone).records} == {RecordState.VALID}


def rotate(
    zone: FakeZone, age: timedelta | None, now: datetime | None = NOW, **changes: Any
) -> DomainReport:
    """Look at a domain whose selector s0 has been retired for so long."""
    document = {"domain": DOMAIN, "ownership": {"value": "provider-verify=abc"}, **ROTATION}
    spec = parse_spec(Kind.SENDING_DOMAIN, {**document, **changes})
    assert isinstance(spec, SendingDomainSpec), spec
    since = {} if age is None else {"dkim-s0": NOW - age}
    plan = planning.plan(spec, "mail", b"key", {})
    return asyncio.run(verify(plan, zone, Scope(retired_at=since, now=now)))


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
        ([SECRET], RecordState.WRONG, "DKIM_PRIVATE_KEY_PUBLISHED", Severity.ERROR),
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


DELEGATED = {"dkim": [], "dkimDelegation": ["ns1.provider.net", "ns2.provider.net"]}
DELEGATION: Key = (f"_domainkey.{DOMAIN}", "NS")


@pytest.mark.parametrize(
    ("servers", "state", "found"),
    [
        (["ns1.provider.net", "ns2.provider.net"], "Valid", []),
        (["ns2.provider.net"], "Valid", ["DKIM_DELEGATION_PARTIAL"]),
        ([], "Missing", ["DKIM_DELEGATION_MISSING"]),
        (["ns.other.net"], "Wrong", ["DKIM_DELEGATION_WRONG"]),
        (["ns.other.net", "ns1.provider.net"], "Wrong", ["DKIM_DELEGATION_WRONG"]),
    ],
)
def test_a_delegation(servers: list[str], state: str, found: list[str]) -> None:
    zone = FakeZone({**HEALTHY, S1: [], K1: [], DELEGATION: servers})
    report = look(zone, **DELEGATED)
    assert record(report, "dkim-delegation").state.value == state
    assert codes(report) == found
    for _ in servers, servers:
        for finding in look(zone, **DELEGATED).findings:
            assert finding.fix is not None
            zone.apply(finding.fix)
    assert look(zone, **DELEGATED).findings == ()


PIECES = st.sampled_from(
    (
        "v=DKIM1; ",
        "v=DKIM1 ",
        "v=dkim1; ",
        "k=rsa; ",
        "k=ed25519; ",
        "h=sha1; ",
        "s=other; ",
        "t=y; ",
        "p=",
        RSA,
        OTHER_RSA,
        RSA[:120],
        RSA.lower(),
        RSA.replace("+", " "),
        '"',
        "; ",
        "-----BEGIN PUBLIC KEY-----",
        SECRET,
    )
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(PIECES, max_size=6).map("".join), max_size=3, unique=True))
def test_a_fix_makes_any_key_record_valid_and_leaks_nothing(texts: list[str]) -> None:
    zone = FakeZone({**HEALTHY, S1: [text for text in texts if text]})
    report = look(zone)
    found = record(report, "dkim-s1")
    assert SECRET[:24] not in repr(report)
    if found.state is RecordState.VALID:
        return
    finding = next(one for one in report.findings if one.subject == "dkim-s1")
    assert finding.fix is not None
    zone.apply(finding.fix)
    assert record(look(zone), "dkim-s1").state is RecordState.VALID, finding


def test_another_key_is_told_from_the_required_one() -> None:
    """Which of the two is old is not known, so that both are said."""
    report = look(FakeZone({**HEALTHY, S1: [f"v=DKIM1; p={OTHER_RSA}"]}))
    found = next(finding for finding in report.findings if finding.code == "DKIM_KEY_OTHER")
    fingerprints = [
        hashlib.sha256(base64.b64decode(one)).hexdigest()[:16] for one in (OTHER_RSA, RSA)
    ]
    assert all(fingerprint in found.message for fingerprint in fingerprints)
    assert found.message.index(fingerprints[0]) < found.message.index(fingerprints[1])
    assert "may have been rotated" in found.message
    assert "spec is old" in found.message


def test_every_finding_of_a_record_has_its_question() -> None:
    report = look(FakeZone({**HEALTHY, S1: [f"v=DKIM1; p={OTHER_RSA}"]}))
    found = next(finding for finding in report.findings if finding.code == "DKIM_KEY_OTHER")
    assert found.ask == f"dig +norecurse TXT {S1[0]} @{min(report.nameservers)}"
