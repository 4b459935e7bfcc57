# SPDX-License-Identifier: Apache-2.0
"""How long it takes, in a sentence that holds for what was looked at."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.api.names import Kind
from postroom.report import waiting
from postroom.report.shape import ReportSource, Turn
from unit.report.samples import FINDING, broken, condition, report_of, stored


@pytest.mark.parametrize(
    ("kind", "spec", "interval"),
    [
        (Kind.SENDING_DOMAIN, {}, "1 hour"),
        (Kind.MAIL_SERVER, {}, "5 minutes"),
        (Kind.EMAIL_ACCOUNT, {}, "5 minutes"),
        (Kind.SENDING_DOMAIN, {"interval": "30m"}, "30 minutes"),
        (Kind.EMAIL_ACCOUNT, {"sync": {"interval": "90s"}}, "1 minute 30 seconds"),
        (Kind.MAIL_SERVER, {"interval": "<b>"}, "5 minutes"),
        (Kind.EMAIL_ACCOUNT, {"sync": 3}, "5 minutes"),
    ],
)
def test_the_interval_is_that_of_the_spec_or_the_default(
    kind: Kind, spec: dict[str, Any], interval: str
) -> None:
    assert waiting.interval_of(kind, spec) == interval


@pytest.mark.parametrize(
    ("spec", "until"),
    [
        ({}, "2026-12-02T08:00:00Z"),
        ({"propagationDeadline": "2h"}, "2026-11-29T10:00:00Z"),
        ({"propagationDeadline": "0s"}, None),
        ({"propagationDeadline": []}, "2026-12-02T08:00:00Z"),
        ({"propagationDeadline": "99999999999h"}, "2026-12-02T08:00:00Z"),
    ],
)
def test_a_domain_is_waited_for_until_its_deadline(spec: dict[str, Any], until: str | None) -> None:
    raw = {**broken(), "spec": spec}
    assert report_of(raw).objects[0].deadline == until
    # Nobody waits for what was looked at once.
    assert report_of(raw, source=ReportSource.FILES).objects[0].deadline is None


def test_what_regressed_has_no_deadline() -> None:
    raw = stored("SendingDomain", "a", condition("Ready", "False", "X"), findings=[FINDING])
    assert report_of(raw).objects[0].deadline is None


def test_caches_are_told_by_the_finding_that_knows_them() -> None:
    (problem,) = report_of(broken()).objects[0].problems
    assert "for at most 5 minutes. postroom looks again by itself" in problem.takes
    for cached in (None, "300", -1, 10**12):
        unknown = {**FINDING, "cachedSeconds": cached}
        (problem,) = report_of(broken(findings=[unknown])).objects[0].problems
        assert "for as long as its TTL says" in problem.takes


def test_of_files_nothing_looks_again_by_itself() -> None:
    found = report_of(broken(), source=ReportSource.FILES).objects[0]
    assert "make this report anew" in found.problems[0].takes
    assert "by itself" not in found.takes


@pytest.mark.parametrize("turn", [Turn.BEHIND, Turn.RETRIED, Turn.SPREADING, Turn.UNSEEN])
@pytest.mark.parametrize("source", list(ReportSource))
def test_who_has_to_wait_is_told_for_what(turn: Turn, source: ReportSource) -> None:
    assert waiting.of_object(turn, "5 minutes", source).endswith(".")
