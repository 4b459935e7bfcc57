# SPDX-License-Identifier: Apache-2.0
"""What a fix takes away, and the value that keeps what the user's own text says besides."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postroom.api.findings import FixAction, RecordToRemove
from postroom.api.sendingdomain import RecordState
from postroom.dns.answers import Outcome, RecordType
from postroom.dns.diagnosis.diagnose import diagnosed
from postroom.dns.diagnosis.fix_contents import (
    consequences,
    records_to_remove,
    unmergeable,
    valid_with,
    value_from,
    with_removed,
    with_what_counts,
)
from postroom.dns.diagnosis.synthesis import invented_name
from postroom.dns.finding_codes import Code
from postroom.dns.judging.fixes import create, removal
from postroom.dns.judging.judgement import Cause
from unit.dns.diagnosis_looks import TOKEN, case_of
from unit.dns.domains import DOMAIN, HEALTHY, look
from unit.dns.fake_zone import FakeZone
from unit.dns.judging_looks import Key

DMARC: Key = ("_dmarc.example.com", "TXT")
APEX: Key = ("example.com", "TXT")
SIBLING = invented_name("example.com")
OTHER = RecordToRemove(name="a.example.com", type="A", value="192.0.2.1")


@pytest.mark.parametrize(
    ("records", "gone"),
    [
        ({DMARC: ["v=DMARC1; p=none"]}, [OTHER, ("TXT", "v=DMARC1; p=none")]),
        # What a wildcard answers stands nowhere, and what a CNAME leads to not here.
        ({DMARC: ["v=DMARC1; p=none"], (SIBLING, "TXT"): ["v=DMARC1; p=none"]}, [OTHER]),
        (
            {(DMARC[0], "CNAME"): ["d.net"], ("d.net", "TXT"): ["v=DMARC1; p=none"]},
            [OTHER, ("CNAME", "d.net")],
        ),
        ({}, [OTHER]),
    ],
)
def test_what_the_judge_takes_away_goes_if_it_stands_there(
    records: dict[Key, list[str]], gone: list[RecordToRemove | tuple[str, str]]
) -> None:
    found = records_to_remove(case_of("dmarc", records), [OTHER])
    assert found == [
        each
        if isinstance(each, RecordToRemove)
        else RecordToRemove(name=DMARC[0], type=each[0], value=each[1])
        for each in gone
    ]


def test_each_record_is_taken_away_once() -> None:
    case = case_of("dmarc", {DMARC: ["v=DMARC1; p=none"]})
    mine = removal(DMARC[0], RecordType.TXT, ["v=DMARC1; p=none"])
    assert records_to_remove(case, mine) == list(mine)


def test_a_fix_has_exactly_these_records_to_remove() -> None:
    fix = create(case_of("dmarc", {}).planned)
    assert fix is not None
    made = with_removed(fix, [OTHER])
    # Who only creates deletes nothing.
    told = {"remove": [OTHER], "action": FixAction.REPLACE}
    assert made == fix.model_copy(update=told)
    assert with_removed(fix, []) == fix
    assert with_removed(None, [OTHER]) is None


@pytest.mark.parametrize(
    ("id", "text", "valid"),
    [
        ("dmarc", "v=DMARC1; p=reject", True),
        ("dmarc", "v=DMARC1; p=none", False),
        ("spf", "v=spf1 include:spf.provider.net -all", True),
        ("spf", "v=spf1 include:spf.provider.net include:spf.provider.net. +all", False),
        ("ownership", TOKEN, True),
        ("ownership", f'"{TOKEN}"', False),
    ],
)
def test_a_text_is_tried_as_if_it_stood_there_alone(id: str, text: str, valid: bool) -> None:
    case = case_of(id, {DMARC: ["v=DMARC1; p=none"], APEX: ["v=spf1 -all"]})
    assert valid_with(case, text) is valid


@pytest.mark.parametrize(
    ("id", "text", "value"),
    [
        ("dmarc", "v=DMARC1; p=none; fo=1", "v=DMARC1; p=quarantine; fo=1"),
        ("dmarc", "v=DMARC1; p=reject; fo=1", "v=DMARC1; p=reject; fo=1"),
        (
            "spf",
            "v=spf1 ip4:198.51.100.1 -all",
            "v=spf1 include:spf.provider.net ip4:198.51.100.1 -all",
        ),
        (
            "spf",
            "v=spf1 ip4:198.51.100.1 include:spf.provider.net ?all",
            "v=spf1 ip4:198.51.100.1 include:spf.provider.net ?all",
        ),
        # An exact text holds nothing besides.
        ("ownership", f"{TOKEN} and more", None),
    ],
)
def test_a_policy_keeps_what_else_it_says(id: str, text: str, value: str | None) -> None:
    made = value_from(case_of(id, {}), text)
    if value is None or id == "dmarc":
        assert made == value
    else:
        assert made is not None
        assert sorted(made.split()) == sorted(value.split())
        assert made.split()[-1] == value.split()[-1]


def test_what_is_left_out_is_said() -> None:
    spf, dmarc = case_of("spf", {}), case_of("dmarc", {})
    whole = "v=spf1 include:spf.provider.net -all"
    assert consequences(spf, whole) == ""
    left_out = consequences(spf, "v=spf1 include:spf.provider.net foo -all")
    assert left_out.startswith(" The fix leaves out foo,")
    assert consequences(dmarc, "v=DMARC1; p=none; fo=1") == ""
    assert consequences(case_of("ownership", {}), "text") == ""


def test_why_a_policy_cannot_be_mended_is_said() -> None:
    spf = case_of("spf", {})
    assert unmergeable(spf, "v=spf1 ip4:198.51.100.1 -all") is None
    long = " ".join(f"ip4:198.51.{third}.{last}" for third in range(8) for last in range(100, 200))
    why = unmergeable(spf, f"v=spf1 {long} -all")
    assert why is not None
    assert why.endswith(".")
    assert value_from(spf, f"v=spf1 {long} -all") is None
    assert unmergeable(case_of("dmarc", {}), "v=DMARC1; p=none") is None


MAIL, HOST = "mail.example.com", "host.net"
POLICY = "v=spf1 ip4:203.0.113.9 -all"
MERGED = "v=spf1 include:spf.provider.net ip4:203.0.113.9 -all"
STRICT = "v=DMARC1; p=none; sp=reject; adkim=s; rua=mailto:o@example.com"
STRICTER = "v=DMARC1; p=quarantine; sp=reject; adkim=s; rua=mailto:o@example.com"


@pytest.mark.parametrize(
    ("id", "code", "records", "value"),
    [
        ("spf", "CNAME_AT_APEX", {(MAIL, "CNAME"): [HOST], (HOST, "TXT"): [POLICY]}, MERGED),
        ("spf", "WILDCARD_MASKS", {(MAIL, "TXT"): [POLICY], (SIBLING, "TXT"): [POLICY]}, MERGED),
        (
            "dmarc",
            "WILDCARD_MASKS",
            {
                (f"_dmarc.{MAIL}", "TXT"): [STRICT],
                (invented_name(MAIL), "TXT"): [STRICT],
            },
            STRICTER,
        ),
    ],
)
def test_what_counts_at_the_name_now_is_in_the_fix(
    id: str, code: str, records: dict[Key, list[str]], value: str
) -> None:
    """Also where it stands elsewhere: those who pass by it would not by the plan's own value."""
    found, _ = diagnosed(case_of(id, records, domain=MAIL))
    assert found.cause is not None
    assert found.cause.fix is not None
    assert (found.cause.code, found.cause.fix.value) == (code, value)


@pytest.mark.parametrize("told", [False, True])
def test_what_the_kept_record_leaves_out_is_told_once(told: bool) -> None:
    """Whether the cause has said it is a value of it: how its sentence is worded tells nothing."""
    case = case_of("dmarc", {DMARC: [f"{STRICT}; pct=50"]})
    said = consequences(case, case.answer.values[0])
    assert "pct=50" in said
    cause = Cause(Code.WILDCARD_MASKS, "Masked.", create(case.planned))
    if told:
        cause = replace(cause, left_out=said)
    assert with_what_counts(case, cause).message == f"Masked.{'' if told else said}"


@pytest.mark.parametrize(
    ("domain", "code"), [(MAIL, "CNAME_AT_APEX"), ("example.com", "TYPE_CNAME_FOR_TXT")]
)
@pytest.mark.parametrize("more", [[], ["a secret"]])
def test_a_policy_that_goes_with_an_alias_is_named(domain: str, code: str, more: list[str]) -> None:
    """By whichever record the alias goes, and wherever that stands."""
    records: dict[Key, list[str]] = {(MAIL, "CNAME"): [HOST], (HOST, "TXT"): [POLICY, *more]}
    ownership = {"value": TOKEN, "name": MAIL}
    found, _ = diagnosed(case_of("ownership", records, domain=domain, ownership=ownership))
    assert found.cause is not None
    goes = f"goes what is found through it: TXT {POLICY}. Publish that at {MAIL} in the same step"
    assert (found.cause.code, goes in found.message) == (code, True)
    assert found.cause.fix is not None
    assert [(each.name, each.type) for each in found.cause.fix.remove] == [(MAIL, "CNAME")]


def test_what_goes_with_an_alias_keeps_its_records_valid_where_it_is_published() -> None:
    policy = "v=spf1 include:spf.provider.net ip4:192.0.2.0/24 ~all"
    zone = FakeZone({**HEALTHY, (DOMAIN, "CNAME"): [HOST], (HOST, "TXT"): [policy]})
    zone.records |= {(DOMAIN, "TXT"): [], (DOMAIN, "MX"): [], (HOST, "MX"): ["10 mx.provider.net"]}
    before = look(zone)
    valid = {each.id for each in before.records if each.state is RecordState.VALID}
    assert "spf" in valid
    told = next(each for each in before.findings if each.subject == "ownership")
    assert f"TXT {policy}, MX 10 mx.provider.net. Publish that at {DOMAIN}" in told.message
    assert told.fix is not None
    zone.apply(told.fix)
    zone.records[DOMAIN, "TXT"].append(policy)
    zone.records[DOMAIN, "MX"].append("10 mx.provider.net")
    assert {each.state for each in look(zone).records} == {RecordState.VALID}


@pytest.mark.parametrize(("id", "named"), [("spf", "MX 1 mx.net"), ("dmarc", ""), ("tracking", "")])
def test_of_an_alias_that_goes_only_what_mail_needs_of_it_is_named(id: str, named: str) -> None:
    records: dict[Key, list[str]] = {
        **{(name, "CNAME"): [HOST] for name in (MAIL, f"_dmarc.{MAIL}", f"click.{MAIL}")},
        (HOST, "TXT"): [POLICY],
        (HOST, "MX"): ["1 mx.net"],
    }
    found, _ = diagnosed(case_of(id, records, domain=MAIL))
    said = "With the CNAME goes what is found through it: "
    assert (said in found.message) is bool(named)
    assert f"{said}{named}" in found.message or not named


def test_all_that_goes_with_an_alias_is_asked_for_whatever_the_plan_has_at_its_name() -> None:
    zone = FakeZone({**HEALTHY, (DOMAIN, "CNAME"): [HOST], (HOST, "TXT"): [POLICY, "a secret"]})
    zone.records |= {(DOMAIN, "TXT"): [], (DOMAIN, "MX"): []}
    addresses = [f"192.0.2.{number}" for number in range(5)]
    zone.records |= {(HOST, "A"): addresses, (HOST, "AAAA"): ["2001:db8::1"]}
    nothing: dict[str, object] = {"ownership": {}, "spf": None, "dkim": [], "dmarc": None}
    report = look(zone, **nothing)
    told = next(each for each in report.findings if each.subject.startswith("mx-"))
    assert (
        f"TXT {POLICY}, A 192.0.2.0, A 192.0.2.1, A 192.0.2.2, 2 more of type A, AAAA 2001:db8::1. "
        f"Publish that at {DOMAIN} in the same step"
    ) in told.message
    assert "secret" not in told.message


def test_what_cannot_be_merged_yet_is_not_replaced() -> None:
    """The policy that the alias leads to includes one that cannot be looked at now."""
    # Who is required is refused before, so that it is wrong whatever stands there.
    policy = ["v=spf1 -include:spf.provider.net include:lost.net -all"]
    records: dict[Key, list[str]] = {(MAIL, "CNAME"): [HOST], (HOST, "TXT"): policy}
    lost = {("lost.net", "TXT"): Outcome.TIMEOUT}
    found, _ = diagnosed(case_of("spf", records, outcomes=lost, domain=MAIL))
    assert found.cause is not None
    assert found.cause.fix is None or found.cause.fix.value == ""


def test_a_parent_that_was_not_seen_is_told_with_the_fix() -> None:
    records: dict[Key, list[str]] = {(f"_dmarc.{MAIL}", "TXT"): ["v=dmarc1; p=none"]}
    lost = {("_dmarc.example.com", "TXT"): Outcome.TIMEOUT}
    for outcomes, told in ((lost, True), ({}, False)):
        found, _ = diagnosed(case_of("dmarc", records, outcomes=outcomes, domain=MAIL))
        assert ("could not be looked at" in found.message) is told
