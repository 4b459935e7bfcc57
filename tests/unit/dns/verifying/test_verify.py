# SPDX-License-Identifier: Apache-2.0
"""A domain against a map-shaped DNS: verdicts, causes, and fixes that work.

Covers: the healthy domain; each seeded mistake with the state, reason and code it must give, and
the closed loop (apply the fix, look again, Valid); both views; what could not be looked at; hostile
values; advice that does not gate.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.api.findings import FixAction
from postroom.api.names import Kind
from postroom.api.resource import InvalidSpec, parse_spec
from postroom.api.sendingdomain import RecordState, SendingDomainSpec
from postroom.dns import planning
from postroom.dns.answers import Answer, Outcome, Question
from unit.dns.domains import (
    APEX_TXT,
    DMARC,
    DOMAIN,
    ED25519,
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


def test_a_healthy_domain_is_valid_throughout() -> None:
    report = look(FakeZone(HEALTHY))
    assert {one.state for one in report.records} == {RecordState.VALID}
    assert (report.findings, report.zone, report.resolver_only) == ((), "example.com", False)


#: (what is changed in the zone, id of the record, state, reason, code)
MISTAKES: list[tuple[str, dict[Key, list[str]], str, str, str, str]] = [
    (
        "no ownership",
        {APEX_TXT: [SPF]},
        "ownership",
        "Missing",
        "RecordNotFound",
        "OWNERSHIP_MISSING",
    ),
    (
        "other token",
        {APEX_TXT: [SPF, "provider-verify=of-somebody-else"]},
        "ownership",
        "Wrong",
        "RecordMismatch",
        "OWNERSHIP_MISMATCH",
    ),
    (
        "quoted token",
        {APEX_TXT: [SPF, f'"{OWNED}"']},
        "ownership",
        "Wrong",
        "RecordMismatch",
        "VALUE_QUOTED",
    ),
    ("no spf", {APEX_TXT: [OWNED]}, "spf", "Missing", "RecordNotFound", "SPF_MISSING"),
    (
        "two spf",
        {APEX_TXT: [OWNED, SPF, "v=spf1 mx -all"]},
        "spf",
        "Conflicting",
        "MultipleRecords",
        "SPF_MULTIPLE",
    ),
    (
        "spf of another",
        {APEX_TXT: [OWNED, "v=spf1 include:other.net -all"], ("other.net", "TXT"): ["v=spf1 -all"]},
        "spf",
        "Wrong",
        "RequiredMechanismMissing",
        "SPF_MISSING_INCLUDE",
    ),
    (
        "include after all",
        {APEX_TXT: [OWNED, "v=spf1 ip4:192.0.2.7 -all include:spf.provider.net"]},
        "spf",
        "Wrong",
        "RequiredMechanismMissing",
        "SPF_INCLUDE_AFTER_ALL",
    ),
    (
        "ipv4",
        {APEX_TXT: [OWNED, "v=spf1 include:spf.provider.net ipv4:192.0.2.7 ~all"]},
        "spf",
        "Wrong",
        "InvalidRecord",
        "SPF_SYNTAX",
    ),
    (
        "equals",
        {APEX_TXT: [OWNED, "v=spf1 include=spf.provider.net ip4:192.0.2.7 ~all"]},
        "spf",
        "Wrong",
        "InvalidRecord",
        "SPF_SYNTAX",
    ),
    (
        "commas",
        {APEX_TXT: [OWNED, "v=spf1 include:spf.provider.net, ip4:192.0.2.7 ~all"]},
        "spf",
        "Wrong",
        "InvalidRecord",
        "SPF_SYNTAX",
    ),
    (
        "plus all",
        {APEX_TXT: [OWNED, "v=spf1 +all"]},
        "spf",
        "Wrong",
        "PolicyTooPermissive",
        "SPF_PLUS_ALL",
    ),
    ("no key", {S1: []}, "dkim-s1", "Missing", "SelectorNotFound", "DKIM_MISSING"),
    ("other key", {S1: [f"p={OTHER_RSA}"]}, "dkim-s1", "Wrong", "KeyMismatch", "DKIM_KEY_OTHER"),
    ("revoked", {S1: ["v=DKIM1; p="]}, "dkim-s1", "Wrong", "KeyRevoked", "DKIM_REVOKED"),
    (
        "cut off, without k=",
        {S1: [f"v=DKIM1; p={RSA[:100]}"]},
        "dkim-s1",
        "Wrong",
        "InvalidRecord",
        "VALUE_TRUNCATED",
    ),
    (
        "two keys",
        {S1: [f"p={RSA}", f"p={OTHER_RSA}"]},
        "dkim-s1",
        "Conflicting",
        "MultipleRecords",
        "VALUE_DUPLICATE_RECORD",
    ),
    (
        "two wrong keys",
        {S1: [f"t=s; p={OTHER_RSA}", f"p={OTHER_RSA}"]},
        "dkim-s1",
        "Conflicting",
        "MultipleRecords",
        "DKIM_MULTIPLE",
    ),
    (
        "cut off",
        {S1: [f"v=DKIM1; k=rsa; p={RSA}"[:255]]},
        "dkim-s1",
        "Wrong",
        "InvalidRecord",
        "VALUE_TRUNCATED",
    ),
    (
        "split",
        {S1: [f"v=DKIM1; k=rsa; p={RSA}"[:255], f"v=DKIM1; k=rsa; p={RSA}"[255:]]},
        "dkim-s1",
        "Wrong",
        "InvalidRecord",
        "VALUE_SPLIT_RECORDS",
    ),
    (
        "lost semicolons",
        {S1: [f"v=DKIM1 k=rsa p={RSA}"]},
        "dkim-s1",
        "Wrong",
        "InvalidRecord",
        "DKIM_SEMICOLON_LOST",
    ),
    (
        "zone doubled",
        {S1: [], (f"s1._domainkey.{DOMAIN}.example.com", "TXT"): [f"p={RSA}"]},
        "dkim-s1",
        "Missing",
        "SelectorNotFound",
        "NAME_ZONE_DOUBLED",
    ),
    ("no cname", {K1: []}, "dkim-k1", "Missing", "SelectorNotFound", "DKIM_MISSING"),
    (
        "cname elsewhere",
        {K1: ["k1.other.net"], ("k1.other.net", "TXT"): ["other"]},
        "dkim-k1",
        "Wrong",
        "CNAMETargetMismatch",
        "CNAME_TARGET_WRONG",
    ),
    (
        "txt for cname",
        {K1: [], (K1[0], "TXT"): [f"p={RSA}"]},
        "dkim-k1",
        "Conflicting",
        "CNAMETargetMismatch",
        "TYPE_TXT_FOR_CNAME",
    ),
    ("no dmarc", {DMARC: []}, "dmarc", "Missing", "RecordNotFound", "DMARC_MISSING"),
    (
        "two dmarc",
        {DMARC: ["v=DMARC1; p=none", "v=DMARC1; p=reject"]},
        "dmarc",
        "Conflicting",
        "MultipleRecords",
        "DMARC_MULTIPLE",
    ),
    (
        "weak policy",
        {DMARC: ["v=DMARC1; p=none; rua=mailto:dmarc@example.com"]},
        "dmarc",
        "Wrong",
        "PolicyTooWeak",
        "DMARC_POLICY_WEAK",
    ),
    (
        "test mode",
        {DMARC: ["v=DMARC1; p=quarantine; t=y; rua=mailto:dmarc@example.com"]},
        "dmarc",
        "Wrong",
        "PolicyTooWeak",
        "DMARC_POLICY_WEAK",
    ),
    (
        "lower case",
        {DMARC: ["v=dmarc1; p=reject"]},
        "dmarc",
        "Wrong",
        "InvalidRecord",
        "DMARC_VERSION",
    ),
    (
        "no reports",
        {DMARC: ["v=DMARC1; p=reject"]},
        "dmarc",
        "Wrong",
        "InvalidRecord",
        "DMARC_RUA_MISSING",
    ),
    (
        "no mx",
        {(DOMAIN, "MX"): []},
        "mx-mx.provider.net",
        "Missing",
        "RecordNotFound",
        "MX_MISSING",
    ),
    (
        "null mx",
        {(DOMAIN, "MX"): ["0 ."]},
        "mx-mx.provider.net",
        "Conflicting",
        "NullMX",
        "MX_NULL",
    ),
    (
        "other mx",
        {(DOMAIN, "MX"): ["10 mx.other.net"]},
        "mx-mx.provider.net",
        "Wrong",
        "ExchangeMismatch",
        "MX_MISMATCH",
    ),
]


@pytest.mark.parametrize(
    ("change", "id", "state", "reason", "code"),
    [case[1:] for case in MISTAKES],
    ids=[case[0] for case in MISTAKES],
)
def test_each_mistake_is_named_and_its_fix_works(
    change: dict[Key, list[str]], id: str, state: str, reason: str, code: str
) -> None:
    zone = FakeZone({**HEALTHY, **change})
    report = look(zone)
    found = record(report, id)
    assert (found.state.value, found.reason.value) == (state, reason)
    finding = next(one for one in report.findings if one.subject == id)
    assert finding.code == code
    assert finding.fix is not None
    zone.apply(finding.fix)
    assert record(look(zone), id).state is RecordState.VALID
    others = [one for one in report.records if one.id != id]
    assert {other.state for other in others} == {RecordState.VALID}


def test_what_the_resolver_does_not_show_yet_is_propagating() -> None:
    zone = FakeZone(HEALTHY)
    zone.cached[S1] = []
    report = look(zone)
    assert record(report, "dkim-s1").state is RecordState.PROPAGATING
    assert report.findings[0].fix is not None
    zone.apply(report.findings[0].fix)
    assert record(look(zone), "dkim-s1").state is RecordState.VALID


def test_what_only_the_resolver_shows_is_gone() -> None:
    zone = FakeZone({**HEALTHY, S1: []})
    zone.cached[S1] = HEALTHY[S1]
    assert record(look(zone), "dkim-s1").state is RecordState.MISSING


@pytest.mark.parametrize(
    "outcome", [Outcome.TIMEOUT, Outcome.SERVER_FAILURE, Outcome.REFUSED, Outcome.MALFORMED]
)
def test_could_not_look_is_unknown_and_touches_nothing_else(outcome: Outcome) -> None:
    zone = FakeZone(HEALTHY)
    zone.failing[S1[0]] = outcome
    report = look(zone)
    assert record(report, "dkim-s1").state is RecordState.UNKNOWN
    assert [finding.code for finding in report.findings] == ["LOOKUP_FAILED"]
    assert record(report, "spf").state is RecordState.VALID


def test_a_blocked_port_53_is_said() -> None:
    zone = FakeZone(HEALTHY)
    zone.blocked = True
    report = look(zone)
    assert report.resolver_only
    assert [finding.code for finding in report.findings] == ["RESOLVER_ONLY"]
    assert {one.state for one in report.records} == {RecordState.VALID}


def test_too_many_lookups_hand_out_no_record() -> None:
    includes = " ".join(f"include:i{n}.net" for n in range(10))
    zone = FakeZone(
        {
            **HEALTHY,
            APEX_TXT: [OWNED, f"v=spf1 {includes} -all"],
            **{(f"i{n}.net", "TXT"): ["v=spf1 -all"] for n in range(10)},
        }
    )
    finding = next(one for one in look(zone).findings if one.subject == "spf")
    assert finding.fix is not None
    assert (finding.code, finding.fix.action) == ("SPF_TOO_MANY", FixAction.EXTERNAL)
    assert "bounce.send.example.com" in finding.message


def test_foreign_report_destinations_must_agree() -> None:
    zone = FakeZone({**HEALTHY, DMARC: ["v=DMARC1; p=reject; rua=mailto:d@reports.net"]})
    change = {"dmarc": {"policy": "reject", "rua": ["mailto:d@reports.net"]}}
    report = look(zone, **change)
    assert report.findings[0].code == "DMARC_EXTERNAL_RUA_UNAUTHORISED"
    assert report.findings[0].fix is not None
    zone.apply(report.findings[0].fix)
    assert record(look(zone, **change), "dmarc").state is RecordState.VALID


def test_a_foreign_exchange_that_takes_all_mail_is_no_advice() -> None:
    there = {("old.net", "A"): ["192.0.2.8"]}
    zone = FakeZone({**HEALTHY, **there, (DOMAIN, "MX"): ["10 mx.provider.net", "5 old.net"]})
    report = look(zone)
    assert record(report, "mx-mx.provider.net").state is RecordState.WRONG
    assert [finding.code for finding in report.findings] == ["MX_TAKES_MAIL"]


def test_ed25519_keys_are_compared_raw() -> None:
    change = {"dkim": [{"selector": "e1", "publicKey": ED25519}]}
    name = f"e1._domainkey.{DOMAIN}"
    zone = FakeZone({**HEALTHY, (name, "TXT"): [f"k=ed25519; p={ED25519}"]})
    assert record(look(zone, **change), "dkim-e1").state is RecordState.VALID


def test_the_derived_token_survives_re_creation_and_differs_by_namespace() -> None:
    spec = parse_spec(Kind.SENDING_DOMAIN, {"domain": DOMAIN})
    assert isinstance(spec, SendingDomainSpec)
    one, again, other = (
        planning.plan(spec, namespace, b"key", {}).records[0] for namespace in ("a", "a", "b")
    )
    assert one == again
    assert one.value != other.value
    assert one.name == f"_postroom-challenge.{DOMAIN}"


@pytest.mark.parametrize("key", ["A" * 60, "-----BEGIN PRIVATE KEY-----" + "A" * 60, "é" * 50])
def test_a_key_that_cannot_be_read_names_its_field(key: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        look(FakeZone(HEALTHY), dkim=[{"selector": "s1", "publicKey": key}])
    assert "spec.dkim[0].publicKey" in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(alphabet=st.characters(max_codepoint=255), max_size=80), max_size=3))
def test_no_text_in_the_zone_breaks_anything(texts: list[str]) -> None:
    zone = FakeZone({**HEALTHY, APEX_TXT: texts, S1: texts, DMARC: texts})
    report = look(zone)
    for one in report.records:
        assert all(" " <= char <= "~" or char == "…" for text in one.observed for char in text)


class Stale(FakeZone):
    """No server of the zone can be asked, and the resolver serves what it still has (RFC 8914)."""

    def __init__(self, records: dict[Key, list[str]], *errors: int) -> None:
        super().__init__(records)
        self.blocked, self.errors = True, errors

    async def authoritative(self, question: Question) -> Answer:
        return replace(await super().authoritative(question), errors=self.errors)


@pytest.mark.parametrize("errors", [(3,), (19,), (22, 3)])
@pytest.mark.parametrize("records", [HEALTHY, {}, {**HEALTHY, APEX_TXT: ["v=spf1 mx -all"]}])
def test_a_stale_answer_is_none(records: dict[Key, list[str]], errors: tuple[int, ...]) -> None:
    """Neither good nor bad: it is from before the time for which it may be believed."""
    report = look(Stale(records, *errors))
    assert {one.state for one in report.records} == {RecordState.UNKNOWN}


def test_an_answer_of_the_resolver_that_is_not_stale_counts() -> None:
    for errors in ((), (22,)):
        report = look(Stale(HEALTHY, *errors))
        assert {one.state for one in report.records} == {RecordState.VALID}
