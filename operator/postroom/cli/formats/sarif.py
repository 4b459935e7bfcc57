# SPDX-License-Identifier: Apache-2.0
"""SARIF 2.1.0 (OASIS, with errata 01), for code scanning and editors.

No snippet is ever written: the line of a finding may hold a Secret.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import postroom
from postroom.cli.explain import entries
from postroom.cli.formats.remarks import INVALID_INPUT, Remark
from postroom.cli.formats.results import MEANINGS, CheckResult, path_of
from postroom.cli.text_places import Region

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
#: The name of our fingerprint, with the version of how it is made.
_FINGERPRINT = "postroomFinding/v1"


def sarif(result: CheckResult) -> dict[str, Any]:
    """A log of one run."""
    codes = sorted({remark.code for remark in result.remarks})
    ended: dict[str, Any] = {
        "executionSuccessful": True,
        "exitCode": result.exit_code,
        "exitCodeDescription": MEANINGS[result.exit_code],
    }
    driver = {
        "name": "postroom",
        "semanticVersion": postroom.__version__,
        "rules": [_rule(code) for code in codes],
    }
    run = {
        "tool": {"driver": driver},
        "invocations": [ended],
        # Columns below are counted so.
        "columnKind": "utf16CodeUnits",
        "results": [_result(remark, codes.index(remark.code)) for remark in result.remarks],
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(code: str) -> dict[str, Any]:
    known = entries().get(code)
    meaning = known.meaning if known is not None else "The input is no valid manifest."
    help_ = known.remedy if known is not None else "Correct the file at the line that is named."
    if code != INVALID_INPUT:
        help_ = f"{help_} `postroom explain {code}` says more."
    return {
        "id": code,
        "shortDescription": {"text": meaning},
        "fullDescription": {"text": meaning},
        "help": {"text": help_, "markdown": help_},
    }


def _result(remark: Remark, rule: int) -> dict[str, Any]:
    location: dict[str, Any] = {}
    if remark.file:
        place: dict[str, Any] = {"artifactLocation": {"uri": quote(path_of(remark.file))}}
        if remark.region is not None:
            place["region"] = region_of(remark.region)
        location["physicalLocation"] = place
    if remark.key is not None:
        name = f"{remark.key.namespace}/{remark.key.kind.value}/{remark.key.name}"
        full = f"{name}/{remark.field}" if remark.field else name
        location["logicalLocations"] = [
            {"name": remark.field or name, "fullyQualifiedName": full, "kind": "resource"}
        ]
    return {
        "ruleId": remark.code,
        "ruleIndex": rule,
        "level": remark.level.value,
        "message": {"text": _shown(remark)},
        "locations": [location] if location else [],
        "partialFingerprints": {_FINGERPRINT: remark.fingerprint},
    }


def _shown(remark: Remark) -> str:
    """A message in which nothing can be taken for a link (SARIF 3.11.6)."""
    text = f"{remark.place}: {remark.sentence}" if remark.place else remark.sentence
    return text.replace("](", "] (")


def region_of(region: Region) -> Mapping[str, int]:
    """Lines and columns, in units of UTF-16; the end is the column behind the last."""
    found = {"startLine": region.start.line, "startColumn": region.start.utf16}
    if region.end is not None:
        found |= {"endLine": region.end.line, "endColumn": region.end.utf16}
    return found
