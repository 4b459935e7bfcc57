# SPDX-License-Identifier: Apache-2.0
"""SARIF logs: what they say of remarks; a test in the lab holds them against OASIS'
schema."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given

from postroom.cli.formats.results import CheckResult
from postroom.cli.formats.sarif import sarif
from unit.cli.formats import made


def test_a_result_says_where_in_units_of_utf_16() -> None:
    (run,) = sarif(made.RESULT)["runs"]
    unread, broken, advice = run["results"]
    assert run["columnKind"] == "utf16CodeUnits"
    (location,) = broken["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "mail/domain.yaml"},
        "region": {"startLine": 6, "startColumn": 3, "endLine": 6, "endColumn": 21},
    }
    assert location["logicalLocations"] == [
        {
            "name": "spec.spf",
            "fullyQualifiedName": "mail/SendingDomain/example/spec.spf",
            "kind": "resource",
        }
    ]
    assert (broken["level"], unread["level"], advice["level"]) == ("error", "error", "note")
    assert broken["partialFingerprints"] == {"postroomFinding/v1": "f00d"}
    assert unread["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == (
        "bad%2C%20file%3A1.yaml"
    )
    assert advice["locations"][0]["physicalLocation"] == {"artifactLocation": {"uri": "stdin"}}
    (ended,) = run["invocations"]
    assert (ended["exitCode"], ended["exitCodeDescription"]) == (2, "the input is bad")


@given(made.ANY_RESULT)
def test_each_result_leads_to_its_rule(result: CheckResult) -> None:
    (run,) = sarif(result)["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len(run["results"]) == len(result.remarks)
    for shown, remark in zip(run["results"], result.remarks, strict=True):
        rule = rules[shown["ruleIndex"]]
        assert rule["id"] == shown["ruleId"] == remark.code
        assert rule["help"]["text"] and rule["shortDescription"]["text"]
    json.dumps(run, allow_nan=False)


def test_no_message_is_taken_for_a_link() -> None:
    odd = replace(made.BROKEN, message="see [here](https://evil.example/)")
    (shown,) = sarif(CheckResult([], [odd], 1))["runs"][0]["results"]
    assert "](" not in shown["message"]["text"]
