# SPDX-License-Identifier: Apache-2.0
"""GitLab's Code Quality report, held against the fields that its documentation demands."""

from __future__ import annotations

import json

from hypothesis import given

from postroom.cli.formats.gitlab import code_quality
from postroom.cli.formats.results import CheckResult
from unit.cli.formats import made

#: What https://docs.gitlab.com/ci/testing/code_quality/ lists under "report format".
SEVERITIES = {"info", "minor", "major", "critical", "blocker"}


@given(made.ANY_RESULT)
def test_every_issue_has_what_gitlab_demands(result: CheckResult) -> None:
    issues = json.loads(json.dumps(code_quality(result)))
    assert len(issues) == len(result.remarks)
    for issue, remark in zip(issues, result.remarks, strict=True):
        assert issue["check_name"] == remark.code
        assert issue["fingerprint"]
        assert issue["severity"] in SEVERITIES
        assert "\n" not in issue["description"]
        location = issue["location"]
        assert not location["path"].startswith("./")
        assert location["lines"]["begin"] == location["positions"]["begin"]["line"] >= 1


def test_an_issue() -> None:
    _, issue, advice = code_quality(made.RESULT)
    assert issue == {
        "description": "SendingDomain mail/example spec.spf: There is no TXT at example.com. "
        "Fix: Create: add TXT example.com v=spf1 -all",
        "check_name": "SPF_MISSING",
        "fingerprint": "f00d",
        "severity": "major",
        "location": {
            "path": "mail/domain.yaml",
            "lines": {"begin": 6, "end": 6},
            "positions": {"begin": {"line": 6, "column": 3}, "end": {"line": 6, "column": 20}},
        },
    }
    assert (advice["severity"], advice["location"]["lines"]["begin"]) == ("info", 1)
