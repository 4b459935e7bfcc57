# SPDX-License-Identifier: Apache-2.0
"""What stands at the name for DMARC while no DMARC record does: SPF, a CNAME, a wildcard's."""

from __future__ import annotations

import pytest

from postroom.api.findings import FixAction
from postroom.dns.answers import Question, RecordType
from postroom.dns.diagnosis.dmarc import causes, probes
from postroom.dns.diagnosis.synthesis import invented_name
from postroom.dns.judging.judgement import Cause, Evidence
from unit.dns.diagnosis_looks import case_of
from unit.dns.judging_looks import Key

NAME: Key = ("_dmarc.example.com", "TXT")
ALIAS: Key = (NAME[0], "CNAME")
SIBLING = invented_name("example.com")
SPF, POLICY = "v=spf1 -all", "v=DMARC1; p=quarantine"


def told(records: dict[Key, list[str]]) -> list[Cause]:
    return list(causes(case_of("dmarc", records)))


def removed(cause: Cause) -> list[tuple[str, str, str]]:
    assert cause.fix is not None
    return [(record.name, record.type, record.value) for record in cause.fix.remove]


@pytest.mark.parametrize(
    ("records", "codes"),
    [
        ({NAME: [SPF]}, ["DMARC_SPF_AT_DMARC"]),
        ({NAME: ["text", SPF]}, ["DMARC_SPF_AT_DMARC"]),
        ({ALIAS: ["d.vendor.net"]}, ["DMARC_ON_CNAME"]),
        (
            {ALIAS: ["d.vendor.net"], ("d.vendor.net", "TXT"): [SPF]},
            ["DMARC_SPF_AT_DMARC", "DMARC_ON_CNAME"],
        ),
        ({NAME: ["text"]}, []),
        ({}, []),
        # A record that counts is the judge's, whatever stands beside it.
        ({NAME: ["v=DMARC1; p=none", SPF]}, []),
        ({ALIAS: ["d.vendor.net"], ("d.vendor.net", "TXT"): ["v=DMARC1; p=none"]}, []),
    ],
)
def test_what_stands_there_is_told(records: dict[Key, list[str]], codes: list[str]) -> None:
    assert [cause.code for cause in told(records)] == codes


def test_another_record_is_looked_at_by_nobody_for_dmarc() -> None:
    case = case_of("ownership", {("_check.example.com", "TXT"): [SPF]})
    assert list(causes(case)) == []
    assert list(probes(case)) == []


def test_only_the_record_that_is_in_the_way_goes() -> None:
    (found,) = told({NAME: ["text", SPF]})
    assert found.evidence is Evidence.PROVEN
    assert removed(found) == [(*NAME, SPF)]
    assert found.fix is not None
    assert found.fix.value == POLICY


def test_the_alias_goes_in_the_place_of_what_it_leads_to() -> None:
    spf, alias = told({ALIAS: ["d.vendor.net"], ("d.vendor.net", "TXT"): [SPF]})
    assert removed(spf) == removed(alias) == [(*ALIAS, "d.vendor.net")]
    assert "to which the CNAME to d.vendor.net leads" in spf.message


def test_what_a_wildcard_answers_stands_nowhere() -> None:
    (found,) = told({NAME: [SPF], (SIBLING, "TXT"): [SPF]})
    assert found.code == "DMARC_SPF_AT_DMARC"
    assert found.evidence is Evidence.SHOWN
    assert "which a wildcard record answers for every name" in found.message
    assert found.fix is not None
    assert (found.fix.action, found.fix.remove) == (FixAction.CREATE, [])


def test_a_damaged_text_never_counts_more_than_the_record_beside_it() -> None:
    case = case_of("dmarc", {NAME: ["v=DMARC1; p=none", f'"{POLICY}"']})
    (found,) = causes(case)
    assert case.judgement.cause is not None
    assert (found.code, found.evidence) == (case.judgement.cause.code, Evidence.PROVEN)


def test_only_where_spf_stands_a_name_beside_it_is_asked_for() -> None:
    asked = [probe.question for probe in probes(case_of("dmarc", {NAME: [SPF]}))]
    assert asked == [Question(SIBLING, RecordType.TXT)]
    assert list(probes(case_of("dmarc", {NAME: ["text"]}))) == []
