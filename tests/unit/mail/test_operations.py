# SPDX-License-Identifier: Apache-2.0
"""Reports of sessions that ended before anything was done: they claim nothing."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from postroom.api.mailserver import ProbeStage
from postroom.api.reasons import Reason
from postroom.mail import operations
from postroom.mail.operations import Acceptance, Answer, AskSenders, CountDays, SendMessage
from postroom.mail.report import ProbeReport

SESSION = ProbeReport(
    ProbeStage.AUTH, Reason.AUTHENTICATION_REJECTED, "No.", True, code=535, enhanced_code="5.7.8"
)
MESSAGE = operations.OutgoingMessage("a@example.com", "b@example.com", b"canary")
OPERATIONS: list[operations.Operation[Any]] = [
    AskSenders(["a@example.com"], "b@example.com"),
    SendMessage(MESSAGE),
    operations.ScanMailbox("INBOX", ()),
    operations.RemoveMessages(()),
    CountDays("INBOX", date(2026, 1, 1)),
]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_report_is_of_its_session(operation: operations.Operation[Any]) -> None:
    assert operation.not_done(SESSION).session is SESSION


def test_each_operation_has_a_name_of_its_own_in_metrics() -> None:
    assert len({operation.kind for operation in OPERATIONS}) == len(OPERATIONS)


def test_no_sender_is_refused_by_a_session_that_failed() -> None:
    report = AskSenders(["a@example.com", "c@example.com"], "b@example.com").not_done(SESSION)
    assert list(report.answers) == ["a@example.com", "c@example.com"]
    assert set(report.answers.values()) == {
        Answer(Acceptance.UNKNOWN, Reason.AUTHENTICATION_REJECTED, "No.", 535, "5.7.8")
    }
    assert SendMessage(MESSAGE).not_done(SESSION).answer.acceptance is Acceptance.UNKNOWN


def test_a_nearer_answer_goes_before_that_of_the_session() -> None:
    nearer = Answer(Acceptance.DEFERRED, Reason.TEMPORARY_FAILURE, "Later.", 451)
    report = AskSenders(["a@example.com"], "b@example.com").not_done(SESSION, nearer)
    assert report.answers == {"a@example.com": nearer}
    assert SendMessage(MESSAGE).not_done(SESSION, nearer).answer is nearer


def test_what_was_not_counted_is_not_complete() -> None:
    report = CountDays("INBOX", date(2026, 1, 1)).not_done(SESSION)
    assert (dict(report.days), report.complete) == ({}, False)


def test_no_content_shows() -> None:
    assert "canary" not in repr(SendMessage(MESSAGE))
