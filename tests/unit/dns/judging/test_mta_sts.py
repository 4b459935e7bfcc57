# SPDX-License-Identifier: Apache-2.0
"""MTA-STS: the record, its host, and when its policy is fetched.

Covers: every fault of the record with its code, what is asked and when, fixes that work, what could
not be looked at, and advice.
"""

from __future__ import annotations

from typing import Any

import pytest

from postroom.api.reasons import Reason
from postroom.dns.answers import Outcome, Question, RecordType
from postroom.dns.tls.mta_sts_host import FetchedPolicy, PolicyFetchOutcome
from unit.dns.judging_looks import DOMAIN, Key, Names, advice, plan_of, policy, verdict

NAME, HOST = f"_mta-sts.{DOMAIN}", f"mta-sts.{DOMAIN}"
TXT: Key = (NAME, "TXT")
RECORD = "v=STSv1; id=20260101"
SPEC: dict[str, Any] = {"mtaSTS": {"mode": "Enforce"}, "mx": [{"host": "mx.example.com"}]}
HEALTHY: dict[Key, list[str]] = {
    TXT: [RECORD],
    (HOST, "A"): ["192.0.2.1"],
    (DOMAIN, "MX"): ["10 mx.example.com"],
}
GOOD = policy("Enforce", "mx.example.com")
PLAN = plan_of(**SPEC)


def names(change: dict[Key, list[str]] | None = None, fetched: FetchedPolicy = GOOD) -> Names:
    return Names({**HEALTHY, **(change or {})}, policies={DOMAIN: fetched})


def test_a_record_with_its_policy_is_valid() -> None:
    judged = names().judged(PLAN, "mta-sts")
    assert (verdict(judged), advice(judged), judged.value) == (("Valid", None), [], RECORD)


RECORDS = [
    ("missing", [], "Missing", "MTA_STS_MISSING"),
    ("another", ["something"], "Missing", "MTA_STS_MISSING"),
    ("two", [RECORD, "v=STSv1; id=2"], "Conflicting", "MTA_STS_MULTIPLE"),
    ("lower case", ["v=stsv1; id=1"], "Wrong", "MTA_STS_SYNTAX"),
    ("no version", ["STSv1; id=1"], "Wrong", "MTA_STS_SYNTAX"),
    ("no semicolon", ["v=STSv1 id=1"], "Wrong", "MTA_STS_SYNTAX"),
    ("quoted", ['"v=STSv1; id=1"'], "Wrong", "MTA_STS_SYNTAX"),
    ("no id", ["v=STSv1;"], "Wrong", "MTA_STS_SYNTAX"),
    ("date as id", ["v=STSv1; id=2026-01-01"], "Wrong", "MTA_STS_SYNTAX"),
    ("long id", [f"v=STSv1; id={'1' * 33}"], "Wrong", "MTA_STS_SYNTAX"),
    ("id twice", ["v=STSv1; id=1; id=2"], "Wrong", "MTA_STS_SYNTAX"),
    ("no tag", ["v=STSv1; id=1; x"], "Wrong", "MTA_STS_SYNTAX"),
    ("blank before =", ["v=STSv1; id =1"], "Wrong", "MTA_STS_SYNTAX"),
    ("blank behind =", ["v=STSv1; id= 1"], "Wrong", "MTA_STS_SYNTAX"),
    ("tabs around =", ["v=STSv1; id\t=\t1"], "Wrong", "MTA_STS_SYNTAX"),
    ("blank in the version", ["v = STSv1; id=1"], "Wrong", "MTA_STS_SYNTAX"),
    ("blank in another field", ["v=STSv1; id=1; x= y"], "Wrong", "MTA_STS_SYNTAX"),
    ("blank in a value", ["v=STSv1; id=1; x=y z"], "Wrong", "MTA_STS_SYNTAX"),
    ("blank at the end", ["v=STSv1; id=1 "], "Wrong", "MTA_STS_SYNTAX"),
    ("empty field", ["v=STSv1; id=1; x="], "Wrong", "MTA_STS_SYNTAX"),
    ("case of id", ["v=STSv1; ID=1"], "Wrong", "MTA_STS_SYNTAX"),
    ("semicolons", ["v=STSv1;; id=1"], "Wrong", "MTA_STS_SYNTAX"),
]


@pytest.mark.parametrize(
    ("texts", "state", "code"), [one[1:] for one in RECORDS], ids=[one[0] for one in RECORDS]
)
def test_a_faulty_record_is_named_and_its_fix_works(
    texts: list[str], state: str, code: str
) -> None:
    seen = names({TXT: texts})
    judged = seen.judged(PLAN, "mta-sts")
    assert verdict(judged) == (state, code)
    assert judged.cause is not None
    assert judged.cause.fix is not None
    seen.apply(judged.cause.fix)
    assert verdict(seen.judged(PLAN, "mta-sts")) == ("Valid", None)


@pytest.mark.parametrize("text", ["v=STSv1;id=1;", "v=STSv1 ; id=1 ;x=y", "v=STSv1\t;\t id=aZ9 ; "])
def test_what_the_grammar_allows_is_valid(text: str) -> None:
    assert verdict(names({TXT: [text, "other"]}).judged(PLAN, "mta-sts")) == ("Valid", None)


def test_the_host_must_exist_and_is_not_fetched_from_before() -> None:
    seen = names({(HOST, "A"): []})
    assert verdict(seen.judged(PLAN, "mta-sts")) == ("Wrong", "MTA_STS_HOST_NOT_FOUND")
    assert seen.fetched == []
    seen = names({(HOST, "A"): [], (HOST, "AAAA"): ["2001:db8::1"]})
    assert verdict(seen.judged(PLAN, "mta-sts")) == ("Valid", None)


def test_nothing_is_fetched_before_the_record_is_there() -> None:
    seen = names({TXT: []})
    seen.judged(PLAN, "mta-sts")
    assert seen.fetched == []


def test_one_question_for_the_host_is_enough_where_it_has_an_address() -> None:
    seen = names()
    seen.judged(PLAN, "mta-sts")
    assert Question(HOST, RecordType.AAAA) not in seen.asked


@pytest.mark.parametrize("place", [(HOST, "A"), (DOMAIN, "MX")])
def test_what_could_not_be_looked_at_is_unknown(place: Key) -> None:
    seen = names()
    seen.failing[place] = Outcome.SERVER_FAILURE
    judged = seen.judged(PLAN, "mta-sts")
    assert (judged.state.value, judged.reason) == ("Unknown", Reason.LOOKUP_FAILED)


def test_a_stricter_mode_is_kept() -> None:
    plan = plan_of(**{**SPEC, "mtaSTS": {"mode": "Testing"}})
    assert verdict(names().judged(plan, "mta-sts")) == ("Valid", None)
    judged = names(fetched=policy("Enforce", "other.example.com")).judged(plan, "mta-sts")
    assert '"mode: enforce"' in judged.message


def test_every_required_exchange_must_be_covered() -> None:
    judged = names(fetched=policy("Enforce", "other.example.com")).judged(PLAN, "mta-sts")
    assert verdict(judged) == ("Wrong", "MTA_STS_MX_UNCOVERED")
    assert "mx.example.com" in judged.message


def test_without_required_exchanges_those_of_the_domain_count() -> None:
    plan = plan_of(mtaSTS={"mode": "Enforce"})
    change: dict[Key, list[str]] = {(DOMAIN, "MX"): ["10 mx.example.com", "20 old.example.net"]}
    judged = names(change).judged(plan, "mta-sts")
    assert verdict(judged) == ("Wrong", "MTA_STS_MX_UNCOVERED")
    change = {(DOMAIN, "MX"): ["0 ."]}
    assert verdict(names(change).judged(plan, "mta-sts")) == ("Valid", None)


def test_a_further_exchange_that_is_not_covered_is_advice() -> None:
    change: dict[Key, list[str]] = {(DOMAIN, "MX"): ["10 mx.example.com", "20 old.example.net"]}
    judged = names(change).judged(PLAN, "mta-sts")
    assert (verdict(judged), advice(judged)) == (("Valid", None), ["MTA_STS_OTHER_MX_UNCOVERED"])


def test_a_policy_that_is_soon_forgotten_is_advice() -> None:
    fetched = policy("Enforce", "mx.example.com", age=86_399)
    assert advice(names(fetched=fetched).judged(PLAN, "mta-sts")) == ["MTA_STS_MAX_AGE_SHORT"]


def test_a_policy_that_cannot_be_applied_is_told() -> None:
    fetched = FetchedPolicy(PolicyFetchOutcome.FETCHED, "<html>\x00" * 3000, 200)
    judged = names(fetched=fetched).judged(PLAN, "mta-sts")
    assert verdict(judged) == ("Wrong", "MTA_STS_POLICY_SYNTAX")
    assert len(judged.message) < 1024
