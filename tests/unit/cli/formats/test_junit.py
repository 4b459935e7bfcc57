# SPDX-License-Identifier: Apache-2.0
"""JUnit's XML against the schema of Jenkins' xUnit plugin, which others take over (MIT; the file is
beside this one, as pytest carries it)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest
import xmlschema
from hypothesis import given

from postroom.cli.formats.junit import junit
from postroom.cli.formats.remarks import Level, Remark
from postroom.cli.formats.results import CheckResult
from unit.cli.formats import made


@cache
def schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(str(Path(__file__).with_name("junit-10.xsd")))


@given(made.ANY_RESULT)
def test_whatever_is_remarked_the_schema_holds(result: CheckResult) -> None:
    schema().validate(junit(result))


def test_the_schema_refuses() -> None:
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        schema().validate(junit(made.RESULT).replace("<testcase ", '<testcase file="x" '))


def test_each_object_is_a_test_and_each_file_that_cannot_be_read() -> None:
    top = ElementTree.fromstring(junit(made.RESULT))  # noqa: S314 - our own
    (suite,) = top
    said = {
        case.get("name"): [(each.tag, each.get("type")) for each in case]
        for case in suite.findall("testcase")
    }
    assert said == {
        "bad, file:1.yaml": [("error", "INVALID_INPUT")],
        "mail/example": [("failure", "SPF_MISSING"), ("system-out", None)],
        "mail/good": [],
        "mail/unseen": [("skipped", None)],
        "mail/resting": [("skipped", None)],
    }
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "5",
        "failures": "1",
        "errors": "1",
        "skipped": "2",
    }
    failure = suite.findtext("testcase/failure")
    assert failure is not None
    assert failure.startswith("mail/domain.yaml:6:3: error: SPF_MISSING: There is no TXT")


def test_a_file_that_was_merely_not_read_is_skipped() -> None:
    unread = Remark("INVALID_INPUT", Level.WARNING, "says patches", file="kustomization.yaml")
    text = junit(CheckResult([], [unread], 3))
    schema().validate(text)
    assert ElementTree.fromstring(text)[0].get("skipped") == "1"  # noqa: S314 - our own


@pytest.mark.parametrize(
    ("ready", "tags"), [("True", ["system-out"]), ("False", ["failure"]), ("Unknown", ["skipped"])]
)
def test_an_error_is_told_once_whatever_the_verdict(ready: str, tags: list[str]) -> None:
    """A record that is not required is no failure when it is missing, but it is missing."""
    objects = [made.raw("example", made.condition("Ready", ready, "RecordNotFound"))]
    text = junit(CheckResult(objects, [made.BROKEN], 0))
    schema().validate(text)
    (case,) = ElementTree.fromstring(text).iter("testcase")  # noqa: S314 - our own
    assert [each.tag for each in case] == tags
    assert ["error: SPF_MISSING: There is no TXT" in (each.text or "") for each in case] == [True]
