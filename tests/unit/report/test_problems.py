# SPDX-License-Identifier: Apache-2.0
"""A finding as a reader meets it: what is wrong, then the steps, nothing twice, nothing lost."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.report import shape
from unit.report.samples import FINDING, FIX, broken, condition, report_of, stored


def problem_of(**finding: Any) -> shape.ReportedProblem:
    (problem,) = report_of(broken(findings=[{**FINDING, **finding}])).objects[0].problems
    return problem


def test_the_record_to_publish_is_there_to_the_letter() -> None:
    long = "v=DKIM1; p=" + "A" * 400
    fix = {**FIX, "value": long, "presentation": f'"{long[:255]}" "{long[255:]}"'}
    found = problem_of(fix=fix)
    assert found.publish is not None
    assert (found.publish.type, found.publish.host, found.publish.name) == ("TXT", "@", "a.example")
    assert found.publish.value == long
    assert found.publish.zone_file == fix["presentation"]
    assert [each.value for each in found.remove] == ["v=spf1 -all"]


@pytest.mark.parametrize("action", ["Delete", "Wait", "External"])
def test_what_adds_no_record_shows_none(action: str) -> None:
    assert problem_of(fix={**FIX, "action": action}).publish is None


@pytest.mark.parametrize(
    ("message", "summary", "left"),
    [
        (FINDING["message"], FINDING["summary"], FINDING["summary"]),
        ("No key: set it.", "No key.", "No key."),
        ("No key: set it.", "", "No key: set it."),
        ("No key.", None, "No key."),
        (7, None, "7"),
    ],
)
def test_what_is_shown_as_steps_is_not_said_before_them(
    message: object, summary: object, left: str
) -> None:
    assert problem_of(message=message, summary=summary).message == left


def test_what_becomes_of_it_is_said_behind_what_to_do() -> None:
    fix = {"action": "External", "instruction": "Do it.", "meanwhile": "It waits."}
    assert problem_of(fix=fix).instruction == "Do it. It waits."


def test_an_object_to_apply_is_something_to_paste() -> None:
    fix = {
        "action": "External",
        "instruction": "Apply this:",
        "manifest": "apiVersion: v1\nkind: X\n",
    }
    found = problem_of(fix=fix)
    assert (found.instruction, found.paste) == ("Apply this:", "apiVersion: v1\nkind: X\n")
    assert problem_of(fix={"action": "External", "instruction": "Do it."}).paste == ""


def test_without_a_finding_the_condition_tells() -> None:
    not_ready = condition("Ready", "False", "NoDefault", "No MailServer is the default.")
    (found,) = report_of(stored("EmailAccount", "a", not_ready)).objects
    assert [(each.code, each.severity) for each in found.problems] == [("NoDefault", "Error")]
    assert found.problems[0].message == "No MailServer is the default."
    assert found.message == ""


def test_worst_first_and_a_severity_of_another_version_is_a_warning() -> None:
    found = [
        {**FINDING, "severity": severity, "code": severity.upper()}
        for severity in ("Info", "Fatal", "Error")
    ]
    told = report_of(broken(findings=found)).objects[0].problems
    assert [each.code for each in told] == ["ERROR", "FATAL", "INFO"]
    assert told[1].severity == "Warning"


@pytest.mark.parametrize("nonsense", [None, 3, "x", [3], [[]], {"a": 1}, [{}], [{"fix": 3}]])
def test_a_status_of_another_shape_is_read_as_far_as_it_goes(nonsense: Any) -> None:
    raw = broken(findings=nonsense, records=nonsense)
    (found,) = report_of(raw).objects
    assert found.turn is shape.Turn.YOURS
