# SPDX-License-Identifier: Apache-2.0
"""The published schema of the JSON report: every report fits, and what a version promises is
demanded."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given

from postroom.cli.formats import as_json
from postroom.cli.formats.report_schema import report_schema
from postroom.cli.formats.results import CheckResult
from unit.cli.formats import made

VALIDATOR = jsonschema.Draft7Validator(report_schema())


@given(made.ANY_RESULT)
def test_every_report_fits(result: CheckResult) -> None:
    VALIDATOR.validate(json.loads(json.dumps(as_json.report(result))))


@pytest.mark.parametrize(
    "gone",
    [
        ("apiVersion",),
        ("exitCode",),
        ("summary", "errors"),
        ("remarks", 1, "fingerprint"),
        ("remarks", 1, "location", "file"),
        ("items", 0, "metadata", "name"),
        ("items", 0, "status", "conditions", 0, "reason"),
    ],
)
def test_what_a_reader_relies_on_is_demanded(gone: tuple[Any, ...]) -> None:
    report: Any = copy.deepcopy(as_json.report(made.RESULT))
    part = report
    for step in gone[:-1]:
        part = part[step]
    del part[gone[-1]]
    assert not VALIDATOR.is_valid(report)


def test_fields_may_be_added() -> None:
    VALIDATOR.validate({**as_json.report(made.RESULT), "new": 1})
