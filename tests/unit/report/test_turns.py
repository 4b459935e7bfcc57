# SPDX-License-Identifier: Apache-2.0
"""Whose turn it is: yours is told apart from what passes, spreads, or waits for another object."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.api.reasons import CATALOGUE, Reason
from postroom.report import turns
from postroom.report.shape import Turn
from rows import over
from unit.report.samples import FINDING, broken, condition, report_of, stored

NOT_READY = condition("Ready", "False", "X", "It does not work.")


def turn_of(raw: dict[str, Any]) -> Turn:
    (only,) = report_of(raw).objects
    return only.turn


def with_finding(code: str, action: str = "External", **more: Any) -> dict[str, Any]:
    finding = {"code": code, "severity": "Error", "message": "No.", "fix": {"action": action}}
    return stored("MailServer", "a", NOT_READY, findings=[{**finding, **more}])


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("AUTHENTICATION_REJECTED", Turn.YOURS),
        ("SECRET_NOT_FOUND", Turn.YOURS),
        ("CONNECTION_REFUSED", Turn.YOURS),
        ("CERTIFICATE_EXPIRED", Turn.YOURS),
        ("SPF_MULTIPLE", Turn.YOURS),
        ("OF_A_LATER_VERSION", Turn.YOURS),
        ("TEMPORARY_FAILURE", Turn.RETRIED),
        ("SERVICE_UNAVAILABLE", Turn.RETRIED),
        ("HOST_AUTH_COOLDOWN", Turn.RETRIED),
        ("OAUTH_THROTTLED", Turn.RETRIED),
        ("MAIL_SERVER_NOT_READY", Turn.BEHIND),
        ("SENDING_DOMAIN_NOT_READY", Turn.BEHIND),
        ("RESOLVERS_DISAGREE", Turn.SPREADING),
    ],
)
def test_the_cause_tells_whose_turn_it_is(code: str, expected: Turn) -> None:
    assert turn_of(with_finding(code)) is expected


@over(Reason)
def test_no_reason_that_asks_to_wait_is_anybodys_turn(reason: Reason) -> None:
    told = CATALOGUE[reason].remedy
    if told.startswith("Wait:"):
        assert turns.of_reason(reason) is not Turn.YOURS


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("Propagating", Turn.SPREADING),
        ("Unknown", Turn.RETRIED),
        ("Missing", Turn.YOURS),
        ("Wrong", Turn.YOURS),
        ("Conflicting", Turn.YOURS),
    ],
)
def test_the_state_of_the_record_goes_before_the_fix(state: str, expected: Turn) -> None:
    raw = broken(records=[{"id": "spf", "state": state}])
    assert turn_of(raw) is expected


def test_to_wait_is_nobodys_turn() -> None:
    assert turn_of(with_finding("NS_INCONSISTENT", "Wait")) is Turn.RETRIED


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([condition("Ready", "True", "Succeeded")], Turn.NOBODY),
        ([condition("Ready", "Unknown", "Pending", "Waiting for controller")], Turn.UNSEEN),
        ([condition("Ready", "Unknown", "Progressing", "Being looked at.")], Turn.RETRIED),
        # Whoever reads a report of files need not bring their Secrets along.
        ([condition("Ready", "Unknown", "CredentialsElsewhere", "Not tried.")], Turn.RETRIED),
        ([condition("Ready", "Unknown", "ObservationStale", "No answer.")], Turn.RETRIED),
        ([condition("Ready", "False", "NoDefault", "Set one.")], Turn.YOURS),
        ([condition("Ready", "False", "MailServerNotReady", "Not ready.")], Turn.BEHIND),
        # What is final stays until somebody edits something, whatever it is called.
        (
            [
                condition("Ready", "False", "TemporaryFailure", "No."),
                condition("Stalled", "True", "ProgressDeadlineExceeded", "No."),
            ],
            Turn.YOURS,
        ),
        (
            [
                condition("Ready", "False", "NoDefault", "No."),
                condition("Suspended", "True", "SuspendedBySpec"),
            ],
            Turn.RESTING,
        ),
        ([{"type": "Ready"}], Turn.UNSEEN),
        (["nonsense"], Turn.UNSEEN),
    ],
)
def test_the_conditions_tell_where_there_is_no_cause(conditions: list[Any], expected: Turn) -> None:
    raw = stored("EmailAccount", "a")
    raw["status"]["conditions"] = conditions
    assert turn_of(raw) is expected
    assert turn_of({**raw, "status": None}) is Turn.UNSEEN


def test_the_most_urgent_of_several_counts_and_warnings_do_not_hide_it() -> None:
    spreading = {**FINDING, "code": "RESOLVERS_DISAGREE", "subject": "dkim"}
    assert turn_of(broken(findings=[spreading, FINDING])) is Turn.YOURS
    advice = {**FINDING, "severity": "Warning", "code": "DMARC_ALIGN_DKIM"}
    assert turn_of(broken(findings=[spreading, advice], records=[])) is Turn.SPREADING


def test_what_works_with_advice_is_not_your_turn() -> None:
    advice = {**FINDING, "severity": "Warning"}
    assert turn_of(stored(findings=[advice])) is Turn.ADVISED
    assert turn_of(stored(findings=[{**FINDING, "severity": "Info"}])) is Turn.NOBODY


@pytest.mark.parametrize(
    ("generation", "observed", "expected"),
    [(2, 2, Turn.NOBODY), (3, 2, Turn.UNSEEN), (1, None, Turn.UNSEEN), (None, None, Turn.NOBODY)],
)
def test_a_verdict_on_an_earlier_spec_is_none_on_this_one(
    generation: int | None, observed: int | None, expected: Turn
) -> None:
    raw = stored(observedGeneration=observed)
    raw["metadata"]["generation"] = generation
    (only,) = report_of(raw).objects
    assert only.turn is expected
    assert ("changed after" in only.message) == (expected is Turn.UNSEEN)


@pytest.mark.parametrize(
    ("state", "reason", "turn", "severity"),
    [
        ("False", "ConsumerUnavailable", Turn.YOURS, "Error"),
        ("False", "SecretNotFound", Turn.YOURS, "Error"),
        ("False", "ReasonOfALaterVersion", Turn.YOURS, "Error"),
        ("Unknown", "WorkerAbsent", Turn.YOURS, "Warning"),
        ("Unknown", "WorkerUnknown", Turn.YOURS, "Warning"),
        ("Unknown", "AwaitingDependency", Turn.RETRIED, "Warning"),
    ],
)
def test_an_account_that_is_ready_and_whose_mail_goes_nowhere_does_not_work(
    state: str, reason: str, turn: Turn, severity: str
) -> None:
    ready, delivering = (
        condition("Ready", "True", "Succeeded"),
        condition("InboundDelivering", state, reason, "Words."),
    )
    (told,) = report_of(stored("EmailAccount", "a", ready, delivering)).objects
    assert told.turn is turn and told.ready == "True"
    (problem,) = told.problems
    assert (problem.code, problem.severity, problem.message) == (reason, severity, "Words.")
    known = reason in set(Reason)
    assert problem.instruction == (CATALOGUE[Reason(reason)].remedy if known else "")


def test_one_at_rest_is_at_rest_and_one_whose_mail_arrives_is_nobodys() -> None:
    resting = (
        condition("Suspended", "True", "SuspendedBySpec"),
        condition("InboundDelivering", "False", "SuspendedBySpec"),
    )
    assert (
        turn_of(stored("EmailAccount", "a", condition("Ready", "True", "Succeeded"), *resting))
        is Turn.RESTING
    )
    good = (
        condition("Ready", "True", "Succeeded"),
        condition("InboundDelivering", "True", "Delivering"),
    )
    assert turn_of(stored("EmailAccount", "a", *good)) is Turn.NOBODY
