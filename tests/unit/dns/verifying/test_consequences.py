# SPDX-License-Identifier: Apache-2.0
"""What follows for mail is said of every record that is not as it must be, and for how long."""

from __future__ import annotations

from typing import get_args

import pytest

from postroom.api.sendingdomain import RecordState
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.finding_codes import Code
from postroom.dns.findings import catalogue
from postroom.dns.requirements import CNAMEWanted, Wanted
from postroom.dns.verifying.consequences import _STANDARDS, Standard, consequences, what_follows
from unit.dns.domains import APEX_TXT, DMARC, DOMAIN, HEALTHY, K1, OTHER_RSA, S1, look, record
from unit.dns.fake_zone import FakeZone, Key
from unit.dns.judging_looks import plan_of

KEY = {"selector": "s1", "publicKey": OTHER_RSA}
MX: Key = (DOMAIN, "MX")
KEPT = "caches keep {} for at most five minutes."
GONE, THERE = KEPT.format("that nothing is there"), KEPT.format("what is there")


def without(key: Key, prefix: str = "") -> list[str]:
    return [one for one in HEALTHY[key] if not prefix or not one.startswith(prefix)]


@pytest.mark.parametrize(
    ("id", "key", "values", "said"),
    [
        (
            "dkim-s1",
            S1,
            [],
            f"Until then mail that is signed with this selector fails DKIM; {GONE}",
        ),
        (
            "dkim-s1",
            S1,
            ["v=DKIM1; p="],
            f"Until then mail that is signed with this selector fails DKIM; {THERE}",
        ),
        (
            "dkim-k1",
            K1,
            ["other.example.net"],
            f"Until then mail that is signed with this selector fails DKIM; {THERE}",
        ),
        ("spf", APEX_TXT, without(APEX_TXT, "v=spf1"), "passes DMARC by DKIM alone"),
        (
            "spf",
            APEX_TXT,
            [*without(APEX_TXT, "v=spf1"), "v=spf1 a -all"],
            "Until then SPF does not pass for all senders that the spec names;",
        ),
        ("spf", APEX_TXT, ["v=spf1 +all"], "Until then mail that anybody forges passes SPF;"),
        ("ownership", APEX_TXT, without(APEX_TXT, "prov"), "Until then control of the domain is"),
        ("dmarc", DMARC, [], "The policy of example.com applies, which comes to none here. Caches"),
        (
            "dmarc",
            DMARC,
            ["v=DMARC1; p=none; rua=mailto:dmarc@example.com"],
            f"Until then receivers do not apply what spec.dmarc asks for; {THERE}",
        ),
        ("mx", MX, [], f"the address of the name itself, or nowhere if it has none; {GONE}"),
        ("mx", MX, ["10 mx.other.net"], "Until then mail may not arrive where the spec says; "),
    ],
)
def test_a_faulty_record_says_what_follows(id: str, key: Key, values: list[str], said: str) -> None:
    zone = FakeZone({**HEALTHY, key: values})
    report = look(zone)
    found = next(one for one in report.records if one.id.startswith(id))
    assert found.state is not RecordState.VALID
    told = next(finding for finding in report.findings if finding.subject == found.id)
    assert said in told.message
    assert said in found.message
    assert look(zone).findings == report.findings


def test_nothing_follows_from_a_record_that_is_valid_or_not_seen() -> None:
    assert "Until then" not in repr(look(FakeZone(HEALTHY)))
    zone = FakeZone(HEALTHY)
    zone.blocked = True
    report = look(zone)
    assert all("Until then" not in one.message for one in report.records)


@pytest.mark.parametrize(
    ("ttl", "said"),
    [
        (1, "at most five minutes"),
        (300, "at most five minutes"),
        (301, "at most an hour"),
        (3600, "at most an hour"),
        (86_400, "at most a day"),
        (86_401, "more than a day"),
    ],
)
def test_the_time_is_said_in_words_that_stay(ttl: int, said: str) -> None:
    expected = next(one for one in plan_of(dkim=[KEY]).records if one.id == "dkim-s1")
    question = Question(expected.name, RecordType.TXT)
    answer = Answer(question, Outcome.FOUND, ("v=DKIM1; p=",), ttl=ttl, authoritative=True)
    told = what_follows(expected, Code.DKIM_KEY_OTHER, answer)
    assert told == f"Caches keep what is there for {said}."
    cached = Answer(question, Outcome.FOUND, ("v=DKIM1; p=",), ttl=ttl)
    assert what_follows(expected, Code.DKIM_KEY_OTHER, cached) == ""


def test_a_selector_that_signs_nothing_has_no_consequence() -> None:
    spec = {"dkim": [{"selector": "s0", "publicKey": OTHER_RSA, "role": "Next"}]}
    report = look(FakeZone(HEALTHY), **spec)
    assert record(report, "dkim-s0").state is RecordState.MISSING
    assert "fails DKIM" not in record(report, "dkim-s0").message


def test_every_standard_has_its_clause_and_every_code_is_one() -> None:
    assert _STANDARDS.keys() == set(get_args(Wanted)) - {CNAMEWanted}
    assert sorted(_STANDARDS.values()) == sorted(Standard)
    assert consequences().standards.keys() == set(Standard)
    assert consequences().codes.keys() <= catalogue().keys()
    missing = {one for one in catalogue() if one.endswith("_MISSING")}
    assert {"SPF_MISSING", "MX_MISSING", "DMARC_MISSING", "BIMI_MISSING"} <= missing
