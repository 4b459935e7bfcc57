# SPDX-License-Identifier: Apache-2.0
"""What is told of an attempt before anything is dialled: where the verdict stands, and findings."""

from __future__ import annotations

import pytest

from postroom.api.conditions import ConditionStatus, ConditionType
from postroom.api.findings import Severity
from postroom.api.mailserver import TLSMode
from postroom.api.masked import Masked
from postroom.mail.precheck import PreCheck
from postroom.mail.replies import Cause
from postroom.mail.report import Endpoint, Login
from postroom.reconcile.signing_in import prechecks
from postroom.reconcile.signing_in.prechecks import NOTHING, Prechecked
from postroom.reconcile.signing_in.probing import IMAP, SMTP, Attempt
from postroom.reconcile.signing_in.references import Credentials

BY_PASSWORD = PreCheck(Cause.BASIC_AUTH_DISABLED, "oauth", "No passwords.", blocks=True)
BY_PORT = PreCheck(Cause.PORT_NOT_SERVED, "port", "Not that port.", blocks=True)
SPELLING = PreCheck(Cause.HOST_MISSPELLED, "host", "Nearly right.", blocks=False)
SPACE = PreCheck(Cause.CREDENTIAL_HAS_WHITESPACE, "password", "It ends with a line.", blocks=False)


def attempt(host: str, port: int, tls: TLSMode, password: str = "") -> Attempt:
    endpoint = Endpoint(host, port, tls, host, None, "mail")
    login = Credentials(Login("a@example.com", Masked(password)), (), "v") if password else None
    return Attempt(SMTP, endpoint, login, None)


def test_an_attempt_with_nothing_wrong_is_let_through() -> None:
    usual = attempt("mail.example.com", 465, TLSMode.IMPLICIT, "pass word")
    assert prechecks.check(usual) == NOTHING


def test_what_blocks_is_told_apart_from_what_only_warns() -> None:
    found = prechecks.check(attempt("smtp.gmail.com", 465, TLSMode.START_TLS, "secret\n"))
    assert found.blocking is not None
    assert found.blocking.cause is Cause.PORT_CONTRADICTS_TLS
    assert found.warnings
    assert not any(fault.blocks for fault in found.warnings)
    found = prechecks.check(attempt("mail.example.com", 465, TLSMode.START_TLS))
    assert (found.blocking, len(found.warnings)) == (None, 1)


@pytest.mark.parametrize(
    ("blocking", "place"),
    [
        (BY_PORT, ConditionType.SMTP_AVAILABLE),
        (BY_PASSWORD, ConditionType.SMTP_AUTHENTICATED),
        (
            PreCheck(Cause.WRONG_KEY_TYPE, "password", "Of another kind.", blocks=True),
            ConditionType.SMTP_AUTHENTICATED,
        ),
        (
            PreCheck(Cause.USERNAME_MUST_BE, "username", "Must be apikey.", blocks=True),
            ConditionType.SMTP_AUTHENTICATED,
        ),
    ],
)
def test_what_blocks_fails_the_condition_that_it_is_about_and_no_other(
    blocking: PreCheck, place: ConditionType
) -> None:
    verdicts = prechecks.verdicts_of(blocking, SMTP, tls=True, auth=True)
    assert [verdict.type for verdict in verdicts] == [
        ConditionType.TARGET_ALLOWED,
        ConditionType.SMTP_AVAILABLE,
        ConditionType.TLS_VERIFIED,
        ConditionType.SMTP_AUTHENTICATED,
    ]
    for verdict in verdicts:
        is_place = verdict.type is place
        expected = ConditionStatus.FALSE if is_place else ConditionStatus.UNKNOWN
        assert (verdict.status, verdict.message) == (expected, blocking.sentence)
        assert (verdict.reason.value == "NotAttempted") is not is_place


def test_conditions_that_the_spec_does_not_ask_for_are_not_judged() -> None:
    found = prechecks.verdicts_of(BY_PORT, IMAP, tls=False, auth=False)
    assert [verdict.type for verdict in found] == [
        ConditionType.TARGET_ALLOWED,
        ConditionType.IMAP_AVAILABLE,
    ]


def test_findings_are_errors_where_they_block_and_each_is_told_once() -> None:
    found = prechecks.findings_of(Prechecked(BY_PORT, (SPELLING, SPACE, SPELLING)), IMAP)
    assert {(finding.code, finding.severity, finding.subject) for finding in found} == {
        ("PORT_NOT_SERVED", Severity.ERROR, "IMAP port"),
        ("HOST_MISSPELLED", Severity.WARNING, "IMAP host"),
        ("CREDENTIAL_HAS_WHITESPACE", Severity.WARNING, "IMAP password"),
    }
    assert len(found) == 3
    assert prechecks.findings_of(NOTHING, SMTP) == ()
