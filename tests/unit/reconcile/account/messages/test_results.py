# SPDX-License-Identifier: Apache-2.0
"""How a message of ours ended: its result in status, and the findings that are made of it."""

from __future__ import annotations

import pytest

from postroom.api.account_messages import (
    MessageBasis,
    MessageInFlight,
    MessageOutcome,
    MessageResult,
    MessageStep,
    MessageWarning,
)
from postroom.api.conditions import MESSAGE_LIMIT
from postroom.api.findings import Severity
from postroom.api.reasons import Reason
from postroom.mail.operations import Acceptance
from postroom.reconcile.account.messages import results
from postroom.reconcile.account.messages.correspondents import Obstacle
from unit.reconcile.assessments import NOW

FLIGHT = MessageInFlight(
    step=MessageStep.SENT,
    token="t",
    time="2026-11-21T11:55:00Z",
    sender="support@example.com",
    recipient="other@example.net",
    basis=MessageBasis(generation=7),
)


def warned(*codes: str) -> MessageResult:
    warnings = [
        MessageWarning(code=code, severity=Severity.WARNING, message=f"It is {code}.")
        for code in codes
    ]
    ended = results.ended(FLIGHT, MessageOutcome.DELIVERED, results.TAKEN)
    return ended.model_copy(update={"warnings": warnings})


def test_a_result_is_about_the_message_that_was_under_way() -> None:
    found = results.ended(FLIGHT, MessageOutcome.UNKNOWN, results.LOST)
    assert (found.time, found.recipient, found.basis) == (
        FLIGHT.time,
        "other@example.net",
        FLIGHT.basis,
    )
    assert (found.outcome, found.reason) == (MessageOutcome.UNKNOWN, "MessageUnconfirmed")
    assert found.message == results.LOST.message


@pytest.mark.parametrize(
    ("passing", "outcome"), [(True, MessageOutcome.DEFERRED), (False, MessageOutcome.FAILED)]
)
def test_what_hinders_now_defers_and_what_hinders_for_good_fails(
    passing: bool, outcome: MessageOutcome
) -> None:
    obstacle = Obstacle(Reason.RECEIVER_NOT_READY, "x" * (MESSAGE_LIMIT + 1), passing)
    found = results.hindered(FLIGHT, obstacle)
    assert (found.outcome, found.reason) == (outcome, "ReceiverNotReady")
    assert len(found.message) == MESSAGE_LIMIT


def test_what_may_not_be_sent_failed_now() -> None:
    found = results.failed_before("a@example.com", NOW, Reason.SECRET_NOT_FOUND, "None.")
    assert found == MessageResult(
        outcome=MessageOutcome.FAILED,
        time="2026-11-21T12:00:00Z",
        recipient="a@example.com",
        reason="SecretNotFound",
        message="None.",
    )


def test_warnings_become_findings_on_what_the_message_was_for() -> None:
    assert results.findings_of(None, "roundTrip") == ()
    (found,) = results.findings_of(warned("SENDER_REWRITTEN"), "roundTrip")
    assert (found.code, found.severity, found.subject, found.message) == (
        "SENDER_REWRITTEN",
        Severity.WARNING,
        "roundTrip",
        "It is SENDER_REWRITTEN.",
    )


def test_a_warning_that_is_no_code_of_a_finding_is_left_out() -> None:
    found = results.findings_of(warned("no code", "SENDER_REWRITTEN", ""), "roundTrip")
    assert [each.code for each in found] == ["SENDER_REWRITTEN"]


@pytest.mark.parametrize("outcome", MessageOutcome)
def test_a_reason_that_another_version_named_is_told_by_how_the_message_ended(
    outcome: MessageOutcome,
) -> None:
    known = results.ended(FLIGHT, outcome, results.LOST)
    assert results.reason_of(known) is Reason.MESSAGE_UNCONFIRMED
    told = results.reason_of(known.model_copy(update={"reason": "KnownToOthers"}))
    if outcome.value in set(Reason):
        assert told == outcome.value


def test_a_loop_is_one_warning_among_others() -> None:
    assert results.is_looping(warned("SENDER_REWRITTEN", "MAIL_LOOP"))
    assert not results.is_looping(warned("SENDER_REWRITTEN"))
    assert not results.is_looping(None)


def test_who_waits_is_told_so_without_a_time_that_would_change_each_look() -> None:
    (found,) = results.waiting("forwarding", "A message")
    assert (found.code, found.severity, found.subject) == (
        "MESSAGE_WAITS",
        Severity.INFO,
        "forwarding",
    )
    assert found.message.startswith("A message waits, and is sent by itself")


def test_only_what_the_server_took_or_refused_for_certain_is_known() -> None:
    assert results.TAKEN.acceptance is Acceptance.ACCEPTED
    assert results.UNWRITABLE.acceptance is Acceptance.REFUSED
    unknown = (results.LOST, results.NOWHERE_TO_LOOK)
    assert {answer.acceptance for answer in unknown} == {Acceptance.UNKNOWN}
