# SPDX-License-Identifier: Apache-2.0
"""The bulk-sender profiles: what Gmail, Yahoo and Microsoft ask for, held against a domain.

Covers: the data and its sources, each requirement met and not met, who asks for it, that what
could not be looked at yields nothing, inherited policies, alignment, and what DNS cannot show.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from postroom.api.findings import Finding, Severity
from postroom.api.reasons import Reason
from postroom.api.sendingdomain import BulkSenderProfile, RecordState
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.diagnosis import receivers
from postroom.dns.findings import families
from postroom.dns.judging.judgement import Cause, Judgement
from postroom.dns.judging.seen import Needs, Seen
from postroom.dns.requirements import DomainPlan
from unit.dns.dkim_keys import rsa_base64, rsa_numbers
from unit.dns.judging_looks import DOMAIN, Key, plan_of

ALL = ["Gmail", "Yahoo", "Microsoft"]
SENDER: dict[str, Any] = {
    "spf": {"includes": ["spf.example.net"]},
    "dkim": [{"selector": "k1", "cname": "k1.example.net"}],
    "sendingIPs": ["192.0.2.25"],
}
POLICY: dict[Key, list[str]] = {(f"_dmarc.{DOMAIN}", "TXT"): ["v=DMARC1; p=none"]}


def judgements(plan: DomainPlan, **states: RecordState) -> dict[str, Judgement]:
    """Every record Valid, but for those that `states` names ("_" for "-")."""
    given = {id.replace("_", "-"): state for id, state in states.items()}
    found = {}
    for record in plan.records:
        state = given.get(record.id.rpartition("-192")[0] or record.id, RecordState.VALID)
        cause = None if state is RecordState.VALID else Cause("X", "X.")
        found[record.id] = Judgement(state, Reason.RECORD_VALID, "", cause)
    return found


def seen(plan: DomainPlan, records: Mapping[Key, list[str]] | None = None) -> Seen:
    there = POLICY if records is None else records
    names = receivers.needs(plan).shared | {Question(*(n, RecordType(k))) for n, k in there}
    answers = (
        Answer(name, Outcome.FOUND if values else Outcome.NO_DATA, tuple(values))
        for name in names
        for values in [there.get((name.name, name.type.value), [])]
    )
    return Seen({answer.question: answer for answer in answers})


def told(
    plan: DomainPlan, records: Mapping[Key, list[str]] | None = None, **states: RecordState
) -> list[Finding]:
    return list(receivers.findings(plan, judgements(plan, **states), seen(plan, records)))


def codes(found: list[Finding]) -> list[str]:
    return [one.code for one in found if one.code != "BULK_BEYOND_DNS"]


def plan(profiles: list[str] | None = None, **changes: Any) -> DomainPlan:
    spec = {"bulkSenderProfiles": ALL if profiles is None else profiles, **SENDER, **changes}
    return plan_of(**{key: value for key, value in spec.items() if value is not None})


def test_every_profile_has_its_requirements() -> None:
    assert {receiver.name for receiver in receivers.receivers()} == set(BulkSenderProfile)
    for receiver in receivers.receivers():
        named = [row.requirement for row in receiver.requirements]
        assert len(set(named)) == len(named) >= 5


def test_a_domain_that_meets_all_is_told_what_dns_cannot_show() -> None:
    found = told(plan())
    assert codes(found) == []
    assert [one.severity for one in found] == [Severity.INFO] * 3
    assert "RFC 8058" in found[0].message


def test_without_a_profile_nothing_is_told_or_asked() -> None:
    bare = plan(profiles=[])
    assert (told(bare), receivers.needs(bare)) == ([], Needs())


WRONG = RecordState.WRONG
CASES: list[tuple[str, dict[str, Any], dict[str, RecordState], list[str]]] = [
    ("no spf", {"spf": None}, {}, ["BULK_SPF_MISSING"]),
    ("spf wrong", {}, {"spf": WRONG}, ["BULK_SPF_INVALID"]),
    ("spf missing", {}, {"spf": RecordState.MISSING}, ["BULK_SPF_INVALID"]),
    ("spf not seen", {}, {"spf": RecordState.UNKNOWN}, []),
    ("spf on its way", {}, {"spf": RecordState.PROPAGATING}, []),
    (
        "spf at the return path",
        {"returnPath": {"name": "b", "spf": {"ip4": ["192.0.2.1"]}}},
        {"spf": WRONG},
        [],
    ),
    (
        "spf behind the return path",
        {"spf": None, "returnPath": {"name": "b", "cname": "b.example.net"}},
        {},
        [],
    ),
    (
        "return path wrong",
        {"spf": None, "returnPath": {"name": "b", "cname": "b.example.net"}},
        {"return_path": WRONG},
        ["BULK_SPF_INVALID"],
    ),
    (
        "return path of mx alone",
        {"spf": None, "returnPath": {"name": "b", "mx": [{"host": "mx.example.net"}]}},
        {},
        ["BULK_SPF_MISSING"],
    ),
    ("no dkim", {"dkim": None}, {}, ["BULK_DKIM_MISSING"]),
    (
        "dkim of the next key alone",
        {"dkim": [{"selector": "k1", "cname": "k1.example.net", "role": "Next"}]},
        {},
        ["BULK_DKIM_MISSING"],
    ),
    ("dkim wrong", {}, {"dkim_k1": RecordState.CONFLICTING}, ["BULK_DKIM_INVALID"]),
    ("dkim delegated", {"dkim": None, "dkimDelegation": ["ns.example.net"]}, {}, []),
    ("no reverse dns", {}, {"reverse": RecordState.MISSING}, ["BULK_REVERSE_DNS"]),
    ("reverse dns not seen", {}, {"reverse": RecordState.UNKNOWN}, []),
    ("no sending addresses", {"sendingIPs": None}, {}, []),
]


@pytest.mark.parametrize(
    ("changes", "states", "expected"), [one[1:] for one in CASES], ids=[one[0] for one in CASES]
)
def test_what_is_lacking(
    changes: dict[str, Any], states: dict[str, RecordState], expected: list[str]
) -> None:
    assert codes(told(plan(**changes), None, **states)) == expected


def test_one_valid_selector_is_enough() -> None:
    two = [{"selector": one, "cname": f"{one}.example.net"} for one in ("k1", "k2")]
    assert codes(told(plan(dkim=two), None, dkim_k1=WRONG)) == []
    assert codes(told(plan(dkim=two), None, dkim_k1=WRONG, dkim_k2=WRONG)) == ["BULK_DKIM_INVALID"]


@pytest.mark.parametrize(("bits", "expected"), [(768, ["BULK_DKIM_KEY_SHORT"]), (1024, [])])
def test_a_short_key_is_told_with_its_size(bits: int, expected: list[str]) -> None:
    records = {**POLICY, ("k1.example.net", "TXT"): [f"v=DKIM1; p={rsa_base64(rsa_numbers(bits))}"]}
    state = WRONG if expected else RecordState.VALID
    found = told(plan(), records, dkim_k1=state)
    assert codes(found) == expected
    assert all(f"has {bits}" in one.message for one in found if one.code == "BULK_DKIM_KEY_SHORT")


def test_who_asks_is_named() -> None:
    found = told(plan(spf=None))
    assert found[0].message.startswith("Gmail, Yahoo and Microsoft (Outlook.com) require SPF")
    found = told(plan(profiles=["Yahoo"], spf=None))
    assert found[0].message.startswith("Yahoo requires SPF")
    assert [one.code for one in found] == ["BULK_SPF_MISSING", "BULK_BEYOND_DNS"]


def test_a_policy_must_apply() -> None:
    assert codes(told(plan(), {(f"_dmarc.{DOMAIN}", "TXT"): []})) == ["BULK_DMARC_MISSING"]
    two = {(f"_dmarc.{DOMAIN}", "TXT"): ["v=DMARC1; p=none", "v=DMARC1; p=reject"]}
    assert codes(told(plan(), two)) == ["BULK_DMARC_MISSING"]


def test_a_policy_may_come_from_the_parent() -> None:
    assert codes(told(plan(domain=f"news.{DOMAIN}"))) == []


def test_a_policy_that_was_not_asked_for_is_not_missed() -> None:
    found = list(receivers.findings(plan(), judgements(plan()), Seen()))
    assert codes(found) == []


def test_only_spf_must_align() -> None:
    path = {"name": "b", "cname": "b.example.net"}
    strict = {(f"_dmarc.{DOMAIN}", "TXT"): ["v=DMARC1; p=none; aspf=s"]}
    only_spf = plan(dkim=None, spf=None, returnPath=path)
    assert codes(told(only_spf, strict)) == ["BULK_DKIM_MISSING", "BULK_NOT_ALIGNED"]
    assert codes(told(only_spf)) == ["BULK_DKIM_MISSING"]
    assert codes(told(plan(spf=None, returnPath=path), strict)) == []


def test_every_code_is_reached() -> None:
    reached = {one for case in CASES for one in case[3]}
    reached |= {"BULK_DKIM_KEY_SHORT", "BULK_DMARC_MISSING", "BULK_NOT_ALIGNED", "BULK_BEYOND_DNS"}
    # Told where the domains above are known: see the tests of `reconcile.domain.bulk`.
    reached.add("BULK_FROM_APEX")
    assert reached == set(families()["receivers"].codes)


def test_what_is_asked_besides_are_the_policies() -> None:
    asked = receivers.needs(plan(returnPath={"name": "b", "cname": "b.example.net"})).shared
    names = {f"_dmarc.{DOMAIN}", "_dmarc.com", f"_dmarc.b.{DOMAIN}"}
    assert asked == {Question(name, RecordType.TXT) for name in names}
